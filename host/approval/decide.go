package approval

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy"
)

// Decide answers the ask id, once. The decision is on record and on disk before the
// call that waits can learn of it.
//
// # Errors
//
//   - ErrNotApprover: who answers is no listed operator, or is who asked
//   - ErrUnknown: there is no such ask, or none that who answers may see
//   - *DecidedError: somebody else, or the clock, was first
func (s *Store) Decide(ctx context.Context, by Approver, id ID, approve bool) error {
	to, verdict := Denied, "deny"
	if approve {
		to, verdict = Granted, "approve"
	}
	return s.answer(ctx, by, id, to, func(_ *sql.Tx, r row) (Event, error) {
		return Event{Name: "approval.decided", Verdict: verdict, Detail: by.detail()}, nil
	})
}

func (a Approver) detail() map[string]string { return map[string]string{"surface": a.Surface} }

// answer moves a pending ask to another state on behalf of by, if by may.
func (s *Store) answer(ctx context.Context, by Approver, id ID, to State, event func(*sql.Tx, row) (Event, error)) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if !s.operator(by) {
		return s.refuse(ctx, by, row{ID: id}, "no operator who may answer")
	}
	if err := s.expire(ctx); err != nil {
		return err
	}
	r, err := s.one(ctx, s.db.Read, `WHERE id = ?`, id)
	if err != nil {
		return err
	}
	switch q := r.Request; {
	case by.Agent != "" && by.Agent != q.Agent, by.Session != "" && by.Session != q.Session:
		return ErrUnknown // another conversation's ask does not exist here
	case by.Principal == q.Requester, by.Conversation != "" && by.Conversation == q.Conversation:
		return s.refuse(ctx, by, r, "the requester")
	}
	err = s.tx(ctx, func(tx *sql.Tx) (err error) {
		if r, err = s.one(ctx, tx, `WHERE id = ?`, id); err != nil {
			return err
		}
		now := s.cfg.Now()
		if r.State != Pending || !now.Before(r.Request.Expires) {
			return &DecidedError{ID: id, State: r.State, By: r.By, At: r.Decided}
		}
		e, err := event(tx, r)
		if err != nil {
			return err
		}
		return s.end(ctx, tx, r, to, by.Principal, now, e)
	})
	if err != nil {
		return err
	}
	s.settled([]row{r}, to, by.Principal)
	return nil
}

// operator reports whether by is a listed operator who comes through a known surface.
// A peer, an agent, an owner in a chat and an unnamed sender are none.
func (s *Store) operator(by Approver) bool {
	name, ok := strings.CutPrefix(string(by.Principal), "operator:")
	return ok && name != "" && slices.Contains(s.cfg.Approvers, by.Principal) &&
		slices.ContainsFunc(s.cfg.Surfaces, func(x Surface) bool { return x.Name() == by.Surface })
}

// refuse records an answer that does not count.
func (s *Store) refuse(ctx context.Context, by Approver, r row, who string) error {
	err := s.cfg.Record.Record(ctx, Event{
		Name: "approval.refused", Actor: by.Principal, ID: r.ID, Request: r.Request, Verdict: "deny",
		Detail: map[string]string{"surface": by.Surface, "why": who},
	})
	return errors.Join(fmt.Errorf("%w: %q is %s", ErrNotApprover, by.Principal, who), err)
}

// settled wakes those who wait and tells the surfaces.
func (s *Store) settled(rows []row, to State, by policy.Principal) {
	if len(rows) == 0 {
		return
	}
	s.broadcast()
	for _, r := range rows {
		for _, surface := range s.cfg.Surfaces {
			surface.Settled(Outcome{ID: r.ID, Agent: r.Request.Agent, Session: r.Request.Session, State: to, By: by})
		}
	}
}

// Claim uses up a grant right before the effect: a compare-and-set from granted to
// consumed, for exactly the binding that was shown, before its expiry. Of two claims
// one wins; a grant that was claimed is never usable again, whatever happens next.
func (s *Store) Claim(ctx context.Context, a policy.Approval) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	now := s.cfg.Now()
	err = s.tx(ctx, func(tx *sql.Tx) error {
		r, err := s.one(ctx, tx, `WHERE id = ? AND binding = ? AND state = 'granted' AND expires > ?`, a.ID, a.Binding[:], now.UnixNano())
		if errors.Is(err, ErrUnknown) {
			return ErrUsed
		}
		if err != nil {
			return err
		}
		return s.end(ctx, tx, r, Consumed, r.By, now, Event{Name: "approval.consumed", Verdict: "allow"})
	})
	if err != nil {
		return err
	}
	s.broadcast()
	return nil
}

// Settle notes how the call that used the grant id ended, and drops its arguments.
func (s *Store) Settle(ctx context.Context, id ID, outcome string) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if outcome == "" {
		outcome = OutcomeUnknown
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		r, err := s.one(ctx, tx, `WHERE id = ? AND state = 'consumed' AND outcome = ''`, id)
		if err != nil {
			return err
		}
		body, err := encode(r.Request.withoutContent())
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE ask SET outcome = ?, body = ? WHERE id = ?`, outcome, body, id); err != nil {
			return fmt.Errorf("approvals: %w", err)
		}
		return s.cfg.Record.Record(ctx, Event{Name: "approval.settled", Actor: r.By, ID: id, Request: r.Request, Outcome: outcome})
	})
}

// EndSession closes what is open in a session and forgets its denials and
// endorsements: nothing of it holds in the next one.
func (s *Store) EndSession(ctx context.Context, agent abi.AgentID, session abi.SessionID) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	var open []row
	now := s.cfg.Now()
	err = s.tx(ctx, func(tx *sql.Tx) (err error) {
		if open, err = s.query(ctx, tx, `WHERE agent = ? AND session = ? AND state IN ('pending', 'granted')`, agent, session); err != nil {
			return err
		}
		for _, r := range open {
			if err := s.end(ctx, tx, r, Closed, bySession, now, Event{Name: "approval.closed", Verdict: "deny"}); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `UPDATE ask SET remembered = 0 WHERE agent = ? AND session = ?`, agent, session); err != nil {
			return fmt.Errorf("approvals: %w", err)
		}
		_, err = tx.ExecContext(ctx, `UPDATE endorsement SET state = ? WHERE agent = ? AND session = ? AND state = ?`, endorsementEnded, agent, session, endorsementLive)
		if err != nil {
			return fmt.Errorf("approvals: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.settled(open, Closed, bySession)
	return nil
}
