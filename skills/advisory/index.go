package advisory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/internal/sqlitex"
	"github.com/glovebox-dev/glovebox/skills/sbom"
)

var migrations = []string{`
CREATE TABLE src (eco TEXT PRIMARY KEY, sha256 TEXT NOT NULL, imported INTEGER NOT NULL, newest INTEGER NOT NULL,
  vouched INTEGER NOT NULL, records INTEGER NOT NULL, seal TEXT NOT NULL) STRICT;
CREATE TABLE rec (id INTEGER PRIMARY KEY, eco TEXT NOT NULL, osv TEXT NOT NULL, modified INTEGER NOT NULL, facts BLOB NOT NULL, body BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX rec_osv ON rec (eco, osv);
CREATE TABLE aff (eco TEXT NOT NULL, name TEXT NOT NULL, rec INTEGER NOT NULL, PRIMARY KEY (eco, name, rec)) STRICT, WITHOUT ROWID;
`}

// Index is the database of advisories. Its methods may be called concurrently.
type Index struct {
	db    *sqlitex.DB
	mu    sync.Mutex
	whole map[sbom.Ecosystem]*known
}

// known is what this process has read of one ecosystem's data.
type known struct {
	seal     string                     // of data that was found whole
	findings map[sbom.Package][]Finding // what that data says, without a verdict
}

// maxKnown bounds the packages of an ecosystem whose findings are remembered.
const maxKnown = 10_000

// Open opens the index at path. One that is missing is made, and has no data: each
// Check of it is refused.
func Open(ctx context.Context, path string) (*Index, error) {
	db, err := sqlitex.Open(ctx, path, migrations)
	switch {
	case errors.Is(err, sqlitex.ErrNewer), errors.Is(err, fs.ErrPermission), errors.Is(err, context.Canceled):
		return nil, fmt.Errorf("advisories: %w", err)
	case err != nil:
		return nil, damaged(path, err)
	}
	return &Index{db: db, whole: map[sbom.Ecosystem]*known{}}, nil
}

// damaged is a database that cannot be believed. A missing row would read as "no
// advisory", so what can still be read of it does not count.
func damaged(path string, err error) *Refusal {
	return &Refusal{Reason: ErrNoDB, What: "the advisory database cannot be read", Err: err,
		Fix: "rm -f " + strconv.Quote(path) + "*; glovebox osv update --ecosystem NAME --from FILE"}
}

// Close closes the database.
func (x *Index) Close() error { return x.db.Close() }

// Source is what the index knows about the data of one ecosystem.
type Source struct {
	Ecosystem sbom.Ecosystem `json:"ecosystem"`
	SHA256    string         `json:"sha256"`   // of the archive, or of a folder's files
	Imported  time.Time      `json:"imported"` // says nothing about the age
	Newest    time.Time      `json:"newest"`   // how new the data is
	Vouched   bool           `json:"vouched"`  // Newest was given with the data, not found in it
	Records   int            `json:"records"`

	seal string
}

// Age is how old the data is at now.
func (s Source) Age(now time.Time) time.Duration { return now.Sub(s.Newest) }

// Fresh reports whether the data is young enough. Data from the future is not: its time
// or this clock is wrong.
func (s Source) Fresh(now time.Time, maxAge time.Duration) bool {
	age := s.Age(now)
	return age <= maxAge && age >= -clockSkew
}

// Sources lists the ecosystems with data, by name. Data that is not whole is a refusal.
func (x *Index) Sources(ctx context.Context) ([]Source, error) {
	list := []Source{}
	err := x.view(ctx, func(tx *sql.Tx) (err error) {
		if list, err = sources(ctx, tx); err != nil {
			return err
		}
		for _, s := range list {
			if err := x.intact(ctx, tx, s); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

func sources(ctx context.Context, tx *sql.Tx) ([]Source, error) {
	rows, err := tx.QueryContext(ctx, `SELECT eco, sha256, imported, newest, vouched, records, seal FROM src ORDER BY eco`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	list := []Source{}
	for rows.Next() {
		var s Source
		var imported, newest int64
		if err := rows.Scan(&s.Ecosystem, &s.SHA256, &imported, &newest, &s.Vouched, &s.Records, &s.seal); err != nil {
			return nil, err
		}
		s.Imported, s.Newest = time.Unix(imported, 0).UTC(), time.Unix(newest, 0).UTC()
		list = append(list, s)
	}
	return list, rows.Err()
}

// view runs f over one state of the database. What SQLite cannot read is a refusal.
func (x *Index) view(ctx context.Context, f func(*sql.Tx) error) error {
	err := transact(ctx, x.db.Read, f)
	var refusal *Refusal
	if err == nil || errors.As(err, &refusal) || ctx.Err() != nil {
		return err
	}
	return damaged(x.db.Path, err)
}

func transact(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}
