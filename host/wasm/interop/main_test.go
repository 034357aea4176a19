package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// TestMain lets the test binary be its own confined compiler.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Verb {
		os.Exit(compile.ChildMain(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	var err error
	if scratch, err = os.MkdirTemp("", "interop"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// scratch outlives a single test.
var scratch string

// chamber is an engine with a store of its own, as the daemon composes them.
func chamber(t *testing.T) *wasm.Engine {
	t.Helper()
	store, err := compile.Open(compile.Config{
		Dir: filepath.Join(t.TempDir(), "cache"), Key: make([]byte, 32), Confine: confiner(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := wasm.New(wasm.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		store.Close()
	})
	return e
}

// confiner is the real jail. Under the race detector the compiler in it is this test
// without the detector, whose memory does not fit the limits. (Another program would
// not do: the engine names its version differently in tests.)
func confiner(t *testing.T) compile.Confiner {
	t.Helper()
	jail := sandbox.New(t.Context())
	if !raceDetector {
		return jail
	}
	exe, err := plainTest()
	if err != nil {
		t.Fatal(err)
	}
	return plainCompiler{jail, exe}
}

// plainTest builds this test without the race detector, once.
var plainTest = sync.OnceValues(func() (string, error) {
	exe := filepath.Join(scratch, "compiler")
	if out, err := exec.Command("go", "test", "-c", "-o", exe, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go test -c: %w\n%s", err, out)
	}
	return exe, nil
})

type plainCompiler struct {
	jail *sandbox.Spawner
	exe  string
}

// Confined implements compile.Confiner.
func (p plainCompiler) Confined(ctx context.Context, j sandbox.Job) (sandbox.Result, error) {
	j.Exe = p.exe
	return p.jail.Confined(ctx, j)
}

// plugin is a module with the profile that its exports show.
type plugin struct {
	engine  *wasm.Engine
	source  wasm.Source
	profile abi.Profile
	rights  abi.Rights
	service wasm.Services
}

func load(t *testing.T, e *wasm.Engine, b []byte) *plugin {
	t.Helper()
	r, err := module.Scan(b, module.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	profile, err := r.Profile()
	if err != nil {
		t.Fatal(err)
	}
	return &plugin{
		engine: e, profile: profile, rights: abi.Rights{Limits: abi.DefaultLimits()},
		source: wasm.SourceOf(abi.NewBlob(b)),
	}
}

// tools gives the names of the tools, joined by spaces.
func (p *plugin) tools(t *testing.T) string {
	t.Helper()
	tools, err := p.engine.Tools(t.Context(), p.source, p.profile, abi.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(tools))
	for i, tool := range tools {
		names[i] = string(tool.Name)
	}
	return strings.Join(names, " ")
}

// call runs a tool with no rights but those in p.
func (p *plugin) call(t *testing.T, tool, args string) (*wasm.Outcome, error) {
	t.Helper()
	return p.engine.Call(t.Context(), wasm.Invocation{
		Caller: abi.Caller{Agent: "a", Session: "s", Skill: "plugin", Tool: abi.ToolName(tool), Call: "c1"},
		Source: p.source, Profile: p.profile, Tool: abi.ToolName(tool), Arguments: json.RawMessage(args),
		Rights: p.rights, Services: p.service,
	})
}

// text runs a tool that must succeed and gives its text.
func (p *plugin) text(t *testing.T, tool, args string) string {
	t.Helper()
	out, err := p.call(t, tool, args)
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	var s strings.Builder
	for _, c := range out.Result.Content {
		s.WriteString(c.Text)
	}
	return s.String()
}

// buildGo compiles a plugin in testdata as its author would.
func buildGo(t *testing.T, name string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "plugin.wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "./testdata/"+name)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	return readFile(t, out)
}
