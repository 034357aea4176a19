package memory

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
	"github.com/glovebox-dev/glovebox/internal/sqlitex"
)

// One index for each level of trust: a flood of hostile rows neither displaces the
// owner's rows nor slows the search for them.
var migrations = []string{`
CREATE TABLE row (
  id INTEGER PRIMARY KEY AUTOINCREMENT, agent TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
  label TEXT NOT NULL, tier INTEGER NOT NULL, origin TEXT NOT NULL, turn INTEGER NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE INDEX row_agent ON row (agent, tier);
CREATE VIRTUAL TABLE words0 USING fts5 (text, agent UNINDEXED, content='', contentless_delete=1, tokenize='porter unicode61');
CREATE VIRTUAL TABLE words1 USING fts5 (text, agent UNINDEXED, content='', contentless_delete=1, tokenize='porter unicode61');
CREATE VIRTUAL TABLE words2 USING fts5 (text, agent UNINDEXED, content='', contentless_delete=1, tokenize='porter unicode61');
`}

// Store is the memory of the agents in one database.
type Store struct {
	db    *sqlitex.DB
	guard Guard
	now   func() time.Time
}

// Open opens or creates the store at path. Without a guard every write is blocked.
func Open(ctx context.Context, path string, guard Guard, now func() time.Time) (*Store, error) {
	db, err := sqlitex.Open(ctx, path, migrations)
	if err != nil && strings.Contains(err.Error(), "no such module: fts5") {
		return nil, fmt.Errorf("open memory: %w (%w)", ErrNoSearch, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open memory: %w", err)
	}
	return &Store{db, guard, now}, nil
}

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// Write is the only way to remember something. A blocked write stores nothing and
// returns an error that says why.
func (s *Store) Write(ctx context.Context, w Write) (ID, Verdict, error) {
	verdict, kind, l, err := judge(w, s.guard)
	if err != nil {
		return 0, Blocked, err
	}
	var id ID
	err = s.tx(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM row WHERE agent = ?`, w.Agent).Scan(&n); err != nil {
			return err
		}
		if n >= MaxRows {
			return ErrFull
		}
		id, err = s.insert(ctx, tx, w.Agent, Row{Kind: kind, Text: w.Text, Label: l, Origin: w.Origin, Turn: w.Turn && verdict == Stored, At: s.now()})
		return err
	})
	if err != nil {
		return 0, Blocked, err
	}
	return id, verdict, nil
}

// insert writes a row, under its own ID if it has one already.
func (s *Store) insert(ctx context.Context, tx *sql.Tx, agent abi.AgentID, r Row) (ID, error) {
	l, err := json.Marshal(r.Label)
	if err != nil {
		return 0, err
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO row (id, agent, kind, text, label, tier, origin, turn, at) VALUES (nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, agent, r.Kind, r.Text, string(l), int(r.Label.Integrity), r.Origin, r.Turn, r.At.UnixNano())
	if err != nil {
		return 0, err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO `+words(r.Label.Integrity)+` (rowid, text, agent) VALUES (?, ?, ?)`, id, r.Text, agent)
	return ID(id), err
}

// words names the index of one level of trust.
func words(i label.Integrity) string { return fmt.Sprintf("words%d", min(i, label.Owner)) }

// Recall returns rows that match q, the most trusted first: at least half of K is kept
// for the owner's rows, and at most a quarter is given to external ones, which come
// only when they are asked for or the session has seen tainted bytes already.
func (s *Store) Recall(ctx context.Context, q Query) ([]Row, error) {
	match := expression(q.Text)
	if q.K < 1 || q.K > MaxRecall || match == "" || q.Agent == "" {
		return nil, nil
	}
	quota := map[label.Integrity]int{label.Owner: q.K, label.Peer: q.K - q.K/2, label.Tainted: q.K / 4}
	if !q.External && q.Context.Integrity >= label.Peer {
		quota[label.Tainted] = 0
	}
	var out []Row
	for _, tier := range []label.Integrity{label.Owner, label.Peer, label.Tainted} {
		n := min(quota[tier], q.K-len(out))
		if n <= 0 {
			continue
		}
		rows, err := s.tier(ctx, q, tier, match, n)
		if err != nil {
			return nil, fmt.Errorf("recall: %w", err)
		}
		out = append(out, rows...)
	}
	return out, nil
}

// tier returns the best n rows of one level that q's reader may see.
func (s *Store) tier(ctx context.Context, q Query, tier label.Integrity, match string, n int) ([]Row, error) {
	name := words(tier)
	rows, err := s.db.Read.QueryContext(ctx, `SELECT r.id, r.kind, r.text, r.label, r.origin, r.turn, r.at FROM `+name+` w JOIN row r ON r.id = w.rowid
		WHERE `+name+` MATCH ? AND r.agent = ? ORDER BY w.rank, r.id DESC`, match, q.Agent)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Row
	for rows.Next() && len(out) < n {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		// The column only chose the index: the label decides.
		if r.Label.Integrity == tier && r.Label.Readers.Contains(q.Reader) {
			out = append(out, r)
		}
	}
	return out, rows.Err()
}

func scan(rows *sql.Rows) (Row, error) {
	var r Row
	var l string
	var at int64
	if err := rows.Scan(&r.ID, &r.Kind, &r.Text, &l, &r.Origin, &r.Turn, &at); err != nil {
		return Row{}, err
	}
	if json.Unmarshal([]byte(l), &r.Label) != nil {
		r.Label = label.Label{} // malformed reads as the least trusted
	}
	r.At = time.Unix(0, at).UTC()
	return r, nil
}

// expression turns free text into an FTS5 expression of quoted words: nothing in it
// can be an operator.
func expression(text string) string {
	fields := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if len(fields) > 32 {
		fields = fields[:32]
	}
	for i, f := range fields {
		fields[i] = `"` + f + `"`
	}
	return strings.Join(fields, " OR ")
}

// Update replaces the text of a row; it keeps the lower of both labels.
func (s *Store) Update(ctx context.Context, id ID, w Write) (Verdict, error) {
	verdict, kind, l, err := judge(w, s.guard)
	if err != nil {
		return Blocked, err
	}
	err = s.tx(ctx, func(tx *sql.Tx) error {
		old, err := s.take(ctx, tx, w.Agent, id)
		if err != nil {
			return err
		}
		if l = l.Join(old.Label); l.Integrity < label.Owner {
			verdict, kind = Downgraded, KindExternal
		}
		_, err = s.insert(ctx, tx, w.Agent, Row{ID: id, Kind: kind, Text: w.Text, Label: l, Origin: w.Origin, Turn: w.Turn && verdict == Stored, At: s.now()})
		return err
	})
	if err != nil {
		return Blocked, err
	}
	return verdict, nil
}

// Delete forgets one row of agent: irreversible.
func (s *Store) Delete(ctx context.Context, agent abi.AgentID, id ID) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := s.take(ctx, tx, agent, id)
		return err
	})
}

// take removes a row of agent and returns it.
func (s *Store) take(ctx context.Context, tx *sql.Tx, agent abi.AgentID, id ID) (Row, error) {
	rows, err := tx.QueryContext(ctx, `DELETE FROM row WHERE id = ? AND agent = ? RETURNING id, kind, text, label, origin, turn, at`, id, agent)
	if err != nil {
		return Row{}, err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return Row{}, errors.Join(ErrNoRow, rows.Err())
	}
	r, err := scan(rows)
	if err != nil {
		return Row{}, err
	}
	for rows.Next() { //nolint:revive // the statement ends when its rows are read
	}
	if err := rows.Close(); err != nil {
		return Row{}, err
	}
	for _, tier := range []label.Integrity{label.Tainted, label.Peer, label.Owner} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+words(tier)+` WHERE rowid = ?`, id); err != nil {
			return Row{}, err
		}
	}
	return r, nil
}

func (s *Store) tx(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	return nil
}
