package sqlitex

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestOpenReadOnlyBesideAWriterAndInAFrozenFolder(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	db, err := Open(ctx, path, schema)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Write.ExecContext(ctx, `INSERT INTO t VALUES (1, 'a')`); err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		t.Helper()
		ro, err := OpenReadOnly(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ro.Close() }()
		if err := ro.QueryRowContext(ctx, `SELECT count(*) FROM t`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if _, err := ro.ExecContext(ctx, `DELETE FROM t`); err == nil {
			t.Error("a read-only database was written")
		}
		return n
	}
	if count() != 1 {
		t.Error("the writer's row is not seen while it is open")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	if count() != 1 {
		t.Error("the row is not seen in a folder that cannot be written")
	}
}

func TestOpenReadOnlyNeedsAFile(t *testing.T) {
	t.Parallel()
	if _, err := OpenReadOnly(context.Background(), filepath.Join(t.TempDir(), "none.db")); err == nil {
		t.Error("a missing database was opened")
	}
	if _, err := OpenReadOnly(context.Background(), t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
}
