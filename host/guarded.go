package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/provenance"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/internal/guard"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// doors are the services of guests with the guard before each of them. What is looked
// at is what would be sent, written or shown; a refusal is a soft denial like any other.
type doors struct {
	guard *guard.Guard
	wasm.Services
}

// guarded returns services whose every way out passes the guard.
func guarded(g *guard.Guard, s wasm.Services) wasm.Services {
	d := &doors{g, s}
	if s.Fetch != nil {
		s.Fetch = guardedFetch{d}
	}
	if s.KV != nil {
		s.KV = guardedKV{d}
	}
	if s.Ask != nil {
		s.Ask = guardedAsk{d}
	}
	s.Screen = guardedFiles{d}
	return s
}

// pass returns the problem of the first value in texts.
func (d *doors) pass(ctx context.Context, sink guard.Sink, c abi.Caller, capability, recipient string, texts ...[]byte) *abi.Problem {
	p := guard.Place{Sink: sink, Agent: c.Agent, Session: c.Session, Call: c.Call, Recipient: abi.ToolRef{Skill: c.Skill, Tool: c.Tool}.String() + " " + recipient}
	var hit guard.Hit
	err := d.guard.Check(ctx, p, texts...)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &hit):
		return &abi.Problem{Code: abi.CodeDenied, Capability: capability, Rule: hit.Rule(), Message: hit.Error()}
	}
	return &abi.Problem{Code: abi.CodeInternal, Capability: capability, Message: "what passes could not be looked at"}
}

type guardedFetch struct{ *doors }

var _ wasm.Fetcher = guardedFetch{}

// Fetch implements wasm.Fetcher. The broker looks for secrets again, in what it decodes
// and in what comes back; this look adds the canary and pieces over several requests.
func (d guardedFetch) Fetch(ctx context.Context, c abi.Caller, r abi.Rights, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error) {
	texts := [][]byte{[]byte(req.URL), []byte(req.Method)}
	for _, name := range slices.Sorted(maps.Keys(req.Headers)) {
		texts = append(texts, []byte(name))
		for _, v := range req.Headers[name] {
			texts = append(texts, []byte(v))
		}
	}
	texts = append(texts, body)
	origin := "" // all that cannot be parsed is refused by the broker
	if u, err := abi.ParseURL(req.URL); err == nil {
		origin = string(u.Origin)
	}
	if p := d.pass(ctx, guard.Request, c, "http", origin, texts...); p != nil {
		return abi.FetchResponse{}, nil, p
	}
	return d.Services.Fetch.Fetch(ctx, c, r, req, body)
}

type guardedKV struct{ *doors }

var _ wasm.KV = guardedKV{}

// Get implements wasm.KV.
func (d guardedKV) Get(ctx context.Context, c abi.Caller, req abi.KVRequest) ([]byte, uint64, label.Label, error) {
	value, version, l, err := d.Services.KV.Get(ctx, c, req)
	if err == nil {
		if p := d.pass(ctx, guard.Result, c, "kv", "", value); p != nil { // stored before the secret was
			return nil, 0, l, p
		}
	}
	return value, version, l, err
}

// Set implements wasm.KV.
func (d guardedKV) Set(ctx context.Context, c abi.Caller, maxBytes int64, maxKeys int, req abi.KVRequest, value []byte, l label.Label) (uint64, label.Label, error) {
	if p := d.pass(ctx, guard.KV, c, "kv", "", []byte(req.Key), value); p != nil {
		return 0, label.Trusted(), p
	}
	return d.Services.KV.Set(ctx, c, maxBytes, maxKeys, req, value, l)
}

// Delete implements wasm.KV.
func (d guardedKV) Delete(ctx context.Context, c abi.Caller, req abi.KVRequest, l label.Label) (label.Label, error) {
	return d.Services.KV.Delete(ctx, c, req, l)
}

// List implements wasm.KV.
func (d guardedKV) List(ctx context.Context, c abi.Caller, req abi.KVRequest) (abi.KVListResult, label.Label, error) {
	return d.Services.KV.List(ctx, c, req)
}

type guardedAsk struct{ *doors }

var _ wasm.Asker = guardedAsk{}

// Ask implements wasm.Asker.
func (d guardedAsk) Ask(ctx context.Context, c abi.Caller, req abi.AskRequest) (abi.AskResult, error) {
	texts := [][]byte{[]byte(req.Question)}
	for _, choice := range req.Choices {
		texts = append(texts, []byte(choice))
	}
	if p := d.pass(ctx, guard.Question, c, "human", "", append(texts, req.Schema)...); p != nil {
		return abi.AskResult{}, p
	}
	return d.Services.Ask.Ask(ctx, c, req)
}

type guardedFiles struct{ *doors }

var _ wasm.Screen = guardedFiles{}

// Wrote implements wasm.Screen.
func (d guardedFiles) Wrote(ctx context.Context, c abi.Caller, path string, data []byte) *abi.Problem {
	return d.pass(ctx, guard.File, c, "files", path, data)
}

// Read implements wasm.Screen: a file of the agent may hold what the operator stored as
// a secret as well.
func (d guardedFiles) Read(ctx context.Context, c abi.Caller, path string, data []byte) *abi.Problem {
	return d.pass(ctx, guard.Result, c, "files", path, data)
}

// met records what the guard met. It is called before the text goes on.
func (h *Host) met(ctx context.Context, hit guard.Hit) {
	p := hit.Place
	e := audit.Entry{
		Event: "guard.hit", Actor: "host", Agent: p.Agent, Session: p.Session, Call: p.Call, Rule: hit.Rule(), Durable: true,
		Verdict: "deny", Outcome: string(hit.Action), Detail: map[string]string{"sink": string(p.Sink), "secret": hit.Secret, "form": hit.Form},
	}
	if p.Recipient != "" {
		e.Detail["recipient"] = p.Recipient
	}
	if marked, ok := h.guard.Compromised(p.Agent, p.Session); ok && marked == hit {
		e.Detail["session"] = "every call asks from now on"
	}
	observer{h.ledger, h.log}.append(ctx, e)
	h.log.WarnContext(ctx, "a known value was met", "sink", p.Sink, "secret", hit.Secret, "form", hit.Form, "agent", p.Agent, "session", p.Session, "action", hit.Action)
}

// Marked implements admin.Backend.
func (h *Host) Marked(context.Context) ([]admin.Conversation, error) {
	var list []admin.Conversation
	for _, hit := range h.guard.Marked() {
		p := hit.Place
		list = append(list, admin.Conversation{Agent: string(p.Agent), Session: string(p.Session), Sink: string(p.Sink), Secret: hit.Secret, Form: hit.Form, Rule: hit.Rule()})
	}
	return list, nil
}

// Clear implements admin.Backend.
func (h *Host) Clear(ctx context.Context, c admin.Conversation) error {
	agent, session := abi.AgentID(c.Agent), abi.SessionID(c.Session)
	if _, marked := h.guard.Compromised(agent, session); !marked {
		return admin.NewError(http.StatusNotFound, "no such conversation is marked", "api/conversations", "glovebox approval marked")
	}
	e := audit.Entry{Event: "guard.cleared", Actor: string(principalApprover), Agent: agent, Session: session, Durable: true}
	if _, err := h.ledger.Append(ctx, e); err != nil {
		return err // what is not recorded does not happen
	}
	if _, err := h.guard.Clear(ctx, agent, session); err != nil {
		return err
	}
	return h.approvals.store.EndSession(ctx, agent, session) // what was denied or endorsed in it holds no more
}

// guardKeeper keeps what the guard knows beside what each agent's sessions have seen.
type guardKeeper map[abi.AgentID]*provenance.Store

var _ guard.Keeper = guardKeeper{}

// Guarded implements guard.Keeper.
func (k guardKeeper) Guarded(ctx context.Context, agent abi.AgentID, session abi.SessionID) ([]byte, error) {
	if s := k[agent]; s != nil {
		return s.Guarded(ctx, session)
	}
	return nil, nil
}

// Guard implements guard.Keeper.
func (k guardKeeper) Guard(ctx context.Context, agent abi.AgentID, session abi.SessionID, state []byte, marked bool) error {
	if s := k[agent]; s != nil {
		return s.Guard(ctx, session, state, marked)
	}
	return nil
}

// markedWarnings names the conversations in which every call asks.
func (h *Host) markedWarnings() []string {
	var w []string
	for _, hit := range h.guard.Marked() {
		w = append(w, fmt.Sprintf("conversation %s of agent %s: %s; every call of it asks until \"glovebox approval clear %s %s\"",
			hit.Place.Session, hit.Place.Agent, hit.Error(), hit.Place.Agent, hit.Place.Session))
	}
	return w
}

// refresh has the guard know the secrets of this moment. Where the vault does not open,
// no secret can be used either.
func (h *Host) refresh(ctx context.Context) {
	if err := h.chamber.Vault.Refresh(ctx); err != nil {
		h.log.WarnContext(ctx, "secrets cannot be loaded", "err", err)
	}
}
