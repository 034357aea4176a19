package approval

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/internal/sqlitex"
)

// One open ask for each subject: equal calls share it, and one of them runs.
var migrations = []string{`
CREATE TABLE ask (
  id TEXT PRIMARY KEY, agent TEXT NOT NULL, session TEXT NOT NULL, subject BLOB NOT NULL, binding BLOB NOT NULL,
  body TEXT NOT NULL, asked INTEGER NOT NULL, expires INTEGER NOT NULL, state TEXT NOT NULL,
  decided INTEGER NOT NULL DEFAULT 0, actor TEXT NOT NULL DEFAULT '', remembered INTEGER NOT NULL DEFAULT 0,
  repeats INTEGER NOT NULL DEFAULT 0, outcome TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX ask_open ON ask (subject) WHERE state IN ('pending', 'granted');
CREATE INDEX ask_subject ON ask (subject, state);
CREATE INDEX ask_session ON ask (agent, session, state);
CREATE TABLE endorsement (
  id TEXT PRIMARY KEY, agent TEXT NOT NULL, session TEXT NOT NULL, tool TEXT NOT NULL, digest TEXT NOT NULL,
  argument TEXT NOT NULL, value TEXT NOT NULL, shown TEXT NOT NULL, scope TEXT NOT NULL, expires INTEGER NOT NULL, actor TEXT NOT NULL,
  made INTEGER NOT NULL, state TEXT NOT NULL
) STRICT;
CREATE INDEX endorsement_session ON endorsement (agent, session, state);
`}

// Store is the set of asks, decisions and endorsements in one database.
type Store struct {
	db  *sqlitex.DB
	cfg Config

	done chan struct{}  // closed by Close
	wg   sync.WaitGroup // of those who wait and of what tells surfaces

	mu      sync.Mutex    // guards what follows
	closed  bool          //
	changed chan struct{} // closed, and made anew, whenever an ask changes
}

// Open opens or creates the store and settles what a crash left: a call whose grant
// was used and whose end was not recorded gets the outcome unknown.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Record == nil {
		return nil, errors.New("open approvals: a recorder is needed: nothing is approved unrecorded")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = DefaultPending
	}
	if cfg.MaxSession <= 0 {
		cfg.MaxSession = DefaultSession
	}
	cfg.Approvers, cfg.Surfaces = slices.Clone(cfg.Approvers), slices.Clone(cfg.Surfaces)
	db, err := sqlitex.Open(ctx, cfg.Path, migrations)
	if err != nil {
		return nil, fmt.Errorf("open approvals: %w", err)
	}
	s := &Store{db: db, cfg: cfg, done: make(chan struct{}), changed: make(chan struct{})}
	if err := s.recover(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open approvals: %w", err), db.Close())
	}
	return s, nil
}

// recover ends what an earlier process cannot end any more, and forgets what is old.
func (s *Store) recover(ctx context.Context) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		rows, err := s.query(ctx, tx, `WHERE state = ? AND outcome = ''`, Consumed)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if _, err := tx.ExecContext(ctx, `UPDATE ask SET outcome = ? WHERE id = ?`, OutcomeUnknown, r.ID); err != nil {
				return err
			}
			if err := s.cfg.Record.Record(ctx, Event{Name: "approval.settled", Actor: "host:restart", ID: r.ID, Request: r.Request, Outcome: OutcomeUnknown}); err != nil {
				return fmt.Errorf("record an unknown outcome: %w", err)
			}
		}
		old := s.cfg.Now().Add(-keepTime).UnixNano()
		if _, err := tx.ExecContext(ctx, `DELETE FROM ask WHERE state NOT IN ('pending', 'granted') AND expires < ?`, old); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM endorsement WHERE expires < ?`, old)
		return err
	})
}

// Close refuses everybody who waits and closes the database. What is pending or
// granted stays so until its expiry.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.done)
	s.mu.Unlock()
	s.wg.Wait()
	return s.db.Close()
}

// enter lets Close wait for the caller; it fails once Close was called.
func (s *Store) enter() (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	s.wg.Add(1)
	return s.wg.Done, nil
}

// change returns a channel that is closed at the next change of any ask.
func (s *Store) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Store) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// tx runs do in one writing transaction: all of it happens, or nothing.
func (s *Store) tx(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("approvals: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("approvals: %w", err)
	}
	return nil
}

// row is one ask as stored.
type row struct {
	ID      ID
	Request Request
	State   State
	Asked   time.Time
	Decided time.Time
	By      policy.Principal
	Repeats int
	Outcome string
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// query returns the asks that the clause selects.
func (s *Store) query(ctx context.Context, q querier, clause string, args ...any) ([]row, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, subject, binding, body, asked, expires, state, decided, actor, repeats, outcome FROM ask `+clause, args...)
	if err != nil {
		return nil, fmt.Errorf("approvals: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []row
	for rows.Next() {
		var r row
		var subject, binding []byte
		var body string
		var asked, expires, decided int64
		if err := rows.Scan(&r.ID, &subject, &binding, &body, &asked, &expires, &r.State, &decided, &r.By, &r.Repeats, &r.Outcome); err != nil {
			return nil, fmt.Errorf("approvals: %w", err)
		}
		if err := json.Unmarshal([]byte(body), &r.Request); err != nil {
			return nil, fmt.Errorf("approvals: ask %q is damaged: %w", r.ID, err)
		}
		if len(subject) != len(r.Request.Subject) || len(binding) != len(r.Request.Binding) {
			return nil, fmt.Errorf("approvals: ask %q is damaged", r.ID)
		}
		r.Request.Subject, r.Request.Binding = policy.Binding(subject), policy.Binding(binding)
		r.Asked, r.Request.Expires, r.Decided = moment(asked), moment(expires), moment(decided)
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("approvals: %w", err)
	}
	return out, nil
}

// one returns the single ask that the clause selects, or ErrUnknown.
func (s *Store) one(ctx context.Context, q querier, clause string, args ...any) (row, error) {
	rows, err := s.query(ctx, q, clause, args...)
	if err != nil {
		return row{}, err
	}
	if len(rows) != 1 {
		return row{}, ErrUnknown
	}
	return rows[0], nil
}

// expire ends what has run out of time.
func (s *Store) expire(ctx context.Context) error {
	now := s.cfg.Now()
	const late = `WHERE state IN ('pending', 'granted') AND expires <= ?`
	// Most times there is nothing to end, and no need to wait for the writer.
	if rows, err := s.query(ctx, s.db.Read, late+` LIMIT 1`, now.UnixNano()); err != nil || len(rows) == 0 {
		return err
	}
	var ended []row
	err := s.tx(ctx, func(tx *sql.Tx) (err error) {
		if ended, err = s.query(ctx, tx, late, now.UnixNano()); err != nil {
			return err
		}
		for _, r := range ended {
			if err := s.end(ctx, tx, r, Expired, byTimeout, now, Event{Name: "approval.expired", Verdict: "deny"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.settled(ended, Expired, byTimeout)
	return nil
}

// end moves an ask from the state in which it was read to another, records that, and
// drops the arguments where they are not needed any more.
func (s *Store) end(ctx context.Context, tx *sql.Tx, r row, to State, by policy.Principal, now time.Time, e Event) error {
	body := r.Request
	if to != Granted && to != Consumed {
		body = body.withoutContent()
	}
	text, err := encode(body)
	if err != nil {
		return err
	}
	remembered := to == Denied && by != byHeadless
	res, err := tx.ExecContext(ctx, `UPDATE ask SET state = ?, decided = ?, actor = ?, remembered = ?, body = ? WHERE id = ? AND state = ?`,
		to, now.UnixNano(), by, remembered, text, r.ID, r.State)
	if err != nil {
		return fmt.Errorf("approvals: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(ErrUsed, err)
	}
	e.Actor, e.ID, e.Request = by, r.ID, r.Request
	if err := s.cfg.Record.Record(ctx, e); err != nil {
		return fmt.Errorf("record %s: %w", e.Name, err)
	}
	return nil
}

// withoutContent keeps what says which call it was, and drops what it said.
func (r Request) withoutContent() Request {
	r.Args, r.Findings, r.Flows, r.Links, r.About = nil, nil, nil, nil, ""
	return r
}

// encode writes r without changing a byte of its arguments.
func encode(r Request) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return "", fmt.Errorf("approvals: %w", err)
	}
	return b.String(), nil
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// newID returns 80 random bits in 16 lower-case letters and digits.
func newID() ID {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	return ID(strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])))
}
