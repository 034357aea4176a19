// Package kv is the key-value store that skills keep state in, one scope for each
// (skill, agent), in one SQLite database. Quotas are counted in the transaction that
// writes, so that two sessions cannot pass them together.
package kv

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
	"github.com/glovebox-dev/glovebox/internal/sqlitex"
)

// Bounds of one entry and one answer.
const (
	MaxKey   = 256       // bytes of UTF-8
	MaxValue = 256 << 10 // bytes
	MaxList  = 1000      // entries
	maxTTL   = 10 * 365 * 24 * time.Hour
)

// rowCost is what an entry costs beside its key and value, so that many empty values
// are not free.
const rowCost = 32

var migrations = []string{`
CREATE TABLE kv (
	skill   TEXT NOT NULL,
	agent   TEXT NOT NULL,
	key     BLOB NOT NULL,
	value   BLOB NOT NULL,
	version INTEGER NOT NULL,
	expires INTEGER NOT NULL, -- Unix milliseconds; 0 = never
	PRIMARY KEY (skill, agent, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE kv_version (
	skill TEXT NOT NULL,
	agent TEXT NOT NULL,
	last  INTEGER NOT NULL,
	PRIMARY KEY (skill, agent)
) STRICT, WITHOUT ROWID`, `
-- What was written before reads as tainted and private; of a scope, label is that of
-- what was deleted.
ALTER TABLE kv ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE kv_version ADD COLUMN label TEXT NOT NULL DEFAULT ''`}

// Store is the store. It is safe for concurrent use.
type Store struct {
	db  *sqlitex.DB
	now func() time.Time
}

// Open opens or creates the database at path.
func Open(ctx context.Context, path string) (*Store, error) {
	db, err := sqlitex.Open(ctx, path, migrations)
	if err != nil {
		return nil, fmt.Errorf("open key-value store: %w", err)
	}
	return &Store{db: db, now: time.Now}, nil
}

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

func problem(code abi.Code, format string, args ...any) *abi.Problem {
	return &abi.Problem{Code: code, Capability: "kv", Message: fmt.Sprintf(format, args...)}
}

// checkCaller refuses an empty scope: it would be everybody's.
func checkCaller(c abi.Caller) error {
	if c.Skill == "" || c.Agent == "" {
		return problem(abi.CodeInternal, "the store needs a skill and an agent")
	}
	return nil
}

func checkKey(c abi.Caller, key string) error {
	if err := checkCaller(c); err != nil {
		return err
	}
	if key == "" || len(key) > MaxKey || !utf8.ValidString(key) {
		return problem(abi.CodeInvalid, "key: want 1 to %d bytes of UTF-8", MaxKey)
	}
	return nil
}

// Get returns the value of req.Key, its version and its label, or a not_found problem
// with the label of what was deleted from the scope.
func (s *Store) Get(ctx context.Context, c abi.Caller, req abi.KVRequest) (value []byte, version uint64, l label.Label, err error) {
	if err := checkKey(c, req.Key); err != nil {
		return nil, 0, label.Trusted(), err
	}
	var kept string
	row := s.db.Read.QueryRowContext(ctx, `SELECT value, version, label FROM kv WHERE skill = ? AND agent = ? AND key = ? AND (expires = 0 OR expires > ?)`,
		string(c.Skill), string(c.Agent), []byte(req.Key), s.now().UnixMilli())
	if err := row.Scan(&value, &version, &kept); errors.Is(err, sql.ErrNoRows) {
		return nil, 0, s.deleted(ctx, s.db.Read, c), problem(abi.CodeNotFound, "no such key")
	} else if err != nil {
		return nil, 0, label.Label{}, fmt.Errorf("kv get: %w", err)
	}
	return value, version, read(kept), nil
}

// read returns a stored label; what cannot be read is tainted and private.
func read(kept string) (l label.Label) {
	if json.Unmarshal([]byte(kept), &l) != nil {
		return label.Label{}
	}
	return l
}

func written(l label.Label) (string, error) {
	b, err := json.Marshal(l)
	return string(b), err
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// deleted returns the label of what was deleted from the scope: the unit if nothing was.
func (s *Store) deleted(ctx context.Context, db querier, c abi.Caller) label.Label {
	var kept string
	err := db.QueryRowContext(ctx, `SELECT label FROM kv_version WHERE skill = ? AND agent = ?`, string(c.Skill), string(c.Agent)).Scan(&kept)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && kept == "":
		return label.Trusted()
	case err != nil:
		return label.Label{}
	}
	return read(kept)
}

// Set writes value with the label l under req.Key and returns its version, which grows
// with every write of the scope, and the label of what the outcome tells of what was
// there, whether it fails or not. With req.IfVersion the present version must be that
// one, 0 meaning that there is none. All entries of the scope together hold at most
// maxBytes (keys, values and 32 bytes each) and maxKeys keys.
func (s *Store) Set(ctx context.Context, c abi.Caller, maxBytes int64, maxKeys int, req abi.KVRequest, value []byte, l label.Label) (version uint64, told label.Label, err error) {
	told = label.Trusted()
	if err := checkKey(c, req.Key); err != nil {
		return 0, told, err
	}
	if len(value) > MaxValue {
		return 0, told, problem(abi.CodeTooLarge, "a value has at most %d bytes", MaxValue)
	}
	if req.TTLSec < 0 || req.TTLSec > int64(maxTTL/time.Second) {
		return 0, told, problem(abi.CodeInvalid, "ttl_s: want 0 to %d", int64(maxTTL/time.Second))
	}
	now := s.now()
	expires := int64(0)
	if req.TTLSec > 0 {
		expires = now.Add(time.Duration(req.TTLSec) * time.Second).UnixMilli()
	}
	if value == nil {
		value = []byte{}
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		old, there, err := s.match(ctx, tx, c, req, now)
		if req.IfVersion != nil {
			told = old
		}
		if err != nil {
			return err
		}
		if err := s.room(ctx, tx, c, maxBytes, maxKeys, req.Key, len(value)); err != nil {
			told = label.Label{} // how much there is, of whatever
			return err
		}
		if there {
			l = l.Join(old) // its name stays
		}
		kept, err := written(l)
		if err != nil {
			return err
		}
		row := tx.QueryRowContext(ctx, `INSERT INTO kv_version (skill, agent, last) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last`, string(c.Skill), string(c.Agent))
		if err := row.Scan(&version); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO kv (skill, agent, key, value, version, expires, label) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			string(c.Skill), string(c.Agent), []byte(req.Key), value, version, expires, kept)
		return err
	})
	return version, told, err
}

// Delete removes req.Key on behalf of a caller whose label is l; a key that is not
// there is a not_found problem. It returns the label of what that tells, as Get does.
func (s *Store) Delete(ctx context.Context, c abi.Caller, req abi.KVRequest, l label.Label) (told label.Label, err error) {
	told = label.Trusted()
	if err := checkKey(c, req.Key); err != nil {
		return told, err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		old, there, err := s.match(ctx, tx, c, req, s.now())
		told = old
		if err != nil {
			return err
		}
		if !there {
			return problem(abi.CodeNotFound, "no such key")
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM kv WHERE skill = ? AND agent = ? AND key = ?`, string(c.Skill), string(c.Agent), []byte(req.Key)); err != nil {
			return err
		}
		kept, err := written(s.deleted(ctx, tx, c).Join(l))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE kv_version SET label = ? WHERE skill = ? AND agent = ?`, kept, string(c.Skill), string(c.Agent))
		return err
	})
	return told, err
}

// List answers keys that begin with req.Prefix and come after req.After, in byte
// order, with the label of all of them and of what was deleted.
func (s *Store) List(ctx context.Context, c abi.Caller, req abi.KVRequest) (abi.KVListResult, label.Label, error) {
	list := abi.KVListResult{Keys: []abi.KVEntry{}}
	if err := checkCaller(c); err != nil {
		return list, label.Trusted(), err
	}
	l := s.deleted(ctx, s.db.Read, c)
	limit := req.Limit
	if limit <= 0 || limit > MaxList {
		limit = MaxList
	}
	rows, err := s.db.Read.QueryContext(ctx, `SELECT key, version, length(value), label FROM kv
		WHERE skill = ? AND agent = ? AND key > ? AND substr(key, 1, ?) = ? AND (expires = 0 OR expires > ?) ORDER BY key LIMIT ?`,
		string(c.Skill), string(c.Agent), []byte(req.After), len(req.Prefix), []byte(req.Prefix), s.now().UnixMilli(), limit+1)
	if err != nil {
		return list, label.Label{}, fmt.Errorf("kv list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key []byte
		var e abi.KVEntry
		var kept string
		if err := rows.Scan(&key, &e.Version, &e.Size, &kept); err != nil {
			return list, label.Label{}, fmt.Errorf("kv list: %w", err)
		}
		l = l.Join(read(kept))
		e.Key = strings.ToValidUTF8(string(key), "\uFFFD")
		if len(list.Keys) == limit {
			list.Next = list.Keys[limit-1].Key
			break
		}
		list.Keys = append(list.Keys, e)
	}
	if err := rows.Err(); err != nil {
		return list, label.Label{}, fmt.Errorf("kv list: %w", err)
	}
	return list, l, nil
}

// write runs f in a transaction; a problem of f is returned as it is.
func (s *Store) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("kv: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := f(tx); err != nil {
		if p, ok := errors.AsType[*abi.Problem](err); ok {
			return p
		}
		return fmt.Errorf("kv: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("kv: %w", err)
	}
	return nil
}

// match drops what has expired in the scope, checks IfVersion and returns the label of
// the key, or of what was deleted where it is not there.
func (s *Store) match(ctx context.Context, tx *sql.Tx, c abi.Caller, req abi.KVRequest, now time.Time) (l label.Label, there bool, err error) {
	if _, err := tx.ExecContext(ctx, `DELETE FROM kv WHERE skill = ? AND agent = ? AND expires != 0 AND expires <= ?`,
		string(c.Skill), string(c.Agent), now.UnixMilli()); err != nil {
		return label.Label{}, false, err
	}
	var have uint64 // of none, 0
	var kept string
	err = tx.QueryRowContext(ctx, `SELECT version, label FROM kv WHERE skill = ? AND agent = ? AND key = ?`,
		string(c.Skill), string(c.Agent), []byte(req.Key)).Scan(&have, &kept)
	switch {
	case err == nil:
		l, there = read(kept), true
	case errors.Is(err, sql.ErrNoRows):
		l = s.deleted(ctx, tx, c)
	default:
		return label.Label{}, false, err
	}
	if req.IfVersion != nil && have != *req.IfVersion {
		return l, there, problem(abi.CodeConflict, "the key has version %d", have)
	}
	return l, there, nil
}

// room checks the quotas as they would stand with key at size bytes.
func (s *Store) room(ctx context.Context, tx *sql.Tx, c abi.Caller, maxBytes int64, maxKeys int, key string, size int) error {
	var keys int
	var bytes int64
	err := tx.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(length(key) + length(value) + ?), 0) FROM kv WHERE skill = ? AND agent = ? AND key != ?`,
		rowCost, string(c.Skill), string(c.Agent), []byte(key)).Scan(&keys, &bytes)
	if err != nil {
		return err
	}
	if keys+1 > maxKeys {
		return &abi.Problem{Code: abi.CodeQuota, Capability: "kv", Rule: "limits.kv_keys", Message: fmt.Sprintf("limits.kv_keys %d reached", maxKeys)}
	}
	if bytes+int64(len(key)+size+rowCost) > maxBytes {
		return &abi.Problem{Code: abi.CodeQuota, Capability: "kv", Rule: "limits.kv_bytes", Message: fmt.Sprintf("limits.kv_bytes %d reached", maxBytes)}
	}
	return nil
}
