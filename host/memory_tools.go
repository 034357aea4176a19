package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/memory"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// memorySkill names the host's own tools beside those of skills. No folder of skills
// may take the name.
const memorySkill abi.SkillName = "memory"

// errReserved refuses a skill that would pass for a part of the host.
var errReserved = errors.New("the name belongs to tools of the host itself; give the skill another")

// Bounds of one recall.
const (
	leastRecall  = 4 // below, the quarter for external rows would be none
	usualRecall  = 8
	mostRecall   = 20
	maxRecalled  = 4000 // bytes of text
	memoryAbout  = "Remembers facts across conversations; text of strangers is kept apart and never trusted"
	memoryFormat = "glovebox/memory-tools/v1" // changes with what the tools do
)

// memoryTools describes the tools. Their descriptors follow the rule for any tool:
// storing changes the agent's own workspace, searching reads, forgetting is for good.
func memoryTools() []agent.Spec {
	tool := func(name abi.ToolName, effect abi.Effect, args map[string]abi.Role, about, schema string) agent.Spec {
		return agent.Spec{
			Ref:        abi.ToolRef{Skill: memorySkill, Tool: name},
			Digest:     abi.DigestOf([]byte(memoryFormat + "\n" + string(name) + "\n" + schema)),
			Descriptor: abi.Descriptor{Name: name, Effect: effect, Args: args},
			Tool:       abi.Tool{Name: name, Description: about, InputSchema: json.RawMessage(schema)}, About: memoryAbout,
		}
	}
	return []agent.Spec{
		tool("store", abi.EffectLocal, map[string]abi.Role{"text": abi.RoleContent},
			"Remember a fact that the person tells, for later conversations",
			`{"type":"object","properties":{"text":{"type":"string","description":"the fact, in one sentence","minLength":1,"maxLength":8192,"examples":["my dentist is Dr Roe"]}},"required":["text"]}`),
		tool("search", abi.EffectRead, map[string]abi.Role{"query": abi.RoleContent, "limit": abi.RoleInert, "external": abi.RoleInert},
			"Recall what is known and remembered about something. Rows that strangers may have written come only with external",
			`{"type":"object","properties":{"query":{"type":"string","description":"words to look for","minLength":1,"maxLength":1024,"examples":["dentist"]},`+
				`"limit":{"type":"integer","minimum":1,"maximum":20,"description":"how many rows at most"},`+
				`"external":{"type":"boolean","description":"also rows that strangers may have written"}},"required":["query"]}`),
		tool("forget", abi.EffectIrreversible, map[string]abi.Role{"id": abi.RoleControl},
			"Forget one row of the memory for good. A person is asked first",
			`{"type":"object","properties":{"id":{"type":"integer","minimum":1,"description":"number of the row, as search shows it","examples":[12]}},"required":["id"]}`),
	}
}

// specs are the tools with what runs them; none where there is no memory.
func (m *memories) specs() []agent.Spec {
	if len(m.stores) == 0 {
		return nil
	}
	list := memoryTools()
	for i, do := range []memoryVerb{memoryCall.store, memoryCall.search, memoryCall.forget} {
		list[i].Native = true
		list[i].Impl = &memoryTool{memories: m, ref: list[i].Ref, digest: list[i].Digest, do: do}
	}
	return list
}

// granted reports whether id may use its memory: its list of skills names it, or "*".
func (m *memories) granted(id abi.AgentID) bool {
	for _, a := range m.agents {
		if abi.AgentID(a.Name) == id {
			return a.May(memorySkill) && m.stores[id] != nil
		}
	}
	return false
}

// memoryVerb does what one of the tools is for.
type memoryVerb func(memoryCall, context.Context) (agent.Outcome, error)

// memoryTool is one of the tools behind the dispatcher.
type memoryTool struct {
	memories *memories
	ref      abi.ToolRef
	digest   abi.Digest
	do       memoryVerb
}

var _ agent.Tool = (*memoryTool)(nil)

// Digest implements agent.Tool.
func (t *memoryTool) Digest() abi.Digest { return t.digest }

// memoryArgs are the arguments of all three, as their schemas admitted them.
type memoryArgs struct {
	Text     string    `json:"text"`
	Query    string    `json:"query"`
	Limit    int       `json:"limit"`
	External bool      `json:"external"`
	ID       memory.ID `json:"id"`
}

// memoryCall is one call, with the identity and the label that the gate gave it.
type memoryCall struct {
	*memories
	caller  abi.Caller
	rows    *memory.Store
	context label.Label // of all that led to the call
	args    memoryArgs
}

// Invoke implements agent.Tool.
func (t *memoryTool) Invoke(ctx context.Context, auth policy.Authorized, args json.RawMessage) (agent.Outcome, error) {
	caller, err := auth.Redeem(t.ref, t.digest, args)
	if err != nil {
		return agent.Outcome{}, err
	}
	c := memoryCall{memories: t.memories, caller: caller, rows: t.memories.stores[caller.Agent], context: contextOf(auth)}
	if c.rows == nil {
		return agent.Outcome{}, errFailed
	}
	if err := json.Unmarshal(args, &c.args); err != nil {
		return agent.Outcome{}, fmt.Errorf("arguments: %w", err)
	}
	return t.do(c, ctx)
}

// store remembers the text as the label of the call allows.
func (c memoryCall) store(ctx context.Context) (agent.Outcome, error) {
	w := memory.Write{
		Agent: c.caller.Agent, Writer: memory.ByTool, Kind: memory.KindFact, Text: c.args.Text, Context: &c.context,
		Origin: fmt.Sprintf("session %s, %s", c.caller.Session, c.caller.Call), Turn: c.turn(c.caller, c.args.Text),
	}
	id, verdict, err := c.rows.Write(ctx, w)
	e := c.entry("memory.written")
	e.Verdict = verdict.String()
	detail := map[string]string{"label": c.context.String(), "text": string(abi.DigestOf([]byte(c.args.Text)))}
	if err != nil {
		e.Outcome, detail["why"] = "denied", shownMemory(err).Error()
	}
	c.note(ctx, e, id, detail)
	if err != nil {
		return agent.Outcome{}, shownMemory(err)
	}
	text := fmt.Sprintf("Remembered as row %d.", id)
	if verdict == memory.Downgraded {
		text = fmt.Sprintf("Kept apart as row %d, not as the owner's word: this conversation has seen text that others may have written. It is recalled only on request.", id)
	}
	out := c.says(c.context, text)
	out.Minted = []string{fmt.Sprint(id)}
	return out, nil
}

// search recalls rows. Its result has the label of what it shows.
func (c memoryCall) search(ctx context.Context) (agent.Outcome, error) {
	limit := c.args.Limit
	if limit == 0 {
		limit = usualRecall
	}
	rows, err := c.rows.Recall(ctx, memory.Query{
		Agent: c.caller.Agent, Text: c.args.Query, K: max(min(limit, mostRecall), leastRecall),
		Reader: label.OwnerPrincipal, Context: c.context, External: c.args.External,
	})
	if err != nil {
		return agent.Outcome{}, shownMemory(err)
	}
	l, lines, size := label.Trusted(), []string{}, 0
	for _, r := range rows {
		if size += len(r.Text); size > maxRecalled && len(lines) > 0 {
			break
		}
		l = l.Join(r.Label)
		lines = append(lines, line(r))
	}
	if len(lines) == 0 {
		return c.says(l, "Nothing is remembered about that."), nil
	}
	return c.says(l, strings.Join(lines, "\n")), nil
}

// line shows a row. What a stranger may have written is quoted, so that it cannot pass
// for another row or for the host's words.
func line(r memory.Row) string {
	text := r.Text
	if r.Label.Integrity < label.Owner {
		text = agent.Quote(fmt.Sprintf("memory row %d, %s", r.ID, r.Label.Integrity), text).String()
	}
	return fmt.Sprintf("%d. (%s) %s", r.ID, r.At.Format("2006-01-02"), text)
}

// forget removes a row, after a person approved exactly that.
func (c memoryCall) forget(ctx context.Context) (agent.Outcome, error) {
	r, err := c.rows.Get(ctx, c.caller.Agent, c.args.ID)
	if err == nil {
		err = c.rows.Delete(ctx, c.caller.Agent, c.args.ID)
	}
	if err != nil {
		return agent.Outcome{}, shownMemory(err)
	}
	c.note(ctx, c.entry("memory.forgotten"), r.ID, map[string]string{"label": r.Label.String(), "origin": r.Origin, "digest": string(r.Digest())})
	return c.says(c.context, fmt.Sprintf("Forgot row %d.", r.ID)), nil
}

// maxAbout is how much of a row a card shows.
const maxAbout = 1000

// about tells whoever is asked which row would be forgotten.
func (m *memories) about(ctx context.Context, ask agent.Ask) string {
	rows := m.stores[ask.Agent]
	if rows == nil || ask.Tool != (abi.ToolRef{Skill: memorySkill, Tool: "forget"}).String() {
		return ""
	}
	var args memoryArgs
	if json.Unmarshal(ask.Args, &args) != nil {
		return ""
	}
	r, err := rows.Get(ctx, ask.Agent, args.ID)
	if err != nil {
		return "the row cannot be read"
	}
	if n := len(r.Text); n > maxAbout {
		r.Text = fmt.Sprintf("%s … (%d bytes)", strings.ToValidUTF8(r.Text[:maxAbout], ""), n)
	}
	return r.Text
}

func (c memoryCall) entry(event audit.Event) audit.Entry {
	e := entryOf(c.caller, event)
	e.Actor = "agent:" + string(c.caller.Agent)
	return e
}

// says is a result of the host's own words, or of rows, with its label.
func (c memoryCall) says(l label.Label, text string) agent.Outcome {
	return labelled(agent.Outcome{Result: abi.CallResult{Content: []abi.Content{{Type: "text", Text: text}}}}, l)
}

// shownMemory returns an error that is fit for a model.
func shownMemory(err error) error {
	for _, known := range []error{
		memory.ErrSecret, memory.ErrContext, memory.ErrTooLarge, memory.ErrFull, memory.ErrNoRow, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	return errors.New("the memory cannot be used; the daemon's log has the details")
}
