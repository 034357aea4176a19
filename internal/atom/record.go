package atom

import (
	"encoding/json"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxRecord bounds the atoms of one record to each side of a value in it.
const maxRecord = 64

// nameRE finds the fields that hold what an object is called.
var nameRE = regexp.MustCompile(`(?i)^(?:(?:full|display)_?)?name$|^title$`)

// Named yields each value of kind in t with what its record calls it: a phrase of two
// words or more. A record is an object in braces, an item of a list that begins with
// "-", a paragraph, each with a field such as "name: Ana Diaz"; or "Ana Diaz <VALUE>".
func (t Text) Named(kind Kind) iter.Seq2[Seq, Atom] {
	return func(yield func(Seq, Atom) bool) {
		for i, a := range t.seq {
			if a.Kind != kind {
				continue
			}
			names := names(t.record(i))
			if i > 0 && t.seq[i-1] == separator("<") {
				from := i - 1
				for from > 0 && t.seq[from-1].Kind == Word {
					from--
				}
				names = append(names, t.seq[from:i-1])
			}
			for _, n := range names {
				if len(n) > 1 && !yield(n, a) {
					return
				}
			}
		}
	}
}

func separator(s string) Atom { return Atom{Separator, s} }

// record returns the record around the atom at i, or what of it is near.
func (t Text) record(i int) Seq {
	begins := func(j int) bool { // a record ends before the atom at j and another begins there
		line := j == 0 || t.seq[j-1] == separator("\n")
		return line && (t.seq[j] == separator("-") || t.seq[j] == separator("\n"))
	}
	from, to := i, i+1
	for depth := 0; from > 0 && i-from < maxRecord && !(depth == 0 && begins(from)); from-- {
		if depth += braces(t.seq[from-1], "}", "{"); depth < 0 {
			break
		}
	}
	for depth := 0; to < len(t.seq) && to-i < maxRecord && !(depth == 0 && begins(to)); to++ {
		if depth += braces(t.seq[to], "{", "}"); depth < 0 {
			break
		}
	}
	return t.seq[from:to]
}

// braces counts a as one level up or down.
func braces(a Atom, up, down string) int {
	switch a {
	case separator(up):
		return 1
	case separator(down):
		return -1
	}
	return 0
}

// names returns the phrases in the fields of a record that say what it is called.
func names(record Seq) []Seq {
	var out []Seq
	var field Seq
	end := func() {
		if len(field) > 2 && field[0].Kind == Word && nameRE.MatchString(field[0].Value) && field[1] == separator(":") {
			switch phrase := field[2:]; {
			case phrase[0].Kind == Quoted && len(phrase) == 1:
				out = append(out, unkey(phrase[0].Value))
			case !slices.ContainsFunc(phrase, func(a Atom) bool { return a.Kind != Word }):
				out = append(out, phrase)
			}
		}
		field = nil
	}
	for _, a := range record {
		switch {
		case a.Kind == Separator && strings.Contains("\n,{}", a.Value):
			end()
		case a != separator("'") && a != separator("-"):
			field = append(field, a)
		}
	}
	end()
	return out
}

// unkey returns the words of a quoted phrase.
func unkey(s string) Seq {
	var parts []string
	_ = json.Unmarshal([]byte(s), &parts) // what key wrote
	out := make(Seq, len(parts))
	for i, p := range parts {
		kind, value, _ := strings.Cut(p, ":")
		n, _ := strconv.Atoi(kind)
		out[i] = Atom{Kind(n), value}
	}
	return out
}

// Mentions reports whether t names somebody or something by name, a phrase: it holds
// the name as a whole, and no longer one. Of a name of one word, which could be any
// word, it is one only in the middle of a sentence.
func (t Text) Mentions(name Seq) bool {
	if len(name) > 1 && len(t.at[Atom{Quoted, key(name)}]) > 0 {
		return true
	}
	for _, at := range t.at[name[0]] {
		from, to := int(at), int(at)+len(name)
		if to > len(t.seq) || !slices.Equal(t.seq[from:to], name) || to < len(t.seq) && capital(t.seq[to]) {
			continue
		}
		begins := from == 0 || t.seq[from-1].Kind == Separator // a sentence
		first := from > 0 && (from == 1 || t.seq[from-2].Kind == Separator)
		if len(name) > 1 && (begins || first) || !begins && !capital(t.seq[from-1]) {
			return true
		}
	}
	return false
}

// Contains reports whether part occurs in s.
func (s Seq) Contains(part Seq) bool {
	for i := range len(s) - len(part) + 1 {
		if slices.Equal(s[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// capital reports whether a is a word that begins as names do.
func capital(a Atom) bool {
	r, _ := utf8.DecodeRuneInString(a.Value)
	return a.Kind == Word && unicode.IsUpper(r)
}
