package contain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Loop is the daemon's own agent loop and dispatcher behind the interface of the
// simulated policies: a scripted model proposes the calls, fakes stand behind the
// tools, and the perfect human answers through the Approver of the door.
type Loop struct {
	gate   Gate
	start  *gate.State             // of every session; nil = what its case says
	spoken label.Label             // of the owner's words
	agents map[string]*agent.Agent // by suite
	count  atomic.Uint64           // of sessions
}

// owner speaks and operator approves: two principals, as in the daemon.
const (
	owner    policy.Principal = "owner:contain"
	operator policy.Principal = "operator:contain"
)

// agentID is the agent of every loop.
const agentID abi.AgentID = "home"

// most bounds the steps of one attack with all its variants.
const most = 1 << 20

// NewLoop returns the product's loop over the tools of s, one agent for each of its
// suites. What a session begins with is set as in g, and whether stores mint.
func NewLoop(g Gate, s *Suite, rules agent.Rules) (*Loop, error) {
	l := &Loop{gate: g, spoken: label.Trusted(), agents: map[string]*agent.Agent{}}
	for _, t := range s.Tools {
		if l.agents[t.Suite] != nil {
			continue
		}
		a, err := newAgent(s, t.Suite, rules, g.Mints)
		if err != nil {
			return nil, err
		}
		l.agents[t.Suite] = a
	}
	return l, nil
}

func newAgent(s *Suite, suite string, rules agent.Rules, mints bool) (*agent.Agent, error) {
	cfg := agent.Config{Grants: map[abi.AgentID][]abi.ToolRef{}, Rules: rules, Recorder: unrecorded{}, Approver: approver{}, MaxResult: 1 << 20}
	for _, key := range slices.Sorted(maps.Keys(s.Tools)) {
		t := s.Tools[key]
		if t.Suite != suite {
			continue
		}
		f := fake{ref: ref(t.Name), name: t.Name, digest: abi.DigestOf([]byte(key))}
		cfg.Tools = append(cfg.Tools, agent.Spec{
			Ref: f.ref, Digest: f.digest, Descriptor: named(t), Impl: f, Native: t.Mints && mints,
			Tool: abi.Tool{Name: f.ref.Tool, Description: t.Description, InputSchema: t.Schema},
		})
		cfg.Grants[agentID] = append(cfg.Grants[agentID], f.ref)
	}
	d, err := agent.NewDispatcher(cfg)
	if err != nil {
		return nil, err
	}
	return agent.New(agent.Options{
		ID: agentID, Model: steered{}, Dispatcher: d, Sessions: doors{}, MaxSteps: most, MaxCalls: most, MaxText: 1 << 20, MaxHistory: most, MaxContext: 1 << 30,
	})
}

// named is the descriptor under the name that the registry wants.
func named(t Tool) abi.Descriptor {
	d := t.Descriptor
	if d.Effect == abi.EffectUnknown {
		return abi.Descriptor{}
	}
	d.Name = ref(t.Name).Tool
	return d
}

// Name implements House.
func (l *Loop) Name() string { return l.gate.Label }

// loopDoor is one session of the loop, from outside.
type loopDoor struct {
	w     *World
	state gate.State // of the session, as the loop builds it
	steps chan agent.ToolCall
	idle  chan struct{} // the model has been told of the last call
	done  chan error    // the message has been handled

	// What follows is touched by the loop's goroutine between a step and idle, and by
	// Call outside of that.
	current Call
	asked   bool
	ran     bool
	rule    string
	denied  string // why, in the door's words
}

type doorKey struct{}

func doorOf(ctx context.Context) *loopDoor {
	d, _ := ctx.Value(doorKey{}).(*loopDoor)
	return d
}

// Open implements House: the owner's message begins the session.
func (l *Loop) Open(s Session, w *World) (Door, error) {
	start := l.gate.begin(s).start
	if l.start != nil {
		start = *l.start
	}
	d := &loopDoor{w: w, state: start, steps: make(chan agent.ToolCall), idle: make(chan struct{}), done: make(chan error, 1)}
	ctx := context.WithValue(context.Background(), doorKey{}, d)
	in := agent.Inbound{Session: abi.SessionID(fmt.Sprintf("s%d", l.count.Add(1))), From: owner, Text: s.Prompt, Label: l.spoken}
	go func() {
		_, err := l.agents[s.Name].Handle(ctx, in)
		d.done <- err
	}()
	select {
	case <-d.idle:
		return d, nil
	case err := <-d.done:
		return nil, errors.Join(errors.New("the loop ended before the first step"), err)
	}
}

// Call implements Door.
func (d *loopDoor) Call(c Call) Outcome {
	args, err := json.Marshal(c.Args)
	if err != nil {
		return Outcome{Rule: err.Error()}
	}
	name := c.Tool
	if _, ok := d.w.tool(c.Tool); ok {
		name = ref(c.Tool).String()
	}
	d.current, d.asked, d.ran, d.rule, d.denied = c, false, false, "", ""
	d.steps <- agent.ToolCall{ID: "1", Tool: name, Args: args}
	<-d.idle
	return Outcome{Ran: d.ran, Asked: d.asked, Rule: d.rule, Denied: d.denied}
}

// Context implements Door.
func (d *loopDoor) Context() label.Label { return d.state.Context }

// doors keeps the states of the sessions, and begins each with what its case says.
type doors struct{}

// Load implements agent.Sessions.
func (doors) Load(ctx context.Context, _ abi.SessionID, _ gate.State) (gate.State, error) {
	return doorOf(ctx).state, nil
}

// Heard implements agent.Sessions.
func (doors) Heard(ctx context.Context, _ abi.SessionID, l label.Label, words string) error {
	d := doorOf(ctx)
	d.state = d.state.Hear(l, words)
	return nil
}

// Read implements agent.Sessions.
func (doors) Read(ctx context.Context, _ abi.SessionID, src gate.Source) error {
	d := doorOf(ctx)
	d.state = d.state.Read(src)
	return nil
}

// Close implements Door: the model answers, and the loop ends.
func (d *loopDoor) Close() {
	close(d.steps)
	<-d.done
}

// steered is the model: it proposes whatever the attacker's script says next.
type steered struct{}

// Name implements agent.Model.
func (steered) Name() string { return "steered" }

// Next implements agent.Model.
func (steered) Next(ctx context.Context, p agent.Prompt) (agent.Turn, error) {
	d := doorOf(ctx)
	if last := p.Items[len(p.Items)-1].Result; last != nil && !last.Ran {
		d.denied = last.Denied
		if _, rule, ok := strings.Cut(last.Denied, "(rule "); ok && d.rule == "" {
			d.rule = strings.TrimSuffix(rule, ")")
		}
	}
	d.idle <- struct{}{}
	step, ok := <-d.steps
	if !ok {
		return agent.Turn{Text: "done"}, nil
	}
	return agent.Turn{Calls: []agent.ToolCall{step}}, nil
}

// fake is a tool that records what it would have done.
type fake struct {
	ref    abi.ToolRef
	name   string
	digest abi.Digest
}

// Digest implements agent.Tool.
func (f fake) Digest() abi.Digest { return f.digest }

// Invoke implements agent.Tool.
func (f fake) Invoke(ctx context.Context, auth policy.Authorized, args json.RawMessage) (agent.Outcome, error) {
	if _, err := auth.Redeem(f.ref, f.digest, args); err != nil {
		return agent.Outcome{}, err
	}
	d := doorOf(ctx)
	d.ran = true
	c := Call{Tool: f.name, Result: d.current.Result}
	if err := json.Unmarshal(args, &c.Args); err != nil {
		return agent.Outcome{}, err
	}
	t, _ := d.w.tool(f.name)
	l := resultLabel(t)
	if d.current.Label != nil {
		l = *d.current.Label
	}
	text := d.w.run(c, d.asked)
	return agent.Outcome{Label: l, Minted: t.minted(text), Result: abi.CallResult{Content: []abi.Content{{Type: "text", Text: text}}}}, nil
}

// approver is the perfect human behind the door's Approver.
type approver struct{}

// Approve implements agent.Approver.
func (approver) Approve(ctx context.Context, ask agent.Ask) (policy.Approval, error) {
	d := doorOf(ctx)
	d.asked, d.rule = true, string(ask.Rule)
	c := Call{Tool: d.current.Tool}
	if err := json.Unmarshal(ask.Args, &c.Args); err != nil {
		return policy.Approval{}, err
	}
	return policy.Approval{ID: "a", Binding: ask.Binding, By: operator, Granted: d.w.Grant(c), Expires: ask.Expires}, nil
}

// unrecorded is a Recorder that keeps nothing: the audit log is measured elsewhere.
type unrecorded struct{}

// Append implements agent.Recorder.
func (unrecorded) Append(context.Context, audit.Entry) (audit.Record, error) {
	return audit.Record{Seq: 1, Time: time.Now()}, nil
}

// Policy is the loop behind the interface of the replay, where every ask is granted.
func (l *Loop) Policy() Policy { return replayed{l} }

type replayed struct{ *Loop }

// Begin implements Policy.
func (r replayed) Begin(s Session) Judge {
	w := &World{suite: s.Suite, name: s.Name, task: &Task{}, grantAll: true}
	d, err := r.Open(s, w)
	if err != nil {
		return refusing{}
	}
	return replayedJudge{d}
}

type replayedJudge struct{ d Door }

// Ask implements Judge: the call is made, and what does not run counts as asked.
func (j replayedJudge) Ask(c Call) bool {
	c.Args = maps.Clone(c.Args)
	maps.DeleteFunc(c.Args, func(_ string, v any) bool { return v == nil }) // null means absent
	o := j.d.Call(c)
	return o.Asked || !o.Ran
}

// Observe implements Judge: the loop has seen the result.
func (replayedJudge) Observe(Call) {}

// End implements the end of a replay.
func (j replayedJudge) End() { j.d.Close() }

// refusing asks about everything: a loop that does not begin lets nothing run.
type refusing struct{}

// Ask implements Judge.
func (refusing) Ask(Call) bool { return true }

// Observe implements Judge.
func (refusing) Observe(Call) {}
