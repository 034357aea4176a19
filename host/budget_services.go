package host

import (
	"context"
	"errors"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/budget"
	"github.com/glovebox-dev/glovebox/host/wasm"
)

// maxHops is how often one request can be sent: redirects send its body again.
const maxHops = 6

// maxCost bounds what one step can be charged, whatever a provider reports.
const maxCost = 1 << 50

// meteredFetch reserves the bytes of each request before it is sent.
type meteredFetch struct {
	wasm.Fetcher
	budgets *budgets
}

// Fetch implements wasm.Fetcher. All that the guest chose counts, the address and the
// headers too: each of them can carry a message.
func (f meteredFetch) Fetch(ctx context.Context, c abi.Caller, rights abi.Rights, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error) {
	size := int64(len(req.Method) + len(req.URL) + len(body))
	for name, values := range req.Headers {
		for _, v := range values {
			size += int64(len(name) + len(v))
		}
	}
	hops := int64(maxHops)
	if req.Redirect == "manual" {
		hops = 1
	}
	spend, err := f.budgets.reserve(ctx, c.Agent, budget.Amounts{budget.Egress: hops * size})
	if err != nil {
		return abi.FetchResponse{}, nil, quotaProblem("http", err)
	}
	sent := hops * size // of a request that panics
	defer func() { spend(ctx, budget.Amounts{budget.Egress: sent}) }()
	resp, out, err := f.Fetcher.Fetch(ctx, c, rights, req, body)
	var p *abi.Problem
	switch {
	case err == nil:
		sent = min(int64(resp.Redirects)+1, hops) * size
	case errors.As(err, &p) && !p.RequestSent:
		sent = 0
	}
	return resp, out, err
}

// quotaProblem tells a guest of a refusal.
func quotaProblem(capability string, err error) *abi.Problem {
	p := &abi.Problem{Code: abi.CodeQuota, Capability: capability, Rule: agent.RuleMeter, Message: "the budget of this agent admits no more"}
	var r *agent.Refusal
	if errors.As(err, &r) {
		p.Rule, p.Message, p.Hint = r.Rule, r.Why, r.Fix
	}
	return p
}

// meteredAsk reserves the questions of skills.
type meteredAsk struct {
	wasm.Asker
	budgets *budgets
}

// Ask implements wasm.Asker.
func (a meteredAsk) Ask(ctx context.Context, c abi.Caller, req abi.AskRequest) (abi.AskResult, error) {
	asked, err := a.budgets.Ask(ctx, c.Agent)
	if err != nil {
		return abi.AskResult{}, quotaProblem("human", err)
	}
	defer asked(ctx, true) // whatever the answer
	return a.Asker.Ask(ctx, c, req)
}

// meteredModel reserves the worst case of each step.
type meteredModel struct {
	agent.Model
	agent   abi.AgentID
	budgets *budgets
}

// Next implements agent.Model. A model that fails, panics or does not say what the
// step cost has spent all that was reserved.
func (m meteredModel) Next(ctx context.Context, p agent.Prompt) (agent.Turn, error) {
	worst := worstOf(m.Model, p)
	if worst == (agent.Usage{}) {
		return m.Model.Next(ctx, p)
	}
	reserved := amounts(worst)
	spend, err := m.budgets.reserve(ctx, m.agent, reserved)
	if err != nil {
		m.budgets.denied(ctx, m.agent, err)
		return agent.Turn{}, err
	}
	actual := reserved
	defer func() { spend(ctx, actual) }()
	turn, err := m.Model.Next(ctx, p)
	if u := turn.Usage; u != nil && u.Tokens >= 0 && u.Money >= 0 {
		actual = amounts(*u)
	}
	return turn, err
}

func amounts(u agent.Usage) budget.Amounts {
	return budget.Amounts{budget.Tokens: min(u.Tokens, maxCost), budget.Money: min(u.Money, maxCost)}
}

// maxAnswerTokens is the longest answer of a model that does not say what it costs.
const maxAnswerTokens = 64 << 10

// worstOf returns what a step can cost at most. A token is at least one byte.
func worstOf(m agent.Model, p agent.Prompt) agent.Usage {
	if priced, ok := m.(agent.Priced); ok {
		u := priced.Worst(p)
		return agent.Usage{Tokens: max(u.Tokens, 0), Money: max(u.Money, 0)}
	}
	n := len(p.System.String()) + maxAnswerTokens
	for _, it := range p.Items {
		n += len(it.Text)
		for _, c := range it.Calls {
			n += len(c.Tool) + len(c.Args)
		}
		if r := it.Result; r != nil {
			n += len(r.Tool) + len(r.Args) + len(r.Denied) + len(r.Hint) + len(r.Data.String())
		}
	}
	for _, t := range p.Tools {
		n += len(t.Name) + len(t.Title) + len(t.Description) + len(t.About) + len(t.Schema)
	}
	return agent.Usage{Tokens: int64(n)}
}
