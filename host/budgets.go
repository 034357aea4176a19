package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/budget"
	"github.com/glovebox-dev/glovebox/host/config"
)

// budgets holds every agent to what the operator lets it spend. Whatever costs
// something is reserved here before it happens: calls and questions by the door,
// steps of a model, requests and questions of skills by the decorators beside this.
type budgets struct {
	ledger *budget.Ledger
	agents []config.Agent
	record agent.Recorder
	log    *slog.Logger
}

// openBudgets opens the ledger at path. What a crash left reserved is spent.
func openBudgets(ctx context.Context, path string, agents []config.Agent, record agent.Recorder, log *slog.Logger, now func() time.Time) (*budgets, error) {
	ledger, err := budget.Open(ctx, path, now)
	if err != nil {
		return nil, err
	}
	b := &budgets{ledger: ledger, agents: agents, record: record, log: log}
	for _, a := range agents {
		var limits []budget.Limit
		for _, l := range a.Budgets.Limits() {
			limits = append(limits, budget.Limit{Resource: budget.Resource(l.Resource), Window: budget.Window(l.Window), Max: l.Max})
		}
		if err := ledger.Set(abi.AgentID(a.Name), abi.AgentID(a.Parent), limits); err != nil {
			return nil, errors.Join(fmt.Errorf("budgets of agent %s: %w", a.Name, err), ledger.Close())
		}
	}
	return b, nil
}

// Close closes the ledger.
func (b *budgets) Close() error { return b.ledger.Close() }

// key names what the operator changes to raise a limit.
func (b *budgets) key(id abi.AgentID, r budget.Resource, w budget.Window) string {
	for i, a := range b.agents {
		if abi.AgentID(a.Name) == id {
			return fmt.Sprintf("agents[%d].budgets.%s.%s", i, r, w)
		}
	}
	return fmt.Sprintf("budgets.%s.%s", r, w)
}

// charge is a reservation that is spent with what really happened, once.
type charge func(ctx context.Context, actual budget.Amounts)

// reserve books the worst case for id and whoever it works for, or refuses with an
// *agent.Refusal that says which budget, how much is left, when that resets and which
// key raises it.
func (b *budgets) reserve(ctx context.Context, id abi.AgentID, worst budget.Amounts) (charge, error) {
	r, err := b.ledger.Reserve(ctx, id, worst)
	if err != nil {
		return nil, b.refusal(id, err)
	}
	return func(ctx context.Context, actual budget.Amounts) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
		defer cancel()
		b.settled(id, r.Settle(ctx, actual))
	}, nil
}

func (b *budgets) refusal(id abi.AgentID, err error) error {
	if ex := (*budget.Exceeded)(nil); errors.As(err, &ex) {
		return &agent.Refusal{
			Rule: "budget/" + string(ex.Resource), Why: err.Error(),
			Fix: fmt.Sprintf("the operator can raise %s in the configuration; see \"glovebox budget %s\"", b.key(ex.Agent, ex.Resource, ex.Window), ex.Agent),
		}
	}
	b.log.Error("the budget ledger refused a reservation", "agent", id, "err", err)
	return &agent.Refusal{Rule: "budget/ledger", Why: "the budget ledger cannot be used, so nothing runs", Fix: "the daemon's log has the details"}
}

// settled logs a failure: what was reserved stays so, and nothing is given back.
func (b *budgets) settled(id abi.AgentID, err error) {
	if err != nil {
		b.log.Error("the budget ledger cannot be settled", "agent", id, "err", err)
	}
}

// one admits one of r, and spends it if what it was for happened.
func (b *budgets) one(ctx context.Context, id abi.AgentID, r budget.Resource) (agent.Charge, error) {
	end, err := b.ledger.One(ctx, id, r)
	if err != nil {
		return nil, b.refusal(id, err)
	}
	return func(ctx context.Context, happened bool) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
		defer cancel()
		b.settled(id, end(ctx, happened))
	}, nil
}

var _ agent.Meter = (*budgets)(nil)

// Call implements agent.Meter.
func (b *budgets) Call(ctx context.Context, id abi.AgentID) (agent.Charge, error) {
	return b.one(ctx, id, budget.Calls)
}

// Ask implements agent.Meter.
func (b *budgets) Ask(ctx context.Context, id abi.AgentID) (agent.Charge, error) {
	return b.one(ctx, id, budget.Asks)
}

// denied records a refusal that no tool call stands for.
func (b *budgets) denied(ctx context.Context, id abi.AgentID, err error) {
	e := audit.Entry{Event: "budget.denied", Actor: "agent:" + string(id), Agent: id, Verdict: "deny", Outcome: "denied"}
	var r *agent.Refusal
	if errors.As(err, &r) {
		e.Rule, e.Detail = r.Rule, map[string]string{"why": r.Why}
	}
	observer{b.record, b.log}.append(ctx, e)
}

// list returns what the agents have spent: all, or the one called name.
func (b *budgets) list(ctx context.Context, name string) ([]admin.Budget, error) {
	list := []admin.Budget{}
	for _, a := range b.agents {
		if name != "" && name != string(a.Name) {
			continue
		}
		usage, err := b.ledger.Usage(ctx, abi.AgentID(a.Name))
		if err != nil {
			return nil, err
		}
		v := admin.Budget{Agent: string(a.Name), Parent: string(a.Parent), Limits: make([]admin.BudgetLimit, 0, len(usage))}
		for _, u := range usage {
			v.Limits = append(v.Limits, admin.BudgetLimit{
				Resource: string(u.Resource), Window: string(u.Window), Max: u.Max, Spent: u.Settled, Reserved: u.Reserved,
				Left: max(0, u.Max-u.Settled-u.Reserved), Resets: u.Resets, Key: b.key(abi.AgentID(a.Name), u.Resource, u.Window),
			})
		}
		list = append(list, v)
	}
	if name != "" && len(list) == 0 {
		return nil, admin.NewError(http.StatusNotFound, fmt.Sprintf("there is no agent %q", name), "api/agent", "glovebox status")
	}
	return list, nil
}

// Budgets implements admin.Treasury.
func (h *Host) Budgets(ctx context.Context, name string) ([]admin.Budget, error) {
	return h.budgets.list(ctx, name)
}

// warnings names the budgets of which four fifths are gone.
func (b *budgets) warnings() []string {
	ctx, cancel := context.WithTimeout(context.Background(), recordTime)
	defer cancel()
	list, err := b.list(ctx, "")
	if err != nil {
		return []string{"the budget ledger cannot be read: " + err.Error()}
	}
	var w []string
	for _, a := range list {
		for _, l := range a.Limits {
			if used := l.Max - l.Left; l.Max > 0 && l.Left <= l.Max/5 {
				w = append(w, fmt.Sprintf("agent %s has used %d of %d %s of this %s; raise %s", a.Agent, used, l.Max, l.Resource, l.Window, l.Key))
			}
		}
	}
	return w
}
