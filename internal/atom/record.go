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
// words or more. A record is an object in braces, without the objects in it, an item of a
// list that begins with "-", a paragraph, each with a field such as "name: Ana Diaz"; or
// "Ana Diaz <VALUE>". Where a record has one such field twice, the names of all come with
// no value, the zero one of kind: whose it is cannot be told.
func (t Text) Named(kind Kind) iter.Seq2[Seq, Atom] {
	return func(yield func(Seq, Atom) bool) {
		for i, a := range t.seq {
			if a.Kind != kind {
				continue
			}
			names, several := t.names(i)
			if several {
				a = Atom{Kind: kind}
			}
			for _, n := range names {
				if !yield(n, a) {
					return
				}
			}
		}
	}
}

// NamesOf returns what the records of t call value: those names of Named, each once.
func (t Text) NamesOf(value Atom) (out []Seq) {
	had := map[string]bool{}
	for _, at := range t.at[value] {
		names, several := t.names(int(at))
		for _, n := range names {
			if k := key(n); !several && !had[k] {
				had[k], out = true, append(out, n)
			}
		}
	}
	return out
}

// names returns what the value at i is called, and whether that may be somebody else.
func (t Text) names(i int) (out []Seq, several bool) {
	if i > 0 && t.seq[i-1] == separator("<") {
		from := i - 1
		for from > 0 && i-from < maxRecord && t.seq[from-1].Kind == Word {
			from--
		}
		if from < i-2 {
			return []Seq{t.seq[from : i-1]}, false
		}
	}
	out, several = fields(t.record(i))
	return slices.DeleteFunc(out, func(n Seq) bool { return len(n) < 2 }), several
}

func separator(s string) Atom { return Atom{Separator, s} }

// record returns the record around the atom at i, or what of it is near, without the
// objects within it.
func (t Text) record(i int) Seq {
	begins := func(j int) bool { // a record ends before the atom at j and another begins there
		line := j == 0 || t.seq[j-1] == separator("\n")
		return line && (t.seq[j] == separator("-") || t.seq[j] == separator("\n"))
	}
	var out Seq
	for j, depth := i, 0; j > 0 && i-j < maxRecord && !(depth == 0 && begins(j)); j-- {
		if depth += braces(t.seq[j-1], "}", "{"); depth < 0 {
			break
		}
		if depth == 0 {
			out = append(out, t.seq[j-1])
		}
	}
	slices.Reverse(out)
	out = append(out, t.seq[i])
	for j, depth := i+1, 0; j < len(t.seq) && j-i < maxRecord && !(depth == 0 && begins(j)); j++ {
		if depth += braces(t.seq[j], "{", "}"); depth < 0 {
			break
		}
		if depth == 0 {
			out = append(out, t.seq[j])
		}
	}
	return out
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

// fields returns the phrases in the fields of a record that say what it is called, and
// whether it has one of them twice.
func fields(record Seq) (out []Seq, several bool) {
	var field Seq
	var keys []string
	end := func() {
		if len(field) > 2 && field[0].Kind == Word && nameRE.MatchString(field[0].Value) && field[1] == separator(":") {
			key := strings.ToLower(field[0].Value)
			several = several || slices.Contains(keys, key)
			keys = append(keys, key)
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
	return out, several
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

// Contains reports whether part occurs in s. It takes time like the sum of both, whatever
// they repeat (Knuth, Morris, Pratt).
func (s Seq) Contains(part Seq) bool {
	back := make([]int, len(part)) // back[i] atoms of part end at part[i], and begin it
	on := func(k int, a Atom) int {
		for k > 0 && (k == len(part) || a != part[k]) {
			k = back[k-1]
		}
		if k < len(part) && a == part[k] {
			k++
		}
		return k
	}
	for i := 1; i < len(part); i++ {
		back[i] = on(back[i-1], part[i])
	}
	k := 0
	for _, a := range s {
		if k == len(part) {
			break
		}
		k = on(k, a)
	}
	return k == len(part)
}

// capital reports whether a is a word that begins as names do.
func capital(a Atom) bool {
	r, _ := utf8.DecodeRuneInString(a.Value)
	return a.Kind == Word && unicode.IsUpper(r)
}
