package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
)

// TestTraces compares what crosses the boundary, refusals included, line by line.
func TestTraces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	redirected := fetcher(func(context.Context, abi.Caller, abi.FetchRequest, []byte) (abi.FetchResponse, []byte, error) {
		return abi.FetchResponse{}, nil, &abi.Problem{Code: abi.CodeDenied, Rule: "egress/special-purpose", Message: "the redirect leads to a private address"}
	})
	for _, tc := range []struct {
		name   string
		lines  []string
		change func(*Invocation)
		want   string
	}{
		{"a request without a grant stops in the chamber", []string{abitest.Line("fetch", `{"url":"https://evil.example/"}`, "")}, nil, `
==> fetch({"url":"https://evil.example/"})
<== denied grant/none`},
		{"the broker's refusal reaches the guest with its rule", []string{abitest.Line("http_request", `{"url":"https://api.example/start"}`, "")},
			func(inv *Invocation) { inv.Rights.HTTP, inv.Services.Fetch = httpRight(), redirected }, `
==> http_request(GET https://api.example/start)
<== denied egress/special-purpose`},
		{"a granted capability that this host does not serve", []string{abitest.Line("fetch", `{"url":"https://api.example/"}`, ""), abitest.Line("kv_get", `{"key":"k"}`, ""), abitest.Line("ask", `{"question":"q"}`, "")},
			func(inv *Invocation) {
				inv.Rights.HTTP, inv.Rights.KV, inv.Rights.Human = httpRight(), &abi.KVRight{}, true
			}, `
==> fetch({"url":"https://api.example/"})
<== unavailable
==> kv_get({"key":"k"})
<== unavailable
==> ask({"question":"q"})
<== unavailable`},
		{"a write to a mount for reading cites the grant", []string{abitest.Line("fs_write", `{"path":"/data/x"}`, "y")},
			func(inv *Invocation) {
				inv.Rights.Files = []abi.FileRight{{Mount: "/data", Host: dir, Rule: "grant.yaml:9"}}
			}, `
==> fs_write({"path":"/data/x"})
<== denied grant.yaml:9`},
		{"a folder that is gone", []string{abitest.Line("fs_read", `{"path":"/data/x"}`, "")},
			func(inv *Invocation) {
				inv.Rights.Files = []abi.FileRight{{Mount: "/data", Host: dir + "/none", Rule: "grant.yaml:9"}}
			}, `
==> fs_read({"path":"/data/x"})
<== unavailable grant.yaml:9`},
		{"nobody is there to answer", []string{abitest.Line("ask", `{"question":"q"}`, "")},
			func(inv *Invocation) {
				inv.Rights.Human = true
				inv.Services.Ask = asker(func(context.Context, abi.AskRequest) (abi.AskResult, error) {
					return abi.AskResult{}, &abi.Problem{Code: abi.CodeNeedsHuman, Message: "nobody is there"}
				})
			}, `
==> ask({"question":"q"})
<== needs_human`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := newTest(t, Config{})
			var lines []string
			e.hooks.trace = func(line string) { lines = append(lines, line) }
			inv := raw(abitest.Probe(), "probe", strings.Join(tc.lines, ""))
			if tc.change != nil {
				tc.change(&inv)
			}
			out, err := e.Call(t.Context(), inv)
			if err != nil {
				t.Fatal(err)
			}
			if got := "\n" + strings.Join(lines, "\n"); got != tc.want {
				t.Errorf("trace:%s\nwant:%s", got, tc.want)
			}
			if strings.Contains(string(out.Raw), dir) {
				t.Error("a path of the host reached the guest")
			}
		})
	}
}

// TestDenialIsSeenByAll (NET-7): guest, model and audit; with strict rights it stops
// the guest.
func TestDenialIsSeenByAll(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	o := &observer{}
	line := abitest.Line("http_request", `{"url":"https://evil.example/x"}`, "")
	inv := raw(abitest.Probe(), "probe", line+line, func(inv *Invocation) { inv.Services.Observer = o })
	out, err := e.Call(t.Context(), inv)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out.Raw), `"detail":"https://evil.example is not granted to skill probe"`) {
		t.Errorf("the guest saw %s", out.Raw)
	}
	want := abi.Problem{Code: abi.CodeDenied, Capability: "http", Rule: "grant/none", Message: "https://evil.example is not granted to skill probe",
		Hint: "glovebox skill grant probe --http https://evil.example"}
	if len(out.Denials) != 1 || out.Denials[0] != want {
		t.Errorf("the model sees %+v", out.Denials)
	}
	if len(o.denied) != 1 || o.denied[0] != want || o.callers[0] != inv.Caller {
		t.Errorf("the audit sees %+v", o.denied)
	}
	inv.Rights.Strict = true
	_, err = e.Call(t.Context(), inv)
	if d, ok := errors.AsType[*DeniedError](err); !ok || *d.Problem != want {
		t.Errorf("strict: %v", err)
	}
}

// TestManyDenials: a flood of refusals is bounded, and says that it was.
func TestManyDenials(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	o := &observer{}
	var in strings.Builder
	for i := range 100 {
		in.WriteString(abitest.Line("fetch", fmt.Sprintf(`{"url":"https://h%d.example/"}`, i), ""))
	}
	out, err := e.Call(t.Context(), raw(abitest.Probe(), "probe", in.String(), func(inv *Invocation) { inv.Services.Observer = o }))
	if err != nil || len(out.Denials) != maxDenials+1 || len(o.denied) != maxDenials+1 || out.Denials[maxDenials].Message != "68 more refusals of this call are not listed" {
		t.Errorf("%v, %d refusals, the last %+v", err, len(out.Denials), out.Denials[len(out.Denials)-1])
	}
}

// TestUngrantedWithoutServices: nothing of the host is needed for a guest to be refused.
func TestUngrantedWithoutServices(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	var in strings.Builder
	for _, f := range []string{"fetch", "fs_read", "fs_write", "fs_list", "fs_stat", "fs_mkdir", "fs_remove", "fs_rename", "secret_handle", "kv_get", "kv_set", "kv_delete", "kv_list", "ask"} {
		in.WriteString(abitest.Line(f, `{"url":"https://x.example/","path":"/data/a","from":"/data/a","to":"/data/b","name":"n","key":"k","question":"q"}`, ""))
	}
	out, err := e.Call(t.Context(), raw(abitest.Probe(), "probe", in.String()))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(out.Raw)), "\n") {
		if !strings.Contains(line, `"code":"denied"`) {
			t.Errorf("answer %d: %s", i+1, line)
		}
	}
}
