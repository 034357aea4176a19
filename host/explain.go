package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

// ErrNoDecision is returned for a record that is not about a call of a tool.
var ErrNoDecision = errors.New("the record is not about a call of a tool")

// AuditReader reads records of the audit log; *audit.Reader and *audit.Log do.
type AuditReader interface {
	Tail(ctx context.Context, q audit.Query) ([]audit.Record, error)
}

// Explain tells what the record seq decided about a call of a tool: which rule, why,
// what led to it and what would change it.
func Explain(ctx context.Context, log AuditReader, seq uint64) (admin.Explanation, error) {
	none := admin.Explanation{}
	if seq == 0 {
		return none, fmt.Errorf("record %d: %w", seq, ErrNoDecision)
	}
	found, err := log.Tail(ctx, audit.Query{After: seq - 1, Limit: 1})
	if seq == 1 && err == nil { // After: 0 selects the last ones
		if found, err = log.Tail(ctx, audit.Query{Limit: 1000}); len(found) > 0 && found[0].Seq == 1 {
			found = found[:1]
		}
	}
	switch {
	case err != nil:
		return none, err
	case len(found) == 0 || found[0].Seq != seq:
		return none, fmt.Errorf("record %d: %w", seq, errNoRecord)
	case found[0].Call == "":
		return none, fmt.Errorf("record %d (%s): %w", seq, found[0].Event, ErrNoDecision)
	}
	call, err := log.Tail(ctx, audit.Query{Call: found[0].Call, Limit: 1000})
	if err != nil {
		return none, err
	}
	return explain(found[0], call)
}

var errNoRecord = errors.New("there is no such record")

// explain reads what the records of one call say.
func explain(asked audit.Record, call []audit.Record) (admin.Explanation, error) {
	x := admin.Explanation{Seq: asked.Seq, Call: string(asked.Call), Agent: string(asked.Agent), Session: string(asked.Session), Records: []admin.ExplainedRecord{}, Changes: []string{}}
	var decided *audit.Record
	for i := range call {
		r := &call[i]
		x.Records = append(x.Records, admin.ExplainedRecord{Seq: r.Seq, Time: r.Time, Event: string(r.Event), Verdict: r.Verdict, Rule: r.Rule, Outcome: r.Outcome})
		switch r.Event {
		case audit.EventAsked, audit.EventIntent, audit.EventDenied:
			if decided == nil {
				decided = r
			}
			x.Verdict, x.Rule = r.Verdict, r.Rule
			if r.Detail["why"] != "" {
				x.Why = r.Detail["why"]
			}
		case audit.EventOutcome:
			x.Outcome = r.Outcome
		}
	}
	if decided == nil {
		return x, fmt.Errorf("record %d (%s): %w", asked.Seq, asked.Event, ErrNoDecision)
	}
	x.Tool, x.Context = decided.Tool, decided.Detail["context"]
	verdict, rule, _ := strings.Cut(decided.Detail["gate"], " ")
	x.Gate, x.GateRule = verdict, rule
	for _, key := range slices.Sorted(maps.Keys(decided.Detail)) {
		switch kind, _, _ := strings.Cut(key, "."); kind {
		case "finding":
			x.Findings = append(x.Findings, decided.Detail[key])
		case "flow":
			x.Flows = append(x.Flows, decided.Detail[key])
		case "link":
			x.Links = append(x.Links, decided.Detail[key])
		}
	}
	ref, err := abi.ParseToolRef(decided.Tool)
	if err != nil {
		ref = abi.ToolRef{} // a name that a model made up
	}
	for _, r := range []string{x.GateRule, x.Rule} {
		why := policy.Why(gate.Rule(r))
		if why == "" {
			continue
		}
		x.GateWhy = why
		if fix := policy.Fix(gate.Rule(r), ref, decided.Agent); fix != "" && !slices.Contains(x.Changes, fix) {
			x.Changes = append(x.Changes, fix)
		}
		break
	}
	x.Changes = append(x.Changes, changes(gate.Rule(x.GateRule), decided)...)
	return x, nil
}

// changes are the ways out beside the approval of one call, for each rule that asks.
func changes(rule gate.Rule, r *audit.Record) []string {
	switch rule {
	case gate.RuleProvenance:
		return []string{"when it asks again: glovebox approval endorse ID --argument NAME --for session"}
	case gate.RuleMandate:
		return []string{fmt.Sprintf("in glovebox.yaml, agent %s: mandate: [%s, …]", r.Agent, r.Tool)}
	case gate.RuleReaders:
		return []string{
			fmt.Sprintf("in glovebox.yaml, agent %s: mandate: with the tools whose content may go to whom you name", r.Agent),
			fmt.Sprintf("in glovebox.yaml, agent %s: readers: named", r.Agent),
		}
	case gate.RuleDestructive:
		return []string{fmt.Sprintf("in glovebox.yaml, agent %s: confirm: rules, and name each value yourself", r.Agent)}
	case gate.RuleUndeclared:
		return []string{"have the author declare the tool's effect and arguments in skill.yaml"}
	}
	return nil
}

// Explain implements admin.Backend.
func (h *Host) Explain(ctx context.Context, seq uint64) (admin.Explanation, error) {
	x, err := Explain(ctx, h.audit, seq)
	switch {
	case errors.Is(err, errNoRecord):
		return x, admin.NewError(http.StatusNotFound, err.Error(), "audit/record", "glovebox audit tail")
	case errors.Is(err, ErrNoDecision):
		return x, admin.NewError(http.StatusBadRequest, err.Error(), "audit/decision", "pick a record tool.intent, tool.asked or tool.denied: glovebox audit tail")
	}
	return x, err
}
