package broker

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

// maxRedirects is how many hops after the first are followed.
const maxRedirects = 5

// engine is what a real and a recorded broker share: every judgement. Only the
// tripper differs.
type engine struct {
	guard    *guard
	trip     tripper
	secrets  secretSource
	observer Observer
	agent    string
}

// tripper sends one judged hop. It fills in h.event what it learns and h.sent when
// the request went out. The body of the response must be closed.
type tripper interface {
	trip(ctx context.Context, h *hop) (*http.Response, error)
}

// hop is one request that has been judged, as it is sent.
type hop struct {
	url    abi.URL
	query  string // url.Query with secrets in place
	opened bool
	method string
	header http.Header
	body   []byte
	sent   bool
	event  *Event
}

// target returns the URL to send: the judged path byte for byte, not parsed again.
func (h *hop) target() *url.URL {
	host, _ := splitOrigin(h.url.Origin)
	return &url.URL{Scheme: h.url.Scheme, Host: host, Opaque: h.url.Path, RawQuery: h.query}
}

// exchange is the state of one Fetch.
type exchange struct {
	*engine
	caller abi.Caller
	rights abi.Rights
	set    secretSet

	url     abi.URL
	method  string
	headers http.Header // the guest's, placeholders and all
	body    []byte
	auth    abi.SecretName
	manual  bool
	limit   limit
	hops    int
	started bool // some hop was sent
	private bool // some hop was to an origin that the operator opened
}

// limit is the smallest of the bounds on a response, and its name.
type limit struct {
	bytes int64
	name  string
}

func (l limit) lower(bytes int64, name string) limit {
	if bytes < l.bytes {
		return limit{bytes, name}
	}
	return l
}

func (e *engine) fetch(ctx context.Context, caller abi.Caller, rights abi.Rights, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error) {
	x := &exchange{engine: e, caller: caller, rights: rights, body: body, auth: req.Auth}
	wall := rights.Limits.HTTPTime
	if asked := req.TimeoutMS; asked > 0 && asked < wall.Milliseconds() {
		wall = time.Duration(asked) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, wall)
	defer cancel()
	ev := &Event{Time: time.Now(), Caller: caller}
	p := x.unlock(ctx, ev)
	if p == nil {
		p = x.prepare(req, ev)
	}
	if p != nil {
		x.report(ctx, ev, p)
		return abi.FetchResponse{}, nil, p
	}
	var from *answer
	for {
		ev := &Event{Time: time.Now(), Caller: caller, Hop: x.hops, Method: x.method, Origin: x.url.Origin}
		var p *abi.Problem
		from, p = x.hop(ctx, from, ev)
		x.report(ctx, ev, p)
		switch {
		case p != nil:
			p.RequestSent = p.RequestSent || x.started
			p.Public = p.RequestSent && !x.private
			return abi.FetchResponse{}, nil, p
		case from.done:
			return from.response, from.body, nil
		}
	}
}

// report tells the observer about one hop.
func (x *exchange) report(ctx context.Context, ev *Event, p *abi.Problem) {
	ev.Duration = time.Since(ev.Time)
	ev.Problem = p
	if x.observer == nil {
		return
	}
	if x.set != nil {
		m := x.set.known()
		ev.Path, ev.Detail = m.RedactString(ev.Path), m.RedactString(ev.Detail)
	}
	x.observer.Egress(context.WithoutCancel(ctx), *ev)
}

// prepare checks everything about the request that does not depend on where it goes.
func (x *exchange) prepare(req abi.FetchRequest, ev *Event) *abi.Problem {
	var p *abi.Problem
	if x.method, p = guestMethod(req.Method); p != nil {
		return p
	}
	ev.Method = x.method
	if len(req.URL) > maxURL {
		return invalid(ruleURL, "url is longer than %s", size(maxURL))
	}
	u, err := abi.ParseURL(req.URL)
	if err != nil {
		ev.Detail = err.Error()
		return invalid(ruleURL, "url is not one that can be judged: want http or https, a plain host name or address, no user and no encoded slash")
	}
	x.url, ev.Origin, ev.Path = u, u.Origin, u.Path
	if x.headers, p = guestHeaders(req.Headers); p != nil {
		return p
	}
	switch req.Redirect {
	case "", "follow":
	case "manual":
		x.manual = true
	default:
		return invalid(ruleRequest, "redirect is follow or manual")
	}
	l := x.rights.Limits
	if int64(len(x.body)) > l.HTTPSent {
		return tooLarge("request body", "limits.http_sent", l.HTTPSent)
	}
	x.limit = limit{l.HTTPResponse, "limits.http_response"}.lower(l.HTTPReceived, "limits.http_received")
	if req.MaxBytes > 0 {
		x.limit = x.limit.lower(req.MaxBytes, "max_bytes")
	}
	return x.search(ev)
}

// unlock reads the secrets. Without them nothing is sent, because nothing could be
// searched for them.
func (x *exchange) unlock(ctx context.Context, ev *Event) *abi.Problem {
	set, err := x.secrets.current(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return x.failed(ctx, err, ev)
		}
		ev.Detail = err.Error()
		return &abi.Problem{Code: abi.CodeInternal, Capability: capSecrets, Message: "the stored secrets cannot be read, so nothing is sent", Hint: "glovebox secret list"}
	}
	x.set = set
	return nil
}

// search looks for stored values and stray placeholders in what the guest wrote.
func (x *exchange) search(ev *Event) *abi.Problem {
	m := x.set.known()
	found := m.Names(x.body)
	found = append(found, m.Names([]byte(x.url.String()))...)
	for key, values := range x.headers {
		for _, v := range values {
			found = append(found, m.Names([]byte(key+": "+v))...)
		}
	}
	if len(found) > 0 {
		ev.Detail = "stored values in the request: " + joinNames(found)
		return &abi.Problem{Code: abi.CodeDenied, Capability: capSecrets, Rule: ruleLeak, Message: "the request holds the value of a stored secret"}
	}
	if name, ok := strayPlaceholder(x.rights, string(x.body)); ok {
		return misuse(name, "its placeholder cannot stand in a body")
	}
	if name, ok := strayPlaceholder(x.rights, allDecoded(x.url.Path)); ok {
		return misuse(name, "its placeholder cannot stand in a path")
	}
	return nil
}

func joinNames(names []string) string {
	slices.Sort(names)
	out := ""
	for i, n := range slices.Compact(names) {
		if i > 0 {
			out += ", "
		}
		out += n
	}
	return out
}

// answer is the outcome of one hop: a response for the guest, or the right under
// which a redirect goes on.
type answer struct {
	done     bool
	right    abi.HTTPRight
	origin   abi.Origin // that redirected
	response abi.FetchResponse
	body     []byte
}

// hop judges x's request as it stands now, sends it, and either finishes or changes x
// into the request of the next hop. from is nil for the first.
func (x *exchange) hop(ctx context.Context, from *answer, ev *Event) (*answer, *abi.Problem) {
	ev.Path = x.url.Path
	h, right, p := x.judge(from, ev)
	if p != nil {
		return nil, p
	}
	resp, err := x.trip.trip(ctx, h)
	if h.sent {
		x.started, ev.Sent = true, int64(len(x.body))
	}
	if err != nil {
		return nil, x.failed(ctx, err, ev)
	}
	defer func() { _ = resp.Body.Close() }()
	ev.Status = resp.StatusCode
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil, denied(ruleRequest, "%s wants to change the protocol", x.url.Origin)
	}
	if location := resp.Header.Get("Location"); !x.manual && location != "" && redirects(resp.StatusCode) {
		origin := x.url.Origin
		if p := x.follow(resp.StatusCode, location, ev); p != nil {
			return nil, p
		}
		return &answer{right: right, origin: origin}, nil
	}
	return x.finish(ctx, resp, right, ev)
}

// judge decides whether x's request may be sent and builds it.
func (x *exchange) judge(from *answer, ev *Event) (*hop, abi.HTTPRight, *abi.Problem) {
	opened := x.guard.opened(x.caller.Skill, x.url.Origin)
	right, p := admit(x.caller.Skill, x.rights, x.method, x.url, opened)
	if p != nil && from != nil {
		if bound, ok := boundHop(from.right, x.url); ok {
			right, p = admit(x.caller.Skill, abi.Rights{HTTP: []abi.HTTPRight{bound}}, x.method, x.url, opened)
		}
	}
	if p == nil {
		p = x.rights.Withheld(x.caller.Skill, x.url.Origin)
	}
	if p == nil {
		p = x.guard.name(x.caller.Skill, x.url, opened)
	}
	if p != nil {
		if from != nil && from.origin != x.url.Origin {
			p.Message = "redirect from " + string(from.origin) + ": " + p.Message
		}
		return nil, right, p
	}
	if right.MaxResponse > 0 {
		x.limit = x.limit.lower(right.MaxResponse, "max_response")
	}
	in := &injection{
		rights: x.rights, origin: x.url.Origin, set: x.set,
		secure: x.url.Scheme == "https" || opened,
	}
	x.private = x.private || opened
	h := &hop{url: x.url, query: x.url.Query, opened: opened, method: x.method, body: x.body, event: ev}
	if h.header, p = in.headers(x.headers); p != nil {
		return nil, right, p
	}
	if from == nil {
		if h.query, p = in.query(h.query); p != nil {
			return nil, right, p
		}
	}
	if h.query, p = in.auth(x.auth, right, h.header, h.query, from == nil); p != nil {
		return nil, right, p
	}
	if _, ok := h.header["User-Agent"]; !ok {
		h.header.Set("User-Agent", x.agent)
	}
	h.header.Set("Accept-Encoding", "gzip")
	for _, r := range in.used {
		ev.Secrets = append(ev.Secrets, r.Store)
	}
	return h, right, nil
}

// clean returns what takes reflected values out of text for this guest: its own name
// for a secret that it holds, no name for any other.
func (x *exchange) clean(ev *Event) func([]byte) []byte {
	m, label := x.set.known(), x.labels(ev)
	return func(b []byte) []byte { return m.RedactWith(b, label) }
}

// labels returns what stands in the place of a value, and notes it in ev.
func (x *exchange) labels(ev *Event) func(store string) string {
	return func(store string) string {
		if !slices.Contains(ev.Redacted, store) {
			ev.Redacted = append(ev.Redacted, store)
		}
		for _, r := range x.rights.Secrets {
			if string(r.Store) == store {
				return redact.Label(string(r.Name))
			}
		}
		return shown
	}
}

// failed turns an error of the network into what a guest may know of it.
func (x *exchange) failed(ctx context.Context, err error, ev *Event) *abi.Problem {
	ev.Detail = err.Error()
	if b := (*blocked)(nil); errors.As(err, &b) {
		return blockedProblem(b.rule, x.caller.Skill, x.url.Origin)
	}
	if p := (*abi.Problem)(nil); errors.As(err, &p) {
		return p
	}
	p := &abi.Problem{Code: abi.CodeNetwork, Capability: capHTTP, RequestSent: x.started}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		p.Code, p.Rule = abi.CodeTimeout, "limits.http_time"
		p.Message = string(x.url.Origin) + " did not answer in time"
		return p
	}
	p.Message = string(x.url.Origin) + " " + classify(err, ev.Dialled.IsValid())
	return p
}
