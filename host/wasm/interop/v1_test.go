package interop_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm"
)

// TestV1 runs a servlet in the shape of mcp.run and hyper-mcp's first interface.
func TestV1(t *testing.T) {
	t.Parallel()
	p := load(t, chamber(t), readFile(t, "testdata/v1.wasm"))
	if p.profile != abi.ProfileMCPv1 {
		t.Fatalf("profile %s", p.profile)
	}
	if got, want := p.tools(t), "echo init config"; got != want {
		t.Errorf("tools %q, want %q", got, want)
	}
	t.Run("a call has params with name and arguments and nothing else", func(t *testing.T) {
		t.Parallel()
		if got, want := p.text(t, "echo", `{"x":"<y>"}`), `{"params":{"name":"echo","arguments":{"x":"\u003cy\u003e"}}}`; got != want && got != strings.ReplaceAll(strings.ReplaceAll(want, `\u003c`, "<"), `\u003e`, ">") {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("_start is not run, and of two initialisers the first alone", func(t *testing.T) {
		t.Parallel()
		if got := p.text(t, "init", `{}`); got != "1 0" {
			t.Errorf("_initialize and __wasm_call_ctors ran %s times", got)
		}
	})
	t.Run("an unknown operation crashes its own call only", func(t *testing.T) {
		t.Parallel()
		_, err := p.call(t, "nope", `{}`)
		if _, ok := errors.AsType[*wasm.TrapError](err); !ok {
			t.Errorf("error %v, want a TrapError", err)
		}
		if got := p.text(t, "init", `{}`); got != "1 0" {
			t.Errorf("the next call: %q", got)
		}
	})
	t.Run("config_get of the user namespace is an alias", func(t *testing.T) {
		t.Parallel()
		q := *p
		if got := q.text(t, "config", `{}`); got != "" {
			t.Errorf("an unset key reads %q", got)
		}
		q.rights.Config = map[string]string{"greeting": "hello"}
		if got := q.text(t, "config", `{}`); got != "hello" {
			t.Errorf("got %q", got)
		}
	})
}

// TestV1GoPDK runs a servlet made with the Go PDK.
func TestV1GoPDK(t *testing.T) {
	t.Parallel()
	p := load(t, chamber(t), buildGo(t, "gov1"))
	if got, want := p.tools(t), "echo get var"; got != want {
		t.Errorf("tools %q, want %q", got, want)
	}
	if got := p.text(t, "echo", `{"a":[1,"é"]}`); got != `{"a":[1,"é"]}` {
		t.Errorf("echo: %s", got)
	}
	if got := p.text(t, "var", `{}`); got != "kept" {
		t.Errorf("var: %s", got)
	}
	t.Run("a refused request is an answer, not a crash", func(t *testing.T) {
		t.Parallel()
		out, err := p.call(t, "get", `{"url":"https://example.com/a"}`)
		if err != nil {
			t.Fatal(err)
		}
		text := out.Result.Content[0].Text
		if !out.Result.IsError || !strings.HasPrefix(text, "403 {") || !strings.Contains(text, `"denied"`) || len(out.Denials) != 1 {
			t.Errorf("result %+v, denials %+v", out.Result, out.Denials)
		}
	})
	t.Run("the body survives an allocation before it is read", func(t *testing.T) {
		t.Parallel()
		q := *p
		origin := abi.OriginPattern("https://example.com")
		q.rights.HTTP = []abi.HTTPRight{{Origin: origin, Methods: []string{"GET"}, Paths: []string{"/**"}, Rule: "test"}}
		q.service.Fetch = fetcher(strings.Repeat("0123456789", 20))
		if got, want := q.text(t, "get", `{"url":"https://example.com/a"}`), "200 "+strings.Repeat("0123456789", 20); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// fetcher answers every request with a body.
type fetcher string

func (f fetcher) Fetch(_ context.Context, _ abi.Caller, _ abi.Rights, req abi.FetchRequest, _ []byte) (abi.FetchResponse, []byte, error) {
	return abi.FetchResponse{Status: 200, Headers: map[string][]string{"content-type": {"text/plain"}}, Length: len(f), URL: req.URL}, []byte(f), nil
}
