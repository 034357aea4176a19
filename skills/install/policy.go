package install

import (
	"fmt"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// PolicyOf turns the configuration into the policy of a gate.
func PolicyOf(t config.Trust) (Policy, error) {
	p := Policy{Advisories: advisory.Policy{MaxAge: time.Duration(t.Advisories.MaxAge)}, Denied: map[abi.Digest]string{}}
	if s := t.Advisories.Severity; s != "" {
		level, err := advisory.ParseLevel(string(s))
		if err != nil {
			return Policy{}, fmt.Errorf("trust.advisories.severity: %w", err)
		}
		p.Advisories.Severity = level
	}
	for _, w := range t.Advisories.Waivers {
		p.Advisories.Waivers = append(p.Advisories.Waivers, advisory.Waiver{
			ID: w.ID, Ecosystem: sbom.Ecosystem(w.Ecosystem), Package: w.Package, Version: w.Version,
			Expires: w.Expires.End(), Why: w.Why, Bundle: w.Bundle,
		})
	}
	if !t.Advisories.Required {
		p.Lenient = config.LocalPublisher
	}
	for _, d := range t.Deny {
		p.Denied[d.Digest] = d.Why
	}
	return p, nil
}

// Open builds the gate of a configuration, with this machine's own key where there is
// one.
func Open(state *config.State, t config.Trust) (*Gate, error) {
	trusted, err := signature.Trusted(state, t)
	if err != nil {
		return nil, err
	}
	v, err := signature.New(trusted)
	if err != nil {
		return nil, err
	}
	policy, err := PolicyOf(t)
	if err != nil {
		return nil, err
	}
	return NewGate(v, policy)
}
