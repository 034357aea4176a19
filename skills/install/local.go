package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// LocalSigner returns this machine's own key from the file at path, mode 0600, and
// makes it first where there is none.
func LocalSigner(path string) (signature.Signer, error) {
	s, err := loadLocal(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	text, err := signature.GenerateKey()
	if err != nil {
		return nil, err
	}
	if err := config.WriteFile(path, text); err != nil {
		return nil, err
	}
	return loadLocal(path)
}

func loadLocal(path string) (signature.Signer, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("load this machine's key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("load this machine's key: %s is not a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, &config.ModeError{Path: path, Mode: info.Mode().Perm(), Want: 0o600}
	}
	text, err := config.ReadOwned(path, signature.MaxKey)
	if err != nil {
		return nil, fmt.Errorf("load this machine's key: %w", err)
	}
	s, err := signature.LoadSigner(text, nil)
	if err != nil {
		return nil, fmt.Errorf("load this machine's key: %s: %w", path, err)
	}
	return s, nil
}

// Publishers turns the configuration, and this machine's key where there is one, into
// whom a verifier trusts. Every file that the configuration names is read.
func Publishers(t config.Trust, localKey string) (signature.Config, error) {
	cfg := signature.Config{Roots: map[string]signature.Root{}}
	for _, r := range t.Roots {
		text, err := config.ReadOwned(r.File, signature.MaxRoot)
		if err != nil {
			return cfg, fmt.Errorf("trust.roots: %s: %w", r.Name, err)
		}
		cfg.Roots[string(r.Name)] = signature.Root{Class: signature.Class(r.Class), JSON: text}
	}
	switch s, err := loadLocal(localKey); {
	case errors.Is(err, fs.ErrNotExist): // nothing was signed here yet
	case err != nil:
		return cfg, err
	default:
		key, err := signature.PublicKeyOf(s)
		if err != nil {
			return cfg, err
		}
		cfg.Publishers = append(cfg.Publishers, signature.Publisher{Name: config.LocalPublisher, Skills: []string{"*"}, Key: key})
	}
	for _, p := range t.Publishers {
		one, err := publisher(p)
		if err != nil {
			return cfg, fmt.Errorf("trust.publishers: %s: %w", p.Name, err)
		}
		cfg.Publishers = append(cfg.Publishers, one)
	}
	return cfg, nil
}

func publisher(p config.Publisher) (signature.Publisher, error) {
	out := signature.Publisher{Name: string(p.Name), Skills: p.Skills, TrustedRoot: string(p.Root)}
	if id := p.Identity; id != nil {
		out.Identity = &signature.Identity{
			Issuer: id.Issuer, SAN: id.SAN, SANPattern: id.SANPattern,
			SourceRepository: id.SourceRepository, RunnerEnvironment: id.RunnerEnvironment,
		}
		return out, nil
	}
	text, err := config.ReadOwned(p.Key, signature.MaxKey)
	if err != nil {
		return out, err
	}
	if out.Key, err = signature.ParseKey(text); err != nil {
		return out, err
	}
	if !p.From.IsZero() {
		out.Key.From = p.From.End().AddDate(0, 0, -1)
	}
	if !p.Until.IsZero() {
		out.Key.Until = p.Until.End()
	}
	return out, nil
}

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

// Open builds the gate of a configuration.
func Open(t config.Trust, localKey string) (*Gate, error) {
	publishers, err := Publishers(t, localKey)
	if err != nil {
		return nil, err
	}
	v, err := signature.New(publishers)
	if err != nil {
		return nil, err
	}
	policy, err := PolicyOf(t)
	if err != nil {
		return nil, err
	}
	return NewGate(v, policy)
}
