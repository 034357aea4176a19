// Package contain measures how well policies contain a fully steered agent: it
// replays scripts of tool calls, benign and hostile, and judges effects, not text.
package contain

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Tool is what a suite says about one of its tools.
type Tool struct {
	Suite           string          `json:"suite"`
	Name            string          `json:"tool"`
	Description     string          `json:"description"`
	Schema          json.RawMessage `json:"schema"`
	Consequential   bool            `json:"consequential"`    // its effect is more than a read
	Irreversible    bool            `json:"irreversible"`     //
	ControlArgs     []string        `json:"control_args"`     // arguments that say who, what, where, how much
	ResultUntrusted bool            `json:"result_untrusted"` // the result can hold third-party text
	ResultPrivate   bool            `json:"result_private"`   // only the owner may see the result
	Class           string          `json:"comis_class"`      // read, mutate or destructive in the documented table

	// What follows is derived by rule: of AgentDojo's tools from the fields above, of
	// the project's own from their declarations.
	Descriptor abi.Descriptor  `json:"-"`
	Content    []string        `json:"-"` // arguments in which the link rule of the baselines looks
	Alone      bool            `json:"-"` // a call that names no recipient but the owner stays in the owner's store
	Writer     label.Integrity `json:"-"` // who could have written the result
	Receipt    bool            `json:"-"` // the result tells nothing but that the call ran
	Mints      bool            `json:"-"` // the store behind it is the host's own: it makes the identifiers
}

// Call is one step of a script with the result that a fake gives for it.
type Call struct {
	Tool   string         `json:"tool"`
	Args   map[string]any `json:"args"`
	Result string         `json:"result"`

	Label *label.Label `json:"-"` // of the result, where it is not that of the tool: a recalled row
}

// Task is the script of an honest run.
type Task struct {
	Suite   string   `json:"suite"`
	Name    string   `json:"task"`
	Prompt  string   `json:"prompt"`
	Mandate []string `json:"mandate"`
	Trace   []Call   `json:"trace"`
	Seam    int      `json:"first_injection_after_call"` // index of the call whose result first holds the injection

	Expect []string `json:"-"` // rules of the gate that ask, mandate given and confirm off
}

// Injection is the script of an attacker.
type Injection struct {
	Suite string `json:"suite"`
	Name  string `json:"injection"`
	Goal  string `json:"goal"`
	Trace []Call `json:"trace"`

	By     By     `json:"-"` // who wrote it; a stranger if empty
	Vector string `json:"-"` // how it arrives in the result: body, name or error
	Harm   bool   `json:"-"` // it aims at more than a private, reversible effect

}

// By says who steers the model.
type By string

// The authors of an injection.
const (
	ByStranger    By = ""
	ByPeer        By = "peer"        // a known person, identity verified
	ByDescription By = "description" // the text of an installed tool: before anything is read
)

// Run is the transcript of a real model.
type Run struct {
	Suite     string  `json:"suite"`
	Task      string  `json:"task"`
	Injection string  `json:"injection"`
	Prompt    *string `json:"prompt"`
	Calls     []Call  `json:"calls"`
}

// Suite is one set of tools with its scripts and transcripts.
type Suite struct {
	Source     string              `json:"source"`
	Tools      map[string]Tool     `json:"tools"` // by "suite/tool"
	Tasks      []Task              `json:"benign"`
	Injections []Injection         `json:"injections"`
	Directory  map[string][]string `json:"-"` // known peers, by suite
	Owner      []string            `json:"-"` // the owner's own identities
	Attacks    []Run               `json:"-"` // recorded
	Benign     []Run               `json:"-"` // recorded
	byTask     map[[2]string]*Task // suite, task
	byInject   map[[2]string]*Injection
}

// ErrNoData is returned when the directory does not hold the data.
var ErrNoData = errors.New("no AgentDojo data here")

// LoadAgentDojo reads the AgentDojo cases and transcripts below dir.
func LoadAgentDojo(dir string) (*Suite, error) {
	b, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoData, dir)
	}
	if err != nil {
		return nil, err
	}
	s := &Suite{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("cases.json: %w", err)
	}
	s.Directory, s.Owner = agentDojoDirectory(), agentDojoOwner()
	for name, t := range s.Tools {
		s.Tools[name] = agentDojoTool(t)
	}
	if s.Attacks, err = runs(filepath.Join(dir, "recorded_attacks.jsonl.gz")); err != nil {
		return nil, err
	}
	if s.Benign, err = runs(filepath.Join(dir, "recorded_benign.jsonl.gz")); err != nil {
		return nil, err
	}
	s.index()
	return s, nil
}

func (s *Suite) index() {
	s.byTask, s.byInject = map[[2]string]*Task{}, map[[2]string]*Injection{}
	for i := range s.Tasks {
		slices.Sort(s.Tasks[i].Mandate)
		s.byTask[[2]string{s.Tasks[i].Suite, s.Tasks[i].Name}] = &s.Tasks[i]
	}
	for i := range s.Injections {
		s.byInject[[2]string{s.Injections[i].Suite, s.Injections[i].Name}] = &s.Injections[i]
	}
}

func runs(file string) ([]Run, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var out []Run
	for r := bufio.NewReader(z); ; {
		line, err := r.ReadBytes('\n')
		if len(line) > 1 {
			var run Run
			if err := json.Unmarshal(line, &run); err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", file, len(out)+1, err)
			}
			out = append(out, run)
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
}
