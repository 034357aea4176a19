package install

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// Change is one difference between the version that is installed and another.
type Change struct {
	Text string `json:"text"`
	Risk Risk   `json:"risk"`
}

// Changes compares two versions of a skill, the riskiest difference first: what is
// asked for anew, tools whose effect was raised, arguments that are watched less,
// recipients that are no longer named, and what went away.
func Changes(old, next *abi.Compiled) []Change {
	var list []Change
	add := func(risk Risk, format string, args ...any) {
		list = append(list, Change{fmt.Sprintf(format, args...), risk})
	}
	changedAsks(add, &old.Manifest, &next.Manifest)
	changedTools(add, old, next)
	changedManifest(add, &old.Manifest, &next.Manifest)
	sort.SliceStable(list, func(i, j int) bool { return list[i].Risk < list[j].Risk })
	return list
}

type adder func(risk Risk, format string, args ...any)

func changedAsks(add adder, old, next *abi.Manifest) {
	before, after := Asks(old), Asks(next)
	for _, a := range after {
		i := slices.IndexFunc(before, func(b Ask) bool { return b.ID == a.ID })
		switch {
		case i < 0:
			add(a.Risk, "new: it asks to %s", a.Text)
		case before[i].Text != a.Text:
			add(min(a.Risk, before[i].Risk), "changed: it asks to %s; before, to %s", a.Text, before[i].Text)
		}
	}
	for _, b := range before {
		if !slices.ContainsFunc(after, func(a Ask) bool { return a.ID == b.ID }) {
			add(RiskLow, "gone: it no longer asks to %s", b.Text)
		}
	}
}

// changedManifest compares what is not asked about one by one.
func changedManifest(add adder, old, next *abi.Manifest) {
	if old.Strict && !next.Strict {
		add(RiskMedium, "a denied request no longer ends the call")
	}
	if old.ABI != next.ABI {
		add(RiskLow, "changed: it is built for %s, before for %s", next.ABI, old.ABI)
	}
	if old.Description != next.Description {
		add(RiskLow, "changed: it describes itself as %q", next.Description)
	}
	if !reflect.DeepEqual(old.Limits, next.Limits) {
		add(RiskMedium, "changed: it asks for other limits; what is above the default wants a line in the grant")
	}
	for _, c := range next.Needs.Config {
		i := slices.IndexFunc(old.Needs.Config, func(o abi.ConfigNeed) bool { return o.Key == c.Key })
		switch {
		case i < 0:
			add(RiskLow, "new: the setting %q%s", c.Key, unlessSet(c))
		case unlessSet(c) != unlessSet(old.Needs.Config[i]) || c.Required != old.Needs.Config[i].Required:
			add(RiskMedium, "changed: the setting %q%s", c.Key, unlessSet(c))
		}
	}
}

// unlessSet says what a setting is where the operator gives no value.
func unlessSet(c abi.ConfigNeed) string {
	switch {
	case c.Default != nil:
		return fmt.Sprintf(", which is %q unless you set it", *c.Default)
	case c.Required:
		return ", without which it does not run"
	}
	return ""
}

func changedTools(add adder, old, next *abi.Compiled) {
	for _, t := range next.Tools {
		i := slices.IndexFunc(old.Tools, func(o abi.Tool) bool { return o.Name == t.Name })
		now := descriptor(&next.Manifest, t.Name)
		if i < 0 {
			add(effectRisk(now.Effect), "new: the tool %s (%s)", t.Name, now.Effect.Class())
			continue
		}
		changedTool(add, t.Name, descriptor(&old.Manifest, t.Name), now)
		if old.Tools[i].Description != t.Description || old.Tools[i].Title != t.Title {
			add(RiskMedium, "changed: the tool %s describes itself in other words", t.Name)
		}
		if string(old.Tools[i].InputSchema) != string(t.InputSchema) {
			add(RiskMedium, "changed: the tool %s takes other arguments", t.Name)
		}
		if string(old.Tools[i].OutputSchema) != string(t.OutputSchema) {
			add(RiskLow, "changed: the tool %s answers in another form", t.Name)
		}
	}
	for _, o := range old.Tools {
		if !slices.ContainsFunc(next.Tools, func(t abi.Tool) bool { return t.Name == o.Name }) {
			add(RiskLow, "gone: the tool %s", o.Name)
		}
	}
}

func changedTool(add adder, name abi.ToolName, was, now abi.Descriptor) {
	if was.Effect != now.Effect {
		word := "lowered" // which makes the gate ask less
		if weight(now.Effect) > weight(was.Effect) {
			word = "raised"
		}
		add(RiskHigh, "%s: the effect of the tool %s, from %s to %s", word, name, was.Effect, now.Effect)
	}
	for _, arg := range slices.Sorted(keysOf(was.Args, now.Args)) {
		before, after := was.Args[arg], now.Args[arg]
		if before == after {
			continue
		}
		if watched(after) < watched(before) {
			add(RiskHigh, "lowered: argument %s of the tool %s is watched as %s, before as %s", arg, name, after, before)
		} else {
			add(RiskLow, "raised: argument %s of the tool %s is watched as %s, before as %s", arg, name, after, before)
		}
	}
	for _, r := range was.Recipients {
		if !slices.Contains(now.Recipients, r) {
			add(RiskHigh, "lowered: the tool %s no longer says that %s receives what it sends", name, r)
		}
	}
	for _, r := range now.Recipients {
		if !slices.Contains(was.Recipients, r) {
			add(RiskMedium, "new: the tool %s sends to %s", name, r)
		}
	}
}

func keysOf(a, b map[string]abi.Role) func(func(string) bool) {
	all := map[string]bool{}
	for _, m := range []map[string]abi.Role{a, b} {
		for k := range m {
			all[k] = true
		}
	}
	return func(yield func(string) bool) {
		for k := range all {
			if !yield(k) {
				return
			}
		}
	}
}

// weight orders effects by what they may do; an unknown one counts as the strictest.
func weight(e abi.Effect) int {
	if e == abi.EffectUnknown {
		return int(abi.EffectIrreversible)
	}
	return int(e)
}

// watched orders roles by how closely the gate looks; unknown counts as control.
func watched(r abi.Role) int {
	if r == abi.RoleUnknown {
		return int(abi.RoleControl)
	}
	return int(r)
}

func effectRisk(e abi.Effect) Risk {
	switch e {
	case abi.EffectRead:
		return RiskLow
	case abi.EffectLocal:
		return RiskMedium
	case abi.EffectUnknown, abi.EffectEgress, abi.EffectIrreversible:
	}
	return RiskHigh
}

// descriptor returns what the author says of a tool, the strictest for one of whom
// nothing is said.
func descriptor(m *abi.Manifest, tool abi.ToolName) abi.Descriptor {
	i := slices.IndexFunc(m.Tools, func(d abi.Descriptor) bool { return d.Name == tool })
	if i < 0 {
		return abi.Descriptor{Name: tool}
	}
	return m.Tools[i]
}

// Worst returns the highest risk of a list, RiskLow of an empty one.
func Worst(list []Change) Risk {
	worst := RiskLow
	for _, c := range list {
		worst = min(worst, c.Risk)
	}
	return worst
}

// String returns one line.
func (c Change) String() string { return strings.ToUpper(c.Risk.String()) + " " + c.Text }
