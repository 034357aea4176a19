package abi

import (
	"errors"
	"strings"
	"testing"
	"time"
)

type sample struct {
	Name   string            `yaml:"name,required"`
	On     bool              `yaml:"on"`
	Count  int               `yaml:"count"`
	Small  uint8             `yaml:"small"`
	Ratio  float64           `yaml:"ratio"`
	Size   Size              `yaml:"size"`
	Wait   *Duration         `yaml:"wait"`
	Day    Date              `yaml:"day"`
	Words  []string          `yaml:"words"`
	Map    map[string]string `yaml:"map"`
	Child  *sample           `yaml:"child"`
	Origin Origin            `yaml:"origin"`
	Skill  SkillName         `yaml:"skill"`
	//lint:ignore U1000 the decoder must not find it
	hidden string
	NoTag  string
}

func TestDecodeYAMLTakesEveryKind(t *testing.T) {
	t.Parallel()
	var s sample
	err := DecodeYAML("f.yaml", []byte(`
name: "a b"
on: true
count: 2e9
small: 255
ratio: 0.5
size: 64MiB
wait: 1m30s
day: 2027-01-31
words: [a, "5"]
map: {k: v}
child: {name: c, count: -3}
origin: HTTPS://API.github.com:443
`), &s)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case s.Name != "a b", !s.On, s.Count != 2_000_000_000, s.Small != 255, s.Ratio != 0.5, s.Size != 64*MiB,
		*s.Wait != Duration(90*time.Second), s.Day.String() != "2027-01-31", strings.Join(s.Words, ",") != "a,5",
		s.Map["k"] != "v", s.Child.Count != -3, s.Origin != "https://api.github.com":
		t.Errorf("decoded %+v", s)
	}
}

func TestDecodeYAMLIsStrict(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"unknown key with a hint":    {"name: x\nsise: 1B", `f.yaml:2:1: sise: unknown key (did you mean "size"?)`},
		"unknown nested key":         {"name: x\nchild: {name: y, wrods: []}", `f.yaml:2:18: child.wrods: unknown key (did you mean "words"?)`},
		"unexported field":           {"name: x\nhidden: y", "unknown key"},
		"field without a tag":        {"name: x\nNoTag: y", "unknown key"},
		"key in another case":        {"name: x\nON: true", `ON: unknown key (did you mean "on"?)`},
		"duplicate key":              {"name: x\nname: y", "f.yaml:2:1: name: duplicate key"},
		"duplicate key in a map":     {"name: x\nmap: {k: v, k: w}", "map.k: duplicate key"},
		"missing key":                {"on: true", "f.yaml:1:1: name: missing"},
		"null":                       {"name:", "name: empty value; want a string"},
		"tilde":                      {"name: ~", "empty value"},
		"null mapping":               {"name: x\nchild:", "child: empty value; want a mapping"},
		"number for a string":        {"name: 1.4", `name: want a string, got a number (write "1.4")`},
		"boolean for a string":       {"name: true", "want a string, got a boolean"},
		"date for a string":          {"name: 2027-01-31", "want a string, got a date"},
		"list for a string":          {"name: [a]", "want a string, got a list"},
		"string for a list":          {"name: x\nwords: a", "words: want a list, got a string"},
		"mapping for a list":         {"name: x\nwords: {a: b}", "want a list, got a mapping"},
		"list for a mapping":         {"name: x\nchild: []", "want a mapping, got a list"},
		"list for the document":      {"- a", "want a mapping, got a list"},
		"string for the document":    {"just text", "want a mapping, got a string"},
		"yes for a boolean":          {"name: x\non: yes", "want true or false"},
		"True for a boolean":         {"name: x\non: True", "want true or false"},
		"fraction for a count":       {"name: x\ncount: 1.5", "want an integer"},
		"hexadecimal count":          {"name: x\ncount: 0x10", "want an integer"},
		"octal count":                {"name: x\ncount: 010", "want an integer"},
		"sexagesimal count":          {"name: x\ncount: 1:30", "want an integer"},
		"underscored count":          {"name: x\ncount: 1_000", "want an integer"},
		"inexact count":              {"name: x\ncount: 1e300", "want an integer"},
		"count over its type":        {"name: x\nsmall: 256", "below 2^8"},
		"negative unsigned":          {"name: x\nsmall: -1", "from 0"},
		"infinite ratio":             {"name: x\nratio: .inf", "want a number"},
		"size without a unit":        {"name: x\nsize: 64", "want an integer and one of B, KiB"},
		"size with another unit":     {"name: x\nsize: 64MB", "want an integer and one of B, KiB"},
		"size that overflows":        {"name: x\nsize: 9000000000000GiB", "larger than"},
		"signed size":                {"name: x\nsize: +1B", "want an integer and one of"},
		"unit alone":                 {"name: x\nsize: MiB", "want an integer and one of"},
		"negative duration":          {"name: x\nwait: -1s", "negative"},
		"duration without a unit":    {"name: x\nwait: 10", "want a number with a unit"},
		"date with a time":           {"name: x\nday: 2027-01-31T10:00:00Z", "want a day"},
		"no such date":               {"name: x\nday: 2027-02-30", "want a day"},
		"bad origin":                 {"name: x\norigin: https://h/p", "f.yaml:2:9: origin: refused URL"},
		"check of a named type":      {"name: x\nskill: Bad_Name", "f.yaml:2:1: skill: skill name"},
		"anchor":                     {"name: &a x", "name: anchors (&a) are not allowed"},
		"alias":                      {"name: x\nwords: [&a b, *a]", "anchors"},
		"alias of the whole":         {"name: x\nchild: &c {name: y}", "anchors"},
		"merge key":                  {"name: x\nchild: {<<: {name: y}}", "merge keys (<<) are not allowed"},
		"tag":                        {"name: !!str x", "tags (!!str) are not allowed"},
		"local tag":                  {"name: !x y", "tags (!x) are not allowed"},
		"binary tag":                 {"name: !!binary aGk=", "tags"},
		"tag on a mapping":           {"name: x\nchild: !!map {name: y}", "tags"},
		"tag on a key":               {"!!str name: x", "tags"},
		"number as a key":            {"1: x", "a key must be a string"},
		"mapping as a key":           {"? {a: b}\n: c", "a key must be a string"},
		"second document":            {"name: x\n---\nname: y", "second document"},
		"empty second document":      {"name: x\n---\n", "second document"},
		"rubbish after the document": {"name: x\n...\n}", "f.yaml"},
		"empty file":                 {"", "the file is empty"},
		"comment only":               {"# nothing\n", "the file is empty"},
		"separator only":             {"---\n", "empty"},
		"byte order mark":            {"\xef\xbb\xbfname: x", "byte order mark"},
		"UTF-16":                     {"\xff\xfen\x00", "byte order mark"},
		"invalid UTF-8":              {"name: x\n#\xff", "f.yaml:2:1: the text is not valid UTF-8"},
		"control character":          {"name: \"a\x00b\"", "f.yaml"},
		"broken syntax":              {"name: x\nwords: [a", "f.yaml:1:1: did not find"},
		"tab indent":                 {"child:\n\tname: x", "f.yaml:2:1: "},
		"too large":                  {"name: " + strings.Repeat("x", MaxYAML), "exceed the limit of 256 KiB"},
		"deep child":                 {strings.Repeat("child: {name: x, ", 40), "f.yaml"},
		"deep, well-formed":          {"name: x\n" + nested(40), "nested deeper than 32"},
		"key that breaks out":        {"name: x\n\"a\\nb: c\": d", `"a\nb: c": unknown key`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s sample
			err := DecodeYAML("f.yaml", []byte(c.in), &s)
			wantError(t, err, c.want)
			if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("the message has more than one line: %q", err)
			}
		})
	}
}

func nested(n int) string {
	return "child: " + strings.Repeat("{name: x, child: ", n) + "{name: x}" + strings.Repeat("}", n)
}

func TestDecodeYAMLSurvivesBombs(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"billion laughs":     "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b]\n",
		"brackets":           strings.Repeat("[", 250<<10),
		"braces":             strings.Repeat("{a: ", 60<<10),
		"nested dashes":      strings.Repeat("- ", 125<<10),
		"nested questions":   strings.Repeat("? ", 125<<10),
		"many keys":          strings.Repeat("k: v\n", 50_000),
		"many documents":     strings.Repeat("---\n", 60_000),
		"many comments":      strings.Repeat("#\n", 125_000),
		"one long directive": "%" + strings.Repeat("T", 200_000),
		"indents":            indents(600),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			if _, err := DecodeManifest("skill.yaml", []byte(in)); err == nil {
				t.Error("accepted")
			}
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("took %s", d)
			}
		})
	}
}

func indents(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestDecodeYAMLWantsAPointerToAStruct(t *testing.T) {
	t.Parallel()
	for _, into := range []any{nil, sample{}, new(string), (*sample)(nil)} {
		wantError(t, DecodeYAML("f.yaml", []byte("name: x"), into), "want a pointer to a struct")
	}
}

func TestPositions(t *testing.T) {
	t.Parallel()
	var s sample
	pos, err := DecodeYAMLPositions("f.yaml", []byte("name: x\nchild:\n  name: y\n  words:\n    - a\n"), &s)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"name": "f.yaml:1", "child.name": "f.yaml:3", "child.words[0]": "f.yaml:5", "child.on": "f.yaml: child.on",
	} {
		if got := pos.At(path); got != want {
			t.Errorf("At(%s) = %s, want %s", path, got, want)
		}
	}
	err = pos.Error("child.words[0].x", errors.New("bad"))
	if err.Error() != "f.yaml:5:7: child.words[0].x: bad" {
		t.Errorf("error = %v", err)
	}
	if got := (Positions{}).At("a.b"); got != "a.b" {
		t.Errorf("without a file: %s", got)
	}
}

func TestSizeText(t *testing.T) {
	t.Parallel()
	for _, s := range []Size{0, 1, 1023, KiB, 1536, 64 * MiB, GiB, 1<<62 + 1} {
		back, err := ParseSize(s.String())
		if err != nil || back != s {
			t.Errorf("%d → %s → %d, %v", s, s, back, err)
		}
	}
}
