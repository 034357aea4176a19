package memory

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// What is below is for the operator alone: nothing that an agent can reach calls it,
// except Get and Delete for a row that a person approved to forget.

// List returns the rows of agent, the newest first, at most n and, where before is not
// zero, only those older than it.
func (s *Store) List(ctx context.Context, agent abi.AgentID, before ID, n int) ([]Row, error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT id, kind, text, label, origin, turn, at FROM row
		WHERE agent = ? AND (? = 0 OR id < ?) ORDER BY id DESC LIMIT ?`, agent, before, before, min(max(n, 0), MaxRows))
	if err != nil {
		return nil, fmt.Errorf("list memory: %w", err)
	}
	return collect(rows)
}

// Find returns the rows of agent that match text, the most trusted first, at most n of
// each level of trust and whoever may read them.
func (s *Store) Find(ctx context.Context, agent abi.AgentID, text string, n int) ([]Row, error) {
	match := expression(text)
	if match == "" {
		return nil, nil
	}
	var all []Row
	for _, tier := range []label.Integrity{label.Owner, label.Peer, label.Tainted} {
		rows, err := s.tier(ctx, Query{Agent: agent, Reader: label.OwnerPrincipal}, tier, match, n)
		if err != nil {
			return nil, fmt.Errorf("find in memory: %w", err)
		}
		all = append(all, rows...)
	}
	return all, nil
}

// Get returns one row of agent, or ErrNoRow.
func (s *Store) Get(ctx context.Context, agent abi.AgentID, id ID) (Row, error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT id, kind, text, label, origin, turn, at FROM row WHERE id = ? AND agent = ?`, id, agent)
	if err != nil {
		return Row{}, fmt.Errorf("read memory: %w", err)
	}
	found, err := collect(rows)
	if err != nil {
		return Row{}, err
	}
	if len(found) == 0 {
		return Row{}, ErrNoRow
	}
	return found[0], nil
}

func collect(rows *sql.Rows) ([]Row, error) {
	defer func() { _ = rows.Close() }()
	var all []Row
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read memory: %w", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// Promote gives one row the owner's trust: the operator's explicit word about the row
// that was shown in full. If it is not that row any more, ErrChanged, and nothing
// changes.
func (s *Store) Promote(ctx context.Context, agent abi.AgentID, id ID, shown abi.Digest) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		r, err := s.take(ctx, tx, agent, id)
		if err != nil {
			return err
		}
		if r.Digest() != shown {
			return ErrChanged
		}
		r.Label.Integrity, r.Kind = label.Owner, KindFact
		_, err = s.insert(ctx, tx, agent, r)
		return err
	})
}
