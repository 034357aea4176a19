package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/host/approval"
)

const approveToken = "gba_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

const testToken = "gb_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// fake answers every question; it is the smallest Backend that is not nil.
type fake struct{ failWith error }

func (f fake) Chat(_ context.Context, req ChatRequest, emit func(Event)) (ChatReply, error) {
	if req.Message == "panic" {
		panic("boom")
	}
	if emit != nil {
		emit(Event{"call", Call{Tool: "calc.evaluate"}})
	}
	return ChatReply{Reply: "echo: " + req.Message, Session: req.Session, Calls: []Call{}}, f.failWith
}
func (f fake) Status(context.Context) (Status, error)            { return Status{Version: "test"}, f.failWith }
func (f fake) Skills(context.Context) ([]Skill, error)           { return nil, f.failWith }
func (f fake) Audit(context.Context, int) ([]AuditRecord, error) { return nil, f.failWith }

func (f fake) Explain(_ context.Context, seq uint64) (Explanation, error) {
	return Explanation{Seq: seq}, f.failWith
}
func (f fake) Approvals(context.Context, int) ([]Approval, error) { return nil, f.failWith }
func (f fake) Approval(_ context.Context, id string) (Approval, error) {
	return Approval{ID: id}, f.failWith
}
func (f fake) Endorsements(context.Context) ([]approval.Endorsement, error) { return nil, f.failWith }
func (f fake) Marked(context.Context) ([]Conversation, error)               { return nil, f.failWith }
func (f fake) Clear(context.Context, Conversation) error                    { return f.failWith }
func (f fake) Revoke(context.Context, string) error                         { return f.failWith }
func (f fake) Budgets(_ context.Context, agent string) ([]Budget, error) {
	return []Budget{{Agent: agent}}, f.failWith
}
func (f fake) Memories(_ context.Context, q MemoryQuery) ([]MemoryRow, error) {
	return []MemoryRow{{Agent: q.Agent, Text: q.Text, ID: int64(q.Limit)}}, f.failWith
}
func (f fake) Memory(_ context.Context, agent string, id int64) (MemoryRow, error) {
	return MemoryRow{Agent: agent, ID: id}, f.failWith
}
func (f fake) Forget(context.Context, string, int64) error          { return f.failWith }
func (f fake) Promote(context.Context, string, int64, string) error { return f.failWith }
func (f fake) Decide(_ context.Context, id string, _ Decision) error {
	if id == "gone" {
		return NewError(http.StatusConflict, "already decided", "approval/decided", "")
	}
	return f.failWith
}
func (f fake) Stop(context.Context) error { return f.failWith }

func start(t *testing.T, b Backend) (*Server, string) {
	t.Helper()
	s, err := Listen(t.Context(), Config{Listen: "127.0.0.1:0", Token: testToken, Approve: approveToken, Backend: b, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(s.Shutdown(ctx), <-done); err != nil {
			t.Error(err)
		}
	})
	return s, s.Address()
}

type route struct{ method, path string }

// routeTable asks the router itself.
func routeTable(s *Server) []route {
	var table []route
	for _, r := range s.routes().Routes() {
		switch r.Method {
		case http.MethodConnect, "REPORT", "PROPFIND", "echo_route_not_found":
			continue
		}
		table = append(table, route{r.Method, r.Path})
	}
	return table
}

type request struct {
	method, path, body, token, host, origin, contentType, accept, site string
}

func send(t *testing.T, base string, r request) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, base+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	set := func(k, v string) {
		if v != "" {
			req.Header.Set(k, v)
		}
	}
	if r.token != "" {
		set("Authorization", "Bearer "+r.token)
	}
	if r.contentType == "" {
		r.contentType = "application/json"
	}
	set("Origin", r.origin)
	set("Content-Type", r.contentType)
	set("Accept", r.accept)
	set("Sec-Fetch-Site", r.site)
	if r.host != "" {
		req.Host = r.host
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func problemOf(t *testing.T, resp *http.Response, body string) Error {
	t.Helper()
	if ct := resp.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("status %d has content type %q, want application/problem+json: %s", resp.StatusCode, ct, body)
	}
	var p Error
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatal(err)
	}
	if p.Status != resp.StatusCode || p.Detail == "" || p.Title == "" || p.Type == "" {
		t.Fatalf("incomplete problem: %s", body)
	}
	return p
}

// TestEveryRouteNeedsTheToken walks the table of routes itself, so that a new route
// cannot be forgotten.
func TestEveryRouteNeedsTheToken(t *testing.T) {
	t.Parallel()
	s, base := start(t, fake{})
	open := map[string]bool{"/health": true, "/healthz": true}
	count := 0
	for _, r := range routeTable(s) {
		path := strings.NewReplacer(":id", "a1", "*", "nothing").Replace(r.path)
		for name, token := range map[string]string{"no token": "", "wrong token": "gb_" + strings.Repeat("0", 64), "prefix of the token": testToken[:20], "token and more": testToken + "0"} {
			resp, body := send(t, base, request{method: r.method, path: path, token: token})
			if open[r.path] {
				if resp.StatusCode != http.StatusOK || body != "{\"status\":\"ok\"}\n" {
					t.Errorf("%s: %d %q, want only the status", r.path, resp.StatusCode, body)
				}
				continue
			}
			count++
			if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusTooManyRequests {
				t.Errorf("%s %s with %s: status %d, want 401", r.method, path, name, resp.StatusCode)
			}
			if r.method != http.MethodHead {
				problemOf(t, resp, body)
			}
		}
	}
	if count < 4*7 {
		t.Errorf("only %d requests made: the walk missed the table", count)
	}
	resp, _ := send(t, base, request{method: "GET", path: "/api/status", token: testToken})
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a flood of wrong tokens locked the operator out: %d", resp.StatusCode)
	}
}

func TestRequestsFromElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	_, base := start(t, fake{})
	port := base[strings.LastIndexByte(base, ':'):]
	cases := map[string]struct {
		r    request
		want int
	}{
		"name rebound to loopback":  {request{host: "evil.example" + port}, 403},
		"another port":              {request{host: "127.0.0.1:1"}, 403},
		"foreign origin":            {request{origin: "https://evil.example"}, 403},
		"origin null":               {request{origin: "null"}, 403},
		"origin with https":         {request{origin: "https://127.0.0.1" + port}, 403},
		"cross-site fetch":          {request{site: "cross-site"}, 403},
		"same-site fetch":           {request{site: "same-site"}, 403},
		"own origin":                {request{origin: "http://127.0.0.1" + port}, 200},
		"localhost as host":         {request{host: "localhost" + port}, 200},
		"LOCALHOST in upper case":   {request{host: "LOCALHOST" + port}, 200},
		"token in the query":        {request{path: "/api/status?token=" + testToken}, 400},
		"token in query of health":  {request{path: "/health?access_token=x"}, 400},
		"unknown route":             {request{path: "/api/secrets"}, 404},
		"method that is not served": {request{method: "DELETE"}, 404},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.r.token = testToken
			if c.r.path == "" {
				c.r.path = "/api/status"
			}
			if c.r.method == "" {
				c.r.method = "GET"
			}
			resp, body := send(t, base, c.r)
			if resp.StatusCode != c.want {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, c.want, body)
			}
			if c.want != 200 {
				problemOf(t, resp, body)
			}
		})
	}
}

func TestStrictBodies(t *testing.T) {
	t.Parallel()
	_, base := start(t, fake{})
	cases := map[string]struct {
		r      request
		want   int
		detail string
	}{
		"good":                   {request{body: `{"message":"hi","session":"s1"}`}, 200, ""},
		"unknown field is named": {request{body: `{"message":"hi","mesage":"x"}`}, 400, "mesage"},
		"wrong type":             {request{body: `{"message":7}`}, 400, "message"},
		"second value":           {request{body: `{"message":"hi"}{"message":"x"}`}, 400, ""},
		"deep nesting":           {request{body: `{"message":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`}, 400, "not acceptable JSON"},
		"truncated":              {request{body: `{"message":"hi`}, 400, ""},
		"invalid UTF-8":          {request{body: "{\"message\":\"\xff\"}"}, 400, "UTF-8"},
		"empty":                  {request{body: ``}, 400, ""},
		"empty message":          {request{body: `{"message":"  "}`}, 400, "empty"},
		"one byte over the cap":  {request{body: `{"message":"` + strings.Repeat("a", MaxBody+1-14) + `"}`}, 413, "exceeds"},
		"message over its limit": {request{body: `{"message":"` + strings.Repeat("a", maxMessage+1) + `"}`}, 413, "message"},
		"session with a line":    {request{body: `{"message":"hi","session":"a\nb"}`}, 400, "session"},
		"form":                   {request{body: `message=hi`, contentType: "application/x-www-form-urlencoded"}, 415, ""},
		"plain text":             {request{body: `{"message":"hi"}`, contentType: "text/plain"}, 415, ""},
		"bad decision":           {request{path: "/api/approvals/a1", body: `{"decision":"yes"}`}, 400, "yes"},
		"no decision":            {request{path: "/api/approvals/a1", body: `{}`}, 400, ""},
		"endorse without scope":  {request{path: "/api/approvals/a1", body: `{"decision":"endorse","argument":"to"}`}, 400, "once or session"},
		"approve with argument":  {request{path: "/api/approvals/a1", body: `{"decision":"approve","argument":"to"}`}, 400, "endorse only"},
		"endorse":                {request{path: "/api/approvals/a1", body: `{"decision":"endorse","argument":"to","for":"once"}`}, 200, ""},
		"an identity":            {request{path: "/api/approvals/a1", body: `{"decision":"approve","_approver":"operator:api"}`}, 400, "_approver"},
		"decided before":         {request{path: "/api/approvals/gone", body: `{"decision":"deny"}`}, 409, "already"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.r.method, c.r.token = "POST", approveToken
			if c.r.path == "" {
				c.r.path, c.r.token = "/api/chat", testToken
			}
			resp, body := send(t, base, c.r)
			if resp.StatusCode != c.want {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, c.want, body)
			}
			if c.want == 200 {
				return
			}
			if p := problemOf(t, resp, body); !strings.Contains(p.Detail, c.detail) {
				t.Errorf("detail %q does not name %q", p.Detail, c.detail)
			}
		})
	}
	for _, n := range []string{"0", "-1", "1001", "x", "1e3"} {
		resp, body := send(t, base, request{method: "GET", path: "/api/audit?n=" + n, token: testToken})
		if resp.StatusCode != 400 {
			t.Errorf("n=%s: status %d", n, resp.StatusCode)
		}
		problemOf(t, resp, body)
	}
}

func TestInternalErrorsAndPanicsShowNothing(t *testing.T) {
	t.Parallel()
	_, base := start(t, fake{failWith: errors.New("open /secret/path: hunter2")})
	for name, r := range map[string]request{
		"error": {method: "GET", path: "/api/status"},
		"panic": {method: "POST", path: "/api/chat", body: `{"message":"panic"}`},
	} {
		r.token = testToken
		resp, body := send(t, base, r)
		if resp.StatusCode != 500 || strings.Contains(body, "hunter2") || strings.Contains(body, "boom") {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
		problemOf(t, resp, body)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	_, base := start(t, fake{})
	limited := 0
	for range burst + 50 {
		resp, body := send(t, base, request{method: "GET", path: "/api/approvals", token: testToken})
		if resp.StatusCode == http.StatusTooManyRequests {
			limited++
			if problemOf(t, resp, body); resp.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		}
	}
	if limited == 0 {
		t.Errorf("%d requests at once were all admitted", burst+50)
	}
}

func TestListenRefusesOtherAddresses(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:80", "example.com:80", "127.0.0.1", ":0", ""} {
		if s, err := Listen(t.Context(), Config{Listen: addr, Token: testToken, Approve: approveToken, Backend: fake{}, Log: slog.New(slog.DiscardHandler)}); err == nil {
			_ = s.Shutdown(t.Context())
			t.Errorf("%q was taken", addr)
		}
	}
	if _, err := Listen(t.Context(), Config{Listen: "127.0.0.1:0", Token: "short", Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a short token was accepted")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if _, err := Listen(t.Context(), Config{Listen: l.Addr().String(), Token: testToken, Approve: approveToken, Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, ErrListen) || !strings.Contains(err.Error(), "taken") {
		t.Errorf("port taken: %v", err)
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		b    Backend
		want []string
	}{
		"answer":  {fake{}, []string{"call", "reply"}},
		"failure": {fake{failWith: errors.New("secret")}, []string{"call", "problem"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, base := start(t, c.b)
			resp, body := send(t, base, request{method: "POST", path: "/api/chat", token: testToken, accept: "text/event-stream", body: `{"message":"two\nlines"}`})
			if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
				t.Fatalf("content type %q", ct)
			}
			var names []string
			for sc := bufio.NewScanner(strings.NewReader(body)); sc.Scan(); {
				if v, ok := strings.CutPrefix(sc.Text(), "event: "); ok {
					names = append(names, v)
				}
			}
			if strings.Join(names, " ") != strings.Join(c.want, " ") || strings.Contains(body, "secret") {
				t.Errorf("events %v, want %v:\n%s", names, c.want, body)
			}
		})
	}
}

// TestTokensHaveTheirOwnScope walks the table: approvals are answered with one token,
// everything else is done with the other, and none does both.
func TestTokensHaveTheirOwnScope(t *testing.T) {
	t.Parallel()
	s, base := start(t, fake{})
	// What a person decides is under these; reading it is no decision.
	human := []string{"/api/approvals", "/api/endorsements", "/api/conversations", "/api/memory"}
	count := 0
	for _, r := range routeTable(s) {
		if strings.HasPrefix(r.path, "/health") || strings.HasSuffix(r.path, "*") {
			continue
		}
		count++
		path := strings.ReplaceAll(r.path, ":id", "a1")
		decides := slices.ContainsFunc(human, func(p string) bool { return strings.HasPrefix(r.path, p) })
		for token, allowed := range map[string]bool{testToken: !decides || r.method == http.MethodGet, approveToken: decides} {
			resp, body := send(t, base, request{method: r.method, path: path, token: token, body: `{}`})
			if forbidden := resp.StatusCode == http.StatusForbidden; forbidden == allowed {
				t.Errorf("%s %s with %.4s: status %d: %s", r.method, path, token, resp.StatusCode, body)
			}
		}
	}
	if count < 10 {
		t.Errorf("only %d routes were tried", count)
	}
	for _, approve := range []string{"", "short", testToken} {
		if _, err := Listen(t.Context(), Config{Listen: "127.0.0.1:0", Token: testToken, Approve: approve, Backend: fake{}, Log: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("served with %.4q for approvals", approve)
		}
	}
}
