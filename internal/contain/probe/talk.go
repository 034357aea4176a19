package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/internal/contain"
	"github.com/glovebox-dev/glovebox/internal/guard"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

// talk is a conversation whose model and tool are the attacker's: both say what they
// are told, and remember what they were shown.
type talk struct {
	agent *agent.Agent
	count atomic.Uint64
}

// turn is what one message of the conversation does.
type turn struct {
	say    func(system string) string // the reply; nil = "done"
	pass   func(system string) string // the argument of a call before that; nil = no call
	result string                     // of the call

	system, prompt, args, seen string // what the model and the tool were shown
}

type turnKey struct{}

func turnOf(ctx context.Context) *turn {
	t, _ := ctx.Value(turnKey{}).(*turn)
	return t
}

type puppet struct{}

// Name implements agent.Model.
func (puppet) Name() string { return "puppet" }

// Next implements agent.Model.
func (puppet) Next(ctx context.Context, p agent.Prompt) (agent.Turn, error) {
	t := turnOf(ctx)
	t.system = p.System.String()
	last := p.Items[len(p.Items)-1]
	if last.Result != nil {
		t.seen = last.Result.Data.Untrusted()
	} else {
		t.prompt = last.Text
	}
	if last.Result == nil && t.pass != nil {
		args, err := json.Marshal(map[string]string{"text": t.pass(t.system)})
		return agent.Turn{Calls: []agent.ToolCall{{ID: "1", Tool: "pad.note", Args: args}}}, err
	}
	if t.say == nil {
		return agent.Turn{Text: "done"}, nil
	}
	return agent.Turn{Text: t.say(t.system)}, nil
}

type pad struct{ digest abi.Digest }

// Digest implements agent.Tool.
func (p pad) Digest() abi.Digest { return p.digest }

// Invoke implements agent.Tool.
func (p pad) Invoke(ctx context.Context, auth policy.Authorized, args json.RawMessage) (agent.Outcome, error) {
	if _, err := auth.Redeem(padRef(), p.digest, args); err != nil {
		return agent.Outcome{}, err
	}
	t := turnOf(ctx)
	var got struct{ Text string }
	if err := json.Unmarshal(args, &got); err != nil {
		return agent.Outcome{}, err
	}
	t.args = got.Text
	return agent.Outcome{Result: abi.CallResult{Content: []abi.Content{{Type: "text", Text: t.result}}}}, nil
}

func padRef() abi.ToolRef { return abi.ToolRef{Skill: "pad", Tool: "note"} }

func newTalk(source redact.Source) (*talk, error) {
	tool := pad{abi.DigestOf([]byte("pad"))}
	d, err := agent.NewDispatcher(agent.Config{
		Tools: []agent.Spec{{
			Ref: padRef(), Digest: tool.digest, Impl: tool, Descriptor: abi.Descriptor{Name: "note", Effect: abi.EffectLocal, Args: map[string]abi.Role{"text": abi.RoleContent}},
			Tool: abi.Tool{Name: "note", InputSchema: json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"}}}`)},
		}},
		Grants: map[abi.AgentID][]abi.ToolRef{"home": {padRef()}}, Recorder: nowhere{}, Guard: guard.New(source, nil),
	})
	if err != nil {
		return nil, err
	}
	a, err := agent.New(agent.Options{ID: "home", Model: puppet{}, Dispatcher: d, System: agent.NewSystem(agent.Literal("Be brief."))})
	return &talk{agent: a}, err
}

// handle plays one message in a conversation of its own.
func (t *talk) handle(ctx context.Context, u *turn, text string) (string, error) {
	ctx = context.WithValue(ctx, turnKey{}, u)
	reply, err := t.agent.Handle(ctx, agent.Inbound{Session: abi.SessionID(fmt.Sprintf("s%d", t.count.Add(1))), From: "owner", Text: text})
	return reply.Text, err
}

// sinks are the doors of a conversation.
func (t *talk) sinks() []sink {
	fixed := func(text string) func(string) string { return func(string) string { return text } }
	return []sink{
		{"prompt to the model", func(ctx context.Context, text string) (string, error) {
			u := &turn{}
			_, err := t.handle(ctx, u, "look at "+text)
			return u.prompt, err
		}},
		{"arguments of a tool", func(ctx context.Context, text string) (string, error) {
			u := &turn{pass: fixed(text)}
			_, err := t.handle(ctx, u, "go")
			return u.args, err
		}},
		{"result of a tool to the model", func(ctx context.Context, text string) (string, error) {
			u := &turn{pass: fixed("x"), result: "it says " + text}
			_, err := t.handle(ctx, u, "go")
			return u.seen, err
		}},
		{"reply", func(ctx context.Context, text string) (string, error) {
			return t.handle(ctx, &turn{say: fixed("here: " + text)}, "go")
		}},
	}
}

// canary lets the model pass on what only its system prompt holds.
func (t *talk) canary(ctx context.Context) (contain.Figure, error) {
	var seen []string
	last := func(system string) string { return system[strings.LastIndexByte(strings.TrimSpace(system), ' ')+1:] }
	for _, f := range forms() {
		if !f.claimed {
			continue
		}
		out := &turn{say: func(system string) string { return f.spell(last(system)) }}
		reply, err := t.handle(ctx, out, "go")
		if err != nil {
			return contain.Figure{}, err
		}
		if strings.Contains(reply, f.spell(last(out.system))) {
			seen = append(seen, f.name+" in a reply")
		}
		call := &turn{pass: func(system string) string { return f.spell(last(system)) }}
		if _, err := t.handle(ctx, call, "go"); err != nil {
			return contain.Figure{}, err
		}
		if call.args != "" {
			seen = append(seen, f.name+" in a call")
		}
	}
	return contain.Share("C canary of the conversation passes", len(seen), 2*claimedForms(), strings.Join(seen, ", ")), nil
}

func claimedForms() int {
	n := 0
	for _, f := range forms() {
		if f.claimed {
			n++
		}
	}
	return n
}
