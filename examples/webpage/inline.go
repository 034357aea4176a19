package main

import (
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A replacer is some kilobytes of tables: one for each text of a page would fill the
// guest's memory.
var (
	textEscapes    = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;")
	bracketEscapes = strings.NewReplacer("[", `\[`, "]", `\]`)
	urlEscapes     = strings.NewReplacer(" ", "%20", "(", "%28", ")", "%29", "<", "%3C", ">", "%3E")
	plainTexts     = strings.NewReplacer(`\*`, "*", `\_`, "_", "\\`", "`", `\[`, "[", `\]`, "]", "&lt;", "<", `\\`, `\`, "*", "", "`", "", "~~", "")
)

// isInline reports whether n belongs into a line of text. An element with a block
// inside, such as a link around a whole teaser, does not.
func isInline(n *html.Node) bool {
	if n.Type == html.TextNode {
		return true
	}
	if n.Type != html.ElementNode {
		return false
	}
	switch n.DataAtom {
	case atom.A, atom.Abbr, atom.B, atom.Bdi, atom.Bdo, atom.Br, atom.Cite, atom.Code, atom.Data, atom.Del, atom.Dfn, atom.Em,
		atom.Font, atom.I, atom.Img, atom.Ins, atom.Kbd, atom.Label, atom.Mark, atom.Q, atom.Ruby, atom.Rt, atom.Rp, atom.S, atom.Samp,
		atom.Small, atom.Span, atom.Strong, atom.Sub, atom.Sup, atom.Time, atom.Tt, atom.U, atom.Var, atom.Wbr, atom.Picture, atom.Strike, atom.Center:
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			if !isInline(c) {
				return false
			}
		}
		return true
	}
	return n.DataAtom == 0 && n.FirstChild != nil && n.FirstChild.Type == html.TextNode // a custom element with text
}

// inlines returns the text of what is below n, in one line.
func (w *writer) inlines(n *html.Node) string {
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(w.inline(c))
	}
	return b.String()
}

func (w *writer) inline(n *html.Node) string {
	if n.Type == html.TextNode {
		return escape(collapse(n.Data))
	}
	if n.Type != html.ElementNode {
		return ""
	}
	switch n.DataAtom {
	case atom.Br:
		return "\n"
	case atom.A:
		return w.link(n)
	case atom.Img:
		return w.image(n)
	case atom.Strong, atom.B:
		return wrap(w.inlines(n), "**")
	case atom.Em, atom.I, atom.Cite:
		return wrap(w.inlines(n), "*")
	case atom.Code, atom.Kbd, atom.Samp, atom.Tt:
		return code(textOf(n))
	case atom.Del, atom.S, atom.Strike:
		return wrap(w.inlines(n), "~~")
	case atom.Q:
		return "“" + w.inlines(n) + "”"
	case atom.Sup:
		if s := w.inlines(n); strings.TrimSpace(s) != "" && isNumber(s) {
			return "^" + strings.TrimSpace(s)
		}
	case atom.Rt, atom.Rp:
		return ""
	}
	return w.inlines(n)
}

func (w *writer) link(n *html.Node) string {
	text := tidyLine(w.inlines(n))
	href := attr(n, "href")
	if text == "" || strings.HasPrefix(href, "#") && isMark(text) {
		return ""
	}
	href = w.absolute(href)
	if href == "" || strings.Contains(text, "\n") {
		return text
	}
	return "[" + bracketEscapes.Replace(strings.Trim(text, "[]")) + "](" + href + ")"
}

// image keeps what an image is said to show; its address is of no use in text.
func (w *writer) image(n *html.Node) string {
	alt := clean(attr(n, "alt"))
	if alt == "" || attr(n, "width") == "1" || attr(n, "height") == "1" {
		return ""
	}
	return "(image: " + escape(alt) + ")"
}

// absolute resolves a link; only web and mail addresses are kept.
func (w *writer) absolute(href string) string {
	href = strings.TrimSpace(strip(href))
	if href == "" || strings.HasPrefix(href, "#") {
		return ""
	}
	u, err := w.base.Parse(href)
	if err != nil {
		return ""
	}
	switch u.Scheme {
	case "http", "https", "mailto":
		return urlEscapes.Replace(u.String())
	}
	return ""
}

// wrap puts a mark around text, inside its outer spaces as Markdown wants it.
func wrap(s, mark string) string {
	inner := strings.TrimSpace(s)
	if inner == "" || strings.Contains(inner, "\n") {
		return s
	}
	i := strings.Index(s, inner)
	return s[:i] + mark + inner + mark + s[i+len(inner):]
}

func code(s string) string {
	s = clean(s)
	if s == "" {
		return ""
	}
	if strings.Contains(s, "`") {
		return "`` " + s + " ``"
	}
	return "`" + s + "`"
}

// collapse makes every run of white space one space, and keeps one at either end.
func collapse(s string) string {
	s = strip(s)
	out := strings.Join(strings.Fields(s), " ")
	if out == "" {
		if s != "" {
			return " "
		}
		return ""
	}
	if unicode.IsSpace(rune(s[0])) {
		out = " " + out
	}
	if unicode.IsSpace(rune(s[len(s)-1])) {
		out += " "
	}
	return out
}

// escape keeps text from being read as Markdown.
func escape(s string) string {
	return textEscapes.Replace(s)
}

// tidyLine trims a paragraph, the lines in it and double spaces.
func tidyLine(s string) string {
	lines := strings.Split(s, "\n")
	kept := lines[:0]
	for _, l := range lines {
		if l = strings.Join(strings.Fields(l), " "); l != "" {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "  \n")
}

// isMark reports whether the text of a link within the page is a reference number or
// the sign of a permalink.
func isMark(s string) bool {
	s = strings.Trim(s, `[]\^ `)
	return strings.Trim(s, "#¶§🔗") == "" || isNumber(s)
}

func isNumber(s string) bool {
	for _, r := range strings.TrimSpace(s) {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}
