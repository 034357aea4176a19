package gate

import (
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

// An address is verbatim only in the spelling that is compared: what a fragment, a
// capital or a detour spells out would reach the tool.
func TestVerbatimIsOneSpelling(t *testing.T) {
	t.Parallel()
	s := owner("read the page").saw("mail.search", private, "secret 4711")
	s = s.Read(Source{Tool: tool("web.get"), Effect: abi.EffectEgress, Label: public, Text: "see https://news.example/b?x=1 or https://evil.example", Fetched: true})
	d := descriptors()["web.get"]
	for url, want := range map[string]Verdict{
		"https://news.example/b?x=1":         VerdictAllow,
		"https://evil.example/":              VerdictAllow,
		"https://evil.example":               VerdictAllow,
		"https://news.example/b?x=1#4711":    VerdictAsk,
		"https://news.example/4711/../b?x=1": VerdictAsk,
		"HTTPS://nEwS.example/b?x=1":         VerdictAsk,
		"https://news.example/%62?x=1":       VerdictAsk,
		"https://news.example:443/b?x=1":     VerdictAsk,
		" https://news.example/b?x=1":        VerdictAsk,
		"https://news.example/b?x=1.":        VerdictAsk,
		"ｈttps://news.example/b?x=1":         VerdictAsk,
	} {
		if j := Judge(tool("web.get"), "", d, map[string]any{"url": url}, s); j.Verdict != want {
			t.Errorf("%q: %v %s, want %v", url, j.Verdict, j.Rule, want)
		}
	}
}

// What stands in the place of a name in a control object decides as much as a value.
func TestNamesInAControlObjectAreControl(t *testing.T) {
	t.Parallel()
	s := owner("send it to bob@corp.example").saw("mail.search", private, "x")
	d := abi.Descriptor{Effect: abi.EffectEgress, Recipients: []string{"/to"}}
	for name, to := range map[string]any{
		"a name without a value": map[string]any{"mallory@evil.example": nil},
		"a name with a word":     map[string]any{"mallory@evil.example": "to"},
		"a name and the owner's": map[string]any{"mallory@evil.example": "bob@corp.example"},
	} {
		if j := Judge(tool("mail.send"), "", d, map[string]any{"to": to}, s); j.Verdict == VerdictAllow {
			t.Errorf("%s: %v %s", name, j.Verdict, j.Rule)
		}
	}
}

// readers: named is about who was named; a server that the tool has fixed is not.
func TestFixedRecipientIsNotNamed(t *testing.T) {
	t.Parallel()
	s := owner("send it to bob@corp.example").saw("mail.search", private, "x")
	s.Readers = ReadersNamed
	args := map[string]any{"to": "bob@corp.example"}
	d := abi.Descriptor{Effect: abi.EffectEgress, Recipients: []string{"/to"}}
	if j := Judge(tool("mail.send"), "", d, args, s); j.Verdict != VerdictAllow {
		t.Errorf("named: %v %s", j.Verdict, j.Rule)
	}
	d.Recipients = append(d.Recipients, "host:relay.example")
	if j := Judge(tool("mail.send"), "", d, args, s); j.Rule != RuleReaders {
		t.Errorf("fixed: %v %s", j.Verdict, j.Rule)
	}
}
