package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
)

// tunnel is one CONNECT, and what is asked through it.
type tunnel struct {
	*Proxy
	origin abi.Origin
	host   string
}

// serve handles one connection from the box.
func (p *Proxy) serve(ctx context.Context, c *net.UnixConn) {
	if uid, err := peer(c); err != nil || uid != p.cfg.UID {
		p.refuse(ctx, "", "", denied(rulePeer, "the socket belongs to another user"), fmt.Sprintf("user %d: %v", uid, err))
		return
	}
	_ = c.SetDeadline(time.Now().Add(p.cfg.Limits.Head))
	in := bufio.NewReaderSize(c, maxHead)
	h, err := readHead(in)
	if err != nil {
		if problem := problemOf(err); problem != nil {
			_ = p.meter.request(ctx, 0)
			p.reject(ctx, c, "", "", problem, "")
		}
		return
	}
	if problem := p.meter.request(ctx, h.size); problem != nil {
		p.reject(ctx, c, "", h.method, problem, "")
		return
	}
	t, problem, detail := p.connect(h)
	if problem != nil {
		var origin abi.Origin
		if t != nil {
			origin = t.origin
		}
		p.reject(ctx, c, origin, h.method, problem, detail)
		return
	}
	_ = c.SetDeadline(time.Now().Add(p.cfg.Limits.Head))
	if _, err := io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	secure, err := t.handshake(ctx, &behind{c, in})
	if err != nil {
		return
	}
	defer func() { _ = secure.Close() }()
	_ = c.SetDeadline(time.Time{})
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		t.serve2(ctx, secure)
		return
	}
	t.serve1(ctx, secure)
}

// connect judges the first request on a connection.
func (p *Proxy) connect(h *head) (*tunnel, *abi.Problem, string) {
	if h.method != http.MethodConnect {
		return nil, denied(ruleConnect, "only CONNECT is answered here: %s over plain http has no way out, use https", h.method), h.target
	}
	u, err := abi.ParseURL("https://" + h.target + "/")
	if err != nil || strings.ContainsAny(h.target, "/?#@") || !strings.Contains(h.target, ":") {
		return nil, malformed("the target of CONNECT is not HOST:PORT"), h.target
	}
	t := &tunnel{p, u.Origin, u.Host}
	switch {
	case h.length != 0 || h.expect:
		return t, malformed("CONNECT has no body"), ""
	case h.host != "" && !strings.EqualFold(h.host, h.target) && !sameOrigin(h.host, u.Origin):
		return t, denied(ruleName, "host header %s in a CONNECT to %s", clip(h.host, 200), h.target), ""
	case p.cut.Load():
		return t, cutOff(), ""
	case p.lane(u.Origin) == nil:
		problem := denied(ruleNotGranted, "%s is not granted to this box", u.Origin)
		problem.Hint = "glovebox egress log"
		return t, problem, ""
	}
	return t, nil, ""
}

func cutOff() *abi.Problem {
	return denied(ruleCut, "stored values were met twice in what this box sends or receives: nothing leaves any more until it is started anew")
}

// sameOrigin reports whether a Host header names origin, with its port or without the
// standard one.
func sameOrigin(host string, origin abi.Origin) bool {
	u, err := abi.ParseURL("https://" + host + "/")
	return err == nil && u.Origin == origin && !strings.ContainsAny(host, "/?#@")
}

// behind is a connection of which some bytes were read ahead.
type behind struct {
	net.Conn
	in *bufio.Reader
}

// Read implements net.Conn.
func (b *behind) Read(p []byte) (int, error) { return b.in.Read(p) }

// errName is told to the TLS server, which says "unrecognized name" to the client.
var errName = errors.New("the handshake names another host than CONNECT")

// handshake ends the TLS of the program in the box. Sessions are not resumed: the name
// would not be looked at again.
func (t *tunnel) handshake(ctx context.Context, c net.Conn) (*tls.Conn, error) {
	named := ""
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			named = hello.ServerName
			if !strings.EqualFold(hello.ServerName, t.host) {
				return nil, errName
			}
			return t.ca.certificate(t.host, time.Now())
		},
	}
	secure := tls.Server(c, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		problem := &abi.Problem{Code: abi.CodeNetwork, Capability: capHTTP, Rule: ruleProtocol, Message: "the TLS handshake in the box failed: " + clip(err.Error(), 200)}
		if errors.Is(err, errName) {
			problem = denied(ruleName, "the handshake names %q in a tunnel to %s", clip(named, 200), t.host)
		}
		t.refuse(ctx, t.origin, http.MethodConnect, problem, "")
		return nil, err
	}
	return secure, nil
}

// reject answers what does not become a tunnel, and tells the observer.
func (p *Proxy) reject(ctx context.Context, w io.Writer, origin abi.Origin, method string, problem *abi.Problem, detail string) {
	p.refuse(ctx, origin, method, problem, clip(detail, 1024))
	_ = writeRefusal(w, problem)
}

// request is one request in a tunnel, of either version of HTTP.
type request struct {
	method, target, host string
	header               http.Header
	body                 io.Reader
	length               int64
	upgrade              string
	size                 int64 // of the head
}

// pass judges and sends one request.
func (t *tunnel) pass(ctx context.Context, r *request) (*broker.Answer, error) {
	if problem := t.admit(ctx, r); problem != nil {
		t.refuse(ctx, t.origin, r.method, problem, "")
		return nil, problem
	}
	passage := &broker.Passage{Method: r.method, Target: r.target, Header: r.header, Length: r.length, Socket: r.upgrade != ""}
	if r.body != nil {
		passage.Body = sending{r.body, t.meter}
	}
	return t.lanes[t.origin].Do(ctx, t.cfg.Rights(), t.cfg.Permits[t.origin], passage)
}

// admit judges what the lane cannot see: that the request is for the host of the tunnel.
func (t *tunnel) admit(ctx context.Context, r *request) *abi.Problem {
	if problem := t.meter.request(ctx, r.size); problem != nil {
		return problem
	}
	switch {
	case t.cut.Load():
		return cutOff()
	case r.method == http.MethodConnect:
		return denied(ruleConnect, "a CONNECT within a tunnel")
	case !strings.HasPrefix(r.target, "/"):
		return malformed("the target of a request in a tunnel is a path")
	case !sameOrigin(r.host, t.origin):
		return denied(ruleName, "host header %q in a tunnel to %s", clip(r.host, 200), t.host)
	case r.upgrade != "" && r.upgrade != "websocket":
		return denied(ruleProtocol, "a change to the protocol %q", clip(r.upgrade, 40))
	case r.upgrade != "" && (r.method != http.MethodGet || r.length != 0):
		return malformed("a WebSocket begins with a GET without a body")
	case strings.HasPrefix(r.header.Get("Content-Type"), "application/grpc"):
		return denied(ruleProtocol, "gRPC is not passed on: its trailers and streams cannot be judged")
	}
	return nil
}
