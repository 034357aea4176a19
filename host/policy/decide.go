package policy

import (
	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/canon"
)

// Decide judges one call in a session that has seen s. It is a pure function of the
// registry, c and s; the first rule that matches decides, and what no rule admits is
// denied.
func (r *Registry) Decide(c Call, s gate.State) Decision {
	d := Decision{call: c, args: string(c.Args), context: s.Context, carried: s.Context}
	d.call.Args = nil // the caller's bytes may change
	for _, h := range s.Carried {
		d.carried = d.carried.Join(h.Label)
	}
	var t registered
	var known, granted bool
	if r != nil {
		t, known = r.tools[c.Tool]
		granted = r.grants[grant{c.Agent, c.Tool}]
	}
	d.effect, d.pin = t.Descriptor.Effect, t.pin
	switch {
	case c.Agent == "" || c.Session == "" || c.Requester == "":
		d.judgement.Rule, d.effect, d.pin = gate.RuleNoIdentity, abi.EffectUnknown, ""
	case !known:
		d.judgement.Rule = gate.RuleUnknownTool
	case c.Digest != t.Digest:
		d.judgement.Rule = gate.RuleDigest
	case !granted:
		d.judgement.Rule = gate.RuleNotGranted
	default:
		v, err := canon.Parse(c.Args, canon.Limits{Bytes: len(c.Args)})
		args, object := v.Any().(map[string]any)
		if err != nil || !object {
			d.judgement.Rule = gate.RuleArguments
			break
		}
		d.judgement = gate.Judge(c.Tool, d.pin, t.Descriptor, args, s)
	}
	if d.judgement.Verdict != gate.VerdictDeny {
		d.subject = d.bind(domainSubject, "")
	}
	return d
}
