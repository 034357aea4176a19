package main

import (
	"cmp"
	"strings"
	"time"
	"unicode"
)

const mount = "/notes"

func path(name string) string { return mount + "/" + name + ".md" }

// note is one file: a head between two lines of ---, then the text.
type note struct {
	Name    string // of the file, without .md: always its own slug
	Title   string
	Created time.Time
	Tags    []string
	Text    string

	modified int64 // Unix milliseconds, of the file
}

func (n note) encode() string {
	var b strings.Builder
	b.WriteString("---\ntitle: " + n.Title + "\ncreated: " + n.Created.Format(time.RFC3339) + "\n")
	if len(n.Tags) > 0 {
		b.WriteString("tags: " + strings.Join(n.Tags, ", ") + "\n")
	}
	b.WriteString("---\n\n" + n.Text + "\n")
	return b.String()
}

// decode reads a note leniently: a file that somebody else wrote is a note as well.
func decode(name, data string) note {
	n := note{Name: name}
	data = strings.ReplaceAll(data, "\r\n", "\n")
	if rest, ok := strings.CutPrefix(data, "---\n"); ok {
		if head, text, ok := strings.Cut(rest, "\n---"); ok {
			for line := range strings.Lines(head) {
				key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
				n.set(strings.TrimSpace(key), strings.TrimSpace(value))
			}
			data = text
		}
	}
	n.Text = strings.TrimSpace(data)
	if first, rest, _ := strings.Cut(n.Text, "\n"); n.Title == "" && strings.HasPrefix(first, "# ") {
		n.Title, n.Text = strings.TrimSpace(first[2:]), strings.TrimSpace(rest)
	}
	if n.Title == "" {
		n.Title = titleFrom(n.Text)
	}
	return n
}

func (n *note) set(key, value string) {
	switch key {
	case "title":
		n.Title = oneLine(strings.Trim(value, `"`))
	case "created":
		if t, err := time.Parse(time.RFC3339, value); err == nil {
			n.Created = t
		}
	case "tags":
		for _, t := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(",[] #", r) }) {
			if t = slug(t); t != "" {
				n.Tags = append(n.Tags, t)
			}
		}
	}
}

func (n note) day() string {
	if n.Created.IsZero() {
		return ""
	}
	return n.Created.Format(time.DateOnly)
}

func (n note) display() string {
	var b strings.Builder
	b.WriteString("# " + n.Title + "\n\n")
	var facts []string
	if d := n.day(); d != "" {
		facts = append(facts, d)
	}
	if len(n.Tags) > 0 {
		facts = append(facts, "#"+strings.Join(n.Tags, " #"))
	}
	if len(facts) > 0 {
		b.WriteString("*" + strings.Join(facts, " · ") + "*\n\n")
	}
	b.WriteString(n.Text)
	return b.String()
}

func (n note) hasAll(words []string) bool {
	text := strings.ToLower(n.Title + "\n" + strings.Join(n.Tags, " ") + "\n" + n.Text)
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// linesWith returns up to most lines that hold one of the words, cut to a readable length.
func (n note) linesWith(words []string, most int) []string {
	var out []string
	for line := range strings.Lines(n.Text) {
		line = strings.TrimSpace(line)
		low := strings.ToLower(line)
		for _, w := range words {
			if i := strings.Index(low, w); i >= 0 {
				out = append(out, around(line, i, 120))
				break
			}
		}
		if len(out) == most {
			break
		}
	}
	return out
}

// around cuts s to about size characters that hold byte at.
func around(s string, at, size int) string {
	r := []rune(s)
	if len(r) <= size {
		return s
	}
	pos := len([]rune(s[:min(at, len(s))]))
	from := max(0, min(pos-size/3, len(r)-size))
	out := string(r[from : from+size])
	if from > 0 {
		out = "…" + out
	}
	if from+size < len(r) {
		out += "…"
	}
	return out
}

func newestFirst(a, b note) int {
	if c := b.Created.Compare(a.Created); c != 0 {
		return c
	}
	if c := cmp.Compare(b.modified, a.modified); c != 0 {
		return c
	}
	return cmp.Compare(a.Name, b.Name)
}

func titleFrom(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = oneLine(strings.TrimLeft(line, "#>-* "))
	r := []rune(line)
	if len(r) <= 60 {
		return line
	}
	cut := string(r[:60])
	if i := strings.LastIndexByte(cut, ' '); i > 20 {
		cut = cut[:i]
	}
	return cut + "…"
}

// oneLine joins white space and drops characters that show nothing.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)), " ")
}

// plain are the letters that a slug spells without their marks.
var plain = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "æ", "ae", "ø", "o", "å", "a", "œ", "oe",
	"à", "a", "á", "a", "â", "a", "ã", "a", "è", "e", "é", "e", "ê", "e", "ë", "e", "ì", "i", "í", "i", "î", "i", "ï", "i",
	"ò", "o", "ó", "o", "ô", "o", "õ", "o", "ù", "u", "ú", "u", "û", "u", "ç", "c", "ñ", "n", "ý", "y", "ł", "l", "š", "s", "ž", "z", "č", "c")

// slug turns text into a file name of lower-case letters and digits joined by single
// hyphens, at most 60 characters. It is its own slug, so no path can hide in one.
func slug(s string) string {
	var b strings.Builder
	hyphen := false
	n := 0
	for _, r := range plain.Replace(strings.ToLower(s)) {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			hyphen = n > 0
			continue
		}
		if hyphen {
			b.WriteByte('-')
			n++
			hyphen = false
		}
		if n >= 60 {
			break
		}
		b.WriteRune(r)
		n++
	}
	return strings.Trim(b.String(), "-")
}
