package abi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// MaxJSONDepth bounds the nesting of every JSON text that crosses the boundary.
const MaxJSONDepth = 64

// Causes of a refusal by CheckJSON.
var (
	ErrJSONDepth     = errors.New("nested too deep")
	ErrJSONDuplicate = errors.New("duplicate key")
	ErrJSONSyntax    = errors.New("not valid JSON")
)

// CheckJSON reports whether b is exactly one JSON value (RFC 8259) in valid UTF-8,
// nested at most maxDepth deep, without duplicate keys. It neither recurses nor
// allocates by the depth that b claims, so it is what looks at hostile bytes first;
// encoding/json may decode what it accepts.
func CheckJSON(b []byte, maxDepth int) error {
	if !utf8.Valid(b) {
		return fmt.Errorf("%w: the text is not valid UTF-8", ErrJSONSyntax)
	}
	s := jsonScanner{b: b, max: maxDepth}
	if err := s.value(); err != nil {
		return err
	}
	if s.space(); s.i < len(b) {
		return s.fail("data after the value")
	}
	return nil
}

// jsonScanner walks one text. open holds an entry for each object or list that is
// open, at most max.
type jsonScanner struct {
	b    []byte
	i    int
	max  int
	open []jsonLevel
}

type jsonLevel struct {
	object bool
	few    [][]byte // keys as written, without escapes
	many   map[string]struct{}
}

func (s *jsonScanner) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrJSONSyntax, what, s.i)
}

func (s *jsonScanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\t' || s.b[s.i] == '\n' || s.b[s.i] == '\r') {
		s.i++
	}
}

func (s *jsonScanner) peek() byte {
	if s.space(); s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// value scans one value with everything in it.
func (s *jsonScanner) value() error {
	for {
		opened, err := s.begin()
		if err != nil {
			return err
		}
		if opened {
			continue // at the first element or the value of the first key
		}
		more, err := s.end()
		if err != nil || !more {
			return err
		}
	}
}

// begin scans a scalar or an empty container, or enters a container up to where its
// first value begins.
func (s *jsonScanner) begin() (opened bool, err error) {
	switch c := s.peek(); {
	case c == '{' || c == '[':
		if len(s.open) >= s.max {
			return false, fmt.Errorf("%w: more than %d levels at byte %d", ErrJSONDepth, s.max, s.i)
		}
		s.i++
		if next := s.peek(); next == '}' && c == '{' || next == ']' && c == '[' {
			s.i++
			return false, nil
		}
		s.open = append(s.open, jsonLevel{object: c == '{'})
		if c == '{' {
			return true, s.key()
		}
		return true, nil
	case c == '"':
		_, err := s.text()
		return false, err
	case c == '-' || c >= '0' && c <= '9':
		return false, s.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.b[s.i:], []byte(word)) {
			s.i += len(word)
			return false, nil
		}
	}
	return false, s.fail("want a value")
}

// end leaves the containers that close here; more says that another value follows.
func (s *jsonScanner) end() (more bool, err error) {
	for len(s.open) > 0 {
		level := &s.open[len(s.open)-1]
		switch c := s.peek(); {
		case c == ',':
			s.i++
			if level.object {
				return true, s.key()
			}
			return true, nil
		case c == '}' && level.object, c == ']' && !level.object:
			s.i++
			s.open = s.open[:len(s.open)-1]
		default:
			return false, s.fail("want a comma or the end of the object or list")
		}
	}
	return false, nil
}

// key scans a key and its colon.
func (s *jsonScanner) key() error {
	if s.peek() != '"' {
		return s.fail("want a key")
	}
	raw, err := s.text()
	if err != nil {
		return err
	}
	if !s.open[len(s.open)-1].add(raw) {
		return fmt.Errorf("%w %s at byte %d", ErrJSONDuplicate, strconv.Quote(clip(string(raw))), s.i)
	}
	if s.peek() != ':' {
		return s.fail("want a colon")
	}
	s.i++
	return nil
}

// add notes a key and reports whether it is new.
func (l *jsonLevel) add(raw []byte) bool {
	if bytes.IndexByte(raw, '\\') >= 0 {
		var key string
		if json.Unmarshal(raw, &key) != nil {
			return false
		}
		raw = []byte(`"` + key + `"`)
	}
	const few = 16
	if l.many == nil && len(l.few) < few {
		for _, k := range l.few {
			if bytes.Equal(k, raw) {
				return false
			}
		}
		l.few = append(l.few, raw)
		return true
	}
	if l.many == nil {
		l.many = make(map[string]struct{}, 2*few)
		for _, k := range l.few {
			l.many[string(k)] = struct{}{}
		}
	}
	_, dup := l.many[string(raw)]
	l.many[string(raw)] = struct{}{}
	return !dup
}

// text scans a string and returns it as written, with its quotes.
func (s *jsonScanner) text() ([]byte, error) {
	start := s.i
	for s.i++; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[start:s.i], nil
		case c < 0x20:
			return nil, s.fail("control character in a string")
		case c == '\\':
			s.i++
			if !s.escape() {
				return nil, s.fail("bad escape")
			}
		}
	}
	return nil, s.fail("string without an end")
}

// escape leaves i at the last byte of the escape.
func (s *jsonScanner) escape() bool {
	if s.i >= len(s.b) {
		return false
	}
	if s.b[s.i] != 'u' {
		return bytes.IndexByte([]byte(`"\/bfnrt`), s.b[s.i]) >= 0
	}
	if len(s.b)-s.i < 5 {
		return false
	}
	_, hi := unhex(string(s.b[s.i+1 : s.i+3]))
	_, lo := unhex(string(s.b[s.i+3 : s.i+5]))
	s.i += 4
	return hi && lo
}

func (s *jsonScanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

func (s *jsonScanner) at(c byte) bool { return s.i < len(s.b) && s.b[s.i] == c }

func (s *jsonScanner) number() error {
	if s.at('-') {
		s.i++
	}
	if s.at('0') {
		s.i++
	} else if !s.digits() {
		return s.fail("bad number")
	}
	if s.at('.') {
		if s.i++; !s.digits() {
			return s.fail("bad number")
		}
	}
	if s.at('e') || s.at('E') {
		if s.i++; s.at('+') || s.at('-') {
			s.i++
		}
		if !s.digits() {
			return s.fail("bad number")
		}
	}
	return nil
}
