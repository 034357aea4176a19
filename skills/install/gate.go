package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// Verifier tells who signed an artifact, if it is somebody whom the operator trusts for
// skills of that name; see signature.Verifier.
type Verifier interface {
	Verify(bundle []byte, artifact abi.Digest, skill abi.SkillName) (*signature.Signed, error)
}

// Advisories answers what is known against packages; see advisory.Index.
type Advisories interface {
	Check(ctx context.Context, packages []sbom.Package, p advisory.Policy, now time.Time) (advisory.Report, error)
}

// Policy is what the operator decides beside whom to trust. The zero value admits
// nothing that has dependencies.
type Policy struct {
	Advisories advisory.Policy
	// Lenient is the publisher whose skills load without advisories where there are
	// none: what was built on this machine by its operator. "" is nobody.
	Lenient string
	Denied  map[abi.Digest]string // of artifacts or of skill.manifest.json, with the reason
}

// Known is what is known at one moment.
type Known struct {
	Advisories  Advisories // nil: there is no database
	Revoked     []Revocation
	Unrevocable error // why Revoked is not known: nothing is admitted
	Now         time.Time
}

// Revocation withdraws one bundle, by the digest of its artifact or of its manifest, or
// everything that one signer signed, whenever that was.
type Revocation struct {
	Digest abi.Digest
	Signer abi.Signer
	By     string // who says so
	Reason string // their words
}

// covers reports whether r is about the bundle of a.
func (r Revocation) covers(a *Admission) bool {
	return r.Digest != "" && (r.Digest == a.Artifact || r.Digest == a.Manifest) || r.Signer != abi.Signer{} && r.Signer == a.Signer
}

// Gate decides whether a skill may be loaded. It is safe for concurrent use.
type Gate struct {
	verifier Verifier
	policy   Policy

	mu      sync.Mutex                   // guards modules
	modules map[abi.Digest]*dependencies // by digest of the module: its bytes never change
}

// dependencies is what a module says of itself.
type dependencies struct {
	list *sbom.List
	err  error
}

// maxModules bounds what a gate remembers.
const maxModules = 4096

// NewGate builds a gate; without a verifier there is none.
func NewGate(v Verifier, p Policy) (*Gate, error) {
	if v == nil {
		return nil, errors.New("a gate without a verifier")
	}
	return &Gate{verifier: v, policy: p, modules: map[abi.Digest]*dependencies{}}, nil
}

// Admission says that a skill may be loaded, and why.
type Admission struct {
	Skill     abi.SkillName `json:"skill"`
	Version   string        `json:"version"`
	Artifact  abi.Digest    `json:"artifact"` // what was signed
	Manifest  abi.Digest    `json:"manifest"` // what a grant pins
	Publisher string        `json:"publisher"`
	Signer    abi.Signer    `json:"signer"`
	Source    string        `json:"source,omitempty"` // repository that the certificate names
	Signed    time.Time     `json:"signed,omitzero"`  // zero: nobody says when
	Predicate string        `json:"predicate"`

	Packages []sbom.Package     `json:"packages"`
	Findings []advisory.Finding `json:"findings,omitempty"`  // known, and let pass
	Data     []advisory.Source  `json:"data,omitempty"`      // what the check rests on
	Open     string             `json:"unchecked,omitempty"` // why advisories were not asked
	Time     time.Time          `json:"time"`
}

// Proof returns what a grant is held against.
func (a *Admission) Proof() abi.Proof { return abi.Proof{Digest: a.Manifest, Signer: a.Signer} }

// Look judges a bundle without reading its module, which Load does. artifact is the
// digest that is expected, "" for any. The error is a *Refusal.
func (g *Gate) Look(ctx context.Context, b *skills.Bundle, expected abi.Digest, k Known) (*Admission, error) {
	a, _, err := g.judge(ctx, b, expected, k, false)
	return a, err
}

// Load judges a bundle and everything in it, and returns its module.
func (g *Gate) Load(ctx context.Context, b *skills.Bundle, expected abi.Digest, k Known) (abi.Blob, *Admission, error) {
	a, module, err := g.judge(ctx, b, expected, k, true)
	return module, a, err
}

func (g *Gate) judge(ctx context.Context, b *skills.Bundle, expected abi.Digest, k Known, whole bool) (*Admission, abi.Blob, error) {
	a, module, err := g.try(ctx, b, expected, k, whole)
	if err != nil {
		return nil, abi.Blob{}, refusal(b.Name(), config.ShellQuote(b.Dir), err)
	}
	return a, module, nil
}

func (g *Gate) try(ctx context.Context, b *skills.Bundle, expected abi.Digest, k Known, whole bool) (*Admission, abi.Blob, error) {
	digest, err := artifact.DigestOf(b)
	if err != nil {
		return nil, abi.Blob{}, err
	}
	if expected != "" && digest != expected {
		return nil, abi.Blob{}, refuse(ReasonLock, b.Name(), "its artifact is %s, and the lock file names %s", digest, expected)
	}
	a, err := g.signed(b, digest, k.Now)
	if err != nil {
		return nil, abi.Blob{}, err
	}
	if err := g.revoked(a, k); err != nil {
		return nil, abi.Blob{}, err
	}
	var module abi.Blob
	if whole {
		if module, err = b.Read(); err != nil {
			if errors.Is(err, skills.ErrDigest) {
				return nil, abi.Blob{}, refuse(ReasonModule, b.Name(), "the module is not the one that was signed").fix("glovebox skill build %s", config.ShellQuote(b.Dir)).because(err)
			}
			return nil, abi.Blob{}, err
		}
		for _, f := range b.Manifest.Files {
			if _, err := b.ReadFile(f.Name); err != nil {
				return nil, abi.Blob{}, err
			}
		}
	}
	if err := g.depends(b, a, module.Bytes()); err != nil {
		return nil, abi.Blob{}, err
	}
	if err := g.advised(ctx, a, k); err != nil {
		return nil, abi.Blob{}, err
	}
	return a, module, nil
}

// signed finds out who vouches for exactly these files, and that the signed facts are
// those of the manifest.
func (g *Gate) signed(b *skills.Bundle, digest abi.Digest, now time.Time) (*Admission, error) {
	raw, err := readSignature(b.Dir)
	if err != nil {
		return nil, err
	}
	s, err := g.verifier.Verify(raw, digest, b.Name())
	if err != nil {
		return nil, err
	}
	if s.Statement != nil {
		if err := s.Statement.Check(signature.FactsOf(b.Manifest, b.Digest)); err != nil {
			return nil, err
		}
	}
	a := &Admission{
		Skill: b.Name(), Version: b.Manifest.Manifest.Version, Artifact: digest, Manifest: b.Digest,
		Publisher: s.Publisher, Signer: abi.Signer{Issuer: s.Issuer, Identity: s.Signer}, Source: s.Source,
		Signed: s.At, Predicate: s.Predicate, Time: now.UTC(),
	}
	if s.Issuer == "" {
		a.Signer = abi.Signer{Key: s.Signer}
	}
	return a, nil
}

// choose returns the signature of an offer that is good, or why none is.
func (g *Gate) choose(o Offer) ([]byte, error) {
	candidates := o.Signatures
	if len(candidates) == 0 {
		candidates = [][]byte{nil} // the verifier says what that means
	}
	var first error
	for _, sig := range candidates {
		if _, err := g.verifier.Verify(sig, o.Artifact.Digest, o.Artifact.Name); err == nil {
			return sig, nil
		} else if first == nil {
			first = err
		}
	}
	return nil, refusal(o.Artifact.Name, "DIR", first)
}

// readSignature returns nil where there is none: the verifier says what that means.
func readSignature(dir string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	info, err := root.Lstat(signature.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", filepath.Join(dir, signature.File))
	}
	f, err := root.Open(signature.File)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, signature.MaxBundle+1))
}

// revoked refuses what the operator or a registry has withdrawn: the bundle, or
// whoever signed it.
func (g *Gate) revoked(a *Admission, k Known) error {
	for _, d := range []abi.Digest{a.Artifact, a.Manifest} {
		if why, denied := g.policy.Denied[d]; denied {
			return refuse(ReasonRevoked, a.Skill, "the operator denies %s: %q", d, why)
		}
	}
	if k.Unrevocable != nil && !g.lenient(a) {
		return refuse(ReasonRevocations, a.Skill, "it cannot be known what registries have withdrawn: %v", k.Unrevocable).
			fix("glovebox registry refresh").because(k.Unrevocable)
	}
	for _, r := range k.Revoked {
		if r.covers(a) {
			return refuse(ReasonRevoked, a.Skill, "%s withdrew it: %q", r.By, r.Reason)
		}
	}
	return nil
}

// depends finds out what the module was built from. Without the module's bytes the
// document of the bundle counts, unless the module is known from before.
func (g *Gate) depends(b *skills.Bundle, a *Admission, module []byte) error {
	var document *sbom.List
	if slices.ContainsFunc(b.Manifest.Files, func(f abi.File) bool { return f.Name == skills.SBOMFile }) {
		text, err := b.ReadFile(skills.SBOMFile)
		if err != nil {
			return err
		}
		if document, err = sbom.Parse(text); err != nil {
			return err
		}
	}
	own := g.said(b.Manifest.Module, module)
	if own == nil {
		own = &dependencies{}
	}
	if own.err != nil {
		return own.err
	}
	if err := sbom.Agree(own.list, document); err != nil {
		return err
	}
	a.Packages = slices.Clone(document.Packages)
	if own.list != nil {
		for _, p := range own.list.Packages {
			if !slices.Contains(a.Packages, p) {
				a.Packages = append(a.Packages, p)
			}
		}
	}
	return nil
}

// said returns what a module says of itself: from its bytes, or from memory; nil if
// neither is there.
func (g *Gate) said(digest abi.Digest, module []byte) *dependencies {
	g.mu.Lock()
	defer g.mu.Unlock()
	if known := g.modules[digest]; known != nil || module == nil {
		return known
	}
	d := &dependencies{}
	d.list, d.err = sbom.FromModule(module)
	if len(g.modules) >= maxModules {
		clear(g.modules)
	}
	g.modules[digest] = d
	return d
}

// advised asks the advisories about each ecosystem by itself, so that one without data
// hides nothing that is known of another. No packages need no data.
func (g *Gate) advised(ctx context.Context, a *Admission, k Known) error {
	policy := g.policy.Advisories
	policy.Bundle = a.Artifact
	byEcosystem := map[sbom.Ecosystem][]sbom.Package{}
	var order []sbom.Ecosystem
	for _, p := range a.Packages {
		if byEcosystem[p.Ecosystem] == nil {
			order = append(order, p.Ecosystem)
		}
		byEcosystem[p.Ecosystem] = append(byEcosystem[p.Ecosystem], p)
	}
	for _, eco := range order {
		report, err := check(ctx, k, byEcosystem[eco], policy)
		if g.lenient(a) && (errors.Is(err, advisory.ErrNoDB) || errors.Is(err, advisory.ErrStale)) {
			a.Open = err.Error()
			continue
		}
		if err != nil {
			return err
		}
		for _, f := range report.Findings {
			if f.Verdict == advisory.Block {
				return blocked(a.Skill, f)
			}
		}
		if report.Verdict == advisory.Block {
			return refuse(ReasonBlocked, a.Skill, "the advisories for %s say no", eco)
		}
		a.Findings, a.Data = append(a.Findings, report.Findings...), append(a.Data, report.Data...)
	}
	return nil
}

// lenient reports whether a was built here by the operator: what others withdrew or
// published is asked where it is known, and not missed where it is not.
func (g *Gate) lenient(a *Admission) bool {
	return g.policy.Lenient != "" && a.Publisher == g.policy.Lenient
}

func check(ctx context.Context, k Known, packages []sbom.Package, p advisory.Policy) (advisory.Report, error) {
	if k.Advisories == nil {
		return advisory.Report{}, &advisory.Refusal{
			Reason: advisory.ErrNoDB, What: "there are no advisories for " + string(packages[0].Ecosystem) + " here",
			Fix: "glovebox osv update --ecosystem " + string(packages[0].Ecosystem) + " --from FILE",
		}
	}
	return k.Advisories.Check(ctx, packages, p, k.Now)
}

func blocked(skill abi.SkillName, f advisory.Finding) *Refusal {
	if f.Malicious {
		return refuse(ReasonMalicious, skill, "it contains %s, which is known to be malicious (%s)", f.Package, f.ID)
	}
	return refuse(ReasonBlocked, skill, "it contains %s with %s, severity %s", f.Package, f.ID, f.Severity).
		fix("rebuild it with a version that is mended, or waive %s under trust.advisories.waivers", f.ID)
}
