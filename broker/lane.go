package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// Permit is what a boxed program may do at one origin beside the requests that its
// rights admit. The zero value permits nothing.
type Permit struct {
	OwnAuth   bool // its own Authorization and Cookie go there: the origin can be its mailbox
	Cookies   bool // Cookie and Set-Cookie pass
	Opaque    bool // what cannot be looked into, such as archives, passes though a secret goes there
	WebSocket bool // connections that change to WebSocket, whose messages are looked at
}

// LaneConfig says whose lane it is and where it leads. The zero value leads nowhere.
type LaneConfig struct {
	Box    string        // its name in the record
	Caller abi.Caller    // for whom the box works
	Origin abi.Origin    // https, with a name for a host
	Time   time.Duration // of one request with its whole answer
	Ended  func(Event)   // told what the observer is told; may be nil
}

// Lane is the way of one box to one origin. Its connections are kept from request to
// request, unlike those of guests, since they serve this box and this origin only; each
// request is judged by itself, and so is the address of the connection that it takes.
// It is safe for concurrent use.
type Lane struct {
	b    *Broker
	cfg  LaneConfig
	host string // as in the Host header
	port uint16

	mu  sync.Mutex // guards way
	way *way
}

// way is a set of connections that were judged alike.
type way struct {
	*http.Transport
	opened bool

	mu    sync.Mutex                      // guards taken
	taken map[netip.AddrPort][]netip.Addr // connected addresses, with those of this host then
}

// Passage is one request of a boxed program, as it was read.
type Passage struct {
	Method string
	Target string      // path and query (RFC 9112 section 3.2.1)
	Header http.Header // without those of the connection
	Body   io.Reader   // nil: none
	Length int64       // of Body; −1: not known
	Socket bool        // it asks for a WebSocket
}

// Answer is what a boxed program gets. Body must be closed; reading it gives the decoded
// body without known values.
type Answer struct {
	Status int
	Header http.Header
	Length int64 // of Body, or what a HEAD tells; −1: not known
	Body   io.ReadCloser
	Socket *Socket // after a change to WebSocket
}

// maxLaneConns bounds the connections of one lane.
const maxLaneConns = 16

// ErrLane is wrapped by the error of Lane.
var ErrLane = errors.New("no box can have this way out")

// Lane returns a way out for a box. Close ends its connections.
func (b *Broker) Lane(cfg LaneConfig) (*Lane, error) {
	u, err := abi.ParseURL(string(cfg.Origin) + "/")
	if err != nil || u.Origin != cfg.Origin || u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no https origin: %w", cfg.Origin, ErrLane)
	}
	if _, err := netip.ParseAddr(u.Host); err == nil {
		return nil, fmt.Errorf("%s is an address, which a certificate cannot be asked for: %w", cfg.Origin, ErrLane)
	}
	if cfg.Box == "" || cfg.Time <= 0 {
		return nil, fmt.Errorf("a lane needs a box and a time: %w", ErrLane)
	}
	host, _ := splitOrigin(cfg.Origin)
	return &Lane{b: b, cfg: cfg, host: host, port: u.Port}, nil
}

// Close closes the connections that no request uses.
func (l *Lane) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.way != nil {
		l.way.CloseIdleConnections()
		l.way = nil
	}
}

// Do judges one request against the rights as they are now and sends it. The error is an
// *abi.Problem, which the box may see. The broker's observer is told when the body of the
// answer is closed, or when there is none.
func (l *Lane) Do(ctx context.Context, rights abi.Rights, permit Permit, p *Passage) (*Answer, error) {
	ev := &Event{Time: time.Now(), Caller: l.cfg.Caller, Box: l.cfg.Box, Method: clipWord(p.Method), Origin: l.cfg.Origin}
	ctx, leave, problem := l.b.enter(ctx)
	if problem != nil {
		return nil, problem
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Time)
	x := &exchange{engine: &l.b.engine, caller: l.cfg.Caller, rights: rights, limit: limit{math.MaxInt64, "max_response"}}
	end := func(p *abi.Problem) {
		x.report(ctx, ev, p)
		if l.cfg.Ended != nil {
			l.cfg.Ended(*ev)
		}
		cancel()
		leave()
	}
	h, problem := l.judge(ctx, x, permit, p, ev)
	if problem != nil {
		end(problem)
		return nil, problem
	}
	out := newOutgoing(p.Body, rights, x.set.known())
	resp, err := l.send(ctx, x, h, out, p)
	if ev.Sent = out.sent.Load(); err != nil {
		if problem = out.problem.Load(); problem == nil {
			problem = x.failed(ctx, err, ev)
		}
		end(problem)
		return nil, problem
	}
	ev.Status = resp.StatusCode
	a, problem := x.answer(ctx, resp, permit, p, ev)
	if problem != nil {
		_ = resp.Body.Close()
		end(problem)
		return nil, problem
	}
	done := func(problem *abi.Problem) {
		ev.Sent = out.sent.Load()
		if p := out.problem.Load(); p != nil {
			problem = p
		}
		end(problem)
	}
	if s := a.Socket; s != nil {
		stop := context.AfterFunc(ctx, func() { _ = s.raw.Close() }) // the transport does not look at ctx any more
		s.done = func(p *abi.Problem) {
			stop()
			done(p)
		}
	} else {
		a.Body.(*incoming).done = done
	}
	return a, nil
}

// judge decides about a request of the box and builds it.
func (l *Lane) judge(ctx context.Context, x *exchange, permit Permit, p *Passage, ev *Event) (*hop, *abi.Problem) {
	if problem := x.unlock(ctx, ev); problem != nil {
		return nil, problem
	}
	method, problem := guestMethod(p.Method)
	if problem != nil || method != p.Method {
		return nil, invalid(ruleRequest, "method is not one that a box can use")
	}
	u, err := abi.ParseURL(string(l.cfg.Origin) + p.Target)
	if err != nil || u.Origin != l.cfg.Origin || !strings.HasPrefix(p.Target, "/") {
		ev.Detail = errorText(err)
		return nil, invalid(ruleURL, "the path is not one that can be judged: no empty segments, no encoded slash")
	}
	x.method, x.url, ev.Path = method, u, u.Path
	x.headers = p.Header.Clone()
	for key := range x.headers {
		if !token(key) || strings.HasPrefix(key, "X-Glovebox-") {
			return nil, invalid(ruleHeader, "header %s cannot be set by a box", clipWord(strings.ToLower(key)))
		}
	}
	if problem := x.search(ev); problem != nil {
		return nil, problem
	}
	if p.Socket && !permit.WebSocket {
		return nil, denied(ruleProtocol, "WebSocket is not permitted to %s", l.cfg.Origin)
	}
	if problem := ownCredentials(x, permit); problem != nil {
		return nil, problem
	}
	delete(x.headers, "Accept-Encoding")
	delete(x.headers, "Sec-Websocket-Extensions") // compressed messages could not be looked at
	h, _, problem := x.judge(nil, ev)
	if problem != nil {
		return nil, problem
	}
	if _, ok := p.Header["User-Agent"]; !ok {
		h.header["User-Agent"] = nil // the transport would add its own
	}
	h.header.Set("Accept-Encoding", "identity") // what is compressed cannot be looked at piece by piece
	return h, nil
}

// ownCredentials refuses those that the box brings itself: an origin that receives them
// can be its mailbox, and what stands in the place of a secret must be the secret.
func ownCredentials(x *exchange, permit Permit) *abi.Problem {
	refused := func(where string) *abi.Problem {
		return denied(ruleOwnAuth, "the box brings its own %s to %s: the broker sends credentials, and only those that it holds", where, x.url.Origin)
	}
	check := map[string]bool{}
	if !permit.OwnAuth {
		check["Authorization"], check["Cookie"] = true, !permit.Cookies
		for _, r := range x.rights.Secrets {
			if !slices.Contains(r.Only, x.url.Origin) {
				continue
			}
			check[headerOf(r.Inject)] = true
			if r.Inject.Kind == abi.InjectQuery && carriesOwn(x.url.Query, r.Inject.Name) {
				return refused("query parameter " + r.Inject.Name)
			}
		}
	}
	for key, values := range x.headers {
		for _, v := range values {
			if _, _, ok := placeholderOf(v); !ok && check[key] {
				return refused(strings.ToLower(key))
			}
		}
	}
	return nil
}

// carriesOwn reports whether query sets name to something that is no placeholder.
func carriesOwn(query, name string) bool {
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if k, err := url.QueryUnescape(key); err == nil && k == name && !strings.Contains(allDecoded(value), placeholderStart) {
			return true
		}
	}
	return false
}

// send sends a judged request over a connection whose address is judged now.
func (l *Lane) send(ctx context.Context, x *exchange, h *hop, body *outgoing, p *Passage) (*http.Response, error) {
	w, err := l.open(x.guard, h.opened)
	if err != nil {
		return nil, err
	}
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if a, err := netip.ParseAddrPort(i.Conn.RemoteAddr().String()); err == nil {
			h.event.Dialled = a
		}
		x.started = true
	}}
	target := h.target()
	req := (&http.Request{
		Method: h.method, URL: target, Host: target.Host, Header: h.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}).WithContext(httptrace.WithClientTrace(ctx, trace))
	if p.Body != nil && p.Length != 0 {
		if err := body.begin(); err != nil {
			return nil, err
		}
		req.Body, req.ContentLength = body, p.Length
	}
	if p.Socket {
		req.Header["Connection"], req.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	}
	return w.RoundTrip(req)
}

// open returns the connections of l, new ones if the address of one of them may not be
// reached any more.
func (l *Lane) open(g *guard, opened bool) (*way, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.way != nil && (l.way.opened != opened || l.way.stale(g, l.cfg.Origin)) {
		l.way.CloseIdleConnections() // and those that are in use now once they are idle
		l.way = nil
	}
	if l.way == nil {
		l.way = l.connect(g, opened)
	}
	return l.way, nil
}

// connect returns a transport that resolves, judges and dials for each connection.
func (l *Lane) connect(g *guard, opened bool) *way {
	w := &way{opened: opened, taken: map[netip.AddrPort][]netip.Addr{}}
	u := abi.URL{Scheme: "https", Host: hostOf(l.host), Port: l.port, Origin: l.cfg.Origin}
	config := l.b.tls.Clone()
	config.NextProtos = []string{"http/1.1"}
	w.Transport = g.transport(&route{}, config)
	w.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		r := &route{origin: l.cfg.Origin, opened: opened, port: l.port}
		if err := g.resolve(ctx, u, r); err != nil {
			return nil, err
		}
		c, err := g.dial(ctx, r)
		if err != nil {
			return nil, err
		}
		if at, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
			w.mu.Lock()
			w.taken[at] = r.own
			w.mu.Unlock()
		}
		return c, nil
	}
	w.DisableKeepAlives, w.ForceAttemptHTTP2 = false, false
	w.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	w.MaxConnsPerHost, w.MaxIdleConnsPerHost = maxLaneConns, maxLaneConns
	w.IdleConnTimeout = 30 * time.Second
	return w
}

// stale reports whether an address that w is connected to would be refused now.
func (w *way) stale(g *guard, o abi.Origin) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for at, own := range w.taken {
		if g.check(&route{origin: o, opened: w.opened, port: at.Port(), own: own}, at.Addr()) != nil {
			return true
		}
	}
	return false
}

// Refuse tells the observer of a request that was refused before a lane could judge it.
func (b *Broker) Refuse(ctx context.Context, ev Event) {
	x := &exchange{engine: &b.engine}
	if b.vault != nil {
		m := b.vault.Matcher()
		ev.Path, ev.Detail, ev.Method = m.RedactString(ev.Path), m.RedactString(ev.Detail), m.RedactString(ev.Method)
	}
	x.report(ctx, &ev, ev.Problem)
}

func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// clipWord bounds what a box wrote for the record.
func clipWord(s string) string {
	if !token(s) {
		return ""
	}
	return s[:min(len(s), maxMethod)]
}
