package host

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

// The tests of this file are named after ways around approval that were found in other
// agents; those that end at a person are in host/approval.

const product = `{"expression":"6*7"}`

// Approvals were off by default, and no rule of the configuration had a reader: here a
// fresh configuration asks, and each key of approvals changes a verdict.
func TestBypass04FreshConfigurationAsksAndRulesAreRead(t *testing.T) {
	t.Parallel()
	verdict := func(t *testing.T, approvals, session string) admin.Call {
		t.Helper()
		f := newFixture(t, func(c *Config) { parse(t, c, approvals) })
		f.model.call("calc.evaluate", product)
		done := make(chan admin.ChatReply, 1)
		go func() {
			reply, _ := f.Chat(t.Context(), admin.ChatRequest{Message: "go", Session: session}, nil)
			done <- reply
		}()
		for {
			select {
			case reply := <-done:
				if len(reply.Calls) != 1 {
					t.Fatalf("%+v", reply)
				}
				return reply.Calls[0]
			case <-time.After(5 * time.Millisecond):
				list, err := f.Approvals(t.Context(), 0)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range list {
					if err := f.Decide(t.Context(), a.ID, admin.Decision{Decision: admin.Deny}); err != nil {
						t.Error(err)
					}
				}
			}
		}
	}
	for name, x := range map[string]struct {
		config string
		rule   string
	}{
		"no rule":                  {"", string(gate.RuleLocal)},
		"a rule that asks":         {"approvals: {rules: [{tool: calc.evaluate, action: ask}]}\n", agent.RuleNotApproved},
		"a rule that denies":       {"approvals: {rules: [{tool: calc.evaluate, action: deny}]}\n", "approvals/rules[0]"},
		"a rule for its skill":     {"approvals: {rules: [{tool: calc.*, action: deny}]}\n", "approvals/rules[0]"},
		"a rule for another tool":  {"approvals: {rules: [{tool: textstat.analyse, action: deny}]}\n", string(gate.RuleLocal)},
		"a rule for its agent":     {"approvals: {rules: [{tool: calc.evaluate, agent: main, action: deny}]}\n", "approvals/rules[0]"},
		"a rule for another agent": {"approvals: {rules: [{tool: calc.evaluate, agent: other, action: deny}]}\nagents: [{name: main, model: offline, skills: [\"*\"]}, {name: other, model: offline}]\n", string(gate.RuleLocal)},
		"the first rule decides":   {"approvals: {rules: [{tool: calc.evaluate, action: ask}, {tool: \"*\", action: deny}]}\n", agent.RuleNotApproved},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c := verdict(t, x.config, "s"); c.Rule != x.rule {
				t.Errorf("decided by %s, want %s: %+v", c.Rule, x.rule, c)
			}
		})
	}
	t.Run("a fresh configuration", func(t *testing.T) {
		t.Parallel()
		f := destructive(t)
		f.model.call("calc.evaluate", product)
		done := make(chan admin.ChatReply, 1)
		go func() {
			reply, _ := f.Chat(t.Context(), admin.ChatRequest{Message: "go", Session: "s"}, nil)
			done <- reply
		}()
		eventually(t, "a person is asked", func() bool {
			list, err := f.Approvals(t.Context(), 0)
			return err == nil && len(list) == 1 && f.Decide(t.Context(), list[0].ID, admin.Decision{Decision: admin.Deny}) == nil
		})
		if reply := <-done; reply.Calls[0].Outcome != agent.OutcomeDenied {
			t.Errorf("denied, and ran: %+v", reply)
		}
	})
	t.Run("approvals.timeout", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(c *Config) { parse(t, c, "approvals: {timeout: 1s}\n") })
		f.install("calc", func(c *abi.Compiled) { c.Manifest.Tools = nil })
		if c := f.ask("calc.evaluate", product); c.Outcome != agent.OutcomeDenied || c.Rule != agent.RuleNotApproved {
			t.Errorf("after a second of silence: %+v", c)
		}
		if f.events("approval.expired") != 1 {
			t.Error("the timeout is not on record")
		}
	})
	t.Run("a rule that matches nothing is a warning", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(c *Config) {
			parse(t, c, "approvals: {rules: [{tool: clac.evaluate, action: deny}, {tool: calc.evaluate, action: ask}]}\n")
		})
		if _, err := f.current(t.Context()); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(f.Warnings(), "\n")
		if !strings.Contains(text, "approvals.rules[0]") || strings.Contains(text, "approvals.rules[1]") {
			t.Errorf("warnings: %s", text)
		}
	})
}

// A handler that nobody asked ran all the same: the tool behind every skill takes an
// authorization that only the gate makes, for exactly its call.
func TestBypass05SkillNeedsAnAuthorization(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	w, err := f.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, s := range w.skills {
		for _, spec := range specs(s.Bundle) {
			count++
			impl := &skillTool{host: f.Host, bundle: s.Bundle, ref: spec.Ref}
			if _, err := impl.Invoke(t.Context(), policy.Authorized{}, []byte(product)); !errors.Is(err, policy.ErrNotAuthorized) {
				t.Errorf("%s ran with nothing: %v", spec.Ref, err)
			}
		}
	}
	if count == 0 {
		t.Error("no tool was tried")
	}
}

// An agent could edit the list of servers past the gate. The host's own tools are those
// of the agent's memory, so none changes its configuration, skills, grants or approvals.
func TestBypass07NoToolChangesTheHost(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	w, err := f.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range w.dispatcher.Tools("main") {
		skill, _, _ := strings.Cut(tool.Name, ".")
		installed := slices.Contains([]string{"memory.store", "memory.search", "memory.forget"}, tool.Name)
		for _, s := range w.skills {
			installed = installed || s.Bundle != nil && s.Bundle.Name() == abi.SkillName(skill)
		}
		if !installed {
			t.Errorf("the tool %s is of no installed skill", tool.Name)
		}
	}
	for _, own := range []string{"host.config", "approval.approve", "policy.allow", "glovebox.up", "agent.grant"} {
		if c := f.ask(own, `{}`); c.Rule != string(gate.RuleUnknownTool) {
			t.Errorf("%s: %+v", own, c)
		}
	}
}

// A yes outlives the daemon: the call that it was for runs once, after the restart.
func TestApprovalOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	f := destructive(t)
	f.model.call("calc.evaluate", product)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = f.Chat(t.Context(), admin.ChatRequest{Message: "go", Session: "s"}, nil)
	}()
	var id string
	eventually(t, "it waits", func() bool {
		list, err := f.Approvals(t.Context(), 0)
		if err != nil || len(list) != 1 {
			return false
		}
		id = list[0].ID
		return true
	})
	if err := f.approvals.store.Close(); err != nil { // as at the end of the daemon
		t.Fatal(err)
	}
	<-done
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f.open()
	if err := f.Decide(t.Context(), id, admin.Decision{Decision: admin.Approve}); err != nil {
		t.Fatal(err)
	}
	if c := f.ask("calc.evaluate", product); c.Outcome != agent.OutcomeOK {
		t.Errorf("the call that was approved: %+v", c)
	}
	card, err := f.Approval(t.Context(), id)
	if err != nil || card.Card == nil || card.Card.Outcome != "ok" {
		t.Errorf("%+v, %v", card, err)
	}
	f.verify()
}
