package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// migrations of the database. What was seen and revoked belongs to a root, not to a
// name: removing a registry and adding it again forgets nothing.
func migrations() []string {
	return []string{`
CREATE TABLE registry (
	name TEXT PRIMARY KEY, sources TEXT NOT NULL, pinned BLOB NOT NULL, root_id TEXT NOT NULL, root BLOB NOT NULL,
	max_age INTEGER NOT NULL, added INTEGER NOT NULL, refreshed INTEGER NOT NULL, generation INTEGER NOT NULL
) STRICT;
CREATE TABLE file (
	registry TEXT NOT NULL REFERENCES registry (name) ON DELETE CASCADE, name TEXT NOT NULL, data BLOB NOT NULL,
	PRIMARY KEY (registry, name)
) STRICT;
CREATE TABLE seen (root_id TEXT NOT NULL, role TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (root_id, role)) STRICT;
CREATE TABLE revocation (
	root_id TEXT NOT NULL, subject TEXT NOT NULL, entry TEXT NOT NULL, lifted INTEGER NOT NULL,
	PRIMARY KEY (root_id, subject)
) STRICT`}
}

// ErrUnknown is returned for a registry that was not added.
var ErrUnknown = errors.New("no such registry")

// row is one registry as the database keeps it.
type row struct {
	name       Name
	sources    []string
	rootID     abi.Digest // of the pinned root
	pinned     []byte     // what the operator gave
	root       []byte     // the newest root that it leads to
	maxAge     time.Duration
	added      time.Time
	refreshed  time.Time
	generation int64
}

const rowColumns = `SELECT name, sources, root_id, pinned, root, max_age, added, refreshed, generation FROM registry `

func scanRow(scan func(...any) error) (*row, error) {
	var r row
	var sources string
	var maxAge, added, refreshed int64
	if err := scan(&r.name, &sources, &r.rootID, &r.pinned, &r.root, &maxAge, &added, &refreshed, &r.generation); err != nil {
		return nil, err
	}
	r.maxAge, r.added, r.refreshed = time.Duration(maxAge), time.Unix(added, 0).UTC(), time.Unix(refreshed, 0).UTC()
	return &r, json.Unmarshal([]byte(sources), &r.sources)
}

func (c *Client) row(ctx context.Context, name Name) (*row, error) {
	r, err := scanRow(c.db.Read.QueryRowContext(ctx, rowColumns+`WHERE name = ?`, name).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, clip(string(name)))
	}
	return r, err
}

func (c *Client) rows(ctx context.Context) (list []*row, err error) {
	rows, err := c.db.Read.QueryContext(ctx, rowColumns+`ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		r, err := scanRow(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// seen returns the highest version of each role that was accepted below a root.
func (c *Client) seen(ctx context.Context, root abi.Digest) (_ map[string]int64, err error) {
	rows, err := c.db.Read.QueryContext(ctx, `SELECT role, version FROM seen WHERE root_id = ?`, root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	seen := map[string]int64{}
	for rows.Next() {
		var role string
		var version int64
		if err := rows.Scan(&role, &version); err != nil {
			return nil, err
		}
		seen[role] = version
	}
	return seen, rows.Err()
}

// files returns what the registry's last walk read.
func (c *Client) files(ctx context.Context, name Name) (_ stored, err error) {
	rows, err := c.db.Read.QueryContext(ctx, `SELECT name, data FROM file WHERE registry = ?`, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	files := stored{}
	for rows.Next() {
		var file string
		var data []byte
		if err := rows.Scan(&file, &data); err != nil {
			return nil, err
		}
		files[file] = data
	}
	return files, rows.Err()
}

// save replaces what is kept of a registry by a verified set, in one transaction: a
// process that dies leaves the old state or the new one.
func (c *Client) save(ctx context.Context, old *row, next *row, s *set) (err error) {
	tx, err := c.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := saveRow(ctx, tx, old, next); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM file WHERE registry = ?`, next.name); err != nil {
		return err
	}
	for name, data := range s.files {
		if _, err := tx.ExecContext(ctx, `INSERT INTO file VALUES (?, ?, ?)`, next.name, name, data); err != nil {
			return err
		}
	}
	if s.rotated {
		if _, err := tx.ExecContext(ctx, `DELETE FROM seen WHERE root_id = ?`, next.rootID); err != nil {
			return err
		}
	}
	for role, version := range s.versions {
		if _, err := tx.ExecContext(ctx, `INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version`, next.rootID, role, version); err != nil {
			return err
		}
	}
	if err := saveRevocations(ctx, tx, next.rootID, s); err != nil {
		return err
	}
	return tx.Commit()
}

// saveRow inserts the row, or updates it if nobody else did since it was read.
func saveRow(ctx context.Context, tx *sql.Tx, old, next *row) error {
	if old == nil {
		sources, err := json.Marshal(next.sources)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO registry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, next.name, string(sources), next.pinned,
			next.rootID, next.root, int64(next.maxAge), next.added.Unix(), next.refreshed.Unix(), next.generation)
		return err
	}
	res, err := tx.ExecContext(ctx, `UPDATE registry SET root = ?, refreshed = ?, generation = ? WHERE name = ? AND root_id = ? AND generation = ?`,
		next.root, next.refreshed.Unix(), next.generation, next.name, old.rootID, old.generation)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errors.New("another process refreshed the registry meanwhile; try again"), err)
	}
	return nil
}

func saveRevocations(ctx context.Context, tx *sql.Tx, root abi.Digest, s *set) error {
	for lifted, list := range [][]Revocation{s.revoked, s.lifted} {
		for _, r := range list {
			entry, err := json.Marshal(r)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO revocation VALUES (?, ?, ?, ?)
				ON CONFLICT DO UPDATE SET entry = excluded.entry, lifted = excluded.lifted`, root, r.id(), string(entry), lifted); err != nil {
				return err
			}
		}
	}
	return nil
}

// stored is the set of files of an earlier walk.
type stored map[string][]byte
