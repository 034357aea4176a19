package wasm

import (
	"context"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Bounds of a question.
const (
	maxQuestion = 2 << 10
	maxChoices  = 16
	maxChoice   = 200
	maxSchema   = 16 << 10
)

func doAsk(ctx context.Context, c *call, block, _ []byte) (any, *abi.Problem) {
	var req abi.AskRequest
	if p := decodeRequest(block, &req); p != nil {
		return nil, p
	}
	res, p := c.ask(ctx, req)
	if p != nil {
		return nil, p
	}
	return res, nil
}

// ask puts a question to the operator. The wall clock stands still meanwhile; the
// caller's context does not.
func (c *call) ask(ctx context.Context, req abi.AskRequest) (abi.AskResult, *abi.Problem) {
	switch {
	case len(req.Question) == 0 || len(req.Question) > maxQuestion:
		return abi.AskResult{}, invalid("question: want 1 to %d bytes", maxQuestion)
	case len(req.Choices) > maxChoices:
		return abi.AskResult{}, invalid("choices: want at most %d", maxChoices)
	case len(req.Schema) > maxSchema:
		return abi.AskResult{}, invalid("schema: want at most %d bytes", maxSchema)
	case req.TimeoutS < 0:
		return abi.AskResult{}, invalid("timeout_s: want 0 or more")
	case c.phase == phaseInit:
		return abi.AskResult{}, phaseProblem("ask", "human")
	case !c.rights.Human:
		return abi.AskResult{}, &abi.Problem{Code: abi.CodeDenied, Capability: "human", Rule: "grant/none",
			Message: "asking the operator is not granted to skill " + string(c.caller.Skill), Hint: c.grantHint(" --human")}
	case c.services.Ask == nil:
		return abi.AskResult{}, unavailable("human")
	case c.usage.Asks >= c.limits.Asks:
		return abi.AskResult{}, overLimit(abi.CodeQuota, "human", "asks", int64(c.limits.Asks))
	}
	c.usage.Asks++
	if !c.engine.daily.take(c.caller, time.Now()) {
		return abi.AskResult{}, &abi.Problem{Code: abi.CodeQuota, Capability: "human", Rule: "asks/day",
			Message: "this skill has asked 20 questions in a day"}
	}
	req.Question = prose(req.Question, maxQuestion)
	choices := make([]string, len(req.Choices))
	for i, s := range req.Choices {
		choices[i] = oneLine(s, maxChoice)
	}
	req.Choices = choices
	var res abi.AskResult
	var err error
	c.outside(ctx, true, func() { res, err = c.services.Ask.Ask(ctx, c.caller, req) })
	if err != nil {
		return abi.AskResult{}, c.problemOf(ctx, "ask", err)
	}
	c.saw("human", label.Label{Integrity: label.Owner}) // for the owner alone
	switch res.Action {
	case "accept", "decline", "timeout":
	default:
		return abi.AskResult{}, &abi.Problem{Code: abi.CodeInternal, Message: "the answer could not be read"}
	}
	return res, nil
}

// asksPerDay bounds the questions of one skill to the operator of one agent.
const asksPerDay = 20

// dailyAsks counts the questions of the present day, since the daemon started.
type dailyAsks struct {
	mu    sync.Mutex // guards everything below
	day   string
	count map[dailyKey]int
}

type dailyKey struct {
	agent abi.AgentID
	skill abi.SkillName
}

// take counts one question and reports whether it may be put.
func (d *dailyAsks) take(c abi.Caller, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if day := now.UTC().Format(time.DateOnly); day != d.day {
		d.day, d.count = day, map[dailyKey]int{}
	}
	k := dailyKey{c.Agent, c.Skill}
	if d.count[k] >= asksPerDay {
		return false
	}
	d.count[k]++
	return true
}
