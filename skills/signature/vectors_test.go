package signature_test

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/glovebox-dev/glovebox/skills/signature/signtest"
)

// TestCosignVectors verifies what cosign v3.1.3 signed; testdata/cosign/README.md says
// how. The attestation is the trap: cosign itself takes it for a signature.
func TestCosignVectors(t *testing.T) {
	t.Parallel()
	v := verifier(t, signature.Config{Publishers: []signature.Publisher{{Name: "acme", Skills: []string{"weather"}, Key: cosignKey(t)}}})
	const (
		signed   = "sha256:0c32278adb78774bd008cb9efa393e53e230bb3d30a5264d244ccd256afd1f09"
		attested = "sha256:e7ee9d2b26938be7730c0a73e5343ffc23cdfa7407f30bd95179ff888b19a880"
	)
	for name, c := range map[string]struct {
		file   string
		digest abi.Digest
		want   signature.Reason
	}{
		"cosign sign":                    {"sign.json", signed, ""},
		"cosign sign, another artifact":  {"sign.json", attested, signature.ReasonDigest},
		"cosign attest --type cyclonedx": {"attest.json", attested, signature.ReasonPredicate},
		"cosign sign-blob":               {"sign-blob.json", subject(), signature.ReasonKind},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(filepath.Join("testdata", "cosign", c.file))
			if err != nil {
				t.Fatal(err)
			}
			s, err := v.Verify(raw, c.digest, "weather")
			if c.want != "" {
				if got := reasonOf(t, err); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Predicate != signature.PredicateCosign || s.Statement != nil {
				t.Errorf("got %+v", s)
			}
		})
	}
}

// TestKeylessVectors verifies what a real Fulcio, Rekor v2 and timestamp authority
// certified once: the time is theirs, so nothing in it expires.
func TestKeylessVectors(t *testing.T) {
	t.Parallel()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("testdata", "keyless", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	v := verifier(t, signature.Config{
		Publishers: []signature.Publisher{{
			Name: "acme", Skills: []string{"weather"}, TrustedRoot: "stack",
			Identity: &signature.Identity{Issuer: string(read("issuer")), SAN: "release@acme.example"},
		}},
		Roots: map[string]signature.Root{"stack": {Class: signature.PrivateV2, JSON: read("root.json")}},
	})
	for _, name := range []string{"glovebox.json", "cosign.json"} {
		s, err := v.Verify(read(name), subject(), "weather")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := s.Statement.Check(weather()); err != nil || s.At.IsZero() {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

// sigstoreFile reads a file out of the source of sigstore-go.
func sigstoreFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testenv.ModuleDir(t, "github.com/sigstore/sigstore-go"), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	npmOld = "examples/bundle-provenance.json"
	npmNew = "pkg/testing/data/bundles/sigstore.js@2.0.0-provenance.sigstore.json"
)

func npmPackage(t testing.TB, version string) signature.Package {
	t.Helper()
	sum, err := hex.DecodeString(map[string]string{
		"1.3.0": "76176ffa33808b54602c7c35de5c6e9a4deb96066dba6533f50ac234f4f1f4c6b3527515dc17c06fbe2860030f410eee69ea20079bd3a2c6f3dcf3b329b10751",
		"2.0.0": "46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c",
	}[version])
	if err != nil {
		t.Fatal(err)
	}
	return signature.Package{PURL: "pkg:npm/sigstore@" + version, SHA512: [64]byte(sum), Repository: "https://github.com/sigstore/sigstore-js", Workflow: ".github/workflows/release.yml"}
}

// TestProvenanceOfNPM verifies real attestations with the root that this build carries,
// and refuses each of them as that of something else.
func TestProvenanceOfNPM(t *testing.T) {
	t.Parallel()
	v, err := signature.NewProvenanceVerifier(signature.PublicGoodRoot())
	if err != nil {
		t.Fatal(err)
	}
	older, newer := sigstoreFile(t, npmOld), sigstoreFile(t, npmNew)
	change := func(f func(*signature.Package)) signature.Package {
		p := npmPackage(t, "2.0.0")
		f(&p)
		return p
	}
	for name, c := range map[string]struct {
		raw  []byte
		want signature.Package
		code signature.Reason
	}{
		"sigstore 1.3.0": {older, npmPackage(t, "1.3.0"), ""},
		"sigstore 2.0.0": {newer, npmPackage(t, "2.0.0"), ""},
		"any workflow":   {newer, change(func(p *signature.Package) { p.Workflow = "" }), ""},
		"first use":      {newer, change(func(p *signature.Package) { p.Repository, p.FirstUse = "", true }), ""},

		"the older one for the newer":       {older, npmPackage(t, "2.0.0"), signature.ReasonDigest},
		"the bytes of the older as newer":   {older, func() signature.Package { p := npmPackage(t, "1.3.0"); p.PURL = "pkg:npm/sigstore@2.0.0"; return p }(), signature.ReasonDigest},
		"another package":                   {newer, change(func(p *signature.Package) { p.PURL = "pkg:npm/sigstorf@2.0.0" }), signature.ReasonDigest},
		"other bytes":                       {newer, change(func(p *signature.Package) { p.SHA512[0] ^= 1 }), signature.ReasonDigest},
		"another repository":                {newer, change(func(p *signature.Package) { p.Repository = "https://github.com/sigstore/sigstore-jt" }), signature.ReasonIdentity},
		"a repository whose name begins so": {newer, change(func(p *signature.Package) { p.Repository = "https://github.com/sigstore/sigstore" }), signature.ReasonIdentity},
		"a dot for any character":           {newer, change(func(p *signature.Package) { p.Repository = "https://github.com/sigstore/sigstore.js" }), signature.ReasonIdentity},
		"another workflow":                  {newer, change(func(p *signature.Package) { p.Workflow = ".github/workflows/other.yml" }), signature.ReasonIdentity},
		"nothing":                           {nil, npmPackage(t, "2.0.0"), signature.ReasonMissing},
		"a tampered statement":              {[]byte(strings.Replace(string(newer), `"payload": "eyJ`, `"payload": "IyJ`, 1)), npmPackage(t, "2.0.0"), signature.ReasonMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := v.Verify(c.raw, c.want)
			if c.code != "" {
				if got := reasonOf(t, err); got != c.code || o != nil {
					t.Errorf("got %s, want %s: %v", got, c.code, err.(*signature.Refusal).Err)
				}
				return
			}
			if err != nil {
				t.Fatal(err, errors.Unwrap(err))
			}
			if o.Repository != "https://github.com/sigstore/sigstore-js" || o.Workflow != ".github/workflows/release.yml" {
				t.Errorf("got %+v", o)
			}
		})
	}
	for name, p := range map[string]signature.Package{
		"no purl":                     {Repository: "https://github.com/a/b"},
		"a purl of another ecosystem": {PURL: "pkg:pypi/a@1", Repository: "https://github.com/a/b"},
		"no version":                  {PURL: "pkg:npm/a", Repository: "https://github.com/a/b"},
		"a scope and no version":      {PURL: "pkg:npm/@a", Repository: "https://github.com/a/b"},
		"no repository":               {PURL: "pkg:npm/a@1"},
		"a repository at first use":   {PURL: "pkg:npm/a@1", Repository: "https://github.com/a/b", FirstUse: true},
		"a repository elsewhere":      {PURL: "pkg:npm/a@1", Repository: "https://github.com.evil.example/a/b"},
		"an expression":               {PURL: "pkg:npm/a@1", Repository: "https://github.com/a/.*|x"},
		"a workflow elsewhere":        {PURL: "pkg:npm/a@1", Repository: "https://github.com/a/b", Workflow: "../x.yml"},
	} {
		if o, err := v.Verify(newer, p); err == nil || o != nil {
			t.Errorf("%s: built with nothing to hold it against", name)
		}
	}
	if _, err := signature.NewProvenanceVerifier(signtest.New(t).Root(t)); err == nil {
		t.Error("a private root vouches for npm")
	}
}
