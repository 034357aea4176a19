package signtest

import (
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// KeyPair is a publisher's key.
type KeyPair struct {
	Signer signature.Signer
	Public *signature.Key
}

// Key makes one.
func Key(t testing.TB) *KeyPair {
	t.Helper()
	s, err := signature.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	k, err := signature.PublicKeyOf(s)
	if err != nil {
		t.Fatal(err)
	}
	return &KeyPair{s, k}
}

// Sign returns the bundle of a skill, signed with the key alone.
func (k *KeyPair) Sign(t testing.TB, manifest abi.Digest, f signature.Facts) []byte {
	t.Helper()
	b, err := signature.Sign(t.Context(), signature.Request{Digest: manifest, Facts: f, Signer: k.Signer})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Publisher returns the publisher with that key, for skills of those names.
func (k *KeyPair) Publisher(name string, skills ...string) signature.Publisher {
	return signature.Publisher{Name: name, Skills: skills, Key: k.Public}
}
