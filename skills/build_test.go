package skills

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// fakePath makes an environment whose PATH holds these programs.
func fakePath(t *testing.T, programs ...string) []string {
	t.Helper()
	bin := t.TempDir()
	for _, p := range programs {
		if err := os.WriteFile(filepath.Join(bin, p), []byte("#!/bin/false\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"PATH=relative:" + bin, "HOME=/nowhere"}
}

func TestBuildRunsTheCompilerOfTheLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]string
		tools []string
		lang  Language
		want  string
	}{
		{"go", map[string]string{"main.go": ""}, []string{"go"}, Go, "go build -buildmode=c-shared -trimpath -buildvcs=false -ldflags=-s -w -buildid= -o skill.wasm ."},
		{"c", map[string]string{"src/a.c": "", "Makefile": ""}, []string{"make", "clang-19"}, C, "make skill.wasm"},
		{"rust", map[string]string{"src/lib.rs": "", "Makefile": ""}, []string{"make", "rustc"}, Rust, "make skill.wasm"},
		{"assemblyscript", map[string]string{"assembly/a.ts": "", "Makefile": "", "node_modules/x/y.c": ""}, []string{"make", "node"}, AssemblyScript, "make skill.wasm"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, map[string]string{SourceFile: yamlHello})
			write(t, dir, c.files)
			var ran string
			var env []string
			chain := func(_ context.Context, in string, argv, e []string, _ io.Writer) error {
				env = e
				ran = filepath.Base(argv[0]) + " " + strings.Join(argv[1:], " ")
				return os.WriteFile(filepath.Join(in, ModuleFile), wasmV2("fetch", "fs_read"), 0o644)
			}
			b, err := Build(t.Context(), dir, BuildOptions{Env: fakePath(t, c.tools...)}, &lister{tools: []abi.Tool{greet}}, chain)
			if err != nil {
				t.Fatal(err)
			}
			if ran != c.want || b.Language != c.lang {
				t.Errorf("ran %q for %s", ran, b.Language)
			}
			if isGo := slices.Contains(env, "GOOS=wasip1"); isGo != (c.lang == Go) || !slices.Contains(env, "HOME=/nowhere") {
				t.Errorf("environment %v", env)
			}
			if len(b.Warnings) != 0 {
				t.Errorf("warnings %v", b.Warnings)
			}
		})
	}
}

func TestBuildNamesTheMissingTool(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]string
		tools []string
		hint  string
	}{
		{"go", map[string]string{"main.go": ""}, nil, "https://go.dev/dl/"},
		{"clang", map[string]string{"a.c": "", "Makefile": ""}, []string{"make"}, "apt-get install -y clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32"},
		{"make", map[string]string{"a.rs": "", "Makefile": ""}, []string{"rustc"}, "apt-get install -y make"},
		{"node packages", map[string]string{"a.ts": "", "Makefile": ""}, []string{"make", "node"}, "npm ci"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, map[string]string{SourceFile: yamlHello})
			write(t, dir, c.files)
			_, err := Build(t.Context(), dir, BuildOptions{Env: fakePath(t, c.tools...)}, &lister{}, noToolchain(t))
			var e *Error
			if !errors.Is(err, ErrToolMissing) || !errors.As(err, &e) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	good := []abi.Tool{greet}
	for _, c := range []struct {
		name   string
		yaml   string
		module string
		lister lister
		want   string
	}{
		{"a module that is no module", yamlHello, "hello", lister{tools: good}, "module/not-wasm"},
		{"a component", yamlHello, "\x00asm\x0d\x00\x01\x00", lister{tools: good}, "component"},
		{"a module that breaks off", yamlHello, string(wasmV2()[:20]), lister{tools: good}, "module/malformed"},
		{"another profile", strings.Replace(yamlHello, "extism-mcp/v2", "extism-mcp/v1", 1), string(wasmV2()), lister{tools: good}, "skill.wasm looks like extism-mcp/v2, and skill.yaml says abi: extism-mcp/v1"},
		{"no tools", yamlHello, string(wasmV2()), lister{}, "lists no tools"},
		{"a guest that fails", yamlHello, string(wasmV2()), lister{err: errors.New("it trapped")}, "ask skill.wasm for its tools: it trapped"},
		{"a descriptor of no tool", strings.Replace(yamlHello, "name: greet", "name: gret", 1), string(wasmV2()), lister{tools: good}, `the module has no tool "gret"`},
		{"a role of no argument", strings.Replace(yamlHello, "{name: inert,", "{nam: inert,", 1), string(wasmV2()), lister{tools: good}, `tool greet has no argument "nam"`},
		{"a mistake in skill.yaml", yamlHello + "limts: {}\n", string(wasmV2()), lister{tools: good}, `did you mean "limits"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := built(t, nil)
			before, err := os.ReadFile(filepath.Join(dir, ManifestFile))
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, map[string]string{SourceFile: c.yaml, ModuleFile: c.module})
			_, err = Build(t.Context(), dir, BuildOptions{UseModule: true}, &c.lister, noToolchain(t))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			after, err := os.ReadFile(filepath.Join(dir, ManifestFile))
			if err != nil || string(after) != string(before) {
				t.Errorf("a failed build touched the manifest (%v)", err)
			}
		})
	}
}

func TestBuildIsReproducible(t *testing.T) {
	t.Parallel()
	one, two := built(t, map[string]string{"assets/b": "b", "assets/a": "a"}), built(t, map[string]string{"assets/a": "a", "assets/b": "b"})
	a, err := os.ReadFile(filepath.Join(one, ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(two, ManifestFile))
	if err != nil || string(a) != string(b) {
		t.Errorf("two builds differ (%v):\n%s", err, diff(string(a), string(b)))
	}
	entries, err := os.ReadDir(one)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("a temporary file is left: %s", e.Name())
		}
	}
}

func TestBuildWarns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{
		SourceFile: strings.NewReplacer("tools:\n  - {name: greet, effect: read, args: {name: inert, url: control}}\n", "", "argument: url", "origin: https://a.example").Replace(yamlHello),
		ModuleFile: string(wasmV2("fetch", "kv_get")),
	})
	b, err := Build(t.Context(), dir, BuildOptions{UseModule: true}, &lister{tools: []abi.Tool{greet}}, noToolchain(t))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(b.Warnings, "\n")
	for _, want := range []string{`tool "greet" has no descriptor`, "needs.files is asked for, and the module imports nothing", "functions of kv, and needs.kv is not asked for"} {
		if !strings.Contains(got, want) {
			t.Errorf("no warning %q in:\n%s", want, got)
		}
	}
}

func TestBuildWithoutSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{SourceFile: yamlHello})
	_, err := Build(t.Context(), dir, BuildOptions{Env: fakePath(t, "go")}, &lister{}, noToolchain(t))
	if err == nil || !strings.Contains(err.Error(), "no source in a known language") {
		t.Errorf("got %v", err)
	}
}

// TestScaffold builds a new skill with the real compiler, twice: the module needs no
// network, imports what it calls and nothing else, and comes out the same.
func TestScaffold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lang    Language
		program string
		can     []string
		tools   []abi.Tool
	}{
		{Go, "go", []string{"http", "wasi"}, []abi.Tool{{Name: "greet", Description: "x", InputSchema: greet.InputSchema}, {Name: "check", Description: "x", InputSchema: greet.InputSchema}}},
		{C, "clang-19", nil, []abi.Tool{greet}},
	} {
		t.Run(string(c.lang), func(t *testing.T) {
			t.Parallel()
			testenv.Need(t, c.program, testenv.Program(c.program))
			var digests []abi.Digest
			for range 2 {
				dir := filepath.Join(t.TempDir(), "hello")
				files, err := New(dir, "hello", c.lang)
				if err != nil || !slices.Contains(files, SourceFile) {
					t.Fatal(files, err)
				}
				var out strings.Builder
				env := append(os.Environ(), "GOPROXY=off", "GOFLAGS=")
				b, err := Build(t.Context(), dir, BuildOptions{Env: env, Out: &out}, &lister{tools: c.tools}, sandbox.RunToolchain)
				if err != nil {
					t.Fatalf("%v\n%s", err, out.String())
				}
				if isGo := c.lang == Go; isGo != (b.Packages.GoVersion != "") || isGo == b.Packages.None {
					t.Errorf("dependencies: %+v", b.Packages)
				}
				if _, differ, err := Rebuild(t.Context(), dir, BuildOptions{Env: env}, &lister{tools: c.tools}, sandbox.RunToolchain); err != nil || len(differ) > 0 {
					t.Errorf("built again: %v, %v", differ, err)
				}
				if got := b.Report.Capabilities(); !slices.Equal(got, c.can) || len(b.Warnings) > 0 {
					t.Errorf("capabilities %v, warnings %v", got, b.Warnings)
				}
				if _, _, err := readTests(dir); err != nil {
					t.Error(err)
				}
				digests = append(digests, b.Bundle.Manifest.Module)
			}
			if digests[0] != digests[1] {
				t.Errorf("the same source gave %v", digests)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	write(t, full, map[string]string{"mine.txt": "precious"})
	if _, err := New(full, "hello", Go); !errors.Is(err, ErrExists) {
		t.Errorf("a folder that is not empty: %v", err)
	}
	for _, name := range []abi.SkillName{"", "Hello", "a/b", "../x", "a--b"} {
		if _, err := New(filepath.Join(t.TempDir(), "x"), name, Go); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
	for _, lang := range []Language{"cobol", "../template/go", "."} {
		var e *Error
		if _, err := New(filepath.Join(t.TempDir(), "x"), "hello", lang); !errors.As(err, &e) {
			t.Errorf("language %q: %v", lang, err)
		}
	}
}

// TestScaffoldSums holds the checksums that New writes against those of this module.
func TestScaffoldSums(t *testing.T) {
	t.Parallel()
	ours, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := templates.ReadFile("template/go/go.sum.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(theirs)) {
		if !strings.Contains(string(ours), line) {
			t.Errorf("go.sum of this module lacks %q", line)
		}
	}
}
