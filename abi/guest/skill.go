package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Definition is one tool of a skill: make it with [Tool].
type Definition struct {
	name, title, description string
	input                    reflect.Type
	call                     func(Context, json.RawMessage) (Result, error)
}

// Tool defines a tool that run answers. The JSON Schema of the arguments is derived
// from In, a struct; see [Schema] for the tags. The description is what a model or
// a planner chooses by: say what the tool does and when to use it.
func Tool[In any](name, description string, run func(Context, In) (Result, error)) Definition {
	return Definition{
		name: name, description: description,
		input: reflect.TypeFor[In](),
		call: func(ctx Context, args json.RawMessage) (Result, error) {
			var in In
			if err := decodeArguments(args, &in); err != nil {
				return Result{}, err
			}
			return run(ctx, in)
		},
	}
}

// Titled returns d with a title for people.
func (d Definition) Titled(title string) Definition {
	d.title = title
	return d
}

// Skill is a set of tools, served over the hyper-mcp v2 exports.
type Skill struct{ tools []Definition }

// New returns a skill with these tools. It panics when two share a name: that is a
// mistake in the skill's source, found by its first test or build.
func New(tools ...Definition) *Skill {
	seen := make(map[string]bool, len(tools))
	for _, t := range tools {
		if seen[t.name] {
			panic("guest: two tools are named " + t.name)
		}
		seen[t.name] = true
	}
	return &Skill{tools: tools}
}

// ListTools serves the export list_tools.
func (s *Skill) ListTools() int32 { return s.serve(func([]byte) ([]byte, error) { return s.list() }) }

// CallTool serves the export call_tool.
func (s *Skill) CallTool() int32 {
	return s.serve(func(in []byte) ([]byte, error) { return s.callTool(Context{}, in) })
}

func (s *Skill) serve(answer func([]byte) ([]byte, error)) int32 {
	out, err := answer(readInput())
	if err != nil {
		writeError(err.Error())
		return 1
	}
	writeOutput(out)
	return 0
}

type toolEntry struct {
	Name        string          `json:"name"`
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"inputSchema"`
}

func (s *Skill) list() ([]byte, error) {
	entries := make([]toolEntry, 0, len(s.tools))
	for _, t := range s.tools {
		schema, err := schemaOf(t.input)
		if err != nil {
			return nil, fmt.Errorf("tool %s: %w", t.name, err)
		}
		entries = append(entries, toolEntry{t.name, t.title, t.description, schema})
	}
	return json.Marshal(map[string]any{"tools": entries})
}

func (s *Skill) callTool(ctx Context, in []byte) ([]byte, error) {
	var call struct {
		Request struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		} `json:"request"`
	}
	if err := json.Unmarshal(in, &call); err != nil {
		return nil, fmt.Errorf("decode the call: %w", err)
	}
	r, err := s.call(ctx, call.Request.Name, call.Request.Arguments)
	if err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// call runs one tool. An error of the tool is a result for the model; only an
// unknown tool fails the call itself.
func (s *Skill) call(ctx Context, name string, args json.RawMessage) (Result, error) {
	for _, t := range s.tools {
		if t.name != name {
			continue
		}
		r, err := t.call(ctx, args)
		if err != nil {
			return failed(err), nil
		}
		if r.Content == nil {
			r.Content = []Content{}
		}
		return r, nil
	}
	names := make([]string, len(s.tools))
	for i, t := range s.tools {
		names[i] = t.name
	}
	return Result{}, fmt.Errorf("no tool %q: this skill has %s", name, strings.Join(names, ", "))
}

// failed turns an error into a result. A problem of the host keeps its fields, so
// that programs need not read the text.
func failed(err error) Result {
	r := Error(err.Error())
	var p *Problem
	if errors.As(err, &p) {
		if b, e := json.Marshal(map[string]*Problem{"problem": p}); e == nil {
			r.Structured = b
		}
	}
	return r
}
