package interop_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
)

// TestV2 runs a plugin with the habits of hyper-mcp's second interface.
func TestV2(t *testing.T) {
	t.Parallel()
	p := load(t, chamber(t), readFile(t, "testdata/v2.wasm"))
	if p.profile != abi.ProfileMCPv2 {
		t.Fatalf("profile %s", p.profile)
	}
	if got, want := p.tools(t), "echo content zero_copy past_block error_ok fail trap elicit message secret token roots notify unknown"; got != want {
		t.Errorf("tools %q, want %q", got, want)
	}
	for _, tc := range []struct{ name, tool, args, want string }{
		{"a part of the input is the output, without a copy", "zero_copy", `{"r":{"content":[{"type":"text","text":"same bytes"}]}}`, "same bytes"},
		{"words written over the end of a block do no harm", "past_block", `{}`, "padded"},
		// What extism:host/user answers when nothing is granted.
		{"an elicitation is declined", "elicit", `{}`, `{"action":"decline"}`},
		{"sampling gives no text", "message", `{}`, "null handle"},
		{"a secret of the keyring gives none", "secret", `{}`, "null handle"},
		{"an access token is null", "token", `{}`, "null"},
		{"there are no roots", "roots", `{}`, `{"roots":[]}`},
		{"notifications are dropped", "notify", `{}`, "notified"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := p.text(t, tc.tool, tc.args); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("a call has request and context, whose id is a string", func(t *testing.T) {
		t.Parallel()
		got := p.text(t, "echo", `{"x":1}`)
		for _, part := range []string{`"request":{"name":"echo","arguments":{"x":1}}`, `"context":{"id":"c1","_meta":{}}`} {
			if !strings.Contains(got, part) {
				t.Errorf("input %s lacks %s", got, part)
			}
		}
	})
	t.Run("optional fields may be null", func(t *testing.T) {
		t.Parallel()
		out, err := p.call(t, "content", `{}`)
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, c := range out.Result.Content {
			kinds = append(kinds, c.Type)
		}
		if got := strings.Join(kinds, " "); got != "text image resource resource_link" || out.Result.IsError {
			t.Errorf("content %q, error %v", got, out.Result.IsError)
		}
	})
	for _, tool := range []string{"error_ok", "fail"} {
		t.Run("an error text is a failure: "+tool, func(t *testing.T) {
			t.Parallel()
			_, err := p.call(t, tool, `{}`)
			guest, ok := errors.AsType[*wasm.GuestError](err)
			if !ok {
				t.Fatalf("error %v, want a GuestError", err)
			}
			if guest.Message == "" || strings.ContainsRune(guest.Message, '\x1b') {
				t.Errorf("message %q", guest.Message)
			}
		})
	}
	t.Run("a function that no host offers traps when it is called, and says so", func(t *testing.T) {
		t.Parallel()
		_, err := p.call(t, "unknown", `{}`)
		if err == nil || !strings.Contains(err.Error(), "extism:host/user:mult") {
			t.Errorf("error %v, want one that names extism:host/user:mult", err)
		}
	})
}

// TestV2GoPDK runs a plugin in the shape of hyper-mcp's template for Go.
func TestV2GoPDK(t *testing.T) {
	t.Parallel()
	p := load(t, chamber(t), buildGo(t, "gov2"))
	if got, want := p.tools(t), "greet roots ask log"; got != want {
		t.Errorf("tools %q, want %q", got, want)
	}
	out, err := p.call(t, "greet", `{"name":"Ada"}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := out.Result.Content[0].Text; got != "Hello, Ada!" || string(out.Result.StructuredContent) != `{"name":"Ada"}` {
		t.Errorf("result %+v", out.Result)
	}
	if got := p.text(t, "roots", `{}`); got != `{"roots":[]}` {
		t.Errorf("roots: %s", got)
	}
	if got := p.text(t, "ask", `{}`); got != `{"action":"decline"}` {
		t.Errorf("ask: %s", got)
	}
	if got := p.text(t, "log", `{}`); got != "logged" {
		t.Errorf("log: %s", got)
	}
	_, err = p.call(t, "nope", `{}`)
	if guest, ok := errors.AsType[*wasm.GuestError](err); !ok || guest.Message != "unknown tool: nope" {
		t.Errorf("an unknown tool: %v", err)
	}
}

// TestOddShapes runs what is unusual but allowed, and refuses what is not.
func TestOddShapes(t *testing.T) {
	t.Parallel()
	e := chamber(t)
	t.Run("exports without a result, and null for no tools", func(t *testing.T) {
		t.Parallel()
		p := load(t, e, readFile(t, "testdata/void.wasm"))
		if got := p.tools(t); got != "" {
			t.Errorf("tools %q", got)
		}
		if got := p.text(t, "any", `{}`); got != "void" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("an export of the wrong type is refused with both types", func(t *testing.T) {
		t.Parallel()
		r, err := module.Scan(readFile(t, "testdata/badtype.wasm"), module.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Profile()
		if err == nil || !strings.Contains(err.Error(), "(i64) -> i32, want () -> i32") {
			t.Errorf("error %v", err)
		}
	})
}
