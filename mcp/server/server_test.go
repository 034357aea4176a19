package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/mcp/server"
)

// gate exports echo to editor, unless that was taken back.
type gate struct {
	mu      sync.Mutex // guards what follows
	exports map[server.ClientID][]string
	calls   []server.Call
	fail    error
}

func newGate() *gate {
	return &gate{exports: map[server.ClientID][]string{"editor": {"calc.add", "calc.sub"}}}
}

func (g *gate) Tools(_ context.Context, c server.ClientID) ([]server.Tool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []server.Tool
	for _, name := range g.exports[c] {
		list = append(list, server.Tool{Name: name, Description: "d", InputSchema: json.RawMessage(`{"type":"object","properties":{"a":{"type":"number"}}}`), Class: abi.ClassRead})
	}
	return list, g.fail
}

func (g *gate) Call(_ context.Context, c server.Call) (server.Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, c)
	if !slices.Contains(g.exports[c.Client], c.Tool) {
		return server.Result{}, errors.New("not exported")
	}
	return server.Result{CallResult: abi.CallResult{Content: []abi.Content{{Type: "text", Text: "42"}}, StructuredContent: json.RawMessage(`{"x":1}`)}}, nil
}

func (g *gate) export(tools ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.exports["editor"] = tools
}

func (g *gate) called() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.calls)
}

// serve mounts a server as host/admin would: whoever has the token T is client T.
func serve(t *testing.T, cfg server.Config) *httptest.Server {
	t.Helper()
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := s.Handler()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			r = r.WithContext(server.WithClient(r.Context(), server.ClientID(token)))
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// talk sends one message and returns the answer's status, headers and message.
func talk(t *testing.T, url, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Authorization", "Bearer editor")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) { // of an event
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			text = bytes.TrimSpace(data)
		}
	}
	return resp.StatusCode, resp.Header, string(text)
}

const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

// session begins one of the older revision.
func session(t *testing.T, url string, header ...string) []string {
	t.Helper()
	status, h, text := talk(t, url, hello, header...)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	header = append(header, "Mcp-Session-Id", h.Get("Mcp-Session-Id"), "Mcp-Protocol-Version", "2025-11-25")
	talk(t, url, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, header...)
	return header
}

func request(method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":%q,"params":%s}`, method, params)
}

func call(tool string) string {
	return request("tools/call", `{"name":"`+tool+`","arguments":{"a":1}}`)
}

func TestNothingIsExportedByItself(t *testing.T) {
	t.Parallel()
	g := newGate()
	url := serve(t, server.Config{Gate: g}).URL
	as := session(t, url, "Authorization", "Bearer stranger")
	if _, _, text := talk(t, url, request("tools/list", "{}"), as...); !strings.Contains(text, `"tools":[]`) {
		t.Errorf("a client that was never named sees %s", text)
	}
	if _, _, text := talk(t, url, call("calc.add"), as...); !strings.Contains(text, `"error"`) || g.called() != 0 {
		t.Errorf("and calls: %s", text)
	}
	for _, method := range []string{"prompts/list", "resources/list", "completion/complete", "logging/setLevel", "skills/list", "tasks/list"} {
		_, _, text := talk(t, url, request(method, "{}"), as...)
		if !strings.Contains(text, `"error"`) && !strings.Contains(text, "unsupported") && !strings.Contains(text, ":[]}") && !strings.Contains(text, `"result":{}`) {
			t.Errorf("%s: %s", method, text)
		}
		if strings.Contains(text, `"cacheScope":"public"`) {
			t.Errorf("%s may be kept for everybody: %s", method, text)
		}
	}
}

func TestCallsPassTheGate(t *testing.T) {
	t.Parallel()
	g := newGate()
	url := serve(t, server.Config{Gate: g}).URL
	as := session(t, url)
	_, _, text := talk(t, url, call("calc.add"), as...)
	if want := `"content":[{"type":"text","text":"42"}],"structuredContent":{"x":1}`; !strings.Contains(text, want) {
		t.Errorf("got %s", text)
	}
	if !strings.Contains(text, `"dev.glovebox/label":{"integrity":"tainted"}`) {
		t.Errorf("the result has no label: %s", text)
	}
	c := g.calls[0]
	if c.Client != "editor" || c.Tool != "calc.add" || string(c.Args) != `{"a":1}` || c.Session == "" {
		t.Errorf("the gate was told %+v", c)
	}
	// What is taken back is gone within the session.
	g.export("calc.sub")
	if _, _, text := talk(t, url, call("calc.add"), as...); !strings.Contains(text, `"error"`) || g.called() != 1 {
		t.Errorf("taken back, and still there: %s", text)
	}
	g.export("calc.add", "calc.sub")
	if _, _, text := talk(t, url, request("tools/list", "{}"), as...); !strings.Contains(text, "calc.add") || !strings.Contains(text, `"readOnlyHint":true`) {
		t.Errorf("given again: %s", text)
	}
	// A gate that cannot say what is exported exports nothing.
	g.mu.Lock()
	g.fail = errors.New("disk full at /var/lib/x")
	g.mu.Unlock()
	if _, _, text := talk(t, url, call("calc.add"), as...); !strings.Contains(text, `"error"`) || strings.Contains(text, "/var/lib") || g.called() != 1 {
		t.Errorf("got %s", text)
	}
}

func TestTheNewRevisionPassesTheGate(t *testing.T) {
	t.Parallel()
	g := newGate()
	url := serve(t, server.Config{Gate: g}).URL
	body := func(tool string) string {
		return request("tools/call", `{"name":"`+tool+`","arguments":{"a":1},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}`)
	}
	head := []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "calc.add"}
	if _, _, text := talk(t, url, body("calc.add"), head...); !strings.Contains(text, `"resultType":"complete"`) || !strings.Contains(text, "42") {
		t.Errorf("got %s", text)
	}
	if status, _, text := talk(t, url, body("calc.sub"), head...); !strings.Contains(text, "-32020") || g.called() != 1 {
		t.Errorf("a header that names another tool: %d %s", status, text)
	}
	if _, _, text := talk(t, url, body("calc.add"), append(head, "Authorization", "Bearer stranger")...); !strings.Contains(text, `"error"`) || g.called() != 1 {
		t.Errorf("a stranger: %s", text)
	}
}

func TestASessionIsItsClientsOwn(t *testing.T) {
	t.Parallel()
	g := newGate()
	g.exports["other"] = []string{"calc.add"}
	url := serve(t, server.Config{Gate: g}).URL
	as := session(t, url)
	status, _, text := talk(t, url, call("calc.add"), append(slices.Clone(as), "Authorization", "Bearer other")...)
	if status != http.StatusNotFound || g.called() != 0 {
		t.Errorf("another client in the session: %d %s", status, text)
	}
}

func TestRequestsAreRefused(t *testing.T) {
	t.Parallel()
	g := newGate()
	url := serve(t, server.Config{Gate: g}).URL
	as := session(t, url)
	cases := []struct {
		name, body string
		header     []string
		want       int
	}{
		{"without a client", call("calc.add"), []string{"Authorization", ""}, http.StatusUnauthorized},
		{"of a page of another origin", call("calc.add"), []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		{"of a page of another site", call("calc.add"), []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{"for a name that was rebound", call("calc.add"), []string{"Host", "evil.example"}, http.StatusForbidden},
		{"with a key twice", `{"jsonrpc":"2.0","id":2,"method":"ping","method":"tools/call","params":{"name":"calc.add"}}`, nil, http.StatusBadRequest},
		{"nested without end", request("tools/call", `{"name":"calc.add","arguments":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`), nil, http.StatusBadRequest},
		{"that are no JSON", `{`, nil, http.StatusBadRequest},
		{"of a mebibyte", request("tools/call", `{"name":"calc.add","arguments":{"a":"`+strings.Repeat("x", server.MaxBody)+`"}}`), nil, http.StatusRequestEntityTooLarge},
		{"of a session that there is not", call("calc.add"), []string{"Mcp-Session-Id", "x"}, http.StatusNotFound},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if status, _, text := talk(t, url, c.body, append(slices.Clone(as), c.header...)...); status != c.want {
				t.Errorf("got %d %s", status, text)
			}
			if n := g.called(); n != 0 {
				t.Errorf("%d calls were made", n)
			}
		})
	}
}

func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	g := newGate()
	start := time.Now()
	var mu sync.Mutex
	now := start
	url := serve(t, server.Config{Gate: g, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }}).URL
	as := session(t, url)
	for range 40 {
		talk(t, url, call("calc.add"), as...)
	}
	if n := g.called(); n != 30 {
		t.Errorf("%d calls of one tool in a minute", n)
	}
	talk(t, url, call("calc.sub"), as...)
	if n := g.called(); n != 31 {
		t.Error("another tool is counted with it")
	}
	mu.Lock()
	now = now.Add(2 * time.Second)
	mu.Unlock()
	talk(t, url, call("calc.add"), as...)
	talk(t, url, call("calc.add"), as...)
	if n := g.called(); n != 32 {
		t.Errorf("%d calls after two seconds", n)
	}
	mu.Lock()
	now = start
	mu.Unlock()
	many := 0
	for range 700 {
		if status, _, _ := talk(t, url, request("ping", "{}"), as...); status == http.StatusTooManyRequests {
			many++
		}
	}
	if many == 0 {
		t.Error("requests are not counted")
	}
}

func TestSessionsAreCounted(t *testing.T) {
	t.Parallel()
	url := serve(t, server.Config{Gate: newGate()}).URL
	refused := 0
	for range 40 {
		if _, _, text := talk(t, url, hello); strings.Contains(text, "too many sessions") {
			refused++
		}
	}
	if refused == 0 || refused > 10 {
		t.Errorf("%d of 40 sessions were refused", refused)
	}
}

// shelf is one skill, and what is really in its files.
type shelf struct {
	skill server.Skill
	text  map[string]string
}

func (s shelf) Skills(context.Context, server.ClientID) ([]server.Skill, error) {
	return []server.Skill{s.skill, {Name: "bad", Frontmatter: map[string]any{"name": "good"}}}, nil
}

func (s shelf) Read(_ context.Context, _ abi.SkillName, file string) ([]byte, error) {
	return []byte(s.text[file]), nil
}

func TestSkillsAreServedAsListed(t *testing.T) {
	t.Parallel()
	const text = "---\nname: hello\n---\n# Hi\n"
	file := func(name string) server.File {
		return server.File{Path: name, Digest: abi.DigestOf([]byte(text)), Size: int64(len(text))}
	}
	s := shelf{
		skill: server.Skill{Name: "hello", Frontmatter: map[string]any{"name": "hello", "x": 1.5}, Files: []server.File{file("SKILL.md"), file("scripts/a.md"), file("changed.md")}},
		text:  map[string]string{"SKILL.md": text, "scripts/a.md": text, "changed.md": text[:len(text)-1] + "!", "secret": "s"},
	}
	url := serve(t, server.Config{Gate: newGate(), Skills: s}).URL
	as := session(t, url)
	_, _, got := talk(t, url, request("skills/list", "{}"), as...)
	for _, want := range []string{`"uri":"skill://glovebox/hello/SKILL.md"`, `"x":1.5`, `"digest":"` + string(abi.DigestOf([]byte(text))) + `"`, `"resultType":"complete"`} {
		if !strings.Contains(got, want) || strings.Contains(got, "good") {
			t.Errorf("want %s in %s", want, got)
		}
	}
	for uri, want := range map[string]string{
		"skill://glovebox/hello/SKILL.md":     "# Hi",
		"skill://glovebox/hello/scripts/a.md": "# Hi",
		"skill://glovebox/hello/changed.md":   `"error"`,
		"skill://glovebox/hello/secret":       `"error"`,
		"skill://glovebox/hello/../secret":    `"error"`,
		"skill://other/hello/SKILL.md":        `"error"`,
		"skill://glovebox/bad/SKILL.md":       `"error"`,
	} {
		if _, _, got := talk(t, url, request("resources/read", `{"uri":"`+uri+`"}`), as...); !strings.Contains(got, want) {
			t.Errorf("%s: %s", uri, got)
		}
	}
	if _, _, got := talk(t, url, request("resources/directory/read", `{"uri":"skill://glovebox/hello"}`), as...); !strings.Contains(got, "inode/directory") || strings.Contains(got, "scripts/a.md") {
		t.Errorf("the folder: %s", got)
	}
	for _, uri := range []string{"skill://glovebox/hello/SKILL.md", "file:///", "skill:/"} {
		if _, _, got := talk(t, url, request("resources/directory/read", `{"uri":"`+uri+`"}`), as...); !strings.Contains(got, "-32602") {
			t.Errorf("%s is no folder: %s", uri, got)
		}
	}
}
