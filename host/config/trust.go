package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// Bounds of Trust.
const (
	maxPublishers = 256
	maxWaivers    = 1024
	minRefresh    = 10 * time.Minute
	maxRefresh    = 7 * 24 * time.Hour
	// MaxAdvisoryAge is the default of advisories.max_age, and its ceiling.
	MaxAdvisoryAge = 30 * 24 * time.Hour
)

// LocalPublisher is the name of this machine's own key, which no publisher of the file
// may take.
const LocalPublisher = "local"

// Trust says whose skills are loaded. The zero value trusts nobody but the operator's
// own key, STATE/keys/publisher.pem.
type Trust struct {
	Publishers []Publisher   `yaml:"publishers"`
	Roots      []TrustedRoot `yaml:"roots"`
	Advisories Advisories    `yaml:"advisories"`
	Deny       []Denied      `yaml:"deny"`    // what is not loaded, whoever signed it
	Refresh    abi.Duration  `yaml:"refresh"` // how often the daemon refreshes registries; 0: only the operator does
	Current    bool          `yaml:"current"` // true: while a registry has expired, what others signed is not loaded
}

// Publisher is somebody whose skills are loaded: exactly one of Key and Identity.
type Publisher struct {
	Name     PublisherName `yaml:"name"`
	Skills   []string      `yaml:"skills"` // what it may sign: NAME, BEGINNING-* or *; absent = nothing
	Key      string        `yaml:"key"`    // file with the public key, PEM
	From     abi.Date      `yaml:"from"`   // the key's first day, UTC
	Until    abi.Date      `yaml:"until"`  // the key's last day, UTC
	Identity *Identity     `yaml:"identity"`
	Root     PublisherName `yaml:"root"` // name of a root; absent = Sigstore's public good
}

// Identity is who a certificate names: an issuer, and exactly one of SAN and
// SANPattern.
type Identity struct {
	Issuer            string `yaml:"issuer"`
	SAN               string `yaml:"san"`
	SANPattern        string `yaml:"san_pattern"`
	SourceRepository  string `yaml:"source_repository"`
	RunnerEnvironment string `yaml:"runner_environment"`
}

// TrustedRoot is a file of trust anchors.
type TrustedRoot struct {
	Name  PublisherName `yaml:"name"`
	File  string        `yaml:"file"`  // trusted_root.json
	Class RootClass     `yaml:"class"` // public-good or private
}

// Advisories says what is done about known vulnerabilities of a skill's dependencies.
type Advisories struct {
	MaxAge   abi.Duration `yaml:"max_age"`  // of the data, at most 720h (default)
	Severity Severity     `yaml:"severity"` // from which on an advisory blocks; default any
	Required bool         `yaml:"required"` // true: the operator's own skills are not loaded unchecked either
	Waivers  []Waiver     `yaml:"waivers"`
}

// Waiver lets one advisory pass for one version of one package, until a day.
type Waiver struct {
	ID        string   `yaml:"id"`
	Ecosystem string   `yaml:"ecosystem"` // Go, npm, crates.io or PyPI
	Package   string   `yaml:"package"`
	Version   string   `yaml:"version"`
	Expires   abi.Date `yaml:"expires"` // the last day, UTC
	Why       string   `yaml:"why"`
	// Bundle restricts it to one bundle, by the digest of its artifact; code that is
	// known to be malicious needs it.
	Bundle abi.Digest `yaml:"bundle"`
}

// Denied is a skill that is not loaded: the digest of its artifact or of its
// skill.manifest.json.
type Denied struct {
	Digest abi.Digest `yaml:"digest"`
	Why    string     `yaml:"why"`
}

// PublisherName is the operator's name for a publisher or a root: lower-case words
// joined by hyphens.
type PublisherName string

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *PublisherName) UnmarshalText(b []byte) error {
	if len(b) > 64 || !agentNameRE.Match(b) {
		return fmt.Errorf("name %q: want lower-case words joined by single hyphens, at most 64 bytes", b)
	}
	*n = PublisherName(b)
	return nil
}

// RootClass says what the signatures under a root have to bring along.
type RootClass string

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *RootClass) UnmarshalText(b []byte) error {
	switch string(b) {
	case "public-good", "private":
		*c = RootClass(b)
		return nil
	}
	return fmt.Errorf("class %q: want public-good or private", b)
}

// Severity is a threshold: any, low, medium, high or critical. "" is any.
type Severity string

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Severity) UnmarshalText(b []byte) error {
	if !slices.Contains([]string{"any", "low", "medium", "high", "critical"}, string(b)) {
		return fmt.Errorf("severity %q: want any, low, medium, high or critical", b)
	}
	*s = Severity(b)
	return nil
}

// check refuses what no single value shows. Keys, identities and roots are read when
// the verifier is built.
func (t Trust) check() error {
	if len(t.Publishers) > maxPublishers || len(t.Roots) > maxPublishers || len(t.Deny) > maxWaivers {
		return fmt.Errorf("trust: more than %d publishers or roots, or more than %d denied", maxPublishers, maxWaivers)
	}
	roots, names := map[PublisherName]bool{"": true}, map[PublisherName]bool{LocalPublisher: true}
	for i, r := range t.Roots {
		if r.Name == "" || r.File == "" || r.Class == "" || roots[r.Name] {
			return fmt.Errorf("trust.roots[%d]: want a name of its own, a file and a class", i)
		}
		roots[r.Name] = true
	}
	for i, p := range t.Publishers {
		if err := p.check(names, roots); err != nil {
			return fmt.Errorf("trust.publishers[%d]: %w", i, err)
		}
		names[p.Name] = true
	}
	for i, d := range t.Deny {
		if _, err := abi.ParseDigest(string(d.Digest)); err != nil {
			return fmt.Errorf("trust.deny[%d].digest: %w", i, err)
		}
	}
	if r := time.Duration(t.Refresh); r != 0 && (r < minRefresh || r > maxRefresh) {
		return fmt.Errorf("trust.refresh: %s is not between %s and %s", r, minRefresh, maxRefresh)
	}
	return t.Advisories.check()
}

func (p Publisher) check(names, roots map[PublisherName]bool) error {
	switch {
	case p.Name == "":
		return errors.New("name is missing")
	case p.Name == LocalPublisher:
		return fmt.Errorf("name: %q is this machine's own key, which is trusted without an entry", p.Name)
	case names[p.Name]:
		return fmt.Errorf("name: %q is used twice", p.Name)
	case (p.Key == "") == (p.Identity == nil):
		return errors.New("want exactly one of key and identity")
	case p.Identity != nil && (p.Identity.Issuer == "" || (p.Identity.SAN == "") == (p.Identity.SANPattern == "")):
		return errors.New("identity: want issuer, and exactly one of san and san_pattern")
	case p.Identity != nil && !(p.From.IsZero() && p.Until.IsZero()):
		return errors.New("from and until are days of a key")
	case !p.From.IsZero() && !p.Until.IsZero() && !p.From.End().Before(p.Until.End()):
		return fmt.Errorf("until: %s is not after %s", p.Until, p.From)
	case len(p.Skills) == 0:
		return errors.New("skills is missing: name what it may sign, such as [acme-weather] or [\"acme-*\"]")
	case !roots[p.Root]:
		return fmt.Errorf("root: there is no root %q", p.Root)
	}
	return nil
}

func (a Advisories) check() error {
	if age := time.Duration(a.MaxAge); age < time.Hour || age > MaxAdvisoryAge {
		return fmt.Errorf("trust.advisories.max_age: %s is not between 1h and %s", age, MaxAdvisoryAge)
	}
	if len(a.Waivers) > maxWaivers {
		return fmt.Errorf("trust.advisories.waivers: more than %d", maxWaivers)
	}
	for i, w := range a.Waivers {
		switch {
		case w.ID == "" || w.Ecosystem == "" || w.Package == "" || w.Version == "" || w.Expires.IsZero() || strings.TrimSpace(w.Why) == "":
			return fmt.Errorf("trust.advisories.waivers[%d]: want id, ecosystem, package, version, expires and why", i)
		case w.Bundle == "" && strings.HasPrefix(w.ID, "MAL-"):
			return fmt.Errorf("trust.advisories.waivers[%d]: %s says that the package is malicious: it is waived for one bundle only, by its digest", i, w.ID)
		}
		if w.Bundle != "" {
			if _, err := abi.ParseDigest(string(w.Bundle)); err != nil {
				return fmt.Errorf("trust.advisories.waivers[%d].bundle: %w", i, err)
			}
		}
	}
	return nil
}
