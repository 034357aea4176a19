package main

import (
	"errors"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// maxQuery bounds a question, with what EDNS adds to it.
const maxQuery = 4096

// answerDNS answers what is asked at c: never with anything that it did not know when
// the box began, and without asking anybody.
func answerDNS(c net.PacketConn, hosts map[string]netip.Addr) {
	buf := make([]byte, maxQuery)
	for {
		n, from, err := c.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if out, ok := answer(buf[:n], hosts); ok {
			_, _ = c.WriteTo(out, from)
		}
	}
}

// answer returns the answer to one query; ok tells whether it deserves one. Names that
// are known have an IPv4 address and nothing else, all others do not exist.
func answer(query []byte, hosts map[string]netip.Addr) (out []byte, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil || h.Response || h.OpCode != 0 {
		return nil, false
	}
	reply := dnsmessage.Header{ID: h.ID, Response: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true, Authoritative: true}
	questions, err := p.AllQuestions()
	if err != nil || len(questions) != 1 || questions[0].Class != dnsmessage.ClassINET {
		reply.RCode = dnsmessage.RCodeRefused
		return build(reply, nil, netip.Addr{})
	}
	q := questions[0]
	at, known := hosts[strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))]
	switch {
	case !known:
		reply.RCode = dnsmessage.RCodeNameError
		at = netip.Addr{}
	case q.Type != dnsmessage.TypeA:
		at = netip.Addr{} // it exists, without such a record
	}
	return build(reply, &q, at)
}

func build(h dnsmessage.Header, q *dnsmessage.Question, at netip.Addr) ([]byte, bool) {
	b := dnsmessage.NewBuilder(nil, h)
	if q != nil {
		if b.StartQuestions() != nil || b.Question(*q) != nil {
			return nil, false
		}
		if at.IsValid() {
			head := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60}
			if b.StartAnswers() != nil || b.AResource(head, dnsmessage.AResource{A: at.As4()}) != nil {
				return nil, false
			}
		}
	}
	out, err := b.Finish()
	return out, err == nil
}
