package main

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	linkRE   = regexp.MustCompile(`\[((?:\\.|[^\]\\])*)\]\([^)]*\)`)
	itemRE   = regexp.MustCompile(`^(-|\d+\.|:) `)
	fencedRE = regexp.MustCompile("(?s)```.*?```")
)

// What is scored is bounded: the rest of a very long page weighs little.
const (
	maxSentences = 2000
	maxProse     = 300_000 // bytes
)

// summarise picks the lead and the n most telling sentences, in the order of the
// text. The same page always gives the same summary.
func (p *page) summarise(n int) string {
	paragraphs, whole := prose(p.Markdown)
	sentences := split(paragraphs)
	var b strings.Builder
	b.WriteString(p.header())
	lead := p.Lead
	if lead == "" && len(paragraphs) > 0 {
		lead = clip(paragraphs[0], 300)
	}
	if lead != "" {
		b.WriteString(lead + "\n\n")
	}
	if picked := pick(sentences, p.Title, lead, n); len(picked) > 0 {
		b.WriteString("Key sentences:\n\n")
		for _, s := range picked {
			b.WriteString("- " + s + "\n")
		}
		b.WriteString("\n")
	}
	words := countWords(strings.Join(paragraphs, " "))
	more := ""
	if !whole {
		more = "more than "
	}
	fmt.Fprintf(&b, "("+more+"%d words, about %d min to read. Sentences are quoted from the page, not rewritten.)", words, max(1, (words+100)/220))
	return b.String()
}

// prose returns the paragraphs of running text: no headings, tables, code or lists
// of links. It ends after maxProse bytes, and then the second result is false.
func prose(markdown string) ([]string, bool) {
	var out []string
	size := 0
	for _, p := range strings.Split(fencedRE.ReplaceAllString(markdown, ""), "\n\n") {
		p = strings.TrimSpace(p)
		if p == "" || strings.HasPrefix(p, "#") || strings.HasPrefix(p, "|") || strings.HasPrefix(p, "---") || strings.HasPrefix(p, "(image:") || itemRE.MatchString(p) {
			continue
		}
		linked := 0
		for _, m := range linkRE.FindAllStringSubmatch(p, -1) {
			linked += len(m[1])
		}
		plain := plainText(p)
		if len(plain) < 40 || linked*2 > len(plain) {
			continue
		}
		if size += len(plain); size > maxProse {
			return out, false
		}
		out = append(out, plain)
	}
	return out, true
}

// plainText takes the marks of Markdown away.
func plainText(s string) string {
	s = linkRE.ReplaceAllString(s, "$1")
	var lines []string
	for line := range strings.Lines(s) {
		line = strings.TrimLeft(strings.TrimSpace(line), "> ")
		lines = append(lines, strings.TrimPrefix(line, "- "))
	}
	s = strings.Join(lines, " ")
	s = plainTexts.Replace(s)
	return strings.Join(strings.Fields(s), " ")
}

type sentence struct {
	text  string
	index int // in the text
	para  int // index of the sentence in its paragraph
	words []string
}

// split cuts paragraphs into sentences. Abbreviations, initials and decimal points
// do not end one.
func split(paragraphs []string) []sentence {
	var out []sentence
	for _, p := range paragraphs {
		start, inPara := 0, 0
		r := []rune(p)
		for i := range r {
			if !endsSentence(r, i, start) && i != len(r)-1 {
				continue
			}
			end := i + 1
			for end < len(r) && strings.ContainsRune(`"”’')]»`, r[end]) {
				end++
			}
			if end <= start {
				continue
			}
			text := strings.TrimSpace(string(r[start:end]))
			start = end
			if w := terms(text); len(w) > 0 {
				out = append(out, sentence{text, len(out), inPara, w})
				inPara++
			}
			if len(out) == maxSentences {
				return out
			}
		}
	}
	return out
}

func endsSentence(r []rune, i, start int) bool {
	switch r[i] {
	case '。', '！', '？':
		return true
	case '!', '?', '…':
	case '.':
		word := strings.ToLower(lastWord(string(r[max(start, i-15):i])))
		if abbreviation(word) || len([]rune(word)) == 1 && word != "i" {
			return false
		}
	default:
		return false
	}
	j := i + 1
	for j < len(r) && strings.ContainsRune(`"”’')]»`, r[j]) {
		j++
	}
	if j >= len(r) {
		return true
	}
	if !unicode.IsSpace(r[j]) {
		return false
	}
	for j < len(r) && (unicode.IsSpace(r[j]) || strings.ContainsRune(`"“‘'([«*`, r[j])) {
		j++
	}
	return j >= len(r) || !unicode.IsLower(r[j])
}

func lastWord(s string) string {
	if i := strings.LastIndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '(' }); i >= 0 {
		return s[i+1:]
	}
	return s
}

func abbreviation(w string) bool {
	switch w {
	case "mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "e.g", "i.e", "u.s", "u.k", "no", "fig", "vol", "inc", "ltd", "co", "jr", "sr",
		"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "approx", "cf", "al", "ca", "bzw", "z.b", "d.h", "usw":
		return true
	}
	return false
}

// pick returns the n sentences that share most words with the whole text and the
// title, with a bonus for standing early, in the order of the text.
func pick(all []sentence, title, lead string, n int) []string {
	frequency := map[string]float64{}
	for _, s := range all {
		for _, w := range s.words {
			frequency[w]++
		}
	}
	inTitle := map[string]bool{}
	for _, w := range terms(title) {
		inTitle[w] = true
	}
	type scored struct {
		sentence
		score float64
	}
	var ranked []scored
	for _, s := range all {
		count := countWords(s.text)
		if count < 6 || count > 60 || strings.Contains(lead, s.text) || strings.HasSuffix(s.text, "?") || strings.HasSuffix(s.text, ":") {
			continue
		}
		score, seen := 0.0, map[string]bool{}
		for _, w := range s.words {
			if seen[w] {
				continue
			}
			seen[w] = true
			score += math.Log1p(frequency[w])
			if inTitle[w] {
				score++
			}
		}
		score /= math.Sqrt(float64(len(s.words)) + 4)
		score *= 1 + 0.5/(1+float64(s.index)/5)
		if s.para == 0 {
			score *= 1.1
		}
		ranked = append(ranked, scored{s, score})
	}
	slices.SortStableFunc(ranked, func(a, b scored) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return a.index - b.index
	})
	var chosen []scored
	for _, r := range ranked {
		if len(chosen) == n {
			break
		}
		if !slices.ContainsFunc(chosen, func(c scored) bool { return alike(c.words, r.words) }) {
			chosen = append(chosen, r)
		}
	}
	slices.SortFunc(chosen, func(a, b scored) int { return a.index - b.index })
	out := make([]string, len(chosen))
	for i, c := range chosen {
		out[i] = c.text
	}
	return out
}

// alike reports whether two sentences say the same: they share most of their words.
func alike(a, b []string) bool {
	set := map[string]bool{}
	for _, w := range a {
		set[w] = true
	}
	shared := 0
	for _, w := range b {
		if set[w] {
			shared++
		}
	}
	return shared*10 >= 7*min(len(a), len(b))
}

// terms returns the words of s that carry meaning, in lower case and without the
// plural s.
func terms(s string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		r := []rune(w)
		if unspaced(r[0]) { // no spaces between words: pairs of signs stand for them
			for i := range len(r) - 1 {
				out = append(out, string(r[i:i+2]))
			}
			continue
		}
		if len(r) < 3 || stopWords[w] {
			continue
		}
		if len(w) > 4 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") {
			w = w[:len(w)-1]
		}
		out = append(out, w)
	}
	return out
}

func unspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
}

// countWords counts words; in a script without spaces, two signs are one word.
func countWords(s string) int {
	n, signs := 0, 0
	for _, w := range strings.Fields(s) {
		before := signs
		for _, r := range w {
			if unspaced(r) {
				signs++
			}
		}
		if before == signs {
			n++
		}
	}
	return n + signs/2
}

var stopWords = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`the and for are was were with that this from have has had not but you your they their them his her its our
		who what when where which will would can could should may might been being than then there these those into over under about after before
		also more most some such only other any all each one two how why out just like because through while between during both very own same too
		said says say did does doing because until against once here off again further between der die das und ist ein eine den von mit dem des sich
		auf nicht auch les des une est dans que qui pour par sur avec los las una por con para del`) {
		m[w] = true
	}
	return m
}()

func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	cut := string(r[:n])
	if i := strings.LastIndexAny(cut, ".!?。"); i > n/2 {
		_, size := utf8.DecodeRuneInString(cut[i:])
		return cut[:i+size]
	}
	if i := strings.LastIndexByte(cut, ' '); i > 0 {
		cut = cut[:i]
	}
	return cut + "…"
}
