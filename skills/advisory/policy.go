package advisory

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills/sbom"
)

// Policy says what may be known against packages that are let in. The zero value
// admits no data as young enough.
type Policy struct {
	MaxAge   time.Duration // of the data
	Severity Level         // what blocks, from here up; Unrated blocks everything
	Waivers  []Waiver
	// Bundle is whose packages these are; only a waiver that names it lets malicious code in.
	Bundle abi.Digest
}

// DefaultPolicy blocks on every advisory and takes data of 30 days.
func DefaultPolicy() Policy { return Policy{MaxAge: 30 * 24 * time.Hour} }

// PolicyOf returns the policy that the operator has configured.
func PolicyOf(a config.Advisories) (Policy, error) {
	level, err := ParseLevel(cmp.Or(string(a.Severity), "any"))
	if err != nil {
		return Policy{}, fmt.Errorf("trust.advisories.severity: %w", err)
	}
	p := Policy{MaxAge: time.Duration(a.MaxAge), Severity: level}
	for _, w := range a.Waivers {
		p.Waivers = append(p.Waivers, Waiver{ID: w.ID, Ecosystem: sbom.Ecosystem(w.Ecosystem), Package: w.Package, Version: w.Version, Expires: w.Expires.End(), Why: w.Why})
	}
	return p, nil
}

// Waiver lets one advisory pass for one package in one version, until it expires.
type Waiver struct {
	ID        string         `json:"id"`
	Ecosystem sbom.Ecosystem `json:"ecosystem"`
	Package   string         `json:"package"`
	Version   string         `json:"version"`
	Expires   time.Time      `json:"expires"`
	Why       string         `json:"why"`
	// Bundle restricts it to one bundle. A malicious package needs it.
	Bundle abi.Digest `json:"bundle,omitempty"`
}

// check refuses a waiver that says less than it must.
func (w Waiver) check() *Refusal {
	if w.ID == "" || w.Expires.IsZero() || strings.TrimSpace(w.Why) == "" {
		return invalid("waiver of %.80q for %.80q: an advisory, an expiry and a reason are required", w.ID, w.Package)
	}
	if _, _, err := normal(w.pkg()); err != nil {
		err.What = fmt.Sprintf("waiver of %.80q: %s", w.ID, err.What)
		return err
	}
	return nil
}

func (w Waiver) pkg() sbom.Package {
	return sbom.Package{Ecosystem: w.Ecosystem, Name: w.Package, Version: w.Version}
}

// covers reports whether w lets f pass in bundle.
func (w Waiver) covers(f *Finding, bundle abi.Digest) bool {
	if w.Bundle == "" && f.Malicious || w.Bundle != "" && w.Bundle != bundle {
		return false
	}
	named, _, err := normal(w.pkg())
	return err == nil && w.ID == f.ID && named == f.Package
}

// Verdict is what follows from a finding or a report. The zero value blocks.
type Verdict uint8

// The verdicts.
const (
	Block Verdict = iota
	Warn          // below the threshold, or waived
	Pass          // nothing is known
)

var verdicts = [...]string{"block", "warn", "pass"}

// String returns the verdict's name.
func (v Verdict) String() string {
	if int(v) < len(verdicts) {
		return verdicts[v]
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}

// MarshalText implements encoding.TextMarshaler.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Finding is one advisory that holds for one package.
type Finding struct {
	Package   sbom.Package `json:"package"` // as the index spells it
	ID        string       `json:"id"`
	Aliases   []string     `json:"aliases,omitempty"`
	Summary   string       `json:"summary,omitempty"` // text of the database: not to be trusted
	Severity  Level        `json:"severity"`
	Malicious bool         `json:"malicious,omitempty"`
	Verdict   Verdict      `json:"verdict"`
	Waiver    *Waiver      `json:"waiver,omitempty"` // what let it pass
}

// judge decides about f. Malicious code blocks at any threshold; an advisory that nobody
// has rated counts as one at the threshold.
func (p *Policy) judge(f *Finding, now time.Time) {
	f.Verdict = Block
	if !f.Malicious && f.Severity != Unrated && f.Severity < p.Severity {
		f.Verdict = Warn
		return
	}
	for i, w := range p.Waivers {
		if now.Before(w.Expires) && w.covers(f, p.Bundle) {
			f.Verdict, f.Waiver = Warn, &p.Waivers[i]
			return
		}
	}
}

// malicious reports whether an advisory is about code that was made to harm.
func malicious(id string, aliases []string) bool {
	for _, a := range append([]string{id}, aliases...) {
		if strings.HasPrefix(a, "MAL-") {
			return true
		}
	}
	return false
}

// Report is the answer of Check.
type Report struct {
	Verdict  Verdict        `json:"verdict"`
	Findings []Finding      `json:"findings"`          // in the order of the packages, by id
	Data     []Source       `json:"data"`              // what the answer rests on
	Expired  []Waiver       `json:"expired,omitempty"` // waivers that no longer count
	Packages []sbom.Package `json:"packages"`          // what was asked, as the index spells it
}
