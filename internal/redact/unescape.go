package redact

import (
	"bytes"
	"unicode/utf8"
)

// escapeMarks are the bytes with which an escape of any kind begins.
const escapeMarks = `%\&`

// words finds the words (what is between ASCII spaces) of a text that are long enough
// and have the mark of an escape in them.
type words struct {
	b    []byte
	mark [len(escapeMarks)]int // position of the next one of each kind, at least at
	at   int
}

func newWords(b []byte) words {
	w := words{b: b}
	for i := range w.mark {
		w.mark[i] = w.after(i, 0)
	}
	return w
}

// after returns the position of the next mark of kind i, len(b) when there is none.
func (w *words) after(i, from int) int {
	if n := bytes.IndexByte(w.b[from:], escapeMarks[i]); n >= 0 {
		return from + n
	}
	return len(w.b)
}

func (w *words) next() (start, end int, ok bool) {
	for {
		first := len(w.b)
		for i := range w.mark {
			if w.mark[i] < w.at {
				w.mark[i] = w.after(i, w.at)
			}
			first = min(first, w.mark[i])
		}
		if first == len(w.b) {
			return 0, 0, false
		}
		start, end = first, first
		for start > w.at && w.b[start-1] > ' ' {
			start--
		}
		for end < len(w.b) && w.b[end] > ' ' {
			end++
		}
		w.at = end
		if end-start >= minWord {
			return start, end, true
		}
	}
}

// unescape appends word to dst with its escapes resolved: percent-encoding, those of
// JSON and Go (\n, \", \x41, \u0041) and numeric and the common named entities of HTML.
// What is no escape stays. changed tells whether there was any.
func unescape(dst, word []byte) (_ []byte, changed bool) {
	for i := 0; i < len(word); {
		n := 0
		switch word[i] {
		case '%':
			dst, n = hexEscape(dst, word[i:], 1, 2)
		case '\\':
			dst, n = backslash(dst, word[i:])
		case '&':
			dst, n = entity(dst, word[i:])
		}
		if n == 0 {
			dst = append(dst, word[i])
			i++
			continue
		}
		changed = true
		i += n
	}
	return dst, changed
}

// hexEscape resolves digits hex digits after skip bytes to one byte or, with four
// digits and more, one rune.
func hexEscape(dst, w []byte, skip, digits int) ([]byte, int) {
	if len(w) < skip+digits {
		return dst, 0
	}
	r := rune(0)
	for _, c := range w[skip : skip+digits] {
		d, ok := hexDigit(c)
		if !ok {
			return dst, 0
		}
		r = r<<4 | rune(d)
	}
	if digits == 2 {
		return append(dst, byte(r)), skip + digits //nolint:gosec // two digits
	}
	return utf8.AppendRune(dst, r), skip + digits
}

func backslash(dst, w []byte) ([]byte, int) {
	if len(w) < 2 {
		return dst, 0
	}
	switch w[1] {
	case 'n':
		return append(dst, '\n'), 2
	case 'r':
		return append(dst, '\r'), 2
	case 't':
		return append(dst, '\t'), 2
	case '"', '\'', '/', '\\':
		return append(dst, w[1]), 2
	case 'x', 'X':
		return hexEscape(dst, w, 2, 2)
	case 'u':
		return hexEscape(dst, w, 2, 4)
	case 'U':
		return hexEscape(dst, w, 2, 8)
	}
	return dst, 0
}

// entities are the named ones that encoders write.
var entities = []struct {
	name string
	c    byte
}{{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}

func entity(dst, w []byte) ([]byte, int) {
	for _, e := range entities {
		if bytes.HasPrefix(w, []byte(e.name)) {
			return append(dst, e.c), len(e.name)
		}
	}
	if len(w) < 4 || w[1] != '#' {
		return dst, 0
	}
	i, base := 2, rune(10)
	if w[2] == 'x' || w[2] == 'X' {
		i, base = 3, 16
	}
	r, digits := rune(0), 0
	for ; i < len(w) && digits < 8; i++ {
		d, ok := hexDigit(w[i])
		if !ok || rune(d) >= base {
			break
		}
		r = r*base + rune(d)
		digits++
	}
	if digits == 0 || r > utf8.MaxRune {
		return dst, 0
	}
	if i < len(w) && w[i] == ';' {
		i++
	}
	return utf8.AppendRune(dst, r), i
}
