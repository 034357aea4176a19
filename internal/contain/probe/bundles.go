package probe

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/install"
	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// yard is where bundles are made and judged: real keys, a real verifier, a real index.
type yard struct {
	dir                            string
	now                            time.Time
	carrier, rival, local, unknown signature.Signer // three publishers and a stranger
	verifier                       *signature.Verifier
	fresh, old                     *advisory.Index
}

func newYard(ctx context.Context, dir string) (_ *yard, err error) {
	y := &yard{dir: dir, now: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)}
	for _, s := range []*signature.Signer{&y.carrier, &y.rival, &y.local, &y.unknown} {
		if *s, err = signature.NewSigner(); err != nil {
			return nil, err
		}
	}
	var trusted signature.Config
	for _, p := range []struct {
		name   string
		signer signature.Signer
		skills []string
	}{{"carrier", y.carrier, []string{"parcel", "acme-*"}}, {"rival", y.rival, []string{"parcel"}}, {config.LocalPublisher, y.local, []string{"*"}}} {
		key, err := signature.PublicKeyOf(p.signer)
		if err != nil {
			return nil, err
		}
		trusted.Publishers = append(trusted.Publishers, signature.Publisher{Name: p.name, Skills: p.skills, Key: key})
	}
	if y.verifier, err = signature.New(trusted); err != nil {
		return nil, err
	}
	if y.fresh, err = y.advisories(ctx, "fresh.db", y.now); err != nil {
		return nil, err
	}
	if y.old, err = y.advisories(ctx, "old.db", y.now.AddDate(0, -2, 0)); err != nil {
		return nil, errors.Join(err, y.fresh.Close())
	}
	return y, nil
}

func (y *yard) close() error { return errors.Join(y.fresh.Close(), y.old.Close()) }

// advisories is an index of OSV records about npm packages: bad has an advisory, dull one
// that matters little, and evil is malicious, rated low.
func (y *yard) advisories(ctx context.Context, name string, asOf time.Time) (*advisory.Index, error) {
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	for _, r := range [][3]string{{"GHSA-bad", "bad", "CRITICAL"}, {"GHSA-dull", "dull", "LOW"}, {"MAL-1", "evil", "LOW"}, {"MAL-2", "@evil/scoped", "LOW"}} {
		w, err := z.Create(r[0] + ".json")
		if err != nil {
			return nil, err
		}
		if _, err := fmt.Fprintf(w, `{"schema_version":"1.6.0","id":%q,"modified":%q,"affected":[{"package":{"ecosystem":"npm","name":%q},"versions":["1.0.0"]}],"database_specific":{"severity":%q}}`,
			r[0], asOf.Format(time.RFC3339), r[1], r[2]); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	x, err := advisory.Open(ctx, filepath.Join(y.dir, name))
	if err != nil {
		return nil, err
	}
	if _, err := x.Import(ctx, sbom.NPM, bytes.NewReader(archive.Bytes()), int64(archive.Len()), advisory.ImportOptions{Now: y.now}); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

// trial is one signed skill on its way to being loaded; a case breaks it in one place.
type trial struct {
	*yard
	skill    *supply
	list     []byte                       // of dependencies; nil: none
	signer   signature.Signer             // nil: unsigned
	resign   func([]byte) ([]byte, error) // edits the signature
	after    func(*skills.Bundle) error   // happens to the folder once it is signed
	policy   install.Policy
	known    install.Known
	expected abi.Digest // "": any
	before   string     // version that the store had before; "": the skill is loaded from its folder
	options  install.Options
}

func (y *yard) trial() (*trial, error) {
	dir, err := os.MkdirTemp(y.dir, "bundle-")
	if err != nil {
		return nil, err
	}
	s, err := newSupply(dir)
	if err != nil {
		return nil, err
	}
	t := &trial{yard: y, skill: s, signer: y.carrier}
	t.list, err = sbom.Generate(sbom.Subject{Name: "parcel", Version: "1.0.0", Module: s.module})
	t.policy = install.Policy{Advisories: advisory.Policy{MaxAge: 30 * 24 * time.Hour, Severity: advisory.High}, Lenient: config.LocalPublisher}
	t.known = install.Known{Advisories: y.fresh, Now: y.now}
	return t, err
}

// judge builds the bundle and lets the gate, or the store, decide. No error: it loads.
func (t *trial) judge(ctx context.Context) (refused, err error) {
	b, sig, err := t.build(ctx)
	if err != nil {
		return nil, err
	}
	if t.after != nil {
		if err := t.after(b); err != nil {
			return nil, err
		}
	}
	g, err := install.NewGate(t.verifier, t.policy)
	if err != nil {
		return nil, err
	}
	if t.before != "" {
		return t.upgrade(ctx, g, b, sig)
	}
	_, _, refused = g.Load(ctx, b, t.expected, t.known)
	return refused, nil
}

// build writes module, manifest, list and signature into the folder.
func (t *trial) build(ctx context.Context) (*skills.Bundle, []byte, error) {
	s := t.skill
	c := s.manifest
	c.Module, c.ModuleSize, c.Files = abi.DigestOf(s.module), int64(len(s.module)), nil
	files := map[string][]byte{skills.ModuleFile: s.module}
	if t.list != nil {
		c.Files = []abi.File{{Name: skills.SBOMFile, Digest: abi.DigestOf(t.list), Size: int64(len(t.list))}}
		files[skills.SBOMFile] = t.list
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), data, 0o600); err != nil {
			return nil, nil, err
		}
	}
	if err := s.write(); err != nil {
		return nil, nil, err
	}
	b, err := skills.Open(s.dir)
	if err != nil || t.signer == nil {
		return b, nil, err
	}
	digest, err := artifact.DigestOf(b)
	if err != nil {
		return nil, nil, err
	}
	sig, err := signature.Sign(ctx, signature.Request{Digest: digest, Facts: signature.FactsOf(b.Manifest, b.Digest), Signer: t.signer})
	if err == nil && t.resign != nil {
		sig, err = t.resign(sig)
	}
	if err != nil {
		return nil, nil, err
	}
	return b, sig, signature.WriteFile(signature.In(b.Dir), sig)
}

// upgrade installs version t.before of the carrier first, then offers the trial's bundle.
func (t *trial) upgrade(ctx context.Context, g *install.Gate, b *skills.Bundle, sig []byte) (refused, err error) {
	state, err := config.OpenState(filepath.Join(t.skill.dir, "state"))
	if err != nil {
		return nil, err
	}
	store := install.OpenStore(state)
	first, err := t.trial()
	if err != nil {
		return nil, err
	}
	first.skill.manifest.Manifest.Version = t.before
	was, wasSig, err := first.build(ctx)
	if err != nil {
		return nil, err
	}
	old, err := first.offer(ctx, store, g, was, wasSig)
	if err != nil {
		return nil, err
	}
	defer old.Release()
	grant, err := old.Grant(nil, []abi.AgentID{"home"})
	if err != nil {
		return nil, err
	}
	if err := old.Commit(store, grant, func() (*abi.Grant, error) { return nil, nil }); err != nil {
		return nil, err
	}
	next, refused := t.offer(ctx, store, g, b, sig)
	if refused == nil {
		next.Release()
	}
	return refused, nil
}

func (t *trial) offer(ctx context.Context, s *install.Store, g *install.Gate, b *skills.Bundle, sig []byte) (*install.Plan, error) {
	a, err := artifact.Manifest(b)
	if err != nil {
		return nil, err
	}
	return s.Prepare(ctx, g, install.Offer{Artifact: a, Signatures: [][]byte{sig}, Source: "here"}, nil, t.known, t.options)
}

// depends lists what the skill says that it was built from.
func (t *trial) depends(purls ...string) { t.list = listed(purls...) }

// says writes a list into the module, beside the one in the folder.
func (t *trial) says(purls ...string) {
	const name = "sbom.cyclonedx"
	body := append(append(binary.AppendUvarint(nil, uint64(len(name))), name...), listed(purls...)...)
	t.skill.module = append(append(bytes.Clone(t.skill.module), 0), append(binary.AppendUvarint(nil, uint64(len(body))), body...)...)
}

func listed(purls ...string) []byte {
	parts := make([]string, len(purls))
	for i, p := range purls {
		parts[i] = fmt.Sprintf(`{"type":"library","name":"x","purl":%q}`, p)
	}
	return []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` + strings.Join(parts, ",") + `]}`)
}

// overwritten replaces a file of the folder after it was signed.
func (t *trial) overwritten(file string, data []byte) {
	t.after = func(b *skills.Bundle) error { return os.WriteFile(filepath.Join(b.Dir, file), data, 0o600) }
}

// withdrawn revokes what a registry names.
func (t *trial) withdrawn(what func(*skills.Bundle) (install.Revocation, error)) {
	t.after = func(b *skills.Bundle) error {
		r, err := what(b)
		t.known.Revoked = []install.Revocation{r}
		return err
	}
}

// waived lets an advisory pass until a day, for any bundle.
func (t *trial) waived(id, pkg string, until time.Time) {
	t.depends("pkg:npm/" + pkg + "@1.0.0")
	t.policy.Advisories.Waivers = []advisory.Waiver{{ID: id, Ecosystem: sbom.NPM, Package: pkg, Version: "1.0.0", Expires: until, Why: "a probe"}}
}

// stated signs the statement again with its owner's key, after from was replaced by to.
func (t *trial) stated(from, to string) {
	t.resign = func(raw []byte) ([]byte, error) {
		var bundle map[string]json.RawMessage
		var env struct {
			Payload     []byte              `json:"payload"`
			PayloadType string              `json:"payloadType"`
			Signatures  []map[string][]byte `json:"signatures"`
		}
		if err := errors.Join(json.Unmarshal(raw, &bundle), json.Unmarshal(bundle["dsseEnvelope"], &env)); err != nil {
			return nil, err
		}
		if !bytes.Contains(env.Payload, []byte(from)) {
			return nil, fmt.Errorf("the statement does not hold %q", from)
		}
		env.Payload = bytes.ReplaceAll(env.Payload, []byte(from), []byte(to))
		// DSSE v1, "pre-authentication encoding".
		sum := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(env.PayloadType), env.PayloadType, len(env.Payload), env.Payload))
		sig, err := t.signer.SignDigest(context.Background(), sum)
		if err != nil {
			return nil, err
		}
		env.Signatures = []map[string][]byte{{"sig": sig}}
		if bundle["dsseEnvelope"], err = json.Marshal(env); err != nil {
			return nil, err
		}
		return json.Marshal(bundle)
	}
}
