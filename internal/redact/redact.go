// Package redact finds the values of known secrets in bytes that are about to be
// shown, stored or sent, in the encodings that ordinary programs produce, and
// replaces them with "[secret:NAME]".
//
// It looks for values that the host knows and never guesses by pattern, so text
// about tokens, hashes and random data pass unchanged. It is the second line of
// defence: the first is that no guest, prompt or log is ever given a value.
//
// Forms that are found: raw; ASCII lower and upper case; reversed; one space between
// characters; percent-encoding of reserved or of all bytes, either case, and doubly;
// base64 and base64url at all three alignments, with and without padding; hex of
// either case, plain or separated by ":", space or "\x"; JSON escapes, JSON within
// JSON, "\/" and all-"\u" spellings; HTML entities; Go quoting; decimal byte lists.
//
// Forms that are not found, because no list of forms can be complete: compressed or
// encrypted copies, base64 broken into lines, fragments of a value, other alphabets.
package redact

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// MinLength is the length in bytes of the shortest value that can be matched: any
// shorter one would occur in innocent text.
const MinLength = 8

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
// It tests the eight bytes at each position against a bit set and compares patterns
// only on a hit, so a clean scan allocates nothing and costs one pass whatever the
// number of secrets.
type Matcher struct {
	state func() *state // a function, so that reflection does not reach the patterns
}

type state struct {
	filter   []uint64           // bit set over the hash of a window
	shift    uint               // 64 − log2(bits of filter)
	windows  map[uint64][]int32 // first eight bytes → patterns that begin with them
	patterns []pattern
}

type pattern struct {
	text []byte
	name string
}

const hashMul = 0x9E3779B97F4A7C15 // 2^64 / golden ratio: spreads the windows over the filter

// NewMatcher returns a matcher for values, which maps a secret's name to its value.
// Each value must pass Check.
func NewMatcher(values map[string]string) (*Matcher, error) {
	s := &state{windows: map[uint64][]int32{}}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names) // so that which name a shared value gets does not change between runs
	seen := map[string]bool{}
	for _, name := range names {
		if err := Check([]byte(values[name])); err != nil {
			return nil, fmt.Errorf("secret %q: %w", name, err)
		}
		for _, form := range forms(values[name]) {
			if len(form) < MinLength || seen[form] {
				continue
			}
			seen[form] = true
			s.patterns = append(s.patterns, pattern{[]byte(form), name})
		}
	}
	if len(s.patterns) == 0 {
		return nil, nil
	}
	bits := 16
	for 1<<bits < 64*len(s.patterns) && bits < 22 {
		bits++
	}
	s.filter, s.shift = make([]uint64, 1<<(bits-6)), uint(64-bits)
	for i, p := range s.patterns {
		w := binary.LittleEndian.Uint64(p.text)
		h := (w * hashMul) >> s.shift
		s.filter[h/64] |= 1 << (h % 64)
		s.windows[w] = append(s.windows[w], int32(i)) //nolint:gosec // a few thousand patterns at most
	}
	return &Matcher{state: func() *state { return s }}, nil
}

// span is one stretch of bytes to replace.
type span struct {
	from, to int
	name     string
}

// spans returns the stretches of b that hold a value, overlapping ones joined so that
// no tail of a value survives; at most "most" of them when that is positive.
func (m *Matcher) spans(b []byte, most int) []span {
	if m == nil || len(b) < MinLength {
		return nil
	}
	s := m.state()
	var out []span
	for i := 0; i+8 <= len(b); i++ {
		w := binary.LittleEndian.Uint64(b[i:])
		h := (w * hashMul) >> s.shift
		if s.filter[h/64]&(1<<(h%64)) == 0 {
			continue
		}
		best := -1
		for _, p := range s.windows[w] {
			if bytes.HasPrefix(b[i:], s.patterns[p].text) && (best < 0 || len(s.patterns[p].text) > len(s.patterns[best].text)) {
				best = int(p)
			}
		}
		if best < 0 {
			continue
		}
		p := s.patterns[best]
		if last := len(out) - 1; last >= 0 && i < out[last].to {
			out[last].to = max(out[last].to, i+len(p.text))
			continue
		}
		if most > 0 && len(out) == most {
			return out
		}
		out = append(out, span{i, i + len(p.text), p.name})
	}
	return out
}

// Contains reports whether b holds a known value in any form.
func (m *Matcher) Contains(b []byte) bool { return len(m.spans(b, 1)) > 0 }

// Names returns the names of the secrets whose values b holds, each once.
func (m *Matcher) Names(b []byte) []string {
	var out []string
	for _, s := range m.spans(b, 0) {
		if !slices.Contains(out, s.name) {
			out = append(out, s.name)
		}
	}
	return out
}

// Redact returns b with each known value replaced by its Label, or b itself when it
// holds none. It does not write to b.
func (m *Matcher) Redact(b []byte) []byte { return m.RedactWith(b, Label) }

// RedactWith is Redact with the text that label gives for a secret's name.
func (m *Matcher) RedactWith(b []byte, label func(name string) string) []byte {
	spans := m.spans(b, 0)
	if len(spans) == 0 {
		return b
	}
	out := make([]byte, 0, len(b))
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
