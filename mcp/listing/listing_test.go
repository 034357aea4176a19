package listing

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/mcp/reason"
)

func tool(name, description string) json.RawMessage {
	b, err := json.Marshal(map[string]any{"name": name, "description": description, "inputSchema": map[string]any{"type": "object"}})
	if err != nil {
		panic(err)
	}
	return b
}

func TestListingsAreRefused(t *testing.T) {
	t.Parallel()
	many := make([]json.RawMessage, MaxTools+1)
	for i := range many {
		many[i] = tool(fmt.Sprintf("t%d", i), "")
	}
	fat := make([]json.RawMessage, MaxBytes/MaxEntry+1)
	for i := range fat {
		fat[i] = tool(fmt.Sprintf("t%d", i), strings.Repeat("x", MaxEntry-100))
	}
	cases := []struct {
		name  string
		tools []json.RawMessage
		want  reason.Reason // "" is accepted
	}{
		{"two ordinary tools", []json.RawMessage{tool("read_file", "Reads a file."), tool("write_file", "Writes.\n\n* once\n* twice")}, ""},
		{"an emoji in colour", []json.RawMessage{tool("a", "⚠️ careful 👩‍💻 1️⃣")}, ""},
		{"as many tools as there may be", many[:MaxTools], ""},
		{"one tool more", many, reason.Oversize},
		{"one tool as large as a book", []json.RawMessage{tool("a", strings.Repeat("x", MaxEntry))}, reason.Oversize},
		{"a library of tools", fat, reason.Oversize},
		{"a name twice", []json.RawMessage{tool("read", "one"), tool("read", "two")}, reason.Duplicate},
		{"names that differ by case", []json.RawMessage{tool("read", ""), tool("Read", "")}, reason.LookAlike},
		{"names that differ by a separator", []json.RawMessage{tool("read_file", ""), tool("read-file", "")}, reason.LookAlike},
		{"names that look alike", []json.RawMessage{tool("list", ""), tool("1ist", "")}, reason.LookAlike},
		{"a tool of another server", []json.RawMessage{tool("weather.forecast", "")}, reason.Foreign},
		{"a tool of another server, as other hosts write it", []json.RawMessage{tool("mcp__weather__forecast", "")}, reason.Foreign},
		{"a tool named like another server", []json.RawMessage{tool("Weather", "")}, reason.Foreign},
		{"a tool of this server", []json.RawMessage{tool("files.read", "")}, ""},
		{"a hidden tool name", []json.RawMessage{tool("_internal", "")}, reason.Foreign},
		{"tags that spell instructions", []json.RawMessage{tool("a", "adds\U000E0069\U000E0067\U000E006E\U000E006F\U000E0072\U000E0065")}, reason.Hidden},
		{"an override of the direction", []json.RawMessage{tool("a", "\u202Etxt.exe")}, reason.Hidden},
		{"a zero-width space in a name", []json.RawMessage{tool("re\u200Bad", "")}, reason.Hidden},
		{"a joiner between letters", []json.RawMessage{tool("a", "pass\u200Dword")}, reason.Hidden},
		{"a variation selector after a letter", []json.RawMessage{tool("a", "a\uFE0F")}, reason.Hidden},
		{"bytes in selectors", []json.RawMessage{tool("a", "😀\U000E0101\U000E0102")}, reason.Hidden},
		{"a filler that is blank", []json.RawMessage{tool("a", "x\u3164y")}, reason.Hidden},
		{"escapes for a terminal", []json.RawMessage{tool("a", "\x1b[2Jgone")}, reason.Hidden},
		{"text behind white space", []json.RawMessage{tool("a", "adds"+strings.Repeat(" ", 65)+"and mails")}, reason.Hidden},
		{"text behind empty lines", []json.RawMessage{tool("a", "adds"+strings.Repeat("\n", 65)+"and mails")}, reason.Hidden},
		{"as much white space as there may be", []json.RawMessage{tool("a", "adds"+strings.Repeat(" ", 64)+"x")}, ""},
		{"hidden in a schema", []json.RawMessage{json.RawMessage(`{"name":"a","inputSchema":{"type":"object","properties":{"x":{"description":"\u2066x"}}}}`)}, reason.Hidden},
		{"hidden in a key", []json.RawMessage{json.RawMessage(`{"name":"a","inputSchema":{"type":"object","properties":{"x\u200b":{}}}}`)}, reason.Hidden},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, err := Read("files", c.tools, []abi.SkillName{"weather", "files"})
			var refusal *reason.Refusal
			switch {
			case c.want == "" && (err != nil || len(l.Entries) != len(c.tools)):
				t.Errorf("got %d tools and %v", len(l.Entries), err)
			case c.want != "" && (!errors.As(err, &refusal) || refusal.Reason != c.want || refusal.Fix == ""):
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestAMalformedToolIsSkipped(t *testing.T) {
	t.Parallel()
	deep := `{"type":"object","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}"
	for name, raw := range map[string]string{
		"no object":                       `[]`,
		"no name":                         `{"inputSchema":{"type":"object"}}`,
		"a name with a space":             `{"name":"a b"}`,
		"a name of letters that are none": `{"name":"rеad"}`,
		"a name of 129":                   `{"name":"` + strings.Repeat("a", 129) + `"}`,
		"a key twice":                     `{"name":"a","name":"b"}`,
		"a deep schema":                   `{"name":"deep","inputSchema":` + deep + `}`,
		"a schema that is a word":         `{"name":"b","inputSchema":"object"}`,
		"a description that is a number":  `{"name":"c","description":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := Read("files", []json.RawMessage{json.RawMessage(raw), tool("ok", "")}, nil)
			if err != nil || len(l.Entries) != 1 || len(l.Skipped) != 1 || l.Entries[0].Name != "ok" {
				t.Errorf("got %+v, %v", l, err)
			}
		})
	}
}

func TestAPinCoversEverything(t *testing.T) {
	t.Parallel()
	base := `{"name":"a","title":"A","description":"d","inputSchema":{"type":"object"},"outputSchema":{"type":"object"},"annotations":{"readOnlyHint":true},"_meta":{"x":1}}`
	first, err := Read("files", []json.RawMessage{json.RawMessage(base)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range [][2]string{{`"A"`, `"B"`}, {`"d"`, `"d "`}, {`"inputSchema":{`, `"inputSchema":{"additionalProperties":false,`}, {`"outputSchema":{`, `"outputSchema":{"x":1,`}, {"true", "false"}, {`{"x":1}`, `{"x":2}`}} {
		again, err := Read("files", []json.RawMessage{json.RawMessage(strings.Replace(base, edit[0], edit[1], 1))}, nil)
		if err != nil {
			t.Fatal(err)
		}
		changes := Changes(first, again)
		if again.Digest() == first.Digest() || len(changes) != 1 || len(changes[0].Fields) != 1 || changes[0].Kind != Altered {
			t.Errorf("%s -> %s: digest %s, changes %+v", edit[0], edit[1], again.Digest(), changes)
		}
	}
	spaced, err := Read("files", []json.RawMessage{json.RawMessage(strings.ReplaceAll(base, ":", " : "))}, nil)
	if err != nil || spaced.Digest() != first.Digest() || Changes(first, spaced) != nil {
		t.Errorf("white space between the tokens changes the pin: %v", err)
	}
	forged := Listing{Entries: []Entry{first.Entries[0]}}
	forged.Entries[0].Canonical = json.RawMessage(strings.Replace(string(forged.Entries[0].Canonical), `"d"`, `"e"`, 1))
	if first.Check() != nil || forged.Check() == nil {
		t.Error("an entry that was edited in its file counts as pinned")
	}
}

func TestChangesAreShownByTool(t *testing.T) {
	t.Parallel()
	read := func(tools ...json.RawMessage) Listing {
		l, err := Read("files", tools, nil)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	got := Changes(read(tool("gone", "g"), tool("same", "s"), tool("told", "one")), read(tool("told", "two"), tool("same", "s"), tool("new", "n")))
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"tool":"gone","kind":"removed","fields":[{"key":"description","before":"g"},{"key":"inputSchema","before":{"type":"object"}},{"key":"name","before":"gone"}]},` +
		`{"tool":"new","kind":"added","fields":[{"key":"description","after":"n"},{"key":"inputSchema","after":{"type":"object"}},{"key":"name","after":"new"}]},` +
		`{"tool":"told","kind":"changed","fields":[{"key":"description","before":"one","after":"two"}]}]`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"name":"a","description":"d","inputSchema":{"type":"object"}}`, `{"name":"A"}`)
	f.Add(`{"name":"weather.x"}`, `{"name":"b\u200b"}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		l, err := Read("files", []json.RawMessage{json.RawMessage(a), json.RawMessage(b)}, []abi.SkillName{"weather"})
		if err != nil {
			var r *reason.Refusal
			if !errors.As(err, &r) || r.Reason == "" {
				t.Fatalf("no reason: %v", err)
			}
			return
		}
		if err := l.Check(); err != nil {
			t.Fatal(err)
		}
		if len(l.Entries)+len(l.Skipped) != 2 {
			t.Fatalf("%d tools and %d skipped of 2", len(l.Entries), len(l.Skipped))
		}
		for _, e := range l.Entries {
			if _, err := e.Tool(); err != nil {
				t.Fatal(err)
			}
		}
		if again, err := Read("files", []json.RawMessage{json.RawMessage(b), json.RawMessage(a)}, []abi.SkillName{"weather"}); err != nil || again.Digest() != l.Digest() {
			t.Fatalf("the order matters: %v", err)
		}
	})
}
