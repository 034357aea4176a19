package approval

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy"
)

// Surface is where people see cards: the API, a chat that was paired for approvals.
// No tool can write to one.
type Surface interface {
	// Name is what Approver.Surface and Message.Surface name.
	Name() string
	// Show presents a card, in full, to those who may answer. It ends with ctx. An
	// error says that nobody can see it here.
	Show(ctx context.Context, c Card) error
	// Settled says that an ask needs no answer any more. It must not block.
	Settled(o Outcome)
}

// Outcome tells a surface what became of an ask.
type Outcome struct {
	ID      ID
	Agent   abi.AgentID
	Session abi.SessionID
	State   State
	By      policy.Principal
}

// Message is what somebody wrote on a chat surface, as the adapter delivers it.
type Message struct {
	Surface      string
	Conversation string
	From         policy.Principal // immutable platform id, never a display name
	Verified     bool             // the platform vouches for From
	Secondhand   bool             // quoted, forwarded or attached: not the sender's own words
	Text         string
}

// ErrNoAnswer is returned for a message that is no answer. It changes nothing.
var ErrNoAnswer = errors.New("the message is not an answer to an approval")

// Hear takes a message of a chat surface for an answer, if it is exactly one: the
// sender's own words, from a verified identity, naming the ask by its id.
func (s *Store) Hear(ctx context.Context, m Message) error {
	c, err := ReadCommand(m.Text)
	if err != nil {
		return err
	}
	if m.Secondhand {
		return fmt.Errorf("%w: it is quoted or forwarded", ErrNoAnswer)
	}
	by := Approver{Principal: m.From, Surface: m.Surface, Conversation: m.Conversation}
	if !m.Verified {
		return s.refuse(ctx, by, row{ID: c.ID}, "not verified")
	}
	if c.Verb == VerbEndorse {
		return s.Endorse(ctx, by, c.ID, Value{Argument: c.Argument, Scope: c.Scope})
	}
	return s.Decide(ctx, by, c.ID, c.Verb == VerbApprove)
}

// Verb is what a Command asks for. The zero value is none.
type Verb string

// The verbs of a Command.
const (
	VerbApprove Verb = "approve"
	VerbDeny    Verb = "deny"
	VerbEndorse Verb = "endorse"
)

// Command is an answer that names its ask.
type Command struct {
	Verb     Verb
	ID       ID
	Argument string // of endorse
	Scope    Scope  // of endorse
}

// commandRE has no room for anything before, between or after.
var commandRE = regexp.MustCompile(`^/?(?:(approve|deny) ([a-z2-7]{16})|(endorse) ([a-z2-7]{16}) ([A-Za-z0-9_-]{1,64}) (once|session))$`)

// ReadCommand reads "approve ID", "deny ID" or "endorse ID ARGUMENT once|session", with
// or without a slash before it. Nothing else, and nothing that merely contains one, is
// a command.
func ReadCommand(text string) (Command, error) {
	m := commandRE.FindStringSubmatch(strings.Trim(text, " \r\n"))
	switch {
	case m == nil:
		return Command{}, ErrNoAnswer
	case m[3] != "":
		return Command{Verb: VerbEndorse, ID: ID(m[4]), Argument: m[5], Scope: Scope(m[6])}, nil
	}
	return Command{Verb: Verb(m[1]), ID: ID(m[2])}, nil
}

// Word is what an answer under one card says. The zero value is no answer.
type Word uint8

// The words.
const (
	Unclear Word = iota // not an answer: nothing happens, and silence denies
	No
	Yes
)

// ReadWord reads the answer under a card that leaves no doubt which ask is meant. Only
// a text that is, as a whole, y, yes or approve is a yes; one whose first word is a
// refusal is a no, whatever follows.
func ReadWord(text string) Word {
	text = strings.ToLower(strings.Trim(text, " \t\r\n"))
	switch text {
	case "y", "yes", "approve":
		return Yes
	}
	first := text
	if i := strings.IndexFunc(text, func(r rune) bool { return r < 'a' || r > 'z' }); i >= 0 {
		first = text[:i]
	}
	switch first {
	case "n", "no", "not", "deny", "don", "dont", "stop", "never", "cancel", "refuse", "reject":
		return No
	}
	return Unclear
}

// Valid reports whether id has the form of an id.
func (id ID) Valid() bool {
	return len(id) == 16 && strings.Trim(string(id), "abcdefghijklmnopqrstuvwxyz234567") == ""
}
