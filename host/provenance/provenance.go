// Package provenance keeps, for one agent, what its sessions have seen and which label
// the files in its folders carry, so that neither a restart nor a detour through
// storage makes a stranger's bytes trusted.
package provenance

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
	"github.com/glovebox-dev/glovebox/internal/sqlitex"
)

// MaxSeen and MaxBytes bound what one session can see, in things and in bytes of text: a
// longer one must start anew.
const (
	MaxSeen  = 10_000
	MaxBytes = 16 << 20
)

// keepTime is how long a session that nobody continues is kept.
const keepTime = 90 * 24 * time.Hour

// ErrLong is returned for a session that has seen all that one can see.
var ErrLong = errors.New("the session is too long; start a new one")

var migrations = []string{`
CREATE TABLE session (
	id      TEXT PRIMARY KEY,
	mandate TEXT NOT NULL,    -- JSON; null = none
	touched INTEGER NOT NULL  -- Unix seconds
) STRICT, WITHOUT ROWID;
CREATE TABLE seen (
	session TEXT NOT NULL REFERENCES session ON DELETE CASCADE,
	n       INTEGER NOT NULL,
	tool    TEXT NOT NULL,    -- empty: the owner's own turn
	effect  INTEGER NOT NULL,
	label   TEXT NOT NULL,
	text    TEXT NOT NULL,
	minted  TEXT NOT NULL,
	PRIMARY KEY (session, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE file (
	path   TEXT PRIMARY KEY,
	folder TEXT NOT NULL,
	sum    TEXT NOT NULL,
	label  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX file_folder ON file (folder)`, `
-- What was kept before may repeat what a model said.
ALTER TABLE seen ADD COLUMN fetched INTEGER NOT NULL DEFAULT 0`, `
CREATE TABLE guarded (
	session TEXT PRIMARY KEY,
	marked  INTEGER NOT NULL, -- compromised
	state   BLOB NOT NULL,
	touched INTEGER NOT NULL
) STRICT, WITHOUT ROWID`}

// Store is the store of one agent. It is safe for concurrent use.
type Store struct {
	db  *sqlitex.DB
	now func() time.Time
}

// Open opens or creates the database at path.
func Open(ctx context.Context, path string) (*Store, error) {
	db, err := sqlitex.Open(ctx, path, migrations)
	if err != nil {
		return nil, fmt.Errorf("open provenance: %w", err)
	}
	s := &Store{db: db, now: time.Now}
	old := s.now().Add(-keepTime).Unix()
	for _, q := range []string{`DELETE FROM seen WHERE session IN (SELECT id FROM session WHERE touched < ?)`, `DELETE FROM session WHERE touched < ?`, `DELETE FROM guarded WHERE touched < ? AND marked = 0`} {
		if _, err := db.Write.ExecContext(ctx, q, old); err != nil {
			return nil, errors.Join(fmt.Errorf("open provenance: %w", err), db.Close())
		}
	}
	return s, nil
}

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// Load returns what the session id has seen. A session that is not known begins with
// start; one that is keeps the mandate that it began with.
func (s *Store) Load(ctx context.Context, id abi.SessionID, start gate.State) (gate.State, error) {
	none := gate.State{}
	mandate, err := json.Marshal(start.Mandate)
	if err != nil {
		return none, fmt.Errorf("load session: %w", err)
	}
	row := s.db.Write.QueryRowContext(ctx, `INSERT INTO session VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET touched = excluded.touched RETURNING mandate`,
		string(id), string(mandate), s.now().Unix())
	var kept string
	if err := row.Scan(&kept); err != nil {
		return none, fmt.Errorf("load session: %w", err)
	}
	start.Mandate = nil
	if err := json.Unmarshal([]byte(kept), &start.Mandate); err != nil {
		return none, fmt.Errorf("load session: its mandate is damaged: %w", err)
	}
	rows, err := s.db.Read.QueryContext(ctx, `SELECT tool, effect, label, text, minted, fetched FROM seen WHERE session = ? ORDER BY n`, string(id))
	if err != nil {
		return none, fmt.Errorf("load session: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var tool, kept, text, minted string
		var effect uint8
		var fetched bool
		if err := rows.Scan(&tool, &effect, &kept, &text, &minted, &fetched); err != nil {
			return none, fmt.Errorf("load session: %w", err)
		}
		if tool == "" {
			start = start.Hear(read(kept), text)
			continue
		}
		src := gate.Source{Effect: abi.Effect(effect), Label: read(kept), Text: text, Fetched: fetched}
		if src.Tool, err = abi.ParseToolRef(tool); err != nil {
			return none, fmt.Errorf("load session: it is damaged: %w", err)
		}
		if err := json.Unmarshal([]byte(minted), &src.Minted); err != nil {
			return none, fmt.Errorf("load session: it is damaged: %w", err)
		}
		start = start.Read(src)
	}
	if err := rows.Err(); err != nil {
		return none, fmt.Errorf("load session: %w", err)
	}
	return start, nil
}

// Heard adds one of the owner's own turns to a session.
func (s *Store) Heard(ctx context.Context, id abi.SessionID, l label.Label, words string) error {
	return s.add(ctx, id, "", gate.Source{Label: l, Text: words})
}

// Read adds the result of a tool to a session: no more of it than the gate makes use of.
func (s *Store) Read(ctx context.Context, id abi.SessionID, src gate.Source) error {
	return s.add(ctx, id, src.Tool.String(), src.Kept())
}

func (s *Store) add(ctx context.Context, id abi.SessionID, tool string, src gate.Source) error {
	kept, err := json.Marshal(src.Label)
	if err != nil {
		return fmt.Errorf("keep what a session saw: %w", err)
	}
	minted, err := json.Marshal(src.Minted)
	if err != nil {
		return fmt.Errorf("keep what a session saw: %w", err)
	}
	res, err := s.db.Write.ExecContext(ctx, `INSERT INTO seen SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7 FROM seen WHERE session = ?1 HAVING count(*) < ?8 AND coalesce(sum(octet_length(text)), 0) + octet_length(?5) <= ?9`,
		string(id), tool, uint8(src.Effect), string(kept), src.Text, string(minted), src.Fetched, MaxSeen, MaxBytes)
	if err != nil {
		return fmt.Errorf("keep what a session saw: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, ErrLong)
	}
	return nil
}

// read returns a stored label; what cannot be read is tainted and private.
func read(kept string) (l label.Label) {
	if json.Unmarshal([]byte(kept), &l) != nil {
		return label.Label{}
	}
	return l
}

// Kept returns the label of the file or folder path, and the SHA-256 in hex of the
// content that it is for: empty for a folder.
func (s *Store) Kept(ctx context.Context, path string) (l label.Label, sum string, ok bool, err error) {
	var kept string
	err = s.db.Read.QueryRowContext(ctx, `SELECT label, sum FROM file WHERE path = ?`, filepath.Clean(path)).Scan(&kept, &sum)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return label.Label{}, "", false, nil
	case err != nil:
		return label.Label{}, "", false, fmt.Errorf("label of a file: %w", err)
	}
	return read(kept), sum, true, nil
}

// Children returns the labels of what lies directly in the folder dir, by name.
func (s *Store) Children(ctx context.Context, dir string) (map[string]label.Label, error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT path, label FROM file WHERE folder = ?`, filepath.Clean(dir))
	if err != nil {
		return nil, fmt.Errorf("labels of a folder: %w", err)
	}
	defer func() { _ = rows.Close() }()
	labels := map[string]label.Label{}
	for rows.Next() {
		var path, kept string
		if err := rows.Scan(&path, &kept); err != nil {
			return nil, fmt.Errorf("labels of a folder: %w", err)
		}
		labels[filepath.Base(path)] = read(kept)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("labels of a folder: %w", err)
	}
	return labels, nil
}

// Keep keeps the label of the file path whose content has the SHA-256 sum in hex, or
// of a folder, with an empty sum.
func (s *Store) Keep(ctx context.Context, path, sum string, l label.Label) error {
	kept, err := json.Marshal(l)
	if err == nil {
		path = filepath.Clean(path)
		_, err = s.db.Write.ExecContext(ctx, `INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)`, path, filepath.Dir(path), sum, string(kept))
	}
	if err != nil {
		return fmt.Errorf("keep the label of a file: %w", err)
	}
	return nil
}

// Forget drops the labels of path and of everything below it.
func (s *Store) Forget(ctx context.Context, path string) error {
	below := strings.TrimSuffix(filepath.Clean(path), "/") + "/"
	_, err := s.db.Write.ExecContext(ctx, `DELETE FROM file WHERE path = ? OR substr(path, 1, length(?)) = ?`, filepath.Clean(path), below, below)
	if err != nil {
		return fmt.Errorf("forget the label of a file: %w", err)
	}
	return nil
}
