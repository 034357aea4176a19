package agent_test

import (
	"context"
	"errors"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/policy"
)

// meter admits until its errors say otherwise, and remembers how charges ended.
type meter struct {
	call, ask   error
	calls, asks []bool
}

func (m *meter) Call(context.Context, abi.AgentID) (agent.Charge, error) {
	return func(_ context.Context, happened bool) { m.calls = append(m.calls, happened) }, m.call
}

func (m *meter) Ask(context.Context, abi.AgentID) (agent.Charge, error) {
	return func(_ context.Context, happened bool) { m.asks = append(m.asks, happened) }, m.ask
}

// TestNothingRunsWithoutAReservation: a call whose cost is not admitted has no effect,
// and each reservation ends exactly once, spent or given back.
func TestNothingRunsWithoutAReservation(t *testing.T) {
	t.Parallel()
	spent := &agent.Refusal{Rule: "budget/calls", Why: "0 of 10 left", Fix: "raise it"}
	no := func(context.Context, agent.Ask) (policy.Approval, error) { return policy.Approval{}, nil }
	panics := func(context.Context, agent.Ask) (policy.Approval, error) { panic("boom") }
	tests := []struct {
		name        string
		tool        string
		meter       meter
		answer      approver
		noLog       bool
		rule        string
		effects     int32
		calls, asks int // reservations that ended
		happened    bool
	}{
		{"a call that fits", "notes.add", meter{}, yes, false, "gate/local", 1, 1, 0, true},
		{"a call beyond the budget", "notes.add", meter{call: spent}, yes, false, "budget/calls", 0, 0, 0, false},
		{"a meter that fails", "notes.add", meter{call: errors.New("disk full")}, yes, false, "door/meter", 0, 0, 0, false},
		{"an unknown tool costs nothing", "notes.none", meter{}, yes, false, "gate/unknown-tool", 0, 0, 0, false},
		{"an approved call", "notes.wipe", meter{}, yes, false, "gate/destructive", 1, 1, 1, true},
		{"a denied call costs the question", "notes.wipe", meter{}, no, false, "door/not-approved", 0, 1, 1, false},
		{"an approver that panics", "notes.wipe", meter{}, panics, false, "door/not-approved", 0, 1, 1, false},
		{"no question is left", "notes.wipe", meter{ask: &agent.Refusal{Rule: "budget/asks"}}, yes, false, "budget/asks", 0, 1, 0, false},
		{"the log cannot be written", "notes.add", meter{}, yes, true, "door/no-record", 0, 1, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			add, wipe := newTool("notes.add"), newTool("notes.wipe")
			k := newKit(t, func(c *agent.Config) { c.Meter, c.Approver = &tt.meter, tt.answer }, add.spec(abi.EffectLocal, `{}`), wipe.spec(abi.EffectIrreversible, `{}`))
			if tt.noLog {
				k.rec.fail = func(e audit.Entry) bool { return e.Event == audit.EventIntent }
			}
			r := k.call(tt.tool, `{}`)
			if r.Rule != tt.rule || add.effects.Load()+wipe.effects.Load() != tt.effects {
				t.Errorf("rule %s, %d effects; want %s, %d", r.Rule, add.effects.Load()+wipe.effects.Load(), tt.rule, tt.effects)
			}
			if len(tt.meter.calls) != tt.calls || len(tt.meter.asks) != tt.asks || tt.calls == 1 && tt.meter.calls[0] != tt.happened {
				t.Errorf("charges ended: calls %v, asks %v", tt.meter.calls, tt.meter.asks)
			}
			if tt.rule == "budget/calls" && (r.Why != spent.Why || r.Fix != spent.Fix || r.Outcome != agent.OutcomeDenied) {
				t.Errorf("%+v", r)
			}
		})
	}
}
