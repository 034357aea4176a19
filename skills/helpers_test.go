package skills

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
)

// wasmV2 returns a module with the exports of the second MCP ABI, and imports.
func wasmV2(imports ...string) []byte {
	var b modtest.Builder
	ret := b.Type(nil, []byte{modtest.I32})
	handle := b.Type([]byte{0x7e, 0x7e}, []byte{0x7e}) // (i64, i64) -> i64
	for _, name := range imports {
		b.ImportFunc(abi.NamespaceHost, name, handle)
	}
	f := b.Func(ret, nil, 0x41, 0)
	b.Export("list_tools", 0, f)
	b.Export("call_tool", 0, f)
	return b.Bytes()
}

const yamlHello = `schema: glovebox/skill/v1
name: hello
version: 1.0.0
abi: extism-mcp/v2
module: skill.wasm
description: Says hello
tools:
  - {name: greet, effect: read, args: {name: inert, url: control}}
needs:
  http:
    - {argument: url, methods: [GET], paths: ["/**"]}
  files:
    - {mount: /data, root: workspace, access: rw}
`

var greet = abi.Tool{
	Name: "greet", Description: "Greet.",
	InputSchema: []byte(`{"type":"object","properties":{"name":{"type":"string"},"url":{"type":"string"}}}`),
}

// lister answers with fixed tools.
type lister struct {
	tools []abi.Tool
	err   error
	asked Module
}

func (l *lister) ListTools(_ context.Context, m Module, _ abi.Limits) ([]abi.Tool, error) {
	l.asked = m
	return l.tools, l.err
}

// noToolchain fails the test when something is compiled.
func noToolchain(t *testing.T) Toolchain {
	return func(context.Context, string, []string, []string, io.Writer) error {
		t.Error("something was compiled")
		return nil
	}
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// built returns the folder of a built skill.
func built(t *testing.T, extra map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, map[string]string{SourceFile: yamlHello, ModuleFile: string(wasmV2("fetch"))})
	write(t, dir, extra)
	if _, err := Build(t.Context(), dir, BuildOptions{UseModule: true}, &lister{tools: []abi.Tool{greet}}, noToolchain(t)); err != nil {
		t.Fatal(err)
	}
	return dir
}
