package canon

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxSafe is the largest integer that every JSON reader holds exactly (RFC 7493 2.2).
const maxSafe = 1<<53 - 1

type parser struct {
	in     []byte
	pos    int
	nodes  int
	limits Limits
}

func (p *parser) fail(format string, args ...any) error {
	return &SyntaxError{Offset: p.pos, What: fmt.Sprintf(format, args...)}
}

func (p *parser) document() (any, error) {
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.pos != len(p.in) {
		return nil, p.fail("bytes after the value")
	}
	return v, nil
}

func (p *parser) space() {
	for p.pos < len(p.in) {
		switch p.in[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// next skips space and returns the byte there without consuming it; 0 at the end.
func (p *parser) next() byte {
	p.space()
	if p.pos == len(p.in) {
		return 0
	}
	return p.in[p.pos]
}

func (p *parser) count() error {
	if p.nodes++; p.nodes > p.limits.Nodes {
		return fmt.Errorf("%w: more than %d values", ErrTooLarge, p.limits.Nodes)
	}
	return nil
}

func (p *parser) value(depth int) (any, error) {
	if err := p.count(); err != nil {
		return nil, err
	}
	switch c := p.next(); {
	case c == '{' || c == '[':
		if depth >= p.limits.Depth {
			return nil, fmt.Errorf("%w: nested deeper than %d", ErrTooLarge, p.limits.Depth)
		}
		p.pos++
		if c == '{' {
			return p.object(depth + 1)
		}
		return p.array(depth + 1)
	case c == '"':
		return p.str()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case p.word("true"):
		return true, nil
	case p.word("false"):
		return false, nil
	case p.word("null"):
		return nil, nil
	case p.pos == len(p.in):
		return nil, p.fail("ends too early")
	}
	return nil, p.fail("no value starts with %q", p.in[p.pos])
}

func (p *parser) word(w string) bool {
	if len(p.in)-p.pos < len(w) || string(p.in[p.pos:p.pos+len(w)]) != w {
		return false
	}
	p.pos += len(w)
	return true
}

func (p *parser) array(depth int) (any, error) {
	list := []any{}
	if p.next() == ']' {
		p.pos++
		return list, nil
	}
	for {
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		switch p.next() {
		case ',':
			p.pos++
		case ']':
			p.pos++
			return list, nil
		default:
			return nil, p.fail("want , or ] in an array")
		}
	}
}

func (p *parser) object(depth int) (any, error) {
	obj := map[string]any{}
	if p.next() == '}' {
		p.pos++
		return obj, nil
	}
	for {
		if p.next() != '"' {
			return nil, p.fail("want a name in an object")
		}
		if err := p.count(); err != nil {
			return nil, err
		}
		name, err := p.str()
		if err != nil {
			return nil, err
		}
		if _, twice := obj[name]; twice {
			return nil, p.fail("the name %q appears twice", clip(name))
		}
		if p.next() != ':' {
			return nil, p.fail("want : after a name")
		}
		p.pos++
		if obj[name], err = p.value(depth); err != nil {
			return nil, err
		}
		switch p.next() {
		case ',':
			p.pos++
		case '}':
			p.pos++
			return obj, nil
		default:
			return nil, p.fail("want , or } in an object")
		}
	}
}

// clip shortens hostile text for an error.
func clip(s string) string {
	if len(s) <= 64 {
		return s
	}
	return s[:64] + "…"
}

func (p *parser) str() (string, error) {
	p.pos++ // the opening quote
	start := p.pos
	for i := start; i < len(p.in); i++ { // the common case: nothing to decode
		switch c := p.in[i]; {
		case c == '"':
			p.pos = i + 1
			return string(p.in[start:i]), nil
		case c == '\\' || c < 0x20 || c >= utf8.RuneSelf:
			p.pos = i
			return p.slowString(p.in[start:i])
		}
	}
	p.pos = len(p.in)
	return "", p.fail("a string does not end")
}

func (p *parser) slowString(prefix []byte) (string, error) {
	b := append([]byte(nil), prefix...)
	for p.pos < len(p.in) {
		c := p.in[p.pos]
		switch {
		case c == '"':
			p.pos++
			return string(b), nil
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		case c < 0x20:
			return "", p.fail("a control character in a string")
		case c < utf8.RuneSelf:
			b = append(b, c)
			p.pos++
		default:
			r, n := utf8.DecodeRune(p.in[p.pos:])
			if r == utf8.RuneError && n == 1 {
				return "", p.fail("invalid UTF-8")
			}
			b = append(b, p.in[p.pos:p.pos+n]...)
			p.pos += n
		}
	}
	return "", p.fail("a string does not end")
}

func (p *parser) escape() (rune, error) {
	if p.pos+1 >= len(p.in) {
		return 0, p.fail("a string does not end")
	}
	p.pos += 2
	switch c := p.in[p.pos-1]; c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return p.unicodeEscape()
	}
	return 0, p.fail("an unknown escape in a string")
}

func (p *parser) unicodeEscape() (rune, error) {
	hi, err := p.hex4()
	if err != nil || !utf16.IsSurrogate(hi) {
		return hi, err
	}
	if !p.word(`\u`) {
		return 0, p.fail("a lone surrogate in a string")
	}
	lo, err := p.hex4()
	if err != nil {
		return 0, err
	}
	r := utf16.DecodeRune(hi, lo)
	if r == utf8.RuneError {
		return 0, p.fail("a lone surrogate in a string")
	}
	return r, nil
}

func (p *parser) hex4() (rune, error) {
	if len(p.in)-p.pos < 4 {
		return 0, p.fail("want four hex digits")
	}
	var r rune
	for _, c := range p.in[p.pos : p.pos+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, p.fail("want four hex digits")
		}
		r = r<<4 | rune(c)
	}
	p.pos += 4
	return r, nil
}

// number reads by the grammar of RFC 8259 6 and returns the canonical spelling.
func (p *parser) number() (any, error) {
	start := p.pos
	integer := true
	if p.in[p.pos] == '-' {
		p.pos++
	}
	switch zero := p.pos < len(p.in) && p.in[p.pos] == '0'; {
	case zero:
		p.pos++
	case p.digits() == 0:
		return nil, p.fail("want a digit")
	}
	if p.pos < len(p.in) && p.in[p.pos] == '.' {
		integer = false
		p.pos++
		if p.digits() == 0 {
			return nil, p.fail("want a digit after the point")
		}
	}
	if p.pos < len(p.in) && (p.in[p.pos] == 'e' || p.in[p.pos] == 'E') {
		integer = false
		p.pos++
		if p.pos < len(p.in) && (p.in[p.pos] == '+' || p.in[p.pos] == '-') {
			p.pos++
		}
		if p.digits() == 0 {
			return nil, p.fail("want a digit in the exponent")
		}
	}
	text := string(p.in[start:p.pos])
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, p.fail("the number %q does not fit a double; write it as a string", clip(text))
	}
	canonical := formatNumber(f)
	if integer && !p.limits.Rounds && math.Abs(f) > maxSafe && canonical != text {
		return nil, p.fail("the integer %q is not exact in a double; write it as a string", clip(text))
	}
	return json.Number(canonical), nil
}

func (p *parser) digits() int {
	start := p.pos
	for p.pos < len(p.in) && p.in[p.pos] >= '0' && p.in[p.pos] <= '9' {
		p.pos++
	}
	return p.pos - start
}
