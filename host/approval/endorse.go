package approval

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/atom"
	"github.com/glovebox-dev/glovebox/internal/canon"
)

// Scope is how often an endorsement serves. The zero value is refused.
type Scope string

// The scopes.
const (
	ScopeOnce    Scope = "once"
	ScopeSession Scope = "session"
)

// How long an endorsement lasts at most.
const (
	OnceTime    = 10 * time.Minute
	SessionTime = 12 * time.Hour
)

const (
	endorsementLive  = "live"
	endorsementUsed  = "used"
	endorsementEnded = "ended"
)

// Errors of Endorse.
var (
	ErrScope    = errors.New("this value can be endorsed only once, not for a session")
	ErrNoValue  = errors.New("the gate does not ask about such a value")
	ErrWhich    = errors.New("the argument holds several such values; name one")
	ErrNotHeld  = errors.New("an endorsement is not usable any more")
	errBadScope = errors.New("scope: want once or session")
)

// Value names one value of an ask that a person endorses.
type Value struct {
	Argument string
	Text     string // as in the arguments; may be empty where only one value is in question
	Scope    Scope
}

// Endorsement is a person's word for one value of one argument of one version of a
// tool, in one session.
type Endorsement struct {
	ID      ID               `json:"id"`
	Agent   abi.AgentID      `json:"agent"`
	Session abi.SessionID    `json:"session"`
	Tool    abi.ToolRef      `json:"tool"`
	Digest  abi.Digest       `json:"digest"`
	Arg     string           `json:"argument"`
	Value   atom.Seq         `json:"value"`
	Shown   string           `json:"shown"` // the value for people, hidden characters visible
	Scope   Scope            `json:"scope"`
	Expires time.Time        `json:"expires"`
	By      policy.Principal `json:"by"`
	Made    time.Time        `json:"made"`
}

// For returns e as the gate takes it.
func (e Endorsement) For() gate.Endorsement {
	return gate.Endorsement{Tool: e.Tool, Digest: e.Digest, Argument: e.Arg, Value: e.Value}
}

// commandish finds arguments whose value is a command.
var commandish = regexp.MustCompile(`(?i)^(?:.*_)?(?:command|cmd|cmdline|argv|args|shell|script|exec|execute|code|program|sql|query|expression)$`)

// Endorse answers the ask id by endorsing one of the values that the gate asks about,
// instead of the call: the gate judges the call again, and all its other rules with
// it. Only a value that is in the call can be endorsed. Amounts, commands and free
// text of several words serve once.
func (s *Store) Endorse(ctx context.Context, by Approver, id ID, v Value) error {
	if v.Scope != ScopeOnce && v.Scope != ScopeSession {
		return errBadScope
	}
	return s.answer(ctx, by, id, Endorsed, func(tx *sql.Tx, r row) (Event, error) {
		seq, shown, err := r.Request.value(v)
		if err != nil {
			return Event{}, err
		}
		now := s.cfg.Now()
		expires := now.Add(OnceTime)
		if v.Scope == ScopeSession {
			if err := standing(v.Argument, seq); err != nil {
				return Event{}, err
			}
			expires = now.Add(SessionTime)
		}
		value, err := json.Marshal(seq)
		if err != nil {
			return Event{}, fmt.Errorf("endorse: %w", err)
		}
		q := r.Request
		_, err = tx.ExecContext(ctx, `INSERT INTO endorsement (id, agent, session, tool, digest, argument, value, shown, scope, expires, actor, made, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			newID(), q.Agent, q.Session, q.Tool.String(), q.Pin, v.Argument, string(value), shown, v.Scope, expires.UnixNano(), by.Principal, now.UnixNano(), endorsementLive)
		if err != nil {
			return Event{}, fmt.Errorf("endorse: %w", err)
		}
		detail := by.detail()
		detail["argument"], detail["scope"] = v.Argument, string(v.Scope)
		return Event{Name: "approval.endorsed", Verdict: "endorse", Detail: detail}, nil
	})
}

// standing refuses a value that must not hold for a whole session.
func standing(argument string, seq atom.Seq) error {
	if commandish.MatchString(argument) {
		return fmt.Errorf("%w: %q holds a command", ErrScope, argument)
	}
	if len(seq) != 1 {
		return fmt.Errorf("%w: it is free text", ErrScope)
	}
	switch seq[0].Kind {
	case atom.Email, atom.URL, atom.Domain, atom.Account, atom.Phone, atom.Path, atom.Word:
		return nil
	case atom.Number:
		return fmt.Errorf("%w: it is an amount", ErrScope)
	case atom.None, atom.Separator, atom.Date, atom.Quoted:
	}
	return fmt.Errorf("%w: it is a %s", ErrScope, seq[0].Kind)
}

// value finds the value of the call that v names, among those in question.
func (r Request) value(v Value) (atom.Seq, string, error) {
	asked := r.doubts()
	parsed, err := canon.Parse(r.Args, canon.Limits{Bytes: len(r.Args)})
	if err != nil {
		return nil, "", fmt.Errorf("endorse: %w", err)
	}
	args, _ := parsed.Any().(map[string]any)
	var seqs []atom.Seq
	var shown []string
	for _, l := range leavesOf(nil, v.Argument, args[v.Argument]) {
		seq, err := atom.Value(l.value)
		if err != nil || len(seq) == 0 || len(asked.about(v.Argument, l)) == 0 || v.Text != "" && v.Text != l.raw() {
			continue
		}
		if !slices.ContainsFunc(seqs, func(o atom.Seq) bool { return slices.Equal(o, seq) }) {
			seqs, shown = append(seqs, seq), append(shown, Visible(l.raw()))
		}
	}
	switch len(seqs) {
	case 0:
		return nil, "", fmt.Errorf("%w: %s of argument %q", ErrNoValue, Visible(v.Text), v.Argument)
	case 1:
		return seqs[0], shown[0], nil
	}
	return nil, "", fmt.Errorf("%w: %d values in argument %q", ErrWhich, len(seqs), v.Argument)
}

// Endorsed lists the live endorsements of a session: what gate.State.Endorsed holds.
func (s *Store) Endorsed(ctx context.Context, agent abi.AgentID, session abi.SessionID) ([]Endorsement, error) {
	return s.endorsements(ctx, `WHERE state = ? AND expires > ? AND agent = ? AND session = ? ORDER BY made, rowid`, endorsementLive, s.cfg.Now().UnixNano(), agent, session)
}

// Endorsements lists the live endorsements of all sessions, the oldest first.
func (s *Store) Endorsements(ctx context.Context) ([]Endorsement, error) {
	return s.endorsements(ctx, `WHERE state = ? AND expires > ? ORDER BY made, rowid`, endorsementLive, s.cfg.Now().UnixNano())
}

func (s *Store) endorsements(ctx context.Context, clause string, args ...any) ([]Endorsement, error) {
	rows, err := s.db.Read.QueryContext(ctx, `SELECT id, agent, session, tool, digest, argument, value, shown, scope, expires, actor, made FROM endorsement `+clause, args...)
	if err != nil {
		return nil, fmt.Errorf("endorsements: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Endorsement
	for rows.Next() {
		var e Endorsement
		var tool, value string
		var expires, made int64
		if err := rows.Scan(&e.ID, &e.Agent, &e.Session, &tool, &e.Digest, &e.Arg, &value, &e.Shown, &e.Scope, &expires, &e.By, &made); err != nil {
			return nil, fmt.Errorf("endorsements: %w", err)
		}
		if e.Tool, err = abi.ParseToolRef(tool); err != nil {
			return nil, fmt.Errorf("endorsement %q is damaged: %w", e.ID, err)
		}
		if err := json.Unmarshal([]byte(value), &e.Value); err != nil || len(e.Value) == 0 {
			return nil, errors.Join(fmt.Errorf("endorsement %q is damaged", e.ID), err)
		}
		e.Expires, e.Made = moment(expires), moment(made)
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("endorsements: %w", err)
	}
	return out, nil
}

// Relied returns the endorsements of list that serve once and that hold for a value of
// the call: those that Use must take before it runs.
func Relied(list []Endorsement, tool abi.ToolRef, digest abi.Digest, args map[string]any) []ID {
	var ids []ID
	for _, e := range list {
		if e.Scope != ScopeOnce || e.Tool != tool || e.Digest != digest {
			continue
		}
		for _, l := range leavesOf(nil, e.Arg, args[e.Arg]) {
			if seq, err := atom.Value(l.value); err == nil && slices.Equal(seq, e.Value) {
				ids = append(ids, e.ID)
				break
			}
		}
	}
	return ids
}

// Use takes the endorsements that a call relies on, all of them or none: of two calls
// that rely on one that serves once, one runs.
func (s *Store) Use(ctx context.Context, ids []ID) error {
	if len(ids) == 0 {
		return nil
	}
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, id := range ids {
			of, err := s.spend(ctx, tx, id, endorsementUsed, " AND scope = 'once'")
			if err != nil {
				return err
			}
			if err := s.cfg.Record.Record(ctx, Event{Name: "approval.endorsement-used", Actor: "host", ID: id, Request: of}); err != nil {
				return fmt.Errorf("record the use of an endorsement: %w", err)
			}
		}
		return nil
	})
}

// Revoke ends an endorsement before its time.
func (s *Store) Revoke(ctx context.Context, by Approver, id ID) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if !s.operator(by) {
		return s.refuse(ctx, by, row{ID: id}, "no operator who may answer")
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		of, err := s.spend(ctx, tx, id, endorsementEnded, "")
		if err != nil {
			return err
		}
		return s.cfg.Record.Record(ctx, Event{Name: "approval.endorsement-revoked", Actor: by.Principal, ID: id, Request: of, Detail: by.detail()})
	})
}

// spend takes one live endorsement out of use and tells for whose calls it was.
func (s *Store) spend(ctx context.Context, tx *sql.Tx, id ID, to, also string) (of Request, err error) {
	row := tx.QueryRowContext(ctx, `UPDATE endorsement SET state = ? WHERE id = ? AND state = ? AND expires > ?`+also+` RETURNING agent, session, tool, digest`,
		to, id, endorsementLive, s.cfg.Now().UnixNano())
	var tool string
	switch err := row.Scan(&of.Agent, &of.Session, &tool, &of.Pin); {
	case errors.Is(err, sql.ErrNoRows):
		return of, fmt.Errorf("%w: %q", ErrNotHeld, id)
	case err != nil:
		return of, fmt.Errorf("endorsement: %w", err)
	}
	if of.Tool, err = abi.ParseToolRef(tool); err != nil {
		return of, fmt.Errorf("endorsement %q is damaged: %w", id, err)
	}
	return of, nil
}
