package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/internal/contain"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/install"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// bundleCase is one bundle and the reason that it must be refused with; "" must load.
type bundleCase struct {
	name   string
	reason install.Reason
	change func(*trial)
}

// loadable are bundles that load: without them a gate that refuses everything looks good.
func loadable() []bundleCase {
	return []bundleCase{
		{"signed by a publisher", "", func(*trial) {}},
		{"signed for a name beginning as such", "", func(t *trial) { t.skill.manifest.Manifest.Name = "acme-parcel" }},
		{"signed by this machine", "", func(t *trial) { t.signer = t.local }},
		{"a newer version in the store", "", func(t *trial) { t.before = "0.9.0" }},
		{"the same statement, signed again", "", func(t *trial) { t.stated(signature.PredicateSkill, signature.PredicateSkill) }},
		{"module and list agree", "", func(t *trial) { t.says("pkg:npm/good@1.0.0"); t.depends("pkg:npm/good@1.0.0") }},
		{"another version than the advisory's", "", func(t *trial) { t.depends("pkg:npm/bad@1.0.1") }},
		{"an advisory below the threshold", "", func(t *trial) { t.depends("pkg:npm/dull@1.0.0") }},
		{"an advisory that was waived", "", func(t *trial) { t.waived("GHSA-bad", "bad", t.now.AddDate(0, 0, 1)) }},
		{"no packages, no advisories", "", func(t *trial) { t.known.Advisories = nil }},
		{"this machine's own, without advisories", "", func(t *trial) { t.signer = t.local; t.depends("pkg:npm/good@1.0.0"); t.known.Advisories = nil }},
		{"others are revoked", "", func(t *trial) {
			t.known.Revoked = []install.Revocation{{}, {Digest: other()}, {Signer: abi.Signer{Key: "x"}}}
		}},
	}
}

// malicious are bundles with a package that is known to be malicious.
func malicious() []bundleCase {
	const reason = "osv.malicious"
	return []bundleCase{
		{"of a publisher", reason, func(t *trial) { t.depends("pkg:npm/evil@1.0.0") }},
		{"of this machine", reason, func(t *trial) { t.signer = t.local; t.depends("pkg:npm/evil@1.0.0") }},
		{"among good ones", reason, func(t *trial) { t.depends("pkg:npm/good@1.0.0", "pkg:npm/evil@1.0.0", "pkg:npm/dull@1.0.0") }},
		{"in a scope", reason, func(t *trial) { t.depends("pkg:npm/%40evil/scoped@1.0.0") }},
		{"beside what has no data", reason, func(t *trial) { t.signer = t.local; t.depends("pkg:cargo/good@1.0.0", "pkg:npm/evil@1.0.0") }},
		{"in module and list", reason, func(t *trial) { t.says("pkg:npm/evil@1.0.0"); t.depends("pkg:npm/evil@1.0.0") }},
		{"waived for every bundle", reason, func(t *trial) { t.waived("MAL-1", "evil", t.now.AddDate(0, 0, 1)) }},
		{"as an upgrade", reason, func(t *trial) { t.before = "0.9.0"; t.depends("pkg:npm/evil@1.0.0") }},
	}
}

// refusable are the other bundles that must not load.
func refusable() []bundleCase {
	return append([]bundleCase{
		{"unsigned", "sig.missing", func(t *trial) { t.signer = nil }},
		{"an empty signature", "sig.missing", func(t *trial) { t.resign = func([]byte) ([]byte, error) { return nil, nil } }},
		{"a signature that is none", "bundle.malformed", func(t *trial) { t.resign = func([]byte) ([]byte, error) { return []byte("{}"), nil } }},
		{"a stranger's key", "key.unknown", func(t *trial) { t.signer = t.unknown }},
		{"a publisher without a right to the name", "identity.skill", func(t *trial) { t.skill.manifest.Manifest.Name = "letter" }},
		{"a wrong predicate", "sig.predicate", func(t *trial) { t.stated(signature.PredicateSkill, "https://cyclonedx.org/bom") }},
		{"the signature of another bundle", "sig.digest", func(t *trial) {
			t.after = func(b *skills.Bundle) error {
				d, err := artifact.DigestOf(b)
				if err != nil {
					return err
				}
				sig, err := signature.ReadFile(signature.In(b.Dir))
				if err != nil {
					return err
				}
				t.stated(d.Hex(), other().Hex())
				if sig, err = t.resign(sig); err != nil {
					return err
				}
				return signature.WriteFile(signature.In(b.Dir), sig)
			}
		}},
		{"signed facts that differ", "sig.manifest", func(t *trial) { t.stated(`"1.0.0"`, `"1.0.1"`) }},
		{"an altered module", "module.digest", func(t *trial) { t.overwritten(skills.ModuleFile, abitest.MCPv1()) }},
		{"an altered manifest", "manifest.digest", func(t *trial) { t.overwritten(skills.ManifestFile, []byte("{}\n")) }},
		{"an altered list of dependencies", "manifest.digest", func(t *trial) { t.overwritten(skills.SBOMFile, listed()) }},
		{"not what the lock file names", "install.lock", func(t *trial) { t.expected = other() }},
		{"a revoked bundle", "skill.revoked", func(t *trial) {
			t.withdrawn(func(b *skills.Bundle) (install.Revocation, error) {
				d, err := artifact.DigestOf(b)
				return install.Revocation{Digest: d}, err
			})
		}},
		{"a revoked manifest", "skill.revoked", func(t *trial) {
			t.withdrawn(func(b *skills.Bundle) (install.Revocation, error) { return install.Revocation{Digest: b.Digest}, nil })
		}},
		{"a revoked key", "skill.revoked", func(t *trial) {
			t.withdrawn(func(*skills.Bundle) (install.Revocation, error) {
				k, err := signature.PublicKeyOf(t.signer)
				if err != nil {
					return install.Revocation{}, err
				}
				return install.Revocation{Signer: abi.Signer{Key: k.Hint}}, nil
			})
		}},
		{"revocations that cannot be read", "skill.revocations", func(t *trial) { t.known.Unrevocable = errors.New("torn") }},
		{"denied by the operator", "skill.revoked", func(t *trial) {
			t.after = func(b *skills.Bundle) error {
				t.policy.Denied = map[abi.Digest]string{b.Digest: "no"}
				return nil
			}
		}},
		{"an older version than the store had", install.ReasonDowngrade, func(t *trial) { t.before = "2.0.0" }},
		{"a version with other content", install.ReasonMutated, func(t *trial) { t.before = "1.0.0"; t.skill.manifest.Manifest.Description = "Sends parcels" }},
		{"a skill of another publisher", install.ReasonPublisher, func(t *trial) { t.before = "0.9.0"; t.signer = t.rival }},
	}, unlisted()...)
}

// unlisted are bundles whose packages are not known, or not known to be good.
func unlisted() []bundleCase {
	return []bundleCase{
		{"no list of dependencies", "deps.none", func(t *trial) { t.list = nil }},
		{"a list that says nothing", "deps.none", func(t *trial) { t.depends() }},
		{"a list that cannot be read", "deps.malformed", func(t *trial) { t.list = []byte("{") }},
		{"a package without a version", "deps.unpinned", func(t *trial) { t.depends("pkg:npm/good") }},
		{"a package of an unknown type", "deps.type", func(t *trial) { t.depends("pkg:swid/good@1.0.0") }},
		{"a list that contradicts the module", "deps.conflict", func(t *trial) { t.says("pkg:npm/other@2.0.0"); t.depends("pkg:npm/good@1.0.0") }},
		{"no advisories", "osv.nodb", func(t *trial) { t.depends("pkg:npm/good@1.0.0"); t.known.Advisories = nil }},
		{"no advisories for the ecosystem", "osv.nodb", func(t *trial) { t.depends("pkg:cargo/good@1.0.0") }},
		{"advisories that are too old", "osv.stale", func(t *trial) { t.depends("pkg:npm/good@1.0.0"); t.known.Advisories = t.old }},
		{"a package with an advisory", "osv.blocked", func(t *trial) { t.depends("pkg:npm/bad@1.0.0") }},
		{"the same, of this machine", "osv.blocked", func(t *trial) { t.signer = t.local; t.depends("pkg:npm/bad@1.0.0") }},
		{"a waiver that expired", "osv.blocked", func(t *trial) { t.waived("GHSA-bad", "bad", t.now) }},
	}
}

// other is the digest of something else.
func other() abi.Digest { return abi.DigestOf([]byte("something else")) }

// Bundles runs the part of track F that asks who signed a bundle, whether it was
// withdrawn, and what it was built from; dir is a folder to work in.
func Bundles(ctx context.Context, dir string) (_ []contain.Figure, err error) {
	work := filepath.Join(dir, "bundles")
	if err := os.Mkdir(work, 0o700); err != nil {
		return nil, err
	}
	y, err := newYard(ctx, work)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, y.close()) }()
	bad, err := y.loaded(ctx, refusable())
	if err != nil {
		return nil, err
	}
	good, err := y.loaded(ctx, loadable())
	if err != nil {
		return nil, err
	}
	evil, err := y.loaded(ctx, malicious())
	if err != nil {
		return nil, err
	}
	return []contain.Figure{
		contain.Share("F bundles that must not load and do", len(bad), len(refusable()), strings.Join(bad, ", ")),
		contain.Share("F honest bundles that load", len(good), len(loadable()), ""),
		contain.Share("F packages with a known malicious advisory that load", len(evil), len(malicious()), strings.Join(evil, ", ")),
	}, nil
}

// loaded names the cases that load. One that is refused for another reason than its own
// shows nothing, and is an error.
func (y *yard) loaded(ctx context.Context, cases []bundleCase) ([]string, error) {
	var names []string
	for _, c := range cases {
		t, err := y.trial()
		if err != nil {
			return nil, err
		}
		c.change(t)
		refused, err := t.judge(ctx)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", c.name, err)
		case refused == nil:
			names = append(names, c.name)
		case c.reason != "" && install.ReasonOf(refused) != c.reason:
			return nil, fmt.Errorf("%s: want a refusal with %s: %w", c.name, c.reason, refused)
		}
	}
	return names, nil
}
