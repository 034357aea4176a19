package signature

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"
)

// MaxKey bounds a key file, in bytes.
const MaxKey = 64 << 10

// ErrKey is wrapped by every refusal of a key file.
var ErrKey = errors.New("key refused")

// Key is a publisher's pinned public key and the time in which it was in use.
type Key struct {
	Hint  string    // base64 of the SHA-256 of the key's DER form, as cosign writes it
	From  time.Time // zero: always
	Until time.Time // zero: still

	public *ecdsa.PublicKey
}

// ParseKey reads exactly one PEM block "PUBLIC KEY" with an ECDSA P-256 key, and
// nothing after it.
func ParseKey(text []byte) (*Key, error) {
	if len(text) > MaxKey {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrKey, MaxKey)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" || len(block.Headers) > 0 {
		return nil, fmt.Errorf("%w: want one PEM block \"PUBLIC KEY\"", ErrKey)
	}
	if before, _, _ := bytes.Cut(text, []byte("-----BEGIN")); len(bytes.TrimSpace(before)) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%w: data outside of the PEM block", ErrKey)
	}
	any, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	public, ok := any.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: want ECDSA on P-256, got %T", ErrKey, any)
	}
	return newKey(public)
}

func newKey(public *ecdsa.PublicKey) (*Key, error) {
	if public == nil || public.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: want ECDSA on P-256, got another curve", ErrKey)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	sum := sha256.Sum256(der)
	return &Key{Hint: base64.StdEncoding.EncodeToString(sum[:]), public: public}, nil
}

// PEM returns the public key as ParseKey reads it.
func (k *Key) PEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		return nil // a key of newKey has a DER form
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// class follows from the window: a window without a time would bound nothing.
func (k *Key) class() Class {
	if k.From.IsZero() && k.Until.IsZero() {
		return PinnedPlain
	}
	return PinnedWindow
}

// pinned is trusted material with one key and, for its window, the timestamp
// authorities of a root.
type pinned struct {
	root.TrustedMaterial
	hint string
	key  *root.ExpiringKey
}

var errHint = errors.New("this key is not pinned")

// PublicKeyVerifier answers for its own hint alone: there is no "any key".
func (p *pinned) PublicKeyVerifier(hint string) (root.TimeConstrainedVerifier, error) {
	if hint != p.hint {
		return nil, errHint
	}
	return p.key, nil
}

// authority builds the authority of one pinned key. anchors may be nil for a key
// without a window.
func (k *Key) authority(anchors root.TrustedMaterial) (*authority, error) {
	if k.public == nil {
		return nil, fmt.Errorf("%w: no key", ErrKey)
	}
	if !k.From.IsZero() && !k.Until.IsZero() && !k.From.Before(k.Until) {
		return nil, fmt.Errorf("%w: its window ends before it begins", ErrKey)
	}
	sv, err := signature.LoadDefaultVerifier(k.public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if anchors == nil || k.class() == PinnedPlain {
		anchors = &root.BaseTrustedMaterial{}
	}
	return newAuthority(k.class(), &pinned{anchors, k.Hint, root.NewExpiringKey(sv, k.From, k.Until)})
}
