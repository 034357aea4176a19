package wasm

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of guest text that people read.
const (
	maxErrorText = 4 << 10 // error_set, stderr of a command, trap messages
	maxFrames    = 16
	maxFrameText = 200
)

// hidden reports whether r can change how the text around it is shown: controls,
// bidirectional overrides, zero-width and tag characters.
func hidden(r rune) bool {
	switch {
	case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069,
		r >= 0x200b && r <= 0x200f, r == 0x2028, r == 0x2029, r == 0x2060, r == 0xfeff,
		r >= 0xe0000 && r <= 0xe007f:
		return true
	}
	return false
}

// oneLine makes guest text safe for one line of a log: at most max bytes, hidden
// characters written as escapes, invalid UTF-8 replaced.
func oneLine(s string, max int) string {
	return clean(s, max, func(rune) bool { return false })
}

// prose is oneLine for text of several lines: newlines and tabs stay.
func prose(s string, max int) string {
	return clean(s, max, func(r rune) bool { return r == '\n' || r == '\t' })
}

func clean(s string, max int, keep func(rune) bool) string {
	if max <= 0 {
		return ""
	}
	const ellipsis = "…"
	var b strings.Builder
	cut := 0 // where the ellipsis would still fit
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		piece := string(r) // invalid bytes become U+FFFD
		if hidden(r) && !keep(r) {
			piece = escape(r)
		}
		if b.Len()+len(piece) > max {
			if max < len(ellipsis) {
				return b.String()
			}
			return b.String()[:cut] + ellipsis
		}
		b.WriteString(piece)
		if b.Len() <= max-len(ellipsis) {
			cut = b.Len()
		}
	}
	return b.String()
}

func escape(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if r <= 0xff {
		return fmt.Sprintf(`\x%02x`, r)
	}
	if r <= 0xffff {
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

// result makes the text of a tool's result fit to be shown: hidden characters other
// than newline and tab are taken out; the length was checked before.
func result(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexFunc(s, func(r rune) bool { return hidden(r) && r != '\n' && r != '\t' }) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if hidden(r) && r != '\n' && r != '\t' && !joiner(r) {
			return -1
		}
		return r
	}, s)
}

// joiner keeps what scripts and emoji need to be written at all.
func joiner(r rune) bool { return r == 0x200c || r == 0x200d }
