package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/guard"
)

// prompt assembles what the model sees: the items of the session without known secrets,
// which stay replaced, and the system role with the conversation's canary.
func (t *turn) prompt(ctx context.Context) (Prompt, error) {
	door, id := t.door(), t.a.opts.ID
	g := door.cfg.Guard
	canary, err := g.Canary(id, t.in.Session)
	if err != nil {
		return Prompt{}, fmt.Errorf("%w: %w", ErrModel, err)
	}
	for i := range t.s.items {
		t.clean(ctx, &t.s.items[i])
	}
	p := Prompt{System: t.a.opts.System.guarded(g.Redact, canary), Items: append([]Item(nil), t.s.items...), Tools: door.Tools(id)}
	for i := range p.Tools {
		tool := &p.Tools[i]
		for _, text := range []*string{&tool.Name, &tool.Title, &tool.Description, &tool.About} {
			*text = g.Redact(*text)
		}
		if tool.Schema, err = g.RedactJSON(tool.Schema); err != nil {
			return Prompt{}, fmt.Errorf("%w: the schema of tool %q: %w", ErrModel, tool.Name, err)
		}
	}
	return p, nil
}

// clean takes known secrets out of an item. Each is reported once, because it stays out.
func (t *turn) clean(ctx context.Context, it *Item) {
	text := func(s *string) { *s = t.through(ctx, guard.Prompt, "", *s) }
	doc := func(b *json.RawMessage) {
		clean, err := t.door().cfg.Guard.CleanJSON(ctx, t.place(guard.Prompt, ""), *b)
		if err != nil {
			clean = nil
		}
		*b = clean
	}
	text(&it.Text)
	for i := range it.Calls {
		text(&it.Calls[i].ID)
		text(&it.Calls[i].Tool)
		doc(&it.Calls[i].Args)
	}
	if r := it.Result; r != nil {
		for _, s := range []*string{&r.CallID, &r.Tool, &r.Denied, &r.Hint, &r.Data.source, &r.Data.body} {
			text(s)
		}
		for i := range r.Notes {
			text(&r.Notes[i])
		}
		doc(&r.Args)
	}
}

// screen returns the text of a reply as it may be shown.
func (t *turn) screen(ctx context.Context, text string) string {
	return t.through(ctx, guard.Reply, string(t.in.From), text)
}

func (t *turn) through(ctx context.Context, sink guard.Sink, recipient, text string) string {
	clean, err := t.door().cfg.Guard.Clean(ctx, t.place(sink, recipient), text)
	if err != nil {
		return withheld(err)
	}
	return clean
}

func (t *turn) place(sink guard.Sink, recipient string) guard.Place {
	return guard.Place{Sink: sink, Agent: t.a.opts.ID, Session: t.in.Session, Recipient: recipient}
}

// withheld stands for a text that may not be shown.
func withheld(err error) string {
	rule := ""
	if hit := (guard.Hit{}); errors.As(err, &hit) {
		rule = " (rule " + hit.Rule() + ")"
	}
	return "Withheld: " + err.Error() + rule + "."
}

func (p *passage) place(sink guard.Sink) guard.Place {
	return guard.Place{Sink: sink, Agent: p.req.Agent, Session: p.req.Session, Call: p.report.ID, Recipient: p.report.Tool}
}

// wary makes everything ask in a conversation in which a known value came to a place
// where none should be, until the operator clears it.
func (p *passage) wary(d policy.Decision) policy.Decision {
	met, marked := p.d.cfg.Guard.Compromised(p.req.Agent, p.req.Session)
	if !marked {
		return d
	}
	return d.Stricter(gate.VerdictAsk, guard.RuleCompromised,
		fmt.Sprintf("in this conversation %s, so that every call of it asks", met.Error()),
		"look at the audit log, then glovebox approval clear "+string(p.req.Agent)+" "+string(p.req.Session)+", or start a new conversation")
}

// guarded refuses a call whose arguments hold a known value, by themselves or after
// those of earlier calls of the tool. The report does not repeat them.
func (p *passage) guarded(ctx context.Context, args json.RawMessage) bool {
	err := p.d.cfg.Guard.CheckJSON(ctx, p.place(guard.Arguments), args)
	if err == nil {
		return true
	}
	p.report.Args = nil
	rule := guard.RuleSecret
	if hit := (guard.Hit{}); errors.As(err, &hit) {
		rule = hit.Rule()
	}
	return p.refuse(rule, err.Error(), "glovebox audit tail")
}

// screen returns text of a tool, or its name, as the model and the operator may see it.
func (p *passage) screen(ctx context.Context, text string) string {
	clean, err := p.d.cfg.Guard.Clean(ctx, p.place(guard.Result), text)
	if err != nil {
		return withheld(err)
	}
	return clean
}

func (p *passage) screenJSON(ctx context.Context, doc json.RawMessage) json.RawMessage {
	clean, err := p.d.cfg.Guard.CleanJSON(ctx, p.place(guard.Result), doc)
	if err != nil {
		return nil
	}
	return clean
}
