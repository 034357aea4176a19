package sbom

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Ecosystem is where a package comes from, in the spelling of OSV.
type Ecosystem string

// The ecosystems that this build knows.
const (
	Go     Ecosystem = "Go"
	NPM    Ecosystem = "npm"
	Crates Ecosystem = "crates.io"
	PyPI   Ecosystem = "PyPI"
)

// Stdlib is the name under which OSV lists Go's standard library, in ecosystem Go.
const Stdlib = "stdlib"

// Package is one package in one version, as OSV names it. Versions of Go have no leading v.
type Package struct {
	Ecosystem Ecosystem `json:"ecosystem"`
	Name      string    `json:"name"`
	Version   string    `json:"version"`
}

// String returns "Go golang.org/x/net 0.62.0".
func (p Package) String() string { return string(p.Ecosystem) + " " + p.Name + " " + p.Version }

func compare(a, b Package) int {
	return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
}

// Sources of a list.
const (
	SourceGo        = "go modinfo"     // data section of a Go module
	SourceRust      = ".dep-v0"        // custom section of cargo-auditable
	SourceSection   = "sbom.cyclonedx" // custom section with a CycloneDX document
	SourceDocument  = "sbom.cdx.json"  // file of a bundle
	SourceNPMLock   = "package-lock.json"
	SourceCargoLock = "Cargo.lock"
)

// List is what one source says.
type List struct {
	Packages  []Package `json:"packages"`             // sorted, none twice
	GoVersion string    `json:"go_version,omitempty"` // of the standard library, such as "1.26.8"; no module tells it
	Source    string    `json:"source"`
	None      bool      `json:"none,omitempty"` // the document says that there are no dependencies, instead of naming none
}

// Reason is the stable code of a refusal.
type Reason string

// The reasons.
const (
	ReasonNone      Reason = "deps.none"      // nothing says what the module was built from
	ReasonConflict  Reason = "deps.conflict"  // two lists differ
	ReasonMalformed Reason = "deps.malformed" // a list cannot be read in one way only
	ReasonUnpinned  Reason = "deps.unpinned"  // a package has no version that an advisory could name
	ReasonType      Reason = "deps.type"      // a package is of an ecosystem without advisories here
	ReasonSize      Reason = "deps.size"      // a limit was passed
)

// Error is a refusal.
type Error struct {
	Reason Reason
	What   string // what is wrong, and where
	Fix    string // what helps, or nothing
	Err    error  // the cause, or nil
}

// Error implements error.
func (e *Error) Error() string {
	text := "dependencies refused: " + e.What
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text + " (" + string(e.Reason) + ")"
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func refuse(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, What: fmt.Sprintf(format, args...)}
}

// Bounds of what is read.
const (
	maxPackages = 10_000
	maxName     = 512 // bytes
	maxVersion  = 128 // bytes
)

// newList checks packages and sorts them. One that is there twice is kept once: the same
// version may be installed in two places.
func newList(source string, packages []Package) (*List, error) {
	if len(packages) > maxPackages {
		return nil, refuse(ReasonSize, "%s lists %d packages, more than %d", source, len(packages), maxPackages)
	}
	for _, p := range packages {
		if err := p.check(); err != nil {
			err.What = source + ": " + err.What
			return nil, err
		}
	}
	l := &List{Packages: slices.Compact(slices.SortedFunc(slices.Values(packages), compare)), Source: source}
	for _, p := range l.Packages {
		if p.Ecosystem != Go || p.Name != Stdlib {
			continue
		}
		if l.GoVersion != "" {
			return nil, refuse(ReasonConflict, "%s names two versions of Go: %s and %s", source, l.GoVersion, p.Version)
		}
		l.GoVersion = p.Version
	}
	return l, nil
}

func (p Package) check() *Error {
	switch p.Ecosystem {
	case Go, NPM, Crates, PyPI:
	default:
		return refuse(ReasonType, "package %.80q is of the unknown ecosystem %.40q", p.Name, p.Ecosystem)
	}
	if p.Name == "" || len(p.Name) > maxName || strings.ContainsFunc(p.Name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return refuse(ReasonMalformed, "%.80q is no name of a package", p.Name)
	}
	if !p.pinned() {
		return refuse(ReasonUnpinned, "%s package %s has no pinned version (%.80q)", p.Ecosystem, p.Name, p.Version)
	}
	return nil
}

// pinned reports whether the version is one version: three numbers and what semantic
// versioning lets follow; for PyPI anything of PEP 440 that is no range.
func (p Package) pinned() bool {
	if len(p.Version) > maxVersion || strings.Trim(p.Version, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+-_!") != "" {
		return false
	}
	if p.Ecosystem == PyPI {
		return p.Version != "" && p.Version[0] >= '0' && p.Version[0] <= '9'
	}
	core := p.Version
	if i := strings.IndexAny(core, "+-"); i >= 0 {
		core = core[:i]
	}
	numbers := strings.Split(core, ".")
	return len(numbers) == 3 && !slices.ContainsFunc(numbers, func(n string) bool {
		return n == "" || strings.Trim(n, "0123456789") != ""
	})
}
