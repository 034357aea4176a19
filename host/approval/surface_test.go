package approval

import (
	"errors"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

const anID = "k3f7k3f7k3f7k3f7"

// Only exact words answer: a yes inside of another sentence is none.
func TestAnswersAreExact(t *testing.T) {
	t.Parallel()
	for text, word := range map[string]Word{
		"yes": Yes, " YES\n": Yes, "y": Yes, "approve": Yes,
		"no, do not go ahead": No, "no": No, "N": No, "Don't": No, "deny it, yes": No, "stop!": No, "NO YES": No, "never approve": No,
		"yes please": Unclear, "yes, but": Unclear, "oh yes": Unclear, "yesterday": Unclear, "go ahead": Unclear, "ok": Unclear, "": Unclear,
		"ye\u200bs": Unclear, "\uff59\uff45\uff53": Unclear, "у": Unclear, "> yes": Unclear, "\"yes\"": Unclear, "yes\x00": Unclear, "y es": Unclear, "yes.": Unclear,
		"nothing": Unclear, "approve " + anID: Unclear,
	} {
		if got := ReadWord(text); got != word {
			t.Errorf("%q reads as %d, want %d", text, got, word)
		}
	}
	for text, c := range map[string]Command{
		"approve " + anID:                           {Verb: VerbApprove, ID: anID},
		"/approve " + anID + "\n":                   {Verb: VerbApprove, ID: anID},
		"/deny " + anID:                             {Verb: VerbDeny, ID: anID},
		"/endorse " + anID + " recipient session":   {Verb: VerbEndorse, ID: anID, Argument: "recipient", Scope: ScopeSession},
		"endorse " + anID + " amount once":          {Verb: VerbEndorse, ID: anID, Argument: "amount", Scope: ScopeOnce},
		"please approve " + anID:                    {},
		"approve " + anID + " please":               {},
		"do not approve " + anID:                    {},
		"approve  " + anID:                          {},
		"Approve " + anID:                           {},
		"approve " + strings.ToUpper(anID):          {},
		"approve " + anID[1:]:                       {},
		"approve " + anID + "a":                     {},
		"approve " + anID + "\ndeny " + anID:        {},
		"approve\n" + anID:                          {},
		"//approve " + anID:                         {},
		"approve k3f9k3f9k3f9k3f9":                  {}, // no 9 in the alphabet
		"endorse " + anID + " amount":               {},
		"endorse " + anID + " amount always":        {},
		"endorse " + anID + " a b once":             {},
		"yes":                                       {},
		"":                                          {},
		"approve " + anID[:8] + "\u200b" + anID[8:]: {},
	} {
		got, err := ReadCommand(text)
		if got != c || (err == nil) != (c != Command{}) {
			t.Errorf("%q reads as %+v, %v", text, got, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"yes", "no, do not go ahead", "/approve " + anID, "endorse " + anID + " amount once", "yes\u200b", "approve"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		trimmed := strings.Trim(text, " \t\r\n")
		if ReadWord(text) == Yes && !strings.EqualFold(trimmed, "y") && !strings.EqualFold(trimmed, "yes") && !strings.EqualFold(trimmed, "approve") {
			t.Fatalf("%q is a yes", text)
		}
		c, err := ReadCommand(text)
		if err != nil {
			if c != (Command{}) {
				t.Fatalf("%q: an error and %+v", text, c)
			}
			return
		}
		back := string(c.Verb) + " " + string(c.ID)
		if c.Verb == VerbEndorse {
			back += " " + c.Argument + " " + string(c.Scope)
		}
		if got := strings.TrimPrefix(strings.Trim(text, " \r\n"), "/"); got != back || !c.ID.Valid() {
			t.Fatalf("%q reads as %+v", text, c)
		}
	})
}

// An answer in a chat counts only from a verified, listed operator, in their own words.
func TestChatAnswersNeedAVerifiedOperator(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	got := b.ask(request(args))
	id := string(b.waiting(1)[0].ID)
	good := Message{Surface: "ops", Conversation: "chat:ops", From: paired, Verified: true, Text: "/approve " + id}
	for name, x := range map[string]struct {
		change func(*Message)
		want   error
	}{
		"not verified":              {func(m *Message) { m.Verified = false }, ErrNotApprover},
		"forwarded":                 {func(m *Message) { m.Secondhand = true }, ErrNoAnswer},
		"not exact":                 {func(m *Message) { m.Text = "yes, /approve " + id }, ErrNoAnswer},
		"a plain yes":               {func(m *Message) { m.Text = "yes" }, ErrNoAnswer},
		"a peer":                    {func(m *Message) { m.From = "peer:bob" }, ErrNotApprover},
		"the agent":                 {func(m *Message) { m.From = "agent:home" }, ErrNotApprover},
		"another agent":             {func(m *Message) { m.From = "agent:work" }, ErrNotApprover},
		"the owner in the chat":     {func(m *Message) { m.From = "owner:emma" }, ErrNotApprover},
		"an operator not listed":    {func(m *Message) { m.From = "operator:chat:eve" }, ErrNotApprover},
		"nobody":                    {func(m *Message) { m.From = "" }, ErrNotApprover},
		"an empty name":             {func(m *Message) { m.From = "operator:" }, ErrNotApprover},
		"a look-alike":              {func(m *Message) { m.From = "оperator:chat:ops" }, ErrNotApprover},
		"a surface that is not":     {func(m *Message) { m.Surface = "web" }, ErrNotApprover},
		"the requesting chat":       {func(m *Message) { m.Conversation = "chat:emma" }, ErrNotApprover},
		"an id that is not":         {func(m *Message) { m.Text = "/approve aaaaaaaaaaaaaaaa" }, ErrUnknown},
		"endorsing what is no atom": {func(m *Message) { m.Text = "/endorse " + id + " amount once" }, ErrNoValue},
	} {
		m := good
		x.change(&m)
		want(t, name, b.Hear(t.Context(), m), x.want)
	}
	b.waiting(1)
	if err := b.Hear(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	if a := <-got; !a.approval.Granted || a.approval.By != paired {
		t.Errorf("%+v", a)
	}
}

// An answer on one surface ends the ask on all of them.
func TestAnswerOnOneSurfaceUpdatesTheOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	got := b.ask(request(args))
	id := b.waiting(1)[0].ID
	if err := b.Hear(t.Context(), Message{Surface: "ops", From: paired, Verified: true, Text: "/deny " + string(id)}); err != nil {
		t.Fatal(err)
	}
	<-got
	for _, s := range []*chat{b.api, b.chat} {
		s.mu.Lock()
		if len(s.cards) != 1 || s.cards[0].ID != id || len(s.settled) != 1 || s.settled[0].State != Denied || s.settled[0].By != paired {
			t.Errorf("%s: %d cards, settled %+v", s.name, len(s.cards), s.settled)
		}
		s.mu.Unlock()
	}
	var decided *DecidedError
	if err := b.Decide(t.Context(), byAPI, id, true); !errors.As(err, &decided) || decided.By != paired || decided.State != Denied || decided.At.IsZero() {
		t.Errorf("second answer: %v", err)
	}
}

// Each rule of the operator changes a verdict, the first that matches decides, and
// none loosens.
func TestRules(t *testing.T) {
	t.Parallel()
	list := proposed{Call: policy.Call{Agent: "home", Session: "s1", Requester: "owner:emma", Tool: abi.ToolRef{Skill: "bank", Tool: "list"}, Digest: module, Args: []byte(`{}`)}}
	send := callOf(`{}`)
	for _, x := range []struct {
		name  string
		rules Rules
		call  proposed
		want  gate.Verdict
		rule  gate.Rule
	}{
		{"none", nil, list, gate.VerdictAllow, gate.RuleLocal},
		{"a read that asks", Rules{{"bank.list", "", ActionAsk}}, list, gate.VerdictAsk, "approvals/rules[0]"},
		{"a read that is denied", Rules{{"bank.list", "home", ActionDeny}}, list, gate.VerdictDeny, "approvals/rules[0]"},
		{"another agent", Rules{{"bank.list", "work", ActionDeny}}, list, gate.VerdictAllow, gate.RuleLocal},
		{"another tool", Rules{{"bank.lists", "", ActionDeny}}, list, gate.VerdictAllow, gate.RuleLocal},
		{"another skill", Rules{{"bankx.*", "", ActionDeny}}, list, gate.VerdictAllow, gate.RuleLocal},
		{"a whole skill", Rules{{"bank.*", "", ActionDeny}}, list, gate.VerdictDeny, "approvals/rules[0]"},
		{"everything", Rules{{"*", "", ActionAsk}}, list, gate.VerdictAsk, "approvals/rules[0]"},
		{"the first decides", Rules{{"bank.list", "", ActionAsk}, {"*", "", ActionDeny}}, list, gate.VerdictAsk, "approvals/rules[0]"},
		{"the second decides", Rules{{"bank.send", "", ActionAsk}, {"*", "", ActionDeny}}, list, gate.VerdictDeny, "approvals/rules[1]"},
		{"asking does not loosen", Rules{{"bank.send", "", ActionAsk}}, send, gate.VerdictAsk, gate.RuleDestructive},
		{"an unknown action denies", Rules{{"bank.list", "", "allow"}}, list, gate.VerdictDeny, "approvals/rules[0]"},
	} {
		d := x.rules.Apply(decide(x.call), x.call.Call)
		if d.Verdict() != x.want || d.Rule() != x.rule {
			t.Errorf("%s: %v by %s, want %v by %s", x.name, d.Verdict(), d.Rule(), x.want, x.rule)
		}
	}
}
