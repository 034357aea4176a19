package wasm

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/host/wasm/kv"
)

// TestNothingSurvivesACall (ISO-1): memory, globals, kernel and variables.
func TestNothingSurvivesACall(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	for range 3 {
		if out, err := e.Call(t.Context(), raw(abitest.Hostile(), "remember", "")); err != nil || string(out.Raw) != "fine" {
			t.Fatalf("a guest remembers: %v", err)
		}
		out, err := e.Call(t.Context(), raw(abitest.Probe(), "probe", abitest.Line("var_get", "k", "")+abitest.Line("var_set", "k", "v")+abitest.Line("var_get", "k", "")))
		if err != nil || string(out.Raw) != "\n\nv\n" {
			t.Errorf("variables: %q, %v", out.Raw, err)
		}
	}
}

// TestAgentsAndSkillsAreApart (ISO-2): storage, logs and refusals carry the caller and
// nobody else's.
func TestAgentsAndSkillsAreApart(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{Running: 4})
	s, err := kv.Open(t.Context(), filepath.Join(t.TempDir(), "kv.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			o := &observer{}
			me := abi.Caller{Agent: abi.AgentID(fmt.Sprint("agent", i%3)), Session: abi.SessionID(fmt.Sprint(i)), Skill: abi.SkillName(fmt.Sprint("skill", i)), Call: "c"}
			out, err := e.Call(context.Background(), raw(abitest.Probe(), "probe",
				abitest.Line("kv_get", `{"key":"k"}`, "")+abitest.Line("kv_set", `{"key":"k"}`, string(me.Skill))+abitest.Line("kv_get", `{"key":"k"}`, "")+
					abitest.Line("log_info", string(me.Skill), "")+abitest.Line("fetch", `{"url":"https://x.example/"}`, ""),
				func(inv *Invocation) {
					inv.Caller = me
					inv.Rights.KV = &abi.KVRight{MaxBytes: 1000}
					inv.Services = Services{KV: s, Observer: o}
				}))
			if err != nil {
				t.Error(err)
				return
			}
			lines := strings.Split(string(out.Raw), "\n")
			if !strings.Contains(lines[0], `"not_found"`) || !strings.HasSuffix(lines[2], "\t"+string(me.Skill)) {
				t.Errorf("%s read %s", me.Skill, out.Raw)
			}
			for _, c := range o.callers {
				if c != me {
					t.Errorf("%+v was told of %+v", me, c)
				}
			}
			if len(o.log) != 1 || o.log[0] != string(me.Skill) || len(o.denied) != 1 {
				t.Errorf("%s: log %v, denied %v", me.Skill, o.log, o.denied)
			}
		})
	}
	wg.Wait()
}

// TestRandomIsFresh (ISO-3): no two instances draw the same bytes.
func TestRandomIsFresh(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	seen := map[string]bool{}
	for range 200 {
		out, err := e.Call(t.Context(), raw(abitest.Hostile(), "random", ""))
		if err != nil || len(out.Raw) != 16 || seen[string(out.Raw)] {
			t.Fatalf("%x, %v", out.Raw, err)
		}
		seen[string(out.Raw)] = true
	}
}

// countPuts tells how many instances were given back, and how.
type countPuts struct {
	instances
	kept, dropped atomic.Int64
}

func (c *countPuts) put(m api.Module, dropped bool) {
	if dropped {
		c.dropped.Add(1)
	} else {
		c.kept.Add(1)
	}
	c.instances.put(m, dropped)
}

// TestDroppedAfterATrap (ISO-4): an instance that trapped, exited or was stopped is
// marked as one that nobody may get again.
func TestDroppedAfterATrap(t *testing.T) {
	t.Parallel()
	for export, dropped := range map[string]bool{"ok": false, "fail_code": false, "trap": true, "exit_0": true, "exit_3": true, "handle_bad": true, "kernel_alloc_huge": true} {
		e := newTest(t, Config{})
		c := &countPuts{instances: fresh{}}
		e.instances = c
		_, _ = e.Call(t.Context(), raw(abitest.Hostile(), export, ""))
		if c.dropped.Load() == 1 != dropped || c.dropped.Load()+c.kept.Load() != 1 {
			t.Errorf("%s: %d dropped, %d kept", export, c.dropped.Load(), c.kept.Load())
		}
	}
}

// TestNoSecretInGuest (SEC-3): a guest that uses a secret in every way there is holds
// its placeholder and never its value, in linear memory, kernel, output, log and
// errors; the fetcher knows the value.
func TestNoSecretInGuest(t *testing.T) {
	t.Parallel()
	const canary = "s3cr3t-canary-value"
	e := newTest(t, Config{})
	scanned := 0
	var sawPlaceholder bool
	e.hooks.after = func(c *call, m api.Module) {
		size := m.Memory().Size()
		mem, ok := m.Memory().Read(0, size)
		if !ok {
			t.Error("the memory cannot be read")
		}
		for _, b := range [][]byte{mem, c.kernel.buf} {
			scanned += len(b)
			if bytes.Contains(b, []byte(canary)) {
				t.Error("the value is inside")
			}
			sawPlaceholder = sawPlaceholder || bytes.Contains(b, []byte("{{secret:gh}}"))
		}
	}
	used := ""
	f := fetcher(func(ctx context.Context, c abi.Caller, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error) {
		used = strings.Replace(req.Headers["authorization"][0], "{{secret:gh}}", canary, 1)
		return hello(ctx, c, req, body)
	})
	o := &observer{}
	lines := abitest.Line("secret_handle", `{"name":"gh"}`, "") + abitest.Line("config_get", "gh", "") + abitest.Line("get_keyring_secret", `{"service":"gh","user":"x"}`, "") +
		abitest.Line("get_access_token", `{}`, "") + abitest.Line("capabilities", "", "") +
		abitest.Line("fetch", `{"url":"https://api.example/","headers":{"authorization":"Bearer {{secret:gh}}"}}`, "") + abitest.Line("log_info", "{{secret:gh}}", "")
	out, err := e.Call(t.Context(), raw(abitest.Probe(), "probe", lines, func(inv *Invocation) {
		inv.Rights.HTTP = httpRight()
		inv.Rights.Secrets = []abi.SecretRight{{Name: "gh", Store: "stored", Inject: abi.Injection{Kind: abi.InjectBearer}, Only: []abi.Origin{"https://api.example"}}}
		inv.Services = Services{Fetch: f, Secrets: present(true), Observer: o}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if used != "Bearer "+canary || scanned == 0 || !sawPlaceholder {
		t.Errorf("the test itself failed: used %q, %d bytes scanned, placeholder seen %v", used, scanned, sawPlaceholder)
	}
	if all := fmt.Sprintf("%s %+v %+v %+v", out.Raw, out.Log, out.Denials, o); strings.Contains(all, canary) {
		t.Error("the value came out")
	}
}

// TestProgressIsCoalesced: at most five reports a second.
func TestProgressIsCoalesced(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	o := &observer{}
	line := abitest.Line("progress", `{"progress":1,"message":"a\u001b[2Jb"}`, "")
	if _, err := e.Call(t.Context(), raw(abitest.Probe(), "probe", strings.Repeat(line, 500), func(inv *Invocation) { inv.Services.Observer = o })); err != nil {
		t.Fatal(err)
	}
	if n := len(o.progress); n < 1 || n > 50 || o.progress[0].Message != `a\x1b[2Jb` {
		t.Errorf("%d reports, %q", n, o.progress[0].Message)
	}
}
