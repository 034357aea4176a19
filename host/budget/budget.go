// Package budget keeps hard limits on what an agent spends: a worst case is reserved
// before a call and settled to what it cost afterwards.
//
// At every instant settled + reserved ≤ limit, for the agent and for each agent above
// it. A reservation that a crash left open is settled in full, so that a restart
// never gives anything back.
package budget

import (
	"errors"
	"fmt"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// Resource is something that can run out.
type Resource string

// The resources.
const (
	Tokens Resource = "tokens" // of models, in and out
	Money  Resource = "money"  // millionths of the currency of the price table
	Calls  Resource = "calls"  // of tools
	Egress Resource = "egress" // bytes that leave
	Asks   Resource = "asks"   // questions to a person
)

// Resources returns all of them.
func Resources() []Resource { return []Resource{Tokens, Money, Calls, Egress, Asks} }

// Window is the time over which a limit counts; it begins at a full hour or day, UTC.
type Window string

// The windows.
const (
	Hour Window = "hour"
	Day  Window = "day"
)

func (w Window) start(t time.Time) time.Time {
	if w == Day {
		return t.UTC().Truncate(24 * time.Hour)
	}
	return t.UTC().Truncate(time.Hour)
}

func (w Window) next(start time.Time) time.Time {
	if w == Day {
		return start.Add(24 * time.Hour)
	}
	return start.Add(time.Hour)
}

// Limit is the most that an agent may spend of one resource in one window.
type Limit struct {
	Resource Resource
	Window   Window
	Max      int64
}

// Amounts is how much of each resource.
type Amounts map[Resource]int64

// Exceeded is the error of a reservation that does not fit.
type Exceeded struct {
	Agent    abi.AgentID
	Resource Resource
	Window   Window
	Max      int64
	Left     int64
	Asked    int64
	Resets   time.Time
}

// Error implements error.
func (e *Exceeded) Error() string {
	return fmt.Sprintf("the budget of %s of agent %q is used up: %d needed, %d of %d left in this %s; it resets at %s",
		e.Resource, string(e.Agent), e.Asked, e.Left, e.Max, e.Window, e.Resets.Format(time.RFC3339))
}

// Errors of a wrong use.
var (
	ErrAmount  = errors.New("budget: an amount is negative or its resource is unknown")
	ErrNoAgent = errors.New("budget: no agent is named")
	ErrSettled = errors.New("budget: the reservation is settled already")
	ErrCycle   = errors.New("budget: an agent is its own parent")
)

// Check reports whether every amount is of a known resource and not negative.
func (a Amounts) Check() error {
	for r, n := range a {
		known := false
		for _, k := range Resources() {
			known = known || k == r
		}
		if !known || n < 0 {
			return fmt.Errorf("%w: %d of %q", ErrAmount, n, string(r))
		}
	}
	return nil
}
