package signature_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/glovebox-dev/glovebox/skills/signature/signtest"
)

func publicPEM(t testing.TB, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func privatePEM(t testing.TB, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestOnlyP256KeysAreRead(t *testing.T) {
	t.Parallel()
	good := signtest.Key(t).Public
	curve := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if k, err := signature.ParseKey(append(good.PEM(), "\n\n"...)); err != nil || k.Hint != good.Hint {
		t.Errorf("a key in order: %v", err)
	}
	if _, err := signature.LoadSigner(privatePEM(t, curve(elliptic.P256())), nil); err != nil {
		t.Errorf("a private key in order: %v", err)
	}
	for name, text := range map[string][]byte{
		"nothing":               nil,
		"no PEM":                []byte("key"),
		"trailing data":         append(good.PEM(), 'x'),
		"a second key":          append(good.PEM(), good.PEM()...),
		"leading data":          append([]byte("x\n"), good.PEM()...),
		"headers":               []byte("-----BEGIN PUBLIC KEY-----\nA: b\n" + string(good.PEM()[len("-----BEGIN PUBLIC KEY-----"):])),
		"another type of block": bytes.ReplaceAll(good.PEM(), []byte("PUBLIC KEY"), []byte("CERTIFICATE")),
		"P-384":                 publicPEM(t, curve(elliptic.P384()).Public()),
		"P-521":                 publicPEM(t, curve(elliptic.P521()).Public()),
		"P-224":                 publicPEM(t, curve(elliptic.P224()).Public()),
		"RSA":                   publicPEM(t, rsaKey.Public()),
		"Ed25519":               publicPEM(t, edKey.Public()),
		"bytes after the DER":   pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: append(der(t, good), 0)}),
		"more than the limit":   append(bytes.Repeat([]byte("\n"), signature.MaxKey), good.PEM()...),
		"a private key":         privatePEM(t, curve(elliptic.P256())),
	} {
		if _, err := signature.ParseKey(text); !errors.Is(err, signature.ErrKey) {
			t.Errorf("%s: got %v, want ErrKey", name, err)
		}
	}
	for name, text := range map[string][]byte{
		"nothing": nil, "no PEM": []byte("key"), "P-384": privatePEM(t, curve(elliptic.P384())), "RSA": privatePEM(t, rsaKey),
		"Ed25519": privatePEM(t, edKey), "a public key": good.PEM(), "more than the limit": bytes.Repeat([]byte("-"), signature.MaxKey+1),
	} {
		if _, err := signature.LoadSigner(text, nil); !errors.Is(err, signature.ErrKey) {
			t.Errorf("private, %s: got %v, want ErrKey", name, err)
		}
	}
}

func der(t testing.TB, k *signature.Key) []byte {
	t.Helper()
	block, _ := pem.Decode(k.PEM())
	return block.Bytes
}

func TestCosignKeyOpensWithItsPassphrase(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/cosign/cosign.key")
	if err != nil {
		t.Fatal(err)
	}
	pass := func(s string) func() ([]byte, error) { return func() ([]byte, error) { return []byte(s), nil } }
	s, err := signature.LoadSigner(text, pass("vector"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := signature.PublicKeyOf(s)
	if err != nil {
		t.Fatal(err)
	}
	if want := cosignKey(t); k.Hint != want.Hint {
		t.Errorf("hint %s, want %s", k.Hint, want.Hint)
	}
	for name, p := range map[string]func() ([]byte, error){"none": nil, "a wrong one": pass("x"), "an empty one": pass("")} {
		if _, err := signature.LoadSigner(text, p); !errors.Is(err, signature.ErrPassphrase) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func cosignKey(t testing.TB) *signature.Key {
	t.Helper()
	b, err := os.ReadFile("testdata/cosign/cosign.pub")
	if err != nil {
		t.Fatal(err)
	}
	k, err := signature.ParseKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestOwnKeyIsMadeOnce starts many first signings at once: they use one key.
func TestOwnKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	s, err := config.OpenState(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signature.OwnKey(s); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("looking makes no key: %v", err)
	}
	var wg sync.WaitGroup
	hints, made := make([]string, 8), make([]bool, 8)
	for i := range hints {
		wg.Go(func() {
			k, m, err := signature.MakeOwnKey(s)
			if err != nil {
				t.Error(err)
				return
			}
			p, err := signature.PublicKeyOf(k)
			if err != nil {
				t.Error(err)
				return
			}
			hints[i], made[i] = p.Hint, m
		})
	}
	wg.Wait()
	count := 0
	for i, h := range hints {
		if h != hints[0] {
			t.Errorf("two keys: %s and %s", h, hints[0])
		}
		if made[i] {
			count++
		}
	}
	if count != 1 {
		t.Errorf("made %d times", count)
	}
	info, err := os.Stat(s.PublisherKey())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := config.OpenState(s.Dir()); err != nil {
		t.Errorf("the state folder is refused afterwards: %v", err)
	}
}
