package agent

import (
	"context"
	"errors"

	"github.com/glovebox-dev/glovebox/abi"
)

// Meter admits what an agent spends, before it is spent. What it does not admit does
// not happen: its error is a *Refusal, or any other, which refuses as well.
type Meter interface {
	// Call reserves one call of a tool.
	Call(ctx context.Context, agent abi.AgentID) (Charge, error)
	// Ask reserves one question to a person.
	Ask(ctx context.Context, agent abi.AgentID) (Charge, error)
}

// Charge ends a reservation: what happened is spent, what did not is given back. It
// works although ctx is over.
type Charge func(ctx context.Context, happened bool)

// RuleMeter is the rule of a Meter that failed without saying why.
const RuleMeter = "door/meter"

// Refusal is an error that a model and a person may read: which rule refused, why,
// and what changes that.
type Refusal struct {
	Rule string
	Why  string
	Fix  string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Why }

// refused reports err as the reason of the door; false for the caller's return.
func (p *passage) refused(err error) bool {
	var r *Refusal
	if errors.As(err, &r) {
		return p.refuse(r.Rule, r.Why, r.Fix)
	}
	return p.refuse(RuleMeter, "what this may cost could not be reserved, so nothing runs", "the daemon's log has the details")
}

// reserve books the call against the budgets of its agent.
func (p *passage) reserve(ctx context.Context) bool {
	if p.d.cfg.Meter == nil {
		return true
	}
	charge, err := p.d.cfg.Meter.Call(ctx, p.req.Agent)
	if err != nil {
		return p.refused(err)
	}
	p.charge = charge
	return true
}

// spend ends the reservation of the call.
func (p *passage) spend(ctx context.Context, happened bool) {
	if p.charge != nil {
		p.charge(ctx, happened)
	}
}

// Usage is what steps of a model cost.
type Usage struct {
	Tokens int64 // in and out, cached ones included
	Money  int64 // millionths of the currency of the operator's price table
}

// Priced is a Model that knows beforehand what a step can cost at most. A model that
// is not Priced is charged for the size of its prompt and the longest answer.
type Priced interface {
	Model
	// Worst returns the most that Next can cost with p: tokens of the prompt and the
	// longest answer, at the price of the table. A model with no price costs nothing
	// only if it says so here.
	Worst(p Prompt) Usage
}
