// Package redact finds the values of known secrets in bytes that are about to be
// shown, stored or sent, in the encodings that ordinary programs produce, and
// replaces them with "[secret:NAME]".
//
// It looks for values that the host knows and never guesses by pattern, so text
// about tokens, hashes and random data pass unchanged. It is the second line of
// defence: the first is that no guest, prompt or log is ever given a value.
//
// Forms that are found: raw; ASCII lower and upper case; reversed; percent-encoding of
// reserved or of all bytes, either case, and doubly; base64 and base64url at all three
// alignments, with and without padding; hex of either case, plain or separated by ":",
// space or "\x"; JSON escapes, JSON within JSON, "\/" and all-"\u" spellings; HTML
// entities; Go quoting; decimal byte lists. Of values of MinSplit bytes and more also:
//
//   - any half of the value, of its reversal, its base64 or its hex digits
//   - each of these with anything but ASCII letters and digits between, in any case, and
//     in letters that are compatible with ASCII ones: spaced, base64 in lines, full-width
//   - what base64 of 24 digits and more, hex, gzip, zlib, and words with escapes in them
//     decode to, up to three codings deep
//
// Forms that are not found, because no list of forms can be complete: encryption, other
// compressions, other alphabets such as base32 and rot13, pieces shorter than a half,
// compression in base64 whose lines are shorter than 24, more than three codings.
package redact

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
)

// MinLength is the length in bytes of the shortest value that can be matched: any
// shorter one would occur in innocent text.
const MinLength = 8

// MinSplit is the length in bytes from which halves of a value count as the value.
// Shorter ones are matched whole and in their plain spellings only.
const MinSplit = 12

// MaxLength is the length in bytes of the longest value that can be matched.
const MaxLength = 16 << 10

// minDistinct is how many different bytes a value needs, for the same reason.
const minDistinct = 4

// Errors of Check.
var (
	ErrTooShort = errors.New("secret is shorter than 8 bytes")
	ErrTooLong  = errors.New("secret is longer than 16 KiB")
	ErrTooPlain = errors.New("secret has fewer than 4 different bytes")
)

// Check reports why value cannot be a secret: a value that occurs in innocent text
// cannot be kept out of logs and results without destroying them.
func Check(value []byte) error {
	if len(value) < MinLength {
		return fmt.Errorf("%w (%d)", ErrTooShort, len(value))
	}
	if len(value) > MaxLength {
		return fmt.Errorf("%w (%d)", ErrTooLong, len(value))
	}
	var seen [256]bool
	distinct := 0
	for _, c := range value {
		if !seen[c] {
			seen[c] = true
			distinct++
		}
	}
	if distinct < minDistinct {
		return fmt.Errorf("%w (%d)", ErrTooPlain, distinct)
	}
	return nil
}

// Label returns the text that replaces a value of the secret name.
func Label(name string) string { return "[secret:" + name + "]" }

// Matcher finds the values of a fixed set of secrets. It is immutable and safe for
// concurrent use. The nil Matcher knows no secret. It prints as "[matcher]": nothing
// that it holds can be read back.
//
// A clean scan allocates nothing and its cost depends little on the number of secrets.
type Matcher struct {
	state func() *state // a function, so that reflection does not reach the needles
}

// Value is one value of a secret. Several may have one name: those before a rotation
// stay secret as well.
type Value struct{ Name, Text string }

// NewMatcher returns a matcher for values, which maps a secret's name to its value.
// Each value must pass Check.
func NewMatcher(values map[string]string) (*Matcher, error) {
	list := make([]Value, 0, len(values))
	for name, text := range values {
		list = append(list, Value{name, text})
	}
	return New(list)
}

// New returns a matcher for values, nil for none. Each must pass Check.
func New(values []Value) (*Matcher, error) {
	values = slices.Clone(values)
	slices.SortFunc(values, func(a, b Value) int { // so that which name a shared value gets does not change between runs
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Text, b.Text))
	})
	var plain, loose []needle
	seen := map[string]bool{}
	for _, v := range values {
		if err := Check([]byte(v.Text)); err != nil {
			return nil, fmt.Errorf("secret %q: %w", v.Name, err)
		}
		for _, f := range forms(v.Text) {
			if len(f.text) >= MinLength && !seen[f.text] {
				seen[f.text] = true
				plain = append(plain, needle{[]byte(f.text), f.need(len(v.Text)), v.Name})
			}
		}
		for _, text := range looseForms(v.Text) {
			if !seen["loose "+text] {
				seen["loose "+text] = true
				loose = append(loose, needle{[]byte(text), half(len(text)), v.Name})
			}
		}
	}
	if len(plain) == 0 {
		return nil, nil
	}
	s := &state{plain: newIndex(plain), loose: newIndex(loose)}
	return &Matcher{state: func() *state { return s }}, nil
}

// Find returns the name of a secret whose value b holds in any form, Unscanned if b
// cannot be looked through within bounds, and "" if it holds none.
func (m *Matcher) Find(b []byte) string {
	if m == nil || len(b) < MinLength {
		return ""
	}
	return m.state().name(b)
}

// Contains reports whether b holds a known value in any form, or may.
func (m *Matcher) Contains(b []byte) bool { return m.Find(b) != "" }

// Names returns the names of the secrets whose values b holds, each once.
func (m *Matcher) Names(b []byte) []string {
	if !m.Contains(b) {
		return nil
	}
	var out []string
	for _, s := range m.state().spans(b) {
		if !slices.Contains(out, s.name) {
			out = append(out, s.name)
		}
	}
	return out
}

// Longest returns how many bytes the longest spelling of a value has: halves of it can
// stand in two texts that are so far apart.
func (m *Matcher) Longest() int {
	if m == nil {
		return 0
	}
	return m.state().plain.longest
}

// Redact returns b with each known value replaced by its Label, or b itself when it
// holds none. It does not write to b.
func (m *Matcher) Redact(b []byte) []byte { return m.RedactWith(b, Label) }

// rounds is how often a text is redacted before all of it is given up: what is left
// between two labels can be the spelling of another value.
const rounds = 4

// RedactWith is Redact with the text that label gives for a secret's name.
func (m *Matcher) RedactWith(b []byte, label func(name string) string) []byte {
	for range rounds {
		if !m.Contains(b) {
			return b
		}
		b = replaced(b, m.joined(b, false), label)
	}
	if name := m.Find(b); name != "" {
		return []byte(label(name))
	}
	return b
}

// replaced returns b with the labels of spans in their places.
func replaced(b []byte, spans []span, label func(name string) string) []byte {
	var out []byte
	at := 0
	for _, s := range spans {
		out = append(out, b[at:s.from]...)
		out = append(out, label(s.name)...)
		at = s.to
	}
	return append(out, b[at:]...)
}

// RedactString is Redact for strings.
func (m *Matcher) RedactString(s string) string {
	if m == nil || len(s) < MinLength {
		return s
	}
	b := []byte(s)
	if out := m.Redact(b); len(out) != len(b) || &out[0] != &b[0] {
		return string(out)
	}
	return s
}

// Format implements fmt.Formatter: a matcher prints nothing that it knows.
func (m *Matcher) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[matcher]") }

// MarshalText implements encoding.TextMarshaler.
func (m *Matcher) MarshalText() ([]byte, error) { return []byte("[matcher]"), nil }

// LogValue implements slog.LogValuer.
func (m *Matcher) LogValue() slog.Value { return slog.StringValue("[matcher]") }

// Form says in which way b holds a value: plain, condensed or coded; "" if it does not.
func (m *Matcher) Form(b []byte) string {
	if m == nil {
		return ""
	}
	s := m.state()
	if _, _, ok := s.plain.find(b, 0); ok {
		return "plain"
	}
	if _, _, ok := s.loose.find(condense(nil, b), 0); ok {
		return "condensed"
	}
	if s.name(b) != "" {
		return "coded"
	}
	return ""
}
