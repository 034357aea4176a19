package sqlitex

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// OpenReadOnly opens an existing database for reading, whether or not a process is
// writing it. It changes neither the file nor its folder where the folder cannot be
// written; there it relies on nobody writing meanwhile.
func OpenReadOnly(ctx context.Context, path string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database %q: %w", path, err)
	}
	if info, err := os.Stat(abs); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open database %q: not a regular file", abs)
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: abs}).EscapedPath()}
	// A WAL database needs its shared-memory file; a folder that cannot be written
	// has none, and then the file is read as it is.
	for _, how := range []string{"mode=ro", "mode=ro&immutable=1"} {
		db, openErr := sql.Open("sqlite3", u.String()+"?_busy_timeout=5000&_query_only=true&"+how)
		if openErr != nil {
			return nil, fmt.Errorf("open database %q: %w", abs, openErr)
		}
		var n int
		if err = db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n); err == nil {
			db.SetMaxOpenConns(4)
			return db, nil
		}
		_ = db.Close()
	}
	return nil, fmt.Errorf("open database %q: %w", abs, err)
}
