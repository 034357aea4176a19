package config

import (
	"strings"
	"testing"
	"time"
)

func TestApprovalSettings(t *testing.T) {
	t.Parallel()
	const head = "schema: glovebox/config/v1\n"
	cfg, err := Parse("/x/glovebox.yaml", []byte(head))
	if err != nil || time.Duration(cfg.Approvals.Timeout) != 5*time.Minute || len(cfg.Approvals.Rules) != 0 {
		t.Errorf("defaults: %+v, %v", cfg.Approvals, err)
	}
	cfg, err = Parse("/x/glovebox.yaml", []byte(head+"approvals: {timeout: 90s, rules: [{tool: notes.delete, agent: main, action: ask}, {tool: \"mail.*\", action: deny}, {tool: \"*\", action: ask}]}\n"))
	if err != nil || time.Duration(cfg.Approvals.Timeout) != 90*time.Second || len(cfg.Approvals.Rules) != 3 || cfg.Approvals.Rules[1] != (ApprovalRule{Tool: "mail.*", Action: ApprovalDeny}) {
		t.Errorf("parsed: %+v, %v", cfg.Approvals, err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"a rule that allows":   {"rules: [{tool: notes.read, action: allow}]", "only make a call stricter"},
		"a mode":               {"mode: auto", "mode"},
		"an unknown key":       {"rules: [{tool: notes.read, action: ask, unless: owner}]", "unless"},
		"no tool":              {"rules: [{action: deny}]", "tool is missing"},
		"no action":            {"rules: [{tool: notes.read}]", "action is missing"},
		"a bare skill":         {"rules: [{tool: notes, action: deny}]", "SKILL.TOOL"},
		"a wildcard skill":     {"rules: [{tool: \"*.read\", action: deny}]", "SKILL.TOOL"},
		"an agent that is not": {"rules: [{tool: notes.read, agent: other, action: deny}]", "no agent"},
		"no time":              {"timeout: 0s", "timeout"},
		"too much time":        {"timeout: 61m", "timeout"},
		"too many rules":       {"rules: [" + strings.Repeat("{tool: a.b, action: ask},", maxRules+1) + "]", "more than"},
	} {
		if _, err := Parse("/x/glovebox.yaml", []byte(head+"approvals: {"+c.text+"}\n")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
