package signature_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/glovebox-dev/glovebox/skills/signature/signtest"
)

// TestOneVerifierServesMany verifies good and bad bundles of both kinds at once; the
// library does not promise that, -race shows it.
func TestOneVerifierServesMany(t *testing.T) {
	t.Parallel()
	a, k := signtest.New(t), signtest.Key(t)
	v := verifier(t, signature.Config{
		Publishers: []signature.Publisher{signtest.Publisher(ownRoot, "weather"), k.Publisher("local", "weather")},
		Roots:      map[string]signature.Root{ownRoot: a.Root(t)},
	})
	keyless, keyed := a.Sign(t, subject(), weather()), k.Sign(t, subject(), weather())
	bad := bytes.Replace(keyless, []byte(`"rawBytes":"M`), []byte(`"rawBytes":"N`), 1)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				for _, raw := range [][]byte{keyless, keyed} {
					if _, err := v.Verify(raw, subject(), "weather"); err != nil {
						t.Error(err)
					}
				}
				if _, err := v.Verify(bad, subject(), "weather"); err == nil {
					t.Error("a broken certificate passes")
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkVerifyKeyed(b *testing.B) {
	k := signtest.Key(b)
	v := verifier(b, signature.Config{Publishers: []signature.Publisher{k.Publisher("local", "weather")}})
	benchmark(b, v, k.Sign(b, subject(), weather()))
}

func BenchmarkVerifyKeyless(b *testing.B) {
	a := signtest.New(b)
	v := verifier(b, signature.Config{
		Publishers: []signature.Publisher{signtest.Publisher(ownRoot, "weather")},
		Roots:      map[string]signature.Root{ownRoot: a.Root(b)},
	})
	benchmark(b, v, a.Sign(b, subject(), weather()))
}

func benchmark(b *testing.B, v *signature.Verifier, raw []byte) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(raw, subject(), "weather"); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzVerify: for any bytes there is either a proof or exactly one reason.
func FuzzVerify(f *testing.F) {
	a, k := signtest.New(f), signtest.Key(f)
	v := verifier(f, signature.Config{
		Publishers: []signature.Publisher{signtest.Publisher(ownRoot, "weather"), k.Publisher("local", "weather")},
		Roots:      map[string]signature.Root{ownRoot: a.Root(f)},
	})
	good := [][]byte{a.Sign(f, subject(), weather()), k.Sign(f, subject(), weather())}
	for _, g := range good {
		f.Add(g)
		f.Add(bytes.Replace(g, []byte("v0.3"), []byte("v0.2"), 1))
		f.Add(bytes.Replace(g, []byte("dsseEnvelope"), []byte("messageSignature"), 1))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := v.Verify(raw, subject(), "weather")
		var r *signature.Refusal
		switch {
		case err == nil:
			if s.Publisher != "acme" && s.Publisher != "local" {
				t.Errorf("verified as %+v", s)
			}
		case s != nil, !errors.As(err, &r), r.Reason == "":
			t.Errorf("got %+v with %v", s, err)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	k := signtest.Key(f).Public
	f.Add(k.PEM())
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := signature.ParseKey(text)
		if err != nil {
			if !errors.Is(err, signature.ErrKey) {
				t.Errorf("got %v", err)
			}
			return
		}
		again, err := signature.ParseKey(k.PEM())
		if err != nil || again.Hint != k.Hint {
			t.Errorf("%s reads back as %+v, %v", k.PEM(), again, err)
		}
	})
}

func FuzzTrustedRoot(f *testing.F) {
	f.Add(signature.PublicGoodRoot().JSON)
	f.Add(signtest.New(f).TrustedRoot(f))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := signature.New(signature.Config{
			Publishers: []signature.Publisher{signtest.Publisher(ownRoot, "weather")},
			Roots:      map[string]signature.Root{ownRoot: {Class: signature.PrivateV2, JSON: text}},
		})
		if (v == nil) == (err == nil) {
			t.Errorf("got %v, %v", v, err)
		}
	})
}
