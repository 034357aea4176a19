package install

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/glovebox-dev/glovebox/skills/signature/signtest"
)

// trial is one skill on its way to being loaded, in order until a row breaks it.
type trial struct {
	*testing.T
	acme      *signtest.KeyPair // publisher "acme", for parcel and acme-*
	local     *signtest.KeyPair // this machine
	authority *signtest.Authority
	roots     map[string]signature.Root
	trusted   []signature.Publisher
	compiled  *abi.Compiled
	module    []byte
	list      []byte
	signature func(*skills.Bundle) []byte // nil: none is written
	after     func(*skills.Bundle)        // what happens to the folder once it is signed
	policy    func(*Policy)
	known     Known
	expected  abi.Digest
}

func newTrial(t *testing.T) *trial {
	tr := &trial{T: t, acme: signtest.Key(t), local: signtest.Key(t), authority: signtest.New(t), compiled: parcel(nil), module: abitest.MCPv2(), list: none(t)}
	tr.roots = map[string]signature.Root{"own": tr.authority.Root(t)}
	tr.trusted = []signature.Publisher{tr.acme.Publisher("carrier", "parcel", "acme-*"), tr.local.Publisher(config.LocalPublisher, "*"), signtest.Publisher("own", "parcel")}
	tr.signature = func(b *skills.Bundle) []byte { return tr.acme.Sign(t, digestOf(t, b), factsOf(b)) }
	tr.known = Known{Advisories: advisories(t, now), Now: now}
	return tr
}

func (tr *trial) run() (*Admission, error) {
	b := put(tr, tr.compiled, tr.module, tr.list)
	if tr.signature != nil {
		write(tr, filepath.Join(b.Dir, signature.File), tr.signature(b))
	}
	if tr.after != nil {
		tr.after(b)
	}
	g := gate(tr, tr.roots, tr.trusted...)
	if tr.policy != nil {
		tr.policy(&g.policy)
	}
	_, a, err := g.Load(tr.Context(), b, tr.expected, tr.known)
	return a, err
}

// keyless signs with the virtual authority's certificate.
func (tr *trial) keyless() {
	tr.signature = func(b *skills.Bundle) []byte { return tr.authority.Sign(tr, digestOf(tr, b), factsOf(b)) }
}

// asLocal signs with the key of this machine.
func (tr *trial) asLocal() {
	tr.signature = func(b *skills.Bundle) []byte { return tr.local.Sign(tr, digestOf(tr, b), factsOf(b)) }
}

func (tr *trial) depends(purls ...string) { tr.list = listed(purls...) }

// TestRefusalMatrix is everything that keeps a skill from being loaded, each with the
// code that it is refused with; "" is a skill that must load.
func TestRefusalMatrix(t *testing.T) {
	t.Parallel()
	other := abi.Digest("sha256:" + strings.Repeat("5", 64))
	for name, c := range map[string]struct {
		reason Reason
		change func(*trial)
	}{
		"signed by a publisher's key":         {"", func(*trial) {}},
		"signed by a publisher's identity":    {"", (*trial).keyless},
		"signed by this machine":              {"", (*trial).asLocal},
		"signed for a name beginning as such": {"", func(tr *trial) { tr.compiled.Manifest.Name = "acme-parcel" }},

		"unsigned":                          {"sig.missing", func(tr *trial) { tr.signature = nil }},
		"an empty signature":                {"sig.missing", func(tr *trial) { tr.signature = func(*skills.Bundle) []byte { return nil } }},
		"no bundle at all":                  {"bundle.malformed", func(tr *trial) { tr.signature = func(*skills.Bundle) []byte { return []byte("{}") } }},
		"an endless signature":              {"bundle.size", func(tr *trial) { tr.signature = func(*skills.Bundle) []byte { return make([]byte, 2<<20) } }},
		"a key that nobody trusts":          {"key.unknown", func(tr *trial) { tr.acme = signtest.Key(tr) }},
		"a publisher of other skills":       {"identity.skill", func(tr *trial) { tr.compiled.Manifest.Name = "letter" }},
		"signed by nobody who is trusted":   {"sig.kind", func(tr *trial) { tr.trusted = nil }},
		"a key where identities are wanted": {"sig.kind", func(tr *trial) { tr.trusted = tr.trusted[2:] }},
		"wrong identity": {"identity.mismatch", func(tr *trial) {
			tr.signature = func(b *skills.Bundle) []byte {
				return signtest.Encode(tr, tr.authority.Bundle(tr, "mallory@evil.example", signtest.Issuer, signtest.Statement(tr, digestOf(tr, b), signature.PredicateSkill, factsOf(b))))
			}
		}},
		"wrong issuer": {"identity.mismatch", func(tr *trial) {
			tr.signature = func(b *skills.Bundle) []byte {
				return signtest.Encode(tr, tr.authority.Bundle(tr, signtest.Signer, "https://issuer.evil.example", signtest.Statement(tr, digestOf(tr, b), signature.PredicateSkill, factsOf(b))))
			}
		}},
		"another authority's certificate": {"tlog.missing", func(tr *trial) { tr.authority = signtest.New(tr); tr.keyless() }},
		"expired, without a timestamp": {"time.missing", func(tr *trial) {
			tr.keyless()
			whole := tr.signature
			tr.signature = func(b *skills.Bundle) []byte {
				pb := signtest.Decode(tr, whole(b))
				pb.VerificationMaterial.TimestampVerificationData = nil
				return signtest.Encode(tr, pb)
			}
		}},
		"a retired key, without a timestamp": {"time.missing", func(tr *trial) {
			key := *tr.acme.Public
			key.Until = now.Add(-24 * time.Hour)
			tr.trusted = []signature.Publisher{{Name: "acme", Skills: []string{"parcel"}, Key: &key, TrustedRoot: "own"}}
		}},
		"stripped inclusion": {"bundle.malformed", func(tr *trial) {
			tr.keyless()
			whole := tr.signature
			tr.signature = func(b *skills.Bundle) []byte {
				pb := signtest.Decode(tr, whole(b))
				pb.VerificationMaterial.TlogEntries[0].InclusionProof = nil
				return signtest.Encode(tr, pb)
			}
		}},
		"no entry of a log": {"tlog.missing", func(tr *trial) {
			tr.keyless()
			whole := tr.signature
			tr.signature = func(b *skills.Bundle) []byte {
				pb := signtest.Decode(tr, whole(b))
				pb.VerificationMaterial.TlogEntries = nil
				return signtest.Encode(tr, pb)
			}
		}},
		"wrong predicate": {"sig.predicate", func(tr *trial) {
			tr.signature = func(b *skills.Bundle) []byte {
				return signtest.Encode(tr, tr.authority.Bundle(tr, signtest.Signer, signtest.Issuer, signtest.Statement(tr, digestOf(tr, b), "https://cyclonedx.org/bom", map[string]any{})))
			}
		}},
		"a signature of other files": {"sig.digest", func(tr *trial) {
			tr.signature = func(b *skills.Bundle) []byte { return tr.acme.Sign(tr, other, factsOf(b)) }
		}},
		"signed facts that differ": {"sig.manifest", func(tr *trial) {
			tr.signature = func(b *skills.Bundle) []byte {
				f := factsOf(b)
				f.Capabilities = abi.Needs{}
				return tr.acme.Sign(tr, digestOf(tr, b), f)
			}
		}},
		"a signature that is a link": {"gate.failed", func(tr *trial) {
			tr.after = func(b *skills.Bundle) { link(tr, b, signature.File) }
		}},

		"tampered module": {"module.digest", func(tr *trial) {
			tr.after = func(b *skills.Bundle) { write(tr, filepath.Join(b.Dir, skills.ModuleFile), abitest.MCPv1()) }
		}},
		"tampered manifest": {"manifest.digest", func(tr *trial) {
			tr.after = func(b *skills.Bundle) { write(tr, filepath.Join(b.Dir, skills.ManifestFile), []byte("{}\n")) }
		}},
		"tampered list of dependencies": {"manifest.digest", func(tr *trial) {
			tr.after = func(b *skills.Bundle) { write(tr, filepath.Join(b.Dir, skills.SBOMFile), listed()) }
		}},
		"not what the lock file names": {"install.lock", func(tr *trial) { tr.expected = other }},

		"revoked bundle": {"skill.revoked", func(tr *trial) {
			tr.revoke(func(b *skills.Bundle) Revocation { return Revocation{Digest: digestOf(tr, b)} })
		}},
		"revoked manifest": {"skill.revoked", func(tr *trial) { tr.revoke(func(b *skills.Bundle) Revocation { return Revocation{Digest: b.Digest} }) }},
		"revoked key":      {"skill.revoked", func(tr *trial) { tr.known.Revoked = []Revocation{{Signer: abi.Signer{Key: tr.acme.Public.Hint}}} }},
		"revoked identity": {"skill.revoked", func(tr *trial) {
			tr.keyless()
			tr.known.Revoked = []Revocation{{Signer: abi.Signer{Issuer: signtest.Issuer, Identity: signtest.Signer}}}
		}},
		"revoked by accident": {"", func(tr *trial) { tr.known.Revoked = []Revocation{{}, {Digest: other}, {Signer: abi.Signer{Key: "x"}}} }},
		"denied in the configuration": {"skill.revoked", func(tr *trial) {
			tr.after = func(b *skills.Bundle) {
				d := digestOf(tr, b)
				tr.policy = func(p *Policy) { p.Denied = map[abi.Digest]string{d: "no"} }
			}
		}},
		"revocations that cannot be read":             {"skill.revocations", func(tr *trial) { tr.known.Unrevocable = errors.New("torn") }},
		"the same, for what this machine built":       {"", func(tr *trial) { tr.asLocal(); tr.known.Unrevocable = errors.New("torn") }},
		"the same, where that is required of it, too": {"skill.revocations", func(tr *trial) { tr.asLocal(); tr.strict(); tr.known.Unrevocable = errors.New("torn") }},

		"no list of dependencies":    {"deps.none", func(tr *trial) { tr.list = nil }},
		"a list that says nothing":   {"deps.none", func(tr *trial) { tr.depends() }},
		"a list without a version":   {"deps.unpinned", func(tr *trial) { tr.depends("pkg:npm/good") }},
		"a list of an unknown type":  {"deps.type", func(tr *trial) { tr.depends("pkg:swid/good@1.0.0") }},
		"a list that cannot be read": {"deps.malformed", func(tr *trial) { tr.list = []byte("{") }},
		"module and document disagree": {"deps.conflict", func(tr *trial) {
			tr.module = withSection(tr.module, listed("pkg:npm/other@2.0.0"))
			tr.depends("pkg:npm/good@1.0.0")
		}},
		"module and document agree": {"", func(tr *trial) {
			tr.module = withSection(tr.module, listed("pkg:npm/good@1.0.0"))
			tr.depends("pkg:npm/good@1.0.0")
		}},

		"no advisories":          {"osv.nodb", func(tr *trial) { tr.depends("pkg:npm/good@1.0.0"); tr.known.Advisories = nil }},
		"none for the ecosystem": {"osv.nodb", func(tr *trial) { tr.depends("pkg:cargo/good@1.0.0") }},
		"advisories that are too old": {"osv.stale", func(tr *trial) {
			tr.depends("pkg:npm/good@1.0.0")
			tr.known.Advisories = advisories(tr, now.AddDate(0, -2, 0))
		}},
		"a package with an advisory":          {"osv.blocked", func(tr *trial) { tr.depends("pkg:npm/bad@1.0.0") }},
		"the same package in another version": {"", func(tr *trial) { tr.depends("pkg:npm/bad@1.0.1") }},
		"an advisory below the threshold":     {"", func(tr *trial) { tr.depends("pkg:npm/dull@1.0.0") }},
		"a malicious package":                 {"osv.malicious", func(tr *trial) { tr.depends("pkg:npm/evil@1.0.0") }},
		"the same, of this machine":           {"osv.malicious", func(tr *trial) { tr.asLocal(); tr.depends("pkg:npm/evil@1.0.0") }},
		"malicious beside what has no data":   {"osv.malicious", func(tr *trial) { tr.asLocal(); tr.depends("pkg:cargo/good@1.0.0", "pkg:npm/evil@1.0.0") }},
		"no dependencies need no advisories":  {"", func(tr *trial) { tr.known.Advisories = nil }},
		"this machine's own, without data":    {"", func(tr *trial) { tr.asLocal(); tr.depends("pkg:npm/good@1.0.0"); tr.known.Advisories = nil }},
		"this machine's own, required": {"osv.nodb", func(tr *trial) {
			tr.asLocal()
			tr.strict()
			tr.depends("pkg:npm/good@1.0.0")
			tr.known.Advisories = nil
		}},
		"an advisory that was waived":           {"", func(tr *trial) { tr.waive("GHSA-bad", "bad", now.AddDate(0, 0, 1)) }},
		"a waiver that expired":                 {"osv.blocked", func(tr *trial) { tr.waive("GHSA-bad", "bad", now) }},
		"a waiver of another package":           {"osv.blocked", func(tr *trial) { tr.waive("GHSA-bad", "good", now.AddDate(0, 0, 1)); tr.depends("pkg:npm/bad@1.0.0") }},
		"a waiver of malice without the bundle": {"osv.malicious", func(tr *trial) { tr.waive("MAL-1", "evil", now.AddDate(0, 0, 1)) }},
		"a broken database, for our own":        {"gate.failed", func(tr *trial) { tr.asLocal(); tr.depends("pkg:npm/good@1.0.0"); tr.known.Advisories = torn{} }},
		"a database that answers with an error": {"gate.failed", func(tr *trial) { tr.depends("pkg:npm/good@1.0.0"); tr.known.Advisories = torn{} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := newTrial(t)
			c.change(tr)
			a, err := tr.run()
			if c.reason == "" {
				if err != nil || a.Publisher == "" || a.Signer == (abi.Signer{}) || a.Artifact == "" || a.Manifest == "" || a.Time.IsZero() {
					t.Fatalf("refused: %v; admission %+v", err, a)
				}
				return
			}
			var r *Refusal
			if !errors.As(err, &r) || r.Reason != c.reason || a != nil {
				t.Fatalf("reason %q, want %q; error %v, admission %v", ReasonOf(err), c.reason, err, a)
			}
			if !strings.Contains(r.Error(), string(c.reason)) || strings.ContainsAny(r.Error(), "\n\x1b") || strings.Contains(r.Fix, "DIR") {
				t.Errorf("shown as %q, hint %q", r.Error(), r.Fix)
			}
		})
	}
}

// FuzzGate lets signatures, lists and modules of anybody through the gate: it answers
// with an admission or with one reason.
func FuzzGate(f *testing.F) {
	key := signtest.Key(f)
	b := put(f, parcel(nil), abitest.MCPv2(), none(f))
	f.Add(key.Sign(f, digestOf(f, b), factsOf(b)), none(f), abitest.MCPv2())
	f.Add([]byte("{}"), listed("pkg:npm/evil@1.0.0"), withSection(abitest.MCPv2(), listed("pkg:npm/bad@1.0.0")))
	f.Add([]byte(nil), []byte("{"), []byte("\x00asm\x01\x00\x00\x00"))
	known := Known{Advisories: advisories(f, now), Now: now}
	g := gate(f, nil, key.Publisher("acme", "*"))
	f.Fuzz(func(t *testing.T, sig, list, module []byte) {
		if len(module) == 0 || len(sig) > 1<<16 || len(list) > 1<<16 || len(module) > 1<<16 {
			return
		}
		b := put(t, parcel(nil), module, list)
		write(t, filepath.Join(b.Dir, signature.File), sig)
		// What is signed by somebody who is trusted meets the lists as well.
		for _, raw := range [][]byte{sig, key.Sign(t, digestOf(t, b), factsOf(b))} {
			write(t, filepath.Join(b.Dir, signature.File), raw)
			module, a, err := g.Load(t.Context(), b, "", known)
			if err == nil != (a != nil) || err == nil != (module.Digest() != "") || err != nil && ReasonOf(err) == "" {
				t.Errorf("admission %v and error %v", a, err)
			}
		}
	})
}

// torn is a database that fails in a way that no type describes.
type torn struct{}

func (torn) Check(context.Context, []sbom.Package, advisory.Policy, time.Time) (advisory.Report, error) {
	return advisory.Report{}, errors.New("disk I/O error")
}

func (tr *trial) strict() { tr.policy = func(p *Policy) { p.Lenient = "" } }

func (tr *trial) waive(id, pkg string, until time.Time) {
	tr.depends("pkg:npm/" + pkg + "@1.0.0")
	tr.policy = func(p *Policy) {
		p.Advisories.Waivers = []advisory.Waiver{{ID: id, Ecosystem: sbom.NPM, Package: pkg, Version: "1.0.0", Expires: until, Why: "a test"}}
	}
}

func (tr *trial) revoke(what func(*skills.Bundle) Revocation) {
	tr.after = func(b *skills.Bundle) {
		r := what(b)
		r.By, r.Reason = "registry x", "bad"
		tr.known.Revoked = []Revocation{r}
	}
}

// TestLookWithoutTheModule judges by the manifest: what needs the module is found by
// Load, and remembered.
func TestLookWithoutTheModule(t *testing.T) {
	t.Parallel()
	tr := newTrial(t)
	b := put(t, tr.compiled, withSection(tr.module, listed("pkg:npm/other@2.0.0")), listed("pkg:npm/good@1.0.0"))
	sign(t, b, tr.acme)
	g := gate(t, tr.roots, tr.trusted...)
	if _, err := g.Look(t.Context(), b, "", tr.known); err != nil {
		t.Errorf("by the manifest: %v", err)
	}
	for range 2 {
		if _, _, err := g.Load(t.Context(), b, "", tr.known); ReasonOf(err) != "deps.conflict" {
			t.Errorf("with the module: %v", err)
		}
	}
	if _, err := g.Look(t.Context(), b, "", tr.known); ReasonOf(err) != "deps.conflict" {
		t.Errorf("a module that is known: %v", err)
	}
	if a, err := artifact.Manifest(b); err != nil || a.Digest != digestOf(t, b) {
		t.Errorf("the digest that follows from the manifest is another one: %v", err)
	}
	if _, err := NewGate(nil, Policy{}); err == nil {
		t.Error("a gate without a verifier")
	}
}

// BenchmarkLoad is what a load costs beside the engine: hash, signature, lists.
func BenchmarkLoad(b *testing.B) {
	key := signtest.Key(b)
	module := withSection(abitest.MCPv2(), listed("pkg:npm/good@1.0.0"))
	module = append(module, make([]byte, 0)...)
	bundle := put(b, parcel(nil), module, listed("pkg:npm/good@1.0.0"))
	sign(b, bundle, key)
	g := gate(b, nil, key.Publisher("acme", "*"))
	known := Known{Advisories: advisories(b, now), Now: now}
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			if _, err := g.Look(b.Context(), bundle, "", known); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := g.Load(b.Context(), bundle, "", known); err != nil {
				b.Fatal(err)
			}
		}
	})
}
