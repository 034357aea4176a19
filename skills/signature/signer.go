package signature

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// Signer is what signs: a key file, a key of this one signature, or a service that
// holds the key and does not give it out. The key is on P-256.
type Signer interface {
	PublicKey() *ecdsa.PublicKey
	// SignDigest signs a SHA-256 and returns the signature in ASN.1.
	SignDigest(ctx context.Context, sum [sha256.Size]byte) ([]byte, error)
}

// ErrPassphrase is returned for an encrypted key file without, or with a wrong, passphrase.
var ErrPassphrase = errors.New("the key file is encrypted and the passphrase does not open it")

// fileKey signs with a key in memory.
type fileKey struct{ private *ecdsa.PrivateKey }

// NewSigner returns a signer with a new key in memory.
func NewSigner() (Signer, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return fileKey{k}, nil
}

// GenerateKey returns a new P-256 key in PEM, PKCS #8, for LoadSigner.
func GenerateKey() ([]byte, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	der, err := cryptoutils.MarshalPrivateKeyToDER(k)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return cryptoutils.PEMEncode(cryptoutils.PrivateKeyPEMType, der), nil
}

// LoadSigner reads a private P-256 key in PEM: PKCS #8, SEC 1, or a cosign.key, whose
// passphrase it asks for. A nil passphrase has none to offer.
func LoadSigner(text []byte, passphrase func() ([]byte, error)) (Signer, error) {
	if len(text) > MaxKey {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrKey, MaxKey)
	}
	asked := false
	ask := func(bool) ([]byte, error) {
		asked = true
		if passphrase == nil {
			return nil, ErrPassphrase
		}
		return passphrase()
	}
	any, err := cryptoutils.UnmarshalPEMToPrivateKey(text, ask)
	switch {
	case errors.Is(err, ErrPassphrase):
		return nil, fmt.Errorf("%w: %w", ErrKey, ErrPassphrase)
	case err != nil && asked:
		return nil, fmt.Errorf("%w: %w: %w", ErrKey, ErrPassphrase, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	k, ok := any.(*ecdsa.PrivateKey)
	if !ok || k.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: want ECDSA on P-256", ErrKey)
	}
	return fileKey{k}, nil
}

// PublicKey implements Signer.
func (k fileKey) PublicKey() *ecdsa.PublicKey { return &k.private.PublicKey }

// SignDigest implements Signer.
func (k fileKey) SignDigest(_ context.Context, sum [sha256.Size]byte) ([]byte, error) {
	return ecdsa.SignASN1(rand.Reader, k.private, sum[:])
}

// PublicKeyOf returns the pinned form of a signer's key: what a publisher hands out.
func PublicKeyOf(s Signer) (*Key, error) { return newKey(s.PublicKey()) }

// keypair shows a Signer to the library.
type keypair struct {
	Signer
	key *Key
}

// GetHashAlgorithm implements sign.Keypair.
func (keypair) GetHashAlgorithm() common.HashAlgorithm { return common.HashAlgorithm_SHA2_256 }

// GetSigningAlgorithm implements sign.Keypair.
func (keypair) GetSigningAlgorithm() common.PublicKeyDetails {
	return common.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

// GetHint implements sign.Keypair.
func (k keypair) GetHint() []byte { return []byte(k.key.Hint) }

// GetKeyAlgorithm implements sign.Keypair.
func (keypair) GetKeyAlgorithm() string { return "ECDSA" }

// GetPublicKey implements sign.Keypair.
func (k keypair) GetPublicKey() crypto.PublicKey { return k.PublicKey() }

// GetPublicKeyPem implements sign.Keypair.
func (k keypair) GetPublicKeyPem() (string, error) { return string(k.key.PEM()), nil }

// SignData implements sign.Keypair: it returns the signature and what was signed.
func (k keypair) SignData(ctx context.Context, data []byte) (signature, digest []byte, err error) {
	sum := sha256.Sum256(data)
	signature, err = k.SignDigest(ctx, sum)
	return signature, sum[:], err
}
