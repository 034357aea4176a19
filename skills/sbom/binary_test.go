package sbom

import (
	"runtime/debug"
	"slices"
	"testing"
)

func TestProgramsNameWhatTheyAreBuiltFrom(t *testing.T) {
	t.Parallel()
	info := &debug.BuildInfo{GoVersion: "go1.26.3 X:nodwarf5", Main: debug.Module{Path: "acme.example/server", Version: "v1.2.3"}, Deps: []*debug.Module{
		{Path: "golang.org/x/net", Version: "v0.62.0"},
		{Path: "acme.example/old", Version: "v1.0.0", Replace: &debug.Module{Path: "acme.example/new", Version: "v1.1.0"}},
	}}
	l, err := FromBuildInfo(info)
	if err != nil {
		t.Fatal(err)
	}
	want := []Package{{Go, "acme.example/new", "1.1.0"}, {Go, "acme.example/server", "1.2.3"}, {Go, "golang.org/x/net", "0.62.0"}, {Go, Stdlib, "1.26.3"}}
	if !slices.Equal(l.Packages, want) || l.GoVersion != "1.26.3" {
		t.Errorf("got %+v", l)
	}
	for name, change := range map[string]func(*debug.BuildInfo){
		"no release of Go":       func(i *debug.BuildInfo) { i.GoVersion = "devel go1.27-abc" },
		"no version of Go":       func(i *debug.BuildInfo) { i.GoVersion = "" },
		"a module of no version": func(i *debug.BuildInfo) { i.Deps = []*debug.Module{{Path: "x.example/y"}} },
		"replaced by a folder": func(i *debug.BuildInfo) {
			i.Deps = []*debug.Module{{Path: "x.example/y", Version: "v1.0.0", Replace: &debug.Module{Path: "../y"}}}
		},
		"a module that is there twice": func(i *debug.BuildInfo) { i.Deps = append(i.Deps, i.Deps[0]) },
	} {
		c := *info
		c.Deps = slices.Clone(info.Deps)
		change(&c)
		if l, err := FromBuildInfo(&c); err == nil {
			t.Errorf("%s: got %+v", name, l)
		}
	}
}
