package approval

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSpaces is the longest run of blanks that is shown as it is: text behind a longer
// one would be out of sight.
const maxSpaces = 8

// Visible returns s in quotes, in full, on one line, with every character that a
// person cannot see, or could mistake for the end of the text, as an escape:
//
//	\\ \" \n \r \t    as in Go
//	\s{40}            that many spaces
//	\u{202E}          a character that has no glyph of its own
//	\x{FF}            a byte that is not UTF-8
//
// Two different strings have different forms.
func Visible(s string) string {
	return `"` + strings.ReplaceAll(escape(s), `"`, `\"`) + `"`
}

// escape is Visible without the quotes.
func escape(s string) string {
	var b strings.Builder
	marks := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if unicode.IsMark(r) {
			marks++
		} else {
			marks = 0
		}
		switch {
		case r == utf8.RuneError && size <= 1:
			fmt.Fprintf(&b, `\x{%02X}`, s[i])
		case r == ' ':
			size = len(s[i:]) - len(strings.TrimLeft(s[i:], " "))
			if end := i+size == len(s) || s[i+size] == '\n'; size > maxSpaces || end {
				fmt.Fprintf(&b, `\s{%d}`, size)
			} else {
				b.WriteString(s[i : i+size])
			}
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unseen(r) || marks > 2 || marks > 0 && i == 0:
			fmt.Fprintf(&b, `\u{%X}`, r)
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// unseen reports whether r has no glyph of its own, or one that looks like none.
func unseen(r rune) bool {
	switch {
	case !unicode.IsGraphic(r), unicode.Is(unicode.Zs, r) && r != ' ', unicode.Is(unicode.Me, r), unicode.Is(unicode.Variation_Selector, r):
		return true
	case unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r), r == 0x2800, r == utf8.RuneError:
		return true
	}
	return false
}

// hidden counts the characters of s that are only visible as an escape.
func hidden(s string) (n int) {
	for _, r := range s {
		if r != '\n' && r != '\t' && unseen(r) {
			n++
		}
	}
	return n
}

// maxNamed is how many suspicious words a note names; the text itself is never cut.
const maxNamed = 8

// Notes says what about s could deceive the eye. control is true for a value that
// decides who, what, where or how much.
func Notes(s string, control bool) []string { return (&eye{}).notes(s, control) }

// eye knows the scripts once it has seen a letter that is not ASCII.
type eye struct{ table []scriptRange }

func (e *eye) notes(s string, control bool) []string {
	var notes []string
	if n := hidden(s); n > 0 {
		notes = append(notes, fmt.Sprintf("%d hidden characters, shown as \\u{…}", n))
	}
	var all, mixed []string
	more := 0
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) }) {
		scripts := e.scriptsOf(word)
		for _, sc := range scripts {
			if !slices.Contains(all, sc) {
				all = append(all, sc)
			}
		}
		switch {
		case !confusing(scripts):
		case len(mixed) < maxNamed:
			mixed = append(mixed, fmt.Sprintf("the word %s mixes scripts: %s (%s)", Visible(word), strings.Join(scripts, ", "), ascii(word)))
		default:
			more++
		}
	}
	notes = append(notes, mixed...)
	if more > 0 {
		notes = append(notes, fmt.Sprintf("%d more words mix scripts", more))
	}
	slices.Sort(all)
	if foreign := slices.DeleteFunc(slices.Clone(all), func(sc string) bool { return sc == "Latin" }); control && len(foreign) > 0 && len(mixed) == 0 {
		notes = append(notes, fmt.Sprintf("letters of %s (%s)", strings.Join(foreign, ", "), ascii(s)))
	}
	if strings.ContainsFunc(s, rightToLeft) {
		notes = append(notes, "right-to-left letters: the order on the screen may differ from the order in the text")
	}
	return notes
}

// ascii shows s with every other character as an escape.
func ascii(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf {
			b.WriteString(escape(string(r)))
		} else {
			fmt.Fprintf(&b, `\u{%X}`, r)
		}
	}
	return b.String()
}

// scriptsOf names the scripts of the letters of a word, sorted; what all share counts
// for none.
func (e *eye) scriptsOf(word string) []string {
	var found []string
	last := ""
	for _, r := range word {
		if r < utf8.RuneSelf && !unicode.IsLetter(r) {
			continue
		}
		if name := e.scriptOf(r); name != "" && name != last && !slices.Contains(found, name) {
			found, last = append(found, name), name
		}
	}
	slices.Sort(found)
	return found
}

// scriptOf names the script of r; empty for what all scripts share.
func (e *eye) scriptOf(r rune) string {
	if r < utf8.RuneSelf {
		return "Latin"
	}
	if e.table == nil {
		e.table = scriptTable()
	}
	i := sort.Search(len(e.table), func(i int) bool { return e.table[i].hi >= r })
	if i < len(e.table) && e.table[i].lo <= r {
		return e.table[i].name
	}
	return ""
}

type scriptRange struct {
	lo, hi rune
	name   string
}

// scriptTable holds the ranges of all scripts in order: text of a model must not make
// people wait for 170 searches a letter.
func scriptTable() []scriptRange {
	var out []scriptRange
	add := func(lo, hi, stride rune, name string) {
		if stride == 1 {
			out = append(out, scriptRange{lo, hi, name})
			return
		}
		for r := lo; r <= hi; r += stride {
			out = append(out, scriptRange{r, r, name})
		}
	}
	for name, t := range unicode.Scripts {
		if name == "Common" || name == "Inherited" {
			continue
		}
		for _, r := range t.R16 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride), name)
		}
		for _, r := range t.R32 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride), name)
		}
	}
	slices.SortFunc(out, func(a, b scriptRange) int { return int(a.lo - b.lo) })
	return out
}

// confusing reports whether one word does not write its scripts together in any
// language: the profile "highly restrictive" of UTS #39.
func confusing(scripts []string) bool {
	if len(scripts) < 2 {
		return false
	}
	for _, together := range [][]string{
		{"Latin", "Han", "Hiragana", "Katakana"}, {"Latin", "Han", "Hangul"}, {"Latin", "Han", "Bopomofo"},
	} {
		if !slices.ContainsFunc(scripts, func(s string) bool { return !slices.Contains(together, s) }) {
			return false
		}
	}
	return true
}

func rightToLeft(r rune) bool {
	return unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Adlam)
}
