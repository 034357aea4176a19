package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

func TestAdmittedCallIsRecordedBeforeAndAfter(t *testing.T) {
	t.Parallel()
	add := newTool("notes.add")
	var seen []string
	k := newKit(t, nil, add.spec(abi.EffectLocal, textSchema))
	add.do = func(context.Context, json.RawMessage) (agent.Outcome, error) {
		seen = k.rec.events()
		return says("saved"), nil
	}
	var events []agent.EventKind
	req := request("notes.add", ` { "text" : "milk" } `)
	req.Events = func(e agent.Event) { events = append(events, e.Kind) }
	r := k.d.Dispatch(context.Background(), req)
	if r.Verdict != gate.VerdictAllow || r.Outcome != agent.OutcomeOK || r.Text != "saved" || r.Rule != "gate/local" || r.Seq != 1 || r.OutcomeSeq != 2 {
		t.Errorf("%+v", r)
	}
	if !slices.Equal(seen, []string{"tool.intent notes.add "}) {
		t.Errorf("before the effect the log held %q", seen)
	}
	if e := k.rec.entries[0]; !e.Durable || string(e.Args) != `{"text":"milk"}` || e.Actor != "agent:home" || e.ToolDigest == "" || e.Detail["requester"] != "owner:emma" {
		t.Errorf("intent %+v", e)
	}
	if want := []string{"tool.intent notes.add ", "tool.outcome notes.add ok"}; !slices.Equal(k.rec.events(), want) {
		t.Errorf("log %q", k.rec.events())
	}
	if !slices.Equal(events, []agent.EventKind{agent.EventToolStarted, agent.EventToolFinished}) {
		t.Errorf("events %v", events)
	}
}

func TestToolSeesCanonicalArguments(t *testing.T) {
	t.Parallel()
	echo := newTool("echo.say")
	k := newKit(t, nil, echo.spec(abi.EffectRead, `{"type":"object","additionalProperties":true}`))
	if r := k.call("echo.say", "{ \"b\":1.0,\n\"a\":\"\\u0041\" }"); r.Text != `{"a":"A","b":1}` {
		t.Errorf("%+v", r)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	deep := `{"text":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`
	tests := []struct{ name, tool, args, rule string }{
		{"unknown tool", "notes.nothing", `{}`, "gate/unknown-tool"},
		{"no tool name at all", "rm -rf /", `{}`, "gate/unknown-tool"},
		{"empty tool name", "", `{}`, "gate/unknown-tool"},
		{"tool name of 1 MiB", strings.Repeat("a", 1<<20), `{}`, "gate/unknown-tool"},
		{"tool name in another case", "notes.Add", `{"text":"a"}`, "gate/unknown-tool"},
		{"look-alike tool name", "nоtes.add", `{"text":"a"}`, "gate/unknown-tool"},
		{"tool name with a zero-width space", "notes.add\u200b", `{"text":"a"}`, "gate/unknown-tool"},
		{"tool of another agent", "notes.secret", `{"text":"a"}`, "gate/not-granted"},
		{"required argument missing", "notes.add", `{}`, "door/arguments"},
		{"no arguments", "notes.add", ``, "door/arguments"},
		{"wrong type", "notes.add", `{"text":7}`, "door/arguments"},
		{"unknown argument", "notes.add", `{"text":"a","to":"b"}`, "door/arguments"},
		{"confirmation by argument", "notes.add", `{"text":"a","_confirmed":true}`, "door/arguments"},
		{"confirmation by argument of an open schema", "open.delete", `{"_confirmed":true}`, "door/arguments"},
		{"identity by argument", "open.delete", `{"_agentId":"root"}`, "door/arguments"},
		{"duplicate argument", "notes.add", `{"text":"a","text":"b"}`, "door/arguments"},
		{"list for arguments", "notes.add", `["a"]`, "gate/arguments"},
		{"null for arguments", "notes.add", `null`, "gate/arguments"},
		{"no JSON", "notes.add", `{text:a}`, "door/arguments"},
		{"invalid UTF-8", "notes.add", "{\"text\":\"\xff\"}", "door/arguments"},
		{"lone surrogate", "notes.add", `{"text":"\ud800"}`, "door/arguments"},
		{"10,000 levels deep", "notes.add", deep, "door/arguments"},
		{"huge arguments", "notes.add", `{"text":"` + strings.Repeat("a", 2<<20) + `"}`, "door/arguments"},
		{"an integer that a double rounds", "open.delete", `{"n":9007199254740993}`, "door/arguments"},
		{"destructive without approver", "open.delete", `{"path":"a"}`, "door/no-approver"},
		{"undeclared without approver", "odd.thing", `{"text":"a"}`, "door/no-approver"},
		{"changed module", "notes.moved", `{"text":"a"}`, "gate/digest"},
	}
	add, secret, del, odd, moved := newTool("notes.add"), newTool("notes.secret"), newTool("open.delete"), newTool("odd.thing"), newTool("notes.moved")
	movedSpec := moved.spec(abi.EffectRead, textSchema)
	moved.digest = abi.DigestOf([]byte("swapped after install"))
	k := newKit(t, func(c *agent.Config) {
		c.Grants["home"] = slices.DeleteFunc(c.Grants["home"], func(r abi.ToolRef) bool { return r == secret.ref })
	},
		add.spec(abi.EffectLocal, textSchema), secret.spec(abi.EffectRead, textSchema),
		del.spec(abi.EffectIrreversible, `{"type":"object","additionalProperties":true}`),
		odd.spec(abi.EffectUnknown, textSchema), movedSpec)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := k.call(tt.tool, tt.args)
			if r.Verdict != gate.VerdictDeny || r.Rule != tt.rule || r.Outcome != agent.OutcomeDenied || r.Why == "" || r.Fix == "" || r.Seq == 0 || r.OutcomeSeq != 0 {
				t.Errorf("%+v, want rule %s", r, tt.rule)
			}
			if len(r.Why) > 1024 || len(r.Tool) > 512 {
				t.Errorf("the report repeats %d bytes of hostile text", len(r.Why)+len(r.Tool))
			}
		})
	}
	for _, x := range []*tool{add, secret, del, odd, moved} {
		if n := x.effects.Load(); n != 0 {
			t.Errorf("%s had %d effects", x.ref, n)
		}
	}
	if len(k.rec.entries) != len(tests) {
		t.Errorf("%d of %d refusals are on record", len(k.rec.entries), len(tests))
	}
}

func TestUngrantedToolIsNotShown(t *testing.T) {
	t.Parallel()
	a, b := newTool("notes.add"), newTool("notes.secret")
	k := newKit(t, func(c *agent.Config) { c.Grants["home"] = c.Grants["home"][:1] }, a.spec(abi.EffectLocal, textSchema), b.spec(abi.EffectRead, ""))
	if tools := k.d.Tools("home"); len(tools) != 1 || tools[0].Name != "notes.add" || tools[0].Class != abi.ClassMutate {
		t.Errorf("%+v", tools)
	}
	if tools := k.d.Tools("work"); len(tools) != 0 {
		t.Errorf("another agent sees %+v", tools)
	}
}

// If the intent cannot be recorded the call does not run.
func TestNoRecordNoEffect(t *testing.T) {
	t.Parallel()
	for _, effect := range []abi.Effect{abi.EffectRead, abi.EffectLocal, abi.EffectEgress, abi.EffectIrreversible} {
		x := newTool("notes.x")
		k := newKit(t, func(c *agent.Config) { c.Approver = approver(yes) }, x.spec(effect, textSchema))
		k.rec.fail = func(e audit.Entry) bool { return e.Event == audit.EventIntent }
		if r := k.call("notes.x", `{"text":"a"}`); r.Rule != agent.RuleNoRecord || r.Verdict != gate.VerdictDeny || x.effects.Load() != 0 {
			t.Errorf("%v: %+v, %d effects", effect, r, x.effects.Load())
		}
	}
	if _, err := agent.NewDispatcher(agent.Config{}); err == nil {
		t.Error("a dispatcher without a recorder was made")
	}
}

// The same with the real log, whose file cannot be written any more.
func TestNoRecordNoEffectWithTheRealLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log, err := audit.Open(context.Background(), audit.Config{Path: filepath.Join(dir, "a.db"), KeyPath: filepath.Join(dir, "a.key")})
	if err != nil {
		t.Fatal(err)
	}
	x := newTool("notes.x")
	k := newKit(t, func(c *agent.Config) { c.Recorder = log }, x.spec(abi.EffectLocal, textSchema))
	if r := k.call("notes.x", `{"text":"a"}`); r.Outcome != agent.OutcomeOK || r.Seq != 1 {
		t.Fatalf("%+v", r)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if r := k.call("notes.x", `{"text":"a"}`); r.Rule != agent.RuleNoRecord || x.effects.Load() != 1 {
		t.Errorf("%+v, %d effects", r, x.effects.Load())
	}
}

func TestOutcomeThatCannotBeRecordedIsSaid(t *testing.T) {
	t.Parallel()
	x := newTool("notes.x")
	k := newKit(t, nil, x.spec(abi.EffectLocal, textSchema))
	k.rec.fail = func(e audit.Entry) bool { return e.Event == audit.EventOutcome }
	if r := k.call("notes.x", `{"text":"a"}`); r.OutcomeSeq != 0 || !strings.Contains(r.Why, "could not be written") {
		t.Errorf("%+v", r)
	}
}

func TestApprovals(t *testing.T) {
	t.Parallel()
	change := func(f func(*policy.Approval)) approver {
		return func(ctx context.Context, ask agent.Ask) (policy.Approval, error) {
			a, err := yes(ctx, ask)
			f(&a)
			return a, err
		}
	}
	tests := []struct {
		name     string
		approver agent.Approver
		effects  int32
	}{
		{"granted", approver(yes), 1},
		{"nobody to ask", nil, 0},
		{"refused", change(func(a *policy.Approval) { a.Granted = false }), 0},
		{"zero answer", change(func(a *policy.Approval) { *a = policy.Approval{} }), 0},
		{"answered by the requester", change(func(a *policy.Approval) { a.By = "owner:emma" }), 0},
		{"for another call", change(func(a *policy.Approval) { a.Binding[3] ^= 1 }), 0},
		{"expired", change(func(a *policy.Approval) { a.Expires = time.Now().Add(-time.Second) }), 0},
		{"error", approver(func(context.Context, agent.Ask) (policy.Approval, error) { return policy.Approval{}, errors.New("x") }), 0},
		{"error with a grant", approver(func(ctx context.Context, ask agent.Ask) (policy.Approval, error) {
			a, _ := yes(ctx, ask)
			return a, errors.New("x")
		}), 0},
		{"panic", approver(func(context.Context, agent.Ask) (policy.Approval, error) { panic("x") }), 0},
		{"timeout", approver(func(ctx context.Context, _ agent.Ask) (policy.Approval, error) {
			<-ctx.Done()
			return policy.Approval{}, ctx.Err()
		}), 0},
		{"a yes after the timeout", approver(func(ctx context.Context, ask agent.Ask) (policy.Approval, error) {
			<-ctx.Done()
			ask.Expires = time.Now().Add(time.Hour)
			return yes(ctx, ask)
		}), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newTool("notes.delete")
			k := newKit(t, func(c *agent.Config) { c.Approver, c.ApprovalTimeout = tt.approver, 50*time.Millisecond }, x.spec(abi.EffectIrreversible, textSchema))
			r := k.call("notes.delete", `{"text":"a"}`)
			if x.effects.Load() != tt.effects || (r.Verdict == gate.VerdictAllow) != (tt.effects == 1) {
				t.Errorf("%d effects, %+v", x.effects.Load(), r)
			}
			if tt.effects == 1 && (r.Approval != "a1" || k.rec.entries[0].Event != audit.EventAsked || k.rec.entries[1].Approval != "a1") {
				t.Errorf("the approval is not on record: %+v", r)
			}
		})
	}
}

// One yes covers one call: a cache of answers would show here.
func TestEachCallAsksAgain(t *testing.T) {
	t.Parallel()
	var asked []string
	x := newTool("notes.delete")
	k := newKit(t, func(c *agent.Config) {
		c.Approver = approver(func(ctx context.Context, ask agent.Ask) (policy.Approval, error) {
			asked = append(asked, string(ask.Args))
			return yes(ctx, ask)
		})
	}, x.spec(abi.EffectIrreversible, textSchema))
	for _, text := range []string{"a", "a", "b"} {
		k.call("notes.delete", fmt.Sprintf(`{"text":%q}`, text))
	}
	if want := []string{`{"text":"a"}`, `{"text":"a"}`, `{"text":"b"}`}; !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
}

func TestOperatorRaisesAnEffect(t *testing.T) {
	t.Parallel()
	x := newTool("notes.add")
	k := newKit(t, func(c *agent.Config) { c.Raise = map[abi.ToolRef]abi.Effect{x.ref: abi.EffectIrreversible} }, x.spec(abi.EffectLocal, textSchema))
	if r := k.call("notes.add", `{"text":"a"}`); r.Rule != agent.RuleNoApprover || r.Class != abi.ClassDestructive || x.effects.Load() != 0 {
		t.Errorf("%+v", r)
	}
	if tools := k.d.Tools("home"); tools[0].Class != abi.ClassDestructive {
		t.Errorf("%+v", tools)
	}
}

func TestToolsThatMisbehaveAreContained(t *testing.T) {
	t.Parallel()
	type do = func(context.Context, json.RawMessage) (agent.Outcome, error)
	tests := []struct {
		name    string
		do      do
		outcome string
	}{
		{"panic", func(context.Context, json.RawMessage) (agent.Outcome, error) { panic("boom") }, agent.OutcomePanic},
		{"nil dereference", func(context.Context, json.RawMessage) (agent.Outcome, error) {
			var p *agent.Outcome
			return *p, nil
		}, agent.OutcomePanic},
		{"error", func(context.Context, json.RawMessage) (agent.Outcome, error) {
			return agent.Outcome{}, errors.New("no route")
		}, agent.OutcomeError},
		{"deadline", func(context.Context, json.RawMessage) (agent.Outcome, error) {
			return agent.Outcome{}, fmt.Errorf("call: %w", context.DeadlineExceeded)
		}, agent.OutcomeTimeout},
		{"cancelled", func(context.Context, json.RawMessage) (agent.Outcome, error) {
			return agent.Outcome{}, context.Canceled
		}, agent.OutcomeCancelled},
		{"a result that is an error", func(context.Context, json.RawMessage) (agent.Outcome, error) {
			o := says("bad input")
			o.Result.IsError = true
			return o, nil
		}, agent.OutcomeError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newTool("notes.x")
			x.do = tt.do
			k := newKit(t, nil, x.spec(abi.EffectRead, textSchema))
			r := k.call("notes.x", `{"text":"a"}`)
			if r.Outcome != tt.outcome || !r.IsError || r.OutcomeSeq != 2 {
				t.Errorf("%+v", r)
			}
			if strings.Contains(r.Why, "boom") {
				t.Errorf("a panic's text reached the report: %s", r.Why)
			}
		})
	}
}

func TestToolThatSkipsItsAuthorizationLosesItsResult(t *testing.T) {
	t.Parallel()
	x := newTool("notes.x")
	x.thief = true
	k := newKit(t, nil, x.spec(abi.EffectRead, textSchema))
	if r := k.call("notes.x", `{"text":"a"}`); r.Outcome != agent.OutcomeError || r.Text != "" || !strings.Contains(r.Why, "redeem") {
		t.Errorf("%+v", r)
	}
}

func TestResultIsBoundedAndCleaned(t *testing.T) {
	t.Parallel()
	x := newTool("notes.x")
	x.do = func(context.Context, json.RawMessage) (agent.Outcome, error) {
		o := says("ok\x1b]0;title\x07 \u202egnp.exe\u2069 \U000e0041\xff\r\nnext")
		o.Result.Content = append(o.Result.Content,
			abi.Content{Type: "image", MIMEType: "image/png", Data: "AAAA"},
			abi.Content{Type: "resource_link", URI: "https://example.org/"},
			abi.Content{Type: "resource", Resource: &abi.ResourceContent{Text: "embedded"}},
			abi.Content{Type: "text", Text: strings.Repeat("é", 10_000)})
		o.Result.StructuredContent = json.RawMessage(`{"b":1, "a":2}`)
		o.Denials = slices.Repeat([]abi.Problem{{Code: abi.CodeDenied, Message: strings.Repeat("m", 10_000) + "\x1b", Rule: "egress/host"}}, 100)
		return o, nil
	}
	k := newKit(t, func(c *agent.Config) { c.MaxResult = 1000 }, x.spec(abi.EffectRead, textSchema))
	r := k.call("notes.x", `{"text":"a"}`)
	want := "ok\ufffd]0;title\ufffd \ufffdgnp.exe\ufffd \ufffd\ufffd\nnext\n[image image/png, 4 bytes of base64]\n[link https://example.org/]\nembedded\néé"
	if !strings.HasPrefix(r.Text, want) || !r.Truncated || len(r.Text) > 1000+64 {
		t.Errorf("%d bytes, truncated %v: %.300q", len(r.Text), r.Truncated, r.Text)
	}
	if string(r.Structured) != `{"a":2,"b":1}` {
		t.Errorf("structured %s", r.Structured)
	}
	if len(r.Denials) != 32 || len(r.Denials[0].Message) > 600 || strings.Contains(r.Denials[0].Message, "\x1b") {
		t.Errorf("%d denials, the first of %d bytes", len(r.Denials), len(r.Denials[0].Message))
	}
}

func TestCancelledMessageRunsNothing(t *testing.T) {
	t.Parallel()
	x := newTool("notes.x")
	k := newKit(t, nil, x.spec(abi.EffectRead, textSchema))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r := k.d.Dispatch(ctx, request("notes.x", `{"text":"a"}`)); r.Rule != agent.RuleCancelled || x.effects.Load() != 0 || r.Seq == 0 {
		t.Errorf("%+v", r)
	}
}

func TestControlArgumentsAreLoggedContentIsNot(t *testing.T) {
	t.Parallel()
	x := newTool("mail.send")
	s := x.spec(abi.EffectEgress, `{"type":"object","properties":{"to":{"type":"string"},"body":{"type":"string"},"other":{"type":"string"}}}`)
	s.Descriptor.Args = map[string]abi.Role{"to": abi.RoleControl, "body": abi.RoleContent}
	k := newKit(t, nil, s)
	k.call("mail.send", `{"to":"ana","body":"private words","other":"undeclared"}`)
	d := k.rec.entries[0].Detail
	if d["control.to"] != `"ana"` || strings.Contains(fmt.Sprint(k.rec.entries[0].Detail), "private") || strings.Contains(fmt.Sprint(d), "undeclared") {
		t.Errorf("%v", d)
	}
}

func TestNewDispatcherRefusesBadTools(t *testing.T) {
	t.Parallel()
	good := newTool("notes.add").spec(abi.EffectLocal, textSchema)
	for name, change := range map[string]func(*agent.Spec){
		"no implementation": func(s *agent.Spec) { s.Impl = nil },
		"no digest":         func(s *agent.Spec) { s.Digest = "" },
		"bad schema":        func(s *agent.Spec) { s.Tool.InputSchema = []byte(`{"type":7}`) },
		"reserved name":     func(s *agent.Spec) { s.Ref.Skill = "glovebox" },
	} {
		s := good
		change(&s)
		if _, err := agent.NewDispatcher(agent.Config{Recorder: &recorder{}, Tools: []agent.Spec{s}}); err == nil {
			t.Errorf("%s was accepted", name)
		}
		if err := agent.CheckSpec(s); err == nil && s.Impl != nil {
			t.Errorf("CheckSpec accepts %s", name)
		}
	}
	if err := agent.CheckSpec(good); err != nil {
		t.Error(err)
	}
	if _, err := agent.NewDispatcher(agent.Config{Recorder: &recorder{}, Tools: []agent.Spec{good, good}}); !errors.Is(err, policy.ErrConflict) {
		t.Errorf("the same tool twice: %v", err)
	}
}

// FuzzDispatch: whatever a model asks for, only a well-formed call of the granted tool
// has an effect, and every call is on record.
func FuzzDispatch(f *testing.F) {
	f.Add("notes.add", []byte(`{"text":"a"}`))
	f.Add("notes.delete", []byte(`{"text":"a","_confirmed":true}`))
	f.Add("notes.add\x00", []byte("{\"text\":\"\xff\"}"))
	add, del := newTool("notes.add"), newTool("notes.delete")
	k := newKit(f, nil, add.spec(abi.EffectLocal, textSchema), del.spec(abi.EffectIrreversible, textSchema))
	f.Fuzz(func(t *testing.T, name string, args []byte) {
		k.rec.entries = nil
		before := add.effects.Load()
		r := k.call(name, string(args))
		ran := add.effects.Load() - before
		var a struct{ Text *string }
		valid := name == "notes.add" && json.Unmarshal(args, &a) == nil && a.Text != nil
		if ran == 1 && !valid || (ran == 1) != (r.Verdict == gate.VerdictAllow) || del.effects.Load() != 0 || len(k.rec.entries) == 0 {
			t.Fatalf("%q %q: %+v", name, args, r)
		}
	})
}

func BenchmarkDispatch(b *testing.B) {
	x := newTool("notes.x")
	dir := b.TempDir()
	log, err := audit.Open(context.Background(), audit.Config{Path: filepath.Join(dir, "a.db"), KeyPath: filepath.Join(dir, "a.key")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	k := newKit(b, func(c *agent.Config) { c.Recorder = log }, x.spec(abi.EffectRead, textSchema))
	b.ReportAllocs()
	for b.Loop() {
		if r := k.call("notes.x", `{"text":"a"}`); r.Outcome != agent.OutcomeOK {
			b.Fatalf("%+v", r)
		}
	}
}
