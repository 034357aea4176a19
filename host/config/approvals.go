package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// Bounds of Approvals.
const (
	minApproval = time.Second
	maxApproval = time.Hour
	maxRules    = 256
)

// Approvals says what a person is asked about beyond what the gate asks, and for how
// long. Nothing in it lets a call through.
type Approvals struct {
	Timeout abi.Duration   `yaml:"timeout"` // after which silence denies: 1s to 1h, default 5m
	Rules   []ApprovalRule `yaml:"rules"`   // the first that matches decides
}

// ApprovalRule makes the calls that it matches stricter.
type ApprovalRule struct {
	Tool   ToolPattern    `yaml:"tool"`   // SKILL.TOOL, SKILL.* or *
	Agent  AgentName      `yaml:"agent"`  // absent = every agent
	Action ApprovalAction `yaml:"action"` // ask or deny
}

// check refuses what no single value shows; agents are those of the configuration.
func (a Approvals) check(agents map[AgentName]bool) error {
	if t := time.Duration(a.Timeout); t < minApproval || t > maxApproval {
		return fmt.Errorf("approvals.timeout: %s is not between %s and %s", t, minApproval, maxApproval)
	}
	if len(a.Rules) > maxRules {
		return fmt.Errorf("approvals.rules: %d rules, more than %d", len(a.Rules), maxRules)
	}
	for i, r := range a.Rules {
		switch {
		case r.Tool == "":
			return fmt.Errorf("approvals.rules[%d]: tool is missing: want SKILL.TOOL, SKILL.* or *", i)
		case r.Action == "":
			return fmt.Errorf("approvals.rules[%d]: action is missing: want ask or deny", i)
		case r.Agent != "" && !agents[r.Agent]:
			return fmt.Errorf("approvals.rules[%d].agent: there is no agent %q", i, r.Agent)
		}
	}
	return nil
}

// ToolPattern is SKILL.TOOL, SKILL.* for every tool of a skill, or *.
type ToolPattern string

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *ToolPattern) UnmarshalText(b []byte) error {
	err := error(nil)
	if skill, ok := strings.CutSuffix(string(b), ".*"); ok {
		err = abi.SkillName(skill).Check()
	} else if string(b) != "*" {
		_, err = abi.ParseToolRef(string(b))
	}
	if err != nil {
		return fmt.Errorf("tool %q: want SKILL.TOOL, SKILL.* or *: %w", b, err)
	}
	*p = ToolPattern(b)
	return nil
}

// ApprovalAction is what a rule does. There is none that allows.
type ApprovalAction string

// The actions.
const (
	ApprovalAsk  ApprovalAction = "ask"
	ApprovalDeny ApprovalAction = "deny"
)

var errAllow = errors.New("a rule can only make a call stricter: want ask or deny; what may run unasked is decided by grants and the gate")

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *ApprovalAction) UnmarshalText(b []byte) error {
	switch v := ApprovalAction(b); v {
	case ApprovalAsk, ApprovalDeny:
		*a = v
		return nil
	}
	return fmt.Errorf("action %q: %w", b, errAllow)
}
