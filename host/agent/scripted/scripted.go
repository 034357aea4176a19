// Package scripted is a model that says what a script tells it: for tests, replays
// and, since a script may hold any call with any bytes, for playing a model that an
// attacker steers.
package scripted

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/glovebox-dev/glovebox/host/agent"
)

// Errors of Next: a script that does not fit is never bent to fit.
var (
	ErrExhausted = errors.New("script has no more turns")
	ErrUnmatched = errors.New("script expects something else here")
)

// maxScript bounds a script's JSON in bytes.
const maxScript = 16 << 20

// Turn is one answer of the model.
type Turn struct {
	Expect string `json:"expect,omitempty"` // must occur in what the model was told last
	Text   string `json:"text,omitempty"`
	Calls  []Call `json:"calls,omitempty"`
}

// Call is one tool call. Raw, if set, is sent instead of Args: bytes that need not be
// JSON.
type Call struct {
	Tool string          `json:"tool"`
	Args json.RawMessage `json:"args,omitempty"`
	Raw  []byte          `json:"raw,omitempty"` // base64 in JSON

	Handle bool `json:"handle,omitempty"` // the host keeps the result
}

// Model plays a script once, from the first turn to the last.
type Model struct {
	mu      sync.Mutex // guards what follows
	turns   []Turn
	next    int
	prompts []agent.Prompt
}

var _ agent.Priced = (*Model)(nil)

// New returns a model that plays turns.
func New(turns ...Turn) *Model { return &Model{turns: turns} }

// Parse reads a script: a JSON array of turns. Unknown keys are errors.
func Parse(data []byte) (*Model, error) {
	if len(data) > maxScript {
		return nil, fmt.Errorf("script: %d bytes exceed %d", len(data), maxScript)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var turns []Turn
	if err := dec.Decode(&turns); err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("script: bytes after the array")
	}
	for i, t := range turns {
		if t.Text == "" && len(t.Calls) == 0 {
			return nil, fmt.Errorf("script: turn %d has neither text nor calls", i+1)
		}
	}
	return New(turns...), nil
}

// Name implements agent.Model.
func (m *Model) Name() string { return "scripted" }

// Worst implements agent.Priced: it costs nothing.
func (m *Model) Worst(agent.Prompt) agent.Usage { return agent.Usage{} }

// Next implements agent.Model.
func (m *Model) Next(_ context.Context, p agent.Prompt) (agent.Turn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.next == len(m.turns) {
		return agent.Turn{}, fmt.Errorf("%w: all %d are played", ErrExhausted, len(m.turns))
	}
	t := m.turns[m.next]
	if told := last(p.Items); !strings.Contains(told, t.Expect) {
		return agent.Turn{}, fmt.Errorf("%w: turn %d wants %q, was told %q", ErrUnmatched, m.next+1, t.Expect, told)
	}
	m.next++
	m.prompts = append(m.prompts, p)
	out := agent.Turn{Text: t.Text}
	for i, c := range t.Calls {
		args := c.Args
		if c.Raw != nil {
			args = c.Raw
		}
		out.Calls = append(out.Calls, agent.ToolCall{ID: fmt.Sprintf("%d.%d", m.next, i+1), Tool: c.Tool, Args: args, AsHandle: c.Handle})
	}
	return out, nil
}

// last renders what the model was told since it spoke.
func last(items []agent.Item) string {
	var parts []string
	for i := len(items) - 1; i >= 0 && items[i].Role != agent.RoleModel; i-- {
		it := items[i]
		parts = append(parts, it.Text)
		if r := it.Result; r != nil {
			parts = append(parts, r.Denied, r.Hint, r.Data.Untrusted(), strings.Join(r.Notes, "\n"))
		}
	}
	return strings.TrimSpace(strings.Join(parts, "\n"))
}

// Prompts returns what the model was shown so far, one prompt a turn.
func (m *Model) Prompts() []agent.Prompt {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]agent.Prompt(nil), m.prompts...)
}

// Rest returns the number of turns that were not played.
func (m *Model) Rest() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.turns) - m.next
}
