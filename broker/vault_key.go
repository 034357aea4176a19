package broker

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/durable"
)

// keySize is the length of the vault's key and of its file, in bytes.
const keySize = 32

// nextKey is the suffix of the file that holds a new key until the rows sealed with it
// are committed.
const nextKey = ".next"

// key seals and opens rows.
type key struct{ b []byte }

func (k *key) wipe() { clear(k.b) }

// Format prints no byte of the key.
func (k *key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[key]")) }

// id says which key this is without telling anything about it.
func (k *key) id() string {
	h := hmac.New(sha256.New, k.b)
	h.Write([]byte("glovebox/secret-key-id/v1"))
	return hex.EncodeToString(h.Sum(nil))
}

func (k *key) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.b)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// additional is the data that a row is bound to. The name's length precedes it, so
// that no two pairs of name and version spell the same bytes.
func additional(name abi.SecretName, version int64) []byte {
	b := []byte("glovebox/secret/v1")
	b = binary.BigEndian.AppendUint32(b, uint32(len(name))) //nolint:gosec // at most 128
	b = append(b, name...)
	return binary.BigEndian.AppendUint64(b, uint64(version)) //nolint:gosec // a counter from 1
}

func (k *key) seal(name abi.SecretName, version int64, value []byte) ([]byte, error) {
	a, err := k.aead()
	if err != nil {
		return nil, err
	}
	return a.Seal(nil, nil, value, additional(name, version)), nil
}

func (k *key) open(name abi.SecretName, version int64, sealed []byte) ([]byte, error) {
	a, err := k.aead()
	if err != nil {
		return nil, err
	}
	value, err := a.Open(nil, nil, sealed, additional(name, version))
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", name, ErrTampered)
	}
	return value, nil
}

// readKey reads a key file: 32 bytes, regular, mode 0600 or narrower. A missing file
// is fs.ErrNotExist.
func readKey(path string) (*key, error) {
	link, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !link.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %q is not a regular file", ErrKeyFile, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(link, info) {
		return nil, fmt.Errorf("%w: %q changed while it was opened", ErrKeyFile, path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: mode %04o of %q lets others in; run chmod 600 on it", ErrKeyFile, info.Mode().Perm(), path)
	}
	b := make([]byte, keySize+1)
	n, err := f.Read(b)
	if err != nil || n != keySize {
		return nil, fmt.Errorf("%w: %q does not hold exactly %d bytes", ErrKeyFile, path, keySize)
	}
	return &key{b[:keySize]}, nil
}

// makeKey writes a new random key to path, which must not exist, and syncs it.
func makeKey(path string) (*key, error) {
	k := &key{make([]byte, keySize)}
	if _, err := rand.Read(k.b); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(k.b)
	if err = errors.Join(err, f.Sync(), f.Close(), durable.SyncDir(filepath.Dir(path))); err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return k, nil
}

// firstKey returns the key for a vault that nothing was sealed in: the file's, if
// somebody put one there, or a new one.
func firstKey(path string) (*key, error) {
	k, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	return k, err
}

// findKey returns the key with the given id from path or, while a change of key is
// being finished, from its neighbour.
func findKey(path, id string) (*key, error) {
	var err error
	for range 2 { // twice: between the two files, the new key may move into place
		for _, file := range []string{path, path + nextKey} {
			k, kerr := readKey(file)
			if kerr == nil && hmac.Equal([]byte(k.id()), []byte(id)) {
				return k, nil
			}
			if file == path {
				err = kerr
			}
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %q; restore it from your backup, or remove the vault and store the secrets again", ErrNoKey, path)
	case err != nil:
		return nil, err
	}
	return nil, fmt.Errorf("%w: %q; restore the right one from your backup", ErrWrongKey, path)
}

// settleKey is findKey for the one writer: it also finishes or drops a change of key
// that was interrupted.
func settleKey(path, id string) (*key, error) {
	k, err := findKey(path, id)
	if err != nil {
		return nil, err
	}
	next, err := readKey(path + nextKey)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return k, nil
	case err == nil && bytes.Equal(next.b, k.b):
		err = errors.Join(os.Rename(path+nextKey, path), durable.SyncDir(filepath.Dir(path)))
	default: // never committed
		err = os.Remove(path + nextKey)
	}
	if err != nil {
		return nil, fmt.Errorf("finish the change of the vault's key: %w", err)
	}
	return k, nil
}

// Rekey seals all values with a new random key and replaces the key file. Another
// process that has the vault open goes on working. A crash at any point leaves a
// vault that opens: the new key is on disk before the rows are committed, and the
// next writer moves it into place or removes it.
func (v *Vault) Rekey(ctx context.Context) error {
	err := v.write(ctx, func(tx *sql.Tx, old *key, _ int64) error {
		k, err := makeKey(v.keyPath + nextKey)
		if err != nil {
			return err
		}
		defer k.wipe()
		if err := reseal(ctx, tx, old, k); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE meta SET key_id = ?`, k.id())
		return err
	})
	if err == nil { // move the new key into place, in the order of writers
		err = v.write(ctx, func(*sql.Tx, *key, int64) error { return errNothing })
	}
	if err != nil && !errors.Is(err, errNothing) {
		return fmt.Errorf("change the vault's key: %w", err)
	}
	return nil
}

func reseal(ctx context.Context, tx *sql.Tx, old, k *key) error {
	type row struct {
		name    string
		version int64
		sealed  []byte
	}
	rows, err := tx.QueryContext(ctx, `SELECT name, version, sealed FROM secret`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var all []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.name, &r.version, &r.sealed); err != nil {
			return err
		}
		all = append(all, r)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, r := range all {
		value, err := old.open(abi.SecretName(r.name), r.version, r.sealed)
		if err != nil {
			return err
		}
		sealed, err := k.seal(abi.SecretName(r.name), r.version, value)
		clear(value)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE secret SET sealed = ? WHERE name = ?`, sealed, r.name); err != nil {
			return err
		}
	}
	return nil
}
