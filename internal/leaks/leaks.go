// Package leaks guesses secrets that nobody stored, by the rules of gitleaks: what a
// person pastes into a message looks like a key of some service.
//
// It only hints. A finding tells a person what to do and is hidden in logs; finding
// nothing says nothing, and no decision about what leaves asks this package. The rules
// are part of builds with the tag gitleaks alone (ADR 13).
package leaks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Limit is how many bytes of a text are looked at.
const Limit = 256 << 10

// Hint is a place that looks like a secret. It holds nothing of what stands there.
type Hint struct {
	Rule       string // of gitleaks, such as github-pat
	Start, End int    // bytes of the text
}

// Look is what one text looks like.
type Look struct {
	Hints  []Hint // in order; they do not overlap
	Unread int    // bytes at the end that were not looked at
}

// Scanner looks at texts. It is safe for concurrent use; the rules are read at the
// first text.
type Scanner struct{ engine engine }

// New returns a scanner with the rules of this build.
func New() *Scanner { return &Scanner{} }

// Available reports whether this build has rules. Without, nothing is looked at.
func Available() bool { return available }

// Find looks at text.
func (s *Scanner) Find(text string) Look {
	head := text[:min(len(text), Limit)]
	hints, ok := s.engine.scan(head)
	if !ok {
		return Look{Unread: len(text)}
	}
	return Look{Hints: merge(hints), Unread: len(text) - len(head)}
}

// Hide returns text with what Find found, and what it did not look at, replaced by the
// name of the rule. Without rules it returns text: it takes away, it promises nothing.
func (s *Scanner) Hide(text string) string {
	if !available || text == "" {
		return text
	}
	look := s.Find(text)
	if len(look.Hints) == 0 && look.Unread == 0 {
		return text
	}
	var b strings.Builder
	at, read := 0, len(text)-look.Unread
	for _, h := range look.Hints {
		fmt.Fprintf(&b, "%s[hidden: %s]", text[at:h.Start], h.Rule)
		at = h.End
	}
	b.WriteString(text[at:read])
	if look.Unread > 0 {
		fmt.Fprintf(&b, "[hidden: %d bytes that were not looked at]", look.Unread)
	}
	return b.String()
}

// merge sorts hints and joins those that overlap; the rule of the first stays.
func merge(hints []Hint) []Hint {
	slices.SortFunc(hints, func(a, b Hint) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), cmp.Compare(a.Rule, b.Rule))
	})
	var out []Hint
	for _, h := range hints {
		if n := len(out); n > 0 && h.Start < out[n-1].End {
			out[n-1].End = max(out[n-1].End, h.End)
			continue
		}
		out = append(out, h)
	}
	return out
}
