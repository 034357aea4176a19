package scripted

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/host/agent"
)

func user(text string) agent.Prompt {
	return agent.Prompt{Items: []agent.Item{{Role: agent.RoleUser, Text: text}}}
}

func TestPlaysInOrderAndIsStrict(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m, err := Parse([]byte(`[{"expect":"hello","calls":[{"tool":"notes.list","args":{"a":1}},{"tool":"x","raw":"/w=="}]},{"text":"bye"}]`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Next(ctx, user("something else")); !errors.Is(err, ErrUnmatched) || m.Rest() != 2 {
		t.Errorf("an unexpected message: %v", err)
	}
	turn, err := m.Next(ctx, user("say hello"))
	if err != nil || len(turn.Calls) != 2 || turn.Calls[0].Tool != "notes.list" || string(turn.Calls[1].Args) != "\xff" {
		t.Fatalf("%+v, %v", turn, err)
	}
	if turn, err = m.Next(ctx, user("")); err != nil || turn.Text != "bye" || m.Rest() != 0 || len(m.Prompts()) != 2 {
		t.Errorf("%+v, %v", turn, err)
	}
	if _, err := m.Next(ctx, user("")); !errors.Is(err, ErrExhausted) {
		t.Errorf("after the end: %v", err)
	}
}

func TestExpectSeesResultsAndDenials(t *testing.T) {
	t.Parallel()
	p := agent.Prompt{Items: []agent.Item{
		{Role: agent.RoleUser, Text: "old"}, {Role: agent.RoleModel},
		{Role: agent.RoleTool, Result: &agent.Result{Denied: "not granted"}},
		{Role: agent.RoleTool, Result: &agent.Result{Data: agent.Quote("t", "the page")}},
	}}
	for expect, ok := range map[string]bool{"not granted": true, "the page": true, "old": false} {
		_, err := New(Turn{Expect: expect, Text: "x"}).Next(context.Background(), p)
		if (err == nil) != ok {
			t.Errorf("%q: %v", expect, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"no array": `{}`, "unknown key": `[{"txt":"a"}]`, "empty turn": `[{}]`, "second value": `[] []`, "cut off": `[{"text":`,
		"too large": "[" + strings.Repeat(" ", maxScript) + "]",
	} {
		if _, err := Parse([]byte(script)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
