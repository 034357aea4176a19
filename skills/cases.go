package skills

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
)

// SchemaTest is the schema of the files in tests/.
const SchemaTest = "glovebox/test/v1"

// TestFile is one file of tests.
type TestFile struct {
	Schema string `yaml:"schema,required"`
	Cases  []Case `yaml:"cases,required"`
}

// Case is one call and what must come of it. The skill has everything that its
// manifest asks for, except what Withhold names.
type Case struct {
	Name      string            `yaml:"name,required"`
	Tool      abi.ToolName      `yaml:"tool,required"`
	Arguments JSONText          `yaml:"arguments"` // a JSON object, as a model writes it
	HTTP      []Exchange        `yaml:"http"`      // recorded; any other request fails
	Files     map[string]string `yaml:"files"`     // by guest path: what lies in the mounts before the call
	Config    map[string]string `yaml:"config"`    // the operator's values
	Answers   []HumanAnswer     `yaml:"answers"`   // to questions, in order
	Withhold  []string          `yaml:"withhold"`  // http, files, secrets, kv, human: not granted
	Expect    Expectation       `yaml:"expect,required"`
}

// Exchange is one recorded request and its answer; see broker.Exchange. The body may
// lie in a file beside the tests.
type Exchange struct {
	Request  broker.RecordedRequest `yaml:"request,required"`
	Response RecordedResponse       `yaml:"response,required"`
}

// RecordedResponse is broker.RecordedResponse with a body that may be a file.
type RecordedResponse struct {
	Status  int               `yaml:"status"`
	Headers map[string]string `yaml:"headers"`
	Body    string            `yaml:"body"`
	File    string            `yaml:"file"` // below the folder of tests
	Fail    abi.Code          `yaml:"fail"` // network or timeout, instead of an answer
}

// HumanAnswer is what the operator says to a question.
type HumanAnswer struct {
	Action  string   `yaml:"action,required"` // accept, decline, timeout
	Content JSONText `yaml:"content"`
}

// Expectation is what must hold after a case; at least one part is set.
type Expectation struct {
	TextContains    []string          `yaml:"text_contains"`     // in the text of the result
	TextNotContains []string          `yaml:"text_not_contains"` //
	TextEquals      *string           `yaml:"text_equals"`       // apart from white space at the ends
	JSON            JSONText          `yaml:"json"`              // the structured content, or the text as JSON: same value
	IsError         *bool             `yaml:"is_error"`          // whether the tool says that it failed; no error if absent, unless denied
	Denied          string            `yaml:"denied"`            // the capability that the host refused during the call
	FailsWith       string            `yaml:"fails_with"`        // part of the error of a call that did not end
	FilesAfter      map[string]string `yaml:"files_after"`       // by guest path: the whole content
	FilesAbsent     []string          `yaml:"files_absent"`      // guest paths where nothing may be
}

// JSONText is JSON inside YAML, written as text.
type JSONText json.RawMessage

// UnmarshalText implements encoding.TextUnmarshaler.
func (j *JSONText) UnmarshalText(b []byte) error {
	if err := abi.CheckJSON(b, abi.MaxJSONDepth); err != nil {
		return fmt.Errorf("want JSON: %w", err)
	}
	*j = append(JSONText(nil), b...)
	return nil
}

var capabilities = []string{"files", "http", "human", "kv", "secrets"}

// Check reports the first mistake of a case that its types do not show.
func (c *Case) Check() error {
	field := func(path, format string, args ...any) error {
		return &abi.FieldError{Path: path, Err: fmt.Errorf(format, args...)}
	}
	if len(c.Arguments) > 0 && c.Arguments[0] != '{' {
		return field("arguments", "want a JSON object")
	}
	for i, w := range c.Withhold {
		if !slices.Contains(capabilities, w) {
			return field(fmt.Sprintf("withhold[%d]", i), "%q is no capability: want one of %s", w, strings.Join(capabilities, ", "))
		}
	}
	if d := c.Expect.Denied; d != "" && !slices.Contains(capabilities, d) {
		return field("expect.denied", "%q is no capability: want one of %s", d, strings.Join(capabilities, ", "))
	}
	e := c.Expect
	if len(e.TextContains)+len(e.TextNotContains)+len(e.JSON)+len(e.FilesAfter)+len(e.FilesAbsent) == 0 &&
		e.TextEquals == nil && e.IsError == nil && e.Denied == "" && e.FailsWith == "" {
		return field("expect", "empty: a case that expects nothing proves nothing")
	}
	for i, x := range c.HTTP {
		if x.Response.File != "" && (x.Response.Body != "" || !filepath.IsLocal(filepath.FromSlash(x.Response.File))) {
			return field(fmt.Sprintf("http[%d].response.file", i), "want a file below the tests, and no body")
		}
	}
	for i, a := range c.Answers {
		if !slices.Contains([]string{"accept", "decline", "timeout"}, a.Action) {
			return field(fmt.Sprintf("answers[%d].action", i), "%q: want accept, decline or timeout", a.Action)
		}
	}
	return nil
}

// DecodeTests decodes one file of tests.
func DecodeTests(file string, data []byte) (*TestFile, error) {
	var t TestFile
	if err := abi.DecodeYAML(file, data, &t); err != nil {
		return nil, err
	}
	if t.Schema != SchemaTest {
		return nil, fmt.Errorf("%s: schema %q: this build reads %s", file, t.Schema, SchemaTest)
	}
	seen := map[string]bool{}
	for i := range t.Cases {
		c := &t.Cases[i]
		if err := c.Check(); err != nil {
			return nil, fmt.Errorf("%s: cases[%d].%w", file, i, err)
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("%s: cases[%d].name: %q stands there twice", file, i, c.Name)
		}
		seen[c.Name] = true
	}
	return &t, nil
}

// exchanges returns the recorded exchanges of a case with their bodies read.
func (c *Case) exchanges(folder string) ([]broker.Exchange, error) {
	out := make([]broker.Exchange, 0, len(c.HTTP))
	for _, x := range c.HTTP {
		r := x.Response
		e := broker.Exchange{Request: x.Request, Response: broker.RecordedResponse{Status: r.Status, Headers: r.Headers, Body: r.Body, Fail: r.Fail}}
		if r.File != "" {
			b, err := readFile(folder, r.File, MaxFile)
			if err != nil {
				return nil, fmt.Errorf("recorded body: %w", err)
			}
			e.Response.Body = string(b)
		}
		out = append(out, e)
	}
	return out, nil
}

// readTests reads all files of tests of a skill, by name.
func readTests(dir string) (map[string]*TestFile, []string, error) {
	folder := filepath.Join(dir, TestFolder)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("read tests: %w", err)
	}
	files := map[string]*TestFile{}
	var names []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); e.IsDir() || ext != ".yaml" && ext != ".yml" {
			continue
		}
		data, err := readFile(folder, e.Name(), abi.MaxYAML)
		if err != nil {
			return nil, nil, fmt.Errorf("read tests: %w", err)
		}
		t, err := DecodeTests(filepath.Join(folder, e.Name()), data)
		if err != nil {
			return nil, nil, err
		}
		files[e.Name()] = t
		names = append(names, e.Name())
	}
	if len(names) == 0 {
		return nil, nil, &Error{Err: fs.ErrNotExist, What: fmt.Sprintf("no tests in %s", folder),
			Hint: "write tests/basic.yaml with \"schema: " + SchemaTest + "\"; a skill of \"glovebox skill new\" has one"}
	}
	return files, names, nil
}
