package host

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/policy"
)

// Limits of what waits for a person.
const (
	maxPending   = 100
	approvalTime = 5 * time.Minute
)

// The principals of this daemon. Who speaks in a chat is never who approves: both
// hold the token, but an approval is a request of its own, made by a person who was
// shown the exact call.
const (
	principalChat     policy.Principal = "owner:api"
	principalApprover policy.Principal = "operator:api"
)

// approvals keeps the calls that wait for a person, in memory: a restart denies them
// all. Each is answered once and for exactly the call that was shown.
type approvals struct {
	record agent.Recorder

	mu      sync.Mutex // guards pending, done and watch
	pending map[string]*waiting
	done    map[string]time.Time               // answered or expired, for a clear "already decided"
	watch   map[conversation]func(admin.Event) // who is told at once
}

type conversation struct {
	agent   abi.AgentID
	session abi.SessionID
}

type waiting struct {
	show   admin.Approval
	of     conversation
	entry  audit.Entry         // what the decision is recorded as
	check  func(string) error  // of the text of an answer; nil admits none
	answer chan admin.Decision // buffered: the answer never waits
}

func newApprovals(record agent.Recorder) *approvals {
	return &approvals{record: record, pending: map[string]*waiting{}, done: map[string]time.Time{}, watch: map[conversation]func(admin.Event){}}
}

// follow has emit told of the approvals of one conversation until the returned
// function is called.
func (a *approvals) follow(c conversation, emit func(admin.Event)) (stop func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watch[c] = emit
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.watch, c)
	}
}

var _ agent.Approver = (*approvals)(nil)

// Approve implements agent.Approver: it waits for an answer, for ctx, or for the
// time limit; everything but a person's yes refuses.
func (a *approvals) Approve(ctx context.Context, ask agent.Ask) (policy.Approval, error) {
	expires := time.Now().Add(approvalTime)
	if !ask.Expires.IsZero() && ask.Expires.Before(expires) {
		expires = ask.Expires
	}
	ctx, cancel := context.WithDeadline(ctx, expires)
	defer cancel()
	id := newID()
	w := &waiting{
		of: conversation{ask.Agent, ask.Session}, answer: make(chan admin.Decision, 1),
		show: admin.Approval{
			ID: id, Kind: "call", Agent: string(ask.Agent), Session: string(ask.Session), Tool: ask.Tool,
			Class: ask.Class.String(), Arguments: ask.Args, Question: ask.Why, Expires: expires.UTC(),
		},
		entry: audit.Entry{
			Event: "approval.decided", Actor: string(principalApprover), Agent: ask.Agent, Session: ask.Session, Call: ask.Call,
			Tool: ask.Tool, Args: ask.Args, Rule: string(ask.Rule), Approval: id, Durable: true,
		},
	}
	d, err := a.wait(ctx, w)
	if err != nil {
		return policy.Approval{}, err
	}
	return policy.Approval{ID: id, Binding: ask.Binding, By: principalApprover, Granted: d.Decision == admin.Approve, Expires: ask.Expires}, nil
}

// wait shows w to whoever follows the conversation and returns the person's decision.
func (a *approvals) wait(ctx context.Context, w *waiting) (admin.Decision, error) {
	emit, err := a.add(w)
	if err != nil {
		return admin.Decision{}, err
	}
	defer a.remove(w.show.ID)
	if emit != nil {
		emit(admin.Event{Name: "approval", Data: w.show})
	}
	select {
	case d := <-w.answer:
		return d, nil
	case <-ctx.Done():
		return admin.Decision{}, fmt.Errorf("nobody answered %s: %w", w.show.ID, ctx.Err())
	}
}

func (a *approvals) add(w *waiting) (emit func(admin.Event), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pending) >= maxPending {
		return nil, fmt.Errorf("%d calls wait for an answer already", maxPending)
	}
	a.pending[w.show.ID] = w
	return a.watch[w.of], nil
}

func (a *approvals) remove(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.pending, id)
	a.done[id] = time.Now()
	for old, at := range a.done {
		if time.Since(at) > time.Hour {
			delete(a.done, old)
		}
	}
}

// Decide answers a pending approval. The decision is on record before the call that
// waits for it learns of it; if it cannot be recorded, the call is not approved.
func (a *approvals) Decide(ctx context.Context, id string, d admin.Decision) error {
	w, err := a.take(id, d)
	if err != nil {
		return err
	}
	e := w.entry
	e.Verdict = d.Decision
	if _, err := a.record.Append(ctx, e); err != nil {
		w.answer <- admin.Decision{Decision: admin.Deny}
		return fmt.Errorf("record the decision: %w", err)
	}
	w.answer <- d
	return nil
}

// take removes the approval: of two racing answers one wins.
func (a *approvals) take(id string, d admin.Decision) (*waiting, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w, ok := a.pending[id]
	if !ok {
		if _, decided := a.done[id]; decided {
			return nil, admin.NewError(http.StatusConflict, fmt.Sprintf("approval %q has been decided or has expired", id), "approval/decided", "")
		}
		return nil, admin.NewError(http.StatusNotFound, fmt.Sprintf("no approval %q waits for an answer", id), "approval/unknown", "list what waits with \"glovebox approve\"")
	}
	if d.Decision == admin.Approve {
		if err := w.fits(d.Answer); err != nil {
			return nil, admin.NewError(http.StatusBadRequest, err.Error(), "approval/answer", "")
		}
	}
	delete(a.pending, id)
	a.done[id] = time.Now()
	return w, nil
}

// fits reports whether text can be the answer: a call takes none.
func (w *waiting) fits(text string) error {
	if w.check != nil {
		return w.check(text)
	}
	if text != "" {
		return errors.New("a call is approved or denied; it takes no answer")
	}
	return nil
}

// List returns what waits, the oldest first.
func (a *approvals) List() []admin.Approval {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]admin.Approval, 0, len(a.pending))
	for _, w := range a.pending {
		list = append(list, w.show)
	}
	slices.SortFunc(list, func(x, y admin.Approval) int {
		return cmp.Or(x.Expires.Compare(y.Expires), strings.Compare(x.ID, y.ID))
	})
	return list
}

// newID returns 80 random bits in 16 lower-case letters and digits.
func newID() string {
	var b [10]byte
	_, _ = rand.Read(b[:])
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

// rawJSON makes hostile text fit for a JSON document.
func rawJSON(b []byte) json.RawMessage {
	if json.Valid(b) {
		return b
	}
	quoted, _ := json.Marshal(string(b))
	return quoted
}
