package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Errors of Handle.
var (
	ErrInbound = errors.New("message not accepted")
	ErrBusy    = errors.New("too many messages wait in this session")
	ErrModel   = errors.New("model failed")
	ErrState   = errors.New("what the session has seen cannot be kept")
)

// Options of an Agent. Model and Dispatcher are required; zero limits mean defaults.
type Options struct {
	ID         abi.AgentID
	Model      Model
	Dispatcher *Dispatcher
	System     System
	Start      gate.State // of a new session, by the operator; zero is tainted from the first word
	Sessions   Sessions   // keeps what sessions have seen; nil: only this process remembers

	MaxSteps    int // model turns for one message; 8
	MaxCalls    int // tool calls for one message; 16
	MaxText     int // bytes of a message and of a reply; 64 KiB
	MaxHistory  int // items kept of a session; 80
	MaxContext  int // bytes kept of a session; 256 KiB
	MaxSessions int // sessions kept in memory; 1000
	MaxState    int // bytes of text that all sessions have seen and that are in memory; 64 MiB. Others are read again from Sessions
	MaxWaiting  int // messages that wait for their turn in a session; 20
}

// Agent answers messages. It is safe for concurrent use: messages of one session are
// handled in order, different sessions at the same time.
type Agent struct {
	opts     Options
	sessions sessions
}

// New returns an agent.
func New(o Options) (*Agent, error) {
	if o.ID == "" || o.Model == nil || o.Dispatcher == nil {
		return nil, errors.New("agent needs an id, a model and a dispatcher")
	}
	for limit, fallback := range map[*int]int{
		&o.MaxSteps: 8, &o.MaxCalls: 16, &o.MaxText: 64 << 10, &o.MaxHistory: 80,
		&o.MaxContext: 256 << 10, &o.MaxSessions: 1000, &o.MaxState: 64 << 20, &o.MaxWaiting: 20,
	} {
		if *limit <= 0 {
			*limit = fallback
		}
	}
	a := &Agent{opts: o}
	a.sessions.limit, a.sessions.waiting = o.MaxSessions, o.MaxWaiting
	if o.Sessions != nil { // else memory is all there is
		a.sessions.room = o.MaxState
	}
	return a, nil
}

// Model returns the name of the agent's model.
func (a *Agent) Model() string { return a.opts.Model.Name() }

// Tools lists what the agent may call.
func (a *Agent) Tools() []ToolInfo { return a.opts.Dispatcher.Tools(a.opts.ID) }

// Handle answers one message.
//
// # Errors
//
//   - ErrInbound: no session, no sender, empty, too long or not UTF-8
//   - ErrBusy: the session's lane, or the table of sessions, is full
//   - ErrModel: the model returned an error or panicked; what ran before is in the Reply
//   - ErrState: what the session has seen could not be read or written
//   - the error of ctx
func (a *Agent) Handle(ctx context.Context, in Inbound) (Reply, error) {
	switch {
	case in.Session == "" || in.From == "":
		return Reply{}, fmt.Errorf("%w: no session or no sender", ErrInbound)
	case strings.TrimSpace(in.Text) == "":
		return Reply{}, fmt.Errorf("%w: it is empty", ErrInbound)
	case len(in.Text) > a.opts.MaxText:
		return Reply{}, fmt.Errorf("%w: %d bytes exceed %d", ErrInbound, len(in.Text), a.opts.MaxText)
	case !utf8.ValidString(in.Text):
		return Reply{}, fmt.Errorf("%w: it is not UTF-8", ErrInbound)
	}
	s, err := a.sessions.enter(ctx, in.Session)
	if err != nil {
		return Reply{}, err
	}
	defer a.sessions.leave(s)
	t := &turn{a: a, in: in, s: s, reply: Reply{Session: in.Session, Model: a.Model()}}
	if err := t.hear(ctx); err != nil {
		return Reply{}, err
	}
	s.items = append(s.items, Item{Role: RoleUser, Text: in.Text})
	err = t.loop(ctx)
	s.trim(a.opts.MaxHistory, a.opts.MaxContext)
	return t.reply, err
}

// turn handles one message in its session.
type turn struct {
	a     *Agent
	in    Inbound
	s     *session
	reply Reply
}

func (t *turn) loop(ctx context.Context) error {
	o := t.a.opts
	for t.reply.Steps < o.MaxSteps {
		if err := ctx.Err(); err != nil {
			return err
		}
		t.reply.Steps++
		next, err := t.think(ctx)
		if err != nil {
			t.s.items = append(t.s.items, Item{Role: RoleModel, Text: "(no answer: the model failed)"})
			return err
		}
		text := clean(cut(next.Text, o.MaxText))
		if len(next.Calls) == 0 {
			t.say(ctx, text)
			return nil
		}
		if room := o.MaxCalls - len(t.reply.Calls); len(next.Calls) > room {
			t.stop(ctx, "calls", fmt.Sprintf("Stopped: the model asked for more than %d tool calls.", o.MaxCalls))
			return nil
		}
		t.s.items = append(t.s.items, Item{Role: RoleModel, Text: text, Calls: bounded(next.Calls)})
		for _, call := range next.Calls {
			if err := t.call(ctx, call); err != nil {
				return err
			}
		}
	}
	t.stop(ctx, "steps", fmt.Sprintf("Stopped after %d steps without an answer.", o.MaxSteps))
	return nil
}

// think asks the model. A panic in it is an error like any other.
func (t *turn) think(ctx context.Context) (next Turn, err error) {
	defer func() {
		if v := recover(); v != nil {
			next, err = Turn{}, fmt.Errorf("%w: panic: %v", ErrModel, v)
		}
	}()
	prompt, err := t.prompt(ctx)
	if err != nil {
		return Turn{}, err
	}
	next, err = t.a.opts.Model.Next(ctx, prompt)
	if err != nil {
		// A provider's words may repeat the prompt; its chain matters as far as they do not.
		if clean := t.screen(ctx, err.Error()); clean != err.Error() {
			err = errors.New(clean)
		}
		err = fmt.Errorf("%w: %w", ErrModel, err)
	}
	return next, err
}

func (t *turn) call(ctx context.Context, call ToolCall) error {
	r := t.door().Dispatch(ctx, Request{
		Agent: t.a.opts.ID, Session: t.in.Session, From: t.in.From, Call: call, Events: t.in.Events,
		State: *t.s.state, Held: t.s.held.get,
	})
	ran := r.Outcome != OutcomeDenied
	if ran && call.AsHandle {
		t.hold(&r)
	}
	t.reply.Calls = append(t.reply.Calls, r)
	// What the model is about to see counts before it does: a result that is not kept
	// behind a handle, and the reason of a refusal, where strangers' bytes led to it.
	if ran && !call.AsHandle || !ran && r.Label != label.Trusted() {
		if err := t.saw(ctx, sourceOf(r)); err != nil {
			t.s.items = append(t.s.items, Item{Role: RoleTool, Result: &Result{CallID: cut(call.ID, 128), Tool: r.Tool, Ran: true, IsError: true, Denied: ErrState.Error()}})
			return err
		}
	}
	result := &Result{CallID: cut(call.ID, 128), Tool: r.Tool, IsError: r.IsError, Ran: ran}
	if len(call.Args) <= maxEchoedArgs {
		result.Args = call.Args
	}
	switch {
	case !result.Ran:
		result.Denied, result.Hint = r.Why+" (rule "+r.Rule+")", r.Fix
	case r.Outcome != OutcomeOK && r.Text == "":
		result.Data = Quote(r.Tool, r.Why)
	default:
		result.Data = Quote(r.Tool, r.Text)
	}
	for _, d := range r.Denials {
		result.Notes = append(result.Notes, d.Error())
	}
	t.s.items = append(t.s.items, Item{Role: RoleTool, Result: result})
	return nil
}

// door is the dispatcher of this message: one and the same for all its calls.
func (t *turn) door() *Dispatcher {
	if t.in.Dispatcher != nil {
		return t.in.Dispatcher
	}
	return t.a.opts.Dispatcher
}

func (t *turn) stop(ctx context.Context, why, text string) {
	t.reply.Stopped = why
	t.say(ctx, text)
}

func (t *turn) say(ctx context.Context, text string) {
	text = t.screen(ctx, text)
	t.reply.Text = text
	t.s.items = append(t.s.items, Item{Role: RoleModel, Text: text})
	if t.in.Events != nil {
		t.in.Events(Event{Kind: EventText, Text: text})
	}
}

// maxEchoedArgs is how long arguments may be to stay in the conversation.
const maxEchoedArgs = 4 << 10

// bounded copies calls for the history without oversized parts.
func bounded(calls []ToolCall) []ToolCall {
	kept := make([]ToolCall, len(calls))
	for i, c := range calls {
		kept[i] = ToolCall{ID: cut(c.ID, 128), Tool: clean(cut(c.Tool, 200))}
		if len(c.Args) <= maxEchoedArgs {
			kept[i].Args = c.Args
		}
	}
	return kept
}
