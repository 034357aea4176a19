package redact

import (
	"cmp"
	"slices"
	"strings"
)

// Sizes of what a Stream holds, in bytes.
const (
	minHold = 512      // of text that may be the beginning of a value, whatever the secrets
	maxHeld = 1 << 20  // of text that looks like one value without end
	block   = 16 << 10 // that is looked at together, if that much is there
)

// Stream redacts a text that comes in pieces: what it lets go on holds no value, however
// the pieces were cut. It keeps back the end of the text, which may be the beginning of a
// value, until more comes or Flush is called.
//
// After a Flush less than half of a value can have gone on: half of one is one. The rest
// of it is replaced, since what went on last is looked at together with what comes next.
//
// Of a compressed stream within the text only what is in one block of 16 KiB with its
// beginning is looked into. A Stream is for one goroutine.
type Stream struct {
	m     *Matcher
	label func(name string) string
	hold  int
	skip  bool   // text that cannot be looked through passes
	past  []byte // the end of what went on
	held  []byte
	want  int // bytes to hold before they are looked at: each byte is looked at a few times only
}

// Stream returns a stream that replaces values by what label gives for the secret's
// name. Where the text cannot be looked through within bounds, it is replaced by the
// label of Unscanned, or passes if opaque.
func (m *Matcher) Stream(label func(name string) string, opaque bool) *Stream {
	return &Stream{m: m, label: label, hold: max(minHold, 2*m.Longest()), skip: opaque}
}

// Write takes the next piece and returns what may go on.
func (s *Stream) Write(p []byte) []byte {
	if s.m == nil {
		return p
	}
	s.held = append(s.held, p...)
	if len(s.held) < max(s.want, s.hold+block) {
		return nil
	}
	out := s.pass(len(s.held) - s.hold)
	s.want = len(s.held) + block
	return out
}

// Flush returns what was kept back. The text may go on afterwards.
func (s *Stream) Flush() []byte {
	s.want = 0
	return s.pass(len(s.held))
}

// Held returns how many bytes are kept back.
func (s *Stream) Held() int { return len(s.held) }

// pass lets the first n of the held bytes go on, fewer if a value may reach beyond them.
func (s *Stream) pass(n int) []byte {
	if n <= 0 {
		return nil
	}
	text := append(slices.Clip(s.past), s.held...)
	start, end := len(s.past), len(s.past)+n
	var spans []span
	if s.m.Contains(text) {
		spans = s.m.joined(text, s.skip)
	}
	if i := slices.IndexFunc(spans, func(r span) bool { return r.to >= end && r.from < end }); i >= 0 && end < len(text) {
		if r := spans[i]; r.from > start && len(s.held) < maxHeld {
			end, spans = r.from, spans[:i] // wait for the rest of it
		} else {
			end = r.to
		}
	}
	inside := make([]span, 0, len(spans))
	for _, r := range spans {
		if r.to > start && r.from < end { // of one that began before, the rest
			inside = append(inside, span{max(r.from, start) - start, r.to - start, r.name})
		}
	}
	out := text[start:end]
	for range rounds {
		if len(inside) == 0 {
			break
		}
		out = replaced(out, inside, s.label)
		inside = s.m.joined(out, s.skip) // what is left between two labels can spell another value
	}
	if len(inside) > 0 {
		out = []byte(s.label(inside[0].name))
	}
	keep := append(slices.Clip(s.past), out...)
	s.past = slices.Clone(keep[max(0, len(keep)-s.hold):])
	s.held = append(s.held[:0], text[end:]...)
	return out
}

// joined returns the stretches of b that hold a value, overlapping ones as one so that no
// tail of a value survives; without those that cannot be looked through if known is set.
func (m *Matcher) joined(b []byte, known bool) []span {
	spans := m.state().spans(b)
	if known {
		spans = slices.DeleteFunc(spans, func(s span) bool { return s.name == Unscanned })
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(a.from-b.from, b.to-a.to, strings.Compare(a.name, b.name))
	})
	var out []span
	for _, s := range spans {
		if last := len(out) - 1; last >= 0 && s.from < out[last].to {
			out[last].to = max(out[last].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}
