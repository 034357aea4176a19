// Package canon reads hostile JSON strictly and writes it in one spelling, the JSON
// Canonicalization Scheme of RFC 8785, so that what was compared, hashed and
// approved is what is sent.
//
// Doubt is an error: invalid UTF-8, lone surrogates, duplicate names, numbers that
// an IEEE 754 double cannot hold, deep nesting and trailing bytes are refused, since
// two parsers could read them differently.
package canon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Limits bounds what Parse reads. A zero field stands for its default.
type Limits struct {
	Bytes int // of the text; 1 MiB
	Depth int // of nested arrays and objects; 64
	Nodes int // values and names together; 1,000,000

	// Rounds admits integers that a double rounds. Set it for data that is only
	// read, such as the bounds in a JSON Schema, never for what a person approves.
	Rounds bool
}

// The defaults of Limits.
const (
	DefaultBytes = 1 << 20
	DefaultDepth = 64
	DefaultNodes = 1_000_000
)

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = DefaultBytes
	}
	if l.Depth <= 0 {
		l.Depth = DefaultDepth
	}
	if l.Nodes <= 0 {
		l.Nodes = DefaultNodes
	}
	return l
}

// ErrTooLarge is wrapped by errors about a limit.
var ErrTooLarge = errors.New("JSON is too large")

// SyntaxError says what is wrong and at which byte.
type SyntaxError struct {
	Offset int
	What   string
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("JSON at byte %d: %s", e.Offset, e.What) }

// Value is a parsed JSON text.
type Value struct {
	root  any // nil, bool, json.Number (canonical), string, []any, map[string]any
	nodes int
}

// Any returns the value as nil, bool, json.Number, string, []any and map[string]any.
// The caller must not change it.
func (v Value) Any() any { return v.root }

// Nodes returns the number of values and names in v.
func (v Value) Nodes() int { return v.nodes }

// Canonical returns the canonical form of v.
func (v Value) Canonical() []byte { return appendValue(nil, v.root) }

// Parse reads exactly one JSON text.
//
// # Errors
//
//   - ErrTooLarge: a limit was passed
//   - *SyntaxError: anything else
func Parse(data []byte, l Limits) (Value, error) {
	l = l.orDefault()
	if len(data) > l.Bytes {
		return Value{}, fmt.Errorf("%w: %d bytes exceed %d", ErrTooLarge, len(data), l.Bytes)
	}
	p := parser{in: data, limits: l}
	root, err := p.document()
	if err != nil {
		return Value{}, err
	}
	return Value{root: root, nodes: p.nodes}, nil
}

// JSON returns the canonical form of the JSON text data.
func JSON(data []byte) ([]byte, error) {
	v, err := Parse(data, Limits{Bytes: len(data)})
	if err != nil {
		return nil, err
	}
	return v.Canonical(), nil
}

// Marshal returns the canonical form of v's JSON encoding.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("canonical JSON: %w", err)
	}
	return JSON(b.Bytes())
}
