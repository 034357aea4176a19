package skills

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
)

func TestInspect(t *testing.T) {
	t.Parallel()
	dir := built(t, nil)
	i, err := Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	text := i.String()
	for _, want := range []string{
		"hello 1.0.0 — Says hello", "profile   extism-mcp/v2", "can use   http",
		"http: GET the origin of the argument url, paths /**", "files: /data (rw)", "greet (read): Greet.",
		"imports   glovebox:host/v1: fetch", "warning   needs.files is asked for",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if b, err := json.Marshal(i); err != nil || !strings.Contains(string(b), `"capabilities":["http"]`) {
		t.Errorf("JSON: %s, %v", b, err)
	}
}

func TestInspectTellsWhyAModuleIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ module, want string }{
		"no module":   {"#!/bin/sh\n", "module/not-wasm"},
		"a component": {"\x00asm\x0d\x00\x01\x00", "component"},
		"a bomb":      {string(modtest.Locals(1, 1<<30)), "module/locals"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.wasm")
			if err := os.WriteFile(file, []byte(c.module), 0o644); err != nil {
				t.Fatal(err)
			}
			i, err := Inspect(file)
			if err != nil || !strings.Contains(i.Refused, c.want) || !strings.Contains(i.String(), "refused   ") {
				t.Errorf("got %+v, %v", i, err)
			}
		})
	}
	if _, err := Inspect(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("an absent file was inspected")
	}
}

// TestInspectFollowsTheNameItIsGiven: a link on the command line is meant, and a file
// that is too large is refused before it is read.
func TestInspectFollowsTheNameItIsGiven(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(t.TempDir(), "x.wasm"), filepath.Join(dir, "link.wasm")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if i, err := Inspect(link); err != nil || !strings.Contains(i.Refused, "module/not-wasm") {
		t.Errorf("through a link: %+v, %v", i, err)
	}
	if err := os.Truncate(file, MaxModule+1); err != nil {
		t.Fatal(err)
	}
	if i, err := Inspect(file); err != nil || !strings.Contains(i.Refused, "module/size") {
		t.Errorf("too large: %+v, %v", i, err)
	}
}

func TestInspectKeepsTheTerminalSafe(t *testing.T) {
	t.Parallel()
	var b modtest.Builder
	ret := b.Type(nil, []byte{modtest.I32})
	b.ImportFunc("evil\x1b[2J\u202e", "f\n", ret)
	b.Export("call_tool", 0, b.Func(ret, nil, 0x41, 0))
	file := filepath.Join(t.TempDir(), "x.wasm")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	i, err := Inspect(file)
	if err != nil {
		t.Fatal(err)
	}
	if text := i.String(); strings.ContainsAny(text, "\x1b\u202e") || !strings.Contains(text, "does not offer") {
		t.Errorf("got %q", text)
	}
}

// FuzzOpen holds damaged manifests and modules against Open: nothing but the intact
// pair may be opened.
func FuzzOpen(f *testing.F) {
	module := wasmV2("fetch")
	compiled, err := abi.EncodeCompiled(&abi.Compiled{
		Manifest: abi.Manifest{Schema: abi.SchemaSkill, Name: "x", Version: "1.0.0", ABI: abi.ProfileMCPv2, Module: ModuleFile, Description: "x"},
		Module:   abi.DigestOf(module), ModuleSize: int64(len(module)), Tools: []abi.Tool{greet},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(compiled, module)
	f.Fuzz(func(t *testing.T, manifest, module []byte) {
		dir := t.TempDir()
		write(t, dir, map[string]string{ManifestFile: string(manifest), ModuleFile: string(module)})
		b, err := Open(dir)
		if err != nil {
			return
		}
		if b.Manifest.Module != abi.DigestOf(module) || b.Digest != abi.DigestOf(manifest) {
			t.Errorf("opened with digests %s and %s", b.Manifest.Module, b.Digest)
		}
		if _, err := InspectBundle(b); err != nil {
			t.Error(err)
		}
	})
}
