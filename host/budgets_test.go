package host

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/config"
)

func few[T ~int64](hour T) config.Budget[T] { return config.Budget[T]{Hour: &hour} }

// spending opens a daemon whose agent main has the budgets.
func spending(t *testing.T, b config.Budgets, more ...func(*Config)) *fixture {
	t.Helper()
	return newFixture(t, func(c *Config) {
		c.Settings.Agents[0].Budgets = b
		c.now = func() time.Time { return time.Date(2026, 3, 4, 12, 30, 0, 0, time.UTC) } // no hour ends meanwhile
		for _, change := range more {
			change(c)
		}
	})
}

// spent returns what main has spent of a resource in this hour.
func (f *fixture) spent(name, resource string) admin.BudgetLimit {
	f.t.Helper()
	list, err := f.Budgets(f.t.Context(), name)
	if err != nil || len(list) != 1 {
		f.t.Fatalf("budgets %+v, %v", list, err)
	}
	for _, l := range list[0].Limits {
		if l.Resource == resource && l.Window == "hour" {
			return l
		}
	}
	f.t.Fatalf("no budget of %s", resource)
	return admin.BudgetLimit{}
}

// tells checks that a refusal says which budget, how much is left, when it resets and
// which key raises it.
func tells(t *testing.T, resource, rule, why, fix string) {
	t.Helper()
	if rule != "budget/"+resource {
		t.Errorf("rule %q, want budget/%s (%s)", rule, resource, why)
	}
	for _, word := range []string{"budget of " + resource, " left in this hour", "resets at 2"} {
		if !strings.Contains(why, word) {
			t.Errorf("%q does not tell %q", why, word)
		}
	}
	if !strings.Contains(fix, "agents[0].budgets."+resource+".hour") {
		t.Errorf("the hint %q names no key", fix)
	}
}

// TestCallsBudgetStopsCalls spends the calls of an hour; a restart gives none back.
func TestCallsBudgetStopsCalls(t *testing.T) {
	t.Parallel()
	f := spending(t, config.Budgets{Calls: few[config.Count](2)})
	for range 2 {
		if c := f.ask("calc.evaluate", `{"expression":"1+1"}`); c.Outcome != agent.OutcomeOK {
			t.Fatalf("a call within the budget: %+v", c)
		}
	}
	refused := func() {
		t.Helper()
		c := f.ask("calc.evaluate", `{"expression":"1+1"}`)
		if c.Outcome != agent.OutcomeDenied || len(c.Denials) != 1 {
			t.Fatalf("a call beyond the budget: %+v", c)
		}
		tells(t, "calls", c.Rule, c.Denials[0].Message, c.Denials[0].Hint)
	}
	refused()
	last := f.model.prompts[len(f.model.prompts)-1]
	if r := last.Items[len(last.Items)-1].Result; r == nil || r.Ran || !strings.Contains(r.Denied, "budget/calls") || len(r.Denied) > 300 {
		t.Errorf("the model was told %+v", r)
	}
	if f.events("tool.denied", "budget/calls") != 1 {
		t.Error("the refusal is not on record")
	}
	if c := f.ask("calc.none", `{}`); c.Rule != "gate/unknown-tool" {
		t.Errorf("what is denied anyway costs nothing: %+v", c)
	}
	if w := strings.Join(f.Warnings(), "\n"); !strings.Contains(w, "agent main has used 2 of 2 calls") {
		t.Errorf("warnings: %s", w)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f.open()
	refused()
	if l := f.spent("main", "calls"); l.Spent != 2 || l.Left != 0 || l.Reserved != 0 || l.Max != 2 {
		t.Errorf("after the restart: %+v", l)
	}
	f.verify()
}

// TestReservationOfACrashIsSpent leaves a reservation open, as a killed daemon does.
func TestReservationOfACrashIsSpent(t *testing.T) {
	t.Parallel()
	f := spending(t, config.Budgets{Calls: few[config.Count](3)})
	if _, err := f.budgets.Call(t.Context(), "main"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f.open()
	if l := f.spent("main", "calls"); l.Spent != 1 || l.Reserved != 0 {
		t.Errorf("%+v", l)
	}
}

// TestBudgetHoldsInARace sends many messages at once through the real door.
func TestBudgetHoldsInARace(t *testing.T) {
	t.Parallel()
	const limit, messages = 10, 40
	f := spending(t, config.Budgets{Calls: few[config.Count](limit)})
	for range messages {
		f.model.call("calc.evaluate", `{"expression":"2+2"}`)
	}
	var mu sync.Mutex
	ran, denied := 0, 0
	var wg sync.WaitGroup
	for i := range messages {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			if i%10 == 0 {
				time.AfterFunc(time.Duration(i)*time.Millisecond, cancel)
			}
			defer cancel()
			reply, err := f.Chat(ctx, admin.ChatRequest{Message: "go", Session: fmt.Sprint("s", i)}, nil)
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, c := range reply.Calls {
				if c.Rule == "budget/calls" {
					denied++
				} else if c.Outcome == agent.OutcomeOK {
					ran++
				}
			}
		})
	}
	wg.Wait()
	l := f.spent("main", "calls")
	if ran > limit || l.Spent > limit || l.Reserved != 0 || int64(ran) > l.Spent || denied == 0 {
		t.Errorf("%d ran, %d denied, %+v", ran, denied, l)
	}
	f.verify()
}

// TestHelperSpendsWhatItsParentHas has a sub-agent use up its parent's calls.
func TestHelperSpendsWhatItsParentHas(t *testing.T) {
	t.Parallel()
	f := spending(t, config.Budgets{Calls: few[config.Count](1)}, func(c *Config) {
		c.Settings.Agents = append(c.Settings.Agents, config.Agent{Name: "helper", Model: config.ModelOffline, Skills: []config.SkillRef{"*"}, Parent: "main"})
	})
	f.grant("calc", "schema: glovebox/grant/v1\nskill: calc\nagents: [main, helper]\n")
	for _, who := range []string{"helper", "main", "helper"} {
		f.model.call("calc.evaluate", `{"expression":"1+1"}`)
		reply, err := f.Chat(t.Context(), admin.ChatRequest{Message: "go", Session: "s", Agent: who}, nil)
		if err != nil || len(reply.Calls) != 1 {
			t.Fatalf("%+v, %v", reply, err)
		}
		if c := reply.Calls[0]; f.spent("main", "calls").Spent == 1 && c.Outcome != agent.OutcomeOK {
			tells(t, "calls", c.Rule, c.Denials[0].Message, c.Denials[0].Hint)
			if !strings.Contains(c.Denials[0].Message, `agent "main"`) {
				t.Errorf("%s was not told whose budget is gone: %+v", who, c)
			}
		}
	}
	if main, helper := f.spent("main", "calls"), f.spent("helper", "calls"); main.Spent != 1 || helper.Spent != 1 {
		t.Errorf("main %+v, helper %+v", main, helper)
	}
}

// TestEgressBudgetStopsRequests counts what leaves; what does not fit is not sent.
func TestEgressBudgetStopsRequests(t *testing.T) {
	t.Parallel()
	f := spending(t, config.Budgets{Egress: few[abi.Size](600)})
	url, hits := page(t, "One two three.")
	if _, err := f.state.SetPrivateOrigin(abi.Origin(url), true, "textstat"); err != nil {
		t.Fatal(err)
	}
	sent, target := 0, url+"/"+strings.Repeat("secret", 4)
	for i := range 50 {
		c := f.said(fmt.Sprint("s", i), "read "+target, "textstat.fetch_and_analyse", fmt.Sprintf(`{"url":%q}`, target))
		if c.Outcome == agent.OutcomeOK {
			sent++
			continue
		}
		var d *admin.Denial
		for i := range c.Denials {
			if strings.HasPrefix(c.Denials[i].Rule, "budget/") {
				d = &c.Denials[i]
			}
		}
		if d == nil {
			t.Fatalf("refused for another reason: %+v", c)
		}
		tells(t, "egress", d.Rule, d.Message, d.Hint)
		break
	}
	l := f.spent("main", "egress")
	if sent == 0 || *hits != sent || l.Spent < int64(sent*(len(url)+25)) || l.Spent > 600 || l.Reserved != 0 {
		t.Errorf("%d answered, %d requests, %+v", sent, *hits, l)
	}
	if f.events("skill.denied", "budget/egress") != 1 {
		t.Error("the refusal is not on record")
	}
}

// TestAsksBudgetSparesThePerson denies at once when the questions of the hour are used
// up, those of skills included.
func TestAsksBudgetSparesThePerson(t *testing.T) {
	t.Parallel()
	f := spending(t, config.Budgets{Asks: few[config.Count](2)})
	f.install("calc", func(c *abi.Compiled) { c.Manifest.Tools = nil }) // undeclared: asks
	done := make(chan admin.Call, 1)
	go func() { done <- f.ask("calc.evaluate", `{"expression":"6*7"}`) }()
	eventually(t, "an approval waits", func() bool {
		list, err := f.approvals.List(t.Context(), 0)
		return err == nil && len(list) == 1 && f.Decide(t.Context(), list[0].ID, admin.Decision{Decision: admin.Deny}) == nil
	})
	if c := <-done; c.Rule != agent.RuleNotApproved {
		t.Errorf("%+v", c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := f.services("main").Ask.Ask(ctx, abi.Caller{Agent: "main", Session: "s", Skill: "calc", Tool: "evaluate"}, abi.AskRequest{Question: "which?"}); err != nil {
		t.Errorf("a question within the budget: %v", err)
	}
	c := f.ask("calc.evaluate", `{"expression":"6*8"}`)
	tells(t, "asks", c.Rule, c.Denials[0].Message, c.Denials[0].Hint)
	var p *abi.Problem
	ctx, cancel = context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := f.services("main").Ask.Ask(ctx, abi.Caller{Agent: "main", Session: "s", Skill: "calc", Tool: "evaluate"}, abi.AskRequest{Question: "which?"}); !errors.As(err, &p) || p.Code != abi.CodeQuota || p.Rule != "budget/asks" {
		t.Errorf("a skill's question beyond the budget: %v", err)
	}
	if l := f.spent("main", "asks"); l.Spent != 2 || l.Reserved != 0 {
		t.Errorf("%+v", l)
	}
	if l := f.spent("main", "calls"); l.Spent != 0 || l.Reserved != 0 {
		t.Errorf("calls that did not run were spent: %+v", l)
	}
}

// priced is a model of a provider that reports what it cost.
type priced struct {
	steered
	worst  agent.Usage
	actual *agent.Usage
	fail   error
	calls  int
}

func (p *priced) Worst(agent.Prompt) agent.Usage { return p.worst }

func (p *priced) Next(context.Context, agent.Prompt) (agent.Turn, error) {
	p.calls++
	return agent.Turn{Text: "hi", Usage: p.actual}, p.fail
}

// TestModelBudgetsStopSteps spends tokens and money; what a provider reports is what
// counts, and what it does not report counts in full.
func TestModelBudgetsStopSteps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		budgets  config.Budgets
		model    *priced
		resource string
		steps    int // that are admitted
		spent    int64
	}{
		{"tokens", config.Budgets{Tokens: few[config.Count](100)}, &priced{worst: agent.Usage{Tokens: 60}, actual: &agent.Usage{Tokens: 30}}, "tokens", 2, 60},
		{"money", config.Budgets{Money: few[config.Money](100)}, &priced{worst: agent.Usage{Money: 60}, actual: &agent.Usage{Money: 50}}, "money", 1, 50},
		{"a report above the worst case", config.Budgets{Tokens: few[config.Count](100)}, &priced{worst: agent.Usage{Tokens: 10}, actual: &agent.Usage{Tokens: 500}}, "tokens", 1, 500},
		{"no report", config.Budgets{Tokens: few[config.Count](100)}, &priced{worst: agent.Usage{Tokens: 60}}, "tokens", 1, 60},
		{"a negative report", config.Budgets{Tokens: few[config.Count](100)}, &priced{worst: agent.Usage{Tokens: 60}, actual: &agent.Usage{Tokens: -1000}}, "tokens", 1, 60},
		{"a failure", config.Budgets{Tokens: few[config.Count](100)}, &priced{worst: agent.Usage{Tokens: 60}, fail: errTest}, "tokens", 1, 60},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := tt.model
			f := spending(t, tt.budgets, func(c *Config) { c.model = func(config.Agent) (agent.Model, error) { return m, nil } })
			var err error
			for i := range tt.steps + 1 {
				_, err = f.Chat(t.Context(), admin.ChatRequest{Message: "go", Session: fmt.Sprint("s", i)}, nil)
				if i < tt.steps && err != nil && m.fail == nil {
					t.Fatalf("step %d: %v", i, err)
				}
			}
			var p *admin.Error
			if !errors.As(err, &p) || p.Status != http.StatusTooManyRequests {
				t.Fatalf("beyond the budget: %v", err)
			}
			tells(t, tt.resource, p.Rule, p.Detail, p.Hint)
			if l := f.spent("main", tt.resource); l.Spent != tt.spent || l.Reserved != 0 || m.calls != tt.steps {
				t.Errorf("%+v after %d steps; want %d spent in %d", l, m.calls, tt.spent, tt.steps)
			}
			if f.events("budget.denied", "budget/"+tt.resource) != 1 {
				t.Error("the refusal is not on record")
			}
		})
	}
}

// TestModelWithoutAPriceIsCharged: only a model that says so costs nothing.
func TestModelWithoutAPriceIsCharged(t *testing.T) {
	t.Parallel()
	f := spending(t, config.Budgets{Tokens: few[config.Count](maxAnswerTokens + 100_000)})
	if _, err := f.Chat(t.Context(), admin.ChatRequest{Message: "go", Session: "s"}, nil); err != nil {
		t.Fatal(err)
	}
	if l := f.spent("main", "tokens"); l.Spent <= maxAnswerTokens {
		t.Errorf("%+v", l)
	}
	free := newFixture(t, func(c *Config) { c.model = newModel })
	if _, err := free.Chat(t.Context(), admin.ChatRequest{Message: "what is 1+1?", Session: "s"}, nil); err != nil {
		t.Fatal(err)
	}
	if l := free.spent("main", "tokens"); l.Spent != 0 {
		t.Errorf("the offline model costs %+v", l)
	}
}

// TestLedgerThatCannotBeWrittenStopsEverything closes the ledger under the daemon.
func TestLedgerThatCannotBeWrittenStopsEverything(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if err := f.budgets.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := f.Chat(t.Context(), admin.ChatRequest{Message: "go", Session: "s"}, nil)
	var p *admin.Error
	if !errors.As(err, &p) || p.Rule != "budget/ledger" || len(f.model.prompts) != 0 {
		t.Errorf("a step of the model: %v", err)
	}
	var r *agent.Refusal
	if _, err := f.budgets.Call(t.Context(), "main"); !errors.As(err, &r) || r.Rule != "budget/ledger" {
		t.Errorf("a call: %v", err)
	}
	if l, err := f.Budgets(t.Context(), "nobody"); status(err) != http.StatusNotFound {
		t.Errorf("budgets of nobody: %+v, %v", l, err)
	}
}
