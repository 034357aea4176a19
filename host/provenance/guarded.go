package provenance

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/glovebox-dev/glovebox/abi"
)

// Guard keeps what the guard knows of a session, and whether a known value came where
// none should be. Without state it is forgotten.
func (s *Store) Guard(ctx context.Context, id abi.SessionID, state []byte, marked bool) error {
	var err error
	if len(state) == 0 {
		_, err = s.db.Write.ExecContext(ctx, `DELETE FROM guarded WHERE session = ?`, string(id))
	} else {
		_, err = s.db.Write.ExecContext(ctx, `INSERT OR REPLACE INTO guarded VALUES (?, ?, ?, ?)`, string(id), marked, state, s.now().Unix())
	}
	if err != nil {
		return fmt.Errorf("keep what the guard knows: %w", err)
	}
	return nil
}

// Guarded returns what Guard kept of a session, nil if that is nothing.
func (s *Store) Guarded(ctx context.Context, id abi.SessionID) (state []byte, err error) {
	err = s.db.Read.QueryRowContext(ctx, `SELECT state FROM guarded WHERE session = ?`, string(id)).Scan(&state)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("what the guard knows: %w", err)
	}
	return state, nil
}

// Marked lists the sessions that are compromised, whenever that was.
func (s *Store) Marked(ctx context.Context) ([]abi.SessionID, error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT session FROM guarded WHERE marked = 1 ORDER BY session`)
	if err != nil {
		return nil, fmt.Errorf("compromised sessions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []abi.SessionID
	for rows.Next() {
		var id abi.SessionID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("compromised sessions: %w", err)
		}
		list = append(list, id)
	}
	return list, rows.Err()
}
