package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/approval"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/internal/leaks"
)

var _ admin.Backend = (*Host)(nil)

// Chat implements admin.Backend.
func (h *Host) Chat(ctx context.Context, req admin.ChatRequest, emit func(admin.Event)) (admin.ChatReply, error) {
	select {
	case h.chats <- struct{}{}:
		defer func() {
			h.idle.Reset(idleTime)
			<-h.chats
		}()
	default:
		return admin.ChatReply{}, admin.NewError(http.StatusServiceUnavailable, fmt.Sprintf("%d messages are being handled already", maxChats), "api/busy", "try again in a moment")
	}
	if req.Agent == "" {
		req.Agent = string(h.settings.Agents[0].Name)
	}
	who := h.agents[req.Agent]
	if who == nil {
		return admin.ChatReply{}, admin.NewError(http.StatusNotFound, fmt.Sprintf("there is no agent %q", req.Agent), "api/agent", "glovebox status")
	}
	if req.Session == "" {
		req.Session = newID()
	}
	h.refresh(ctx)
	w, err := h.current(ctx)
	if err != nil {
		return admin.ChatReply{}, err
	}
	c := conversation{abi.AgentID(req.Agent), abi.SessionID(req.Session)}
	span := h.ledger.begin(c)
	notes := h.hint(ctx, c, req.Message)
	reply, err := h.handle(ctx, who, c, w, req.Message, emit)
	rng := span.end()
	if err != nil {
		return admin.ChatReply{}, chatProblem(err)
	}
	out := admin.ChatReply{Reply: reply.Text, Session: req.Session, Agent: req.Agent, Calls: make([]admin.Call, 0, len(reply.Calls)), Notes: notes, Audit: rng}
	for _, r := range reply.Calls {
		out.Calls = append(out.Calls, h.callOf(&r))
	}
	return out, nil
}

// handle has the agent answer, between two records.
func (h *Host) handle(ctx context.Context, who *agent.Agent, c conversation, w *world, text string, emit func(admin.Event)) (agent.Reply, error) {
	received := audit.Entry{Event: "message.received", Actor: string(principalChat), Agent: c.agent, Session: c.session, Detail: map[string]string{"bytes": strconv.Itoa(len(text))}}
	if _, err := h.ledger.Append(ctx, received); err != nil {
		return agent.Reply{}, fmt.Errorf("record the message: %w", err)
	}
	in := agent.Inbound{Session: c.session, From: principalChat, Label: ownerLabel, Text: text, Dispatcher: w.dispatcher}
	if emit != nil {
		defer h.approvals.follow(c, emit)()
		in.Events = func(e agent.Event) {
			if e.Call != nil && e.Kind != agent.EventToolStarted {
				emit(admin.Event{Name: "call", Data: h.callOf(e.Call)})
			}
		}
	}
	own, _ := agent.OwnWords(text)
	defer h.memories.hear(c, own)()
	start := time.Now()
	reply, err := who.Handle(ctx, in)
	if keep := h.guard.Save(context.WithoutCancel(ctx), c.agent, c.session); keep != nil {
		h.log.Error("the guard's marks cannot be kept", "err", keep)
	}
	answered := audit.Entry{
		Event: "message.answered", Actor: "agent:" + string(c.agent), Agent: c.agent, Session: c.session, Outcome: "ok", Duration: time.Since(start),
		Durable: true, // whoever reads the reply finds its records in the log
		Detail:  map[string]string{"calls": strconv.Itoa(len(reply.Calls)), "model": reply.Model},
	}
	if err != nil {
		answered.Outcome = "error"
	}
	observer{h.ledger, h.log}.append(ctx, answered)
	return reply, err
}

func chatProblem(err error) error {
	var spent *agent.Refusal
	switch {
	case errors.As(err, &spent):
		return admin.NewError(http.StatusTooManyRequests, spent.Why, spent.Rule, spent.Fix)
	case errors.Is(err, agent.ErrInbound):
		return admin.NewError(http.StatusBadRequest, err.Error(), "agent/inbound", "")
	case errors.Is(err, agent.ErrBusy):
		return admin.NewError(http.StatusTooManyRequests, err.Error(), "agent/busy", "wait for the answers of this session")
	case errors.Is(err, context.DeadlineExceeded):
		return admin.NewError(http.StatusGatewayTimeout, "the message took too long", "agent/time", "")
	case errors.Is(err, context.Canceled):
		return admin.NewError(499, "the client went away, or the daemon is stopping", "agent/cancelled", "")
	case errors.Is(err, agent.ErrModel):
		return admin.NewError(http.StatusBadGateway, err.Error(), "agent/model", "")
	}
	return err
}

// callOf shows a report to the operator.
func (h *Host) callOf(r *agent.CallReport) admin.Call {
	c := admin.Call{
		ID: string(r.ID), Tool: r.Tool, Class: r.Class.String(), Verdict: r.Verdict.String(), Outcome: r.Outcome,
		Rule: r.Rule, Text: r.Text, Denials: []admin.Denial{}, DurationMS: float64(r.Duration.Microseconds()) / 1000,
	}
	if len(r.Args) > 0 {
		c.Arguments = rawJSON(r.Args)
	}
	if r.Outcome != agent.OutcomeOK && r.Why != "" {
		c.Why = r.Why
	}
	if r.Outcome == agent.OutcomeDenied {
		c.Denials = append(c.Denials, admin.Denial{Code: "denied", Message: r.Why, Rule: r.Rule, Hint: r.Fix})
	}
	for _, d := range r.Denials {
		c.Denials = append(c.Denials, admin.Denial{Code: string(d.Code), Message: d.Message, Capability: d.Capability, Rule: d.Rule, Hint: d.Hint})
	}
	return c
}

// Status implements admin.Backend.
func (h *Host) Status(ctx context.Context) (admin.Status, error) {
	w, err := h.current(ctx)
	if err != nil {
		return admin.Status{}, err
	}
	s := admin.Status{
		Version: h.version, Started: h.started.UTC(), UptimeS: time.Since(h.started).Seconds(), PID: os.Getpid(),
		Address: h.Address(), State: h.state.Dir(), Config: h.settings.File, Skills: len(w.skills),
		Pending: h.pending(ctx), Private: []string{}, Confined: "rlimits", Warnings: h.Warnings(),
		Hints: leaks.Available(), RSSBytes: residentBytes(), Goroutine: runtime.NumGoroutine(),
	}
	if h.chamber.Confinement().Bwrap {
		s.Confined = "bwrap and rlimits"
	}
	if s.Warnings == nil {
		s.Warnings = []string{}
	}
	for _, o := range h.opened() {
		s.Private = append(s.Private, string(o))
	}
	for _, a := range h.settings.Agents {
		view := admin.Agent{Name: string(a.Name), Model: h.agents[string(a.Name)].Model(), Tools: []string{}}
		for _, t := range w.dispatcher.Tools(abi.AgentID(a.Name)) {
			view.Tools = append(view.Tools, t.Name)
		}
		s.Agents = append(s.Agents, view)
	}
	last, err := h.audit.Tail(ctx, audit.Query{Limit: 1})
	s.Audit.OK = err == nil
	if len(last) > 0 {
		s.Audit.Records = last[len(last)-1].Seq
	}
	return s, nil
}

// Skills implements admin.Backend.
func (h *Host) Skills(ctx context.Context) ([]admin.Skill, error) {
	w, err := h.current(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]admin.Skill, 0, len(w.skills))
	for _, s := range w.skills {
		list = append(list, skillView(s))
	}
	return list, nil
}

func skillView(s standing) admin.Skill {
	v := admin.Skill{Dir: s.Dir, State: s.State, Why: s.Why, Hint: s.Hint, Grant: s.GrantFile, Tools: []admin.Tool{}, Agents: []string{}}
	for _, a := range s.Agents {
		v.Agents = append(v.Agents, string(a))
	}
	if s.Bundle == nil {
		return v
	}
	if s.Admission != nil {
		v.Publisher, v.Unchecked = s.Admission.Publisher, s.Admission.Open
	}
	m := &s.Bundle.Manifest.Manifest
	v.Name, v.Version, v.Description, v.Digest = string(m.Name), m.Version, m.Description, string(s.Bundle.Digest)
	for _, t := range s.Bundle.Manifest.Tools {
		v.Tools = append(v.Tools, admin.Tool{Name: string(t.Name), Description: t.Description, Class: s.Bundle.Descriptor(t.Name).Effect.Class().String()})
	}
	return v
}

// Audit implements admin.Backend.
func (h *Host) Audit(ctx context.Context, n int) ([]admin.AuditRecord, error) {
	records, err := h.audit.Tail(ctx, audit.Query{Limit: n})
	if err != nil {
		return nil, err
	}
	list := make([]admin.AuditRecord, 0, len(records))
	for _, r := range records {
		body, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		list = append(list, admin.AuditRecord{Seq: r.Seq, Time: r.Time, Event: string(r.Event), Record: body})
	}
	return list, nil
}

// Approvals implements admin.Backend.
func (h *Host) Approvals(ctx context.Context, past int) ([]admin.Approval, error) {
	return h.approvals.List(ctx, past)
}

// Approval implements admin.Backend.
func (h *Host) Approval(ctx context.Context, id string) (admin.Approval, error) {
	return h.approvals.Get(ctx, id)
}

// Decide implements admin.Backend.
func (h *Host) Decide(ctx context.Context, id string, d admin.Decision) error {
	return h.approvals.Decide(ctx, id, d)
}

// Endorsements implements admin.Backend.
func (h *Host) Endorsements(ctx context.Context) ([]approval.Endorsement, error) {
	return h.approvals.store.Endorsements(ctx)
}

// Revoke implements admin.Backend.
func (h *Host) Revoke(ctx context.Context, id string) error { return h.approvals.Revoke(ctx, id) }

// pending counts what waits for a person.
func (h *Host) pending(ctx context.Context) int {
	list, err := h.approvals.List(ctx, 0)
	if err != nil {
		h.log.Error("approvals cannot be listed", "err", err)
	}
	return len(list)
}

// residentBytes returns the resident memory of this process, 0 where the system does
// not tell.
func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
