// Package offline is a model without a network and without learning: a planner that
// ranks the installed tools against a message, fills their arguments from its text by
// JSON Schema and quotes what they answer.
//
// It says plainly that it is no language model. It is deterministic, keeps no state,
// asks rather than guesses when an argument is missing, and lists what it can do when
// nothing fits. Like every model it decides nothing: descriptions that praise
// themselves can win its ranking, and the gate treats its calls like anybody's.
package offline

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/host/agent"
)

// Disclaimer is how the planner introduces itself.
const Disclaimer = "I am the offline planner, not a language model: I match your words to the installed tools."

// questionMark starts every question that the planner asks about an argument; a
// message that follows one is read as its answer.
const questionMark = "I need one more thing"

// maxCalls is how many calls one message can become: one for each URL in it.
const maxCalls = 4

// Model is the planner. The zero value is ready.
type Model struct {
	// Now tells the date for words such as "tomorrow"; nil means time.Now.
	Now func() time.Time
}

var _ agent.Priced = (*Model)(nil)

// Name implements agent.Model.
func (m *Model) Name() string { return "offline" }

// Worst implements agent.Priced: it costs nothing.
func (m *Model) Worst(agent.Prompt) agent.Usage { return agent.Usage{} }

// Next implements agent.Model. It answers at once and never fails.
func (m *Model) Next(_ context.Context, p agent.Prompt) (agent.Turn, error) {
	at := lastUser(p.Items)
	if at < 0 {
		return agent.Turn{Text: capabilities(p.Tools)}, nil
	}
	if results := resultsAfter(p.Items[at:]); len(results) > 0 {
		return agent.Turn{Text: compose(results) + m.footer(p.Items[:at])}, nil
	}
	now := time.Now
	if m.Now != nil {
		now = m.Now
	}
	toolset := newToolset(p.Tools)
	plan := toolset.plan(readMessage(p.Items[at].Text, now()))
	if earlier, asked := question(p.Items[:at]); asked && !plan.ready() {
		// The message may be the answer to what was asked about the one before.
		if joined := toolset.plan(readMessage(earlier+"\n"+p.Items[at].Text, now())); joined.ready() {
			plan = joined
		}
	}
	switch {
	case plan.tool == nil:
		return agent.Turn{Text: capabilities(p.Tools)}, nil
	case !plan.ready():
		return agent.Turn{Text: plan.question() + m.footer(p.Items[:at])}, nil
	}
	var calls []agent.ToolCall
	for i, args := range plan.arguments() {
		calls = append(calls, agent.ToolCall{ID: "call " + strconv.Itoa(i+1), Tool: plan.tool.info.Name, Args: args})
	}
	return agent.Turn{Calls: calls}, nil
}

// footer introduces the planner once in a conversation.
func (m *Model) footer(before []agent.Item) string {
	for _, it := range before {
		if it.Role == agent.RoleModel {
			return ""
		}
	}
	return "\n\n(" + Disclaimer + ")"
}

func lastUser(items []agent.Item) int {
	for i := len(items) - 1; i >= 0; i-- {
		if items[i].Role == agent.RoleUser {
			return i
		}
	}
	return -1
}

func resultsAfter(items []agent.Item) []*agent.Result {
	var found []*agent.Result
	for _, it := range items {
		if it.Result != nil {
			found = append(found, it.Result)
		}
	}
	return found
}

// question returns the person's message that the planner's last words asked about.
func question(before []agent.Item) (message string, asked bool) {
	n := len(before)
	if n == 0 || before[n-1].Role != agent.RoleModel || !strings.HasPrefix(before[n-1].Text, questionMark) {
		return "", false
	}
	at := lastUser(before)
	if at < 0 {
		return "", false
	}
	return before[at].Text, true
}
