package host

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/memory"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/internal/guard"
	"github.com/glovebox-dev/glovebox/internal/label"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

var _ memory.Guard = (*guard.Guard)(nil)

const planted = "ghp_9Xk2LmQ7vRt4ZsB1nWc8YdF3"

// spelled is a value as somebody would write it who wants it out.
func spelled(v string) map[string]string {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(w, v)
	_ = w.Close()
	var every strings.Builder
	for i := range len(v) {
		fmt.Fprintf(&every, "%%%02x", v[i])
	}
	b64 := base64.StdEncoding.EncodeToString
	return map[string]string{
		"raw": v, "half": v[:len(v)/2+1], "lower": strings.ToLower(v), "base64 at offset 0": b64([]byte(v)), "base64 at offset 1": b64([]byte("a" + v + "b")),
		"base64 at offset 2": b64([]byte("ab" + v)), "base64url": base64.RawURLEncoding.EncodeToString([]byte(v)), "hex": hex.EncodeToString([]byte(v)),
		"percent": every.String(), "query": url.QueryEscape(v), "spaced": strings.Join(strings.Split(v, ""), " "), "two lines": v[:len(v)/2] + "\n" + v[len(v)/2:],
		"base64 twice": b64([]byte(b64([]byte(v)))), "gzip in base64": b64(zipped.Bytes()), "reversed": reversed(v),
	}
}

func reversed(v string) string {
	b := []byte(v)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// plant stores the secret in the vault of the daemon, as the command line would.
func (f *fixture) plant() *redact.Matcher {
	f.t.Helper()
	if err := f.chamber.Vault.Set(f.t.Context(), "gh", []byte(planted)); err != nil {
		f.t.Fatal(err)
	}
	f.refresh(f.t.Context())
	m, err := redact.NewMatcher(map[string]string{"gh": planted})
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

// ways are the ways out of a guest, each as the chamber uses it.
func (f *fixture) ways(session abi.SessionID, url string) map[guard.Sink][]func(text string) error {
	s := f.services("main")
	c := abi.Caller{Agent: "main", Session: session, Call: "c1", Skill: "textstat", Tool: "count"}
	ctx := f.t.Context()
	fetch := func(req abi.FetchRequest, body string) error {
		_, _, err := s.Fetch.Fetch(ctx, c, abi.Rights{HTTP: []abi.HTTPRight{{Origin: abi.OriginPattern(url), Methods: []string{"GET", "POST"}, Paths: []string{"/**"}}}}, req, []byte(body))
		return err
	}
	problem := func(p *abi.Problem) error {
		if p == nil {
			return nil
		}
		return p
	}
	return map[guard.Sink][]func(string) error{
		guard.Request: {
			func(text string) error { return fetch(abi.FetchRequest{URL: url + "/?q=" + text}, "") },
			func(text string) error { return fetch(abi.FetchRequest{URL: url + "/" + text}, "") },
			func(text string) error {
				return fetch(abi.FetchRequest{URL: url, Headers: map[string][]string{"x-data": {"a", text}}}, "")
			},
			func(text string) error { return fetch(abi.FetchRequest{URL: url, Method: "POST"}, "data: "+text) },
		},
		guard.File: {
			func(text string) error { return problem(s.Screen.Wrote(ctx, c, "/data/f", []byte("a "+text))) },
			func(text string) error { return problem(s.Screen.Wrote(ctx, c, "/data/f", []byte(text))) },
		},
		guard.KV: {
			func(text string) error {
				_, _, err := s.KV.Set(ctx, c, 1<<20, 100, abi.KVRequest{Key: "k"}, []byte(text), label.Trusted())
				return err
			},
			func(text string) error {
				_, _, err := s.KV.Set(ctx, c, 1<<20, 100, abi.KVRequest{Key: text}, []byte("x"), label.Trusted())
				return err
			},
		},
		guard.Question: {
			func(text string) error {
				_, err := s.Ask.Ask(ctx, c, abi.AskRequest{Question: "is it " + text})
				return err
			},
			func(text string) error {
				_, err := s.Ask.Ask(ctx, c, abi.AskRequest{Question: "which?", Choices: []string{"a", text}})
				return err
			},
		},
	}
}

// TestGuardStopsASecretAtEachWayOutOfAGuest plants a secret in a real daemon and sends
// each spelling of it each way.
func TestGuardStopsASecretAtEachWayOutOfAGuest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.plant()
	url, hits := page(t, "ok")
	n := 0
	for name, text := range spelled(planted) {
		for sink, ways := range f.ways(abi.SessionID("s "+name), url) {
			for i, way := range ways {
				n++
				var p *abi.Problem
				if err := way(text); !errors.As(err, &p) || p.Code != abi.CodeDenied || p.Rule != guard.RuleSecret {
					t.Errorf("%s as %s, way %d: %v", sink, name, i, err)
				}
			}
			if f.events("guard.hit", `"sink":"`+string(sink)+`"`, `"session":"s `+name+`"`) != len(ways) {
				t.Errorf("%s as %s is not on record %d times", sink, name, len(ways))
			}
		}
		if _, marked := f.guard.Compromised("main", abi.SessionID("s "+name)); !marked {
			t.Errorf("%s does not mark the conversation", name)
		}
		if f.guard.Find("remember "+text) != "gh" {
			t.Errorf("a memory would take %s", name)
		}
	}
	if *hits != 0 {
		t.Errorf("%d requests left", *hits)
	}
	t.Logf("%d attempts", n)
	f.verify()
}

var canaryRE = regexp.MustCompile(`never repeat it: (\S+)`)

// TestGuardFindsTheCanaryOfThePrompt takes the token out of the prompt that the model of
// a real daemon got, and sends it every way, then as argument and as reply.
func TestGuardFindsTheCanaryOfThePrompt(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	url, hits := page(t, "ok")
	for name := range spelled(strings.Repeat("x", 26)) {
		session := "s " + strings.ReplaceAll(name, " ", "-")
		chat := func(turns ...agent.Turn) admin.ChatReply {
			f.model.mu.Lock()
			f.model.turns = turns
			f.model.mu.Unlock()
			reply, err := f.Chat(t.Context(), admin.ChatRequest{Message: "go", Session: session}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return reply
		}
		chat(agent.Turn{Text: "hello"})
		f.model.mu.Lock()
		found := canaryRE.FindStringSubmatch(f.model.prompts[len(f.model.prompts)-1].System.String())
		f.model.mu.Unlock()
		if found == nil {
			t.Fatal("no canary in the prompt")
		}
		text := spelled(found[1])[name]
		for sink, ways := range f.ways(abi.SessionID(session), url) {
			for i, way := range ways {
				var p *abi.Problem
				if err := way(text); !errors.As(err, &p) || p.Rule != guard.RuleCanary {
					t.Errorf("%s as %s, way %d: %v", sink, name, i, err)
				}
			}
		}
		if err := f.Clear(t.Context(), admin.Conversation{Agent: "main", Session: session}); err != nil {
			t.Fatal(err)
		}
		chat(agent.Turn{Text: "hello"}) // a new canary
		f.model.mu.Lock()
		found = canaryRE.FindStringSubmatch(f.model.prompts[len(f.model.prompts)-1].System.String())
		f.model.mu.Unlock()
		text = spelled(found[1])[name]
		args, _ := json.Marshal(map[string]string{"expression": text})
		reply := chat(agent.Turn{Calls: []agent.ToolCall{{ID: "1", Tool: "calc.evaluate", Args: args}}}, agent.Turn{Text: "it is " + text})
		if c := reply.Calls[0]; c.Rule != guard.RuleCanary || c.Outcome != agent.OutcomeDenied || len(c.Arguments) > 0 {
			t.Errorf("%s as argument: %+v", name, c)
		}
		if !strings.HasPrefix(reply.Reply, "Withheld:") {
			t.Errorf("%s as reply: %q", name, reply.Reply)
		}
		if len(f.Warnings()) == 0 || !strings.Contains(strings.Join(f.Warnings(), "\n"), "glovebox approval clear main "+session) {
			t.Errorf("status does not warn: %q", f.Warnings())
		}
	}
	if *hits != 0 {
		t.Errorf("%d requests left", *hits)
	}
	f.verify()
}

// TestNoSecretLeavesADaemon: prompt, reply whole and streamed, answers and errors of the
// API, log and audit database of a daemon whose model and visitors spell the secret.
func TestNoSecretLeavesADaemon(t *testing.T) {
	t.Parallel()
	var log lines
	f := newFixture(t, func(c *Config) { c.Log = log.handler(slog.LevelDebug) })
	m := f.plant()
	if err := f.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() { ended <- f.Run(t.Context(), func() { close(ready) }) }()
	<-ready
	for name, text := range spelled(planted) {
		for _, accept := range []string{"application/json", "text/event-stream"} {
			args, _ := json.Marshal(map[string]string{"expression": text})
			f.model.mu.Lock()
			f.model.turns = []agent.Turn{
				{Text: text, Calls: []agent.ToolCall{{ID: text, Tool: "calc.evaluate", Args: args}, {ID: "2", Tool: text, Args: args}}}, {Text: "it is " + text + "."},
			}
			f.model.mu.Unlock()
			body, _ := json.Marshal(map[string]string{"message": "my key: " + text, "session": name2(name, accept)})
			out := f.send(http.MethodPost, "/api/chat", accept, string(body))
			if m.Contains([]byte(out)) || !strings.Contains(out, "[secret:gh]") || !strings.Contains(out, guard.RuleSecret) {
				t.Errorf("%s as %s: %s", name, accept, out)
			}
		}
		agentName, _ := json.Marshal(map[string]string{"message": "x", "agent": text})
		for _, out := range []string{
			f.send(http.MethodPost, "/api/chat", "application/json", string(agentName)), f.send(http.MethodGet, "/api/approvals/"+url.PathEscape(text), "", ""),
			f.send(http.MethodGet, "/api/audit?n="+url.QueryEscape(text), "", ""), f.send(http.MethodGet, "/"+url.PathEscape(text), "", ""),
		} {
			if m.Contains([]byte(out)) {
				t.Errorf("%s in an error: %s", name, out)
			}
		}
		f.log.Error("failed "+text, "err", fmt.Errorf("wrapped: %w", errors.New(text)), "x", map[string]string{text: text})
		if _, err := f.ledger.Append(t.Context(), audit.Entry{Event: "host.test", Actor: "host", Detail: map[string]string{"text": text}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/api/status", "/api/audit?n=1000", "/api/skills", "/api/approvals?past=1000", "/api/conversations"} {
		if out := f.send(http.MethodGet, path, "", ""); m.Contains([]byte(out)) || !strings.HasPrefix(out, "{") {
			t.Errorf("%s: %s", path, out)
		}
	}
	f.model.mu.Lock()
	for _, p := range f.model.prompts {
		text := p.System.String()
		for _, it := range p.Items {
			text += "\n" + it.Text
			for _, c := range it.Calls {
				text += "\n" + c.ID + "\n" + c.Tool + "\n" + string(c.Args)
			}
			if it.Result != nil {
				text += fmt.Sprintf("\n%+v", *it.Result)
			}
		}
		if m.Contains([]byte(text)) {
			t.Errorf("in a prompt: %s", text)
		}
	}
	f.model.mu.Unlock()
	if err := f.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(log.String()) {
		if m.Contains([]byte(line)) {
			t.Errorf("in the log: %s", line)
		}
	}
	f.noSecretOnDisk(m)
}

func name2(name, accept string) string {
	return strings.ReplaceAll(name+"-"+accept, " ", "-")
}

// send is one request with the operator's token; it returns the body.
func (f *fixture) send(method, path, accept, body string) string {
	f.t.Helper()
	token, _, err := f.state.Token()
	if err != nil {
		f.t.Fatal(err)
	}
	client, err := broker.LoopbackClient(strings.TrimPrefix(f.Address(), "http://"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.Address()+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", accept)
	resp, err := client.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(out)
}

// noSecretOnDisk reads every file of the state folder: the sealed vault may not show a
// value, nor may the audit log, the stores and what is left of them.
func (f *fixture) noSecretOnDisk(m *redact.Matcher) {
	f.t.Helper()
	err := filepath.WalkDir(f.state.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		for ; len(data) > 0; data = data[min(len(data), 1<<20):] { // a file of many pages is no packed text
			if name := m.Find(data[:min(len(data), 1<<20+1024)]); name == "gh" {
				f.t.Errorf("in %s", path)
				break
			}
		}
		return err
	})
	if err != nil {
		f.t.Error(err)
	}
}

// TestFormerSecretsStaySecret rotates and removes a secret under a running daemon.
func TestFormerSecretsStaySecret(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.plant()
	ctx := t.Context()
	if err := f.chamber.Vault.Set(ctx, "gh", []byte("another-value-9Q8w7E6r5T")); err != nil {
		t.Fatal(err)
	}
	f.refresh(ctx)
	if err := f.chamber.Vault.Remove(ctx, "gh"); err != nil {
		t.Fatal(err)
	}
	f.refresh(ctx)
	for _, v := range []string{planted, "another-value-9Q8w7E6r5T"} {
		if f.guard.Find(v) != "gh" {
			t.Errorf("%q is forgotten", v)
		}
	}
}

// TestGuestInTheChamberMeetsTheGuard runs a real guest, in the chamber of a real daemon
// with every right, which has got hold of a secret and calls the functions of the host.
func TestGuestInTheChamberMeetsTheGuard(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.plant()
	url, hits := page(t, "ok")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "env"), []byte("TOKEN="+planted), 0o600); err != nil {
		t.Fatal(err)
	}
	module := abitest.Probe()
	call := func(name, function, request, data string) string {
		out, err := f.chamber.Engine.Call(t.Context(), wasm.Invocation{
			Caller: abi.Caller{Agent: "main", Session: abi.SessionID(name), Skill: "probe", Tool: "probe", Call: "c1"},
			Source: wasm.SourceOf(abi.NewBlob(module)), Profile: abi.ProfileRaw,
			Export: "probe", Input: []byte(abitest.Line(function, request, data)),
			Rights: abi.Rights{
				Limits: abi.DefaultLimits(), Human: true, KV: &abi.KVRight{MaxBytes: 1 << 20},
				HTTP:  []abi.HTTPRight{{Origin: abi.OriginPattern(url), Methods: []string{"GET", "POST"}, Paths: []string{"/**"}}},
				Files: []abi.FileRight{{Mount: "/data", Host: dir, Write: true, MaxBytes: 1 << 20}},
			},
			Services: f.services("main"),
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(out.Raw)
	}
	for name, text := range spelled(planted) {
		if strings.Contains(text, "\n") {
			continue // the guest's own lines
		}
		quoted, _ := json.Marshal(text)
		target, _ := json.Marshal(url + "/?q=" + text)
		for _, c := range []struct{ function, request, data string }{
			{"fs_write", `{"path":"/data/out"}`, text}, {"fs_write", `{"path":"/data/env","mode":"append"}`, text}, {"fs_read", `{"path":"/data/env"}`, ""},
			{"kv_set", `{"key":"k"}`, text}, {"kv_set", `{"key":` + string(quoted) + `}`, "x"}, {"ask", `{"question":` + string(quoted) + `}`, ""},
			{"fetch", `{"url":` + string(target) + `}`, ""}, {"fetch", fmt.Sprintf(`{"url":%q,"method":"POST"}`, url), text},
		} {
			if got := call(name, c.function, c.request, c.data); !strings.Contains(got, guard.RuleSecret) || strings.Contains(got, planted) {
				t.Errorf("%s, %s: %s", name, c.function, got)
			}
		}
	}
	if got := call("fine", "fs_write", `{"path":"/data/out"}`, "plain"); strings.Contains(got, "error") {
		t.Errorf("harmless: %s", got)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 || *hits != 0 {
		t.Errorf("files %v, error %v, %d requests", left, err, *hits)
	}
}
