package gate

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/atom"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// What a call takes along by handle counts for readers, not for the context.
func TestCarriedContentCountsForReaders(t *testing.T) {
	t.Parallel()
	send := descriptors()["mail.send"]
	args := map[string]any{"to": list("bob@corp.example"), "body": "x"}
	s := owner("mail bob@corp.example")
	s.Carried = []Content{{tool("mail.read"), private}}
	if j := Judge(tool("mail.send"), "", send, args, s); j.Rule != RuleClean {
		t.Errorf("in a clean context: %+v", j)
	}
	s = s.saw("web.get", public, "x")
	if j := Judge(tool("mail.send"), "", send, args, s); j.Rule != RuleReaders || len(j.Flows) != 1 || j.Flows[0].Source != tool("mail.read") {
		t.Errorf("in a tainted one: %+v", j)
	}
	s.Carried[0].Label.Readers = label.ReadBy("email:bob@corp.example")
	if j := Judge(tool("mail.send"), "", send, args, s); j.Rule != RuleEndorsed {
		t.Errorf("for bob's eyes: %+v", j)
	}
}

// A fixed recipient receives whatever the arguments are, and one that is nested or
// hidden is seen.
func TestRecipientsAreControlOrFixed(t *testing.T) {
	t.Parallel()
	fixed := abi.Descriptor{Effect: abi.EffectEgress, Args: map[string]abi.Role{"q": abi.RoleContent}, Recipients: []string{"host:api.example"}}
	s := owner("look").saw("files", private, "plans")
	if j := Judge(tool("api"), "", fixed, map[string]any{"q": "plans"}, s); j.Rule != RuleReaders {
		t.Errorf("private content to a fixed server: %+v", j)
	}
	nested := abi.Descriptor{Effect: abi.EffectEgress, Recipients: []string{"/who/a~1b"}}
	if j := Judge(tool("x"), "", nested, map[string]any{"who": map[string]any{"a/b": "mallory@evil.example", "c": nil}}, s); j.Rule != RuleProvenance || j.Findings[0].Argument != "who" {
		t.Errorf("nested: %+v", j)
	}
	hidden := abi.Descriptor{Effect: abi.EffectEgress, Args: map[string]abi.Role{"to": abi.RoleContent}, Recipients: []string{"/to"}}
	if j := Judge(tool("x"), "", hidden, map[string]any{"to": "a\u200b"}, s); j.Verdict != VerdictDeny || j.Rule != RuleHidden {
		t.Errorf("a recipient that cannot be read: %+v", j)
	}
	for _, bad := range []any{map[string]any{"k": "a\u200b"}, map[string]any{"a\u200b": nil}, list("a\u200b"), json.Number("1e3")} {
		if j := Judge(tool("x"), "", hidden, map[string]any{"id": bad}, s); j.Verdict != VerdictDeny {
			t.Errorf("%v: %+v", bad, j)
		}
	}
}

// What a pointer means receives, in lists, too; what it misses receives all the same.
func TestPointersFindWhoReceives(t *testing.T) {
	t.Parallel()
	s := owner("invite bob@corp.example and ana@acme.example as r1").mandate("x").saw("files", private, "x")
	s.Mandate = nil
	people := list(map[string]any{"mail": "bob@corp.example"}, map[string]any{"mail": list("ana@acme.example"), "role": "r1"})
	for pointer, want := range map[string]int{
		"/who/mail": 2, "/who/0/mail": 2, "/who/1": 3, "/who/-/mail": 2, "/who/email": 3, "/who/mail/x": 3, "/who": 3, "/whom": 1, "/whom/0/mail": 1,
	} {
		d := abi.Descriptor{Effect: abi.EffectEgress, Recipients: []string{pointer}, Fields: []string{"mail", "role"}}
		j := Judge(tool("x"), "", d, map[string]any{"who": people}, s)
		if j.Rule != RuleReaders || len(j.Flows) != want {
			t.Errorf("%s: %v by %s, flows %v, want %d", pointer, j.Verdict, j.Rule, j.Flows, want)
		}
	}
}

// Minted identifiers and settings of readers endorse what they say and no more.
func TestMintedAndNamedReaders(t *testing.T) {
	t.Parallel()
	s := owner("tidy up").Read(Source{Tool: tool("notes.add"), Effect: abi.EffectLocal, Label: public, Minted: []string{"n-4711"}})
	if j := Judge(tool("file.delete"), "", descriptors()["file.delete"], map[string]any{"id": "n-4711"}, s); j.Rule != RuleEndorsed {
		t.Errorf("minted: %+v", j)
	}
	delete := abi.ToolRef{Skill: "other", Tool: "file.delete"}
	if j := Judge(delete, "", descriptors()["file.delete"], map[string]any{"id": "n-4711"}, s); j.Rule != RuleProvenance {
		t.Errorf("minted by another store: %+v", j)
	}
	if j := Judge(tool("file.delete"), "", descriptors()["file.delete"], map[string]any{"count": "n-4711"}, s); j.Rule != RuleProvenance {
		t.Errorf("minted, but no identifier: %+v", j)
	}
	s = owner("mail bob@corp.example").saw("files", private, "x")
	s.Readers = ReadersNamed
	if j := Judge(tool("mail.send"), "", descriptors()["mail.send"], map[string]any{"to": "bob@corp.example"}, s); j.Rule != RuleEndorsed {
		t.Errorf("readers: named: %+v", j)
	}
}

// A fetch that takes other text along is no verbatim one.
func TestVerbatimCarriesNothingElse(t *testing.T) {
	t.Parallel()
	d := descriptors()["web.get"]
	d.Args = map[string]abi.Role{"note": abi.RoleContent, "n": abi.RoleInert}
	s := owner("go").saw("web.get", public, "https://news.example/b")
	for name, want := range map[string]Verdict{"n": VerdictAllow, "note": VerdictAsk} {
		if j := Judge(tool("web.get"), "", d, map[string]any{"url": "https://news.example/b", name: "x"}, s); j.Verdict != want {
			t.Errorf("with %s: %+v", name, j)
		}
	}
}

// Links in any part of outbound content are seen.
func TestLinksInNestedContent(t *testing.T) {
	t.Parallel()
	s := owner("mail bob@corp.example about www.ours.example.com").saw("web.get", public, "x")
	for name, body := range map[string]any{
		"list": list("a", "see https://evil.example/x"), "value": map[string]any{"k": "evil.com"}, "name": map[string]any{"evil.com": 1.0}, "far": strings.Repeat("a ", 1<<18) + "http://evil.example/",
	} {
		if j := Judge(tool("mail.send"), "", descriptors()["mail.send"], map[string]any{"to": "bob@corp.example", "body": body}, s); j.Rule != RuleLinks || len(j.Links) != 1 {
			t.Errorf("%s: %v by %s, links %q", name, j.Verdict, j.Rule, j.Links)
		}
	}
	if j := Judge(tool("mail.send"), "", descriptors()["mail.send"], map[string]any{"to": "bob@corp.example", "body": "see www.ours.example.com"}, s); j.Rule != RuleEndorsed {
		t.Errorf("the owner's own link: %+v", j)
	}
}

// Values are shown whole, or with their length; verdicts are words.
func TestValuesAreShown(t *testing.T) {
	t.Parallel()
	if f := (Flow{tool("a"), "email:x"}); f.String() != `what t.a returned would reach "email:x"` {
		t.Error(f)
	}
	if f := (Finding{"to", `"x"`, "who knows"}); f.String() != `to "x": who knows` {
		t.Error(f)
	}
	if show(3.5) != "3.5" || show(func() {}) != "?" || len(show(strings.Repeat("x", 1000))) > 200 {
		t.Error("values are not shown")
	}
	for v, want := range map[Verdict]string{VerdictAsk: "ask", VerdictAllow: "allow", VerdictDeny: "deny", 77: "deny"} {
		if b, err := v.MarshalText(); err != nil || string(b) != want {
			t.Errorf("%d: %s", v, b)
		}
	}
}

// An effect that this build does not know is denied.
func TestEffectOfTheFutureIsDenied(t *testing.T) {
	t.Parallel()
	if j := Judge(tool("x"), "", abi.Descriptor{Effect: abi.EffectIrreversible + 1}, nil, owner("x")); j.Verdict != VerdictDeny || j.Rule != RuleNone {
		t.Errorf("%+v", j)
	}
}

// What is kept of a source has the same effect when it is read again.
func TestKeptSourceHasTheSameEffect(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		src := Source{
			Tool: tool("x"), Effect: rapid.SampledFrom([]abi.Effect{abi.EffectRead, abi.EffectEgress}).Draw(t, "effect"),
			Label: rapid.SampledFrom([]label.Label{private, public, ownData}).Draw(t, "label"),
			Text:  strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(vocabulary), rapid.String()), 0, 8).Draw(t, "words"), rapid.SampledFrom([]string{" ", "\n"}).Draw(t, "sep")),
		}
		once, twice := owner("go").Read(src), owner("go").Read(src.Kept())
		if once.Context != twice.Context || len(once.URLs) != len(twice.URLs) || len(once.Vouched) != len(twice.Vouched) {
			t.Fatalf("%+v\n%+v", once, twice)
		}
		for i := range once.URLs {
			if once.URLs[i] != twice.URLs[i] {
				t.Fatalf("%q became %q", once.URLs[i], twice.URLs[i])
			}
		}
	})
	long := make([]string, 2*maxTyped)
	for i := range long {
		long[i] = "a" + strings.Repeat("b", i%50) + string(rune('a'+i%26)) + "@x.example"
	}
	if n := len(typed(atom.Read(strings.Join(long, "\n")))); n > maxTyped {
		t.Errorf("%d values are kept", n)
	}
}
