package wasm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/host/wasm/kv"
)

// TestLimitsOfBytes: input, output and vars at the limit and one byte over.
func TestLimitsOfBytes(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	set := func(l *abi.Limits) { l.Input, l.Output, l.Vars = 100, 1000, 50 }
	for _, tc := range []struct {
		name, export, input, limit string
	}{
		{"input of 100 bytes", "output_input", strings.Repeat("x", 100), ""},
		{"input of 101 bytes", "output_input", strings.Repeat("x", 101), "input"},
		{"output of 1000 bytes", "output", "1000", ""},
		{"output of 1001 bytes", "output", "1001", "output"},
		{"variables of 50 bytes", "vars", strings.Repeat("x", 50), ""},
		{"variables of 51 bytes", "vars", strings.Repeat("x", 51), "vars"},
	} {
		out, err := e.Call(t.Context(), raw(abitest.Hostile(), tc.export, tc.input, withLimits(set)))
		if tc.limit != "" {
			t.Run(tc.name, func(t *testing.T) { wantLimit(t, err, tc.limit) })
			if tc.limit == "input" && out != nil {
				t.Error("the guest was entered")
			}
			if tc.limit == "output" && len(out.Raw) != 0 {
				t.Error("a part of the output was given out")
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// TestInputOverTheMemory (KRN-6): never replaced by an empty one.
func TestInputOverTheMemory(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	_, err := e.Call(t.Context(), raw(abitest.Hostile(), "output_input", strings.Repeat("x", 1<<19), withLimits(func(l *abi.Limits) { l.Memory = 3 * wasmPage })))
	wantLimit(t, err, "memory")
	_, err = e.Call(t.Context(), raw(abitest.Hostile(), "ok", "", withLimits(func(l *abi.Limits) { l.Memory = wasmPage })))
	wantLimit(t, err, "memory") // what the module declares does not fit
}

// TestZeroLimitsAllowNothing: a forgotten limit is the smallest one.
func TestZeroLimitsAllowNothing(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	if _, err := e.Call(t.Context(), raw(abitest.Hostile(), "ok", "", func(inv *Invocation) { inv.Rights = abi.Rights{} })); err == nil {
		t.Error("a guest ran without limits")
	}
	for name, f := range map[string]func(l *abi.Limits){
		"wall": func(l *abi.Limits) { l.Wall = 0 }, "init": func(l *abi.Limits) { l.InitWall = 0 },
		"memory": func(l *abi.Limits) { l.Memory = 0 }, "stack": func(l *abi.Limits) { l.Stack = 0 },
		"output": func(l *abi.Limits) { l.Output = 0 },
	} {
		if _, err := e.Call(t.Context(), raw(abitest.Hostile(), "spin", "", withLimits(func(l *abi.Limits) { l.Wall = time.Second }), withLimits(f))); err == nil {
			t.Errorf("%s 0: no error", name)
		}
	}
}

// TestLimitsOfHostCalls: n calls, and n+1.
func TestLimitsOfHostCalls(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	three := strings.Repeat(abitest.Line("now", "", ""), 3)
	set := withLimits(func(l *abi.Limits) { l.HostCalls = 3 })
	if out, err := e.Call(t.Context(), raw(abitest.Probe(), "probe", three, set)); err != nil || out.Usage.HostCalls != 3 {
		t.Errorf("three: %v", err)
	}
	_, err := e.Call(t.Context(), raw(abitest.Probe(), "probe", three+abitest.Line("now", "", ""), set))
	wantLimit(t, err, "host_calls")
}

// TestLimitsOfLogs: lines are counted, cut and cleaned, and the guest goes on.
func TestLimitsOfLogs(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	for _, export := range []string{"log_flood", "print_flood"} {
		o := &observer{}
		out, err := e.Call(t.Context(), raw(abitest.Hostile(), export, "", func(inv *Invocation) { inv.Services.Observer = o }))
		if err != nil {
			t.Fatal(err)
		}
		if export == "print_flood" {
			if len(out.Log) != 1 || len(out.Log[0].Message) != 4096 || out.Log[0].Source != "stdout" {
				t.Errorf("one endless line became %d lines", len(out.Log))
			}
			continue
		}
		if len(out.Log) != 1001 || len(o.log) != 1001 || !strings.HasPrefix(out.Log[1000].Message, "suppressed 49000 lines") {
			t.Errorf("%s: %d lines, the last is %v", export, len(out.Log), out.Log[len(out.Log)-1])
		}
	}
	out, err := e.Call(t.Context(), raw(abitest.Hostile(), "log_long", ""))
	if err != nil || len(out.Log) != 2 || len(out.Log[0].Message) != 4096 || out.Log[1].Message != `two\nlines \x1b[2Jclear` {
		t.Errorf("%v, %q", err, out.Log[1].Message)
	}
	lines := func(n int) string { return strings.Repeat(abitest.Line("log_info", "x", ""), n) }
	for n, want := range map[int]int{2: 2, 3: 3} { // 2 fit, 3 are 2 and the notice
		out, err := e.Call(t.Context(), raw(abitest.Probe(), "probe", lines(n), withLimits(func(l *abi.Limits) { l.LogLines = 2 })))
		if err != nil || len(out.Log) != want || out.Usage.LogLines != n {
			t.Errorf("%d lines: %d, %v", n, len(out.Log), err)
		}
	}
}

// fetchCase is one call of the probe with a fetcher.
func fetchCase(t *testing.T, e *Engine, f fetcher, set func(l *abi.Limits), lines ...string) (*Outcome, error) {
	t.Helper()
	return e.Call(t.Context(), raw(abitest.Probe(), "probe", strings.Join(lines, ""), withLimits(set), func(inv *Invocation) {
		inv.Rights.HTTP = httpRight()
		inv.Services.Fetch = f
	}))
}

// TestLimitsOfHTTP: calls, bytes sent, bytes received in all and of one response, the
// time of one request; each counted also when the request fails.
func TestLimitsOfHTTP(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	get := abitest.Line("fetch", `{"url":"https://api.example/"}`, "")
	broken := fetcher(func(context.Context, abi.Caller, abi.FetchRequest, []byte) (abi.FetchResponse, []byte, error) {
		return abi.FetchResponse{}, nil, &abi.Problem{Code: abi.CodeNetwork, Message: "the peer broke off", RequestSent: true}
	})
	post := abitest.Line("fetch", `{"url":"https://api.example/","method":"POST"}`, "0123456789")
	for _, tc := range []struct {
		name  string
		fetch fetcher
		set   func(l *abi.Limits)
		lines []string
		want  []string // a part of each answer
	}{
		{"two calls of two", hello, func(l *abi.Limits) { l.HTTPCalls = 2 }, []string{get, get}, []string{`"ok"`, `"ok"`}},
		{"three calls of two", hello, func(l *abi.Limits) { l.HTTPCalls = 2 }, []string{get, get, get}, []string{`"ok"`, `"ok"`, `"quota"`}},
		{"failed calls count", broken, func(l *abi.Limits) { l.HTTPCalls = 1 }, []string{get, get}, []string{`"network"`, `limits.http_calls`}},
		{"20 bytes sent of 20", hello, func(l *abi.Limits) { l.HTTPSent = 20 }, []string{post, post}, []string{`"ok"`, `"ok"`}},
		{"20 bytes sent of 19", hello, func(l *abi.Limits) { l.HTTPSent = 19 }, []string{post, post}, []string{`"ok"`, `limits.http_sent`}},
		{"bytes of failed requests count", broken, func(l *abi.Limits) { l.HTTPSent = 19 }, []string{post, post}, []string{`"network"`, `limits.http_sent`}},
		{"a response of 5 bytes of 5", hello, func(l *abi.Limits) { l.HTTPResponse = 5 }, []string{get}, []string{`"ok"`}},
		{"a response of 5 bytes of 4", hello, func(l *abi.Limits) { l.HTTPResponse = 4 }, []string{get}, []string{`limits.http_response`}},
		{"10 bytes received of 10", hello, func(l *abi.Limits) { l.HTTPReceived = 10 }, []string{get, get}, []string{`"ok"`, `"ok"`}},
		{"10 bytes received of 9", hello, func(l *abi.Limits) { l.HTTPReceived = 9 }, []string{get, get}, []string{`"ok"`, `"too_large"`}},
		{"nothing left to receive", hello, func(l *abi.Limits) { l.HTTPReceived = 5 }, []string{get, get}, []string{`"ok"`, `limits.http_received`}},
	} {
		out, err := fetchCase(t, e, tc.fetch, tc.set, tc.lines...)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		answers := strings.Split(string(out.Raw), "\n")
		for i, want := range tc.want {
			if !strings.Contains(answers[i], want) {
				t.Errorf("%s: answer %d is %s, want in it %s", tc.name, i+1, answers[i], want)
			}
		}
	}
}

// TestFetchGetsWhatIsLeft: the request that reaches the broker carries the lower of
// what the guest asked, the grant and the rest of the call; and a slow one ends.
func TestFetchGetsWhatIsLeft(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	var seen []abi.FetchRequest
	record := fetcher(func(ctx context.Context, c abi.Caller, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error) {
		seen = append(seen, req)
		return hello(ctx, c, req, body)
	})
	_, err := fetchCase(t, e, record, func(l *abi.Limits) { l.HTTPReceived, l.HTTPResponse, l.HTTPTime = 100, 50, 3*time.Second },
		abitest.Line("fetch", `{"url":"https://api.example/"}`, ""),
		abitest.Line("fetch", `{"url":"https://api.example/","max_bytes":7,"timeout_ms":40}`, ""),
		abitest.Line("fetch", `{"url":"https://api.example/","max_bytes":70,"timeout_ms":400000}`, ""))
	if err != nil || len(seen) != 3 {
		t.Fatal(err)
	}
	for i, want := range []struct{ bytes, ms int64 }{{50, 3000}, {7, 40}, {50, 3000}} {
		if seen[i].MaxBytes != want.bytes || seen[i].TimeoutMS != want.ms {
			t.Errorf("request %d got %d bytes and %d ms, want %+v", i+1, seen[i].MaxBytes, seen[i].TimeoutMS, want)
		}
	}
	slow := fetcher(func(ctx context.Context, _ abi.Caller, _ abi.FetchRequest, _ []byte) (abi.FetchResponse, []byte, error) {
		<-ctx.Done()
		return abi.FetchResponse{}, nil, ctx.Err()
	})
	get := abitest.Line("fetch", `{"url":"https://api.example/"}`, "")
	out, err := fetchCase(t, e, slow, func(l *abi.Limits) { l.HTTPTime = 50 * time.Millisecond }, get)
	if err != nil || !strings.Contains(string(out.Raw), `"timeout"`) {
		t.Errorf("a slow server: %v", err)
	}
	// A request never gets more than the call has left: the guest sees its end, or the
	// call ends with it.
	begin := time.Now()
	out, err = fetchCase(t, e, slow, func(l *abi.Limits) { l.Wall = 100 * time.Millisecond }, get)
	if err != nil {
		wantLimit(t, err, "wall")
	} else if !strings.Contains(string(out.Raw), `"timeout"`) {
		t.Errorf("a slow server in a short call: %s", out.Raw)
	}
	if d := time.Since(begin); d > late {
		t.Errorf("it took %v", d)
	}
	// An error that is no problem is for our log only.
	leaky := fetcher(func(context.Context, abi.Caller, abi.FetchRequest, []byte) (abi.FetchResponse, []byte, error) {
		return abi.FetchResponse{}, nil, errors.New("dial tcp 10.0.0.7:443: /etc/secret")
	})
	out, err = fetchCase(t, e, leaky, func(*abi.Limits) {}, get)
	if err != nil || !strings.Contains(string(out.Raw), `"internal"`) || strings.Contains(string(out.Raw), "10.0.0.7") {
		t.Errorf("an inner error: %v, %s", err, out.Raw)
	}
}

// TestLimitsOfFilesAndQuestions: file_read and asks at the limit and over.
func TestLimitsOfFilesAndQuestions(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 10), 0o600); err != nil {
		t.Fatal(err)
	}
	read := abitest.Line("fs_read", `{"path":"/data/f"}`, "")
	ask := abitest.Line("ask", `{"question":"q"}`, "")
	for _, tc := range []struct {
		name, lines string
		set         func(l *abi.Limits)
		want        string
		denials     int
	}{
		{"20 bytes read of 20", read + read, func(l *abi.Limits) { l.FileRead = 20 }, `"ok"`, 0},
		{"20 bytes read of 19", read + read, func(l *abi.Limits) { l.FileRead = 19 }, "limits.file_read", 1},
		{"three questions of three", ask + ask + ask, func(*abi.Limits) {}, `"accept"`, 0},
		{"four questions of three", ask + ask + ask + ask, func(*abi.Limits) {}, "limits.asks", 1},
	} {
		out, err := e.Call(t.Context(), raw(abitest.Probe(), "probe", tc.lines, withLimits(tc.set), func(inv *Invocation) {
			inv.Rights.Files = []abi.FileRight{{Mount: "/data", Host: dir}}
			inv.Rights.Human = true
			inv.Services.Ask = yes
			inv.Caller.Agent = abi.AgentID(tc.name)
		}))
		answers := strings.Split(strings.TrimSpace(string(out.Raw)), "\n")
		if err != nil || !strings.Contains(answers[len(answers)-1], tc.want) || len(out.Denials) != tc.denials {
			t.Errorf("%s: %v, %s", tc.name, err, out.Raw)
		}
	}
	// Twenty a day, whatever the calls.
	d := dailyAsks{}
	now := time.Now()
	for i := range asksPerDay + 1 {
		if d.take(abi.Caller{Agent: "a", Skill: "s"}, now) != (i < asksPerDay) {
			t.Errorf("question %d", i+1)
		}
	}
	if !d.take(abi.Caller{Agent: "b", Skill: "s"}, now) || !d.take(abi.Caller{Agent: "a", Skill: "s"}, now.Add(24*time.Hour)) {
		t.Error("another agent, or another day, has its own questions")
	}
}

// TestLimitsOfKV: the quotas of the call reach the store.
func TestLimitsOfKV(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	s, err := kv.Open(t.Context(), filepath.Join(t.TempDir(), "kv.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	set := func(i int) string { return abitest.Line("kv_set", fmt.Sprintf(`{"key":"k%d"}`, i), "0123456789") }
	for _, tc := range []struct {
		name  string
		set   func(l *abi.Limits)
		grant int64
		rule  string
	}{
		{"two keys of two", func(l *abi.Limits) { l.KVKeys = 2 }, abi.MiB, ""},
		{"two keys of one", func(l *abi.Limits) { l.KVKeys = 1 }, abi.MiB, "limits.kv_keys"},
		{"88 bytes of 88", func(l *abi.Limits) { l.KVBytes = 88 }, abi.MiB, ""},
		{"88 bytes of 87", func(l *abi.Limits) { l.KVBytes = 87 }, abi.MiB, "limits.kv_bytes"},
		{"88 bytes of 87 granted", func(*abi.Limits) {}, 87, "limits.kv_bytes"},
	} {
		out, err := e.Call(t.Context(), raw(abitest.Probe(), "probe", set(1)+set(2), withLimits(tc.set), func(inv *Invocation) {
			inv.Caller.Agent = abi.AgentID(tc.name)
			inv.Rights.KV = &abi.KVRight{MaxBytes: tc.grant}
			inv.Services.KV = s
		}))
		if err != nil || strings.Contains(string(out.Raw), "limits.") != (tc.rule != "") || !strings.Contains(string(out.Raw), tc.rule) {
			t.Errorf("%s: %v, %s", tc.name, err, out.Raw)
		}
	}
}
