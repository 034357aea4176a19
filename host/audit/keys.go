package audit

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/glovebox-dev/glovebox/internal/durable"
)

// keyFile is the key file's JSON. Seeds of retired keys are deleted, their public
// halves stay so that old checkpoints still verify.
type keyFile struct {
	Schema string     `json:"schema"` // glovebox/audit-keys/v1
	MAC    []byte     `json:"mac"`    // 32 bytes; for argsMAC
	Keys   []keyEntry `json:"keys"`   // the last one signs
}

type keyEntry struct {
	ID      string    `json:"id"`
	Public  []byte    `json:"public"`
	Seed    []byte    `json:"seed,omitempty"`
	Created time.Time `json:"created"`
}

const (
	keySchema  = "glovebox/audit-keys/v1"
	maxKeyFile = 1 << 20
)

// keyID names a public key by the start of its SHA-256.
func keyID(public []byte) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

func newKey(now time.Time) (keyEntry, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return keyEntry{}, err
	}
	return keyEntry{ID: keyID(public), Public: public, Seed: private.Seed(), Created: now.UTC()}, nil
}

// loadKeys reads the key file. Only its owner may be able to read it.
func loadKeys(path string) (*keyFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w %q: mode %v lets others in; run chmod 600 on it", ErrKey, path, info.Mode())
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	var k keyFile
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, fmt.Errorf("%w %q: %w", ErrKey, path, err)
	}
	return &k, k.check(path)
}

func (k *keyFile) check(path string) error {
	if k.Schema != keySchema || len(k.MAC) != sha256.Size || len(k.Keys) == 0 {
		return fmt.Errorf("%w %q: not of schema %s", ErrKey, path, keySchema)
	}
	for _, e := range k.Keys {
		if len(e.Public) != ed25519.PublicKeySize || e.ID != keyID(e.Public) {
			return fmt.Errorf("%w %q: key %q is malformed", ErrKey, path, e.ID)
		}
	}
	last := k.Keys[len(k.Keys)-1]
	if len(last.Seed) != ed25519.SeedSize || !hmac.Equal(ed25519.NewKeyFromSeed(last.Seed).Public().(ed25519.PublicKey), last.Public) {
		return fmt.Errorf("%w %q: the last key cannot sign", ErrKey, path)
	}
	return nil
}

// openKeys loads the key file, or makes it if it does not exist and may be made.
func openKeys(path string, mayCreate bool, now time.Time) (*keyFile, error) {
	k, err := loadKeys(path)
	if !errors.Is(err, fs.ErrNotExist) || !mayCreate {
		return k, err
	}
	entry, err := newKey(now)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	k = &keyFile{Schema: keySchema, MAC: make([]byte, sha256.Size), Keys: []keyEntry{entry}}
	if _, err := rand.Read(k.MAC); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return k, k.save(path)
}

func (k *keyFile) save(path string) error {
	data, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	if err := durable.ReplaceBytes(path, 0o600, data); err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	return nil
}

func (k *keyFile) mac(args []byte) string {
	m := hmac.New(sha256.New, k.MAC)
	m.Write(args)
	return hex.EncodeToString(m.Sum(nil))
}

func (k *keyFile) public(id string) (ed25519.PublicKey, bool) {
	for _, e := range k.Keys {
		if e.ID == id {
			return e.Public, true
		}
	}
	return nil, false
}
