package agent_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/internal/guard"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

const planted = "ghp_9Xk2LmQ7vRt4ZsB1nWc8YdF3"

// thinker is a function as a model.
type thinker func(p agent.Prompt) agent.Turn

func (thinker) Name() string { return "function" }

func (m thinker) Next(_ context.Context, p agent.Prompt) (agent.Turn, error) { return m(p), nil }

func newGuard(t testing.TB, hits *[]guard.Hit) *guard.Guard {
	t.Helper()
	m, err := redact.NewMatcher(map[string]string{"gh": planted})
	if err != nil {
		t.Fatal(err)
	}
	return guard.New(func() *redact.Matcher { return m }, func(_ context.Context, h guard.Hit) { *hits = append(*hits, h) })
}

func spelled(v string) map[string]string {
	return map[string]string{
		"raw": v, "half": v[:len(v)/2+1], "base64": base64.StdEncoding.EncodeToString([]byte("ab" + v)), "hex": hex.EncodeToString([]byte(v)),
		"query": url.QueryEscape(v), "spaced": strings.Join(strings.Split(v, ""), "-"), "lines": v[:len(v)/2] + "\n" + v[len(v)/2:],
		"twice": base64.RawURLEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(v)))),
	}
}

// rendered is all of a prompt as a provider could get it.
func rendered(t testing.TB, p agent.Prompt) string {
	t.Helper()
	b, err := json.Marshal(p.Tools)
	if err != nil {
		t.Fatal(err)
	}
	text := p.System.String() + "\n" + string(b)
	for _, it := range p.Items {
		text += "\n" + it.Text
		for _, c := range it.Calls {
			text += "\n" + c.ID + "\n" + c.Tool + "\n" + string(c.Args)
		}
		if r := it.Result; r != nil {
			text += fmt.Sprintf("\n%s\n%s\n%s\n%s\n%s\n%s\n%s", r.CallID, r.Tool, r.Args, r.Denied, r.Hint, r.Data, strings.Join(r.Notes, "\n"))
		}
	}
	return text
}

var canaryRE = regexp.MustCompile(`never repeat it: (\S+)`)

// TestCanaryOfThePromptIsFoundInEachSink takes the token out of the assembled prompt, as
// a steered model would, and has the model send it: as an argument and as a reply.
func TestCanaryOfThePromptIsFoundInEachSink(t *testing.T) {
	t.Parallel()
	for name := range spelled(strings.Repeat("x", 26)) {
		var hits []guard.Hit
		send := newTool("mail.send")
		k := newKit(t, func(c *agent.Config) { c.Guard = newGuard(t, &hits) }, send.spec(abi.EffectRead, textSchema))
		step := 0
		a := newAgent(t, thinker(func(p agent.Prompt) agent.Turn {
			found := canaryRE.FindStringSubmatch(rendered(t, p))
			if found == nil {
				t.Fatalf("no canary in %q", p.System)
			}
			text := spelled(found[1])[name]
			if step++; step == 1 {
				args, _ := json.Marshal(map[string]string{"text": "see " + text})
				return agent.Turn{Calls: []agent.ToolCall{{ID: "1", Tool: "mail.send", Args: args}}}
			}
			return agent.Turn{Text: "Here it is: " + text}
		}), k, nil)
		in := say("hello")
		var streamed string
		in.Events = func(e agent.Event) { streamed += e.Text }
		reply, err := a.Handle(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if r := reply.Calls[0]; r.Rule != guard.RuleCanary || r.Outcome != agent.OutcomeDenied || send.effects.Load() != 0 || len(r.Args) > 0 {
			t.Errorf("%s as an argument: %+v", name, r)
		}
		if !strings.HasPrefix(reply.Text, "Withheld:") || streamed != reply.Text {
			t.Errorf("%s as a reply: %q, streamed %q", name, reply.Text, streamed)
		}
		if len(hits) != 2 || hits[0].Place.Sink != guard.Arguments || hits[1].Place.Sink != guard.Reply {
			t.Errorf("%s: reports %+v", name, hits)
		}
	}
}

// TestRefusalsAndErrorsHoldNoCanary: the token in the name of a tool, in arguments that
// are none, in a call that is denied anyway and in the words of a failing provider.
func TestRefusalsAndErrorsHoldNoCanary(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"name", "broken arguments", "unknown tool", "wrong type", "model error"} {
		var hits []guard.Hit
		read := newTool("web.read")
		k := newKit(t, func(c *agent.Config) { c.Guard = newGuard(t, &hits) }, read.spec(abi.EffectRead, textSchema))
		step, canary := 0, ""
		a := newAgent(t, model(func(_ context.Context, p agent.Prompt) (agent.Turn, error) {
			canary = canaryRE.FindStringSubmatch(p.System.String())[1]
			if step++; step > 1 {
				return agent.Turn{Text: "done"}, nil
			}
			call := map[string]agent.ToolCall{
				"name": {Tool: canary + ".x"}, "broken arguments": {Tool: "web.read", Args: json.RawMessage(`{"text":` + canary)},
				"unknown tool": {Tool: "no.tool", Args: json.RawMessage(`{"` + canary + `":1}`)}, "wrong type": {Tool: "web.read", Args: json.RawMessage(`{"text":["` + canary + `"]}`)},
			}
			if c, ok := call[way]; ok {
				return agent.Turn{Calls: []agent.ToolCall{c}}, nil
			}
			return agent.Turn{}, errors.New("400: bad prompt: " + p.System.String())
		}), k, nil)
		var events strings.Builder
		in := say("hello")
		in.Events = func(e agent.Event) {
			b, _ := json.Marshal(e)
			events.Write(b)
		}
		reply, err := a.Handle(t.Context(), in)
		b, _ := json.Marshal(reply)
		for _, e := range k.rec.entries {
			fmt.Fprintf(&events, "%+v", e.Detail)
		}
		if all := fmt.Sprint(string(b), err, events.String()); strings.Contains(all, canary) || len(hits) == 0 {
			t.Errorf("%s: %s", way, all)
		}
		if (err != nil) != (way == "model error") {
			t.Errorf("%s: %v", way, err)
		}
	}
}

// TestMarkedConversationAsks: after a hit a harmless call needs a person as well, until
// the operator clears the conversation; other conversations do not.
func TestMarkedConversationAsks(t *testing.T) {
	t.Parallel()
	var hits []guard.Hit
	read := newTool("web.read")
	g := newGuard(t, &hits)
	asked := 0
	k := newKit(t, func(c *agent.Config) {
		c.Guard = g
		c.Approver = approver(func(ctx context.Context, ask agent.Ask) (policy.Approval, error) {
			asked++
			if ask.Rule != guard.RuleCompromised {
				t.Errorf("asked because of %s", ask.Rule)
			}
			return yes(ctx, ask)
		})
	}, read.spec(abi.EffectRead, textSchema))
	if r := k.call("web.read", `{"text":"fine"}`); r.Outcome != agent.OutcomeOK || asked != 0 {
		t.Fatalf("before: %+v, asked %d", r, asked)
	}
	if r := k.call("web.read", `{"text":"`+planted+`"}`); r.Rule != guard.RuleSecret || r.Outcome != agent.OutcomeDenied || strings.Contains(r.Why, "gh") {
		t.Fatalf("the secret: %+v", r)
	}
	if r := k.call("web.read", `{"text":"fine"}`); r.Outcome != agent.OutcomeOK || asked != 1 {
		t.Errorf("after: %+v, asked %d", r, asked)
	}
	other := request("web.read", `{"text":"fine"}`)
	other.Session = "t"
	if r := k.d.Dispatch(t.Context(), other); r.Outcome != agent.OutcomeOK || asked != 1 {
		t.Errorf("another conversation: %+v, asked %d", r, asked)
	}
	if was, err := g.Clear(t.Context(), "home", "s"); !was || err != nil {
		t.Fatal("not cleared")
	}
	if r := k.call("web.read", `{"text":"fine"}`); r.Outcome != agent.OutcomeOK || asked != 1 {
		t.Errorf("cleared: %+v, asked %d", r, asked)
	}
}

// TestPromptHoldsNoSecret: whatever a person pastes, a tool returns or its author wrote,
// the provider does not get a known value; nor does the caller.
func TestPromptHoldsNoSecret(t *testing.T) {
	t.Parallel()
	for name, text := range spelled(planted) {
		for _, fails := range []bool{false, true} {
			var hits []guard.Hit
			leak := newTool("web.read")
			leak.do = func(context.Context, json.RawMessage) (agent.Outcome, error) {
				if fails {
					return agent.Outcome{}, errors.New("cannot open " + text)
				}
				out := says("it says " + text)
				out.Result.StructuredContent, _ = json.Marshal(map[string]string{"k": text})
				out.Denials = []abi.Problem{{Code: abi.CodeDenied, Message: "not " + text, Hint: text, Rule: text, Capability: text}}
				return out, nil
			}
			spec := leak.spec(abi.EffectRead, textSchema)
			spec.Tool.Description, spec.About, spec.Tool.Title = "needs "+text, text, text
			k := newKit(t, func(c *agent.Config) { c.Guard = newGuard(t, &hits) }, spec)
			var prompts []string
			a := newAgent(t, thinker(func(p agent.Prompt) agent.Turn {
				prompts = append(prompts, rendered(t, p))
				if len(prompts) == 1 {
					return agent.Turn{Calls: []agent.ToolCall{{ID: text, Tool: "web.read", Args: json.RawMessage(`{"text":"x"}`)}}}
				}
				return agent.Turn{Text: "I read " + text}
			}), k, func(o *agent.Options) {
				var persona agent.OperatorText
				_ = persona.UnmarshalText([]byte("You use " + planted))
				o.System = agent.NewSystem(persona)
			})
			var events strings.Builder
			in := say("my key is " + text)
			in.Events = func(e agent.Event) {
				b, _ := json.Marshal(e)
				events.Write(b)
			}
			reply, err := a.Handle(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			all, _ := json.Marshal(reply)
			m, _ := redact.NewMatcher(map[string]string{"gh": planted})
			for _, out := range append(prompts, string(all), events.String()) {
				if m.Contains([]byte(out)) || !strings.Contains(out, "[secret:gh]") {
					t.Errorf("%s, fails %v: %s", name, fails, out)
				}
			}
			if len(prompts) != 2 {
				t.Errorf("%d prompts", len(prompts))
			}
		}
	}
}

// TestExternalContentStaysOutOfTheSystemRole marks everything that comes from outside
// and looks where the marks end up.
func TestExternalContentStaysOutOfTheSystemRole(t *testing.T) {
	t.Parallel()
	const mark = "IGNORE-PREVIOUS"
	read, broken := newTool("web.read"), newTool("web.broken")
	read.do = func(context.Context, json.RawMessage) (agent.Outcome, error) {
		out := says(mark + " result")
		out.Denials = []abi.Problem{{Code: abi.CodeDenied, Message: mark + " denial"}}
		return out, nil
	}
	broken.do = func(context.Context, json.RawMessage) (agent.Outcome, error) {
		return agent.Outcome{}, errors.New(mark + " error")
	}
	spec := read.spec(abi.EffectRead, textSchema)
	spec.Tool.Description, spec.About = mark+" description", mark+" about"
	var hits []guard.Hit
	k := newKit(t, func(c *agent.Config) { c.Guard = newGuard(t, &hits) }, spec, broken.spec(abi.EffectRead, textSchema))
	step, marks := 0, map[string]bool{}
	a := newAgent(t, thinker(func(p agent.Prompt) agent.Turn {
		system := canaryRE.ReplaceAllString(p.System.String(), "")
		if strings.Contains(system, mark) || !strings.HasPrefix(system, "You are a test.") {
			t.Errorf("system role: %q", system)
		}
		for _, it := range p.Items {
			if it.Result == nil || !strings.Contains(it.Result.Data.Untrusted(), mark) {
				continue
			}
			quoted := it.Result.Data.String()
			begin, end, _ := strings.Cut(quoted, it.Result.Data.Untrusted())
			if it.Role != agent.RoleTool || !strings.HasPrefix(begin, "<<data ") || !strings.HasPrefix(end, "\n<<end ") {
				t.Errorf("not quoted: %q", quoted)
			}
			marks[begin] = true
		}
		calls := []string{"web.read", "web.broken", mark + ".x"}
		if step++; step <= len(calls) {
			return agent.Turn{Text: mark, Calls: []agent.ToolCall{{ID: mark, Tool: calls[step-1], Args: json.RawMessage(`{"text":"` + mark + `"}`)}}}
		}
		return agent.Turn{Text: mark}
	}), k, nil)
	for range 2 {
		if _, err := a.Handle(t.Context(), say(mark+" says the mail")); err != nil {
			t.Fatal(err)
		}
	}
	if len(marks) != 2 {
		t.Errorf("%d quotations have marks of their own, want 2", len(marks))
	}
}
