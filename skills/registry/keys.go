package registry

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/internal/durable"
)

// keyring holds private keys by the ID that TUF gives them. A key that stays in a
// hardware module is a crypto.Signer as well.
type keyring map[string]crypto.Signer

// openKeys reads the private keys in dir: NAME.pem, PKCS #8, ECDSA P-256 or Ed25519.
// A folder that is not there has none.
func openKeys(dir string) (keyring, error) {
	keys := keyring{}
	files, err := filepath.Glob(filepath.Join(dir, "*.pem"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		key, err := ReadKey(file)
		if err != nil {
			return nil, err
		}
		if err := keys.add(key); err != nil {
			return nil, fmt.Errorf("key %s: %w", file, err)
		}
	}
	return keys, nil
}

func (k keyring) add(s crypto.Signer) error {
	_, id, err := tufKey(s.Public())
	if err == nil {
		k[id] = s
	}
	return err
}

// ReadKey reads one private key. A file that others can read is refused.
func ReadKey(file string) (crypto.Signer, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, &config.ModeError{Path: file, Mode: info.Mode().Perm(), Want: fs.FileMode(0o600)}
	}
	block, err := readPEM(file, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(block)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", file, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key %s: a %T cannot sign", file, key)
	}
	return signer, nil
}

// ReadPublicKey reads a public key: PEM, PKIX.
func ReadPublicKey(file string) (crypto.PublicKey, error) {
	block, err := readPEM(file, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(block)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", file, err)
	}
	return key, nil
}

func readPEM(file, kind string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != kind || len(rest) > 0 {
		return nil, fmt.Errorf("key %s: want exactly one PEM block %q", file, kind)
	}
	return block.Bytes, nil
}

// NewKey makes an ECDSA P-256 key, writes it to file (mode 0600) and its public half
// to the same name with .pub behind it. A file that is there is left alone.
func NewKey(file string) (crypto.Signer, error) {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("key %s is there already", file), err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	if err := config.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})); err != nil {
		return nil, err
	}
	return key, writePublic(file+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
}

// tufKey returns a public key in TUF's form, and its ID. Only ECDSA P-256 and Ed25519
// are made use of.
func tufKey(public crypto.PublicKey) (*metadata.Key, string, error) {
	if p, ok := public.(*ecdsa.PublicKey); ok && p.Curve != elliptic.P256() {
		return nil, "", fmt.Errorf("curve %s; want P-256", p.Curve.Params().Name)
	}
	key, err := metadata.KeyFromPublicKey(public)
	if err != nil {
		return nil, "", err
	}
	if key.Type == metadata.KeyTypeRSASSA_PSS_SHA256 {
		return nil, "", errors.New("RSA key; want ECDSA P-256 or Ed25519")
	}
	id, err := key.ID()
	return key, id, err
}

// sign adds the signatures of the held keys among ids that are not there yet, over the
// canonical JSON of the signed part (TUF 4.2). It reports whether it added any.
func sign[T metadata.Roles](keys keyring, ids []string, m *metadata.Metadata[T]) (added bool, err error) {
	payload, err := cjson.EncodeCanonical(m.Signed)
	if err != nil {
		return false, err
	}
	have := map[string]bool{}
	for _, s := range m.Signatures {
		have[s.KeyID] = true
	}
	for _, id := range ids {
		key, held := keys[id]
		if !held || have[id] {
			continue
		}
		message, hash := payload, crypto.Hash(0) // Ed25519 signs the message itself
		if _, ok := key.Public().(*ecdsa.PublicKey); ok {
			sum := sha256.Sum256(payload)
			message, hash = sum[:], crypto.SHA256
		}
		sig, err := key.Sign(rand.Reader, message, hash)
		if err != nil {
			return false, fmt.Errorf("sign with key %s: %w", id, err)
		}
		m.Signatures = append(m.Signatures, metadata.Signature{KeyID: id, Signature: sig})
		have[id], added = true, true
	}
	return added, nil
}

// writePublic replaces a file that everybody may read, with the folders above it.
func writePublic(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return durable.ReplaceBytes(file, 0o644, data)
}
