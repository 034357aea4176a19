package signature

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// Names and bounds of the signature of a skill.
const (
	File      = "skill.sigstore.json" // in the skill's folder
	MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	MaxBundle = 1 * abi.MiB
)

// Config says whom a Verifier trusts. The zero value trusts nobody.
type Config struct {
	Publishers []Publisher
	Roots      map[string]Root // by name; "" replaces the embedded public-good root
}

// Verifier verifies bundles. It is immutable and safe for concurrent use.
type Verifier struct {
	keys   map[string]keyed // by hint
	ranges []certified      // one per root
}

// keyed is a pinned key with its publisher.
type keyed struct {
	*authority
	publisher Publisher
}

// certified are the identities under one root.
type certified struct {
	*authority
	publishers []Publisher
	matchers   []verify.CertificateIdentity // of the publishers, in their order
}

// Signed is what a verified bundle proves.
type Signed struct {
	Publisher string    // name in the configuration
	Class     Class     // what had to be proved
	Signer    string    // the certificate's name, or the key's hint
	Issuer    string    // who vouched for that name; "" for a key
	Source    string    // repository in the certificate; "" without one
	Predicate string    // PredicateSkill or PredicateCosign
	Statement *Facts    // of PredicateSkill; nil for cosign's, which says nothing but the digest
	At        time.Time // when it was signed, as an authority or a log says; zero for PinnedPlain
}

// New builds a verifier, or fails: no publisher is left out.
func New(cfg Config) (*Verifier, error) {
	v := &Verifier{keys: map[string]keyed{}}
	names := map[string]bool{}
	byRoot := map[string]*certified{}
	for _, p := range cfg.Publishers {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("trust: %w", err)
		}
		if names[p.Name] {
			return nil, fmt.Errorf("trust: two publishers are named %q", p.Name)
		}
		names[p.Name] = true
		if err := v.add(cfg, p, byRoot); err != nil {
			return nil, fmt.Errorf("trust: publisher %q: %w", p.Name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byRoot)) {
		v.ranges = append(v.ranges, *byRoot[name])
	}
	return v, nil
}

func (v *Verifier) add(cfg Config, p Publisher, byRoot map[string]*certified) error {
	if p.Key != nil {
		return v.pin(cfg, p)
	}
	m, err := p.Identity.matcher()
	if err != nil {
		return err
	}
	c := byRoot[p.TrustedRoot]
	if c == nil {
		r, err := cfg.root(p.TrustedRoot)
		if err != nil {
			return err
		}
		if !r.Class.keyless() {
			return fmt.Errorf("trusted root %q: %w for identities: %q", p.TrustedRoot, errClass, string(r.Class))
		}
		tr, err := r.parse()
		if err != nil {
			return err
		}
		a, err := newAuthority(r.Class, tr)
		if err != nil {
			return err
		}
		c = &certified{authority: a}
		byRoot[p.TrustedRoot] = c
	}
	c.publishers, c.matchers = append(c.publishers, p), append(c.matchers, m)
	return nil
}

func (v *Verifier) pin(cfg Config, p Publisher) error {
	k := keyed{publisher: p}
	var err error
	if p.Key.class() == PinnedPlain {
		k.authority, err = p.Key.authority(nil)
	} else {
		r, rerr := cfg.root(p.TrustedRoot)
		if rerr != nil {
			return rerr
		}
		tr, rerr := r.parse()
		if rerr != nil {
			return rerr
		}
		k.authority, err = p.Key.authority(tr)
	}
	if err != nil {
		return err
	}
	if other, ok := v.keys[p.Key.Hint]; ok {
		return fmt.Errorf("%w: publisher %q has the same one", ErrKey, other.publisher.Name)
	}
	v.keys[p.Key.Hint] = k
	return nil
}

func (c Config) root(name string) (Root, error) {
	r, ok := c.Roots[name]
	switch {
	case ok:
		return r, nil
	case name == "":
		return PublicGoodRoot(), nil
	}
	return Root{}, fmt.Errorf("there is no trusted root %q", name)
}

// Verify checks the bundle of the skill whose OCI manifest has that digest, and whose
// name is skill. An empty bundle is a missing one. The error is a *Refusal.
func (v *Verifier) Verify(raw []byte, manifest abi.Digest, skill abi.SkillName) (*Signed, error) {
	s, r := v.verify(raw, manifest, skill)
	if r != nil {
		return nil, r
	}
	return s, nil
}

func (v *Verifier) verify(raw []byte, manifest abi.Digest, skill abi.SkillName) (*Signed, *Refusal) {
	if _, err := abi.ParseDigest(string(manifest)); err != nil {
		return nil, refuse(ReasonDigest, skill, "", err)
	}
	sum, err := hex.DecodeString(manifest.Hex())
	if err != nil {
		return nil, refuse(ReasonDigest, skill, "", err)
	}
	b, reason, err := load(raw)
	if err != nil {
		return nil, refuse(reason, skill, "", err)
	}
	if b.GetDsseEnvelope() == nil {
		return nil, refuse(ReasonKind, skill, "it signs bytes and makes no statement", nil)
	}
	by := v.byIdentity
	if b.GetVerificationMaterial().GetPublicKey() != nil {
		by = v.byKey
	}
	s, refused := by(b, sum, skill)
	if refused != nil {
		refused = v.invite(refused, b, skill)
	}
	return s, refused
}

// load parses a bundle, bounded. The library reads the statement with two parsers, so
// that a third, which takes nothing for two things, reads it first.
func load(raw []byte) (*bundle.Bundle, Reason, error) {
	if len(raw) == 0 {
		return nil, ReasonMissing, fmt.Errorf("no bundle")
	}
	if len(raw) > MaxBundle {
		return nil, ReasonSize, fmt.Errorf("%d bytes", len(raw))
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(raw); err != nil {
		return nil, ReasonMalformed, err
	}
	if e := b.GetDsseEnvelope(); e != nil {
		if e.GetPayloadType() != payloadType {
			return nil, ReasonMalformed, fmt.Errorf("payload type %q", e.GetPayloadType())
		}
		if err := abi.CheckJSON(e.GetPayload(), abi.MaxJSONDepth); err != nil {
			return nil, ReasonMalformed, fmt.Errorf("statement: %w", err)
		}
	}
	return &b, "", nil
}

func (v *Verifier) byKey(b *bundle.Bundle, sum []byte, skill abi.SkillName) (*Signed, *Refusal) {
	hint := b.GetVerificationMaterial().GetPublicKey().GetHint()
	k, ok := v.keys[hint]
	if !ok {
		if len(v.keys) == 0 {
			return nil, refuse(ReasonKind, skill, "a key signed it, and every publisher signs with an identity", nil)
		}
		return nil, refuse(ReasonKey, skill, "", errHint)
	}
	res, reason, err := k.check(b, "sha256", sum, verify.WithKey())
	if err != nil {
		return nil, refuse(reason, skill, "", err)
	}
	return conclude(k.class, []Publisher{k.publisher}, hint, res, sum, skill)
}

func (v *Verifier) byIdentity(b *bundle.Bundle, sum []byte, skill abi.SkillName) (*Signed, *Refusal) {
	if len(v.ranges) == 0 {
		return nil, refuse(ReasonKind, skill, "an identity signed it, and every publisher signs with a key", nil)
	}
	var closest *Refusal
	for _, c := range v.ranges {
		policy := make([]verify.PolicyOption, len(c.matchers))
		for i, m := range c.matchers {
			policy[i] = verify.WithCertificateIdentity(m)
		}
		res, reason, err := c.check(b, "sha256", sum, policy...)
		if err == nil {
			return conclude(c.class, c.named(res), "", res, sum, skill)
		}
		if r := refuse(reason, skill, "", err); closest == nil || closer(r.Reason, closest.Reason) {
			closest = r
		}
	}
	return nil, closest
}

func closer(a, b Reason) bool {
	order := Reasons()
	return slices.Index(order, a) > slices.Index(order, b)
}

// named returns every publisher whose identity the verified certificate has.
func (c *certified) named(res *verify.VerificationResult) []Publisher {
	var out []Publisher
	for i, m := range c.matchers {
		if m.Verify(*res.Signature.Certificate) == nil {
			out = append(out, c.publishers[i])
		}
	}
	return out
}

// conclude decides what the verified result means for this skill.
func conclude(class Class, signers []Publisher, hint string, res *verify.VerificationResult, sum []byte, skill abi.SkillName) (*Signed, *Refusal) {
	i := slices.IndexFunc(signers, func(p Publisher) bool { return p.allows(skill) })
	if i < 0 {
		return nil, refuse(ReasonSkill, skill, "", nil)
	}
	f, refusal := read(res.Statement, sum, skill)
	if refusal != nil {
		return nil, refusal
	}
	s := &Signed{Publisher: signers[i].Name, Class: class, Signer: hint, Predicate: res.Statement.GetPredicateType(), Statement: f}
	if c := res.Signature.Certificate; c != nil {
		s.Signer, s.Issuer, s.Source = c.SubjectAlternativeName, c.Issuer, c.SourceRepositoryURI
	}
	if len(res.VerifiedTimestamps) > 0 {
		s.At = res.VerifiedTimestamps[0].Timestamp.UTC()
	}
	return s, nil
}
