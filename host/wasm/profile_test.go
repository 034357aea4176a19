package wasm

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
)

func toolCall(guest []byte, profile abi.Profile, tool, args string) Invocation {
	inv := raw(guest, "", "")
	inv.Profile, inv.Export, inv.Input, inv.Tool, inv.Arguments = profile, "", nil, abi.ToolName(tool), json.RawMessage(args)
	return inv
}

// TestProfiles: what each profile sends, and that the answer is read.
func TestProfiles(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	for _, tc := range []struct {
		profile abi.Profile
		guest   []byte
		sent    string
	}{
		{abi.ProfileMCPv2, abitest.MCPv2(), `{"context":{"id":"c1","_meta":{}},"request":{"name":"echo","arguments":{"a":1}}}`},
		{abi.ProfileMCPv1, abitest.MCPv1(), `{"params":{"name":"echo","arguments":{"a":1}}}`},
		{abi.ProfileCommand, abitest.Command(), `{"context":{"id":"c1","_meta":{}},"request":{"name":"echo","arguments":{"a":1}}}`},
	} {
		out, err := e.Call(t.Context(), toolCall(tc.guest, tc.profile, "echo", `{"a":1}`))
		if err != nil {
			t.Errorf("%s: %v", tc.profile, err)
			continue
		}
		if got := string(out.Result.StructuredContent); got != tc.sent {
			t.Errorf("%s: sent %s, want %s", tc.profile, got, tc.sent)
		}
		if len(out.Result.Content) > 0 && out.Result.Content[0].Text != "seen[2J" {
			t.Errorf("%s: text %q", tc.profile, out.Result.Content[0].Text)
		}
		tools, err := e.Tools(t.Context(), source(tc.guest), tc.profile, limits())
		if err != nil || len(tools) != 1 || tools[0].Name != "echo" || strings.Contains(tools[0].Description, "\x1b") {
			t.Errorf("%s: tools %+v, %v", tc.profile, tools, err)
		}
	}
	if tools, err := e.Tools(t.Context(), source(abitest.Probe()), abi.ProfileRaw, limits()); err != nil || tools != nil {
		t.Errorf("raw: %v, %v", tools, err)
	}
	if tools, err := e.Tools(t.Context(), source(abitest.Probe()), abi.ProfileMCPv2, limits()); err != nil || tools != nil {
		t.Errorf("no list_tools: %v, %v", tools, err)
	}
	if _, err := e.Tools(t.Context(), source(abitest.Probe()), abi.ProfileMCPv1, limits()); !errors.Is(err, ErrNoTool) {
		t.Errorf("no describe: %v", err)
	}
}

func TestCommandFailure(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	out, err := e.Call(t.Context(), toolCall(abitest.Command(), abi.ProfileCommand, "fail", `{}`))
	g, ok := errors.AsType[*GuestError](err)
	if !ok || g.Code != 4 || g.Message != "to the log\nit did \\x1b[31mnot work" {
		t.Errorf("%v", err)
	}
	if len(out.Log) != 2 || out.Log[0].Source != "stderr" {
		t.Errorf("log %+v", out.Log)
	}
	inv := toolCall(abitest.Command(), abi.ProfileCommand, "echo", `{"a":"`+strings.Repeat("x", 2000)+`"}`)
	inv.Rights.Limits.Output = 1000
	_, err = e.Call(t.Context(), inv)
	wantLimit(t, err, "output")
}

// TestWrongCalls: what cannot be called is refused before a guest runs.
func TestWrongCalls(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	for name, inv := range map[string]Invocation{
		"an export that is not there":        raw(abitest.Hostile(), "nothing", ""),
		"a module of another profile":        toolCall(abitest.Probe(), abi.ProfileMCPv2, "echo", `{}`),
		"an export that takes parameters":    raw(abitest.Module{Funcs: []abitest.Func{{Export: "run", Type: abitest.Type{Params: []byte{abitest.I32}}}}}.Bytes(), "run", ""),
		"an export that returns two numbers": raw(abitest.Module{Funcs: []abitest.Func{{Export: "run", Type: abitest.Type{Results: []byte{abitest.I32, abitest.I32}}, Code: abitest.Code(abitest.Const32(1), abitest.Const32(1))}}}.Bytes(), "run", ""),
	} {
		out, err := e.Call(t.Context(), inv)
		if !errors.Is(err, ErrNoTool) || out != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, args := range map[string]string{"no JSON": "{", "nested too deep": strings.Repeat("[", 65) + strings.Repeat("]", 65)} {
		if out, err := e.Call(t.Context(), toolCall(abitest.MCPv2(), abi.ProfileMCPv2, "echo", args)); err == nil || out != nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := e.Call(t.Context(), toolCall(abitest.MCPv2(), "auto", "echo", `{}`)); err == nil {
		t.Error("a profile that is none was taken")
	}
	_, err := e.Call(t.Context(), raw([]byte("\x00asm\x0d\x00\x01\x00"), "run", ""))
	if _, ok := errors.AsType[*module.Refusal](err); !ok {
		t.Errorf("a component: %v", err)
	}
}

// TestResultsThatAreNone: bytes that are no result are an error, not a result.
func TestResultsThatAreNone(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing": "", "no JSON": "hello", "a list": "[]", "content of a wrong type": `{"content":"x"}`,
		"nested too deep": `{"content":[],"structuredContent":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}",
	} {
		out := &Outcome{Raw: []byte(body)}
		err := plan{profile: abi.ProfileMCPv2}.read(out, abi.MiB)
		if _, ok := errors.AsType[*ResultError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r := rawResult([]byte{0xff}); r.Content[0].Resource == nil || r.Content[0].Resource.Blob != "/w==" {
		t.Errorf("bytes: %+v", r)
	}
}

// TestImportsOfAnyKind (USR-1): every module loads; what is unknown, has another type
// or comes from another module fails when it is called, and says so.
func TestImportsOfAnyKind(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	odd := abitest.Type{Params: []byte{abitest.I32, abitest.I64}, Results: []byte{abitest.I32}}
	guest := abitest.Module{
		Imports: []abitest.Import{
			{Module: abi.NamespaceUser, Name: "mult", Type: odd},
			{Module: abi.NamespaceEnv, Name: "alloc", Type: odd}, // another type than ours
			{Module: abi.NamespaceHost, Name: "launch", Type: odd},
			{Module: "wasi_snapshot_preview1", Name: "fd_write", Type: odd},
			{Module: "other\x1b[31m", Name: "f\n", Type: odd},
		},
		Funcs: []abitest.Func{{Export: "ok", Type: abitest.Type{Results: []byte{abitest.I32}}, Code: abitest.Const32(0)}},
	}
	for i := range guest.Imports {
		guest.Funcs = append(guest.Funcs, abitest.Func{Export: "call" + string(rune('0'+i)), Type: abitest.Type{Results: []byte{abitest.I32}},
			Code: abitest.Code(abitest.Const32(1), abitest.Const64(1), abitest.Call(i))})
	}
	b := guest.Bytes()
	if _, err := e.Call(t.Context(), raw(b, "ok", "")); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"called extism:host/user:mult, which this host does not offer",
		"called extism:host/env:alloc with another type than this host offers it with",
		"called glovebox:host/v1:launch, which this host does not offer",
		"called wasi_snapshot_preview1:fd_write with another type than this host offers it with",
		`called other\x1b[31m:f\n, which this host does not offer; modules that need another module are not supported: link them into one`,
	} {
		_, err := e.Call(t.Context(), raw(b, "call"+string(rune('0'+i)), ""))
		if trap, ok := errors.AsType[*TrapError](err); !ok || trap.Message != want {
			t.Errorf("import %d: %v", i, err)
		}
	}
	// One name with two types cannot be served: an error, and nothing else.
	twice := abitest.Module{Imports: []abitest.Import{
		{Module: abi.NamespaceEnv, Name: "alloc", Type: odd},
		{Module: abi.NamespaceEnv, Name: "alloc", Type: abitest.Type{Params: []byte{abitest.I64}, Results: []byte{abitest.I64}}},
	}, Funcs: guest.Funcs[:1]}.Bytes()
	if _, err := e.Call(t.Context(), raw(twice, "ok", "")); err == nil {
		t.Error("two types of one import linked")
	}
}
