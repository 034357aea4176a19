// Package sqlitex opens SQLite databases the one way that the daemon uses them:
// WAL, strict file modes, one writer, versioned migrations.
package sqlitex

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"; this package is its only importer
)

// ErrNewer is returned for a database that a newer build wrote.
var ErrNewer = errors.New("database was written by a newer version of glovebox")

// DB is one database file: a single writing connection, so that writers queue in
// the process instead of meeting SQLITE_BUSY, and a pool of readers.
type DB struct {
	Write *sql.DB // at most one connection; BEGIN IMMEDIATE
	Read  *sql.DB // query_only
	Path  string
}

// Open opens or creates the file at path (mode 0600) and brings it to the newest of
// migrations, each applied once in a transaction of its own; PRAGMA user_version
// counts them. A path that is not a regular file, or that others can read, is an error.
func Open(ctx context.Context, path string, migrations []string) (*DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database %q: %w", path, err)
	}
	f, err := os.OpenFile(abs, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	info, err := f.Stat()
	_ = f.Close()
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open database %q: not a regular file", abs)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("open database %q: mode %04o lets others in; run chmod 600 on it", abs, info.Mode().Perm())
	}
	dsn := func(extra string) string {
		u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: abs}).EscapedPath()}
		return u.String() + "?_journal_mode=WAL&_busy_timeout=5000&_foreign_keys=on&_synchronous=FULL" + extra
	}
	db := &DB{Path: abs}
	if db.Write, err = sql.Open("sqlite3", dsn("&_txlock=immediate")); err != nil {
		return nil, fmt.Errorf("open database %q: %w", abs, err)
	}
	db.Write.SetMaxOpenConns(1)
	if err := migrate(ctx, db.Write, migrations); err != nil {
		_ = db.Write.Close()
		return nil, fmt.Errorf("open database %q: %w", abs, err)
	}
	if db.Read, err = sql.Open("sqlite3", dsn("&_query_only=true")); err != nil {
		_ = db.Write.Close()
		return nil, fmt.Errorf("open database %q: %w", abs, err)
	}
	db.Read.SetMaxOpenConns(4)
	return db, nil
}

func migrate(ctx context.Context, db *sql.DB, migrations []string) error {
	var have int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return err
	}
	if have > len(migrations) {
		return fmt.Errorf("%w (schema %d, this build knows %d)", ErrNewer, have, len(migrations))
	}
	for i := have; i < len(migrations); i++ {
		if err := apply(ctx, db, migrations[i], i+1); err != nil {
			return fmt.Errorf("migration %d: %w", i+1, err)
		}
	}
	return nil
}

func apply(ctx context.Context, db *sql.DB, script string, version int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	// Two processes may open a new file at once: the second finds it migrated.
	var have int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return err
	}
	if have >= version {
		return nil
	}
	if _, err := tx.ExecContext(ctx, script); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return err
	}
	return tx.Commit()
}

// Close checkpoints the WAL and closes all connections.
func (db *DB) Close() error {
	return errors.Join(db.Read.Close(), db.Write.Close())
}
