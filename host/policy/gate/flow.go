package gate

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/atom"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Flow is private content that a call would carry to somebody.
type Flow struct {
	Source abi.ToolRef     `json:"source"`
	To     label.Principal `json:"to"`
}

// String returns the flow in words.
func (f Flow) String() string {
	return fmt.Sprintf("what %s returned would reach %s", f.Source, show(string(f.To)))
}

// idRE finds the arguments that hold an opaque identifier, and the kind of object.
var idRE = regexp.MustCompile(`^(?:(\w+?)_?)?(?:id|Id|ID)$`)

// unendorsed returns the control values that neither the owner's words nor anything
// trusted holds.
func (s *State) unendorsed(ref abi.ToolRef, pin abi.Digest, d abi.Descriptor, controls []leaf, args map[string]any, irreversible bool) []Finding {
	out, offered := unset(d, controls, args), s.offered(d, controls, args)
	for i := range controls {
		l := &controls[i]
		why := "it can be read in more than one way; pass it as it was named" // the tool gets it as it is
		if l.text.Spells(l.value) {
			if offered || s.byPerson(ref, pin, l) || s.minted(ref, l) || s.trusted(l, irreversible) {
				continue
			}
			why = s.origin(l)
		}
		out = append(out, Finding{Argument: l.arg, Value: show(l.value), Why: why})
	}
	return out
}

// unset returns the control arguments that are absent or empty although the tool does
// not say what it does then: who gets it, or how much, would be anybody's guess.
func unset(d abi.Descriptor, controls []leaf, args map[string]any) []Finding {
	var out []Finding
	for name, def := range d.Defaults {
		if d.Role(name) != abi.RoleControl || slices.ContainsFunc(controls, func(l leaf) bool { return l.arg == name }) {
			continue
		}
		if def == nil || args[name] != nil && !slices.Contains([]string{"null", `""`, "[]", "{}"}, string(def)) {
			out = append(out, Finding{Argument: name, Value: show(args[name]), Why: "the tool declares no default for it"})
		}
	}
	slices.SortFunc(out, func(a, b Finding) int { return strings.Compare(a.Argument, b.Argument) })
	return out
}

// byPerson reports whether a person endorsed the value for this argument.
func (s *State) byPerson(ref abi.ToolRef, pin abi.Digest, l *leaf) bool {
	return slices.ContainsFunc(s.Endorsed, func(e Endorsement) bool {
		return e.Tool == ref && e.Digest == pin && e.Argument == l.arg && slices.Equal(e.Value, l.text)
	})
}

// minted reports whether a store made the value, and l names an object to that store.
func (s *State) minted(ref abi.ToolRef, l *leaf) bool {
	return idRE.MatchString(l.arg) && slices.ContainsFunc(s.Minted, func(m Minted) bool {
		return m.Skill == ref.Skill && slices.Equal(m.ID, l.text)
	})
}

// trusted reports whether the owner's words or a trusted result hold the value. For
// what cannot be undone only what was read before taint counts.
func (s *State) trusted(l *leaf, irreversible bool) bool {
	kind, short := "", false
	if len(l.text) == 1 && len(l.text[0].Value) < 4 {
		// An identifier so short collides with dates and counts, so it must stand with
		// the name of its kind.
		if m := idRE.FindStringSubmatch(l.arg); m != nil {
			kind, short = strings.ToLower(m[1]), true
		}
	}
	pools := [...][]atom.Text{s.Owner, s.Before, s.Vouched, s.Directory}
	for i, pool := range pools {
		if irreversible && i > 1 {
			break
		}
		for j := range pool {
			if short && pool[j].HoldsID(kind, l.text) || !short && pool[j].Holds(l.text) {
				return true
			}
		}
	}
	return false
}

// origin tells a person where a value came from that nobody trusted named.
func (s *State) origin(l *leaf) string {
	const nobody = "neither your own words nor a trusted source name it"
	for _, h := range slices.Backward(s.Heard) {
		if len(l.text) == 1 && slices.Contains(h.Values, l.text[0]) {
			return fmt.Sprintf("it stands in the result of %s (%s); %s", h.Tool, h.Label, nobody)
		}
	}
	return nobody
}

// receivers returns who would get bytes, and whether the owner does too: the values of the JSON
// Pointers among the descriptor's recipients, of a URL its host, and what is written
// there without a slash as it is.
func (s *State) receivers(d abi.Descriptor, args map[string]any) (out []label.Principal, self bool, err error) {
	add := func(p label.Principal) {
		switch {
		case slices.Contains(s.Self, p):
			self = true
		case p != "" && !slices.Contains(out, p):
			out = append(out, p)
		}
	}
	for _, expr := range d.Recipients {
		pointer, name := Pointer(expr)
		if pointer == "" {
			add(label.Principal(expr))
			continue
		}
		found, err := appendLeaves(nil, d, pointer, atom.Follow(args, pointer))
		if len(found) == 0 && err == nil {
			// It leads nowhere: whatever is in the argument may receive, or what the tool
			// takes in its place.
			value, def := args[name], d.Defaults[name]
			if value == nil && def != nil {
				_ = json.Unmarshal(def, &value) // part of a schema that was read
			}
			if _, known := d.Defaults[name]; !known && value == nil {
				add(unnamed)
			}
			found, err = appendLeaves(nil, d, pointer, value)
		}
		if err != nil {
			return nil, false, err
		}
		for _, l := range found {
			add(PrincipalOf(l.text))
		}
	}
	return out, self, nil
}

// Pointer returns the JSON Pointer (RFC 6901) that a recipient of a descriptor is, and
// the argument that it leads into; of a fixed recipient, nothing.
func Pointer(expr string) (pointer, argument string) {
	if inner, ofHost := strings.CutPrefix(expr, "host("); ofHost {
		expr = strings.TrimSuffix(inner, ")")
	}
	if !strings.HasPrefix(expr, "/") {
		return "", ""
	}
	return expr, atom.First(expr)
}

// PrincipalOf names a recipient by its typed value; of an address on the web it is
// the host.
func PrincipalOf(t atom.Seq) label.Principal {
	if len(t) == 1 && t[0].Kind == atom.URL {
		_, rest, _ := strings.Cut(t[0].Value, "://")
		host, _, _ := strings.Cut(rest, "/")
		return label.Host(host)
	}
	parts := make([]string, len(t))
	for i, a := range t {
		parts[i] = a.Kind.String() + ":" + a.Value
	}
	return label.Principal(strings.Join(parts, " "))
}

// unnamed receives where a descriptor points to no argument of its tool.
const unnamed label.Principal = "somebody whom the tool does not name"

// offered reports whether a call fetches addresses that each occur whole in one earlier
// result, and carries nothing of ours: no body, no other text, not a word of the owner's.
func (s *State) offered(d abi.Descriptor, controls []leaf, args map[string]any) bool {
	return Fetches(d, args) && !slices.ContainsFunc(controls, func(l leaf) bool {
		return len(l.text) != 1 || l.text[0].Kind != atom.URL || !slices.Contains(s.URLs, l.text[0].Value)
	})
}

// Fetches reports whether a call does no more than fetch what its control values
// name: what comes back repeats nothing else of ours.
func Fetches(d abi.Descriptor, args map[string]any) bool {
	if d.Effect != abi.EffectEgress || d.Method != "GET" {
		return false
	}
	for name := range args {
		if d.Role(name) == abi.RoleContent {
			return false
		}
	}
	return true
}

// flows returns the private bytes that would reach somebody who may not see them.
func (s *State) flows(d abi.Descriptor, controls []leaf, args map[string]any, to []label.Principal) []Flow {
	context, sources, offered := s.Context, s.Sources, s.offered(d, controls, args)
	for _, c := range s.Carried {
		context, sources = context.Join(c.Label), plus(sources, c)
	}
	var out []Flow
	for _, p := range to {
		if context.Readers.Contains(p) {
			continue
		}
		// A recipient that the descriptor fixes was named by nobody.
		is := func(l leaf) bool { return PrincipalOf(l.text) == p }
		named := slices.ContainsFunc(controls, func(l leaf) bool { return is(l) && s.named(l.text) })
		if named && s.Readers == ReadersNamed || offered && slices.ContainsFunc(controls, is) {
			continue
		}
		for _, src := range sources {
			if src.Label.Readers.Contains(p) {
				continue
			}
			mandated := named && s.Mandate != nil && slices.Contains(s.Mandate.Tools, src.Tool)
			if f := (Flow{src.Tool, p}); !mandated && !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// named reports whether the owner's own words name a recipient: by its value, or by
// what the owner's own records call it and nothing else. Known peers go by their given
// name, too.
func (s *State) named(value atom.Seq) bool {
	if slices.ContainsFunc(s.Owner, func(t atom.Text) bool { return t.Holds(value) }) {
		return true
	}
	if len(value) != 1 {
		return false
	}
	return s.called(s.Own, value[0], 0) || s.called(s.Directory, value[0], 1)
}

// called reports whether the owner mentions the value by a name of its records in
// pool, or by the first words of it.
func (s *State) called(pool []atom.Text, value atom.Atom, given int) bool {
	for _, t := range pool {
		for _, name := range t.NamesOf(value) {
			for _, n := range []atom.Seq{name, name[:given]} {
				if len(n) > 0 && mentions(s.Owner, n) && !s.disputed(n, value) {
					return true
				}
			}
		}
	}
	return false
}

func mentions(pool []atom.Text, name atom.Seq) bool {
	return slices.ContainsFunc(pool, func(t atom.Text) bool { return t.Mentions(name) })
}

// disputed reports whether something that is trusted at all calls another value by
// that name, or by a longer one.
func (s *State) disputed(name atom.Seq, value atom.Atom) bool {
	for _, pool := range [][]atom.Text{s.Directory, s.Vouched} {
		for _, t := range pool {
			for other, a := range t.Named(value.Kind) {
				if a != value && other.Contains(name) {
					return true
				}
			}
		}
	}
	return false
}

// links returns the addresses in outbound content that nobody trusted named: a chat
// client fetches a preview without a click.
func (s *State) links(d abi.Descriptor, args map[string]any) []string {
	var out []string
	visit := func(text string) {
		for _, a := range atom.Links(text) {
			if !s.trusted(&leaf{text: atom.Seq{a}}, false) {
				out = append(out, a.Value)
			}
		}
	}
	for name, v := range args {
		if d.Role(name) == abi.RoleContent {
			eachText(v, visit)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// eachText visits the texts in an argument, names of fields included.
func eachText(v any, visit func(string)) {
	switch v := v.(type) {
	case string:
		visit(v)
	case []any:
		for _, e := range v {
			eachText(e, visit)
		}
	case map[string]any:
		for k, e := range v {
			visit(k)
			eachText(e, visit)
		}
	}
}

// maxShown bounds the bytes of a value that people are shown.
const maxShown = 120

// show renders a value for people, with every hidden character made visible.
func show(v any) string {
	if s, ok := v.(string); ok {
		if len(s) > maxShown {
			return fmt.Sprintf("%+q… (%d bytes)", s[:maxShown], len(s))
		}
		return fmt.Sprintf("%+q", s)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return string(b)
}
