package approval

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// asked is the fixed ask of the golden cards.
func asked(args string) row {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	r := requestOf(callOf(args), at.Add(5*time.Minute))
	r.Pin = abi.DigestOf([]byte("pinned"))
	return row{ID: "k3f9k3f9k3f9k3f9", State: Pending, Asked: at, Request: r}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// TestCardGolden pins what a person sees.
func TestCardGolden(t *testing.T) {
	t.Parallel()
	finding := func(arg, value string) gate.Finding {
		return gate.Finding{Argument: arg, Value: value, Why: "from bills.read (tainted, owner); neither your own words nor a trusted source name it"}
	}
	for name, x := range map[string]struct {
		args   string
		change func(*row)
	}{
		"payment": {`{"amount":98.7,"recipient":"US133000000121212121212","subject":"bill"}`, func(r *row) {
			r.Request.Rule, r.Request.Why = gate.RuleProvenance, "a value that decides what happens was named by nobody trusted"
			r.Request.Findings = []gate.Finding{finding("amount", "98.7"), finding("recipient", `"US133000000121212121212"`)}
			r.Request.Roles = map[string]abi.Role{"subject": abi.RoleContent}
		}},
		"mail": {`{"body":"Hi Bob,\nsee https://evil.example/?q=1\n\napproval aaaaaaaaaaaaaaaa (pending): agent home wants nothing  \n","cc":[],"to":["bob@corp.example","m\u0430llory@corp.example"]}`, func(r *row) {
			r.Request.Tool, r.Request.Effect = abi.ToolRef{Skill: "mail", Tool: "send"}, abi.EffectEgress
			r.Request.Context = label.Label{Readers: label.ReadBy("email:ana@corp.example")}
			r.Request.Rule, r.Request.Why = gate.RuleReaders, "private content would reach somebody who may not see it"
			r.Request.Findings = []gate.Finding{finding("to", `"m\u0430llory@corp.example"`)}
			r.Request.Flows = []gate.Flow{{Source: abi.ToolRef{Skill: "mail", Tool: "search"}, To: "email:bob@corp.example"}}
			r.Request.Links = []string{"https://evil.example/?q=1"}
			r.Request.About = "a row\nwith \u202ehidden text"
			r.Request.Roles = map[string]abi.Role{"body": abi.RoleContent}
		}},
		"hidden": {"{\"note\":\"" + strings.Repeat(" ", 400) + "rm \u202e\u200b\U000e0041 -rf\\\\\\u0000\\u0007 \u00a0é e\u0301\u0301\u0301\u0301 \u2028end\",\"odd \\\"name\\\"\\n\":true,\"rtl\":\"\u05d0\u05d1\"}", nil},
		"decided": {`{}`, func(r *row) {
			r.State, r.By, r.Decided, r.Repeats = Denied, operator, r.Asked.Add(time.Minute), 2
			r.Request = r.Request.withoutContent()
		}},
		"undeclared": {`{"deep":{"list":[{"a":null},[],{}],"n":-0.5},"long":"` + strings.Repeat("x", 300) + `"}`, func(r *row) {
			r.Request.Effect, r.Request.Rule = abi.EffectUnknown, gate.RuleUndeclared
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := asked(x.args)
			if len(r.Request.Args) == 0 {
				t.Fatal("no arguments")
			}
			if x.change != nil {
				x.change(&r)
			}
			s := &Store{}
			card, err := s.card(r)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, card.Text)
			for _, ch := range card.Text {
				if ch != '\n' && unseen(ch) {
					t.Errorf("the card holds U+%04X", ch)
				}
			}
			for l := range strings.Lines(card.Text) {
				if utf8.RuneCountInString(l) > lineWidth+1 {
					t.Errorf("a line is %d wide: %q", utf8.RuneCountInString(l), l)
				}
			}
		})
	}
}

// TestCardIsComplete: no value is cut or left out, whatever its length.
func TestCardIsComplete(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 20_000) + "END"
	raw, _ := json.Marshal(map[string]any{"body": long, "list": []string{"a", "b", "c"}})
	card, err := (&Store{}).card(asked(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(card.Text, "\n    … ", "")
	if !strings.Contains(text, `"`+long+`"`) || card.Fields[0].Value != `"`+long+`"` {
		t.Error("a long value was cut")
	}
	for _, f := range []string{`list[0] (control): "a"`, `list[1] (control): "b"`, `list[2] (control): "c"`} {
		if !strings.Contains(card.Text, f) {
			t.Errorf("%s is not on the card", f)
		}
	}
}

// TestCardHidesKnownSecrets: the redactor sees every text before it is rendered.
func TestCardHidesKnownSecrets(t *testing.T) {
	t.Parallel()
	s := &Store{cfg: Config{Redact: func(text string) string { return strings.ReplaceAll(text, "hunter2hunter2", "[secret:x]") }}}
	r := asked(`{"body":"is hunter2hunter2","hunter2hunter2":"x"}`)
	r.Request.Links = []string{"https://a.example/hunter2hunter2"}
	r.Request.Findings = []gate.Finding{{Argument: "hunter2hunter2", Value: `"x"`, Why: "hunter2hunter2"}, {Argument: "z", Value: "hunter2hunter2"}}
	card, err := s.card(r)
	if err != nil {
		t.Fatal(err)
	}
	all, _ := json.Marshal(card)
	if strings.Contains(string(all), "hunter2") || !strings.Contains(card.Text, "[secret:x]") || card.Arguments != nil {
		t.Errorf("the card shows a secret: %s", all)
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain text":                  `"plain text"`,
		`a "b" \c`:                    `"a \"b\" \\c"`,
		"a\nb\r\tc":                   `"a\nb\r\tc"`,
		"user\u202egpj.exe":           `"user\u{202E}gpj.exe"`,
		"zero\u200bwidth\u200d\ufeff": `"zero\u{200B}width\u{200D}\u{FEFF}"`,
		"tags\U000e0068\U000e0069":    `"tags\u{E0068}\u{E0069}"`,
		"nbsp\u00a0thin\u2009":        `"nbsp\u{A0}thin\u{2009}"`,
		"bad\xffutf8\xc3":             `"bad\x{FF}utf8\x{C3}"`,
		"\ufffd":                      `"\u{FFFD}"`,
		"filler\u3164\u115f\uffa0":    `"filler\u{3164}\u{115F}\u{FFA0}"`,
		"braille\u2800":               `"braille\u{2800}"`,
		"emoji\ufe0f":                 `"emoji\u{FE0F}"`,
		"private\ue000":               `"private\u{E000}"`,
		"esc\x1b[31m\x00\x7f\u0085":   `"esc\u{1B}[31m\u{0}\u{7F}\u{85}"`,
		"soft\u00adhyphen":            `"soft\u{AD}hyphen"`,
		"é日本語 русский":                `"é日本語 русский"`,
		"eight        spaces":         `"eight        spaces"`,
		"nine         spaces":         `"nine\s{9}spaces"`,
		"end ":                        `"end\s{1}"`,
		"line \nnext":                 `"line\s{1}\nnext"`,
		"\u0301lead":                  `"\u{301}lead"`,
		"z\u0301\u0302\u0303":         "\"z\u0301\u0302\\u{303}\"",
		`\u{202E}`:                    `"\\u{202E}"`,
		"":                            `""`,
	} {
		if got := Visible(in); got != want {
			t.Errorf("%+q: got %s, want %s", in, got, want)
		}
	}
}

// Visible hides nothing and confuses nothing: each character of its form has a glyph,
// and two texts never look the same.
func TestVisibleIsFaithful(t *testing.T) {
	t.Parallel()
	text := rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", " ", "         ", "\\", "\\s{9}", "\\u{202E}", "\u202e", "\u200b", "\xff", "\x80", "\n", "\\n", "\"", "{", "}", "\u0301", "é", "\t", "\u00a0"}), 0, 8).Draw(t, "parts")
		return strings.Join(parts, "")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		if va, vb := Visible(a), Visible(b); (va == vb) != (a == b) {
			t.Fatalf("%+q and %+q look like %s", a, b, va)
		}
		for _, r := range Visible(a) {
			if unseen(r) || unicode.IsControl(r) {
				t.Fatalf("%+q: the form holds U+%04X", a, r)
			}
		}
	})
}

func TestNotes(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name, text string
		control    bool
		want       string // a part of a note; "" = no note
	}{
		{"plain words", "send it to bob@corp.example", true, ""},
		{"Cyrillic among Latin", "p\u0430ypal.com", true, `the word "p` + "\u0430" + `ypal" mixes scripts: Cyrillic, Latin (p\u{430}ypal)`},
		{"Greek among Latin in content", "micr\u03bfsoft", false, "Greek, Latin"},
		{"a whole word of another script decides", "\u0441\u043e\u0440\u0430", true, `letters of Cyrillic (\u{441}\u{43E}\u{440}\u{430})`},
		{"a whole word of another script as content", "\u0441\u043e\u0440\u0430", false, ""},
		{"Japanese with Latin", "JR東日本のパス", false, ""},
		{"Korean with Latin", "LG전자", false, ""},
		{"Japanese with Cyrillic", "東\u0430", false, "mixes scripts: Cyrillic, Han"},
		{"hidden characters", "a\u200b\u202e", false, "2 hidden characters"},
		{"right to left", "\u05d0\u05d1", false, "right-to-left"},
		{"a letter with an accent", "café", true, ""},
		{"many words", strings.Repeat("p\u0430y ", 20), false, "12 more words mix scripts"},
	} {
		notes := strings.Join(Notes(x.text, x.control), "; ")
		if (x.want == "") != (notes == "") || !strings.Contains(notes, x.want) {
			t.Errorf("%s: %q, want %q", x.name, notes, x.want)
		}
	}
}

// FuzzCard renders hostile arguments.
func FuzzCard(f *testing.F) {
	f.Add("a\u202eb", "x", "  ")
	f.Add("next\n  glovebox approval approve aaaaaaaaaaaaaaaa", "a.b", "\x00")
	f.Fuzz(func(t *testing.T, value, name, why string) {
		raw, err := json.Marshal(map[string]any{name: value, "list": []any{value, map[string]any{name: nil}}})
		if err != nil {
			t.Skip()
		}
		r := asked(string(raw))
		r.Request.Findings = []gate.Finding{{Argument: name, Value: value, Why: why}}
		card, err := (&Store{}).card(r)
		if err != nil {
			return // not canonical JSON, such as a lone surrogate
		}
		for _, ch := range card.Text {
			if ch != '\n' && unseen(ch) {
				t.Fatalf("the card holds U+%04X", ch)
			}
		}
		// Only the host's own lines begin in the columns where its lines begin.
		for l := range strings.Lines(card.Text) {
			head, _, _ := strings.Cut(strings.TrimSpace(l), " ")
			if strings.HasPrefix(l, "approval ") && !strings.HasPrefix(l, "approval k3f9k3f9k3f9k3f9 ") || head == "glovebox" && !strings.Contains(l, "k3f9k3f9k3f9k3f9") {
				t.Fatalf("a forged line: %q", l)
			}
		}
	})
}
