package offline

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/internal/canon"
)

// maxTools is how many tools are considered; the rest is not ranked.
const maxTools = 512

// toolset is the installed tools, indexed for one message.
type toolset struct {
	lex   lexicon
	tools []*tool
	idf   map[string]float64
	avg   float64
}

// tool is one tool with its terms and arguments.
type tool struct {
	info   agent.ToolInfo
	skill  []string        // words of the skill's name
	name   []string        // words of the tool's name
	topics map[string]bool // terms of the skill's name: what it is about
	acts   map[string]bool // terms of the tool's name: what it does
	weight map[string]float64
	length float64
	args   []*arg
	oneOf  [][]string // at least one of these sets of arguments is required
}

// arg is one top-level property of a tool's schema.
type arg struct {
	name     string
	desc     string
	types    []string
	format   string
	enum     []any
	examples []any
	required bool
	kind     kind
}

func newToolset(infos []agent.ToolInfo) *toolset {
	ts := &toolset{lex: english, idf: map[string]float64{}}
	for _, info := range infos[:min(len(infos), maxTools)] {
		ts.tools = append(ts.tools, ts.index(info))
	}
	seen := map[string]float64{}
	for _, t := range ts.tools {
		ts.avg += t.length / float64(len(ts.tools))
		for term := range t.weight {
			seen[term]++
		}
	}
	for term, n := range seen {
		ts.idf[term] = math.Log(1 + (float64(len(ts.tools))-n+0.5)/(n+0.5))
	}
	return ts
}

// index gives each term of a tool its weight: a word of a name says more than one of
// a description.
func (ts *toolset) index(info agent.ToolInfo) *tool {
	skill, name, _ := strings.Cut(info.Name, ".")
	t := &tool{info: info, skill: tokens(skill), name: tokens(splitCamel(name)), topics: map[string]bool{}, acts: map[string]bool{}, weight: map[string]float64{}}
	t.readSchema()
	fields := []struct {
		words  []string
		weight float64
		set    map[string]bool
	}{
		{t.skill, 4, t.topics}, {t.name, 4, t.acts}, {tokens(info.Title), 2, nil}, {tokens(info.Description), 1, nil}, {tokens(info.About), 0.5, nil},
	}
	for _, a := range t.args {
		fields = append(fields, struct {
			words  []string
			weight float64
			set    map[string]bool
		}{tokens(splitCamel(a.name)), 1, nil})
	}
	for _, f := range fields {
		for _, w := range f.words {
			if stopWords[w] && f.set == nil {
				continue
			}
			t.length++
			for _, term := range ts.lex.terms(w) {
				t.weight[term] = min(t.weight[term]+f.weight, 8)
				if f.set != nil {
					f.set[term] = true
				}
			}
		}
	}
	return t
}

// splitCamel separates the words of getForecast and get_forecast.
func splitCamel(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// readSchema lists the arguments: required ones first, in the schema's order, then
// the others by name. A schema that cannot be read has none.
func (t *tool) readSchema() {
	v, err := canon.Parse(t.info.Schema, canon.Limits{Bytes: agent.MaxSchemaBytes, Depth: agent.MaxSchemaDepth, Rounds: true})
	if err != nil {
		return
	}
	root, _ := v.Any().(map[string]any)
	props, _ := root["properties"].(map[string]any)
	required := texts(root["required"])
	for _, name := range slices.Sorted(maps.Keys(props)) {
		p, _ := props[name].(map[string]any)
		a := &arg{name: name, required: slices.Contains(required, name), types: texts(p["type"])}
		a.desc, _ = p["description"].(string)
		a.format, _ = p["format"].(string)
		a.enum, _ = p["enum"].([]any)
		a.examples, _ = p["examples"].([]any)
		t.args = append(t.args, a)
	}
	slices.SortStableFunc(t.args, func(x, y *arg) int { return order(required, x.name) - order(required, y.name) })
	for _, key := range []string{"anyOf", "oneOf"} {
		branches, _ := root[key].([]any)
		for _, b := range branches {
			branch, _ := b.(map[string]any)
			if set := texts(branch["required"]); len(set) > 0 {
				t.oneOf = append(t.oneOf, set)
			}
		}
	}
	for _, a := range t.args {
		a.kind = t.kindOf(a)
	}
}

func order(list []string, name string) int {
	if i := slices.Index(list, name); i >= 0 {
		return i
	}
	return len(list)
}

// texts returns a string or a list of strings as a list.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}

func (t *tool) arg(name string) *arg {
	for _, a := range t.args {
		if a.name == name {
			return a
		}
	}
	return nil
}

// is reports whether the argument may be of a JSON type; no type means any.
func (a *arg) is(typ string) bool { return len(a.types) == 0 || slices.Contains(a.types, typ) }

// text encodes s as the argument's value.
func (a *arg) text(s string) json.RawMessage {
	b, err := canon.Marshal(s)
	if err != nil { // a string always has JSON
		return nil
	}
	return b
}
