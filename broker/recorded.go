package broker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

// Exchange is one recorded request and its answer.
type Exchange struct {
	Request  RecordedRequest  `yaml:"request" json:"request"`
	Response RecordedResponse `yaml:"response" json:"response"`
}

// RecordedRequest says which request an exchange answers. A secret stands in it as its
// placeholder, in the position where the broker would put the value.
type RecordedRequest struct {
	Method   string            `yaml:"method" json:"method,omitempty"`     // GET if empty
	URL      string            `yaml:"url" json:"url"`                     // whole, compared in canonical form
	Headers  map[string]string `yaml:"headers" json:"headers,omitempty"`   // these must be sent, with exactly this value
	Body     *string           `yaml:"body" json:"body,omitempty"`         // exactly, when set
	Contains []string          `yaml:"contains" json:"contains,omitempty"` // parts of the body
}

// RecordedResponse is what the request is answered with.
type RecordedResponse struct {
	Status  int               `yaml:"status" json:"status,omitempty"` // 200 if zero
	Headers map[string]string `yaml:"headers" json:"headers,omitempty"`
	Body    string            `yaml:"body" json:"body,omitempty"`
	Fail    abi.Code          `yaml:"fail" json:"fail,omitempty"` // network or timeout, instead of an answer
}

// Recorded answers requests from a list, for tests of skills. Rights, headers,
// placeholders, redirects and limits are judged by the same code as in a Broker, so a
// denial is real; nothing is resolved or dialled, and no secret has a value: its
// placeholder is what is sent. It is safe for concurrent use.
type Recorded struct {
	engine engine
	tape   *tape
}

type tape struct {
	mu      sync.Mutex // guards used
	used    []int
	entries []entry
	guard   *guard
}

type entry struct {
	Exchange
	url abi.URL
}

// NewRecorded returns a Recorded that answers with exchanges. Of several that match a
// request the first that was not used answers, then the last one again. observer may
// be nil.
func NewRecorded(exchanges []Exchange, observer Observer) (*Recorded, error) {
	t := &tape{used: make([]int, len(exchanges))}
	for i, e := range exchanges {
		method, p := guestMethod(e.Request.Method)
		if p != nil {
			return nil, fmt.Errorf("exchange %d: request.method: %s", i+1, p.Message)
		}
		e.Request.Method = method
		u, err := abi.ParseURL(e.Request.URL)
		if err != nil {
			return nil, fmt.Errorf("exchange %d: request.url: %w", i+1, err)
		}
		if e.Response.Status == 0 {
			e.Response.Status = http.StatusOK
		}
		if e.Response.Status < 200 || e.Response.Status > 599 {
			return nil, fmt.Errorf("exchange %d: response.status %d: want 200 to 599", i+1, e.Response.Status)
		}
		switch e.Response.Fail {
		case "", abi.CodeNetwork, abi.CodeTimeout:
		default:
			return nil, fmt.Errorf("exchange %d: response.fail %q: want network or timeout", i+1, e.Response.Fail)
		}
		t.entries = append(t.entries, entry{e, u})
	}
	t.guard = &guard{
		private:   func(abi.SkillName) []abi.Origin { return nil },
		own:       func() ([]netip.Addr, error) { return nil, nil },
		listeners: func() []netip.AddrPort { return nil },
	}
	return &Recorded{
		tape:   t,
		engine: engine{guard: t.guard, trip: t, secrets: placeholders{}, observer: observer, agent: "glovebox/test"},
	}, nil
}

// Fetch is Broker.Fetch without a network.
func (r *Recorded) Fetch(ctx context.Context, caller abi.Caller, rights abi.Rights, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error) {
	return r.engine.fetch(ctx, caller, rights, req, body)
}

// Present reports that every secret is stored: as its placeholder.
func (r *Recorded) Present(abi.AgentID, abi.SecretName) bool { return true }

// Unused returns "METHOD URL" of each exchange that answered nothing, in order.
func (r *Recorded) Unused() []string {
	r.tape.mu.Lock()
	defer r.tape.mu.Unlock()
	var out []string
	for i, e := range r.tape.entries {
		if r.tape.used[i] == 0 {
			out = append(out, e.Request.Method+" "+e.url.String())
		}
	}
	return out
}

func (t *tape) trip(ctx context.Context, h *hop) (*http.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(h.url.Host); err == nil {
		if err := t.guard.check(&route{origin: h.url.Origin, opened: h.opened, port: h.url.Port}, a); err != nil {
			return nil, err
		}
	}
	e, ok := t.next(h)
	if !ok {
		return nil, &abi.Problem{
			Code: abi.CodeNetwork, Capability: capHTTP, Rule: ruleRecorded,
			Message: "the test has no exchange for " + h.method + " " + h.url.String(),
		}
	}
	h.sent = true
	switch e.Response.Fail {
	case abi.CodeTimeout:
		return nil, context.DeadlineExceeded
	case abi.CodeNetwork:
		return nil, io.ErrUnexpectedEOF
	}
	header := http.Header{}
	for k, v := range e.Response.Headers {
		header.Set(k, v)
	}
	return &http.Response{
		StatusCode: e.Response.Status, Header: header, ContentLength: int64(len(e.Response.Body)),
		Body: io.NopCloser(strings.NewReader(e.Response.Body)),
	}, nil
}

// next picks the exchange that answers h and counts its use.
func (t *tape) next(h *hop) (entry, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := -1
	for i, e := range t.entries {
		if !e.matches(h) {
			continue
		}
		last = i
		if t.used[i] == 0 {
			break
		}
	}
	if last < 0 {
		return entry{}, false
	}
	t.used[last]++
	return t.entries[last], true
}

func (e *entry) matches(h *hop) bool {
	want, got := e.url.String(), h.url
	got.Query = h.query
	if e.Request.Method != h.method || unescape(want) != unescape(got.String()) {
		return false
	}
	for k, v := range e.Request.Headers {
		if h.header.Get(k) != v {
			return false
		}
	}
	if e.Request.Body != nil && *e.Request.Body != string(h.body) {
		return false
	}
	for _, part := range e.Request.Contains {
		if !bytes.Contains(h.body, []byte(part)) {
			return false
		}
	}
	return true
}

// placeholders is a secretSource without values.
type placeholders struct{}

func (placeholders) current(context.Context) (secretSet, error) { return placeholders{}, nil }

func (placeholders) get(r abi.SecretRight) (Secret, bool) {
	return newSecret([]byte(r.Name.Placeholder())), true
}

func (placeholders) known() *redact.Matcher { return nil }
