package redact

import (
	"cmp"
	"slices"
	"strings"
)

// Stream redacts a text that arrives in pieces. Whatever the pieces are, plain
// spellings (the first paragraph of the package's list, and halves of them) are
// replaced as Redact replaces them in the whole text, and less than Longest bytes are
// held back. A coded copy of a value is found as far as it stands within that many
// bytes. A Stream is for one goroutine.
type Stream struct {
	m    *Matcher
	buf  []byte // what was written: context that is out already, then what is held back
	out  int    // bytes of buf that are out
	name string // of the first value that was met
}

// Stream returns a stream that knows what m knows.
func (m *Matcher) Stream() *Stream { return &Stream{m: m} }

// Found returns the name of the first value that the stream has met, "" for none.
func (s *Stream) Found() string { return s.name }

// Write takes the next piece and returns what may be shown of all pieces so far.
func (s *Stream) Write(piece []byte) []byte {
	if s.m == nil {
		return piece
	}
	s.buf = append(s.buf, piece...)
	return s.release(len(s.buf) - (s.m.Longest() - 1))
}

// Close returns the rest.
func (s *Stream) Close() []byte {
	if s.m == nil {
		return nil
	}
	return s.release(len(s.buf))
}

// release gives out buf up to the position until. Whether a byte belongs to a value,
// and where the stretches begin, depends on less than Longest bytes to each side, which
// are there by then.
func (s *Stream) release(until int) []byte {
	if until <= s.out {
		return nil
	}
	hits := s.m.state().plain.all(nil, s.buf)
	slices.SortFunc(hits, func(a, b span) int {
		return cmp.Or(a.from-b.from, b.to-a.to, strings.Compare(a.name, b.name))
	})
	var out []byte
	at, end := s.out, 0 // end: of the stretch so far
	for _, h := range hits {
		if h.from >= until {
			break
		}
		starts := h.from >= end // else it belongs to the stretch before
		end = max(end, h.to)
		if starts && h.from >= s.out {
			out = append(append(out, s.buf[at:h.from]...), Label(h.name)...)
			s.name = cmp.Or(s.name, h.name)
		}
		at = max(at, min(end, until))
	}
	if at < until {
		out = append(out, s.buf[at:until]...)
	}
	if len(hits) == 0 {
		if name := s.m.Find(s.buf); name != "" {
			s.name = cmp.Or(s.name, name)
			out = []byte(Label(name))
		}
	}
	keep := max(0, until-(s.m.Longest()-1)) // context for what comes
	s.buf = append(s.buf[:0], s.buf[keep:]...)
	s.out = until - keep
	return out
}

// Tail finds values whose pieces go to one place in several texts, each complete and
// sent before the next one is known: it keeps the end of what went before. A Tail is
// for one goroutine.
type Tail struct{ last []byte }

// TailOf returns the tail that Last was called of.
func TailOf(last []byte) Tail { return Tail{last} }

// Last returns what the tail holds, for whoever keeps it.
func (t *Tail) Last() []byte { return slices.Clone(t.last) }

// Add looks at the border between what went before and text, and keeps the end of both.
// It returns the name of a value that stands across the border.
func (t *Tail) Add(m *Matcher, text []byte) string {
	n := m.Longest()
	if n == 0 || len(text) == 0 {
		return ""
	}
	name := ""
	joined := append(t.last, text[:min(n, len(text))]...) //nolint:gocritic // the memory stays the tail's
	if len(t.last) > 0 {
		name = m.Find(joined)
	}
	last := text
	if len(text) < n {
		last = joined
	}
	t.last = append(joined[:0], last[max(0, len(last)-n):]...)
	if name != "" {
		clear(t.last)
		t.last = nil // told once
	}
	return name
}
