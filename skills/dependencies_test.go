package skills

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
	"github.com/glovebox-dev/glovebox/skills/sbom"
)

// goV2 is wasmV2 with the modinfo of a Go module and the version of the Go that made it.
func goV2(version string, deps ...string) []byte {
	var b modtest.Builder
	f := b.Func(b.Type(nil, []byte{modtest.I32}), nil, 0x41, 0)
	b.Export("list_tools", 0, f)
	b.Export("call_tool", 0, f)
	b.Memory(1, -1)
	b.Data(version + "\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6path\tx\n" +
		strings.Join(deps, "\n") + "\n\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2")
	return b.Bytes()
}

const depNet = "dep\tgolang.org/x/net\tv0.62.0\th1:x="

// goSays is a toolchain whose go command has a version.
func goSays(version string) Toolchain {
	return func(_ context.Context, _ string, argv, _ []string, out io.Writer) error {
		if !slices.Equal(argv[1:], []string{"env", "GOVERSION"}) {
			return errors.New("something was compiled")
		}
		_, err := io.WriteString(out, version+"\n")
		return err
	}
}

func document(packages ...string) string {
	var list []string
	for _, p := range packages {
		list = append(list, `{"name":"x","purl":"`+p+`"}`)
	}
	return `{"bomFormat":"CycloneDX","specVersion":"1.5","components":[` + strings.Join(list, ",") + `]}`
}

func TestBuildListsDependencies(t *testing.T) {
	t.Parallel()
	given := document("pkg:golang/golang.org/x/net@v0.62.0", "pkg:golang/stdlib@1.26.8")
	for _, c := range []struct {
		name   string
		module []byte
		files  map[string]string
		goIs   string // of the go command
		want   string
		warns  bool
	}{
		{"a module that says nothing", wasmV2(), nil, "", "", false},
		{"Go", goV2("go1.26.8", depNet), nil, "go1.26.8", "Go golang.org/x/net 0.62.0, Go stdlib 1.26.8", false},
		{"another Go than the module's", goV2("go1.26.8", depNet), nil, "go1.26.7", "Go golang.org/x/net 0.62.0", true},
		{"the author's own list", goV2("go1.26.8", depNet), map[string]string{SBOMFile: given}, "go1.26.7", "Go golang.org/x/net 0.62.0, Go stdlib 1.26.8", false},
		{"an own list that disagrees is made anew", goV2("go1.26.8"), map[string]string{SBOMFile: given}, "go1.26.8", "Go stdlib 1.26.8", false},
		{"an old list beside a lock file", wasmV2(), map[string]string{
			SBOMFile:            document("pkg:npm/old@1.0.0"),
			"package-lock.json": `{"lockfileVersion":3,"packages":{"node_modules/new":{"version":"1.0.0","integrity":"x"}}}`,
		}, "", "npm new 1.0.0", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, map[string]string{SourceFile: strings.Split(yamlHello, "needs:")[0], ModuleFile: string(c.module)})
			write(t, dir, c.files)
			for range 2 { // the second time a list lies there
				b, err := Build(t.Context(), dir, BuildOptions{UseModule: true, Env: fakePath(t, "go")}, &lister{tools: []abi.Tool{greet}}, goSays(c.goIs))
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, p := range b.Packages.Packages {
					got = append(got, p.String())
				}
				if text := strings.Join(got, ", "); text != c.want || b.Packages.None != (c.want == "") {
					t.Errorf("got %q", text)
				}
				_, _, err = b.Bundle.Dependencies()
				if warned := strings.Contains(strings.Join(b.Warnings, "\n"), "which Go compiled"); warned != c.warns || warned != (err != nil) {
					t.Errorf("warnings %q, %v", b.Warnings, err)
				}
			}
		})
	}
}

func TestBuildRefusesBadDependencies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		module []byte
		files  map[string]string
		want   sbom.Reason
	}{
		{"a folder in place of a version", goV2("", "dep\texample.org/a\tv1.0.0\n=>\t../a\t(devel)\t"), nil, sbom.ReasonUnpinned},
		{"a list that cannot be read", wasmV2(), map[string]string{SBOMFile: "{"}, sbom.ReasonMalformed},
		{"a lock file with a link", wasmV2(), map[string]string{"package-lock.json": `{"lockfileVersion":3,"packages":{"node_modules/a":{"link":true}}}`}, sbom.ReasonUnpinned},
		{"a crate from git", wasmV2(), map[string]string{"Cargo.lock": "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"git+https://x\"\n"}, sbom.ReasonUnpinned},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, map[string]string{SourceFile: yamlHello, ModuleFile: string(c.module)})
			write(t, dir, c.files)
			_, err := Build(t.Context(), dir, BuildOptions{UseModule: true}, &lister{tools: []abi.Tool{greet}}, noToolchain(t))
			var e *sbom.Error
			if !errors.As(err, &e) || e.Reason != c.want {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, ManifestFile)); err == nil {
				t.Error("there is a manifest")
			}
		})
	}
}

func TestBundleWithoutAListHasNone(t *testing.T) {
	t.Parallel()
	dir := built(t, nil)
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	b.Manifest.Files = nil // as builds before made it
	var e *sbom.Error
	if _, _, err := b.Dependencies(); !errors.As(err, &e) || e.Reason != sbom.ReasonNone {
		t.Errorf("got %v", err)
	}
}

func TestRebuildTellsWhatDiffers(t *testing.T) {
	t.Parallel()
	same := wasmV2("fetch")
	for _, c := range []struct {
		name   string
		module []byte // of the second build
		edit   map[string]string
		want   []string
	}{
		{"nothing", same, nil, nil},
		{"the module", wasmV2(), nil, []string{ModuleFile, ManifestFile}},
		{"a file", same, map[string]string{"assets/a.txt": "another"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := built(t, map[string]string{"main.c": "", "Makefile": "", "deep/source.h": "h", "assets/a.txt": "a"})
			before, err := os.ReadFile(filepath.Join(dir, ManifestFile))
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, c.edit)
			chain := func(_ context.Context, scratch string, _, _ []string, _ io.Writer) error {
				if _, err := os.Stat(filepath.Join(scratch, "deep", "source.h")); err != nil || scratch == dir {
					t.Errorf("compiled in %s: %v", scratch, err)
				}
				if _, err := os.Stat(filepath.Join(scratch, ModuleFile)); err == nil {
					t.Error("the old module was there: nothing is compiled")
				}
				return os.WriteFile(filepath.Join(scratch, ModuleFile), c.module, 0o644)
			}
			_, differ, err := Rebuild(t.Context(), dir, BuildOptions{Env: fakePath(t, "make", "clang-19")}, &lister{tools: []abi.Tool{greet}}, chain)
			if c.edit != nil {
				if !errors.Is(err, ErrDigest) {
					t.Errorf("a folder that is not as it was built: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range differ {
				got = append(got, d.File)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("differ %v", differ)
			}
			if after, err := os.ReadFile(filepath.Join(dir, ManifestFile)); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the folder was changed (%v)", err)
			}
		})
	}
}
