package host

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/atom"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// ownerLabel is that of what the owner says through the API, which takes nobody
// without the token: the owner's words, for the owner's eyes.
var ownerLabel = label.Label{Integrity: label.Owner}

// startOf is what the gate knows of an agent before anything was said.
func startOf(a config.Agent) gate.State {
	s := gate.State{Context: label.Trusted()}
	if a.Confirm == config.ConfirmRules {
		s.Confirm = gate.ConfirmByRules
	}
	if a.Readers == config.ReadersNamed {
		s.Readers = gate.ReadersNamed
	}
	for _, id := range a.Owner.Identities {
		s.Self, s.Owner = append(s.Self, gate.PrincipalOf(id.Value())), append(s.Owner, atom.Read(string(id)))
	}
	for _, known := range a.Directory {
		s.Directory = append(s.Directory, atom.Read(string(known)))
	}
	if a.Mandate != nil {
		s.Mandate = &gate.Mandate{}
		for _, t := range a.Mandate {
			s.Mandate.Tools = append(s.Mandate.Tools, abi.ToolRef(t))
		}
	}
	return s
}

// observed raises an author's descriptor of a tool to what the tool's schema and the
// skill's needs show, by rule and the same for each skill:
//
//   - whoever serves the URL in an argument that a need names receives what the call
//     sends; so does each origin that a need names by itself
//   - such a tool is no read and no local change, and its method is GET if all that
//     the skill asks for is to fetch, without a secret
//   - what is neither one of a list nor a small number is not inert: it is control
func observed(d abi.Descriptor, t abi.Tool, m *abi.Manifest) abi.Descriptor {
	d.Args, d.Recipients = maps.Clone(d.Args), slices.Clone(d.Recipients)
	schema, open := propertiesOf(t.InputSchema), openSchema(t.InputSchema)
	// A skill that reads files or keeps values has more to send than its arguments.
	get, sends := len(m.Needs.Files) == 0 && m.Needs.KV == nil, false
	for _, need := range m.Needs.HTTP {
		for _, method := range need.Methods {
			get = get && (method == "GET" || method == "HEAD")
		}
		get = get && need.Auth == ""
		_, takes := schema[need.Argument]
		switch takes = takes || open; {
		case need.Argument == "" && need.Origin != "":
			_, host, _ := strings.Cut(string(need.Origin), "://")
			d.Recipients, sends = with(d.Recipients, string(label.Host(host))), true
		case takes:
			pointer := "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(need.Argument)
			d.Recipients = slices.DeleteFunc(d.Recipients, func(r string) bool { return r == pointer })
			d.Recipients, sends = with(d.Recipients, "host("+pointer+")"), true
		}
	}
	if sends {
		if d.Effect == abi.EffectRead || d.Effect == abi.EffectLocal {
			d.Effect = abi.EffectEgress
		}
		d.Method = "" // the host's word alone
		if get {
			d.Method = "GET"
		}
	}
	for name, role := range d.Args {
		if p, ok := schema[name]; role == abi.RoleInert && (!ok || !p.small()) {
			d.Args[name] = abi.RoleControl
		}
	}
	return d
}

func with(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// property is the part of a JSON Schema that tells whether a value can be free text.
type property struct {
	Type  any               `json:"type"`
	Enum  []json.RawMessage `json:"enum"`
	Const json.RawMessage   `json:"const"`
	Min   *float64          `json:"minimum"`
	Max   *float64          `json:"maximum"`
}

// maxInert bounds the numbers that an inert argument can be: about as much as whoever
// chooses it can say with it.
const maxInert = 1000

// small reports whether the value is a truth value, one of a list or a small number.
func (p property) small() bool {
	switch p.Type {
	case "boolean":
		return true
	case "integer":
		if p.Min != nil && p.Max != nil && *p.Max-*p.Min <= maxInert {
			return true
		}
	}
	return len(p.Enum) > 0 || len(p.Const) > 0
}

// openSchema reports whether an inputSchema may admit arguments that its properties do
// not list.
func openSchema(schema json.RawMessage) bool {
	var root map[string]json.RawMessage
	if len(schema) == 0 {
		return false // the door admits none
	}
	if json.Unmarshal(schema, &root) != nil {
		return true
	}
	for key, v := range root {
		switch key {
		case "additionalProperties", "unevaluatedProperties":
			if string(v) != "false" {
				return true
			}
		case "$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "not", "patternProperties", "dependentSchemas", "dependencies":
			return true
		}
	}
	return false
}

// propertiesOf reads the properties of an inputSchema; of what does not fit, none.
func propertiesOf(schema json.RawMessage) map[string]property {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(schema, &s) != nil {
		return nil
	}
	out := make(map[string]property, len(s.Properties))
	for name, raw := range s.Properties {
		var p property
		if json.Unmarshal(raw, &p) != nil {
			p = property{}
		}
		out[name] = p
	}
	return out
}
