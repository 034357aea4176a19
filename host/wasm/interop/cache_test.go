package interop_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

// TestPluginsOfOtherToolchains runs modules that were compiled by Rust, Go, TinyGo,
// Haskell, C and by hand for the Extism SDK, and that come with its Go module.
func TestPluginsOfOtherToolchains(t *testing.T) {
	t.Parallel()
	dir := testenv.ModuleDir(t, "github.com/extism/go-sdk")
	e := chamber(t)
	for _, tc := range []struct {
		name, file, export, input string
		config                    map[string]string
		want                      string // the output
		fails                     string // or a part of the error
	}{
		{name: "ten thousand allocations by hand", file: "alloc", export: "run_test"},
		{name: "configuration", file: "config", export: "run_test", config: map[string]string{"thing": "hello"}, want: `{"config": "hello"}`},
		{name: "TinyGo with _start and functions", file: "count_vowels", export: "count_vowels", input: "hello world", want: `{"count":3,"total":3,"vowels":"aeiouAEIOU"}`},
		{name: "Go command that uses the kit", file: "std_command", export: "_start", input: "benjamin", want: "hello benjamin"},
		{name: "exit code", file: "exit", export: "_start", config: map[string]string{"code": "3"}, fails: "3"},
		{name: "an error of the guest", file: "fail", export: "run_test", fails: "Some error message"},
		{name: "bytes by hand", file: "hello", export: "run_test", want: "Hello, world!"},
		{name: "Haskell, initialised by hs_init", file: "hello_haskell", export: "testing", input: "John", config: map[string]string{"greeting": "Hello"}, want: "Hello, John"},
		{name: "a user function that is not offered", file: "host", export: "run_test", fails: "extism:host/user:mult, which this host does not offer"},
		{name: "the input block by offset", file: "input_offset", export: "input_offset_length", input: "hello world", want: "\x0b\x00\x00\x00\x00\x00\x00\x00"},
		{name: "linked modules", file: "main", export: "run_test", input: "x", fails: "does not offer"},
		{name: "log lines", file: "log", export: "run_test"},
		{name: "nothing", file: "noop", export: "run_test"},
		{name: "standard output", file: "println", export: "run_test"},
		{name: "files without a mount", file: "fs", export: "run_test", fails: ""},
		{name: "variables", file: "var", export: "run_test"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := readFile(t, filepath.Join(dir, "wasm", tc.file+".wasm"))
			rights := abi.Rights{Limits: abi.DefaultLimits(), Config: tc.config}
			out, err := e.Call(t.Context(), wasm.Invocation{
				Caller: abi.Caller{Agent: "a", Skill: "plugin", Call: "c"}, Profile: abi.ProfileRaw, Export: tc.export, Input: []byte(tc.input), Rights: rights,
				Source: wasm.SourceOf(abi.NewBlob(b)),
			})
			switch {
			case tc.fails != "" || tc.file == "fs":
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("error %v, want one with %q", err, tc.fails)
				}
			case err != nil:
				t.Error(err)
			case tc.want != "" && string(out.Raw) != tc.want:
				t.Errorf("output %q, want %q", out.Raw, tc.want)
			}
		})
	}
}

// TestSoftDenialKeepsARustPluginAlive runs a plugin that knows nothing of this host
// and asks for a fixed address.
func TestSoftDenialKeepsARustPluginAlive(t *testing.T) {
	t.Parallel()
	dir := testenv.ModuleDir(t, "github.com/extism/go-sdk")
	b := readFile(t, filepath.Join(dir, "wasm", "http.wasm"))
	out, err := chamber(t).Call(t.Context(), wasm.Invocation{
		Caller: abi.Caller{Agent: "a", Skill: "plugin", Call: "c"}, Profile: abi.ProfileRaw, Export: "run_test", Rights: abi.Rights{Limits: abi.DefaultLimits()},
		Source: wasm.SourceOf(abi.NewBlob(b)),
	})
	if _, trapped := errors.AsType[*wasm.TrapError](err); trapped || out == nil {
		t.Fatalf("error %v", err)
	}
	if len(out.Denials) != 1 || out.Denials[0].Code != abi.CodeDenied {
		t.Errorf("denials %+v", out.Denials)
	}
}
