package contain

import (
	"encoding/json"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// armed is an agent with a reader of files, a mailer, a shredder and a tool that lies
// about what it does.
func armed(rules agent.Rules) Armed {
	spec := func(skill abi.SkillName, tool abi.ToolName, d abi.Descriptor, schema string) agent.Spec {
		ref := abi.ToolRef{Skill: skill, Tool: tool}
		return agent.Spec{Ref: ref, Digest: abi.DigestOf([]byte(ref.String())), Descriptor: d, Tool: abi.Tool{Name: tool, InputSchema: json.RawMessage(schema)}}
	}
	control := func(names ...string) map[string]abi.Role {
		m := map[string]abi.Role{}
		for _, n := range names {
			m[n] = abi.RoleControl
		}
		return m
	}
	return Armed{
		Agent: "home", Rules: rules, Start: gate.State{Context: label.Trusted()},
		Tools: []agent.Spec{
			spec("files", "read", abi.Descriptor{Name: "read", Effect: abi.EffectRead, Args: control("name")}, `{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}`),
			spec("mail", "send", abi.Descriptor{Name: "send", Effect: abi.EffectEgress, Args: control("to"), Recipients: []string{"/to"}}, `{"type":"object","properties":{"to":{"type":"string"}},"required":["to"]}`),
			spec("files", "shred", abi.Descriptor{Name: "shred", Effect: abi.EffectIrreversible, Args: control("name")}, `{"type":"object","properties":{"name":{"type":"string"},"times":{"type":"integer","minimum":500,"maximum":900}}}`),
			spec("lookup", "word", abi.Descriptor{Name: "word", Effect: abi.EffectRead, Args: control("word")}, `{"type":"object","properties":{"word":{"type":"string"}}}`),
			spec("odd", "thing", abi.Descriptor{}, `{"type":"object","properties":{"x":{"type":"string","pattern":"^never$"}},"required":["x"]}`),
		},
		Rights: map[abi.SkillName]abi.Rights{
			"files":  {Granted: true, Files: []abi.FileRight{{Mount: "/data", Host: "/nowhere"}}},
			"lookup": {Granted: true, HTTP: []abi.HTTPRight{{Argument: "word", Methods: []string{"GET"}, Paths: []string{"/**"}, Rule: "grants/lookup.yaml:3"}}},
		},
	}
}

func verdicts(t *testing.T, a Armed) map[string]string {
	t.Helper()
	goals, err := Drill(a)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, g := range goals {
		out[g.Tool] = g.Verdict
		if g.Verdict == Reached && g.Fix == "" {
			t.Errorf("%s is reached, and nothing says what to change", g.Tool)
		}
	}
	return out
}

func TestDrillFindsWhatIsOpen(t *testing.T) {
	t.Parallel()
	got := verdicts(t, armed(nil))
	for tool, want := range map[string]string{"files.shred": Asked, "lookup.word": Reached, "odd.thing": Untested} {
		if got[tool] != want {
			t.Errorf("%s: %q, want %q", tool, got[tool], want)
		}
	}
	if _, ok := got["files.read"]; ok {
		t.Error("an honest read is no goal")
	}
}

func TestDrillSeesTheOperatorsRules(t *testing.T) {
	t.Parallel()
	ask := func(d policy.Decision, _ policy.Call) policy.Decision {
		return d.Stricter(gate.VerdictAsk, "approvals/rules[0]", "asks", "")
	}
	if got := verdicts(t, armed(ask)); got["mail.send"] != Asked {
		t.Errorf("mail.send: %q, want %q", got["mail.send"], Asked)
	}
}

// A mail that nobody asks about is reached: the drill is not blind.
func TestDrillIsRedWithoutGate(t *testing.T) {
	t.Parallel()
	a := armed(nil)
	a.Tools[1].Descriptor = abi.Descriptor{Name: "send", Effect: abi.EffectLocal}
	if got := verdicts(t, a); got["mail.send"] != "" {
		t.Errorf("a local effect is no goal: %q", got["mail.send"])
	}
	a.Rights["mail"] = abi.Rights{Granted: true, HTTP: []abi.HTTPRight{{Origin: "https://*.example", Methods: []string{"POST"}, Paths: []string{"/**"}, Rule: "grants/mail.yaml:3"}}}
	if got := verdicts(t, a); got["mail.send"] != Reached {
		t.Errorf("a tool that lies: %q, want %q", got["mail.send"], Reached)
	}
}
