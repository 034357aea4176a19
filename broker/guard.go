package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// Times and sizes of one connection. The time that the request has left bounds all.
const (
	resolveTime   = 5 * time.Second
	dialTime      = 10 * time.Second
	handshakeTime = 10 * time.Second
	maxAnswers    = 32       // addresses of one name that are judged and tried; more are refused
	maxHeader     = 64 << 10 // bytes of a response header
)

// guard decides which addresses a connection may have.
type guard struct {
	resolver  Resolver
	private   func(abi.SkillName) []abi.Origin
	own       func() ([]netip.Addr, error)
	listeners func() []netip.AddrPort
}

// route is a vetted way to one origin, good for one connection.
type route struct {
	origin abi.Origin
	opened bool // the operator opened this origin to the skill that asks
	port   uint16
	addrs  []netip.Addr
	own    []netip.Addr
}

// blocked says why an address is refused. It is for the operator: the guest gets a
// Problem without the address.
type blocked struct {
	addr netip.AddrPort
	rule string
	what string
}

func (b *blocked) Error() string {
	return fmt.Sprintf("%s is refused (rule %s, %s)", b.addr, b.rule, b.what)
}

// opened reports whether the operator opened exactly this origin to this skill.
func (g *guard) opened(skill abi.SkillName, o abi.Origin) bool {
	return slices.Contains(g.private(skill), o)
}

// check judges one address for r.
func (g *guard) check(r *route, a netip.Addr) error {
	at := netip.AddrPortFrom(a, r.port)
	if listens(at, g.listeners(), r.own) {
		return &blocked{at, ruleSelf, "glovebox itself listens there"}
	}
	v, what := judge(a)
	if v == public && slices.Contains(r.own, a.Unmap()) {
		v, what = private, "an address of this host"
	}
	switch v {
	case public:
		return nil
	case private:
		if r.opened {
			return nil
		}
		return &blocked{at, rulePrivate, what}
	case never:
	}
	return &blocked{at, ruleSpecial, what}
}

// name judges the host of u before anything is resolved.
func (g *guard) name(skill abi.SkillName, u abi.URL, opened bool) *abi.Problem {
	if localName(u.Host) && !opened {
		return blockedProblem(rulePrivate, skill, u.Origin)
	}
	return nil
}

// resolve finds and judges the addresses of u: one look-up, and one bad answer among
// good ones spoils all, so that nobody can hide an address among others.
func (g *guard) resolve(ctx context.Context, u abi.URL, r *route) error {
	var err error
	if r.own, err = g.own(); err != nil {
		return err
	}
	if a, err := netip.ParseAddr(u.Host); err == nil {
		r.addrs = []netip.Addr{a}
		return g.check(r, a)
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	addrs, err := g.resolver.LookupNetIP(ctx, "ip", u.Host)
	if err != nil {
		return fmt.Errorf("resolve: %w", err)
	}
	r.addrs = addrs
	if len(addrs) == 0 || len(addrs) > maxAnswers {
		return fmt.Errorf("resolve: %d addresses", len(addrs))
	}
	for _, a := range addrs {
		if err := g.check(r, a); err != nil {
			return err
		}
	}
	return nil
}

// dial connects to one of r's addresses in the order of the answer, whatever address
// the transport asks for.
func (g *guard) dial(ctx context.Context, r *route) (net.Conn, error) {
	d := net.Dialer{
		Timeout: dialTime,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || at.Port() != r.port {
				return &blocked{at, ruleSpecial, "not the vetted address"}
			}
			return g.check(r, at.Addr())
		},
	}
	var failed error
	for i, a := range r.addrs {
		d.Timeout = share(ctx, len(r.addrs)-i)
		c, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(a, r.port).String())
		if err == nil {
			return c, nil
		}
		if b := (*blocked)(nil); errors.As(err, &b) {
			return nil, err
		}
		failed = err
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}

// share splits what is left of ctx among n addresses.
func share(ctx context.Context, n int) time.Duration {
	t := dialTime
	if end, ok := ctx.Deadline(); ok {
		t = min(t, time.Until(end)/time.Duration(n))
	}
	return max(t, time.Millisecond)
}

// transport returns a transport for one request over r. The caller closes its idle
// connections.
func (g *guard) transport(r *route, tlsConfig *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return g.dial(ctx, r) },
		TLSClientConfig:        tlsConfig.Clone(),
		TLSHandshakeTimeout:    handshakeTime,
		DisableKeepAlives:      true,
		DisableCompression:     true, // asked for and undone in the open, under a limit
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: maxHeader,
		MaxConnsPerHost:        1,
	}
}
