package policy

import (
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

// Each rule says why, within bounds, and what changes it.
func TestDecisionsSayWhy(t *testing.T) {
	t.Parallel()
	for rule, text := range book {
		if Why(rule) != text[0] || text[0] == "" || (Decision{judgement: gate.Judgement{Rule: rule}}).Why() != text[0] {
			t.Errorf("%s has no reason", rule)
		}
	}
	if fix := Fix(gate.RuleNotGranted, ref("notes", "x"), "home"); fix != "glovebox skill grant notes --agent home" {
		t.Error(fix)
	}
	d := Decision{judgement: gate.Judgement{Rule: gate.RuleProvenance}}
	for range 5 {
		d.judgement.Findings = append(d.judgement.Findings, gate.Finding{Argument: "a", Value: "v", Why: "w"})
	}
	d.judgement.Flows = []gate.Flow{{Source: abi.ToolRef{Skill: "a", Tool: "b"}, To: "email:x"}}
	d.judgement.Links = []string{"http://" + strings.Repeat("x", 1000)}
	if why := d.Why(); !strings.HasSuffix(why, "; a v: w; and 4 more") {
		t.Error(why)
	}
	d.judgement.Findings = nil
	if why := d.Why(); !strings.Contains(why, "what a.b returned would reach \"email:x\"; \"http://xxx") || len(why) > 500 {
		t.Error(why)
	}
	d = d.Stricter(gate.VerdictDeny, "rule/1", "because", "do this")
	if d.Why() == "because" {
		t.Error("a denial is made stricter")
	}
	asked := Decision{judgement: gate.Judgement{Verdict: gate.VerdictAsk}}.Stricter(gate.VerdictDeny, "rule/1", "because", "do this")
	if asked.Why() != "because" || asked.Fix() != "do this" {
		t.Errorf("%q, %q", asked.Why(), asked.Fix())
	}
}

// A binding and the classes of tools are shown; an effect is only raised.
func TestWhatPeopleSeeOfATool(t *testing.T) {
	t.Parallel()
	if s := (Binding{1, 0xab}).String(); !strings.HasPrefix(s, "01ab00") || len(s) != 64 {
		t.Error(s)
	}
	for from, e := range []abi.Effect{abi.EffectRead, abi.EffectLocal, abi.EffectEgress, abi.EffectIrreversible, abi.EffectUnknown} {
		for to, f := range []abi.Effect{abi.EffectRead, abi.EffectLocal, abi.EffectEgress, abi.EffectIrreversible, abi.EffectUnknown} {
			if (strictness(f) < strictness(e)) != (to < from) {
				t.Errorf("%v to %v", e, f)
			}
		}
	}
}
