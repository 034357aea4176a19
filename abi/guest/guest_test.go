package guest

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

type nested struct {
	Lat float64 `json:"lat" min:"-90" max:"90"`
	Lon float64 `json:"lon"`
}

type common struct {
	Verbose bool `json:"verbose,omitempty" desc:"Say more"`
}

type input struct {
	common
	City   string          `json:"city" desc:"Where, \"quoted\"" min:"2" max:"5" example:"Oslo"`
	Unit   string          `json:"unit,omitempty" enum:"c,f" default:"c"`
	Days   int             `json:"days,omitempty" min:"1" max:"7" default:"3"`
	At     *nested         `json:"at"`
	Tags   []string        `json:"tags,omitempty" max:"2"`
	Extra  map[string]int  `json:"extra,omitempty"`
	Any    json.RawMessage `json:"any,omitempty" desc:"Anything"`
	Hidden string          `json:"-"`
	secret string
}

func weather(ctx Context, in input) (Result, error) {
	if in.City == "Rome" {
		return Result{}, errors.New("all roads are closed")
	}
	return Text(in.City), nil
}

func TestSchema(t *testing.T) {
	t.Parallel()
	got, err := Schema[input]()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"object","properties":{` +
		`"verbose":{"type":"boolean","description":"Say more"},` +
		`"city":{"type":"string","description":"Where, \"quoted\"","minLength":2,"maxLength":5,"examples":["Oslo"]},` +
		`"unit":{"type":"string","enum":["c","f"],"default":"c"},` +
		`"days":{"type":"integer","minimum":1,"maximum":7,"default":3},` +
		`"at":{"type":"object","properties":{"lat":{"type":"number","minimum":-90,"maximum":90},"lon":{"type":"number"}},"required":["lat","lon"],"additionalProperties":false},` +
		`"tags":{"type":"array","items":{"type":"string"},"maxItems":2},` +
		`"extra":{"type":"object","additionalProperties":{"type":"integer"}},` +
		`"any":{"description":"Anything"}` +
		`},"required":["city"],"additionalProperties":false}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !json.Valid(got) {
		t.Error("the schema is not JSON")
	}
}

func TestSchemaOfExportedEmbedded(t *testing.T) {
	t.Parallel()
	type Page struct {
		Limit int `json:"limit,omitempty"`
	}
	got, err := Schema[struct {
		Page
		Query string `json:"query"`
	}]()
	if err != nil || string(got) != `{"type":"object","properties":{"limit":{"type":"integer"},"query":{"type":"string"}},"required":["query"],"additionalProperties":false}` {
		t.Errorf("got %s, %v", got, err)
	}
}

type endless struct {
	Next *endless `json:"next"`
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	for name, derive := range map[string]func() (json.RawMessage, error){
		"a string":         Schema[string],
		"a channel":        Schema[struct{ C chan int }],
		"keys of a map":    Schema[struct{ M map[int]string }],
		"a type in itself": Schema[endless],
		"a default": Schema[struct {
			N int `default:"many"`
		}],
		"a bound": Schema[struct {
			N int `min:"few"`
		}],
	} {
		if got, err := derive(); err == nil {
			t.Errorf("%s has the schema %s", name, got)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	s := New(Tool("weather", "The weather.", weather))
	for _, c := range []struct{ name, args, want string }{
		{"the least", `{"city":"Oslo"}`, "Oslo"},
		{"everything", `{"city":"Oslo","unit":"f","days":7,"at":{"lat":1,"lon":2},"tags":["a"],"extra":{"a":1},"any":[1]}`, "Oslo"},
		{"null is absent", `{"city":"Oslo","days":null}`, "Oslo"},
		{"none", ``, `argument "city" is required`},
		{"null for all", `null`, `argument "city" is required`},
		{"a required null", `{"city":null}`, `argument "city" is required`},
		{"a list", `[1]`, "want a JSON object"},
		{"an unknown one", `{"city":"Oslo","town":"x"}`, `unknown argument "town": want verbose, city, unit, days, at, tags, extra, any`},
		{"another case", `{"CITY":"Oslo"}`, `unknown argument "CITY"`},
		{"a wrong type", `{"city":7}`, `argument "city": got number, want string`},
		{"a fraction for an integer", `{"city":"Oslo","days":1.5}`, `argument "days"`},
		{"outside the enum", `{"city":"Oslo","unit":"k"}`, `argument "unit": got "k", want one of c,f`},
		{"below the minimum", `{"city":"Oslo","days":0}`, `argument "days": got 0, want at least 1`},
		{"above the maximum", `{"city":"Oslo","days":8}`, `argument "days": got 8, want at most 7`},
		{"letters are counted, not bytes", `{"city":"ÅÅÅÅÅ"}`, "ÅÅÅÅÅ"},
		{"too long", `{"city":"ÅÅÅÅÅÅ"}`, `got 6 characters, want at most 5`},
		{"too many", `{"city":"Oslo","tags":["a","b","c"]}`, `argument "tags": got 3 items, want at most 2`},
		{"not JSON", `{"city":`, "want a JSON object"},
		{"an error of the tool", `{"city":"Rome"}`, "all roads are closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := s.call(Context{}, "weather", json.RawMessage(c.args))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got.String(), c.want) || got.IsError != (got.String() != c.want) && !got.IsError {
				t.Errorf("got %q, error %v", got, got.IsError)
			}
		})
	}
}

func TestExports(t *testing.T) {
	t.Parallel()
	s := New(Tool("weather", "The weather.", weather).Titled("Weather"))
	list, err := s.list()
	if err != nil || !strings.HasPrefix(string(list), `{"tools":[{"name":"weather","title":"Weather","description":"The weather.","inputSchema":{"type":"object"`) {
		t.Errorf("list: %s, %v", list, err)
	}
	out, err := s.callTool(Context{}, []byte(`{"request":{"name":"weather","arguments":{"city":"Oslo"}},"context":{"id":"1","_meta":{}}}`))
	if err != nil || string(out) != `{"content":[{"type":"text","text":"Oslo"}]}` {
		t.Errorf("call: %s, %v", out, err)
	}
	if _, err := s.callTool(Context{}, []byte(`{"request":{"name":"wether"}}`)); err == nil || err.Error() != `no tool "wether": this skill has weather` {
		t.Errorf("an unknown tool: %v", err)
	}
	if _, err := s.callTool(Context{}, []byte(`{`)); err == nil {
		t.Error("a broken call was taken")
	}
	defer func() {
		if recover() == nil {
			t.Error("two tools with one name were taken")
		}
	}()
	New(Tool("a", "", weather), Tool("a", "", weather))
}

func TestDeniedIsTyped(t *testing.T) {
	t.Parallel()
	block := []byte(`{"error":{"code":"denied","message":"https://x is not granted","capability":"http","rule":"grants/x.yaml:4","hint":"glovebox skill grant x"}}`)
	err := answer("fetch", block, nil)
	var d *Denied
	if !errors.As(err, &d) || d.Code != CodeDenied || d.Capability != "http" || d.Rule != "grants/x.yaml:4" || d.Hint != "glovebox skill grant x" {
		t.Fatalf("got %#v", err)
	}
	if !HasCode(err, CodeDenied) || HasCode(err, CodeTimeout) {
		t.Error("HasCode is wrong about a denial")
	}
	err = answer("fetch", []byte(`{"error":{"code":"timeout","message":"late"}}`), nil)
	var p *Problem
	if errors.As(err, &d) || !errors.As(err, &p) || p.Code != CodeTimeout {
		t.Errorf("a failure became %#v", err)
	}
	if err := answer("fetch", nil, nil); err == nil {
		t.Error("no answer is no error")
	}
	if err := answer("fetch", []byte(`{"ok":[1]}`), new(Response)); err == nil {
		t.Error("an answer of the wrong type is no error")
	}
}

func TestHostFunctions(t *testing.T) {
	t.Parallel()
	f := &Fake{
		Time:     time.UnixMilli(1_773_480_600_123),
		Pages:    map[string]FakePage{"https://a.example/": {Body: "hello", Headers: map[string][]string{"content-type": {"text/plain"}}}},
		Settings: map[string]string{"k": "v"},
		Secrets:  map[string]Secret{"gh": {Placeholder: "{{secret:gh}}", Present: true}},
		Answers:  []Answer{{Action: "accept"}},
		Granted:  Capabilities{Files: []MountAccess{{"/data", "rw"}}},
	}
	c := f.Context()
	if got := c.Now(); !got.Equal(f.Time) {
		t.Errorf("now: %v", got)
	}
	resp, err := c.Get("https://a.example/", "text/plain")
	if err != nil || string(resp.Body) != "hello" || resp.Header("Content-Type") != "text/plain" || f.Requests[0].Headers["accept"][0] != "text/plain" {
		t.Errorf("get: %+v, %v", resp, err)
	}
	if v, ok := c.Config("k"); v != "v" || !ok {
		t.Errorf("config: %q %v", v, ok)
	}
	if _, ok := c.Config("none"); ok {
		t.Error("a key that is not set is set")
	}
	if s, err := c.Secret("gh"); err != nil || s.Placeholder != "{{secret:gh}}" {
		t.Errorf("secret: %+v, %v", s, err)
	}
	if a, err := c.Ask(Question{Text: "really?"}); err != nil || !a.Accepted() {
		t.Errorf("ask: %+v, %v", a, err)
	}
	if _, err := c.Ask(Question{Text: "again?"}); !HasCode(err, CodeNeedsHuman) {
		t.Errorf("ask nobody: %v", err)
	}
	if caps, err := c.Capabilities(); err != nil || caps.Mount("/data") != "rw" || caps.Mount("/x") != "" || caps.HasOrigin("https://a.example") {
		t.Errorf("capabilities: %+v, %v", caps, err)
	}
	c.Log("warn", "careful", "key", "value", "odd")
	c.Progress(1, 2, "half")
	if !slices.Equal(f.Log, []string{"warn: careful"}) {
		t.Errorf("log: %v", f.Log)
	}
}

func TestFilesAndKV(t *testing.T) {
	t.Parallel()
	f := &Fake{}
	files, kv := f.Context().Files(), f.Context().KV()
	for _, step := range []struct {
		name string
		err  error
		code string
	}{
		{"create", files.Create("/d/a", []byte("one")), ""},
		{"create again", files.Create("/d/a", nil), CodeConflict},
		{"append", files.Append("/d/a", []byte("+two")), ""},
		{"replace", files.Replace("/d/b", []byte("b")), ""},
		{"rename", files.Rename("/d/b", "/d/e/c"), ""},
		{"remove nothing", files.Remove("/d/b"), CodeNotFound},
		{"mkdir", files.Mkdir("/d/f"), ""},
		{"set", kv.Set("k", []byte("v")), ""},
		{"set if new", kv.SetIf("k", nil, 0), CodeConflict},
		{"set if the version holds", kv.SetIf("k", []byte("w"), 1), ""},
		{"set another", kv.Set("other", nil), ""},
		{"delete", kv.Delete("other"), ""},
	} {
		if step.code == "" && step.err != nil || step.code != "" && !HasCode(step.err, step.code) {
			t.Errorf("%s: %v", step.name, step.err)
		}
	}
	if b, err := files.Read("/d/a"); err != nil || string(b) != "one+two" {
		t.Errorf("read: %q, %v", b, err)
	}
	if all, err := files.List("/d"); err != nil || len(all) != 2 || all[0].Name != "a" || all[1].Type != "dir" {
		t.Errorf("list: %v, %v", all, err)
	}
	if info, err := files.Stat("/d/e/c"); err != nil || info.Size != 1 {
		t.Errorf("stat: %v, %v", info, err)
	}
	if v, version, ok, err := kv.Get("k"); string(v) != "w" || version != 2 || !ok || err != nil {
		t.Errorf("kv get: %q %d %v %v", v, version, ok, err)
	}
	if _, _, ok, err := kv.Get("other"); ok || err != nil {
		t.Errorf("kv get nothing: %v %v", ok, err)
	}
	if keys, err := kv.List(""); err != nil || len(keys) != 1 || keys[0].Key != "k" {
		t.Errorf("kv list: %v, %v", keys, err)
	}
}

func TestWithoutHostEverythingIsUnavailable(t *testing.T) {
	t.Parallel()
	var c Context
	if _, err := c.Get("https://a.example/", ""); !HasCode(err, CodeUnavailable) {
		t.Errorf("fetch: %v", err)
	}
	if err := c.KV().Set("k", nil); !HasCode(err, CodeUnavailable) {
		t.Errorf("kv: %v", err)
	}
}

func TestResults(t *testing.T) {
	t.Parallel()
	r, err := JSON(map[string]int{"a": 1})
	if err != nil || r.String() != "{\n  \"a\": 1\n}" || string(r.Structured) == "" {
		t.Errorf("an object: %+v, %v", r, err)
	}
	if r, err = JSON([]int{1}); err != nil || r.Structured != nil {
		t.Errorf("a list is no structured content: %+v, %v", r, err)
	}
	if _, err = JSON(make(chan int)); err == nil {
		t.Error("a channel has a JSON form")
	}
	if r := Error("no"); !r.IsError {
		t.Error("an error is none")
	}
	if r := Markdown("# x"); r.Content[0].MIMEType != "text/markdown" {
		t.Errorf("markdown: %+v", r)
	}
}

func TestSourceIsWhole(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() || strings.HasSuffix(e.Name(), "_test.go") || !strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		want, err := os.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Source.ReadFile(e.Name()); err != nil || string(got) != string(want) {
			t.Errorf("%s is not in Source: %v", e.Name(), err)
		}
	}
}

func ExampleTool() {
	type helloInput struct {
		Name string `json:"name" desc:"Whom to greet"`
	}
	skill := New(Tool("hello", "Greet somebody by name.", func(_ Context, in helloInput) (Result, error) {
		return Text("Hello, " + in.Name + "!"), nil
	}))
	var host Fake
	result, err := host.Run(skill, "hello", map[string]string{"name": "Ada"})
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(result.String())
	// Output: Hello, Ada!
}

func FuzzArguments(f *testing.F) {
	f.Add([]byte(`{"city":"Oslo","at":{"lat":1,"lon":2}}`))
	f.Add([]byte(`{"city":"Oslo","any":{"any":[[[]]]}}`))
	f.Fuzz(func(t *testing.T, args []byte) {
		var in input
		if err := decodeArguments(args, &in); err == nil && (in.City == "" || in.secret != "" || in.Hidden != "") {
			t.Errorf("%q was taken as %+v", args, in)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"ok":{"status":200,"headers":{"a":["b"]},"body":1}}`))
	f.Add([]byte(`{"error":{"code":"denied","message":"x"}}`))
	f.Fuzz(func(t *testing.T, block []byte) {
		var r Response
		if err := answer("fetch", block, &r); err == nil {
			r.Header("x")
		}
	})
}
