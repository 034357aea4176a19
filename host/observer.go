package host

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/wasm"
)

// recordTime bounds the writing of what has happened already.
const recordTime = 5 * time.Second

// observer puts what guests did, and what they were refused, into the audit log.
type observer struct {
	record agent.Recorder
	log    *slog.Logger
}

var (
	_ wasm.Observer   = observer{}
	_ broker.Observer = observer{}
)

// append writes one record even if the call that caused it is gone.
func (o observer) append(ctx context.Context, e audit.Entry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if _, err := o.record.Append(ctx, e); err != nil {
		o.log.Error("the audit log cannot be written", "event", e.Event, "err", err)
	}
}

func entryOf(c abi.Caller, event audit.Event) audit.Entry {
	return audit.Entry{
		Event: event, Actor: "skill:" + string(c.Skill), Agent: c.Agent, Session: c.Session, Call: c.Call,
		Tool: abi.ToolRef{Skill: c.Skill, Tool: c.Tool}.String(), Detail: map[string]string{},
	}
}

// Denied implements wasm.Observer.
func (o observer) Denied(ctx context.Context, c abi.Caller, p *abi.Problem) {
	e := entryOf(c, "skill.denied")
	e.Verdict, e.Rule, e.Outcome = "deny", p.Rule, "denied"
	e.Detail["code"], e.Detail["message"] = string(p.Code), p.Message
	if p.Capability != "" {
		e.Detail["capability"] = p.Capability
	}
	o.append(ctx, e)
}

// Log implements wasm.Observer. A guest's text is data in a field of its own, and a
// guest's error is not the daemon's: it is there for who looks for it.
func (o observer) Log(ctx context.Context, c abi.Caller, level slog.Level, message string) {
	o.log.DebugContext(ctx, "skill log", "skill", c.Skill, "agent", c.Agent, "call", c.Call, "level", level.String(), "text", message)
}

// Progress implements wasm.Observer.
func (o observer) Progress(ctx context.Context, c abi.Caller, p abi.ProgressRequest) {
	o.log.DebugContext(ctx, "skill progress", "skill", c.Skill, "call", c.Call, "progress", p.Progress, "total", p.Total, "text", p.Message)
}

// Egress implements broker.Observer.
func (o observer) Egress(ctx context.Context, ev broker.Event) {
	e := entryOf(ev.Caller, "egress.request")
	e.Duration, e.Outcome, e.Verdict = ev.Duration, "ok", "allow"
	if ev.Problem != nil {
		e.Outcome, e.Rule = "error", ev.Problem.Rule
		if ev.Problem.Code == abi.CodeDenied {
			e.Verdict, e.Outcome = "deny", "denied"
		}
		e.Detail["problem"] = ev.Problem.Message
	}
	set := func(key, value string) {
		if value != "" {
			e.Detail[key] = value
		}
	}
	set("box", ev.Box)
	set("method", ev.Method)
	set("origin", string(ev.Origin))
	set("path", ev.Path)
	for i, name := range ev.Secrets {
		set(fmt.Sprintf("secret.%d", i), string(name))
	}
	set("redacted", strings.Join(ev.Redacted, " "))
	set("detail", ev.Detail)
	if ev.Dialled.IsValid() {
		set("dialled", ev.Dialled.String())
	}
	if ev.Status != 0 {
		set("status", fmt.Sprint(ev.Status))
	}
	set("hop", fmt.Sprint(ev.Hop))
	set("sent", fmt.Sprint(ev.Sent))
	set("received", fmt.Sprint(ev.Received))
	o.append(ctx, e)
}
