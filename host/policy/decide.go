package policy

import (
	"bytes"
	"fmt"

	"github.com/glovebox-dev/glovebox/abi"
)

// Decide judges one call. It is a pure function of the registry and c; the first
// rule that matches decides, and what no rule admits is denied.
func (r *Registry) Decide(c Call) Decision {
	deny := func(rule Rule, why, fix string) Decision {
		return Decision{rule: rule, why: why, fix: fix, call: c}
	}
	if c.Agent == "" || c.Session == "" || c.Requester == "" {
		return deny(RuleNoIdentity, "the call names no agent, session or requester", "report this: the host sets them")
	}
	var t registered
	var known, granted bool
	if r != nil {
		t, known = r.tools[c.Tool]
		granted = r.grants[grant{c.Agent, c.Tool}]
	}
	if !known {
		return deny(RuleUnknownTool, fmt.Sprintf("there is no tool %q", c.Tool), "glovebox skill list")
	}
	d := Decision{effect: t.Descriptor.Effect, call: c, pin: t.pin}
	d.call.Args = bytes.Clone(c.Args)
	switch {
	case c.Digest != t.Digest:
		d.rule, d.why = RuleDigest, fmt.Sprintf("skill %q changed since it was loaded", c.Tool.Skill)
		d.fix = "glovebox skill inspect " + string(c.Tool.Skill)
		return d
	case !granted:
		d.rule, d.why = RuleNotGranted, fmt.Sprintf("tool %q is not granted to agent %q", c.Tool, c.Agent)
		d.fix = "glovebox skill grant " + string(c.Tool.Skill) + " --agent " + string(c.Agent)
		return d
	case len(c.Args) < 2 || c.Args[0] != '{':
		d.rule, d.why = RuleArguments, "the arguments are not a JSON object"
		d.fix = "pass one JSON object"
		return d
	}
	d.subject = bind(domainSubject, c, t.pin, "")
	switch t.Descriptor.Effect {
	case abi.EffectRead:
		d.verdict, d.rule, d.why = VerdictAllow, RuleRead, "the tool only reads"
	case abi.EffectLocal:
		d.verdict, d.rule, d.why = VerdictAllow, RuleMutate, "the change stays in the agent's workspace"
	case abi.EffectEgress:
		d.verdict, d.rule, d.why = VerdictAllow, RuleMutate, "the tool sends data out, and is logged"
	case abi.EffectIrreversible:
		d.verdict, d.rule, d.why = VerdictAsk, RuleDestructive, "the tool does what cannot be undone, so a person must approve it"
	case abi.EffectUnknown:
		d.verdict, d.rule, d.why = VerdictAsk, RuleUndeclared, "the tool does not declare its effect, so a person must approve it"
	}
	if d.rule == "" { // an effect that this build does not know
		return deny(RuleNone, "the tool declares an effect that this build does not know", "update glovebox")
	}
	if d.verdict == VerdictAsk {
		d.fix = "approve exactly this call when asked"
	}
	return d
}
