package broker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

// Socket is a connection that changed to WebSocket (RFC 6455). Its messages are looked at
// as they pass: a known value in either direction ends it, because a message that waits
// for the next one would wait for ever. Less than half of a value can have passed then.
type Socket struct {
	raw   io.ReadWriteCloser
	known *redact.Matcher
	x     *exchange
	ev    *Event
	done  func(*abi.Problem)
	mu    sync.Mutex // guards ev.Redacted
}

// errFrame is wrapped by the errors of frames that cannot be looked at.
var errFrame = errors.New("not a WebSocket frame that can be looked at")

// socket takes over the connection of resp.
func (x *exchange) socket(resp *http.Response, a *Answer, p *Passage, ev *Event) (*Answer, *abi.Problem) {
	raw, ok := resp.Body.(io.ReadWriteCloser)
	if !p.Socket || !ok || resp.Header.Get("Sec-Websocket-Extensions") != "" {
		return nil, denied(ruleProtocol, "%s changes the protocol in a way that was not asked for", x.url.Origin)
	}
	a.Length, a.Socket = 0, &Socket{raw: raw, known: x.set.known(), x: x, ev: ev}
	return a, nil
}

// Relay passes frames between the box and the server until one of them ends, and tells
// the observer. It closes the server's side; the caller unblocks reads of box by closing
// it when Relay has asked for that through stop.
func (s *Socket) Relay(box io.Reader, to io.Writer, stop func()) error {
	var sent, received atomic.Int64
	var once sync.Once
	var first error
	end := func(err error) {
		once.Do(func() {
			first = err
			_ = s.raw.Close()
			stop()
		})
	}
	var both sync.WaitGroup
	both.Go(func() { end(s.pass(s.raw, box, true, &sent)) })
	both.Go(func() { end(s.pass(to, s.raw, false, &received)) })
	both.Wait()
	s.ev.Sent, s.ev.Received = sent.Load(), received.Load()
	var p *abi.Problem
	errors.As(first, &p)
	if p == nil && errors.Is(first, errFrame) {
		p = denied(ruleProtocol, "%s: %v", s.x.url.Origin, first)
	}
	s.done(p)
	return first
}

// pass copies frames, looking at their payload across them.
func (s *Socket) pass(dst io.Writer, src io.Reader, fromBox bool, count *atomic.Int64) error {
	in := bufio.NewReaderSize(src, pumpSize)
	var tail redact.Tail
	buf := make([]byte, pumpSize)
	plain := make([]byte, 0, pumpSize)
	for {
		f, err := readFrame(in, fromBox)
		if err != nil {
			return err
		}
		if _, err := dst.Write(f.head); err != nil {
			return err
		}
		for at := uint64(0); at < f.length; {
			n, err := in.Read(buf[:min(uint64(len(buf)), f.length-at)])
			if err != nil {
				return err
			}
			plain = append(plain[:0], buf[:n]...)
			for i := range plain {
				plain[i] ^= f.mask[(at+uint64(i))%4] //nolint:gosec // i is not negative
			}
			at += uint64(n) //nolint:gosec // bytes that were read
			name := s.known.Find(plain)
			if across := tail.Add(s.known, plain); name == "" || name == redact.Unscanned {
				name = across
			}
			if name != "" {
				s.mu.Lock()
				s.x.labels(s.ev)(name)
				s.mu.Unlock()
				return &abi.Problem{Code: abi.CodeDenied, Capability: capSecrets, Rule: ruleLeak, RequestSent: true, Message: "a WebSocket message holds the value of a stored secret"}
			}
			count.Add(int64(n))
			if _, err := dst.Write(buf[:n]); err != nil {
				return err
			}
		}
	}
}

// frame is the beginning of one frame.
type frame struct {
	head   []byte // as it came
	length uint64
	mask   [4]byte
}

// readFrame reads up to the payload (RFC 6455 section 5.2). Extensions, compression above
// all, were not asked for, so that their bits are an error.
func readFrame(r *bufio.Reader, masked bool) (frame, error) {
	var f frame
	head := make([]byte, 2, 14)
	if _, err := io.ReadFull(r, head); err != nil {
		return f, err
	}
	op := head[0] & 0x0f
	if head[0]&0x70 != 0 || op > 2 && op < 8 || op > 10 || (head[1]&0x80 != 0) != masked {
		return f, fmt.Errorf("%w: first bytes %x", errFrame, head)
	}
	f.length = uint64(head[1] & 0x7f)
	more := map[uint64]int{126: 2, 127: 8}[f.length]
	if op >= 8 && (more > 0 || head[0]&0x80 == 0) {
		return f, fmt.Errorf("%w: a long or fragmented control frame", errFrame)
	}
	if masked {
		more += 4
	}
	head = head[:2+more]
	if _, err := io.ReadFull(r, head[2:]); err != nil {
		return f, err
	}
	switch f.length {
	case 126:
		f.length = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		if f.length = binary.BigEndian.Uint64(head[2:]); f.length>>63 != 0 {
			return f, fmt.Errorf("%w: length", errFrame)
		}
	}
	if masked {
		copy(f.mask[:], head[len(head)-4:])
	}
	f.head = head
	return f, nil
}
