package main

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Bounds of one calendar.
const (
	maxLines  = 400_000
	maxEvents = 50_000
	maxDepth  = 8
)

// property is one content line (RFC 5545, 3.1): NAME;PARAM=VALUE:VALUE.
type property struct {
	name   string // upper case
	params map[string]string
	value  string // as it stands, escapes included
}

// component is a BEGIN…END block.
type component struct {
	kind  string
	props []property
	kids  []*component
}

// read unfolds and nests the lines of a calendar. The error names a line.
func read(text string) (*component, []string, error) {
	text = strings.TrimPrefix(text, "\ufeff")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	text = strings.NewReplacer("\n ", "", "\n\t", "").Replace(text) // unfold
	root := &component{}
	stack := []*component{root}
	var warnings []string
	n := 0
	for line := range strings.Lines(text) {
		if n++; n > maxLines {
			return nil, nil, fmt.Errorf("more than %d lines", maxLines)
		}
		line = strings.TrimRight(line, "\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		p, err := parseLine(line)
		if err != nil {
			if len(warnings) < 5 {
				warnings = append(warnings, fmt.Sprintf("line %q was left out: %v", clip(line, 40), err))
			}
			continue
		}
		top := stack[len(stack)-1]
		switch p.name {
		case "BEGIN":
			if len(stack) > maxDepth {
				return nil, nil, fmt.Errorf("blocks are nested more than %d deep", maxDepth)
			}
			c := &component{kind: strings.ToUpper(strings.TrimSpace(p.value))}
			top.kids = append(top.kids, c)
			stack = append(stack, c)
		case "END":
			if len(stack) == 1 || top.kind != strings.ToUpper(strings.TrimSpace(p.value)) {
				return nil, nil, fmt.Errorf("END:%s does not close BEGIN:%s", clip(p.value, 20), top.kind)
			}
			stack = stack[:len(stack)-1]
		default:
			top.props = append(top.props, p)
		}
	}
	if len(stack) > 1 {
		warnings = append(warnings, "the file breaks off inside "+stack[len(stack)-1].kind)
	}
	if len(root.kids) == 0 {
		return nil, nil, errors.New("this is no iCalendar text: it has no BEGIN:VCALENDAR")
	}
	return root, warnings, nil
}

func parseLine(line string) (property, error) {
	p := property{params: map[string]string{}}
	i := strings.IndexAny(line, ";:")
	if i <= 0 {
		return p, errors.New("it has no name and value")
	}
	p.name = strings.ToUpper(line[:i])
	rest := line[i:]
	for strings.HasPrefix(rest, ";") {
		rest = rest[1:]
		eq := strings.IndexAny(rest, "=:;")
		if eq < 0 || rest[eq] != '=' {
			return p, errors.New("a parameter has no value")
		}
		key := strings.ToUpper(rest[:eq])
		rest = rest[eq+1:]
		var value string
		if strings.HasPrefix(rest, `"`) {
			end := strings.IndexByte(rest[1:], '"')
			if end < 0 {
				return p, errors.New("a quote is not closed")
			}
			value, rest = rest[1:end+1], rest[end+2:]
		} else {
			end := strings.IndexAny(rest, ";:")
			if end < 0 {
				return p, errors.New("it has no value")
			}
			value, rest = rest[:end], rest[end:]
		}
		p.params[key] = value
	}
	if !strings.HasPrefix(rest, ":") {
		return p, errors.New("it has no value")
	}
	p.value = rest[1:]
	return p, nil
}

func (c *component) get(name string) (property, bool) {
	for _, p := range c.props {
		if p.name == name {
			return p, true
		}
	}
	return property{}, false
}

// textEscapes undoes the escapes of a TEXT value (RFC 5545, 3.3.11).
var textEscapes = strings.NewReplacer(`\\`, `\`, `\,`, ",", `\;`, ";", `\n`, "\n", `\N`, "\n")

// text returns a TEXT value without escapes and characters that show nothing.
func (c *component) text(name string) string {
	p, ok := c.get(name)
	if !ok {
		return ""
	}
	s := textEscapes.Replace(p.value)
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s))
}

func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n]) + "…"
}
