package artifact

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
	"github.com/glovebox-dev/glovebox/skills"
)

const skillYAML = `schema: glovebox/skill/v1
name: hello
version: 1.2.0
abi: extism-mcp/v2
module: skill.wasm
description: Says hello
tools:
  - {name: greet, effect: read, args: {name: inert}}
`

// greeter lists the one tool of the skill of these tests.
type greeter struct{}

func (greeter) ListTools(context.Context, skills.Module, abi.Limits) ([]abi.Tool, error) {
	return []abi.Tool{{Name: "greet", Description: "Greet.", InputSchema: []byte(`{"type":"object","properties":{"name":{"type":"string"}}}`)}}, nil
}

func module() []byte {
	var b modtest.Builder
	f := b.Func(b.Type(nil, []byte{modtest.I32}), nil, 0x41, 0)
	b.Export("list_tools", 0, f)
	b.Export("call_tool", 0, f)
	return b.Bytes()
}

// build returns a built skill with some files more.
func build(t testing.TB, extra map[string]string) *skills.Bundle {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, map[string]string{skills.SourceFile: skillYAML, skills.ModuleFile: string(module())})
	write(t, dir, extra)
	noToolchain := func(context.Context, string, []string, []string, io.Writer) error {
		return errors.New("something was compiled")
	}
	built, err := skills.Build(t.Context(), dir, skills.BuildOptions{UseModule: true}, greeter{}, noToolchain)
	if err != nil {
		t.Fatal(err)
	}
	return built.Bundle
}

func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// hello is the artifact of these tests.
func hello(t testing.TB) *Artifact {
	t.Helper()
	a, err := Manifest(build(t, map[string]string{"SKILL.md": "# hello\n", "references/b.md": "b", "assets/a.txt": "a", "LICENSE": "MIT\n"}))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wants fails the test unless err is a refusal with this reason.
func wants(t *testing.T, err error, want Reason) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || r.Reason != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
