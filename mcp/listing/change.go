package listing

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/glovebox-dev/glovebox/abi"
)

// Kind says how a tool differs from what was approved.
type Kind string

// The kinds of changes.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Altered Kind = "changed"
)

// Change is the difference of one tool.
type Change struct {
	Tool   abi.ToolName `json:"tool"`
	Kind   Kind         `json:"kind"`
	Fields []Field      `json:"fields"` // that differ; of an added or removed tool all of them
}

// Field is one key of an entry before and after, as JSON; nil is absent.
type Field struct {
	Key    string          `json:"key"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// Changes lists what a person has to look at between two listings, by tool.
func Changes(before, after Listing) []Change {
	names := map[abi.ToolName]bool{}
	for _, e := range slices.Concat(before.Entries, after.Entries) {
		names[e.Name] = true
	}
	var all []Change
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := before.Find(name)
		is, has := after.Find(name)
		c := Change{Tool: name, Kind: Altered}
		switch {
		case was.Digest == is.Digest:
			continue
		case !had:
			c.Kind = Added
		case !has:
			c.Kind = Removed
		}
		c.Fields = fields(was, is)
		all = append(all, c)
	}
	return all
}

func fields(was, is Entry) []Field {
	before, after := keys(was), keys(is)
	names := map[string]bool{}
	for k := range before {
		names[k] = true
	}
	for k := range after {
		names[k] = true
	}
	var list []Field
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if string(before[k]) != string(after[k]) {
			list = append(list, Field{Key: k, Before: before[k], After: after[k]})
		}
	}
	return list
}

// keys splits an entry; it is canonical, so equal values have equal bytes.
func keys(e Entry) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(e.Canonical, &m) != nil {
		return nil
	}
	return m
}
