package agent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/canon"
	"github.com/glovebox-dev/glovebox/internal/guard"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Rules of the door itself, beside those of package policy.
const (
	RuleArguments   = "door/arguments"   // not canonical JSON, or not what the schema admits
	RuleNoApprover  = "door/no-approver" // needs approval, and nobody can be asked
	RuleNotApproved = "door/not-approved"
	RuleNoRecord    = "door/no-record" // the intent could not be written to the audit log
	RuleCancelled   = "door/cancelled"
	RuleHandle      = "door/handle" // a handle that is not known, not content, or not offered
)

// Config is what a Dispatcher is built from. Recorder is required.
type Config struct {
	Tools           []Spec
	Grants          map[abi.AgentID][]abi.ToolRef // what is not listed is not granted
	Raise           map[abi.ToolRef]abi.Effect    // stricter effects, by the operator
	Approver        Approver                      // nil: whatever asks is denied
	Rules           Rules                         // the operator's; nil = none
	Recorder        Recorder
	Guard           *guard.Guard     // of secrets and canaries; nil where no secret exists
	Meter           Meter            // nil: no budget limits the calls
	ApprovalTimeout time.Duration    // 0 = 5 minutes
	MaxArgs         int              // bytes of one call's arguments; 0 = 1 MiB
	MaxResult       int              // bytes of one result's text; 0 = 64 KiB
	Now             func() time.Time // nil = time.Now
}

// Rules are an operator's rules about calls. All that they can do to a decision is
// Decision.Stricter.
type Rules func(d policy.Decision, c policy.Call) policy.Decision

// Dispatcher is the one door of every tool call. It is immutable; a new set of tools
// or grants is a new Dispatcher.
type Dispatcher struct {
	cfg      Config
	registry *policy.Registry
	tools    map[abi.ToolRef]installed
}

type installed struct {
	Spec
	schema *schema
}

// NewDispatcher registers and seals the tools. One tool that cannot be used is an
// error that names it: a host that wants to go on leaves it out and says so.
func NewDispatcher(cfg Config) (*Dispatcher, error) {
	if cfg.Recorder == nil {
		return nil, errors.New("dispatcher needs a recorder: no call runs unrecorded")
	}
	if cfg.ApprovalTimeout <= 0 {
		cfg.ApprovalTimeout = 5 * time.Minute
	}
	if cfg.MaxArgs <= 0 {
		cfg.MaxArgs = 1 << 20
	}
	if cfg.MaxResult <= 0 {
		cfg.MaxResult = 64 << 10
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	d := &Dispatcher{cfg: cfg, tools: map[abi.ToolRef]installed{}}
	var b policy.Builder
	for _, t := range cfg.Tools {
		if t.Impl == nil {
			return nil, fmt.Errorf("tool %q has no implementation", t.Ref)
		}
		s, err := compileSchema(t.Tool.InputSchema)
		if err != nil {
			return nil, fmt.Errorf("tool %q: %w", t.Ref, err)
		}
		if err := b.Add(policy.Entry{Ref: t.Ref, Digest: t.Digest, Descriptor: t.Descriptor, Schema: t.Tool.InputSchema}); err != nil {
			return nil, err
		}
		d.tools[t.Ref] = installed{Spec: t, schema: s}
	}
	for ref, effect := range cfg.Raise {
		if err := b.Raise(ref, effect); err != nil {
			return nil, err
		}
	}
	for agent, refs := range cfg.Grants {
		for _, ref := range refs {
			if err := b.Grant(agent, ref); err != nil {
				return nil, err
			}
		}
	}
	var err error
	d.registry, err = b.Registry()
	return d, err
}

// CheckSpec reports whether NewDispatcher would take s by itself.
func CheckSpec(s Spec) error {
	var b policy.Builder
	if err := b.Add(policy.Entry{Ref: s.Ref, Digest: s.Digest, Descriptor: s.Descriptor, Schema: s.Tool.InputSchema}); err != nil {
		return err
	}
	if _, err := compileSchema(s.Tool.InputSchema); err != nil {
		return fmt.Errorf("tool %q: %w", s.Ref, err)
	}
	return nil
}

// Tools lists what agent may call, sorted by name. What is not granted is not shown.
func (d *Dispatcher) Tools(agent abi.AgentID) []ToolInfo {
	var infos []ToolInfo
	for _, ref := range d.registry.Granted(agent) {
		t := d.tools[ref]
		input := t.Tool.InputSchema
		if len(input) == 0 {
			input = json.RawMessage(`{"type":"object"}`)
		}
		infos = append(infos, ToolInfo{
			Name: ref.String(), Class: d.registry.Class(ref), Schema: input,
			Handles: handleable(t.Descriptor),
			Title:   clean(cut(t.Tool.Title, 256)), Description: clean(cut(t.Tool.Description, 4096)), About: clean(cut(t.About, 1024)),
		})
	}
	return infos
}

// Request is one call that a model asks for, with the identity that the host adds.
type Request struct {
	Agent   abi.AgentID
	Session abi.SessionID
	From    policy.Principal // whose message led to the call
	State   gate.State       // what the session has seen; zero is tainted and private
	Call    ToolCall
	Held    func(handle string) (Held, bool) // content behind the session's handles; nil knows none
	Events  func(Event)
}

// Dispatch takes one call through the door. It never fails: the report says what
// happened, and a call that was not admitted has had no effect.
func (d *Dispatcher) Dispatch(ctx context.Context, req Request) CallReport {
	p := &passage{d: d, req: req, start: d.cfg.Now(), carried: label.Trusted()}
	p.report = CallReport{ID: abi.CallID("call-" + rand.Text()), Tool: clean(cut(req.Call.Tool, 200))}
	p.report.Tool = p.screen(ctx, p.report.Tool)
	admitted := false
	defer func() { p.spend(ctx, admitted) }()
	admitted = p.read(ctx) && p.reserve(ctx) && p.admit(ctx) && p.intend(ctx) && p.claim(ctx)
	if admitted {
		p.run(ctx)
		p.conclude(ctx)
	} else {
		p.deny(ctx)
	}
	return p.report
}

// passage is one call on its way through the door. Its steps return false when the
// call must not go on; refuse has then set the reason.
type passage struct {
	d       *Dispatcher
	req     Request
	start   time.Time
	ref     abi.ToolRef
	tool    installed
	args    json.RawMessage // canonical
	values  map[string]any  // args, decoded
	carried label.Label     // of the handles in args
	dec     policy.Decision
	grant   policy.Approval // what admitted the call, where the gate asked
	auth    policy.Authorized
	claimed Claimer // the grant of this call was used up
	charge  Charge  // of the call's reservation
	report  CallReport
}

func (p *passage) refuse(rule, why, fix string) bool {
	r := &p.report
	r.Verdict, r.Rule, r.Why, r.Fix = gate.VerdictDeny, rule, why, fix
	return false
}

// read finds the tool and reads the arguments.
func (p *passage) read(ctx context.Context) bool {
	ref, err := abi.ParseToolRef(p.req.Call.Tool)
	if err != nil {
		return p.refuse(string(gate.RuleUnknownTool), "there is no such tool: a name is SKILL.TOOL", "glovebox skill list")
	}
	p.ref = ref
	raw := p.req.Call.Args
	if len(raw) == 0 {
		raw = json.RawMessage(`{}`)
	}
	p.tool = p.d.tools[ref]
	p.report.Effect = p.tool.Descriptor.Effect
	args, argsErr := canon.Parse(raw, canon.Limits{Bytes: p.d.cfg.MaxArgs})
	if argsErr == nil {
		p.setArgs(args)
		if len(p.args) <= maxEchoedArgs {
			p.report.Args = p.args
		}
	}
	p.judge()
	seen := raw // what is no argument yet can come back in a refusal
	if argsErr == nil {
		seen = p.args
	}
	if !p.guarded(ctx, seen) {
		return false
	}
	// What the gate denies whatever the arguments are is said first.
	switch {
	case argsErr != nil && (p.dec.Rule() == gate.RuleArguments || p.dec.Verdict() != gate.VerdictDeny):
		return p.refuse(RuleArguments, "arguments: "+argsErr.Error(), "pass one JSON object that fits the tool's schema")
	case p.dec.Verdict() == gate.VerdictDeny:
		return p.refuse(string(p.dec.Rule()), p.dec.Why(), p.dec.Fix())
	case p.req.Call.AsHandle && !handleable(p.tool.Descriptor):
		return p.refuse(RuleHandle, "the result of this tool is never kept behind a handle", "make the call without it")
	}
	filled, err := p.fill(args)
	switch {
	case errors.Is(err, errHandle):
		return p.refuse(RuleHandle, err.Error(), "pass a handle of this session as a whole content argument")
	case err != nil:
		return p.refuse(RuleArguments, err.Error(), "pass what the tool's schema describes")
	}
	p.setArgs(filled)
	if len(p.req.State.Carried) > 0 && !p.guarded(ctx, p.args) {
		return false
	}
	if err := p.tool.schema.check(filled); err != nil {
		if len(p.req.State.Carried) > 0 { // the error may quote what the model has not seen
			err = errors.New("the arguments, with what is behind the handles, do not fit the tool's schema")
		}
		return p.refuse(RuleArguments, err.Error(), "pass what the tool's schema describes")
	}
	return true
}

func (p *passage) setArgs(v canon.Value) {
	p.args = v.Canonical()
	p.values, _ = v.Any().(map[string]any)
}

// judge asks the gate, and the operator's rules after it.
func (p *passage) judge() {
	var digest abi.Digest
	if p.tool.Impl != nil {
		digest = p.tool.Impl.Digest()
	}
	call := policy.Call{
		Agent: p.req.Agent, Session: p.req.Session, ID: p.report.ID, Requester: p.req.From,
		Tool: p.ref, Digest: digest, Args: p.args,
	}
	p.dec = p.d.registry.Decide(call, p.req.State)
	if p.d.cfg.Rules != nil {
		p.dec = p.d.cfg.Rules(p.dec, call)
	}
	p.dec = p.wary(p.dec)
	p.report.Class, p.report.Judgement = p.dec.Class(), p.dec.Judgement()
	p.report.Rule, p.report.Why = string(p.dec.Rule()), p.dec.Why()
}

// maxAgain is how often a person can endorse values of one call before the gate must
// have come to an end with it.
const maxAgain = 8

// admit has the gate judge the call, and again after a person has endorsed a value.
func (p *passage) admit(ctx context.Context) bool {
	for range maxAgain {
		if e, ok := p.d.cfg.Approver.(Endorser); ok {
			list, err := e.Endorsed(ctx, p.req.Agent, p.req.Session)
			if err != nil {
				return p.refuse(RuleNotApproved, "what was endorsed in this session cannot be read", "see the daemon's log")
			}
			p.req.State.Endorsed = list
		}
		p.judge()
		if p.dec.Verdict() == gate.VerdictDeny {
			return p.refuse(string(p.dec.Rule()), p.dec.Why(), p.dec.Fix())
		}
		admitted, again := p.approve(ctx)
		if !again {
			return admitted
		}
	}
	return p.refuse(RuleNotApproved, "not approved", p.dec.Fix())
}

// approve mints the authorization, after asking a person where the gate says so; again
// tells that the person endorsed a value instead.
func (p *passage) approve(ctx context.Context) (admitted, again bool) {
	var err error
	if p.dec.Verdict() == gate.VerdictAllow {
		if p.auth, err = policy.Allow(p.dec); err != nil {
			return p.refuse(string(p.dec.Rule()), err.Error(), p.dec.Fix()), false
		}
		return true, false
	}
	if p.d.cfg.Approver == nil {
		return p.refuse(RuleNoApprover, p.dec.Why()+"; nobody can be asked here, so it is denied", "connect an approver, or run the tool yourself with glovebox skill run"), false
	}
	if m := p.d.cfg.Meter; m != nil {
		asked, err := m.Ask(ctx, p.req.Agent)
		if err != nil {
			return p.refused(err), false
		}
		defer asked(ctx, true) // whatever the answer
	}
	asked := p.judged(p.entry(audit.EventAsked))
	asked.Verdict = p.dec.Verdict().String()
	if _, err := p.d.cfg.Recorder.Append(ctx, asked); err != nil {
		return p.refuse(RuleNoRecord, "the audit log cannot be written, so nothing runs", "glovebox audit verify"), false
	}
	approval, err := p.ask(ctx)
	if errors.Is(err, ErrAgain) && ctx.Err() == nil {
		return false, true
	}
	if err == nil {
		p.grant, p.report.Approval = approval, cut(approval.ID, 128)
		p.auth, err = policy.Approve(p.dec, approval, p.d.cfg.Now())
	}
	if err != nil {
		return p.refuse(RuleNotApproved, "not approved: "+p.dec.Why(), p.dec.Fix()), false
	}
	return true, false
}

// approverGrace lets an approver see its ask expire, and record that, before it is cut.
const approverGrace = 250 * time.Millisecond

func (p *passage) ask(ctx context.Context) (a policy.Approval, err error) {
	defer func() {
		if recover() != nil {
			a, err = policy.Approval{}, errors.New("approver failed")
		}
	}()
	expires := p.d.cfg.Now().Add(p.d.cfg.ApprovalTimeout)
	ctx, cancel := context.WithTimeout(ctx, p.d.cfg.ApprovalTimeout+approverGrace)
	defer cancel()
	a, err = p.d.cfg.Approver.Approve(ctx, Ask{
		Agent: p.req.Agent, Session: p.req.Session, Call: p.report.ID, Requester: p.req.From,
		Tool: p.ref.String(), Pin: p.dec.Pin(), Effect: p.dec.Effect(), Class: p.dec.Class(), Rule: p.dec.Rule(), Why: p.dec.Why(),
		Context: p.req.State.Context, Args: p.args, Roles: p.tool.Descriptor.Args, Judgement: p.dec.Judgement(),
		Subject: p.dec.Subject(), Binding: p.dec.Bind(expires), Expires: expires,
	})
	if err == nil {
		err = ctx.Err() // an answer that came too late is none
	}
	return a, err
}
