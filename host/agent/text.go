package agent

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
)

// cut shortens text to at most limit bytes, at the border of a rune.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// clean makes text of a stranger safe to print: invalid UTF-8 and control, bidi and
// tag characters become U+FFFD, so that it can neither drive a terminal nor hide.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return -1
		case unicode.IsControl(r), unicode.Is(hidden, r):
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
}

// hidden holds bidirectional controls (Unicode Bidi_Control), soft hyphen, zero-width
// space, word joiner, byte order mark and the tag characters.
var hidden = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x00ad, Hi: 0x00ad, Stride: 1}, {Lo: 0x061c, Hi: 0x061c, Stride: 1}, {Lo: 0x200b, Hi: 0x200b, Stride: 1}, {Lo: 0x200e, Hi: 0x200f, Stride: 1},
		{Lo: 0x202a, Hi: 0x202e, Stride: 1}, {Lo: 0x2060, Hi: 0x2069, Stride: 1}, {Lo: 0xfeff, Hi: 0xfeff, Stride: 1},
	},
	R32: []unicode.Range32{{Lo: 0xe0000, Hi: 0xe007f, Stride: 1}},
}

// resultText renders the content of a result as text of at most limit bytes.
func resultText(r abi.CallResult, limit int) (text string, truncated bool) {
	var b strings.Builder
	for _, c := range r.Content {
		if b.Len() > limit {
			break
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		switch {
		case c.Type == "text":
			b.WriteString(c.Text)
		case c.Resource != nil && c.Resource.Text != "":
			b.WriteString(c.Resource.Text)
		case c.Type == "resource_link":
			fmt.Fprintf(&b, "[link %s]", c.URI)
		default:
			fmt.Fprintf(&b, "[%s %s, %d bytes of base64]", c.Type, c.MIMEType, len(c.Data))
		}
	}
	if b.Len() == 0 && len(r.StructuredContent) > 0 {
		b.Write(r.StructuredContent)
	}
	full := b.String()
	text = clean(cut(full, limit))
	return text, len(full) > limit
}
