package skills

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
)

// TestReport is the result of Test.
type TestReport struct {
	Skill abi.SkillName `json:"skill"`
	Cases []CaseResult  `json:"cases"`
}

// CaseResult is the result of one case.
type CaseResult struct {
	File     string        `json:"file"`
	Name     string        `json:"name"`
	Failures []string      `json:"failures,omitempty"` // empty: passed
	Denials  []abi.Problem `json:"denials,omitempty"`
	Log      []string      `json:"log,omitempty"`
	Took     time.Duration `json:"took"`
}

// maxLogShown bounds the lines of a failed case in the text of a report: a Go guest
// that runs out of memory prints hundreds.
const maxLogShown = 12

// Failed counts the cases that failed.
func (r *TestReport) Failed() int {
	n := 0
	for _, c := range r.Cases {
		if len(c.Failures) > 0 {
			n++
		}
	}
	return n
}

// String returns the report as text, one line for each case and more for failures.
func (r *TestReport) String() string {
	var b strings.Builder
	for _, c := range r.Cases {
		verdict := "ok  "
		if len(c.Failures) > 0 {
			verdict = "FAIL"
		}
		fmt.Fprintf(&b, "%s %s: %s (%d ms)\n", verdict, c.File, c.Name, c.Took.Milliseconds())
		for _, f := range c.Failures {
			b.WriteString("     " + strings.ReplaceAll(f, "\n", "\n     ") + "\n")
		}
		if len(c.Failures) > 0 {
			for _, l := range c.Log[:min(len(c.Log), maxLogShown)] {
				b.WriteString("     log: " + l + "\n")
			}
			if more := len(c.Log) - maxLogShown; more > 0 {
				fmt.Fprintf(&b, "     log: … and %d more lines (--json has them all)\n", more)
			}
		}
	}
	fmt.Fprintf(&b, "%s: %d of %d cases passed\n", r.Skill, len(r.Cases)-r.Failed(), len(r.Cases))
	return b.String()
}

// Test runs tests/*.yaml of the built skill in dir on a real chamber. Each case has
// folders, a key-value store and a recorded network of its own.
func Test(ctx context.Context, dir string, r Runner) (*TestReport, error) {
	bundle, err := Open(dir)
	if err != nil {
		return nil, err
	}
	files, names, err := readTests(bundle.Dir)
	if err != nil {
		return nil, err
	}
	report := &TestReport{Skill: bundle.Name()}
	for _, name := range names {
		for i := range files[name].Cases {
			if err := ctx.Err(); err != nil {
				return report, err
			}
			begin := time.Now()
			result := CaseResult{File: name, Name: files[name].Cases[i].Name}
			if err := runCase(ctx, bundle, &files[name].Cases[i], r, &result); err != nil {
				return report, fmt.Errorf("%s: case %q: %w", name, result.Name, err)
			}
			result.Took = time.Since(begin)
			report.Cases = append(report.Cases, result)
		}
	}
	return report, nil
}

// runCase prepares one case, runs it and fills result. Its error is a mistake of the
// case or of the machine, not a failure of the skill.
func runCase(ctx context.Context, b *Bundle, c *Case, r Runner, result *CaseResult) (err error) {
	tmp, err := os.MkdirTemp("", "glovebox-test-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	rights, mounts, err := caseRights(b, c, tmp)
	if err != nil {
		return err
	}
	if err := placeFiles(mounts, c.Files); err != nil {
		return err
	}
	exchanges, err := c.exchanges(filepath.Join(b.Dir, TestFolder))
	if err != nil {
		return err
	}
	tape, err := broker.NewRecorded(exchanges, nil)
	if err != nil {
		return err
	}
	if _, ok := b.Tool(c.Tool); !ok {
		return fmt.Errorf("the skill has no tool %q", c.Tool)
	}
	args := json.RawMessage(c.Arguments)
	if len(args) == 0 {
		args = json.RawMessage("{}")
	}
	if rights, err = rights.Bind(args); err != nil {
		return err
	}
	store := filepath.Join(tmp, "state")
	if err := os.Mkdir(store, 0o700); err != nil {
		return err
	}
	out, callErr := r.RunTool(ctx, Call{
		Caller: abi.Caller{Agent: testAgent, Session: "test", Skill: b.Name(), Tool: c.Tool, Call: "test"},
		Module: b.Module(), Tool: c.Tool, Arguments: args, Rights: rights,
		Fetch: tape, Answers: answersOf(c), Folder: store,
	})
	result.Denials, result.Log = out.Denials, out.Log
	result.Failures = c.Expect.judge(out, callErr)
	result.Failures = append(result.Failures, c.Expect.judgeFiles(mounts)...)
	if callErr == nil {
		for _, u := range tape.Unused() {
			result.Failures = append(result.Failures, "the recorded answer to "+u+" was never asked for")
		}
	}
	return nil
}

func answersOf(c *Case) []abi.AskResult {
	var out []abi.AskResult
	for _, a := range c.Answers {
		out = append(out, abi.AskResult{Action: a.Action, Content: json.RawMessage(a.Content)})
	}
	return out
}

// caseRights grants what the manifest asks for, less what the case withholds, with
// every mount in a folder of its own below tmp.
func caseRights(b *Bundle, c *Case, tmp string) (abi.Rights, map[string]string, error) {
	m := &b.Manifest.Manifest
	g := m.AsGrant()
	g.Config = c.Config
	mounts := map[string]string{}
	for i := range g.Allow.Files {
		f := &g.Allow.Files[i]
		f.Host = filepath.Join(tmp, fmt.Sprintf("mount-%d", i))
		if err := os.Mkdir(f.Host, 0o700); err != nil {
			return abi.Rights{}, nil, err
		}
		mounts[f.Mount] = f.Host
	}
	for _, w := range c.Withhold {
		switch w {
		case "http":
			g.Allow.HTTP = nil
		case "files":
			g.Allow.Files = nil
		case "secrets":
			g.Allow.Secrets = nil
		case "kv":
			g.Allow.KV = nil
		case "human":
			g.Allow.Human = false
		}
	}
	r, err := requestedRights(m, g, b.Digest)
	if err == nil && !r.Granted {
		err = errors.New("the manifest's own request grants nothing: does it need a config value that the case does not give?")
	}
	return r, mounts, err
}

// onHost maps a guest path to the host and the mount's folder.
func onHost(mounts map[string]string, path string) (root, rel string, err error) {
	for mount, dir := range mounts {
		if rest, ok := strings.CutPrefix(path, mount+"/"); ok && filepath.IsLocal(filepath.FromSlash(rest)) {
			return dir, filepath.FromSlash(rest), nil
		}
	}
	return "", "", fmt.Errorf("path %q lies in no mount of the manifest", path)
}

func placeFiles(mounts map[string]string, files map[string]string) error {
	for path, text := range files {
		root, rel, err := onHost(mounts, path)
		if err != nil {
			return err
		}
		name := filepath.Join(root, rel)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// judge holds a result against the expectation and returns what is wrong.
func (e *Expectation) judge(out Outcome, err error) []string {
	if e.FailsWith != "" {
		if err == nil || !strings.Contains(err.Error(), e.FailsWith) {
			return []string{fmt.Sprintf("want a call that fails with %q, got %v", e.FailsWith, err)}
		}
		return e.judgeDenial(out)
	}
	if err != nil {
		return []string{"the call failed: " + err.Error()}
	}
	var wrong []string
	text := textOf(out.Result)
	want := e.Denied != "" && out.Result.IsError // a refusal may be passed on as an error or handled
	if e.IsError != nil {
		want = *e.IsError
	}
	if out.Result.IsError != want {
		wrong = append(wrong, fmt.Sprintf("is_error is %v, want %v; the text is:\n%s", out.Result.IsError, want, text))
	}
	for _, part := range e.TextContains {
		if !strings.Contains(text, part) {
			wrong = append(wrong, fmt.Sprintf("the text does not contain %q:\n%s", part, text))
		}
	}
	for _, part := range e.TextNotContains {
		if strings.Contains(text, part) {
			wrong = append(wrong, fmt.Sprintf("the text contains %q:\n%s", part, text))
		}
	}
	if e.TextEquals != nil {
		if got, want := strings.TrimSpace(text), strings.TrimSpace(*e.TextEquals); got != want {
			wrong = append(wrong, "the text differs (- want, + got):\n"+diff(want, got))
		}
	}
	if len(e.JSON) > 0 {
		wrong = append(wrong, judgeJSON(out.Result, text, e.JSON)...)
	}
	return append(wrong, e.judgeDenial(out)...)
}

func (e *Expectation) judgeDenial(out Outcome) []string {
	denied := func(p abi.Problem) bool { return p.Capability == e.Denied && p.Code == abi.CodeDenied }
	switch {
	case e.Denied == "" && len(out.Denials) > 0 && e.IsError == nil:
		return []string{"the host refused something: " + out.Denials[0].Error()}
	case e.Denied != "" && !slices.ContainsFunc(out.Denials, denied):
		return []string{fmt.Sprintf("want a refusal of %s by the host, got %v", e.Denied, out.Denials)}
	}
	return nil
}

func judgeJSON(r abi.CallResult, text string, want JSONText) []string {
	got := []byte(r.StructuredContent)
	if len(got) == 0 {
		got = []byte(text)
	}
	a, errA := decodeJSON(want)
	b, errB := decodeJSON(got)
	if err := errors.Join(errA, errB); err != nil {
		return []string{fmt.Sprintf("the result is not JSON: %v\n%s", err, text)}
	}
	if !reflect.DeepEqual(a, b) {
		return []string{"the JSON differs (- want, + got):\n" + diff(indented(want), indented(got))}
	}
	return nil
}

func decodeJSON(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

func indented(b []byte) string {
	v, err := decodeJSON(b)
	if err != nil {
		return string(b)
	}
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return string(b)
	}
	return string(out)
}

func (e *Expectation) judgeFiles(mounts map[string]string) []string {
	var wrong []string
	for path, want := range e.FilesAfter {
		got, err := readGuestFile(mounts, path)
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("%s: %v", path, err))
		case strings.TrimSpace(string(got)) != strings.TrimSpace(want):
			wrong = append(wrong, fmt.Sprintf("%s differs (- want, + got):\n%s", path, diff(want, string(got))))
		}
	}
	for _, path := range e.FilesAbsent {
		if _, err := readGuestFile(mounts, path); !errors.Is(err, fs.ErrNotExist) {
			wrong = append(wrong, fmt.Sprintf("%s is there (%v)", path, err))
		}
	}
	slices.Sort(wrong)
	return wrong
}

func readGuestFile(mounts map[string]string, path string) ([]byte, error) {
	root, rel, err := onHost(mounts, path)
	if err != nil {
		return nil, err
	}
	return readFile(root, filepath.ToSlash(rel), MaxFile)
}

func textOf(r abi.CallResult) string {
	var parts []string
	for _, c := range r.Content {
		if c.Text != "" {
			parts = append(parts, c.Text)
		}
	}
	return strings.Join(parts, "\n")
}
