package signature_test

import (
	"errors"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/glovebox-dev/glovebox/skills/signature/signtest"
)

const ownRoot = "own"

// weather are the facts of the skill that the tests sign.
func weather() signature.Facts {
	return signature.Facts{
		Name: "weather", Version: "1.4.2", ABI: abi.ProfileMCPv2, Manifest: abi.DigestOf([]byte("manifest")),
		Capabilities: abi.Needs{
			HTTP: []abi.HTTPNeed{{Origin: "https://api.weather.example", Methods: []string{"GET"}, Paths: []string{"/v1/*"}, MaxResponse: 1 << 20}},
			KV:   &abi.KVNeed{MaxBytes: 1 << 20, Why: "<recent> & kept"},
		},
	}
}

func subject() abi.Digest { return abi.DigestOf([]byte("the OCI manifest")) }

func verifier(t testing.TB, cfg signature.Config) *signature.Verifier {
	t.Helper()
	v, err := signature.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func reasonOf(t testing.TB, err error) signature.Reason {
	t.Helper()
	var r *signature.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("want a refusal, got %v", err)
	}
	if r.What == "" || r.Why == "" || r.Fix == "" {
		t.Errorf("refusal %+v lacks what, why or fix", r)
	}
	return r.Reason
}

func TestKeyedBundleVerifies(t *testing.T) {
	t.Parallel()
	k := signtest.Key(t)
	v := verifier(t, signature.Config{Publishers: []signature.Publisher{k.Publisher("local", "weather")}})
	s, err := v.Verify(k.Sign(t, subject(), weather()), subject(), "weather")
	if err != nil {
		t.Fatal(err)
	}
	if s.Publisher != "local" || s.Class != signature.PinnedPlain || s.Signer != k.Public.Hint || s.Predicate != signature.PredicateSkill || !s.At.IsZero() {
		t.Errorf("got %+v", s)
	}
	if err := s.Statement.Check(weather()); err != nil {
		t.Error(err)
	}
}

func TestKeylessBundleVerifies(t *testing.T) {
	t.Parallel()
	a := signtest.New(t)
	v := verifier(t, signature.Config{
		Publishers: []signature.Publisher{signtest.Publisher(ownRoot, "*")},
		Roots:      map[string]signature.Root{ownRoot: a.Root(t)},
	})
	s, err := v.Verify(a.Sign(t, subject(), weather()), subject(), "weather")
	if err != nil {
		t.Fatal(err)
	}
	if s.Publisher != "acme" || s.Class != signature.PrivateV2 || s.Signer != signtest.Signer || s.Issuer != signtest.Issuer || s.At.IsZero() {
		t.Errorf("got %+v", s)
	}
	if err := s.Statement.Check(weather()); err != nil {
		t.Error(err)
	}
}

// TestKindIsKnownBeforeTheSignature: both kinds are trusted, and the one is never
// tried as the other.
func TestKindIsKnownBeforeTheSignature(t *testing.T) {
	t.Parallel()
	a, k := signtest.New(t), signtest.Key(t)
	keys := verifier(t, signature.Config{Publishers: []signature.Publisher{k.Publisher("local", "*")}})
	if _, err := keys.Verify(a.Sign(t, subject(), weather()), subject(), "weather"); reasonOf(t, err) != signature.ReasonKind {
		t.Errorf("an identity for keys: %v", err)
	}
	npm, err := signature.NewProvenanceVerifier(signature.PublicGoodRoot())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := npm.Verify(k.Sign(t, subject(), weather()), npmPackage(t, "2.0.0")); reasonOf(t, err) != signature.ReasonKind {
		t.Errorf("a key for a provenance: %v", err)
	}
}
