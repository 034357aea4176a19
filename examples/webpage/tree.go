package main

import (
	"strings"
	"unicode"

	"golang.org/x/net/html"
)

// walk visits n and what is below it; visit returns false to skip what is below.
func walk(n *html.Node, visit func(*html.Node) bool) {
	if !visit(n) {
		return
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		walk(c, visit)
	}
}

// first returns the first node in document order for which want holds.
func first(n *html.Node, want func(*html.Node) bool) *html.Node {
	if want(n) {
		return n
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if f := first(c, want); f != nil {
			return f
		}
	}
	return nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// textOf returns the text below n as it stands in the source.
func textOf(n *html.Node) string {
	var b strings.Builder
	walk(n, func(n *html.Node) bool {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
		return n.Type != html.ElementNode || (n.Data != "script" && n.Data != "style" && n.Data != "noscript")
	})
	return b.String()
}

// clean joins white space and drops characters that show nothing: zero-width and
// directional marks, which hide text from people and not from models.
func clean(s string) string { return strings.Join(strings.Fields(strip(s)), " ") }

func strip(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= ' ' && r < 0x7f, r == '\n', r == '\t':
			return r
		case unicode.Is(unicode.Cf, r), unicode.IsControl(r), r >= 0xe0000 && r <= 0xe0fff:
			return -1
		}
		return r
	}, s)
}

// tidy strips s and allows at most one empty line in a row.
func tidy(s string) string {
	var out []string
	empty := 0
	for line := range strings.Lines(strip(strings.ReplaceAll(s, "\r\n", "\n"))) {
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		if line == "" {
			empty++
			if empty > 1 {
				continue
			}
		} else {
			empty = 0
		}
		out = append(out, line)
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}
