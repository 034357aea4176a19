package redact

import "slices"

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
