package abi

import (
	"fmt"
	"slices"
	"strings"
)

// RuleFlow is the rule of a request that would tell a server what it may not see.
const RuleFlow = "flow/readers"

// FlowRight lets what a call has read of From be sent to To.
type FlowRight struct {
	From string        `json:"from"`
	To   OriginPattern `json:"to"`
	Rule string        `json:"rule"`
}

// Private is something that a call has read and that is not for everybody.
type Private struct {
	From  string   // a mount, "kv", "human", or the origin that answered
	Hosts []string // host, or host:port where it is not the default: the servers that may see it
}

// Withheld returns the refusal of a request to o by a call that has read what the
// server of o may not see, nil if there is no such thing. It is asked before each hop.
func (r Rights) Withheld(skill SkillName, o Origin) *Problem {
	_, host, _ := strings.Cut(string(o), "://")
	for _, p := range r.Read {
		if slices.Contains(p.Hosts, host) || r.flows(p.From, o) {
			continue
		}
		return &Problem{
			Code: CodeDenied, Capability: "http", Rule: RuleFlow,
			Message: fmt.Sprintf("this call has read %s, which %s may not see; what reads it and what sends there belong into different skills, unless the flow is granted", sourceText(p.From), o),
			Hint:    fmt.Sprintf("glovebox skill grant %s --flow %s=%s", skill, p.From, o),
		}
	}
	return nil
}

func (r Rights) flows(from string, to Origin) bool {
	return slices.ContainsFunc(r.Flows, func(f FlowRight) bool {
		return (f.From == from || OriginPattern(f.From).Matches(Origin(from))) && f.To.Matches(to)
	})
}

// sourceText names a source to people.
func sourceText(from string) string {
	switch from {
	case "kv":
		return "its own storage (kv)"
	case "human":
		return "your answer to its question (human)"
	}
	return "content of " + from
}

// String returns one line for people.
func (f FlowNeed) String() string { return FlowGrant{f.From, f.To}.String() }

// String returns one line for people.
func (f FlowGrant) String() string { return "send " + sourceText(f.From) + " to " + string(f.To) }

// Check accepts what can be a source, and a destination.
func (f FlowNeed) Check() error {
	if err := (FlowGrant{f.From, f.To}).Check(); err != nil {
		return err
	}
	return checkWhy(f.Why)
}

// Check accepts what can be a source, and a destination.
func (f FlowGrant) Check() error {
	if _, err := ParseOriginPattern(f.From); err != nil && f.From != "kv" && f.From != "human" && !mountRE.MatchString(f.From) {
		return fieldErrorf("from", "%q; want a mount such as /data, kv, human or an origin", clip(f.From))
	}
	if f.To == "" {
		return fieldErrorf("to", "empty; want an origin of needs.http")
	}
	return nil
}

// checkFlows wants both ends of a flow to be among what the skill asks for.
func (m *Manifest) checkFlows() error {
	n := m.Needs
	origin := func(o string) bool {
		return slices.ContainsFunc(n.HTTP, func(h HTTPNeed) bool { return h.Origin != "" && string(h.Origin) == o })
	}
	for i, f := range n.Flows {
		at := fmt.Sprintf("needs.flows[%d]", i)
		known := origin(f.From) || f.From == "kv" && n.KV != nil || f.From == "human" && n.Human != nil ||
			slices.ContainsFunc(n.Files, func(x FileNeed) bool { return x.Mount == f.From })
		switch {
		case !known:
			return fieldErrorf(at+".from", "%q is nothing that needs asks to read", f.From)
		case !origin(string(f.To)):
			return fieldErrorf(at+".to", "%q is no origin of needs.http; where an argument chooses the origin, pass what is sent as an argument too", f.To)
		}
	}
	return nil
}

func (e *effective) flows(r *Rights) error {
	used := make([]bool, len(e.m.Needs.Flows))
	for i, grant := range e.g.Allow.Flows {
		at := fmt.Sprintf("allow.flows[%d]", i)
		matched := false
		var asked []string
		for j, need := range e.m.Needs.Flows {
			asked = append(asked, need.String())
			to, ok := need.To.meet(grant.To)
			if !ok || need.From != grant.From {
				continue
			}
			matched, used[j] = true, true
			right := FlowRight{need.From, to, e.g.pos.At(at)}
			r.Flows = append(r.Flows, right)
			e.allow(FlowGrant{right.From, right.To}.String(), right.Rule, e.m.pos.At(fmt.Sprintf("needs.flows[%d]", j)))
		}
		if !matched {
			return e.stale(at, grant.String(), asked)
		}
	}
	for j, need := range e.m.Needs.Flows {
		if !used[j] {
			e.refuse(need.String(), "not granted", "", e.m.pos.At(fmt.Sprintf("needs.flows[%d]", j)))
		}
	}
	return nil
}
