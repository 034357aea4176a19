package policy

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

// Complete returns a copy of the descriptor d, into which the caller keeps no way, with
// what the tool's inputSchema adds to it: whoever receives is named by control
// arguments, what an argument is that a call leaves out, and which names it fixes. A schema that cannot be
// read declares nothing.
func Complete(d abi.Descriptor, schema json.RawMessage) abi.Descriptor {
	d.Args, d.Recipients = maps.Clone(d.Args), slices.Clone(d.Recipients)
	for _, expr := range d.Recipients {
		if pointer, name := gate.Pointer(expr); pointer != "" && d.Role(name) != abi.RoleControl {
			d.Args[name] = abi.RoleControl
		}
	}
	var s struct {
		Properties map[string]struct {
			Default json.RawMessage `json:"default"`
		} `json:"properties"`
	}
	d.Defaults = map[string]json.RawMessage{}
	if json.Unmarshal(schema, &s) == nil {
		for name, p := range s.Properties {
			d.Defaults[name] = p.Default
		}
	}
	var all any
	_ = json.Unmarshal(schema, &all) // of what cannot be read, none
	d.Fields = slices.Sorted(maps.Keys(fieldsOf(all, map[string]bool{})))
	return d
}

// fieldsOf adds the names of the properties that a schema declares, at any depth.
func fieldsOf(schema any, found map[string]bool) map[string]bool {
	switch at := schema.(type) {
	case []any:
		for _, e := range at {
			fieldsOf(e, found)
		}
	case map[string]any:
		properties, _ := at["properties"].(map[string]any)
		for name := range properties {
			found[name] = true
		}
		for _, e := range at {
			fieldsOf(e, found)
		}
	}
	return found
}
