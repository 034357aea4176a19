package approval

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/internal/canon"
)

// showTime bounds how long one surface may take to show a card.
const showTime = 10 * time.Second

// Ask waits until a person has decided about r, and returns the grant. An error
// refuses: ErrDenied, ErrNotApproved, ErrFull, ErrPaused, ErrHeadless, ErrClosed, the
// end of ctx, or a failure. ErrEndorsed says that the gate must judge again.
//
// The same call, asked while it waits, shares the ask; asked after a person denied it,
// it is denied from memory; asked again after a yes that was not used yet, it takes
// that grant. When ctx ends, the ask stays open until its expiry, so that a yes lets
// the same call through when it is made again.
func (s *Store) Ask(ctx context.Context, r Request) (policy.Approval, error) {
	leave, err := s.enter()
	if err != nil {
		return policy.Approval{}, err
	}
	defer leave()
	now := s.cfg.Now()
	if err := r.check(now); err != nil {
		return policy.Approval{}, err
	}
	if len(s.cfg.Surfaces) == 0 {
		return policy.Approval{}, s.headless(ctx, Event{Actor: byHeadless, Request: r})
	}
	id, fresh, err := s.open(ctx, r, now)
	if err != nil {
		return policy.Approval{}, err
	}
	if fresh {
		s.broadcast()
		if err := s.show(ctx, id); err != nil {
			return policy.Approval{}, err
		}
	}
	return s.wait(ctx, id)
}

// headless records that nobody can be asked.
func (s *Store) headless(ctx context.Context, e Event) error {
	e.Name, e.Verdict, e.Detail = "approval.decided", "deny", map[string]string{"why": "nobody can be asked"}
	return errors.Join(ErrHeadless, s.cfg.Record.Record(ctx, e))
}

// check refuses what no person could judge.
func (r *Request) check(now time.Time) error {
	switch {
	case r.Agent == "" || r.Session == "" || r.Requester == "":
		return fmt.Errorf("%w: agent, session or requester is missing", ErrRequest)
	case r.Subject == (policy.Binding{}) || r.Binding == (policy.Binding{}):
		return fmt.Errorf("%w: it is bound to no call", ErrRequest)
	case !now.Before(r.Expires):
		return fmt.Errorf("%w: it has expired", ErrRequest)
	}
	v, err := canon.Parse(r.Args, canon.Limits{Bytes: MaxArgs, Nodes: MaxValues})
	if err != nil {
		return fmt.Errorf("%w: more than a person can judge, or not JSON: %w", ErrRequest, err)
	}
	if _, ok := v.Any().(map[string]any); !ok || !bytes.Equal(v.Canonical(), r.Args) {
		return fmt.Errorf("%w: the arguments are not canonical", ErrRequest)
	}
	r.Expires = r.Expires.UTC().Round(0)
	for name, role := range r.Roles {
		if role.String() == "unknown" {
			delete(r.Roles, name) // undeclared is control
		}
	}
	text, err := encode(*r)
	if err != nil {
		return err
	}
	var back Request
	if err := json.Unmarshal([]byte(text), &back); err != nil || !bytes.Equal(back.Args, r.Args) {
		return fmt.Errorf("%w: it cannot be stored", ErrRequest)
	}
	return nil
}

// open finds the ask that r shares, or makes one.
func (s *Store) open(ctx context.Context, r Request, now time.Time) (id ID, fresh bool, err error) {
	if err := s.expire(ctx); err != nil {
		return "", false, err
	}
	err = s.tx(ctx, func(tx *sql.Tx) error {
		if err := s.remembered(ctx, tx, r, now); err != nil {
			return err
		}
		open, err := s.query(ctx, tx, `WHERE subject = ? AND state IN ('pending', 'granted')`, r.Subject[:])
		if err != nil {
			return err
		}
		if len(open) > 0 {
			id = open[0].ID
			return nil
		}
		if err := s.room(ctx, tx, r); err != nil {
			return err
		}
		id, fresh = newID(), true
		return s.insert(ctx, tx, id, r, now)
	})
	// A refusal from memory counted a repeat, which must stay counted.
	var again *repeated
	if errors.As(err, &again) {
		_, countErr := s.db.Write.ExecContext(ctx, `UPDATE ask SET repeats = repeats + 1 WHERE id = ?`, again.id)
		return "", false, errors.Join(ErrDenied, countErr)
	}
	return id, fresh, err
}

// repeated tells of the denial that answers a repeat.
type repeated struct{ id ID }

// Error implements error.
func (r *repeated) Error() string { return "denied before: " + string(r.id) }

func (s *Store) remembered(ctx context.Context, tx *sql.Tx, r Request, now time.Time) error {
	var id ID
	err := tx.QueryRowContext(ctx, `SELECT id FROM ask WHERE subject = ? AND state = ? AND remembered = 1 AND decided > ? LIMIT 1`,
		r.Subject[:], Denied, now.Add(-DenialTime).UnixNano()).Scan(&id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("approvals: %w", err)
	}
	return &repeated{id}
}

// room refuses where too much waits already: the agent is paused before people tire.
func (s *Store) room(ctx context.Context, tx *sql.Tx, r Request) error {
	var all, session int
	err := tx.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(agent = ? AND session = ?), 0) FROM ask WHERE state = 'pending'`, r.Agent, r.Session).Scan(&all, &session)
	switch {
	case err != nil:
		return fmt.Errorf("approvals: %w", err)
	case session >= s.cfg.MaxSession:
		return fmt.Errorf("%w: %d wait", ErrPaused, session)
	case all >= s.cfg.MaxPending:
		return fmt.Errorf("%w: %d wait", ErrFull, all)
	}
	return nil
}

func (s *Store) insert(ctx context.Context, tx *sql.Tx, id ID, r Request, now time.Time) error {
	body, err := encode(r)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO ask (id, agent, session, subject, binding, body, asked, expires, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, r.Agent, r.Session, r.Subject[:], r.Binding[:], body, now.UnixNano(), r.Expires.UnixNano(), Pending)
	if err != nil {
		return fmt.Errorf("approvals: %w", err)
	}
	e := Event{Name: "approval.asked", Actor: r.Requester, ID: id, Request: r, Verdict: "ask"}
	if err := s.cfg.Record.Record(ctx, e); err != nil {
		return fmt.Errorf("record %s: %w", e.Name, err)
	}
	return nil
}

// show puts the card on every surface. If none could, the ask is denied at once.
func (s *Store) show(ctx context.Context, id ID) error {
	card, err := s.Show(ctx, id)
	if err != nil {
		return err
	}
	shown := make([]error, len(s.cfg.Surfaces))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), showTime)
	var wg, closing sync.WaitGroup
	closing.Go(func() {
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	})
	defer closing.Wait()
	defer cancel()
	for i, surface := range s.cfg.Surfaces {
		wg.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					shown[i] = fmt.Errorf("surface failed: %v", v)
				}
			}()
			shown[i] = surface.Show(ctx, card)
		})
	}
	wg.Wait()
	for _, err := range shown {
		if err == nil {
			return nil
		}
	}
	if s.stopped() {
		return ErrClosed
	}
	return errors.Join(append([]error{ErrHeadless, s.unseen(ctx, id)}, shown...)...)
}

// unseen denies an ask that nobody was shown.
func (s *Store) unseen(ctx context.Context, id ID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), showTime)
	defer cancel()
	err := s.tx(ctx, func(tx *sql.Tx) error {
		r, err := s.one(ctx, tx, `WHERE id = ? AND state = 'pending'`, id)
		if err != nil {
			return err
		}
		return s.end(ctx, tx, r, Denied, byHeadless, s.cfg.Now(), Event{
			Name: "approval.decided", Verdict: "deny", Detail: map[string]string{"why": "no surface could show it"},
		})
	})
	s.broadcast()
	return err
}

func (s *Store) stopped() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// wait returns when the ask has been decided.
func (s *Store) wait(ctx context.Context, id ID) (policy.Approval, error) {
	for {
		changed := s.change() // before reading: a change after this is not missed
		r, err := s.state(ctx, id)
		if err != nil {
			return policy.Approval{}, err
		}
		switch r.State {
		case Pending:
		case Granted, Consumed: // of two who share a grant, Claim lets one through
			return policy.Approval{ID: string(id), Binding: r.Request.Binding, By: r.By, Granted: true, Expires: r.Request.Expires}, nil
		case Endorsed:
			return policy.Approval{}, ErrEndorsed
		case Denied, Expired, Closed:
			return policy.Approval{}, fmt.Errorf("%w: %s", ErrNotApproved, r.State)
		}
		timer := time.NewTimer(max(r.Request.Expires.Sub(s.cfg.Now()), time.Millisecond))
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		case <-s.done:
		}
		timer.Stop()
		switch {
		case s.stopped():
			return policy.Approval{}, ErrClosed
		case ctx.Err() != nil:
			return policy.Approval{}, fmt.Errorf("nobody answered %s: %w", id, ctx.Err())
		}
	}
}

// state reads an ask, and ends it first if its time is over.
func (s *Store) state(ctx context.Context, id ID) (row, error) {
	r, err := s.one(ctx, s.db.Read, `WHERE id = ?`, id)
	if err != nil {
		return row{}, err
	}
	if (r.State != Pending && r.State != Granted) || s.cfg.Now().Before(r.Request.Expires) {
		return r, nil
	}
	if err := s.expire(ctx); err != nil {
		return row{}, err
	}
	return s.one(ctx, s.db.Read, `WHERE id = ?`, id)
}
