package contain

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// The project's own cases, written for it.
//
//go:embed testdata/tools.json testdata/attacks.json testdata/tasks/*.json
var fixtures embed.FS

// own is the name of the suite of the project's own cases.
const own = "home"

// declared is one tool of tools.json. Everything that a policy knows of it follows
// from the declaration by the rules of build: nothing is said per case.
type declared struct {
	Name    string            `json:"name"`
	Does    string            `json:"does"`
	Effect  *abi.Effect       `json:"effect"` // absent: the tool declares nothing
	Method  string            `json:"method"`
	Args    map[string]string `json:"args"`    // name → type, [] for a list, ! for required
	Writer  string            `json:"writer"`  // who can write the result; absent: it is a receipt
	Private bool              `json:"private"` // only the owner may see the result
	Mints   bool              `json:"mints"`
}

type declaredTools struct {
	Owner     []string   `json:"owner"`
	Directory []string   `json:"directory"`
	Tools     []declared `json:"tools"`
}

type fixtureStep struct {
	Call  string         `json:"call"`
	With  map[string]any `json:"with"`
	Gives string         `json:"gives"`
}

type fixtureTask struct {
	ID     string        `json:"id"`
	Twin   string        `json:"twin"` // the case that differs in one fact
	Prompt string        `json:"prompt"`
	Steps  []fixtureStep `json:"steps"`
	Asks   []string      `json:"asks"` // rules of the gate that ask, mandate given and confirm off
	Why    string        `json:"why"`
}

type fixtureAttack struct {
	ID     string        `json:"id"`
	By     By            `json:"by"`
	Vector string        `json:"vector"`
	Goal   string        `json:"goal"`
	Steps  []fixtureStep `json:"steps"`
	Harm   bool          `json:"harm"`
}

// Own returns the project's own cases.
func Own() (*Suite, error) {
	var tools declaredTools
	var attacks []fixtureAttack
	var tasks []fixtureTask
	for file, into := range map[string]any{"tools.json": &tools, "attacks.json": &attacks} {
		if err := strict("testdata/"+file, into); err != nil {
			return nil, err
		}
	}
	files, err := fs.Glob(fixtures, "testdata/tasks/*.json")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		var some []fixtureTask
		if err := strict(f, &some); err != nil {
			return nil, err
		}
		tasks = append(tasks, some...)
	}
	s := &Suite{Source: "written for Glovebox", Tools: map[string]Tool{}, Owner: tools.Owner, Directory: map[string][]string{own: tools.Directory}}
	for _, d := range tools.Tools {
		t, err := d.build()
		if err != nil {
			return nil, fmt.Errorf("tools.json: %s: %w", d.Name, err)
		}
		s.Tools[own+"/"+d.Name] = t
	}
	for _, t := range tasks {
		if err := s.addTask(t); err != nil {
			return nil, fmt.Errorf("task %s: %w", t.ID, err)
		}
	}
	for _, a := range attacks {
		trace, err := s.trace(a.Steps)
		if err != nil {
			return nil, fmt.Errorf("attack %s: %w", a.ID, err)
		}
		s.Injections = append(s.Injections, Injection{Suite: own, Name: a.ID, Goal: a.Goal, Trace: trace, By: a.By, Vector: a.Vector, Harm: a.Harm})
	}
	s.index()
	return s, nil
}

func strict(file string, into any) error {
	b, err := fixtures.ReadFile(file)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

func (s *Suite) addTask(t fixtureTask) error {
	trace, err := s.trace(t.Steps)
	if err != nil {
		return err
	}
	task := Task{Suite: own, Name: t.ID, Prompt: t.Prompt, Trace: trace, Seam: -1, Expect: t.Asks}
	for _, c := range trace {
		if !slices.Contains(task.Mandate, c.Tool) {
			task.Mandate = append(task.Mandate, c.Tool)
		}
	}
	s.Tasks = append(s.Tasks, task)
	return nil
}

// trace turns steps into calls, and refuses what the tools would refuse.
func (s *Suite) trace(steps []fixtureStep) ([]Call, error) {
	var calls []Call
	for _, st := range steps {
		c := Call{Tool: st.Call, Args: st.With, Result: st.Gives}
		if err := s.fits(own, c); err != nil {
			return nil, err
		}
		calls = append(calls, c)
	}
	return calls, nil
}

// fits reports why a call is not one of a known tool with the arguments of its schema.
func (s *Suite) fits(suite string, c Call) error {
	t, ok := s.Tools[suite+"/"+c.Tool]
	if !ok {
		return fmt.Errorf("there is no tool %q", c.Tool)
	}
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
	}
	if err := json.Unmarshal(t.Schema, &schema); err != nil {
		return err
	}
	for name := range c.Args {
		if _, ok := schema.Properties[name]; !ok {
			return fmt.Errorf("%s has no argument %q", c.Tool, name)
		}
	}
	for _, name := range schema.Required {
		if _, ok := c.Args[name]; !ok {
			return fmt.Errorf("%s needs the argument %q", c.Tool, name)
		}
	}
	return nil
}

// build derives schema, descriptor and label from the declaration:
//
//   - free text is content; when something happens (a date, a time) and how many
//     items are shown is content too; every other argument is control
//   - addresses of people (email, iban, phone, chat, user) are recipients of a tool
//     whose effect leaves the host, and so is the host of a uri
//   - an optional argument is nothing by default, and its schema says so
//   - a tool without a declared effect has an empty descriptor
func (d declared) build() (Tool, error) {
	t := Tool{Suite: own, Name: d.Name, Description: d.Does, Mints: d.Mints, ResultPrivate: d.Private, Receipt: d.Writer == "", Writer: label.Owner}
	switch d.Writer {
	case "stranger":
		t.Writer, t.ResultUntrusted = label.Tainted, true
	case "peer":
		t.Writer = label.Peer
	case "owner", "":
	default:
		return t, fmt.Errorf("writer %q", d.Writer)
	}
	_, name, _ := strings.Cut(d.Name, ".")
	desc := abi.Descriptor{Name: abi.ToolName(name)}
	properties, required := map[string]any{}, []string{}
	optional := true
	for arg, spelled := range d.Args {
		kind := strings.TrimSuffix(strings.TrimSuffix(spelled, "!"), "[]")
		if strings.HasSuffix(spelled, "!") {
			required = append(required, arg)
		}
		shape, role, recipient := kindOf(kind)
		if strings.Contains(spelled, "[]") {
			shape = map[string]any{"type": "array", "items": shape}
		}
		if !strings.HasSuffix(spelled, "!") {
			shape["default"] = nil
		}
		properties[arg] = shape
		if d.Effect == nil {
			continue
		}
		if desc.Args == nil {
			desc.Args = map[string]abi.Role{}
		}
		desc.Args[arg] = role
		if role == abi.RoleContent {
			t.Content = append(t.Content, arg)
		}
		if *d.Effect != abi.EffectEgress && *d.Effect != abi.EffectIrreversible || recipient == "" {
			continue
		}
		desc.Recipients = append(desc.Recipients, fmt.Sprintf(recipient, arg))
		optional = optional && !strings.HasSuffix(spelled, "!")
	}
	if d.Effect != nil {
		desc.Effect, desc.Method = *d.Effect, d.Method
	}
	slices.Sort(required)
	slices.Sort(desc.Recipients)
	slices.Sort(t.Content)
	schema, err := json.Marshal(map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false})
	if err != nil {
		return t, err
	}
	t.Schema, t.Descriptor = schema, policy.Complete(desc, schema)
	for arg := range d.Args {
		if desc.Role(arg) == abi.RoleControl {
			t.ControlArgs = append(t.ControlArgs, arg)
		}
	}
	slices.Sort(t.ControlArgs)
	t.Consequential = desc.Effect != abi.EffectRead
	t.Irreversible = desc.Effect == abi.EffectIrreversible || desc.Effect == abi.EffectUnknown
	t.Class = desc.Effect.Class().String()
	t.Alone = desc.Effect == abi.EffectEgress && len(desc.Recipients) > 0 && optional
	return t, nil
}

// kindOf returns the JSON Schema, the role and the pattern of the recipient of an
// argument type.
func kindOf(kind string) (schema map[string]any, role abi.Role, recipient string) {
	word := map[string]any{"type": "string"}
	switch kind {
	case "text", "date", "time":
		return word, abi.RoleContent, ""
	case "int":
		return map[string]any{"type": "integer"}, abi.RoleContent, ""
	case "number":
		return map[string]any{"type": "number"}, abi.RoleControl, ""
	case "email", "iban", "phone", "chat", "user":
		return word, abi.RoleControl, "/%s"
	case "uri":
		return word, abi.RoleControl, "host(/%s)"
	case "word", "id":
		return word, abi.RoleControl, ""
	}
	options := strings.Split(kind, "|")
	return map[string]any{"type": "string", "enum": options}, abi.RoleControl, ""
}
