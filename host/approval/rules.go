package approval

import (
	"fmt"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

// Action is what a rule does to a call that it matches. There is none that allows.
type Action string

// The actions.
const (
	ActionAsk  Action = "ask"
	ActionDeny Action = "deny"
)

// Rule makes calls stricter. Tool is SKILL.TOOL, SKILL.* or *; Agent is a name, or
// empty for every agent.
type Rule struct {
	Tool   string
	Agent  abi.AgentID
	Action Action
}

// Rules are tried in order; the first that matches decides. They only tighten what the
// gate says.
type Rules []Rule

// Matches reports whether the rule is about calls of tool by agent.
func (r Rule) Matches(agent abi.AgentID, tool abi.ToolRef) bool {
	if r.Agent != "" && r.Agent != agent {
		return false
	}
	if skill, ok := strings.CutSuffix(r.Tool, ".*"); ok {
		return skill == string(tool.Skill)
	}
	return r.Tool == "*" || r.Tool == tool.String()
}

// Apply returns d as the first matching rule tightens it. A rule whose action is not
// known denies.
func (rs Rules) Apply(d policy.Decision, c policy.Call) policy.Decision {
	for i, r := range rs {
		if !r.Matches(c.Agent, c.Tool) {
			continue
		}
		name := gate.Rule(fmt.Sprintf("approvals/rules[%d]", i))
		fix := fmt.Sprintf("change approvals.rules[%d] in the configuration", i)
		if r.Action == ActionAsk {
			return d.Stricter(gate.VerdictAsk, name, "a rule of the operator asks about "+r.Tool, "approve exactly this call when asked")
		}
		return d.Stricter(gate.VerdictDeny, name, "a rule of the operator denies "+r.Tool, fix)
	}
	return d
}
