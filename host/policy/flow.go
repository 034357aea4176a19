package policy

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

// idRE finds the arguments that hold an opaque identifier, and the kind of object.
var idRE = regexp.MustCompile(`^(?:(\w+?)_?)?(?:id|Id|ID)$`)

// endorsed applies the four sources of endorsement to one control value.
func (s State) endorsed(ref abi.ToolRef, digest abi.Digest, d abi.Descriptor, l leaf, irreversible bool) bool {
	for _, e := range s.Endorsed {
		if e.Tool == ref && e.Digest == digest && e.Argument == l.arg && slices.Equal(e.Value, l.text) {
			return true
		}
	}
	if s.verbatim(d, l) || slices.ContainsFunc(s.Minted, func(t atom.Seq) bool { return slices.Equal(t, l.text) }) {
		return true
	}
	pools := [][]atom.Text{s.Owner, s.Before}
	if !irreversible {
		pools = append(pools, s.Vouched, s.Directory)
	}
	for _, pool := range pools {
		for _, text := range pool {
			if holds(text, l) {
				return true
			}
		}
	}
	return false
}

// holds compares by type; an identifier shorter than four characters collides with
// dates and counts, so it must stand with the name of its kind.
func holds(text atom.Text, l leaf) bool {
	if m := idRE.FindStringSubmatch(l.arg); m != nil && len(l.text) == 1 && len(l.text[0].Value) < 4 {
		return text.HoldsID(strings.ToLower(m[1]), l.text)
	}
	return text.Holds(l.text)
}

// receivers returns who would get bytes, without the owner.
func (s State) receivers(d abi.Descriptor, args map[string]any) ([]label.Principal, error) {
	var out []label.Principal
	for _, expr := range d.Recipients {
		pointer, ofHost := strings.CutPrefix(expr, "host(")
		if pointer = strings.TrimSuffix(pointer, ")"); !ofHost {
			pointer = expr
		}
		found, err := appendLeaves(nil, pointer, resolve(args, pointer))
		if err != nil {
			return nil, err
		}
		for _, l := range found {
			p := PrincipalOf(l.text)
			if ofHost {
				p = hostOf(l.text)
			}
			if p != "" && !slices.Contains(s.Self, p) && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

// hostOf names the host of a URL as a recipient.
func hostOf(t atom.Seq) label.Principal {
	if len(t) != 1 || t[0].Kind != atom.URL {
		return PrincipalOf(t)
	}
	_, rest, _ := strings.Cut(t[0].Value, "://")
	host, _, _ := strings.Cut(rest, "/")
	return label.Principal("host:" + host)
}

// verbatim reports whether l is a URL that occurs whole in one earlier result and
// would be fetched without a body: nothing of ours is in it.
func (s State) verbatim(d abi.Descriptor, l leaf) bool {
	return d.Effect == abi.EffectEgress && d.Method == "GET" && len(l.text) == 1 && l.text[0].Kind == atom.URL && slices.Contains(s.URLs, l.text[0].Value)
}

// PrincipalOf names a recipient by its typed value.
func PrincipalOf(t atom.Seq) label.Principal {
	parts := make([]string, len(t))
	for i, a := range t {
		parts[i] = a.Kind.String() + ":" + a.Value
	}
	return label.Principal(strings.Join(parts, " "))
}

// resolve follows a JSON Pointer (RFC 6901); what is not there is nil.
func resolve(v any, pointer string) any {
	for _, step := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[step]
	}
	return v
}

// flows returns the private bytes that would reach somebody who may not see them.
func (s State) flows(d abi.Descriptor, controls []leaf, to []label.Principal) []Flow {
	var out []Flow
	for _, p := range to {
		if s.Context.Readers.Contains(p) {
			continue
		}
		if slices.ContainsFunc(controls, func(l leaf) bool { return s.verbatim(d, l) && hostOf(l.text) == p }) {
			continue // the address carries nothing of ours
		}
		for _, src := range s.Sources {
			mandated := s.Mandate != nil && slices.Contains(s.Mandate.Tools, src)
			if f := (Flow{src, p}); !mandated && s.Readers != ReadersNamed && !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// links returns the addresses in outbound content that nobody trusted named: a chat
// client fetches a preview without a click.
func (s State) links(d abi.Descriptor, args map[string]any) []string {
	contents, err := leaves(d, args, abi.RoleContent)
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for _, l := range contents {
		for _, a := range l.text {
			if a.Kind != atom.URL && a.Kind != atom.Domain {
				continue
			}
			named := slices.ContainsFunc(slices.Concat(s.Owner, s.Before, s.Vouched), func(t atom.Text) bool { return t.Holds(atom.Seq{a}) })
			if !named && !slices.Contains(out, a.Value) {
				out = append(out, a.Value)
			}
		}
	}
	return out
}

// show renders a value for people, with every hidden character made visible.
func show(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%+q", s)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return string(b)
}
