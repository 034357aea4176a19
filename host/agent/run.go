package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/canon"
)

// Outcomes of a call that was admitted; a refused one has OutcomeDenied.
const (
	OutcomeOK        = "ok"
	OutcomeError     = "error"
	OutcomeDenied    = "denied"
	OutcomePanic     = "panic"
	OutcomeTimeout   = "timeout"
	OutcomeCancelled = "cancelled"
)

// maxDenials is how many soft denials of one call are reported.
const maxDenials = 32

// recordTimeout bounds the writing of what already happened, when the caller is gone.
const recordTimeout = 5 * time.Second

func (p *passage) entry(event audit.Event) audit.Entry {
	return audit.Entry{
		Event: event, Actor: "agent:" + string(p.req.Agent), Agent: p.req.Agent, Session: p.req.Session,
		Call: p.report.ID, Tool: p.report.Tool, ToolDigest: p.dec.Pin(), Args: p.args,
		Verdict: p.report.Verdict.String(), Rule: p.report.Rule, Approval: p.report.Approval,
		Outcome: p.report.Outcome, Detail: map[string]string{
			"class": p.report.Class.String(), "requester": string(p.req.From), "context": p.req.State.Context.String(),
		},
	}
}

// maxNoted bounds the findings and flows that one record keeps.
const maxNoted = 4

// judged adds to an entry what led to the gate's verdict.
func (p *passage) judged(e audit.Entry) audit.Entry {
	j := p.report.Judgement
	if j.Rule != "" {
		e.Detail["gate"] = j.Verdict.String() + " " + string(j.Rule)
	}
	for i, f := range j.Findings[:min(len(j.Findings), maxNoted)] {
		e.Detail[fmt.Sprintf("finding.%d", i)] = f.String()
	}
	for i, f := range j.Flows[:min(len(j.Flows), maxNoted)] {
		e.Detail[fmt.Sprintf("flow.%d", i)] = f.String()
	}
	for i, l := range j.Links[:min(len(j.Links), maxNoted)] {
		e.Detail[fmt.Sprintf("link.%d", i)] = strconv.QuoteToASCII(l)
	}
	return e
}

// intend records that the call is about to run. Without that record it does not.
func (p *passage) intend(ctx context.Context) bool {
	if ctx.Err() != nil {
		return p.refuse(RuleCancelled, "the message was cancelled", "send it again")
	}
	p.report.Verdict = gate.VerdictAllow
	e := p.judged(p.entry(audit.EventIntent))
	e.Durable = p.report.Class != abi.ClassRead // an effect never precedes its record
	maps.Copy(e.Detail, p.controls())
	rec, err := p.d.cfg.Recorder.Append(ctx, e)
	if err != nil {
		return p.refuse(RuleNoRecord, "the audit log cannot be written, so nothing runs", "glovebox audit verify")
	}
	p.report.Seq = rec.Seq
	p.event(EventToolStarted, &CallReport{ID: p.report.ID, Tool: p.report.Tool, Class: p.report.Class, Verdict: p.report.Verdict, Rule: p.report.Rule})
	return true
}

// claim uses up the grant that admitted the call, after the intent is on record and
// before anything happens: of two calls with one grant, one runs.
func (p *passage) claim(ctx context.Context) bool {
	if e, ok := p.d.cfg.Approver.(Endorser); ok && len(p.req.State.Endorsed) > 0 {
		call := policy.Call{Agent: p.req.Agent, Session: p.req.Session, ID: p.report.ID, Requester: p.req.From, Tool: p.ref}
		if err := e.Spend(ctx, call, p.dec.Pin(), p.values); err != nil {
			return p.refuse(RuleNotApproved, "an endorsement that the call relies on was used meanwhile", p.dec.Fix())
		}
	}
	c, ok := p.d.cfg.Approver.(Claimer)
	if !ok || p.dec.Verdict() != gate.VerdictAsk {
		return true
	}
	if err := c.Claim(ctx, p.grant); err != nil {
		return p.refuse(RuleNotApproved, "not approved", p.dec.Fix())
	}
	p.claimed = c
	return true
}

// settle notes how the call that used a grant ended. If that cannot be written, the
// outcome stays unknown, and the grant stays used.
func (p *passage) settle(ctx context.Context) {
	if p.claimed == nil {
		return
	}
	if err := p.claimed.Settle(ctx, p.grant.ID, p.report.Outcome); err != nil {
		p.report.Why = "the call ran, but its outcome could not be written beside its approval"
	}
}

// controls returns the short arguments that the descriptor declares as control: who,
// what, where. Content never enters the log.
func (p *passage) controls() map[string]string {
	var args map[string]json.RawMessage
	if json.Unmarshal(p.args, &args) != nil {
		return nil
	}
	found := map[string]string{}
	for name, role := range p.tool.Descriptor.Args {
		if v, ok := args[name]; ok && role == abi.RoleControl && len(v) <= 256 && len(found) < 8 {
			found["control."+cut(name, 64)] = string(v)
		}
	}
	return found
}

// run invokes the tool and contains what it does wrong.
func (p *passage) run(ctx context.Context) {
	out, err := p.invoke(ctx)
	r := &p.report
	// A result is no more trusted than what the tool was given, and what went in by
	// handle may come out again.
	r.Label = out.Label.Join(p.carried)
	r.Label.Integrity = min(r.Label.Integrity, p.auth.Context().Integrity)
	// What a person had to admit may hold anything, and may be repeated.
	r.fetched = p.dec.Verdict() == gate.VerdictAllow && gate.Fetches(p.tool.Descriptor, p.values)
	if p.tool.Native { // others choose their identifiers, so that one could be what it is not
		r.minted = out.Minted
	}
	r.Outcome = OutcomeOK
	switch {
	case errors.Is(err, errPanic):
		r.Outcome, r.Why = OutcomePanic, "the tool failed inside the host"
	case errors.Is(err, context.DeadlineExceeded):
		r.Outcome, r.Why = OutcomeTimeout, "the tool took too long"
	case errors.Is(err, context.Canceled):
		r.Outcome, r.Why = OutcomeCancelled, "the call was cancelled"
	case err != nil:
		r.Outcome, r.Why = OutcomeError, p.screen(ctx, clean(cut(err.Error(), 1024)))
	case !p.auth.Redeemed():
		r.Outcome, r.Why = OutcomeError, "the tool did not redeem its authorization; its result is dropped"
	default:
		p.take(ctx, out)
		return
	}
	r.IsError = true
	p.takeDenials(out.Denials)
}

var errPanic = errors.New("panic")

func (p *passage) invoke(ctx context.Context) (out Outcome, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = Outcome{}, fmt.Errorf("%w: %v", errPanic, v)
		}
	}()
	return p.tool.Impl.Invoke(ctx, p.auth, slices.Clone(p.args))
}

func (p *passage) take(ctx context.Context, out Outcome) {
	r := &p.report
	limit := p.d.cfg.MaxResult
	if p.req.Call.AsHandle { // for a content argument of another call
		limit = p.d.cfg.MaxArgs
	}
	r.Text, r.Truncated = resultText(out.Result, limit)
	r.Text = p.screen(ctx, r.Text)
	if out.Result.IsError {
		r.IsError, r.Outcome = true, OutcomeError
	}
	if v, err := canon.Parse(out.Result.StructuredContent, canon.Limits{Bytes: p.d.cfg.MaxResult, Rounds: true}); err == nil {
		r.Structured = p.screenJSON(ctx, v.Canonical())
	}
	p.takeDenials(out.Denials)
}

func (p *passage) takeDenials(denials []abi.Problem) {
	for _, d := range denials[:min(len(denials), maxDenials)] {
		for text, limit := range map[*string]int{&d.Message: 512, &d.Rule: 256, &d.Hint: 512, &d.Capability: 128} {
			*text = p.d.cfg.Guard.Redact(clean(cut(*text, limit)))
		}
		p.report.Denials = append(p.report.Denials, d)
	}
}

// conclude records how an admitted call ended, even if the caller is gone.
func (p *passage) conclude(ctx context.Context) {
	p.report.Duration = p.d.cfg.Now().Sub(p.start)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	e := p.entry(audit.EventOutcome)
	e.Detail["label"] = p.report.Label.String()
	e.Duration = p.report.Duration
	for i, d := range p.report.Denials[:min(len(p.report.Denials), 8)] {
		e.Detail[fmt.Sprintf("denial.%d", i)] = d.Error()
	}
	rec, err := p.d.cfg.Recorder.Append(ctx, e)
	if err != nil {
		p.report.Why = "the call ran, but its outcome could not be written to the audit log"
	} else {
		p.report.OutcomeSeq = rec.Seq
	}
	p.settle(ctx)
	p.event(EventToolFinished, &p.report)
}

// deny records a refusal. Nothing ran, so a log that cannot be written changes
// nothing about the verdict.
func (p *passage) deny(ctx context.Context) {
	p.report.Outcome, p.report.IsError = OutcomeDenied, true
	p.report.Duration = p.d.cfg.Now().Sub(p.start)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	e := p.judged(p.entry(audit.EventDenied))
	e.Detail["why"] = p.report.Why
	p.report.Label = p.carried // the reason is the host's own words, but for what it names of a handle's content
	if rec, err := p.d.cfg.Recorder.Append(ctx, e); err == nil {
		p.report.Seq = rec.Seq
	}
	p.event(EventToolDenied, &p.report)
}

func (p *passage) event(kind EventKind, r *CallReport) {
	if p.req.Events != nil {
		c := *r
		p.req.Events(Event{Kind: kind, Call: &c})
	}
}
