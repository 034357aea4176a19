package offline

import (
	"regexp"
	"slices"
	"strings"
)

// noteRE is a message that is a note in itself.
var noteRE = regexp.MustCompile(`(?i)^\s*(?:please\s+)?(?:note|memo|todo|to-do|reminder)(?:\s*:|\s+(?:that|to self|down)\b)`)

// knowRE is a message that asks for what was said before.
var knowRE = regexp.MustCompile(`(?i)^\s*(?:please\s+)?(?:(?:what|which)\s+(?:else\s+)?do|do|tell me what)\s+you\s+(?:still\s+)?(?:know|remember|recall)\b`)

// query is what a message asks for, in terms.
type query struct {
	words  []queryWord
	hints  []string // classes, from the message's shape
	action []string // classes of the first word that says what to do
	strong bool     // that word also says what about: "remember", "note:"
}

type queryWord struct {
	word   string
	terms  []string
	weight float64
}

// maxWords is how many words of a message are ranked.
const maxWords = 64

// read turns a message into a query. Words weigh less the later they come, and little
// behind the colon of "command: text".
func (ts *toolset) read(m *message) query {
	q := query{hints: m.hints}
	head, tail := m.text, ""
	if i := strings.Index(m.text, ":"); i > 0 && len(tokens(m.text[:i])) <= 8 {
		head, tail = m.text[:i], m.text[i:]
	}
	if noteRE.MatchString(m.plain) {
		q.action, q.strong = []string{"ADD"}, true
	}
	if knowRE.MatchString(m.plain) {
		q.action, q.hints = []string{"SEARCH"}, append(slices.Clone(q.hints), "MEMORY")
	}
	add := func(text string, weight float64) {
		for _, w := range tokens(text) {
			if stopWords[w] || len(q.words) == maxWords {
				continue
			}
			terms := ts.lex.terms(w)
			if q.action == nil {
				q.action = slices.DeleteFunc(slices.Clone(terms), func(t string) bool { return !slices.Contains(actions, t) })
				if len(q.action) == 0 {
					q.action = nil
				}
				q.strong = q.action != nil && slices.Contains(terms, "NOTE")
			}
			q.words = append(q.words, queryWord{w, terms, weight / (1 + 0.2*float64(len(q.words)))})
		}
	}
	add(head, 1.5)
	add(tail, 0.2)
	return q
}

// score returns how well t fits q, and whether anything says that the message is
// about t's topic at all.
func (ts *toolset) score(t *tool, q query, m *message) (score float64, about bool) {
	const k, b, hintWeight = 1.2, 0.5, 1.6
	norm := k * (1 - b + b*t.length/max(ts.avg, 1))
	sat := func(term string) float64 {
		w := t.weight[term]
		return ts.idf[term] * w * (k + 1) / (w + norm)
	}
	described := map[string]bool{}
	for _, w := range q.words {
		best := 0.0
		for _, term := range w.terms {
			best = max(best, sat(term))
			about = about || t.topics[term] && !slices.Contains(actions, term)
			about = about || t.acts[term] && term != strings.ToUpper(term) && !isAction(ts.lex, w.word)
		}
		if t.weight[w.terms[0]] > 0 && !isAction(ts.lex, w.word) {
			described[w.terms[0]] = true
		}
		score += w.weight * best
	}
	for _, class := range q.hints {
		if t.topics[class] || t.acts[class] {
			about = true
			score += hintWeight * max(sat(class), 0.3)
		}
	}
	if t.named(m) {
		return score*3 + 10, true
	}
	// Two words of the description that are no commands count as a topic too.
	return score, about || len(described) >= 2
}

func isAction(lex lexicon, word string) bool {
	return slices.ContainsFunc(lex.terms(word), func(t string) bool { return slices.Contains(actions, t) })
}

// named reports whether the message calls t by its name: "notes.add" anywhere, or
// "notes add" at the start.
func (t *tool) named(m *message) bool {
	low := strings.ToLower(m.plain)
	if strings.Contains(low, strings.ToLower(t.info.Name)) {
		return true
	}
	want := append(slices.Clone(t.skill), t.name...)
	have := tokens(m.plain)
	return len(have) >= len(want) && slices.Equal(have[:len(want)], want)
}

// acts on the message's action, contradicts it, or neither.
func (t *tool) actionFactor(q query) float64 {
	if q.action == nil {
		return 1
	}
	for _, class := range q.action {
		if t.acts[class] {
			return 1.4
		}
	}
	if q.strong {
		return 0.3
	}
	return 0.6
}

// plan chooses the best tool for m and fills its arguments. Its tool is nil if
// nothing fits.
func (ts *toolset) plan(m *message) *plan {
	q := ts.read(m)
	best := &plan{}
	for _, t := range ts.tools {
		score, about := ts.score(t, q, m)
		// What cannot be undone is proposed only to who asks for it by name.
		if !about || t.info.Class == 0 && !t.named(m) && !t.asked(q) {
			continue
		}
		p := fill(t, m, ts.lex)
		p.score = score * t.actionFactor(q) * p.fit(m)
		if p.score > best.score || p.score == best.score && best.tool != nil && t.info.Name < best.tool.info.Name {
			best = p
		}
	}
	return best
}

// asked reports whether a word of the message names what t does.
func (t *tool) asked(q query) bool {
	for _, w := range q.words {
		for _, term := range w.terms {
			if t.acts[term] && (term == w.terms[0] || slices.Contains(q.action, term)) {
				return true
			}
		}
	}
	return false
}
