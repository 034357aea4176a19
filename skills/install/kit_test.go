package install

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
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

// now is the moment of these tests; the certificates of the virtual authority are made
// when they run.
var now = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)

// parcel is the skill of these tests, version 1.4.0, which asks for one host.
func parcel(change func(*abi.Compiled)) *abi.Compiled {
	module := abitest.MCPv2()
	c := &abi.Compiled{
		Manifest: abi.Manifest{
			Schema: abi.SchemaSkill, Name: "parcel", Version: "1.4.0", ABI: abi.ProfileMCPv2, Module: skills.ModuleFile, Description: "Follows parcels",
			Tools: []abi.Descriptor{{Name: "echo", Effect: abi.EffectRead, Args: map[string]abi.Role{"q": abi.RoleControl}}},
			Needs: abi.Needs{HTTP: []abi.HTTPNeed{{Origin: "https://api.parcel.example", Methods: []string{"GET"}, Paths: []string{"/**"}}}},
		},
		Tools:  []abi.Tool{{Name: "echo", Description: "Echoes", InputSchema: json.RawMessage(`{"type":"object","properties":{"q":{"type":"string"}}}`)}},
		Module: abi.DigestOf(module), ModuleSize: int64(len(module)),
	}
	if change != nil {
		change(c)
	}
	return c
}

// put writes a skill with its list of dependencies, nil for none, into a new folder.
func put(t testing.TB, c *abi.Compiled, module, list []byte) *skills.Bundle {
	t.Helper()
	dir := t.TempDir()
	if list != nil {
		c.Files = append(c.Files, abi.File{Name: skills.SBOMFile, Digest: abi.DigestOf(list), Size: int64(len(list))})
		write(t, filepath.Join(dir, skills.SBOMFile), list)
	}
	c.Module, c.ModuleSize = abi.DigestOf(module), int64(len(module))
	text, err := abi.EncodeCompiled(c)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, skills.ModuleFile), module)
	write(t, filepath.Join(dir, skills.ManifestFile), text)
	b, err := skills.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// listed is a list of dependencies with one package, or none.
func listed(purls ...string) []byte {
	parts := []map[string]any{}
	for _, p := range purls {
		parts = append(parts, map[string]any{"type": "library", "name": "x", "purl": p})
	}
	b, _ := json.Marshal(map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": parts})
	return b
}

func none(t testing.TB) []byte {
	t.Helper()
	b, err := sbom.Generate(sbom.Subject{Name: "parcel", Version: "1.4.0", Module: abitest.MCPv2()})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func digestOf(t testing.TB, b *skills.Bundle) abi.Digest {
	t.Helper()
	d, err := artifact.DigestOf(b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func factsOf(b *skills.Bundle) signature.Facts { return signature.FactsOf(b.Manifest, b.Digest) }

// sign puts a signature beside a skill.
func sign(t testing.TB, b *skills.Bundle, key *signtest.KeyPair) []byte {
	t.Helper()
	raw := key.Sign(t, digestOf(t, b), factsOf(b))
	write(t, filepath.Join(b.Dir, signature.File), raw)
	return raw
}

// gate trusts the publishers; local is lenient.
func gate(t testing.TB, roots map[string]signature.Root, publishers ...signature.Publisher) *Gate {
	t.Helper()
	v, err := signature.New(signature.Config{Publishers: publishers, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGate(v, Policy{Advisories: advisory.Policy{MaxAge: 30 * 24 * time.Hour, Severity: advisory.High}, Lenient: config.LocalPublisher})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// advisories is an index of hand-written records about npm packages.
func advisories(t testing.TB, asOf time.Time) *advisory.Index {
	t.Helper()
	x, err := advisory.Open(t.Context(), filepath.Join(t.TempDir(), "advisories.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	record := func(id, pkg, severity string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`{"schema_version":"1.6.0","id":"` + id + `","modified":"` + asOf.Format(time.RFC3339) + `",` +
			`"affected":[{"package":{"ecosystem":"npm","name":"` + pkg + `"},"versions":["1.0.0"]}],"database_specific":{"severity":"` + severity + `"}}`)}
	}
	_, err = x.ImportFolder(t.Context(), sbom.NPM, fstest.MapFS{
		"GHSA-bad.json": record("GHSA-bad", "bad", "CRITICAL"), "GHSA-dull.json": record("GHSA-dull", "dull", "LOW"), "MAL-1.json": record("MAL-1", "evil", "LOW"),
	}, advisory.ImportOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// withSection appends a custom section sbom.cyclonedx to a module.
func withSection(module, list []byte) []byte {
	const name = "sbom.cyclonedx"
	body := append(append(leb(len(name)), name...), list...)
	return append(append(append([]byte{}, module...), 0), append(leb(len(body)), body...)...)
}

func leb(n int) (out []byte) {
	for {
		b := byte(n & 0x7f)
		if n >>= 7; n == 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// link replaces a file by a link to a copy.
func link(t testing.TB, b *skills.Bundle, name string) {
	t.Helper()
	path := filepath.Join(b.Dir, name)
	if err := os.Rename(path, path+".real"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(name+".real", path); err != nil {
		t.Fatal(err)
	}
}
