package budget

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/sqlitex"
)

var migrations = []string{`
CREATE TABLE usage (
  agent TEXT NOT NULL, resource TEXT NOT NULL, win TEXT NOT NULL, start INTEGER NOT NULL,
  settled INTEGER NOT NULL DEFAULT 0 CHECK (settled >= 0),
  reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  PRIMARY KEY (agent, resource, win, start)
) STRICT, WITHOUT ROWID;
CREATE TABLE reservation (
  id TEXT PRIMARY KEY, at INTEGER NOT NULL, chain TEXT NOT NULL, amounts TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`}

// keepTime is how long the usage of windows that have ended is kept.
const keepTime = 90 * 24 * time.Hour

// Ledger keeps usage in a database of its own.
type Ledger struct {
	db  *sqlitex.DB
	now func() time.Time

	prepaid prepaid // its lock is taken before mu

	mu     sync.RWMutex // guards limits and parent
	limits map[abi.AgentID][]Limit
	parent map[abi.AgentID]abi.AgentID
}

// Open opens or creates the ledger at path. What was reserved when the last process
// ended is settled in full.
func Open(ctx context.Context, path string, now func() time.Time) (*Ledger, error) {
	db, err := sqlitex.Open(ctx, path, migrations)
	if err != nil {
		return nil, fmt.Errorf("open budget ledger: %w", err)
	}
	// Two transactions are on the way of every call. The end of the process loses
	// nothing; a power cut can lose the spending of the last moments, never the file.
	if _, err := db.Write.ExecContext(ctx, `PRAGMA synchronous = NORMAL`); err != nil {
		return nil, errors.Join(fmt.Errorf("open budget ledger: %w", err), db.Close())
	}
	l := &Ledger{db: db, now: now, limits: map[abi.AgentID][]Limit{}, parent: map[abi.AgentID]abi.AgentID{},
		prepaid: prepaid{blocks: map[purse]*block{}}}
	err = l.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE usage SET settled = settled + reserved, reserved = 0 WHERE reserved > 0`); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM usage WHERE start < ?`, now().Add(-keepTime).Unix()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM reservation`)
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open budget ledger: %w", err), db.Close())
	}
	return l, nil
}

// Close gives back what was prepaid and closes the database.
func (l *Ledger) Close() error {
	return errors.Join(l.refund(context.Background()), l.db.Close())
}

// Set gives agent its limits; the operator's word, never a tool's. parent is the
// agent that it works for, or empty: what a child spends counts for its parents too.
// Lowering a limit below what is used stops new calls and ends nothing.
func (l *Ledger) Set(agent, parent abi.AgentID, limits []Limit) error {
	if agent == "" {
		return ErrNoAgent
	}
	for _, x := range limits {
		if err := (Amounts{x.Resource: x.Max}).Check(); err != nil {
			return err
		}
		if x.Window != Hour && x.Window != Day {
			return fmt.Errorf("budget: window %q is not hour or day", string(x.Window))
		}
	}
	l.prepaid.mu.Lock()
	defer l.prepaid.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := parent; p != ""; p = l.parent[p] {
		if p == agent {
			return fmt.Errorf("%w: %q", ErrCycle, string(agent))
		}
	}
	l.limits[agent], l.parent[agent] = append([]Limit(nil), limits...), parent
	clear(l.prepaid.blocks) // booked under other limits: it stays spent
	return nil
}

// chain returns agent and all above it.
func (l *Ledger) chain(agent abi.AgentID) []abi.AgentID {
	var out []abi.AgentID
	for a := agent; a != ""; a = l.parent[a] {
		out = append(out, a)
	}
	return out
}

// Reservation is spending that was admitted and not yet settled.
type Reservation struct {
	l  *Ledger
	id string
}

// Reserve books the worst case of a call for agent and every agent above it, or
// returns *Exceeded and books nothing.
func (l *Ledger) Reserve(ctx context.Context, agent abi.AgentID, worst Amounts) (*Reservation, error) {
	if agent == "" {
		return nil, ErrNoAgent
	}
	if err := worst.Check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // short, and a goroutine per statement would watch it
	l.mu.RLock()
	defer l.mu.RUnlock()
	chain, now := l.chain(agent), l.now()
	r := &Reservation{l, rand.Text()}
	names, err := json.Marshal(chain)
	if err != nil {
		return nil, err
	}
	amounts, err := json.Marshal(worst)
	if err != nil {
		return nil, err
	}
	err = l.tx(ctx, func(tx *sql.Tx) error {
		for _, a := range chain {
			if err := l.admit(ctx, tx, a, worst, now); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO reservation VALUES (?, ?, ?, ?)`, r.id, now.UnixNano(), string(names), string(amounts))
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// admit checks the limits of one agent and books the amounts in both windows.
func (l *Ledger) admit(ctx context.Context, tx *sql.Tx, agent abi.AgentID, worst Amounts, now time.Time) error {
	for _, x := range l.limits[agent] {
		n, asked := worst[x.Resource]
		if !asked {
			continue
		}
		start := x.Window.start(now)
		var used int64
		err := tx.QueryRowContext(ctx, `SELECT settled + reserved FROM usage WHERE agent = ? AND resource = ? AND win = ? AND start = ?`,
			agent, x.Resource, x.Window, start.Unix()).Scan(&used)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if n > x.Max-used {
			return &Exceeded{Agent: agent, Resource: x.Resource, Window: x.Window, Max: x.Max, Left: max(0, x.Max-used), Asked: n, Resets: x.Window.next(start)}
		}
	}
	return each(worst, now, func(r Resource, n int64, w Window, start int64) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO usage (agent, resource, win, start, reserved) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET reserved = reserved + excluded.reserved`, agent, r, w, start, n)
		return err
	})
}

func each(a Amounts, at time.Time, do func(Resource, int64, Window, int64) error) error {
	names := make([]string, 0, len(a))
	for r := range a {
		names = append(names, string(r))
	}
	sort.Strings(names)
	for _, name := range names {
		for _, w := range []Window{Hour, Day} {
			if err := do(Resource(name), a[Resource(name)], w, w.start(at).Unix()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Settle books what the call really cost and releases the rest. A resource that is
// missing in actual cost nothing; one that cost more than was reserved is booked in
// full. It works although ctx of the call is over.
func (r *Reservation) Settle(ctx context.Context, actual Amounts) error {
	if err := actual.Check(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	return r.l.tx(ctx, func(tx *sql.Tx) error {
		var nanos int64
		var names, amounts string
		err := tx.QueryRowContext(ctx, `DELETE FROM reservation WHERE id = ? RETURNING at, chain, amounts`, r.id).Scan(&nanos, &names, &amounts)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrSettled
		}
		if err != nil {
			return err
		}
		var chain []abi.AgentID
		var worst Amounts
		if err := errors.Join(json.Unmarshal([]byte(names), &chain), json.Unmarshal([]byte(amounts), &worst)); err != nil {
			return err
		}
		for res := range actual {
			if _, ok := worst[res]; !ok {
				worst[res] = 0
			}
		}
		for _, agent := range chain {
			err := each(worst, time.Unix(0, nanos), func(res Resource, n int64, w Window, start int64) error {
				_, err := tx.ExecContext(ctx, `INSERT INTO usage (agent, resource, win, start, settled) VALUES (?, ?, ?, ?, ?)
					ON CONFLICT DO UPDATE SET settled = settled + excluded.settled, reserved = reserved - ?`, agent, res, w, start, actual[res], n)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Usage is what one agent has spent and reserved of one resource in a window.
type Usage struct {
	Resource Resource  `json:"resource"`
	Window   Window    `json:"window"`
	Start    time.Time `json:"start"`
	Resets   time.Time `json:"resets"`
	Settled  int64     `json:"settled"`
	Reserved int64     `json:"reserved"`
	Max      int64     `json:"max"` // -1: no limit
}

// Usage returns the current windows of agent.
func (l *Ledger) Usage(ctx context.Context, agent abi.AgentID) ([]Usage, error) {
	l.mu.RLock()
	limits := l.limits[agent]
	l.mu.RUnlock()
	now := l.now()
	var out []Usage
	for _, r := range Resources() {
		for _, w := range []Window{Hour, Day} {
			u := Usage{Resource: r, Window: w, Start: w.start(now), Resets: w.next(w.start(now)), Max: -1}
			for _, x := range limits {
				if x.Resource == r && x.Window == w {
					u.Max = x.Max
				}
			}
			err := l.db.Read.QueryRowContext(ctx, `SELECT settled, reserved FROM usage WHERE agent = ? AND resource = ? AND win = ? AND start = ?`,
				agent, r, w, u.Start.Unix()).Scan(&u.Settled, &u.Reserved)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return nil, fmt.Errorf("read usage: %w", err)
			}
			u.Settled = max(0, u.Settled-l.unspent(agent, r, w, u.Start))
			out = append(out, u)
		}
	}
	return out, nil
}

func (l *Ledger) tx(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := l.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("budget: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("budget: %w", err)
	}
	return nil
}
