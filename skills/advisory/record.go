package advisory

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/ossf/osv-schema/bindings/go/osvschema"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// record is one advisory as the index keeps it for one ecosystem.
type record struct {
	id       string
	modified time.Time
	names    []string // normalised, none twice
	facts    []byte   // protobuf Vulnerability: what the matcher reads, rewritten by decidable
}

// errElsewhere is what parse says of a record that is not about the ecosystem, or has
// been withdrawn: it is read, and left out.
var errElsewhere = errors.New("not of this ecosystem")

// parse reads an OSV record for one ecosystem. A field that this build does not know is
// normal; text that is no record is an error.
func parse(eco sbom.Ecosystem, text []byte) (*record, error) {
	var v osvschema.Vulnerability
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, &v); err != nil {
		return nil, err
	}
	if v.GetId() == "" || len(v.GetId()) > maxVersion {
		return nil, errors.New("no id, or one that is too long")
	}
	if v.GetModified() == nil || v.GetModified().CheckValid() != nil {
		return nil, errors.New("no time of modification")
	}
	r := &record{id: v.GetId(), modified: v.GetModified().AsTime()}
	// Some exports leave modified at year 1. Nothing is published after it was changed last.
	if p := v.GetPublished(); p.CheckValid() == nil && p.AsTime().After(r.modified) {
		r.modified = p.AsTime()
	}
	if v.GetWithdrawn() != nil {
		return r, errElsewhere
	}
	facts := &osvschema.Vulnerability{Id: v.GetId(), Aliases: v.GetAliases(), Severity: v.GetSeverity(), Summary: v.GetSummary(), DatabaseSpecific: v.GetDatabaseSpecific()}
	for _, a := range v.GetAffected() {
		one, err := affected(eco, a)
		if err != nil {
			return nil, err
		}
		if one == nil {
			continue
		}
		facts.Affected = append(facts.Affected, one)
		r.names = append(r.names, one.GetPackage().GetName())
	}
	if len(r.names) == 0 {
		return r, errElsewhere
	}
	slices.Sort(r.names)
	r.names = slices.Compact(r.names)
	var err error
	r.facts, err = proto.Marshal(facts)
	return r, err
}

// affected returns what the matcher needs of a, nil if a is of another ecosystem.
func affected(eco sbom.Ecosystem, a *osvschema.Affected) (*osvschema.Affected, error) {
	base, _, _ := strings.Cut(a.GetPackage().GetEcosystem(), ":")
	reg, ok := registryOf(eco)
	if !ok || base != string(eco) {
		return nil, nil //nolint:nilnil // nothing of it concerns this ecosystem
	}
	name := reg.name(a.GetPackage().GetName())
	if name == "" || len(name) > maxName {
		return nil, errors.New("affects a package with an empty or overlong name")
	}
	out := &osvschema.Affected{Package: &osvschema.Package{Name: name, Ecosystem: base}, Severity: a.GetSeverity()}
	for _, v := range a.GetVersions() {
		if len(v) > maxVersion {
			return nil, errors.New("a version is too long")
		}
		out.Versions = append(out.Versions, v)
		if c := canonical(eco, v); c != v {
			out.Versions = append(out.Versions, c)
		}
	}
	for _, r := range a.GetRanges() {
		for _, e := range r.GetEvents() {
			if max(len(e.GetIntroduced()), len(e.GetFixed()), len(e.GetLastAffected()), len(e.GetLimit())) > maxVersion {
				return nil, errors.New("a version is too long")
			}
		}
	}
	out.Ranges = decidable(a)
	return out, nil
}

// decidable returns the ranges of a that the matcher can evaluate. It passes over an entry
// without ranges and versions, stops at the first range of another type than SEMVER and
// ECOSYSTEM, and finds nothing in a range that nothing opens; all three would read as
// "not affected". Commits say nothing about a version, so GIT ranges go where there is
// something else to go by; what remains undecidable affects every version.
func decidable(a *osvschema.Affected) []*osvschema.Range {
	every := []*osvschema.Range{{Type: osvschema.Range_ECOSYSTEM, Events: []*osvschema.Event{{Introduced: "0"}}}}
	var out []*osvschema.Range
	for _, r := range a.GetRanges() {
		switch r.GetType() {
		case osvschema.Range_GIT:
			continue
		case osvschema.Range_SEMVER, osvschema.Range_ECOSYSTEM:
		default:
			return every
		}
		if !opens(r) {
			return every
		}
		out = append(out, &osvschema.Range{Type: r.GetType(), Events: r.GetEvents()})
	}
	if len(out) == 0 && len(a.GetVersions()) == 0 {
		return every
	}
	return out
}

// opens reports whether a range has a beginning, and one version in each event.
func opens(r *osvschema.Range) bool {
	begins := false
	for _, e := range r.GetEvents() {
		n := 0
		for _, v := range []string{e.GetIntroduced(), e.GetFixed(), e.GetLastAffected(), e.GetLimit()} {
			if v != "" {
				n++
			}
		}
		if n != 1 {
			return false
		}
		begins = begins || e.GetIntroduced() != ""
	}
	return begins
}
