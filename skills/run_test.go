package skills

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

// guestRunner plays a guest: it does what its function says, with the call's rights.
type guestRunner func(ctx context.Context, c Call) (Outcome, error)

func (g guestRunner) RunTool(ctx context.Context, c Call) (Outcome, error) { return g(ctx, c) }

func say(text string) Outcome {
	return Outcome{Result: abi.CallResult{Content: []abi.Content{{Type: "text", Text: text}}}}
}

// runTest runs one case given as YAML on a guest and returns its failures.
func runTest(t *testing.T, yaml string, g guestRunner) ([]string, error) {
	t.Helper()
	dir := built(t, map[string]string{"tests/t.yaml": "schema: glovebox/test/v1\ncases:\n" + yaml})
	r, err := Test(t.Context(), dir, g)
	if err != nil {
		return nil, err
	}
	if len(r.Cases) != 1 {
		t.Fatalf("%d cases ran", len(r.Cases))
	}
	return r.Cases[0].Failures, nil
}

func TestExpectations(t *testing.T) {
	t.Parallel()
	hello := func(context.Context, Call) (Outcome, error) { return say("Hello, Ada!"), nil }
	failing := func(context.Context, Call) (Outcome, error) {
		o := say("no such city")
		o.Result.IsError = true
		return o, nil
	}
	denied := func(context.Context, Call) (Outcome, error) {
		o := say("denied")
		o.Result.IsError = true
		o.Denials = []abi.Problem{{Code: abi.CodeDenied, Capability: "http", Message: "not granted"}}
		return o, nil
	}
	broken := func(context.Context, Call) (Outcome, error) { return Outcome{}, errors.New("limit wall exceeded") }
	structured := func(context.Context, Call) (Outcome, error) {
		o := say("see below")
		o.Result.StructuredContent = json.RawMessage(`{"n": 9007199254740993, "l": [1]}`)
		return o, nil
	}
	for _, c := range []struct {
		name, expect string
		guest        guestRunner
		want         string // part of the failure; empty: passes
	}{
		{"text contains", `{text_contains: [Ada]}`, hello, ""},
		{"text does not contain", `{text_contains: [Bob]}`, hello, `does not contain "Bob"`},
		{"text must not contain", `{text_not_contains: [Ada]}`, hello, `contains "Ada"`},
		{"text equals", `{text_equals: "Hello, Ada!\n"}`, hello, ""},
		{"text differs", `{text_equals: "Hello, Bob!"}`, hello, "- Hello, Bob!\n+ Hello, Ada!"},
		{"JSON equals", `{json: '{"l":[1],"n":9007199254740993}'}`, structured, ""},
		{"JSON differs in the last digit", `{json: '{"l":[1],"n":9007199254740992}'}`, structured, `-   "n": 9007199254740992`},
		{"text is no JSON", `{json: '{}'}`, hello, "the result is not JSON"},
		{"an error was wanted", `{is_error: true}`, hello, "is_error is false, want true"},
		{"an error came", `{is_error: true}`, failing, ""},
		{"an error was not wanted", `{text_contains: [city]}`, failing, "is_error is true, want false"},
		{"a refusal was wanted", `{denied: http}`, hello, "want a refusal of http"},
		{"a refusal came", `{denied: http}`, denied, ""},
		{"a refusal of something else", `{denied: files}`, denied, "want a refusal of files"},
		{"a refusal that nobody expects", `{text_contains: [Hello]}`, func(context.Context, Call) (Outcome, error) {
			o := say("Hello")
			o.Denials = []abi.Problem{{Code: abi.CodeDenied, Capability: "kv", Message: "not granted"}}
			return o, nil
		}, "the host refused something"},
		{"the call failed", `{text_contains: [Hello]}`, broken, "the call failed: limit wall exceeded"},
		{"the call fails as wanted", `{fails_with: limit wall}`, broken, ""},
		{"the call does not fail", `{fails_with: limit}`, hello, `want a call that fails with "limit"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := runTest(t, "  - {name: x, tool: greet, expect: "+c.expect+"}\n", c.guest)
			if err != nil {
				t.Fatal(err)
			}
			if s := strings.Join(got, "\n"); c.want == "" && s != "" || !strings.Contains(s, c.want) {
				t.Errorf("failures: %q", s)
			}
		})
	}
}

func TestCaseRightsAndRecordings(t *testing.T) {
	t.Parallel()
	fetch := func(url string) guestRunner {
		return func(ctx context.Context, c Call) (Outcome, error) {
			resp, body, err := c.Fetch.Fetch(ctx, c.Caller, c.Rights, abi.FetchRequest{URL: url}, nil)
			var p *abi.Problem
			if errors.As(err, &p) {
				o := say(p.Error())
				o.Result.IsError, o.Denials = true, []abi.Problem{*p}
				return o, nil
			}
			return say(string(body) + resp.URL), err
		}
	}
	const http = "http: [{request: {url: 'https://a.example/'}, response: {body: 'hi '}}]"
	for _, c := range []struct {
		name, yaml string
		guest      guestRunner
		want       string
	}{
		{"a recorded answer", `arguments: '{"url":"https://a.example/"}', ` + http + `, expect: {text_equals: "hi https://a.example/"}`, fetch("https://a.example/"), ""},
		{"a body from a file", `arguments: '{"url":"https://a.example/"}', http: [{request: {url: 'https://a.example/'}, response: {file: page.txt}}], expect: {text_contains: [from a file]}`, fetch("https://a.example/"), ""},
		{"http withheld", `arguments: '{"url":"https://a.example/"}', withhold: [http], expect: {denied: http}`, fetch("https://a.example/"), ""},
		{"another origin than the argument's", `arguments: '{"url":"https://a.example/"}', expect: {denied: http}`, fetch("https://b.example/"), ""},
		{"no argument, no origin", `expect: {denied: http}`, fetch("https://a.example/"), ""},
		{"a recording that nobody asked for", `arguments: '{"url":"https://a.example/"}', ` + http + `, expect: {text_contains: [x]}`,
			func(context.Context, Call) (Outcome, error) { return say("x"), nil }, "the recorded answer to GET https://a.example/ was never asked for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := built(t, map[string]string{"tests/t.yaml": "schema: glovebox/test/v1\ncases:\n  - {name: x, tool: greet, " + c.yaml + "}\n", "tests/page.txt": "from a file"})
			r, err := Test(t.Context(), dir, c.guest)
			if err != nil {
				t.Fatal(err)
			}
			if s := strings.Join(r.Cases[0].Failures, "\n"); c.want == "" && s != "" || !strings.Contains(s, c.want) {
				t.Errorf("failures: %q", s)
			}
		})
	}
}

func TestCaseFiles(t *testing.T) {
	t.Parallel()
	var seen string
	guest := func(_ context.Context, c Call) (Outcome, error) {
		if len(c.Rights.Files) != 1 || !c.Rights.Files[0].Write || c.Rights.Files[0].Mount != "/data" {
			return Outcome{}, errors.New("no mount")
		}
		dir := c.Rights.Files[0].Host
		seen = dir
		old, err := os.ReadFile(filepath.Join(dir, "in", "a.txt"))
		if err != nil {
			return Outcome{}, err
		}
		return say("ok"), os.WriteFile(filepath.Join(dir, "out.txt"), append(old, '!'), 0o600)
	}
	got, err := runTest(t, "  - {name: x, tool: greet, files: {/data/in/a.txt: hi}, expect: {files_after: {/data/out.txt: hi!}, files_absent: [/data/none]}}\n", guest)
	if err != nil || len(got) > 0 {
		t.Errorf("failures %q, %v", got, err)
	}
	if _, err := os.Stat(seen); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the case is left: %v", err)
	}
	got, err = runTest(t, "  - {name: x, tool: greet, files: {/data/in/a.txt: hi}, expect: {files_after: {/data/out.txt: ho}, files_absent: [/data/in/a.txt]}}\n", guest)
	if s := strings.Join(got, "\n"); err != nil || !strings.Contains(s, "- ho\n+ hi!") || !strings.Contains(s, "/data/in/a.txt is there") {
		t.Errorf("failures %q, %v", got, err)
	}
	if _, err = runTest(t, "  - {name: x, tool: greet, files: {/other/a: hi}, expect: {is_error: false}}\n", guest); err == nil || !strings.Contains(err.Error(), "lies in no mount") {
		t.Errorf("a file outside the mounts: %v", err)
	}
	if _, err = runTest(t, "  - {name: x, tool: greet, files: {/data/../../a: hi}, expect: {is_error: false}}\n", guest); err == nil {
		t.Error("a file above the mount was placed")
	}
}

func TestFilesOfTests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, yaml, want string }{
		{"an unknown key", "  - {name: x, tool: greet, expect: {is_eror: true}}\n", `did you mean "is_error"`},
		{"no expectation", "  - {name: x, tool: greet, expect: {}}\n", "a case that expects nothing proves nothing"},
		{"arguments that are no JSON", "  - {name: x, tool: greet, arguments: '{', expect: {is_error: true}}\n", "want JSON"},
		{"arguments that are no object", "  - {name: x, tool: greet, arguments: '[]', expect: {is_error: true}}\n", "want a JSON object"},
		{"an unknown capability", "  - {name: x, tool: greet, withhold: [net], expect: {is_error: true}}\n", `"net" is no capability`},
		{"an unknown refusal", "  - {name: x, tool: greet, expect: {denied: net}}\n", `"net" is no capability`},
		{"a file outside", "  - {name: x, tool: greet, http: [{request: {url: 'https://a.example/'}, response: {file: ../../secret}}], expect: {is_error: true}}\n", "want a file below the tests"},
		{"a wrong answer", "  - {name: x, tool: greet, answers: [{action: maybe}], expect: {is_error: true}}\n", "want accept, decline or timeout"},
		{"a name twice", "  - {name: x, tool: greet, expect: {is_error: true}}\n  - {name: x, tool: greet, expect: {is_error: true}}\n", "stands there twice"},
		{"an unknown tool", "  - {name: x, tool: gret, expect: {is_error: true}}\n", `the skill has no tool "gret"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := runTest(t, c.yaml, func(context.Context, Call) (Outcome, error) { return say(""), nil })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := DecodeTests("t.yaml", []byte("schema: glovebox/test/v2\ncases: []\n")); err == nil {
		t.Error("another schema was taken")
	}
	if _, err := Test(t.Context(), built(t, nil), guestRunner(nil)); err == nil || !strings.Contains(err.Error(), "no tests in") {
		t.Errorf("no tests: %v", err)
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	if got := diff("a\nb\nc", "a\nx\nc\nd"); got != "  a\n- b\n+ x\n  c\n+ d" {
		t.Errorf("got %q", got)
	}
}

func FuzzTests(f *testing.F) {
	f.Add([]byte("schema: glovebox/test/v1\ncases:\n  - {name: x, tool: greet, arguments: '{}', http: [{request: {url: 'https://a.example/'}, response: {file: a}}], expect: {denied: http}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := DecodeTests("t.yaml", data)
		if err != nil {
			return
		}
		for _, c := range file.Cases {
			if _, err := c.exchanges("/nonexistent"); err == nil {
				for _, x := range c.HTTP {
					if x.Response.File != "" {
						t.Errorf("%q was read", x.Response.File)
					}
				}
			}
		}
	})
}
