package broker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/redact"
	"github.com/glovebox-dev/glovebox/internal/sqlitex"
)

// Errors of the vault.
var (
	ErrNoSecret  = errors.New("no such secret")
	ErrWrongKey  = errors.New("the key file is not the one that sealed this vault")
	ErrNoKey     = errors.New("the key file of the vault is missing")
	ErrKeyFile   = errors.New("the key file of the vault is not safe to use")
	ErrTampered  = errors.New("a sealed secret does not open: it was changed, swapped or copied from another row")
	ErrBadSecret = errors.New("value cannot be a secret")
)

var vaultSchema = []string{
	`CREATE TABLE meta (
		id         INTEGER PRIMARY KEY CHECK (id = 1),
		key_id     TEXT    NOT NULL,  -- HMAC of the key: which key sealed the rows
		generation INTEGER NOT NULL   -- grows with each change
	) STRICT;
	CREATE TABLE secret (
		name    TEXT    PRIMARY KEY,
		version INTEGER NOT NULL,     -- the generation that wrote the row
		sealed  BLOB    NOT NULL,     -- nonce, AES-256-GCM ciphertext, tag
		updated INTEGER NOT NULL      -- Unix seconds
	) STRICT`,
}

// Vault keeps secrets at rest: a SQLite file whose values are sealed with AES-256-GCM
// under a key that lives in a file of its own, bound to name and version, so that a
// row that was moved or altered does not open. The command line and the daemon may
// have it open at once. No method returns a value; only this package's injection can
// read one.
//
// Not defended: somebody who can write the database can put back an older copy of it
// or delete rows; somebody who can read both files has everything.
type Vault struct {
	db      *sqlitex.DB
	keyPath string

	mu     sync.Mutex // guards loading, so that one goroutine opens the rows after a change
	loaded atomic.Pointer[opened]
}

// opened is all secrets of one generation, immutable.
type opened struct {
	generation int64
	values     map[abi.SecretName]Secret
	former     []redact.Value // replaced or removed while this process ran: secret as well
	matcher    *redact.Matcher
}

// maxFormer is how many former values are kept.
const maxFormer = 64

// Info describes a stored secret without its value.
type Info struct {
	Name    abi.SecretName `json:"name"`
	Updated time.Time      `json:"updated"`
}

// OpenVault opens the vault in the database dbPath with the key in keyPath, both of
// mode 0600. Where neither has been used before, it makes the database and a random
// key. A vault without its key file, or with another one, is an error and is never
// given a new key.
func OpenVault(ctx context.Context, dbPath, keyPath string) (*Vault, error) {
	db, err := sqlitex.Open(ctx, dbPath, vaultSchema)
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v := &Vault{db: db, keyPath: keyPath}
	err = v.write(ctx, func(*sql.Tx, *key, int64) error { return errNothing })
	if err != nil && !errors.Is(err, errNothing) {
		_ = db.Close()
		return nil, fmt.Errorf("open vault: %w", err)
	}
	return v, nil
}

var errNothing = errors.New("nothing to write")

// write runs do with the present key and the next generation inside one writing
// transaction. SQLite admits one writer among all processes, so this also orders the
// work on the key file.
func (v *Vault) write(ctx context.Context, do func(tx *sql.Tx, k *key, generation int64) error) error {
	tx, err := v.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var id string
	var generation int64
	err = tx.QueryRowContext(ctx, `SELECT key_id, generation FROM meta`).Scan(&id, &generation)
	fresh := errors.Is(err, sql.ErrNoRows)
	if err != nil && !fresh {
		return err
	}
	var k *key
	if fresh {
		k, err = firstKey(v.keyPath)
	} else {
		k, err = settleKey(v.keyPath, id)
	}
	if err != nil {
		return err
	}
	defer k.wipe()
	if fresh {
		if _, err := tx.ExecContext(ctx, `INSERT INTO meta (id, key_id, generation) VALUES (1, ?, 0)`, k.id()); err != nil {
			return err
		}
	}
	err = do(tx, k, generation+1)
	switch {
	case err == nil:
		if _, err := tx.ExecContext(ctx, `UPDATE meta SET generation = ?`, generation+1); err != nil {
			return err
		}
	case fresh && errors.Is(err, errNothing):
	default:
		return err
	}
	if cerr := tx.Commit(); cerr != nil {
		return cerr
	}
	return err
}

// Set stores value under name, replacing what was there. A value that redact.Check
// refuses is refused: it could not be kept out of logs and results.
func (v *Vault) Set(ctx context.Context, name abi.SecretName, value []byte) error {
	if err := name.Check(); err != nil {
		return err
	}
	if err := redact.Check(value); err != nil {
		return fmt.Errorf("secret %s not stored: %w: %w", name, ErrBadSecret, err)
	}
	if strings.Contains(redact.Label(string(name))+name.Placeholder(), string(value)) {
		return fmt.Errorf("secret %s not stored: %w: it is part of the text that stands for it", name, ErrBadSecret)
	}
	err := v.write(ctx, func(tx *sql.Tx, k *key, generation int64) error {
		sealed, err := k.seal(name, generation, value)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO secret (name, version, sealed, updated) VALUES (?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET version = excluded.version, sealed = excluded.sealed, updated = excluded.updated`,
			string(name), generation, sealed, time.Now().Unix())
		return err
	})
	if err != nil {
		return fmt.Errorf("store secret %s: %w", name, err)
	}
	return nil
}

// Remove deletes the secret name; ErrNoSecret when there is none.
func (v *Vault) Remove(ctx context.Context, name abi.SecretName) error {
	err := v.write(ctx, func(tx *sql.Tx, _ *key, _ int64) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM secret WHERE name = ?`, string(name))
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNoSecret)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove secret %s: %w", name, err)
	}
	return nil
}

// List returns what is stored, by name.
func (v *Vault) List(ctx context.Context) ([]Info, error) {
	rows, err := v.db.Read.QueryContext(ctx, `SELECT name, updated FROM secret ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Info
	for rows.Next() {
		var name string
		var updated int64
		if err := rows.Scan(&name, &updated); err != nil {
			return nil, fmt.Errorf("list secrets: %w", err)
		}
		out = append(out, Info{abi.SecretName(name), time.Unix(updated, 0).UTC()})
	}
	return out, rows.Err()
}

// Present reports whether a value is stored under name.
func (v *Vault) Present(ctx context.Context, name abi.SecretName) (bool, error) {
	var n int
	err := v.db.Read.QueryRowContext(ctx, `SELECT count(*) FROM secret WHERE name = ?`, string(name)).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for secret %s: %w", name, err)
	}
	return n == 1, nil
}

// Matcher returns the matcher of the values that this process has loaded, nil when it
// has loaded none. It does not read the database, so logging may call it always: a
// value that was never loaded cannot leak from this process.
func (v *Vault) Matcher() *redact.Matcher {
	if o := v.loaded.Load(); o != nil {
		return o.matcher
	}
	return nil
}

// Refresh loads the secrets as they are stored now, so that Matcher knows them before
// any request needs one.
func (v *Vault) Refresh(ctx context.Context) error {
	_, err := v.current(ctx)
	return err
}

// Close closes the database and overwrites the loaded values. Nobody may use the
// vault or a request that it takes part in afterwards.
func (v *Vault) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if o := v.loaded.Swap(nil); o != nil {
		for _, s := range o.values {
			s.wipe()
		}
	}
	return v.db.Close()
}

// current returns the secrets as they are stored now, opening them anew when any
// process has changed them. A row that does not open makes all unavailable.
func (v *Vault) current(ctx context.Context) (*opened, error) {
	var generation int64
	if err := v.db.Read.QueryRowContext(ctx, `SELECT generation FROM meta`).Scan(&generation); err != nil {
		return nil, fmt.Errorf("read vault: %w", err)
	}
	if o := v.loaded.Load(); o != nil && o.generation == generation {
		return o, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	o, err := v.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("read vault: %w", err)
	}
	v.loaded.Store(o)
	return o, nil
}

// load opens all rows in one reading transaction.
func (v *Vault) load(ctx context.Context) (*opened, error) {
	tx, err := v.db.Read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	o := &opened{values: map[abi.SecretName]Secret{}}
	var id string
	if err := tx.QueryRowContext(ctx, `SELECT key_id, generation FROM meta`).Scan(&id, &o.generation); err != nil {
		return nil, err
	}
	k, err := findKey(v.keyPath, id)
	if err != nil {
		return nil, err
	}
	defer k.wipe()
	rows, err := tx.QueryContext(ctx, `SELECT name, version, sealed FROM secret`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var known []redact.Value
	for rows.Next() {
		var name string
		var version int64
		var sealed []byte
		if err := rows.Scan(&name, &version, &sealed); err != nil {
			return nil, err
		}
		value, err := k.open(abi.SecretName(name), version, sealed)
		if err != nil {
			return nil, err
		}
		o.values[abi.SecretName(name)] = newSecret(value)
		known = append(known, redact.Value{Name: name, Text: string(value)})
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	o.former = formerValues(v.loaded.Load(), o)
	o.matcher, err = redact.New(append(known, o.former...))
	return o, err
}

// formerValues returns the values of before that now no longer has, newest last.
func formerValues(before, now *opened) []redact.Value {
	if before == nil {
		return nil
	}
	out := slices.Clone(before.former)
	for name, s := range before.values {
		old := redact.Value{Name: string(name), Text: s.value()}
		if now.values[name].value() != old.Text && !slices.Contains(out, old) {
			out = append(out, old)
		}
	}
	return out[max(0, len(out)-maxFormer):]
}
