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
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/wasm"
)

// maxAnswer bounds what a person answers to a skill's question.
const maxAnswer = 4 * abi.KiB

// maxPending bounds the questions that wait at once.
const maxPending = 100

var _ wasm.Asker = (*approvals)(nil)

// waiting is a question of a skill.
type waiting struct {
	show   admin.Approval
	of     conversation
	entry  audit.Entry         // what the answer is recorded as
	check  func(string) error  // of the text of an answer
	answer chan admin.Decision // buffered: the answer never waits
}

var errNoQuestion = errors.New("no question has that id")

// Ask implements wasm.Asker: the question waits beside the approvals, as text of the
// named skill, and an answer reaches that skill only.
func (a *approvals) Ask(ctx context.Context, c abi.Caller, req abi.AskRequest) (abi.AskResult, error) {
	limit := a.limit
	if req.TimeoutS > 0 && req.TimeoutS < int64(limit/time.Second) {
		limit = time.Duration(req.TimeoutS) * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	id, tool := newID(), abi.ToolRef{Skill: c.Skill, Tool: c.Tool}.String()
	w := &waiting{
		of: conversation{c.Agent, c.Session}, answer: make(chan admin.Decision, 1),
		check: func(text string) error { return checkAnswer(req, text) },
		show: admin.Approval{
			ID: id, Kind: "question", Agent: string(c.Agent), Session: string(c.Session), Tool: tool, Class: "question",
			Question: req.Question, Choices: req.Choices, Expires: time.Now().Add(limit).UTC(),
		},
		entry: audit.Entry{
			Event: "question.answered", Actor: string(principalApprover), Agent: c.Agent, Session: c.Session, Call: c.Call, Tool: tool, Approval: id,
		},
	}
	d, err := a.wait(ctx, w)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return abi.AskResult{Action: "timeout"}, nil
	case err != nil:
		return abi.AskResult{}, &abi.Problem{Code: abi.CodeNeedsHuman, Capability: "human", Message: "nobody can be asked now"}
	case d.Decision != admin.Approve:
		return abi.AskResult{Action: "decline"}, nil
	}
	return abi.AskResult{Action: "accept", Content: answerContent(req, d.Answer)}, nil
}

// wait shows w to whoever follows the conversation and returns the person's answer.
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
		return nil, fmt.Errorf("%d questions wait for an answer already", maxPending)
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

// answer answers a question. The answer is on record before the skill that waits
// learns of it; if it cannot be recorded, the question is declined.
func (a *approvals) answer(ctx context.Context, id string, d admin.Decision) error {
	w, err := a.take(id, d)
	if err != nil {
		return err
	}
	e := w.entry
	e.Verdict = d.Decision
	if _, err := a.record.Append(ctx, e); err != nil {
		w.answer <- admin.Decision{Decision: admin.Deny}
		return fmt.Errorf("record the answer: %w", err)
	}
	w.answer <- d
	return nil
}

// take removes the question: of two racing answers one wins.
func (a *approvals) take(id string, d admin.Decision) (*waiting, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w, ok := a.pending[id]
	if !ok {
		if _, decided := a.done[id]; decided {
			return nil, admin.NewError(http.StatusConflict, fmt.Sprintf("question %q has been answered or has expired", id), "approval/decided", "")
		}
		return nil, errNoQuestion
	}
	if d.Decision == admin.Endorse {
		return nil, admin.NewError(http.StatusBadRequest, "a question is answered, not endorsed", "approval/answer", "")
	}
	if d.Decision == admin.Approve {
		if err := w.check(d.Answer); err != nil {
			return nil, admin.NewError(http.StatusBadRequest, err.Error(), "approval/answer", "")
		}
	}
	delete(a.pending, id)
	a.done[id] = time.Now()
	return w, nil
}

// questions returns the questions that wait, the oldest first.
func (a *approvals) questions() []admin.Approval {
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

// checkAnswer reports whether text answers the question.
func checkAnswer(req abi.AskRequest, text string) error {
	switch {
	case len(text) > maxAnswer:
		return fmt.Errorf("the answer has %d bytes, more than %d", len(text), maxAnswer)
	case len(req.Choices) > 0 && !slices.Contains(req.Choices, text):
		return fmt.Errorf("the answer must be one of: %s", strings.Join(req.Choices, ", "))
	case len(req.Schema) > 0:
		if err := abi.CheckJSON([]byte(text), 16); err != nil {
			return fmt.Errorf("the answer must be JSON: %w", err)
		}
	}
	return nil
}

// answerContent is the person's text as JSON: as it is where the skill asked for a
// document, as a string otherwise.
func answerContent(req abi.AskRequest, text string) json.RawMessage {
	if len(req.Schema) > 0 {
		return json.RawMessage(text)
	}
	b, _ := json.Marshal(text) // a string always encodes
	return b
}
