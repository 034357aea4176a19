package agent_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/agent/scripted"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Only a part of the host mints: what a skill calls an identifier endorses nothing.
func TestOnlyTheHostMints(t *testing.T) {
	t.Parallel()
	for _, native := range []bool{true, false} {
		add, drop := newTool("store.add"), newTool("store.drop")
		add.do = func(context.Context, json.RawMessage) (agent.Outcome, error) {
			out := says("row 4711")
			out.Minted, out.Label = []string{"4711"}, label.Label{}
			return out, nil
		}
		spec := add.spec(abi.EffectLocal, textSchema)
		spec.Native = native
		k := newKit(t, nil, spec, drop.spec(abi.EffectIrreversible, `{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}`))
		m := scripted.New(
			scripted.Turn{Calls: []scripted.Call{{Tool: "store.add", Args: []byte(`{"text":"x"}`)}}},
			scripted.Turn{Calls: []scripted.Call{{Tool: "store.drop", Args: []byte(`{"id":4711}`)}}},
			scripted.Turn{Text: "done"},
		)
		a := newAgent(t, m, k, func(o *agent.Options) { o.Start.Confirm = gate.ConfirmByRules })
		reply, err := a.Handle(t.Context(), say("note it, then drop it"))
		if err != nil || len(reply.Calls) != 2 {
			t.Fatalf("%+v, %v", reply, err)
		}
		if ran := drop.effects.Load() == 1; ran != native {
			t.Errorf("native %v: %+v", native, reply.Calls[1])
		}
	}
}
