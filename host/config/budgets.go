package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// Budgets are hard limits on what one agent, and each agent that works for it, may
// spend in an hour and in a day, UTC. A key that is left out keeps its default; zero
// admits nothing. There is no word for "unlimited": write a number.
type Budgets struct {
	Calls  Budget[Count]    `yaml:"calls"`  // of tools
	Egress Budget[abi.Size] `yaml:"egress"` // bytes that leave in requests: addresses, headers and bodies
	Tokens Budget[Count]    `yaml:"tokens"` // of models, in and out
	Money  Budget[Money]    `yaml:"money"`  // for models, in the currency of their price table
	Asks   Budget[Count]    `yaml:"asks"`   // questions to a person: approvals, and those of skills
}

// Budget is one resource in both windows.
type Budget[T ~int64] struct {
	Hour *T `yaml:"hour"`
	Day  *T `yaml:"day"`
}

// BudgetLimit is one limit, by the words of its key: budgets.RESOURCE.WINDOW.
type BudgetLimit struct {
	Resource string
	Window   string
	Max      int64 // money: millionths
}

// Limits returns every limit: what the operator wrote, else the default.
func (b Budgets) Limits() []BudgetLimit {
	var all []BudgetLimit
	all = appendLimits(all, "calls", b.Calls, 2_000, 20_000)
	all = appendLimits(all, "egress", b.Egress, 128*abi.MiB, 512*abi.MiB)
	all = appendLimits(all, "tokens", b.Tokens, 10_000_000, 100_000_000)
	all = appendLimits(all, "money", b.Money, 2*unit, 10*unit)
	return appendLimits(all, "asks", b.Asks, 60, 300)
}

func appendLimits[T ~int64](all []BudgetLimit, resource string, b Budget[T], hour, day T) []BudgetLimit {
	if b.Hour != nil {
		hour = *b.Hour
	}
	if b.Day != nil {
		day = *b.Day
	}
	return append(all, BudgetLimit{resource, "hour", int64(hour)}, BudgetLimit{resource, "day", int64(day)})
}

// Count is a number of things, zero or more.
type Count int64

// Check refuses a negative number.
func (c Count) Check() error {
	if c < 0 {
		return fmt.Errorf("%d is negative; 0 admits nothing", int64(c))
	}
	return nil
}

// unit is one of the currency.
const unit = 1_000_000

// Money is an amount in millionths of the currency, written as 5 or 0.25.
type Money int64

// UnmarshalText implements encoding.TextUnmarshaler: digits, and up to six behind a point.
func (m *Money) UnmarshalText(b []byte) error {
	whole, fraction, point := strings.Cut(string(b), ".")
	n, err := strconv.ParseUint(whole, 10, 63)
	digits := fraction + strings.Repeat("0", max(0, 6-len(fraction)))
	part, fractionErr := strconv.ParseUint(digits, 10, 63)
	if err != nil || fractionErr != nil || point && fraction == "" || len(digits) > 6 || strings.ContainsAny(string(b), "+-_") || n > math.MaxInt64/unit-1 {
		return fmt.Errorf("amount %q: want a number such as 5 or 0.25", b)
	}
	*m = Money(n*unit + part)
	return nil
}

// checkParents refuses an agent whose parent is missing, and one that works for itself.
func checkParents(agents []Agent) error {
	parent := map[AgentName]AgentName{}
	for _, a := range agents {
		parent[a.Name] = a.Parent
	}
	for i, a := range agents {
		if _, known := parent[a.Parent]; a.Parent != "" && !known {
			return fmt.Errorf("agents[%d].parent: there is no agent %q", i, a.Parent)
		}
		for p, steps := a.Parent, 0; p != ""; p, steps = parent[p], steps+1 {
			if p == a.Name || steps > len(agents) {
				return fmt.Errorf("agents[%d].parent: %q would work for itself", i, a.Name)
			}
		}
	}
	return nil
}
