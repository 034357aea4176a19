package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// tool is a tool that counts its effects. What it does besides can be replaced.
type tool struct {
	ref     abi.ToolRef
	digest  abi.Digest
	effects atomic.Int32
	do      func(ctx context.Context, args json.RawMessage) (agent.Outcome, error)
	thief   bool // acts without redeeming
}

var _ agent.Tool = (*tool)(nil)

func (t *tool) Digest() abi.Digest { return t.digest }

func (t *tool) Invoke(ctx context.Context, auth policy.Authorized, args json.RawMessage) (agent.Outcome, error) {
	if !t.thief {
		if _, err := auth.Redeem(t.ref, t.digest, args); err != nil {
			return agent.Outcome{}, err
		}
	}
	t.effects.Add(1)
	if t.do != nil {
		return t.do(ctx, args)
	}
	return says(string(args)), nil
}

func says(text string) agent.Outcome {
	return agent.Outcome{Result: abi.CallResult{Content: []abi.Content{{Type: "text", Text: text}}}}
}

func newTool(name string) *tool {
	ref, err := abi.ParseToolRef(name)
	if err != nil {
		panic(err)
	}
	return &tool{ref: ref, digest: abi.DigestOf([]byte(name))}
}

// spec describes t; schema may be empty.
func (t *tool) spec(effect abi.Effect, schema string) agent.Spec {
	return agent.Spec{
		Ref: t.ref, Digest: t.digest, Impl: t, Descriptor: abi.Descriptor{Name: t.ref.Tool, Effect: effect},
		Tool: abi.Tool{Name: t.ref.Tool, Description: "does " + string(t.ref.Tool), InputSchema: json.RawMessage(schema)},
	}
}

// recorder keeps entries in memory and can be made to fail.
type recorder struct {
	mu      sync.Mutex
	entries []audit.Entry
	fail    func(audit.Entry) bool
}

func (r *recorder) Append(_ context.Context, e audit.Entry) (audit.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil && r.fail(e) {
		return audit.Record{}, errors.New("disk full")
	}
	r.entries = append(r.entries, e)
	return audit.Record{Seq: uint64(len(r.entries))}, nil
}

func (r *recorder) events() (list []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		list = append(list, fmt.Sprintf("%s %s %s", e.Event, e.Tool, e.Outcome))
	}
	return list
}

// approver answers with what its function says.
type approver func(ctx context.Context, ask agent.Ask) (policy.Approval, error)

func (f approver) Approve(ctx context.Context, ask agent.Ask) (policy.Approval, error) {
	return f(ctx, ask)
}

func yes(_ context.Context, ask agent.Ask) (policy.Approval, error) {
	return policy.Approval{ID: "a1", Binding: ask.Binding, By: "operator:cli", Granted: true, Expires: ask.Expires}, nil
}

const textSchema = `{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`

// kit is a dispatcher over some tools, all granted to agent home but those in hidden.
type kit struct {
	rec    *recorder
	d      *agent.Dispatcher
	config agent.Config
}

func newKit(t testing.TB, change func(*agent.Config), specs ...agent.Spec) *kit {
	t.Helper()
	k := &kit{rec: &recorder{}}
	k.config = agent.Config{Tools: specs, Recorder: k.rec, Grants: map[abi.AgentID][]abi.ToolRef{}, ApprovalTimeout: time.Minute}
	for _, s := range specs {
		k.config.Grants["home"] = append(k.config.Grants["home"], s.Ref)
	}
	if change != nil {
		change(&k.config)
	}
	var err error
	if k.d, err = agent.NewDispatcher(k.config); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *kit) call(name, args string) agent.CallReport {
	return k.d.Dispatch(context.Background(), request(name, args))
}

func request(name, args string) agent.Request {
	return agent.Request{Agent: "home", Session: "s", From: "owner:emma", State: gate.State{Context: label.Trusted()}, Call: agent.ToolCall{ID: "1", Tool: name, Args: json.RawMessage(args)}}
}

func newAgent(t testing.TB, m agent.Model, k *kit, change func(*agent.Options)) *agent.Agent {
	t.Helper()
	o := agent.Options{ID: "home", Model: m, Start: gate.State{Context: label.Trusted()}, Dispatcher: k.d, System: agent.NewSystem(agent.Literal("You are a test."))}
	if change != nil {
		change(&o)
	}
	a, err := agent.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func say(text string) agent.Inbound {
	return agent.Inbound{Session: "s", From: "owner:emma", Text: text, Label: label.Label{Integrity: label.Owner}}
}
