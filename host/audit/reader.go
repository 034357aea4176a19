package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/glovebox-dev/glovebox/internal/sqlitex"
)

// Reader reads and verifies a log that this or another process may be writing.
type Reader struct {
	cfg   Config
	db    *sql.DB
	keys  func() (*keyFile, error)
	close func() error
}

// OpenReader opens the log at cfg.Path for reading only. A missing key file is no
// error here: Verify then reports that it cannot verify.
func OpenReader(ctx context.Context, cfg Config) (*Reader, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	db, err := sqlitex.OpenReadOnly(ctx, cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return &Reader{cfg: cfg, db: db, keys: func() (*keyFile, error) { return loadKeys(cfg.KeyPath) }, close: db.Close}, nil
}

// Close closes the database. It is for readers made by OpenReader.
func (r *Reader) Close() error {
	if r.close == nil {
		return nil
	}
	return r.close()
}

// Tail returns the records that q selects, oldest first: those after q.After if it is
// set, else the last ones.
func (r *Reader) Tail(ctx context.Context, q Query) ([]Record, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 1000)
	order := "DESC"
	if q.After > 0 {
		order = "ASC"
	}
	rows, err := r.db.QueryContext(ctx, `SELECT body FROM record WHERE seq > ?1
		AND (?2 = '' OR CAST(body AS TEXT) ->> 'agent' = ?2) AND (?3 = '' OR CAST(body AS TEXT) ->> 'session' = ?3)
		AND (?4 = '' OR CAST(body AS TEXT) ->> 'call' = ?4) AND (?5 = '' OR CAST(body AS TEXT) ->> 'event' = ?5)
		ORDER BY seq `+order+` LIMIT ?6`, q.After, string(q.Agent), string(q.Session), string(q.Call), string(q.Event), limit)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var recs []Record
	for rows.Next() {
		var body []byte
		var rec Record
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		if err := json.Unmarshal(body, &rec); err != nil {
			return nil, fmt.Errorf("audit log: damaged record; run glovebox audit verify: %w", err)
		}
		recs = append(recs, rec)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	if order == "DESC" {
		slices.Reverse(recs)
	}
	return recs, nil
}
