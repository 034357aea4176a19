package policy

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
)

var (
	digest = abi.DigestOf([]byte("module"))
	now    = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func ref(skill, tool string) abi.ToolRef {
	return abi.ToolRef{Skill: abi.SkillName(skill), Tool: abi.ToolName(tool)}
}

func entry(skill, tool string, e abi.Effect) Entry {
	return Entry{Ref: ref(skill, tool), Digest: digest, Descriptor: abi.Descriptor{Name: abi.ToolName(tool), Effect: e}}
}

// registry holds one tool of each effect, all but notes.hidden granted to agent home.
func registry(t testing.TB) *Registry {
	t.Helper()
	var b Builder
	for tool, e := range map[string]abi.Effect{
		"read": abi.EffectRead, "local": abi.EffectLocal, "egress": abi.EffectEgress,
		"delete": abi.EffectIrreversible, "unknown": abi.EffectUnknown, "hidden": abi.EffectRead, "odd": abi.Effect(77),
	} {
		if err := b.Add(entry("notes", tool, e)); err != nil {
			t.Fatal(err)
		}
		if tool != "hidden" {
			if err := b.Grant("home", ref("notes", tool)); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, err := b.Registry()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// seen is a clean session in which the owner named the values of these tests.
var seen = gate.State{Context: label.Trusted()}.Hear(label.Trusted(), "take 1 or 2")

func call(tool string) Call {
	return Call{Agent: "home", Session: "s", ID: "c", Requester: "owner:emma", Tool: ref("notes", tool), Digest: digest, Args: json.RawMessage(`{"a":1}`)}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	r := registry(t)
	change := func(tool string, f func(*Call)) Call {
		c := call(tool)
		f(&c)
		return c
	}
	tests := []struct {
		name    string
		call    Call
		verdict gate.Verdict
		rule    gate.Rule
		class   abi.Class
	}{
		{"a read runs", call("read"), gate.VerdictAllow, gate.RuleLocal, abi.ClassRead},
		{"a local change runs", call("local"), gate.VerdictAllow, gate.RuleLocal, abi.ClassMutate},
		{"egress in a clean context runs", call("egress"), gate.VerdictAllow, gate.RuleClean, abi.ClassMutate},
		{"destructive asks", call("delete"), gate.VerdictAsk, gate.RuleDestructive, abi.ClassDestructive},
		{"undeclared asks", call("unknown"), gate.VerdictAsk, gate.RuleUndeclared, abi.ClassDestructive},
		{"an effect of the future is denied", call("odd"), gate.VerdictDeny, gate.RuleNone, abi.ClassDestructive},
		{"not granted", call("hidden"), gate.VerdictDeny, gate.RuleNotGranted, abi.ClassRead},
		{"granted to another agent", change("read", func(c *Call) { c.Agent = "work" }), gate.VerdictDeny, gate.RuleNotGranted, abi.ClassRead},
		{"not registered", call("nothing"), gate.VerdictDeny, gate.RuleUnknownTool, abi.ClassDestructive},
		{"name in another case", call("READ"), gate.VerdictDeny, gate.RuleUnknownTool, abi.ClassDestructive},
		{"changed module", change("read", func(c *Call) { c.Digest = abi.DigestOf(nil) }), gate.VerdictDeny, gate.RuleDigest, abi.ClassRead},
		{"no digest", change("read", func(c *Call) { c.Digest = "" }), gate.VerdictDeny, gate.RuleDigest, abi.ClassRead},
		{"no agent", change("read", func(c *Call) { c.Agent = "" }), gate.VerdictDeny, gate.RuleNoIdentity, abi.ClassDestructive},
		{"no session", change("read", func(c *Call) { c.Session = "" }), gate.VerdictDeny, gate.RuleNoIdentity, abi.ClassDestructive},
		{"no requester", change("read", func(c *Call) { c.Requester = "" }), gate.VerdictDeny, gate.RuleNoIdentity, abi.ClassDestructive},
		{"no arguments", change("read", func(c *Call) { c.Args = nil }), gate.VerdictDeny, gate.RuleArguments, abi.ClassRead},
		{"arguments are a list", change("read", func(c *Call) { c.Args = []byte(`[]`) }), gate.VerdictDeny, gate.RuleArguments, abi.ClassRead},
		{"arguments are cut off", change("read", func(c *Call) { c.Args = []byte(`{"a":`) }), gate.VerdictDeny, gate.RuleArguments, abi.ClassRead},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := r.Decide(tt.call, seen)
			if d.Verdict() != tt.verdict || d.Rule() != tt.rule || d.Class() != tt.class {
				t.Errorf("got %v %s %v, want %v %s %v", d.Verdict(), d.Rule(), d.Class(), tt.verdict, tt.rule, tt.class)
			}
			if d.Why() == "" || d.Fix() == "" && d.Verdict() != gate.VerdictAllow {
				t.Errorf("rule %s gives no reason or no fix", d.Rule())
			}
			if (d.Verdict() == gate.VerdictDeny) != (d.Subject() == Binding{}) {
				t.Errorf("%v has binding %v", d.Verdict(), d.Subject())
			}
		})
	}
}

// A registry tells the class of a tool and what an agent may call, in order.
func TestRegistryTellsWhatItHolds(t *testing.T) {
	t.Parallel()
	r := registry(t)
	if c := r.Class(ref("notes", "local")); c != abi.ClassMutate || r.Decide(call("local"), seen).Effect() != abi.EffectLocal {
		t.Errorf("class %v", c)
	}
	if got := r.Granted("home"); len(got) != 6 || got[0] != ref("notes", "delete") || got[5] != ref("notes", "unknown") {
		t.Errorf("granted %v", got)
	}
	var b Builder
	if err := b.Raise(ref("notes", "read"), abi.EffectIrreversible); !errors.Is(err, ErrUnknown) {
		t.Errorf("a tool that does not exist is raised: %v", err)
	}
}

// Every zero value of the package refuses, so that what somebody forgot to set is no.
func TestZeroValuesDeny(t *testing.T) {
	t.Parallel()
	var (
		r    Registry
		nilR *Registry
		d    Decision
		v    gate.Verdict
		a    Authorized
		ap   Approval
	)
	if v != gate.VerdictDeny || v.String() != "deny" || d.Verdict() != gate.VerdictDeny || d.Class() != abi.ClassDestructive || d.Rule() != gate.RuleNone {
		t.Error("the zero gate.Verdict or Decision does not deny")
	}
	for _, r := range []*Registry{&r, nilR} {
		if got := r.Decide(call("read"), seen).Verdict(); got != gate.VerdictDeny {
			t.Errorf("an empty registry says %v", got)
		}
		if got := r.Decide(Call{}, seen).Verdict(); got != gate.VerdictDeny {
			t.Errorf("the zero Call gets %v", got)
		}
		if r.Granted("home") != nil || r.Class(ref("a", "b")) != abi.ClassDestructive {
			t.Error("an empty registry grants something")
		}
	}
	if got := registry(t).Decide(Call{}, seen).Verdict(); got != gate.VerdictDeny {
		t.Errorf("the zero Call gets %v", got)
	}
	if _, err := Allow(d); !errors.Is(err, ErrDenied) {
		t.Errorf("Allow(zero): %v", err)
	}
	if _, err := Approve(d, Approval{Granted: true, By: "operator:cli", Expires: now.Add(1)}, now); !errors.Is(err, ErrDenied) {
		t.Errorf("Approve(zero): %v", err)
	}
	if _, err := Approve(registry(t).Decide(call("delete"), seen), ap, now); !errors.Is(err, ErrNotApproved) {
		t.Errorf("zero Approval: %v", err)
	}
	if _, err := a.Redeem(abi.ToolRef{}, "", nil); !errors.Is(err, ErrNotAuthorized) || a.Redeemed() {
		t.Errorf("zero Authorized: %v", err)
	}
}

// No exported field or setter lets other packages edit a decision, an authorization
// or a sealed registry.
func TestSealedByType(t *testing.T) {
	t.Parallel()
	for _, v := range []any{Decision{}, Authorized{}, Registry{}, Builder{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			if f := typ.Field(i); f.IsExported() {
				t.Errorf("%s.%s is exported", typ, f.Name)
			}
		}
	}
	typ := reflect.TypeFor[*Registry]()
	for i := range typ.NumMethod() {
		switch name := typ.Method(i).Name; name {
		case "Decide", "Granted", "Class":
		default:
			t.Errorf("Registry.%s: does it change the registry?", name)
		}
	}
}

func TestBuilderSealsAndKeepsNoWayIn(t *testing.T) {
	t.Parallel()
	var b Builder
	e := entry("notes", "read", abi.EffectRead)
	e.Descriptor.Args = map[string]abi.Role{"q": abi.RoleControl}
	if err := errors.Join(b.Add(e), b.Grant("home", e.Ref)); err != nil {
		t.Fatal(err)
	}
	r, err := b.Registry()
	if err != nil {
		t.Fatal(err)
	}
	before := r.Decide(call("read"), seen).Pin()
	e.Descriptor.Args["q"] = abi.RoleInert
	for name, err := range map[string]error{
		"Add": b.Add(entry("x", "y", abi.EffectRead)), "Grant": b.Grant("home", e.Ref), "Raise": b.Raise(e.Ref, abi.EffectUnknown),
	} {
		if !errors.Is(err, ErrSealed) {
			t.Errorf("%s after Registry: %v", name, err)
		}
	}
	if _, err := b.Registry(); !errors.Is(err, ErrSealed) {
		t.Errorf("second Registry: %v", err)
	}
	if r.Decide(call("read"), seen).Pin() != before || r.tools[e.Ref].Descriptor.Args["q"] != abi.RoleControl {
		t.Error("the registry changed through the caller's map")
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		skill, tool string
		want        error
	}{
		{"taken", "notes", "list", ErrConflict},
		{"another case", "notes", "List", ErrConflict},
		{"another separator", "notes", "read-all", ErrConflict},
		{"the separator between skill and tool", "notes-list", "x", nil},
		{"skill and tool cut elsewhere", "notes-read", "all", ErrConflict},
		{"digit for letter", "n0tes", "list", ErrConflict},
		{"one for l", "notes", "1ist", ErrConflict},
		{"capital I for l", "notes", "Iist", ErrConflict},
		{"a harmless neighbour", "notes", "lists", nil},
		{"Cyrillic letter", "nоtes", "list", ErrName},
		{"full-width letters", "notes", "ｌｉｓｔ", ErrName},
		{"zero-width space", "notes", "list\u200b", ErrName},
		{"combining mark", "notes", "list\u0301", ErrName},
		{"reserved skill", "glovebox", "list", ErrName},
		{"reserved skill of the host's voice", "operator", "approve", ErrName},
		{"hidden tool", "notes", "_confirm", ErrName},
		{"empty tool", "notes", "", ErrName},
		{"empty skill", "", "list", ErrName},
		{"capital in a skill", "Notes", "list", ErrName},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b Builder
			if err := errors.Join(b.Add(entry("notes", "list", abi.EffectRead)), b.Add(entry("notes", "read.all", abi.EffectRead))); err != nil {
				t.Fatal(err)
			}
			if err := b.Add(entry(tt.skill, tt.tool, abi.EffectRead)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	var b Builder
	if err := b.Add(Entry{Ref: ref("notes", "list"), Digest: "sha256:x"}); err == nil {
		t.Error("a malformed digest was accepted")
	}
	if err := b.Add(Entry{Ref: ref("notes", "list"), Digest: digest, Descriptor: abi.Descriptor{Name: "delete"}}); !errors.Is(err, ErrName) {
		t.Errorf("a descriptor of another tool: %v", err)
	}
	if err := b.Grant("home", ref("no", "tool")); !errors.Is(err, ErrUnknown) {
		t.Errorf("a grant of nothing: %v", err)
	}
}

func TestOperatorRaisesOnly(t *testing.T) {
	t.Parallel()
	all := []abi.Effect{abi.EffectRead, abi.EffectLocal, abi.EffectEgress, abi.EffectIrreversible, abi.EffectUnknown}
	for i, from := range all {
		for j, to := range all {
			var b Builder
			if err := b.Add(entry("notes", "x", from)); err != nil {
				t.Fatal(err)
			}
			err := b.Raise(ref("notes", "x"), to)
			if j >= i && err != nil || j < i && !errors.Is(err, ErrLower) {
				t.Errorf("%v to %v: %v", from, to, err)
			}
		}
	}
}

func TestApprovalIsForOneCallOnce(t *testing.T) {
	t.Parallel()
	r := registry(t)
	d := r.Decide(call("delete"), seen)
	good := Approval{ID: "a1", Binding: d.Bind(now.Add(time.Minute)), By: "operator:cli", Granted: true, Expires: now.Add(time.Minute)}
	change := func(f func(*Approval)) Approval {
		a := good
		f(&a)
		return a
	}
	for _, tt := range []struct {
		name     string
		approval Approval
		want     error
	}{
		{"granted", good, nil},
		{"refused", change(func(a *Approval) { a.Granted = false }), ErrNotApproved},
		{"by nobody", change(func(a *Approval) { a.By = "" }), ErrNotApproved},
		{"by the requester", change(func(a *Approval) { a.By = "owner:emma" }), ErrSelfApproval},
		{"just expired", change(func(a *Approval) { a.Expires = now }), ErrExpired},
		{"without expiry", change(func(a *Approval) { a.Expires = time.Time{} }), ErrExpired},
		{"for nothing", change(func(a *Approval) { a.Binding = Binding{} }), ErrOtherCall},
		{"for another call", change(func(a *Approval) { a.Binding[0] ^= 1 }), ErrOtherCall},
		{"with a later expiry", change(func(a *Approval) { a.Expires = a.Expires.Add(1) }), ErrOtherCall},
		{"for the call at any time", change(func(a *Approval) { a.Binding = d.Subject() }), ErrOtherCall},
	} {
		if _, err := Approve(d, tt.approval, now); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := Approve(r.Decide(call("hidden"), seen), good, now); !errors.Is(err, ErrDenied) {
		t.Errorf("a denied call was approved: %v", err)
	}
	if _, err := Allow(d); !errors.Is(err, ErrDenied) {
		t.Errorf("an ask was allowed without approval: %v", err)
	}
	auth, err := Approve(d, good, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"another tool":     second(auth.Redeem(ref("notes", "read"), digest, call("").Args)),
		"another digest":   second(auth.Redeem(ref("notes", "delete"), abi.DigestOf(nil), call("").Args)),
		"other arguments":  second(auth.Redeem(ref("notes", "delete"), digest, []byte(`{"a":2}`))),
		"another spelling": second(auth.Redeem(ref("notes", "delete"), digest, []byte(`{"a": 1}`))),
	} {
		if !errors.Is(err, ErrOtherCall) {
			t.Errorf("redeemed for %s: %v", name, err)
		}
	}
	who, err := auth.Redeem(ref("notes", "delete"), digest, call("").Args)
	if want := (abi.Caller{Agent: "home", Session: "s", Skill: "notes", Tool: "delete", Call: "c"}); err != nil || who != want {
		t.Errorf("got %+v, %v", who, err)
	}
	if _, err := auth.Redeem(ref("notes", "delete"), digest, call("").Args); !errors.Is(err, ErrAlreadyUsed) {
		t.Errorf("used twice: %v", err)
	}
}

func second(_ abi.Caller, err error) error { return err }

func TestRacingRedeemsYieldOneEffect(t *testing.T) {
	t.Parallel()
	auth, err := Allow(registry(t).Decide(call("read"), seen))
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		copied := auth
		wg.Go(func() {
			if _, err := copied.Redeem(ref("notes", "read"), digest, call("").Args); err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || !auth.Redeemed() {
		t.Errorf("%d effects", won.Load())
	}
}

func drawCall(t *rapid.T, prefix string) Call {
	word := func(name string, words ...string) string { return rapid.SampledFrom(words).Draw(t, prefix+name) }
	return Call{
		Agent: abi.AgentID(word("agent", "home", "work", "")), Session: abi.SessionID(word("session", "s", "ss", "")),
		Requester: Principal(word("from", "owner:emma", "owner:bob", "")), ID: abi.CallID(word("id", "c", "d")),
		Tool:   ref(word("skill", "notes", "n0tes", ""), word("tool", "read", "local", "egress", "delete", "unknown", "hidden", "odd", "none", "")),
		Digest: rapid.SampledFrom([]abi.Digest{digest, abi.DigestOf(nil), ""}).Draw(t, prefix+"digest"),
		Args:   json.RawMessage(word("args", `{"a":1}`, `{"a":2}`, `{"a":"1"}`, `{}`, `[]`, ``)),
	}
}

func drawState(t *rapid.T, prefix string) gate.State {
	s := seen
	s.Context = rapid.SampledFrom([]label.Label{{}, {Integrity: label.Peer}, label.Trusted(), {Readers: label.ReadBy("a+b")}, {Readers: label.ReadBy("a", "b")}}).Draw(t, prefix+"context")
	return s
}

// Without an approval nothing runs but what is registered, pinned, granted and
// declared as a read, local or egress.
func TestNothingUnknownIsAllowed(t *testing.T) {
	t.Parallel()
	r := registry(t)
	rapid.Check(t, func(t *rapid.T) {
		c := drawCall(t, "")
		d := r.Decide(c, seen)
		if again := r.Decide(c, seen); !reflect.DeepEqual(d, again) {
			t.Fatal("Decide is no function")
		}
		declared := map[abi.ToolName]bool{"read": true, "local": true, "egress": true}[c.Tool.Tool]
		may := declared && c.Tool.Skill == "notes" && c.Agent == "home" && c.Session != "" && c.Requester != "" && c.Digest == digest && strings.HasPrefix(string(c.Args), "{")
		_, err := Allow(d)
		if (err == nil) != may || (d.Verdict() == gate.VerdictAllow) != may {
			t.Fatalf("%+v: %v by %s, mint says %v", c, d.Verdict(), d.Rule(), err)
		}
	})
}

// An approval for x never admits y ≠ x, and an authorization for x never runs y.
func TestApprovalForXNeverAdmitsY(t *testing.T) {
	t.Parallel()
	r := registry(t)
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawCall(t, "x."), drawCall(t, "y.")
		sx, sy := drawState(t, "x."), drawState(t, "y.")
		x.Agent, x.Digest, x.ID, x.Tool = "home", digest, "c", ref("notes", rapid.SampledFrom([]string{"read", "local", "delete", "unknown"}).Draw(t, "tool"))
		x.Session, x.Requester = "s"+x.Session, "owner:x"+x.Requester
		x.Args = rapid.SampledFrom([]json.RawMessage{[]byte(`{"a":1}`), []byte(`{}`)}).Draw(t, "args")
		if rapid.Bool().Draw(t, "near") { // y differs from x in one field at most
			far, farState := y, sy
			y, sy = x, sx
			switch rapid.IntRange(0, 6).Draw(t, "field") {
			case 0:
				y.Agent = far.Agent
			case 1:
				y.Session = far.Session
			case 2:
				y.Requester = far.Requester
			case 3:
				y.Tool = far.Tool
			case 4:
				y.Digest = far.Digest
			case 5:
				y.Args = far.Args
			case 6:
				sy = farState
			}
		}
		y.ID = "c" // the id is a label, not part of what a person approves
		dx, dy := r.Decide(x, sx), r.Decide(y, sy)
		if dx.Verdict() == gate.VerdictDeny {
			t.Fatalf("%+v is denied by %s", x, dx.Rule())
		}
		same := reflect.DeepEqual(x, y) && sx.Context == sy.Context
		_, err := Approve(dy, Approval{ID: "a", Binding: dx.Bind(now.Add(1)), By: "operator:cli", Granted: true, Expires: now.Add(1)}, now)
		if err == nil && !same {
			t.Fatalf("approval for %+v admitted %+v", x, y)
		}
		auth, err := Allow(dx)
		if err != nil {
			return
		}
		if _, err := auth.Redeem(y.Tool, y.Digest, y.Args); err == nil && (x.Tool != y.Tool || x.Digest != y.Digest || string(x.Args) != string(y.Args)) {
			t.Fatalf("authorization for %+v ran %+v", x, y)
		}
	})
}

// The version of a tool is its module, its descriptor and its schema.
func TestPinCoversTheWholeTool(t *testing.T) {
	t.Parallel()
	base := Entry{Ref: ref("notes", "x"), Digest: digest, Descriptor: abi.Descriptor{Effect: abi.EffectRead}, Schema: []byte(`{}`)}
	seen := map[abi.Digest]int{}
	for i, change := range []func(*Entry){
		func(*Entry) {},
		func(e *Entry) { e.Ref.Tool = "y" },
		func(e *Entry) { e.Digest = abi.DigestOf(nil) },
		func(e *Entry) { e.Descriptor.Effect = abi.EffectLocal },
		func(e *Entry) { e.Descriptor.Args = map[string]abi.Role{"a": abi.RoleContent} },
		func(e *Entry) { e.Descriptor.Recipients = []string{"/to"} },
		func(e *Entry) { e.Schema = []byte(`{"type":"object"}`) },
	} {
		e := base
		change(&e)
		pin := e.pin()
		if other, dup := seen[pin]; dup {
			t.Errorf("changes %d and %d have the same pin", other, i)
		}
		seen[pin] = i
	}
}

// FuzzDecide throws raw names and arguments at the
func FuzzDecide(f *testing.F) {
	f.Add("home", "s", "owner:emma", "notes", "read", string(digest), []byte(`{"a":1}`))
	f.Add("home", "s", "owner:emma", "notes", "delete", string(digest), []byte(`{"_confirmed":true}`))
	r := registry(f)
	f.Fuzz(func(t *testing.T, agent, session, from, skill, tool, dig string, args []byte) {
		c := Call{Agent: abi.AgentID(agent), Session: abi.SessionID(session), Requester: Principal(from), Tool: ref(skill, tool), Digest: abi.Digest(dig), Args: args}
		d := r.Decide(c, seen)
		_, err := Allow(d)
		if err == nil && (agent != "home" || skill != "notes" || dig != string(digest) || tool != "read" && tool != "local" && tool != "egress") {
			t.Fatalf("%+v was allowed", c)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	r, c := registry(b), call("read")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Allow(r.Decide(c, seen)); err != nil {
			b.Fatal(err)
		}
	}
}

// A rule of the operator only ever tightens, and a tightened decision mints nothing
// unasked.
func TestRulesOnlyTighten(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for _, tool := range []string{"read", "egress", "delete", "hidden"} {
		for _, v := range []gate.Verdict{gate.VerdictDeny, gate.VerdictAsk, gate.VerdictAllow} {
			before := r.Decide(call(tool), seen)
			after := before.Stricter(v, "rule/1", "because", "")
			if want := min(before.Verdict(), v); after.Verdict() != want {
				t.Errorf("%s, rule %v: %v, want %v", tool, v, after.Verdict(), want)
			}
			if after.Verdict() != before.Verdict() && after.Rule() != "rule/1" {
				t.Errorf("%s, rule %v: decided by %s", tool, v, after.Rule())
			}
			if _, err := Allow(after); (err == nil) != (after.Verdict() == gate.VerdictAllow) {
				t.Errorf("%s, rule %v: mint says %v", tool, v, err)
			}
			if exp := now.Add(1); after.Verdict() == gate.VerdictDeny && after.Bind(exp) != (Binding{}) {
				t.Errorf("%s, rule %v: a denial can be bound", tool, v)
			}
		}
	}
}

// An authorization knows the label of all that its call was made of.
func TestContextOfAnAuthorization(t *testing.T) {
	t.Parallel()
	private := label.Label{Integrity: label.Tainted, Readers: label.ReadBy()}
	s := seen
	s.Carried = []gate.Content{{Tool: ref("notes", "read"), Label: private}}
	auth, err := Allow(registry(t).Decide(call("read"), s))
	if err != nil || auth.Context() != seen.Context.Join(private) || (Authorized{}).Context() != (label.Label{}) {
		t.Errorf("%v, %v", auth.Context(), err)
	}
}
