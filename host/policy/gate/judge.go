package gate

import (
	"fmt"
	"slices"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/atom"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Verdict is the outcome of a decision. The zero value denies.
type Verdict uint8

// The verdicts, strictest first.
const (
	VerdictDeny Verdict = iota
	VerdictAsk
	VerdictAllow
)

// String returns deny, ask or allow.
func (v Verdict) String() string {
	switch v {
	case VerdictAsk:
		return "ask"
	case VerdictAllow:
		return "allow"
	case VerdictDeny:
	}
	return "deny"
}

// MarshalText implements encoding.TextMarshaler.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// leaf is one value of an argument.
type leaf struct {
	arg   string // name of the top-level argument
	value any
	text  atom.Seq
}

// Judge applies rules 2 to 8 to a call whose tool, pin and grant are in order. pin is
// the version of the tool, args the decoded object of arguments. It is a pure
// function: the same call in the same state gets the same answer.
func Judge(ref abi.ToolRef, pin abi.Digest, d abi.Descriptor, args map[string]any, s State) Judgement {
	if d.Effect > abi.EffectIrreversible {
		return Judgement{Rule: RuleNone}
	}
	var room [8]leaf
	controls, err := leaves(room[:0], d, args, abi.RoleControl)
	if err != nil {
		return Judgement{Rule: RuleHidden, Findings: []Finding{{Argument: "arguments", Why: err.Error()}}}
	}
	j := s.rules(ref, pin, d, controls, args)
	switch {
	case j.Verdict != VerdictAllow:
	case d.Effect == abi.EffectUnknown:
		return Judgement{Verdict: VerdictAsk, Rule: RuleUndeclared}
	case d.Effect == abi.EffectIrreversible && s.Confirm == ConfirmDestructive:
		return Judgement{Verdict: VerdictAsk, Rule: RuleDestructive}
	}
	return j
}

func (s *State) rules(ref abi.ToolRef, pin abi.Digest, d abi.Descriptor, controls []leaf, args map[string]any) Judgement {
	irreversible := d.Effect == abi.EffectIrreversible || d.Effect == abi.EffectUnknown
	if d.Effect == abi.EffectRead && len(d.Recipients) == 0 || d.Effect == abi.EffectLocal {
		return Judgement{Verdict: VerdictAllow, Rule: RuleLocal}
	}
	to, self, err := s.receivers(d, args)
	switch {
	case err != nil:
		return Judgement{Rule: RuleHidden, Findings: []Finding{{Argument: "recipients", Why: err.Error()}}}
	case d.Effect == abi.EffectEgress && len(d.Recipients) > 0 && len(to) == 0 && len(unset(d, controls, args)) == 0:
		// It tells who receives, and nobody does but the owner, whose programs follow links.
		if self && s.Context.Integrity != label.Owner {
			return s.linked(d, args, RuleLocal)
		}
		return Judgement{Verdict: VerdictAllow, Rule: RuleLocal}
	case s.Context.Integrity == label.Owner && !irreversible:
		return Judgement{Verdict: VerdictAllow, Rule: RuleClean}
	}
	unendorsed := s.unendorsed(ref, pin, d, controls, args, irreversible)
	switch clean := s.Context.Integrity == label.Owner; {
	case clean && len(unendorsed) > 0:
		return Judgement{Verdict: VerdictAsk, Rule: RuleProvenance, Findings: unendorsed}
	case clean:
		return Judgement{Verdict: VerdictAllow, Rule: RuleClean}
	}
	flows := s.flows(d, controls, args, to) // whoever is asked sees them, whichever rule asks
	if s.Mandate != nil && !slices.Contains(s.Mandate.Tools, ref) {
		return Judgement{Verdict: VerdictAsk, Rule: RuleMandate, Flows: flows}
	}
	if len(unendorsed) > 0 {
		return Judgement{Verdict: VerdictAsk, Rule: RuleProvenance, Findings: unendorsed, Flows: flows}
	}
	if len(flows) > 0 {
		return Judgement{Verdict: VerdictAsk, Rule: RuleReaders, Flows: flows}
	}
	return s.linked(d, args, RuleEndorsed)
}

// linked asks about links that nobody trusted named, and otherwise admits by rule.
func (s *State) linked(d abi.Descriptor, args map[string]any, rule Rule) Judgement {
	if links := s.links(d, args); len(links) > 0 {
		return Judgement{Verdict: VerdictAsk, Rule: RuleLinks, Links: links}
	}
	return Judgement{Verdict: VerdictAllow, Rule: rule}
}

// leaves appends the values of all arguments with role, in a stable order.
func leaves(out []leaf, d abi.Descriptor, args map[string]any, role abi.Role) ([]leaf, error) {
	var room [8]string
	names := room[:0]
	for name := range args {
		if d.Role(name) == role {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var err error
	for _, name := range names {
		if out, err = appendLeaves(out, d, name, args[name]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// maxLeaves bounds the values of one call that decide: each is compared with each.
const maxLeaves = 256

var errLeaves = fmt.Errorf("more than %d values", maxLeaves)

func appendLeaves(out []leaf, d abi.Descriptor, arg string, v any) ([]leaf, error) {
	var err error
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if out, err = appendLeaves(out, d, arg, e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			before := len(out)
			if out, err = appendLeaves(out, d, arg, v[k]); err != nil {
				return nil, err
			}
			// A name that the schema does not fix, or that stands alone, is a value.
			if len(out) == before || !slices.Contains(d.Fields, k) {
				if out, err = appendLeaves(out, d, arg, k); err != nil {
					return nil, err
				}
			}
		}
		return out, nil
	}
	text, err := atom.Value(v)
	switch {
	case err != nil || len(text) == 0:
		return out, err
	case len(out) == maxLeaves:
		return nil, errLeaves
	}
	return append(out, leaf{arg, v, text}), nil
}
