package interop_test

import (
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

// TestExamplesInOtherLanguages calls each committed module once with nothing granted.
func TestExamplesInOtherLanguages(t *testing.T) {
	t.Parallel()
	e := chamber(t)
	for _, tc := range []struct {
		name, skill, tools, tool, args, want string
	}{
		{"C", "calc", "evaluate", "evaluate", `{"expression":"(0.1 + 0.2) * 3^2"}`, "2.7"},
		{"AssemblyScript", "units", "convert", "convert", `{"value":26.2,"from":"miles","to":"km"}`, "26.2 mi = 42.1648128 km"},
		{"Rust", "textstat", "analyse fetch_and_analyse", "analyse", `{"text":"Glass is clear. Steel is not."}`, "words: 6, sentences: 2, paragraphs: 1, characters: 29"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := load(t, e, readFile(t, examples+"/"+tc.skill+"/skill.wasm"))
			if got := p.tools(t); got != tc.tools {
				t.Errorf("tools %q, want %q", got, tc.tools)
			}
			if got, _, _ := strings.Cut(p.text(t, tc.tool, tc.args), "\n"); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestRustGuestPassesARefusalOn shows that a guest in Rust reads the host's reason and
// hands it to the model.
func TestRustGuestPassesARefusalOn(t *testing.T) {
	t.Parallel()
	p := load(t, chamber(t), readFile(t, examples+"/textstat/skill.wasm"))
	out, err := p.call(t, "fetch_and_analyse", `{"url":"https://example.com/"}`)
	if err != nil {
		t.Fatal(err)
	}
	if !out.Result.IsError || len(out.Denials) != 1 || out.Denials[0].Code != abi.CodeDenied {
		t.Fatalf("result %+v, denials %+v", out.Result, out.Denials)
	}
	if text := out.Result.Content[0].Text; !strings.Contains(text, out.Denials[0].Message) {
		t.Errorf("the model reads %q, which does not hold %q", text, out.Denials[0].Message)
	}
}
