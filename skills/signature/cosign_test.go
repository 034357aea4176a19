package signature_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/glovebox-dev/glovebox/skills/signature/signtest"
)

// program returns the path of a real program: GLOVEBOX_NAME, or NAME on PATH. The test
// skips where there is none.
func program(t testing.TB, name string) string {
	t.Helper()
	if p := os.Getenv("GLOVEBOX_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))); p != "" {
		return p
	}
	testenv.Need(t, name, testenv.Program(name))
	return name
}

// bench is a folder with the real cosign in it.
type bench struct {
	dir, cosign string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t.TempDir(), program(t, "cosign")}
	b.write(t, "manifest.json", []byte("the OCI manifest")) // what subject() is the digest of
	b.write(t, "none.sc.json", []byte(`{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":[],"oidcUrls":[],"rekorTlogUrls":[],"tsaUrls":[],"rekorTlogConfig":{"selector":"ANY"},"tsaConfig":{"selector":"ANY"}}`))
	b.write(t, "none.root.json", []byte(emptyRoot))
	facts, err := json.Marshal(weather())
	if err != nil {
		t.Fatal(err)
	}
	b.write(t, "facts.json", facts)
	b.write(t, "bom.json", []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}`))
	return b
}

func (b *bench) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// run runs cosign with what it needs to stay off the network.
func (b *bench) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), b.cosign, args...)
	cmd.Dir, cmd.Env = b.dir, append(os.Environ(), "COSIGN_PASSWORD=word", "HOME="+b.dir)
	out, err := cmd.CombinedOutput()
	t.Logf("$ cosign %s\n%s", strings.Join(args, " "), out)
	return string(out), err
}

func (b *bench) must(t *testing.T, args ...string) {
	t.Helper()
	if out, err := b.run(t, args...); err != nil {
		t.Fatalf("cosign %s: %v\n%s", args[0], err, out)
	}
}

// TestCosignInterop: what the real cosign signs, we verify, and what we sign, it does.
func TestCosignInterop(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(t, "generate-key-pair")
	offline := []string{"--signing-config", "none.sc.json", "--trusted-root", "none.root.json"}
	attest := func(out string, args ...string) {
		args = append([]string{"attest-blob", "--yes", "--key", "cosign.key", "--bundle", out}, args...)
		b.must(t, append(append(args, offline...), "manifest.json")...)
	}
	attest("skill.json", "--type", signature.PredicateSkill, "--predicate", "facts.json")
	attest("bom.sigstore.json", "--type", "cyclonedx", "--predicate", "bom.json")
	b.must(t, append(append([]string{"sign-blob", "--yes", "--key", "cosign.key", "--bundle", "blob.json"}, offline...), "manifest.json")...)

	key, err := signature.ParseKey(b.read(t, "cosign.pub"))
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, signature.Config{Publishers: []signature.Publisher{{Name: "acme", Skills: []string{"*"}, Key: key}}})
	s, err := v.Verify(b.read(t, "skill.json"), subject(), "weather")
	if err != nil {
		t.Fatalf("cosign signed, we refuse: %v", err)
	}
	if err := s.Statement.Check(weather()); err != nil {
		t.Error(err)
	}
	if _, err := v.Verify(b.read(t, "bom.sigstore.json"), subject(), "weather"); reasonOf(t, err) != signature.ReasonPredicate {
		t.Errorf("an SBOM signs: %v", err)
	}
	if _, err := v.Verify(b.read(t, "blob.json"), subject(), "weather"); reasonOf(t, err) != signature.ReasonKind {
		t.Errorf("a plain file's signature signs: %v", err)
	}

	// Ours with cosign's key, then with a key of ours.
	cosigns, err := signature.LoadSigner(b.read(t, "cosign.key"), func() ([]byte, error) { return []byte("word"), nil })
	if err != nil {
		t.Fatal(err)
	}
	ours := signtest.Key(t)
	b.write(t, "ours.pub", ours.Public.PEM())
	b.write(t, "ours.json", ours.Sign(t, subject(), weather()))
	b.write(t, "theirs.json", (&signtest.KeyPair{Signer: cosigns}).Sign(t, subject(), weather()))
	verify := func(key, bundle string) (string, error) {
		return b.run(t, "verify-blob-attestation", "--key", key, "--bundle", bundle, "--type", signature.PredicateSkill,
			"--insecure-ignore-tlog=true", "--trusted-root", "none.root.json", "manifest.json")
	}
	for key, bundle := range map[string]string{"ours.pub": "ours.json", "cosign.pub": "theirs.json"} {
		if out, err := verify(key, bundle); err != nil {
			t.Errorf("we signed, cosign refuses: %v\n%s", err, out)
		}
	}
	if out, err := verify("cosign.pub", "ours.json"); err == nil {
		t.Errorf("cosign verifies with another key: %s", out)
	}
}
