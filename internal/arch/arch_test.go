package arch

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestTree holds the real tree to the real rules.
func TestTree(t *testing.T) {
	t.Parallel()
	if err := Check(os.DirFS("../.."), Glovebox(), t.Errorf); err != nil {
		t.Fatal(err)
	}
}

func TestEachViolationIsReported(t *testing.T) {
	t.Parallel()
	const ok = "// Package x is documented.\npackage x\n"
	rules := Rules{
		Row:    map[string]int{"low": 0, "mid": 1, "side": 1, "mid/child": 1, "high": 2},
		Owner:  map[string][]string{"os/exec": {"low"}, "example.org/engine": {"mid/..."}, "plugin": nil},
		Caller: map[string][]string{"os.Getenv": {"high"}, "net/http.DefaultClient": nil},
		Leaf:   map[string][]string{"side": {"low"}},
	}
	base := func() fstest.MapFS {
		fs := fstest.MapFS{}
		for dir := range rules.Row {
			fs[dir+"/doc.go"] = &fstest.MapFile{Data: []byte(ok)}
		}
		return fs
	}
	long := ok + strings.Repeat("\n", 600)
	tests := []struct{ name, file, src, want string }{
		{"an upward import", "low/a.go", `package x; import _ "github.com/glovebox-dev/glovebox/high"`, "low (row 0) must not import high (row 2)"},
		{"a sibling import", "mid/a.go", `package x; import _ "github.com/glovebox-dev/glovebox/side"`, "mid (row 1) must not import side (row 1)"},
		{"a parent that imports its child", "mid/a.go", `package x; import _ "github.com/glovebox-dev/glovebox/mid/child"`, "mid (row 1) must not import mid/child (row 1)"},
		{"a leaf that imports more than its list", "side/a.go", `package x; import _ "github.com/glovebox-dev/glovebox/mid"`, "side may import only [low]"},
		{"a dangerous import under an alias", "mid/a.go", `package x; import e "os/exec"; var _ = e.Command`, "mid must not import os/exec"},
		{"a package below a dangerous import", "high/a.go", `package x; import _ "example.org/engine/api"`, "high must not import example.org/engine/api"},
		{"an import behind a build tag", "high/a_windows.go", "//go:build windows\n\npackage x; import _ \"plugin\"", "high must not import plugin"},
		{"a dot import", "high/a.go", `package x; import . "strings"`, "dot import of strings"},
		{"a caller of another's function", "mid/a.go", `package x; import env "os"; func f() { env.Getenv("X") }`, "mid must not use os.Getenv"},
		{"a use that nobody owns", "high/a.go", `package x; import "net/http"; func f() { _ = http.DefaultClient }`, "high must not use net/http.DefaultClient"},
		{"a package without a row", "new/a.go", ok, "package new has no row"},
		{"a second package comment", "low/a.go", ok, "low has 2 package comments"},
		{"an init function", "low/a.go", "package x\nfunc init() {}", "no init functions"},
		{"a variable that exists to be changed", "low/a.go", "package x\nvar registry map[string]int", "no initial value"},
		{"a mutex for everybody", "low/a.go", "package x\nimport \"sync\"\nvar mu = sync.Mutex{}", "shared mutable state"},
		{"a package variable assigned in another file", "low/a.go", "package x\nfunc f() { counter = 2 }", "package variable low.counter is assigned to"},
		{"a package map written by index", "low/a.go", "package x\nvar m = map[string]int{}\nfunc f() { m[\"a\"] = 1 }", "package variable low.m is assigned to"},
		{"a linkname", "low/a.go", "package x\n\n//go:linkname a b\nfunc a()", "go:linkname"},
		{"a long file", "low/a.go", strings.Replace(long, "// Package x is documented.\n", "", 1), "lines, want at most 500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fs := base()
			fs["low/vars.go"] = &fstest.MapFile{Data: []byte("package x\nvar counter = 1\n")}
			fs[tt.file] = &fstest.MapFile{Data: []byte(tt.src)}
			var got []string
			if err := Check(fs, rules, func(f string, a ...any) { got = append(got, fmt.Sprintf(f, a...)) }); err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, tt.want) }) {
				t.Errorf("reports %q, want one with %q", got, tt.want)
			}
		})
	}
	t.Run("a row without a package", func(t *testing.T) {
		t.Parallel()
		fs := base()
		delete(fs, "side/doc.go")
		var got []string
		if err := Check(fs, rules, func(f string, a ...any) { got = append(got, fmt.Sprintf(f, a...)) }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || !strings.Contains(got[0], "lists side, which does not exist") {
			t.Errorf("reports %q", got)
		}
	})
	t.Run("a clean tree", func(t *testing.T) {
		t.Parallel()
		if err := Check(base(), rules, t.Errorf); err != nil {
			t.Fatal(err)
		}
	})
}
