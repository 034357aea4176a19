package sqlitex

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var schema = []string{`CREATE TABLE t (n INTEGER) STRICT`, `ALTER TABLE t ADD COLUMN s TEXT`}

func TestOpenMigratesOnceAndRefusesNewer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "odd ?#% name.db")
	for range 2 {
		db, err := Open(ctx, path, schema)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Write.ExecContext(ctx, `INSERT INTO t (n, s) VALUES (1, 'a')`); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(ctx, path, schema[:1]); !errors.Is(err, ErrNewer) {
		t.Fatalf("older build opened a newer database: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, err %v; want 0600", info.Mode(), err)
	}
}

func TestOpenRefusesWideModeAndReadersCannotWrite(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.db")
	db, err := Open(ctx, path, schema)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Read.ExecContext(ctx, `INSERT INTO t (n, s) VALUES (1, 'a')`); err == nil {
		t.Error("a reader wrote")
	}
	_ = db.Close()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, path, schema); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a database that others can read was opened: %v", err)
	}
}

func TestConcurrentFirstOpen(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			db, err := Open(ctx, path, schema)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = db.Close() }()
			if _, err := db.Write.ExecContext(ctx, `INSERT INTO t (n, s) VALUES (1, 'a')`); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
