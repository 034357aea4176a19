package host

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/policy"
)

// destructive opens a daemon whose calc is not declared, so that it asks.
func destructive(t *testing.T) *fixture {
	f := newFixture(t, nil)
	f.install("calc", func(c *abi.Compiled) { c.Manifest.Tools = nil })
	return f
}

// TestDestructiveCallWaitsForAPerson answers the same call with yes and with no.
func TestDestructiveCallWaitsForAPerson(t *testing.T) {
	t.Parallel()
	for _, decision := range []string{admin.Approve, admin.Deny} {
		t.Run(decision, func(t *testing.T) {
			t.Parallel()
			f := destructive(t)
			var seen []string
			var mu sync.Mutex
			f.model.call("calc.evaluate", `{"expression":"6*7"}`)
			done := make(chan admin.ChatReply, 1)
			go func() {
				reply, err := f.Chat(t.Context(), admin.ChatRequest{Message: "go", Session: "s"}, func(e admin.Event) {
					mu.Lock()
					defer mu.Unlock()
					seen = append(seen, e.Name)
				})
				if err != nil {
					t.Error(err)
				}
				done <- reply
			}()
			var ask admin.Approval
			eventually(t, "an approval waits", func() bool {
				list, err := f.Approvals(t.Context(), 0)
				if err != nil || len(list) == 0 {
					return false
				}
				ask = list[0]
				return true
			})
			if ask.Tool != "calc.evaluate" || string(ask.Arguments) != `{"expression":"6*7"}` || ask.Class != "destructive" {
				t.Errorf("what a person sees: %+v", ask)
			}
			if err := f.Decide(t.Context(), ask.ID, admin.Decision{Decision: decision, Answer: "x"}); decision == admin.Approve && status(err) != http.StatusBadRequest {
				t.Errorf("a call took an answer: %v", err)
			}
			if decision == admin.Approve {
				if err := f.Decide(t.Context(), ask.ID, admin.Decision{Decision: decision}); err != nil {
					t.Fatal(err)
				}
			}
			reply := <-done
			want := map[string]string{admin.Approve: agent.OutcomeOK, admin.Deny: agent.OutcomeDenied}[decision]
			if reply.Calls[0].Outcome != want {
				t.Errorf("outcome %q, want %q: %+v", reply.Calls[0].Outcome, want, reply.Calls[0])
			}
			if err := f.Decide(t.Context(), ask.ID, admin.Decision{Decision: admin.Approve}); status(err) != http.StatusConflict {
				t.Errorf("second answer: %v, want a conflict", err)
			}
			if f.events("approval.decided", decision, ask.ID) != 1 {
				t.Error("the decision is not on record exactly once")
			}
			mu.Lock()
			defer mu.Unlock()
			if strings.Join(seen, " ") != "approval call" {
				t.Errorf("events: %v", seen)
			}
			f.verify()
		})
	}
}

func status(err error) int {
	var p *admin.Error
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}

// TestApprovalIsForOneExactCall repeats an approved call, and changes its arguments.
func TestApprovalIsForOneExactCall(t *testing.T) {
	t.Parallel()
	f := destructive(t)
	answers := []string{admin.Approve, admin.Deny, admin.Deny}
	go func() {
		for _, a := range answers {
			for {
				list, _ := f.approvals.List(t.Context(), 0)
				if len(list) == 1 && f.approvals.Decide(context.WithoutCancel(t.Context()), list[0].ID, admin.Decision{Decision: a}) == nil {
					break
				}
				if t.Context().Err() != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}
	}()
	for i, args := range []string{`{"expression":"6*7"}`, `{"expression":"6*7"}`, `{"expression":"6*8"}`} {
		want := map[string]string{admin.Approve: agent.OutcomeOK, admin.Deny: agent.OutcomeDenied}[answers[i]]
		if c := f.ask("calc.evaluate", args); c.Outcome != want {
			t.Errorf("call %d: %+v; want %s", i, c, want)
		}
	}
}

// failing is an audit log that cannot be written.
type failing struct{ only audit.Event }

func (r failing) Append(_ context.Context, e audit.Entry) (audit.Record, error) {
	if r.only == "" || e.Event == r.only {
		return audit.Record{}, errTest
	}
	return audit.Record{Seq: 1}, nil
}

// newDesk opens a desk over a file of its own.
func newDesk(t *testing.T, record agent.Recorder) *approvals {
	t.Helper()
	a, err := openApprovals(t.Context(), filepath.Join(t.TempDir(), "approvals.db"), record, 5*time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// anAsk is one that nothing in the gate would make, but that the desk takes.
func anAsk(expires time.Time) agent.Ask {
	return agent.Ask{
		Agent: "main", Session: "s", Requester: principalChat, Tool: "x.y", Args: []byte(`{}`),
		Subject: policy.Binding{1}, Binding: policy.Binding{2}, Expires: expires,
	}
}

func (a *approvals) waits(t *testing.T, n int) []admin.Approval {
	t.Helper()
	var list []admin.Approval
	eventually(t, fmt.Sprintf("%d wait", n), func() bool {
		var err error
		if list, err = a.List(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		return len(list) == n
	})
	return list
}

func TestApprovalThatCannotBeRecordedIsRefused(t *testing.T) {
	t.Parallel()
	a := newDesk(t, failing{only: "approval.decided"})
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan policy.Approval, 1)
	go func() {
		p, _ := a.Approve(ctx, anAsk(time.Now().Add(time.Minute)))
		got <- p
	}()
	id := a.waits(t, 1)[0].ID
	if err := a.Decide(t.Context(), id, admin.Decision{Decision: admin.Approve}); !errors.Is(err, errTest) {
		t.Errorf("decide: %v", err)
	}
	cancel()
	if p := <-got; p.Granted {
		t.Errorf("granted without a record: %+v", p)
	}
	if p, err := newDesk(t, failing{}).Approve(t.Context(), anAsk(time.Now().Add(time.Minute))); p.Granted || !errors.Is(err, errTest) {
		t.Errorf("asked without a record: %+v, %v", p, err)
	}
}

// What is answered in time after the caller went away lets the same call through when
// it is made again; what is not answered in time is denied.
func TestApprovalsEndWithTheirTime(t *testing.T) {
	t.Parallel()
	a := newDesk(t, failing{only: "nothing"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if p, err := a.Approve(ctx, anAsk(time.Now().Add(time.Minute))); err == nil || p.Granted {
		t.Errorf("a caller that is gone: %+v, error %v", p, err)
	}
	late := anAsk(time.Now().Add(30 * time.Millisecond))
	late.Subject = policy.Binding{3}
	if p, err := a.Approve(t.Context(), late); err == nil || p.Granted {
		t.Errorf("an ask that expires: %+v, error %v", p, err)
	}
	for _, left := range a.waits(t, 0) {
		t.Errorf("left: %+v", left)
	}
	if err := a.Decide(t.Context(), "nosuchid", admin.Decision{Decision: admin.Approve}); status(err) != http.StatusNotFound {
		t.Errorf("unknown id: %v", err)
	}
}

// TestOfTwoAnswersOneWins answers twice before the call that waits has moved.
func TestOfTwoAnswersOneWins(t *testing.T) {
	t.Parallel()
	a := newDesk(t, failing{only: "nothing"})
	a.pending["x"] = &waiting{answer: make(chan admin.Decision, 2), check: func(string) error { return nil }}
	var won, lost atomic.Int32
	var wg sync.WaitGroup
	for _, d := range []string{admin.Deny, admin.Approve} {
		wg.Go(func() {
			switch err := a.Decide(t.Context(), "x", admin.Decision{Decision: d}); {
			case err == nil:
				won.Add(1)
			case status(err) == http.StatusConflict:
				lost.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 1 {
		t.Errorf("%d answers won, %d were told that it is decided; want one of each", won.Load(), lost.Load())
	}
}

func TestQuestionsAreBounded(t *testing.T) {
	t.Parallel()
	a := newDesk(t, failing{only: "nothing"})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range maxPending {
		wg.Go(func() { _, _ = a.Ask(ctx, abi.Caller{Skill: "x", Tool: "y"}, abi.AskRequest{Question: "q"}) })
	}
	a.waits(t, maxPending)
	if _, err := a.Ask(t.Context(), abi.Caller{Skill: "x", Tool: "y"}, abi.AskRequest{Question: "q"}); err == nil {
		t.Errorf("one more than %d was asked", maxPending)
	}
	cancel()
	wg.Wait()
}

func TestQuestionsOfSkills(t *testing.T) {
	t.Parallel()
	caller := abi.Caller{Agent: "main", Session: "s", Skill: "calc", Tool: "evaluate"}
	for name, c := range map[string]struct {
		req     abi.AskRequest
		d       admin.Decision
		refused bool
		want    abi.AskResult
	}{
		"an answer":              {abi.AskRequest{Question: "q"}, admin.Decision{Decision: admin.Approve, Answer: "blue"}, false, abi.AskResult{Action: "accept", Content: []byte(`"blue"`)}},
		"a choice":               {abi.AskRequest{Choices: []string{"a", "b"}}, admin.Decision{Decision: admin.Approve, Answer: "b"}, false, abi.AskResult{Action: "accept", Content: []byte(`"b"`)}},
		"a document":             {abi.AskRequest{Schema: []byte(`{}`)}, admin.Decision{Decision: admin.Approve, Answer: `{"n":1}`}, false, abi.AskResult{Action: "accept", Content: []byte(`{"n":1}`)}},
		"a no":                   {abi.AskRequest{}, admin.Decision{Decision: admin.Deny}, false, abi.AskResult{Action: "decline"}},
		"another choice":         {abi.AskRequest{Choices: []string{"a", "b"}}, admin.Decision{Decision: admin.Approve, Answer: "c"}, true, abi.AskResult{}},
		"no document":            {abi.AskRequest{Schema: []byte(`{}`)}, admin.Decision{Decision: admin.Approve, Answer: `{`}, true, abi.AskResult{}},
		"more than fits":         {abi.AskRequest{}, admin.Decision{Decision: admin.Approve, Answer: strings.Repeat("a", maxAnswer+1)}, true, abi.AskResult{}},
		"nobody within a second": {abi.AskRequest{TimeoutS: 1}, admin.Decision{}, false, abi.AskResult{Action: "timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newDesk(t, failing{only: "nothing"})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			got := make(chan abi.AskResult, 1)
			go func() {
				r, _ := a.Ask(ctx, caller, c.req)
				got <- r
			}()
			if c.d.Decision != "" {
				eventually(t, "it waits", func() bool { return len(a.questions()) == 1 })
				if err := a.Decide(t.Context(), a.questions()[0].ID, c.d); (err != nil) != c.refused {
					t.Fatalf("decide: %v", err)
				}
			}
			if c.refused {
				cancel()
			}
			if r := <-got; r.Action != c.want.Action || string(r.Content) != string(c.want.Content) {
				t.Errorf("got %+v, want %+v", r, c.want)
			}
		})
	}
}
