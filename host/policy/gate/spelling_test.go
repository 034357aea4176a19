package gate

import (
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/atom"
)

// What was compared is what is sent: a tool gets its values as they are, so a spelling
// that another parser could read in another way, or that says more than the value that
// was compared, is named by nobody.
func TestComparedIsSent(t *testing.T) {
	t.Parallel()
	const words = "post bob@corp.example and pay GB29 NWBK 6016 1331 9268 19 or call +43 1 234 5678 about /notes/a.txt, 98.7, 1200, the blue plan, " +
		"https://forms.example.com/a and bücher@corp.example"
	s := owner(words).saw("web.get", public, "x")
	d := abi.Descriptor{Effect: abi.EffectEgress}
	for value, want := range map[string]Rule{
		"bob@corp.example":                    RuleEndorsed,
		"BOB@Corp.Example":                    RuleEndorsed,
		"ｂｏｂ@corp.example":                    RuleProvenance,
		"bob@corp.example.":                   RuleProvenance,
		"GB29NWBK60161331926819":              RuleEndorsed,
		"GB29-NWBK-6016-1331-9268-19":         RuleEndorsed,
		"gb29 nwbk 6016 1331 9268 19":         RuleProvenance,
		"+43 1 234 5678":                      RuleEndorsed,
		"+43 (1) 234-5678":                    RuleEndorsed,
		"/notes/a.txt":                        RuleEndorsed,
		"/notes/x/../a.txt":                   RuleProvenance,
		"/notes/./a.txt":                      RuleProvenance,
		"98.7":                                RuleEndorsed,
		"98.70":                               RuleProvenance,
		"1,200":                               RuleProvenance,
		"the blue plan":                       RuleEndorsed,
		" the  blue plan ":                    RuleEndorsed,
		"ｔhe blue plan":                       RuleProvenance,
		"https://forms.example.com/a":         RuleEndorsed,
		"HTTPS://forms.example.com/a":         RuleProvenance,
		"https://forms.example.com/4711/../a": RuleProvenance,
		"https://forms.example.com/a#4711":    RuleProvenance,
		"https://forms.example.com:443/a":     RuleProvenance,
		"https://forms.example.com/%61":       RuleProvenance,
		"bücher@corp.example":                 RuleEndorsed,
		"the blue plan /notes/x/../a.txt":     RuleProvenance,
		"98.7, 1200, the blue plan":           RuleEndorsed,
		"the blue plan, https://forms.example.com/4711/../a": RuleProvenance,
	} {
		if j := Judge(tool("x"), "", d, map[string]any{"v": value}, s); j.Rule != want {
			t.Errorf("%q: %v by %s, want %s", value, j.Verdict, j.Rule, want)
		}
	}
	value, _ := atom.Value("bob@corp.example")
	s.Endorsed = []Endorsement{{tool("x"), "", "v", value}}
	s.Minted = []Minted{{"t", value}}
	if j := Judge(tool("x"), "", d, map[string]any{"v": "ｂｏｂ@corp.example"}, s); j.Rule != RuleProvenance {
		t.Errorf("a person endorsed another spelling: %s", j.Rule)
	}
}
