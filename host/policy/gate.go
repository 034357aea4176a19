package policy

import (
	"slices"
	"sort"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/atom"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// The rules of the provenance gate, in the order in which they are tried after
// grant and pin were found in order.
const (
	RuleHidden     Rule = "gate/hidden"     // a control value cannot be read: denied
	RuleLocal      Rule = "gate/local"      // 2: a read without recipients, or a local change
	RuleClean      Rule = "gate/clean"      // 3: nothing tainted was seen
	RuleMandate    Rule = "gate/mandate"    // 4: not what the session was opened for
	RuleProvenance Rule = "gate/provenance" // 5: a control value that nobody trusted named
	RuleReaders    Rule = "gate/readers"    // 6: private bytes would reach who may not see them
	RuleLinks      Rule = "gate/links"      // 7: outbound text holds a link that nobody trusted named
	RuleEndorsed   Rule = "gate/endorsed"   // 8: every control value is endorsed
)

// Finding is a control value that nobody trusted named.
type Finding struct {
	Argument string `json:"argument"`
	Value    string `json:"value"`
	Why      string `json:"why"`
}

// Flow is private content that a call would carry to somebody.
type Flow struct {
	Source abi.ToolRef     `json:"source"`
	To     label.Principal `json:"to"`
}

// Judgement is the gate's answer for one call: a value that explains itself.
type Judgement struct {
	Verdict  Verdict   `json:"verdict"`
	Rule     Rule      `json:"rule"`
	Findings []Finding `json:"findings,omitempty"`
	Flows    []Flow    `json:"flows,omitempty"`
	Links    []string  `json:"links,omitempty"`
}

// leaf is one value of an argument.
type leaf struct {
	arg   string // name of the top-level argument
	value any
	text  atom.Seq
}

// Judge applies rules 2 to 8 to a call whose tool, pin and grant are in order. args
// is the decoded object of arguments. It is a pure function: the same call in the
// same state gets the same answer.
func Judge(ref abi.ToolRef, digest abi.Digest, d abi.Descriptor, args map[string]any, s State) Judgement {
	controls, err := leaves(d, args, abi.RoleControl)
	if err != nil {
		return Judgement{Rule: RuleHidden, Findings: []Finding{{Why: err.Error()}}}
	}
	recipients, err := s.receivers(d, args)
	if err != nil {
		return Judgement{Rule: RuleHidden, Findings: []Finding{{Why: err.Error()}}}
	}
	j := s.rules(ref, digest, d, controls, recipients, args)
	if d.Effect == abi.EffectUnknown && j.Verdict == VerdictAllow {
		j.Verdict, j.Rule = VerdictAsk, RuleUndeclared
	}
	if d.Effect == abi.EffectIrreversible && s.Confirm == ConfirmDestructive && j.Verdict == VerdictAllow {
		j.Verdict, j.Rule = VerdictAsk, RuleDestructive
	}
	return j
}

func (s State) rules(ref abi.ToolRef, digest abi.Digest, d abi.Descriptor, controls []leaf, to []label.Principal, args map[string]any) Judgement {
	irreversible := d.Effect == abi.EffectIrreversible || d.Effect == abi.EffectUnknown
	if d.Effect == abi.EffectRead && len(d.Recipients) == 0 || d.Effect == abi.EffectLocal {
		return Judgement{Verdict: VerdictAllow, Rule: RuleLocal}
	}
	if d.Effect == abi.EffectEgress && len(d.Recipients) > 0 && len(to) == 0 {
		return Judgement{Verdict: VerdictAllow, Rule: RuleLocal} // it tells who receives, and nobody does
	}
	unendorsed := s.unendorsed(ref, digest, d, controls, irreversible)
	if s.Context.Integrity == label.Owner {
		if irreversible && len(unendorsed) > 0 {
			return Judgement{Verdict: VerdictAsk, Rule: RuleProvenance, Findings: unendorsed}
		}
		return Judgement{Verdict: VerdictAllow, Rule: RuleClean}
	}
	if s.Mandate != nil && !slices.Contains(s.Mandate.Tools, ref) {
		return Judgement{Verdict: VerdictAsk, Rule: RuleMandate}
	}
	if len(unendorsed) > 0 {
		return Judgement{Verdict: VerdictAsk, Rule: RuleProvenance, Findings: unendorsed}
	}
	if flows := s.flows(d, controls, to); len(flows) > 0 {
		return Judgement{Verdict: VerdictAsk, Rule: RuleReaders, Flows: flows}
	}
	if links := s.links(d, args); len(links) > 0 {
		return Judgement{Verdict: VerdictAsk, Rule: RuleLinks, Links: links}
	}
	return Judgement{Verdict: VerdictAllow, Rule: RuleEndorsed}
}

// leaves returns the values of all arguments with role, in a stable order.
func leaves(d abi.Descriptor, args map[string]any, role abi.Role) ([]leaf, error) {
	names := make([]string, 0, len(args))
	for name := range args {
		if d.Role(name) == role {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var out []leaf
	for _, name := range names {
		var err error
		if out, err = appendLeaves(out, name, args[name]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func appendLeaves(out []leaf, arg string, v any) ([]leaf, error) {
	var err error
	switch v := v.(type) {
	case nil:
		return out, nil
	case []any:
		for _, e := range v {
			if out, err = appendLeaves(out, arg, e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			if out, err = appendLeaves(out, arg, v[k]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	text, err := atom.Value(v)
	if err != nil {
		return nil, err
	}
	return append(out, leaf{arg, v, text}), nil
}

// unendorsed returns the control values that neither the owner's words nor anything
// trusted holds.
func (s State) unendorsed(ref abi.ToolRef, digest abi.Digest, d abi.Descriptor, controls []leaf, irreversible bool) []Finding {
	var out []Finding
	for _, l := range controls {
		if len(l.text) == 0 || s.endorsed(ref, digest, d, l, irreversible) {
			continue
		}
		out = append(out, Finding{Argument: l.arg, Value: show(l.value), Why: s.origin(l)})
	}
	return out
}

// origin tells a person where a value came from that nobody trusted named.
func (s State) origin(l leaf) string {
	for _, h := range slices.Backward(s.Heard) {
		if h.Text.Holds(l.text) {
			return "it stands in the result of " + h.Tool.String() + " (" + h.Label.String() + "); neither your own words nor a trusted source name it"
		}
	}
	return "neither your own words nor a trusted source name it"
}
