package gate

import (
	"encoding/json"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

// Whoever receives when a call names nobody is a recipient.
func TestDefaultRecipients(t *testing.T) {
	t.Parallel()
	d := abi.Descriptor{Effect: abi.EffectEgress, Recipients: []string{"/with"}}
	s := owner("share plan.txt").saw("files", private, "x")
	for declared, want := range map[string]Rule{"": RuleProvenance, "null": RuleLocal, "[]": RuleLocal, `"team"`: RuleReaders, `"emma@corp.example"`: RuleLocal} {
		d.Defaults = map[string]json.RawMessage{"with": json.RawMessage(declared)}
		if declared == "" {
			d.Defaults["with"] = nil
		}
		if j := Judge(tool("share"), "", d, map[string]any{"at": "plan.txt"}, s); j.Rule != want {
			t.Errorf("default %s: %v by %s, want %s", declared, j.Verdict, j.Rule, want)
		}
	}
}

// A control argument that is left out decides as much as one that is there, unless the
// tool says what it does without.
func TestAbsentControlNeedsADefault(t *testing.T) {
	t.Parallel()
	d := abi.Descriptor{Effect: abi.EffectEgress, Args: map[string]abi.Role{"text": abi.RoleContent}}
	s := owner("share plan.txt").saw("web.get", public, "x")
	for _, tt := range []struct {
		name     string
		args     map[string]any
		declared json.RawMessage
		want     Rule
	}{
		{"absent, nothing declared", map[string]any{}, nil, RuleProvenance},
		{"null, nothing declared", map[string]any{"with": nil}, nil, RuleProvenance},
		{"empty, nothing declared", map[string]any{"with": ""}, nil, RuleProvenance},
		{"a list of nothing, nothing declared", map[string]any{"with": list(nil, "")}, nil, RuleProvenance},
		{"absent, null declared", map[string]any{}, json.RawMessage(`null`), RuleEndorsed},
		{"empty, a list of nobody declared", map[string]any{"with": list()}, json.RawMessage(`[]`), RuleEndorsed},
		{"absent, a value declared", map[string]any{}, json.RawMessage(`"team"`), RuleEndorsed},
		{"empty, a value declared", map[string]any{"with": " "}, json.RawMessage(`"team"`), RuleProvenance},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := d
			d.Defaults = map[string]json.RawMessage{"with": tt.declared, "at": nil, "text": nil}
			args := map[string]any{"at": "plan.txt"}
			for k, v := range tt.args {
				args[k] = v
			}
			j := Judge(tool("share"), "", d, args, s)
			if j.Rule != tt.want || j.Rule == RuleProvenance && (len(j.Findings) != 1 || j.Findings[0].Argument != "with") {
				t.Errorf("%v by %s, want %s; %+v", j.Verdict, j.Rule, tt.want, j.Findings)
			}
			delete(args, "at")
			if j := Judge(tool("share"), "", d, args, s); j.Rule != RuleProvenance {
				t.Errorf("without the other: %+v", j)
			}
			if j := Judge(tool("share"), "", d, args, owner("share it")); j.Rule != RuleClean {
				t.Errorf("in a clean context: %+v", j)
			}
		})
	}
}
