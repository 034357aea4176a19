package sbom

import (
	"fmt"
	"slices"
	"strings"
)

// Agree compares what a module says with a document about it. In each ecosystem that the
// module lists, both must name the same packages; Go's standard library, which no module
// lists, must be in the document of a Go module. A nil module list says nothing and agrees
// with every document; a nil document is refused with [ReasonNone].
func Agree(module, document *List) error {
	if document == nil || len(document.Packages) == 0 && !document.None {
		return &Error{
			Reason: ReasonNone, What: "no list says what the module was built from",
			Fix: "the author makes one: glovebox skill build DIR",
		}
	}
	if module == nil {
		return nil
	}
	in := func(l *List, e Ecosystem) []Package {
		return slices.DeleteFunc(slices.Clone(l.Packages), func(p Package) bool {
			return p.Ecosystem != e || e == Go && p.Name == Stdlib
		})
	}
	for _, e := range module.ecosystems() {
		ours, theirs := in(module, e), in(document, e)
		if d := differences(module.Source, ours, document.Source, theirs); d != "" {
			return &Error{Reason: ReasonConflict, What: d, Fix: "the author builds both together: glovebox skill build DIR"}
		}
	}
	if module.IsGo() && document.Source == SourceDocument && document.GoVersion == "" {
		return &Error{
			Reason: ReasonConflict, What: "the module is made by Go, and " + document.Source + " does not name the standard library",
			Fix: "the author builds it with the Go that compiles it: glovebox skill build DIR",
		}
	}
	return nil
}

// IsGo reports whether l is what a module says that the go command built.
func (l *List) IsGo() bool { return l != nil && strings.HasPrefix(l.Source, SourceGo) }

// ecosystems lists those that l speaks of: a Go module lists its packages even if it has none.
func (l *List) ecosystems() []Ecosystem {
	var out []Ecosystem
	if l.IsGo() {
		out = append(out, Go)
	}
	if strings.Contains(l.Source, SourceRust) {
		out = append(out, Crates)
	}
	for _, p := range l.Packages {
		if !slices.Contains(out, p.Ecosystem) {
			out = append(out, p.Ecosystem)
		}
	}
	return out
}

// maxShown bounds the packages that a message names.
const maxShown = 5

// differences says what is in one list only, or nothing.
func differences(from string, a []Package, other string, b []Package) string {
	var out []string
	for _, side := range []struct {
		name       string
		has, lacks []Package
	}{{from, a, b}, {other, b, a}} {
		var only []string
		for _, p := range side.has {
			if !slices.Contains(side.lacks, p) {
				only = append(only, p.String())
			}
		}
		if n := len(only); n > maxShown {
			only = append(only[:maxShown], fmt.Sprintf("%d more", n-maxShown))
		}
		if len(only) > 0 {
			out = append(out, "only "+side.name+" names "+strings.Join(only, ", "))
		}
	}
	return strings.Join(out, "; ")
}
