package offline

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/internal/canon"
)

// plan is a tool with the arguments that the message gives it.
type plan struct {
	tool    *tool
	score   float64
	values  map[string]json.RawMessage
	missing []*arg
	many    string   // an argument that takes one of urls in each call
	urls    []string // more than one
	used    map[kind]bool
}

func (p *plan) ready() bool { return p.tool != nil && len(p.missing) == 0 }

// arguments returns the arguments of each call, canonical.
func (p *plan) arguments() []json.RawMessage {
	encode := func(values map[string]json.RawMessage) json.RawMessage {
		b, err := canon.Marshal(values)
		if err != nil {
			return json.RawMessage(`{}`) // the schema will say what is missing
		}
		return b
	}
	if p.many == "" {
		return []json.RawMessage{encode(p.values)}
	}
	var calls []json.RawMessage
	for _, u := range p.urls[:min(len(p.urls), maxCalls)] {
		values := maps.Clone(p.values)
		values[p.many] = p.tool.arg(p.many).text(u)
		calls = append(calls, encode(values))
	}
	return calls
}

// fit says how much of the message the tool can use, and how much it lacks.
func (p *plan) fit(m *message) float64 {
	f := 1.2
	for range p.missing {
		f *= 0.55
	}
	unused := func(present bool, kinds ...kind) {
		if present && !slices.ContainsFunc(kinds, func(k kind) bool { return p.used[k] }) {
			f *= 0.5
		}
	}
	unused(len(m.urls) > 0, kindURL, kindURLs, kindText)
	if len(m.urls) > 0 && !p.used[kindURL] && !p.used[kindURLs] {
		f *= 0.7 // an address inside of a text
	}
	unused(m.dated, kindDay, kindFirst, kindLast, kindText, kindURL)
	unused(len(m.json) > 0, kindData, kindText)
	unused(len(m.ics) > 0, kindData)
	unused(m.unit != nil, kindValue, kindText)
	unused(m.math != "", kindMath, kindText)
	return f
}

// filler fills the arguments of one tool.
type filler struct {
	t      *tool
	m      *message
	lex    lexicon
	plan   *plan
	quotes []string // not used yet
	ticks  []string
	taken  []string // quoted text and code that an argument has
	rest   bool     // the remaining text is used
}

func fill(t *tool, m *message, lex lexicon) *plan {
	p := &plan{tool: t, values: map[string]json.RawMessage{}, used: map[kind]bool{}}
	f := &filler{t: t, m: m, lex: lex, plan: p, quotes: slices.Clone(m.quotes), ticks: slices.Clone(m.ticks)}
	for _, a := range t.args { // what is unmistakable
		if v := f.explicit(a); v != nil {
			f.set(a, v)
		}
	}
	for _, a := range t.args { // what the shape of the text gives
		if p.values[a.name] == nil {
			f.set(a, f.shaped(a))
		}
	}
	for _, a := range t.args { // then words
		if p.values[a.name] == nil {
			f.set(a, f.worded(a))
		}
	}
	for _, a := range t.args {
		if a.required && p.values[a.name] == nil {
			p.missing = append(p.missing, a)
		}
	}
	if len(p.missing) == 0 && len(t.oneOf) > 0 && !slices.ContainsFunc(t.oneOf, f.has) {
		for _, name := range t.oneOf[0] {
			if a := t.arg(name); a != nil && p.values[name] == nil {
				p.missing = append(p.missing, a)
			}
		}
	}
	return p
}

func (f *filler) has(names []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return f.plan.values[n] == nil })
}

func (f *filler) set(a *arg, v json.RawMessage) {
	if v != nil {
		f.plan.values[a.name] = v
		f.plan.used[a.kind] = true
	}
}

// explicit reads NAME=VALUE and NAME="VALUE".
func (f *filler) explicit(a *arg) json.RawMessage {
	if !strings.Contains(f.m.plain, "=") || len(a.name) > 64 {
		return nil
	}
	re, err := regexp.Compile(`(?i)(?:^|\s)` + regexp.QuoteMeta(a.name) + `\s*=\s*(?:"([^"]*)"|(\S+))`)
	if err != nil {
		return nil
	}
	g := re.FindStringSubmatch(f.m.plain)
	if g == nil {
		return nil
	}
	if g[1] != "" {
		f.quotes = slices.DeleteFunc(f.quotes, func(q string) bool { return q == g[1] })
		return a.text(g[1])
	}
	value := strings.TrimRight(g[2], ",;")
	if !a.is("string") && json.Valid([]byte(value)) {
		return json.RawMessage(value)
	}
	if a.is("string") {
		return a.text(value)
	}
	return nil
}

var (
	limitRE  = regexp.MustCompile(`(?i)\b(?:top|first|last|latest|newest|recent|limit|max|only|up to)\s+(\d{1,6})\b|\b(\d{1,6})\s+(?:latest\s+|newest\s+|most recent\s+|recent\s+|top\s+)?(?:items?|entries|entry|headlines?|posts?|results?|articles?|stories|lines?|rows?)\b`)
	numberRE = regexp.MustCompile(numberPat)
	fileRE   = regexp.MustCompile(`(?:^|\s)((?:[\w.-]+/)*[\w-]+\.(?:ics|json|txt|md|csv|xml|html|yaml|yml|pdf))\b`)
	queryRE  = regexp.MustCompile(`(?:^|\s)([A-Za-z_@$*][\w-]*(?:\[[^\]\s]*\]|\.[\w*@$-]+|\(\S*\))+)`)
)

// shaped fills a from what was recognised by its shape.
func (f *filler) shaped(a *arg) json.RawMessage {
	m := f.m
	switch a.kind {
	case kindURL:
		if len(m.urls) == 0 {
			return nil
		}
		if len(m.urls) > 1 && f.plan.many == "" {
			f.plan.many, f.plan.urls = a.name, m.urls
		}
		return a.text(m.urls[0])
	case kindURLs:
		if b, err := canon.Marshal(m.urls); err == nil && len(m.urls) > 0 {
			return b
		}
	case kindValue:
		if m.unit != nil {
			if !a.is("number") && !a.is("integer") {
				return a.text(m.unit.value)
			}
			return json.RawMessage(m.unit.value)
		}
	case kindFrom:
		if m.unit != nil {
			return a.text(m.unit.from)
		}
	case kindTo:
		if m.unit != nil {
			return a.text(m.unit.to)
		}
	case kindMath:
		if m.math != "" {
			return a.text(m.math)
		}
	case kindData:
		return f.data(a)
	case kindDay, kindFirst:
		if first, _, ok := dateRange(m.text, m.now); ok {
			return a.text(first)
		}
	case kindLast:
		if _, last, ok := dateRange(m.text, m.now); ok {
			return a.text(last)
		}
	case kindLimit:
		if g := limitRE.FindStringSubmatch(m.text); g != nil {
			return json.RawMessage(strings.TrimLeft(g[1]+g[2], "0") + "")
		}
	case kindEnum:
		return f.choice(a)
	case kindOther, kindPattern, kindPath, kindNumber, kindBool, kindName, kindQuery, kindText:
	}
	return nil
}

// data fills a with a document that was pasted into the message.
func (f *filler) data(a *arg) json.RawMessage {
	m := f.m
	var doc string
	switch {
	case len(m.ics) > 0:
		doc = m.ics[0]
	case len(m.json) > 0:
		doc = m.json[0]
	case len(m.fences) > 0:
		doc = m.fences[0]
	default:
		return nil
	}
	if a.is("string") && !(len(a.types) == 0 && isJSON(doc)) {
		return a.text(doc)
	}
	if isJSON(doc) && a.is(map[byte]string{'{': "object", '[': "array"}[doc[0]]) {
		return json.RawMessage(doc)
	}
	return nil
}

// choice returns the first value of an enumeration that the text names.
func (f *filler) choice(a *arg) json.RawMessage {
	text := " " + strings.Join(tokens(f.m.plain), " ") + " "
	for _, v := range a.enum {
		if s, ok := v.(string); ok && s != "" && strings.Contains(text, " "+strings.Join(tokens(s), " ")+" ") {
			return a.text(s)
		}
	}
	return nil
}

// worded fills a from quoted text, code or the words that are left.
func (f *filler) worded(a *arg) json.RawMessage {
	m := f.m
	switch a.kind {
	case kindPattern:
		if s := f.pop(&f.ticks); s != "" {
			return a.text(s)
		}
		if s := f.pop(&f.quotes); s != "" {
			return a.text(s)
		}
		if g := queryRE.FindStringSubmatch(m.text); g != nil && !strings.EqualFold(g[1], f.t.info.Name) {
			return a.text(g[1])
		}
	case kindPath:
		for _, s := range slices.Concat(f.ticks, f.quotes) {
			if fileRE.MatchString(s) || strings.Contains(s, "/") {
				return a.text(s)
			}
		}
		if g := fileRE.FindStringSubmatch(m.text); g != nil {
			return a.text(g[1])
		}
	case kindNumber:
		if s := numberRE.FindString(m.text); s != "" && a.required {
			return json.RawMessage(number(s))
		}
	case kindBool:
		if slices.Contains(tokens(m.text), strings.ToLower(a.name)) && !f.t.topics[stem(strings.ToLower(a.name))] {
			return json.RawMessage("true")
		}
	case kindName:
		return f.name(a)
	case kindQuery:
		if !a.required {
			return f.quoted(a)
		}
		if s := f.pop(&f.quotes); s != "" {
			return a.text(s)
		}
		return f.remaining(a, true)
	case kindText:
		if a.required {
			return f.remaining(a, false)
		}
	case kindOther, kindURL, kindURLs, kindValue, kindFrom, kindTo, kindMath, kindData, kindDay, kindFirst, kindLast, kindLimit, kindEnum:
	}
	return nil
}

var titledRE = regexp.MustCompile(`(?i)\b(?:titled|called|named|entitled)\s+(?:"([^"]+)"|'([^']+)')|\b(?:titled|entitled)\s+([^\s:,"']+)`)

// name fills a with what something is called. An optional name must be said so.
func (f *filler) name(a *arg) json.RawMessage {
	if g := titledRE.FindStringSubmatch(f.m.plain); g != nil {
		s := g[1] + g[2] + g[3]
		f.quotes = slices.DeleteFunc(f.quotes, func(q string) bool { return q == s })
		return a.text(s)
	}
	if !a.required {
		return nil
	}
	for _, list := range []*[]string{&f.ticks, &f.quotes} {
		if s := f.pop(list); s != "" {
			return a.text(s)
		}
	}
	return f.remaining(a, true)
}

func (f *filler) quoted(a *arg) json.RawMessage {
	if s := f.pop(&f.quotes); s != "" {
		return a.text(s)
	}
	return nil
}

// remaining fills a with the text behind the command, once.
func (f *filler) remaining(a *arg, short bool) json.RawMessage {
	if f.rest {
		return nil
	}
	s := f.behindCommand(short)
	if s == "" {
		return nil
	}
	f.rest = true
	return a.text(s)
}

// pop takes the first of list.
func (f *filler) pop(list *[]string) string {
	if len(*list) == 0 {
		return ""
	}
	s := (*list)[0]
	*list = (*list)[1:]
	f.taken = append(f.taken, s)
	return s
}

// question asks for the first missing argument.
func (p *plan) question() string {
	a := p.missing[0]
	what := "its " + a.name
	if a.desc != "" {
		what += " (" + strings.TrimSuffix(firstLine(a.desc), ".") + ")"
	}
	if len(p.tool.oneOf) > 1 && !a.required {
		var names []string
		for _, set := range p.tool.oneOf {
			names = append(names, strings.Join(set, " and "))
		}
		what = "its " + strings.Join(names, " or ")
	}
	return fmt.Sprintf("%s to use %s: %s. For example: %s", questionMark, p.tool.info.Name, what, example(p.tool))
}
