package agent

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Sessions keeps what the sessions of one agent have seen, so that neither a restart
// nor the loss of a transcript makes a session trusted again.
type Sessions interface {
	// Load returns what a session has seen; one that is not known begins with start.
	Load(ctx context.Context, id abi.SessionID, start gate.State) (gate.State, error)
	// Heard and Read add to that, in order.
	Heard(ctx context.Context, id abi.SessionID, l label.Label, words string) error
	Read(ctx context.Context, id abi.SessionID, src gate.Source) error
}

// quotes is the source of what somebody quotes in a message.
var quotes = abi.ToolRef{Skill: "message", Tool: "quote"}

// forwardedRE finds the line that mail programs put before what somebody else wrote.
var forwardedRE = regexp.MustCompile(`(?i)^[-_ ]*(?:begin forwarded message:|(?:forwarded message|original message)[-_ ]*)$`)

// OwnWords parts a message into the sender's own words and what is quoted in it, which
// a stranger may have written: lines that begin with ">", fenced blocks, and all that
// follows the mark of a forwarded message.
func OwnWords(text string) (own, quoted string) {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(text)
	var words, others []string
	fence, forwarded := "", false
	for line := range strings.Lines(text) {
		bare := strings.TrimSpace(line)
		forwarded = forwarded || forwardedRE.MatchString(bare)
		switch {
		case fence != "":
			if strings.HasPrefix(bare, fence) {
				fence = ""
			}
			others = append(others, line)
		case strings.HasPrefix(bare, "```"), strings.HasPrefix(bare, "~~~"):
			fence = bare[:3]
			others = append(others, line)
		case forwarded, strings.HasPrefix(bare, ">"), strings.HasPrefix(bare, "＞"):
			others = append(others, line)
		default:
			words = append(words, line)
		}
	}
	return strings.Join(words, ""), strings.Join(others, "")
}

// hear adds the message to what the session has seen. What it quotes is not the
// sender's own words.
func (t *turn) hear(ctx context.Context) error {
	if t.s.state == nil {
		state := t.a.opts.Start
		if t.a.opts.Sessions != nil {
			var err error
			if state, err = t.a.opts.Sessions.Load(ctx, t.in.Session, state); err != nil {
				return fmt.Errorf("%w: %w", ErrState, err)
			}
		}
		t.s.state = &state
	}
	words, quoted := OwnWords(t.in.Text)
	// What is kept of a message holds no known secret.
	redact := t.door().cfg.Guard.Redact
	own := redact(words)
	if t.a.opts.Sessions != nil {
		if err := t.a.opts.Sessions.Heard(ctx, t.in.Session, t.in.Label, own); err != nil {
			return t.lost(err)
		}
	}
	*t.s.state = t.s.state.Hear(t.in.Label, own)
	if len(quoted) == 0 {
		return nil
	}
	return t.saw(ctx, gate.Source{Tool: quotes, Label: label.Label{Readers: t.in.Label.Readers}, Text: redact(quoted)})
}

// saw adds a result to what the session has seen.
func (t *turn) saw(ctx context.Context, src gate.Source) error {
	if t.a.opts.Sessions != nil {
		if err := t.a.opts.Sessions.Read(context.WithoutCancel(ctx), t.in.Session, src); err != nil {
			return t.lost(err)
		}
	}
	*t.s.state = t.s.state.Read(src)
	return nil
}

// lost forgets a state that differs from the one that is kept.
func (t *turn) lost(err error) error {
	t.s.state = nil
	return fmt.Errorf("%w: %w", ErrState, err)
}

// sourceOf is what the model learns from a call that ran.
func sourceOf(r CallReport) gate.Source {
	ref, err := abi.ParseToolRef(r.Tool)
	if err != nil {
		ref = abi.ToolRef{} // no tool of that name exists, so this cannot be
	}
	text := r.Text
	if text == "" {
		text = r.Why
	}
	if r.Outcome == OutcomeDenied {
		r.Effect = abi.EffectUnknown // a reason vouches for nothing
	}
	return gate.Source{Tool: ref, Effect: r.Effect, Label: r.Label, Text: text, Minted: r.minted, Fetched: r.fetched}
}

// hold keeps the result of a call in the host; what is left of it in r says nothing
// but a handle, a type and a rough length.
func (t *turn) hold(r *CallReport) {
	src := sourceOf(*r)
	handle := t.s.held.put(Held{Text: src.Text, Tool: src.Tool, Label: src.Label})
	r.Text, r.Structured, r.Denials, r.Truncated = receipt(handle, src.Text), nil, nil, false
	if r.Outcome != OutcomeOK {
		r.Why = "the result is behind the handle"
	}
	r.Label = label.Trusted()
}
