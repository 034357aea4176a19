package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/approval"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

// The principals of this daemon. Who speaks in a chat is never who approves: an
// approval is a request of its own, with a token of its own, made by a person who was
// shown the exact call.
const (
	principalChat     policy.Principal = "owner:api"
	principalApprover policy.Principal = "operator:api"
)

// surfaceAPI is the name of the API, and of the command line behind it, as a surface.
const surfaceAPI = "api"

// approvals is the desk where people answer: calls, which are kept by the store and
// survive a restart, and the questions of skills, which end with the skill.
type approvals struct {
	store  *approval.Store
	record agent.Recorder
	limit  time.Duration
	about  func(context.Context, agent.Ask) string // what the arguments of a call stand for; nil: nothing

	mu      sync.Mutex // guards what follows
	pending map[string]*waiting
	done    map[string]time.Time               // answered questions, for a clear "already decided"
	watch   map[conversation]func(admin.Event) // who is told at once
}

type conversation struct {
	agent   abi.AgentID
	session abi.SessionID
}

// openApprovals opens the desk over the database at path.
func openApprovals(ctx context.Context, path string, record agent.Recorder, limit time.Duration, redact func(string) string) (*approvals, error) {
	a := &approvals{record: record, limit: limit, pending: map[string]*waiting{}, done: map[string]time.Time{}, watch: map[conversation]func(admin.Event){}}
	var err error
	a.store, err = approval.Open(ctx, approval.Config{
		Path: path, Record: approvalLog{record}, Approvers: []policy.Principal{principalApprover},
		Surfaces: []approval.Surface{apiSurface{a}}, Redact: redact,
	})
	return a, err
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

// apiSurface is the API as a surface: whoever holds the approval token sees the cards.
type apiSurface struct{ desk *approvals }

var _ approval.Surface = apiSurface{}

// Name implements approval.Surface.
func (apiSurface) Name() string { return surfaceAPI }

// Show implements approval.Surface: the list is there for whoever asks, and who
// follows the conversation is told at once.
func (s apiSurface) Show(_ context.Context, c approval.Card) error {
	s.desk.mu.Lock()
	emit := s.desk.watch[conversation{c.Agent, c.Session}]
	s.desk.mu.Unlock()
	if emit != nil {
		emit(admin.Event{Name: "approval", Data: viewOf(c)})
	}
	return nil
}

// Settled implements approval.Surface: the list shows it.
func (apiSurface) Settled(approval.Outcome) {}

// approvalLog writes the steps of approvals to the audit log.
type approvalLog struct{ to agent.Recorder }

var _ approval.Recorder = approvalLog{}

// Record implements approval.Recorder.
func (l approvalLog) Record(ctx context.Context, e approval.Event) error {
	q := e.Request
	tool := ""
	if q.Tool != (abi.ToolRef{}) {
		tool = q.Tool.String()
	}
	_, err := l.to.Append(ctx, audit.Entry{
		Event: audit.Event(e.Name), Actor: string(e.Actor), Agent: q.Agent, Session: q.Session, Call: q.Call, Tool: tool, ToolDigest: q.Pin,
		Args: q.Args, Verdict: e.Verdict, Rule: string(q.Rule), Approval: string(e.ID), Outcome: e.Outcome, Detail: e.Detail, Durable: true,
	})
	return err
}

var (
	_ agent.Approver = (*approvals)(nil)
	_ agent.Claimer  = (*approvals)(nil)
	_ agent.Endorser = (*approvals)(nil)
)

// Approve implements agent.Approver: it waits for an answer, for ctx, or for the
// expiry; everything but a person's yes refuses.
func (a *approvals) Approve(ctx context.Context, ask agent.Ask) (policy.Approval, error) {
	ref, err := abi.ParseToolRef(ask.Tool)
	if err != nil {
		return policy.Approval{}, err
	}
	about := ""
	if a.about != nil {
		about = a.about(ctx, ask)
	}
	granted, err := a.store.Ask(ctx, approval.Request{
		Agent: ask.Agent, Session: ask.Session, Call: ask.Call, Requester: ask.Requester, Tool: ref, Pin: ask.Pin, Effect: ask.Effect,
		Rule: ask.Rule, Why: ask.Why, Context: ask.Context, Args: ask.Args, Roles: ask.Roles, About: about,
		Findings: ask.Judgement.Findings, Flows: ask.Judgement.Flows, Links: ask.Judgement.Links,
		Subject: ask.Subject, Binding: ask.Binding, Expires: ask.Expires,
	})
	if errors.Is(err, approval.ErrEndorsed) {
		err = agent.ErrAgain
	}
	return granted, err
}

// Endorsed implements agent.Endorser.
func (a *approvals) Endorsed(ctx context.Context, id abi.AgentID, session abi.SessionID) ([]gate.Endorsement, error) {
	live, err := a.store.Endorsed(ctx, id, session)
	if err != nil {
		return nil, err
	}
	list := make([]gate.Endorsement, 0, len(live))
	for _, e := range live {
		list = append(list, e.For())
	}
	return list, nil
}

// Spend implements agent.Endorser.
func (a *approvals) Spend(ctx context.Context, c policy.Call, pin abi.Digest, args map[string]any) error {
	live, err := a.store.Endorsed(ctx, c.Agent, c.Session)
	if err != nil {
		return err
	}
	return a.store.Use(ctx, approval.Relied(live, c.Tool, pin, args))
}

// Claim implements agent.Claimer.
func (a *approvals) Claim(ctx context.Context, p policy.Approval) error { return a.store.Claim(ctx, p) }

// Settle implements agent.Claimer.
func (a *approvals) Settle(ctx context.Context, id, outcome string) error {
	return a.store.Settle(ctx, approval.ID(id), outcome)
}

// Decide answers a pending call or question, for who holds the approval token.
func (a *approvals) Decide(ctx context.Context, id string, d admin.Decision) error {
	if err := a.answer(ctx, id, d); !errors.Is(err, errNoQuestion) {
		return err
	}
	by := approval.Approver{Principal: principalApprover, Surface: surfaceAPI}
	switch {
	case d.Answer != "" && d.Decision != admin.Deny:
		return admin.NewError(http.StatusBadRequest, "a call is approved or denied; it takes no answer", "approval/answer", "")
	case d.Decision == admin.Endorse:
		return approvalProblem(a.store.Endorse(ctx, by, approval.ID(id), approval.Value{Argument: d.Argument, Text: d.Value, Scope: approval.Scope(d.For)}))
	}
	return approvalProblem(a.store.Decide(ctx, by, approval.ID(id), d.Decision == admin.Approve))
}

// Revoke ends an endorsement.
func (a *approvals) Revoke(ctx context.Context, id string) error {
	return approvalProblem(a.store.Revoke(ctx, approval.Approver{Principal: principalApprover, Surface: surfaceAPI}, approval.ID(id)))
}

// approvalProblem tells a client what an error of the store means.
func approvalProblem(err error) error {
	var decided *approval.DecidedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &decided):
		return admin.NewError(http.StatusConflict, err.Error(), "approval/decided", "")
	case errors.Is(err, approval.ErrUnknown):
		return admin.NewError(http.StatusNotFound, "no such approval waits for an answer", "approval/unknown", "list what waits with \"glovebox approval list\"")
	case errors.Is(err, approval.ErrNotHeld):
		return admin.NewError(http.StatusConflict, err.Error(), "approval/endorsement", "list what holds with \"glovebox approval endorsements\"")
	case errors.Is(err, approval.ErrNotApprover):
		return admin.NewError(http.StatusForbidden, err.Error(), "approval/approver", "")
	case errors.Is(err, approval.ErrScope), errors.Is(err, approval.ErrNoValue), errors.Is(err, approval.ErrWhich):
		return admin.NewError(http.StatusBadRequest, err.Error(), "approval/endorse", "see the card with \"glovebox approval show ID\"")
	case errors.Is(err, approval.ErrClosed):
		return admin.NewError(http.StatusServiceUnavailable, err.Error(), "approval/closed", "")
	}
	return err
}

// List returns what waits, the oldest first, and after it the last asks that were
// decided, if past is not zero.
func (a *approvals) List(ctx context.Context, past int) ([]admin.Approval, error) {
	cards, err := a.store.Waiting(ctx)
	if err != nil {
		return nil, err
	}
	if past > 0 {
		history, err := a.store.History(ctx, past)
		if err != nil {
			return nil, err
		}
		for _, c := range history {
			if c.State != approval.Pending {
				cards = append(cards, c)
			}
		}
	}
	list := make([]admin.Approval, 0, len(cards))
	for _, c := range cards {
		list = append(list, viewOf(c))
	}
	return append(list, a.questions()...), nil
}

// Get returns one call or question.
func (a *approvals) Get(ctx context.Context, id string) (admin.Approval, error) {
	for _, q := range a.questions() {
		if q.ID == id {
			return q, nil
		}
	}
	c, err := a.store.Show(ctx, approval.ID(id))
	if err != nil {
		return admin.Approval{}, approvalProblem(err)
	}
	return viewOf(c), nil
}

// viewOf shows a card through the API.
func viewOf(c approval.Card) admin.Approval {
	v := admin.Approval{
		ID: string(c.ID), Kind: "call", Agent: string(c.Agent), Session: string(c.Session), Tool: c.Tool, Class: c.Class,
		Question: c.Why, Expires: c.Expires, Card: &c,
	}
	if len(c.Arguments) > 0 {
		v.Arguments = c.Arguments
	}
	return v
}

// rulesOf are the operator's rules as the door takes them.
func rulesOf(c config.Approvals) agent.Rules {
	rules := make(approval.Rules, 0, len(c.Rules))
	for _, r := range c.Rules {
		rules = append(rules, approval.Rule{Tool: string(r.Tool), Agent: abi.AgentID(r.Agent), Action: approval.Action(r.Action)})
	}
	return rules.Apply
}

// idleRules lists the rules that match no tool of the list: a typing error in one
// would leave a call less strict than was meant.
func idleRules(c config.Approvals, tools []abi.ToolRef) []string {
	var idle []string
	for i, r := range c.Rules {
		rule := approval.Rule{Tool: string(r.Tool)}
		matches := false
		for _, t := range tools {
			matches = matches || rule.Matches("", t)
		}
		if !matches {
			idle = append(idle, fmt.Sprintf("approvals.rules[%d] matches no installed tool: %s", i, r.Tool))
		}
	}
	return idle
}

// rawJSON makes hostile text fit for a JSON document.
func rawJSON(b []byte) json.RawMessage {
	if json.Valid(b) {
		return b
	}
	quoted, _ := json.Marshal(string(b))
	return quoted
}
