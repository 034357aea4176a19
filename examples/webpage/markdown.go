package main

import (
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// writer writes a tree as Markdown.
type writer struct {
	base *url.URL
	b    strings.Builder
}

// render returns the Markdown of a tree. A first heading that repeats the title is
// left out: the header of the result has it.
func render(n *html.Node, base *url.URL, title string) string {
	w := &writer{base: base}
	w.blocks(n)
	out := tidy(w.b.String())
	if line, rest, _ := strings.Cut(out, "\n"); title != "" && strings.TrimLeft(line, "# ") == title {
		out = strings.TrimSpace(rest)
	}
	return out
}

// child returns the Markdown of what is below n.
func (w *writer) child(n *html.Node) string {
	c := &writer{base: w.base}
	c.blocks(n)
	return tidy(c.b.String())
}

// blocks writes what is below n: runs of inline content become paragraphs.
func (w *writer) blocks(n *html.Node) {
	var line strings.Builder
	flush := func() {
		if s := tidyLine(line.String()); s != "" {
			w.b.WriteString(s + "\n\n")
		}
		line.Reset()
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if isInline(c) {
			line.WriteString(w.inline(c))
			continue
		}
		flush()
		w.block(c)
	}
	flush()
}

func (w *writer) block(n *html.Node) {
	switch n.DataAtom {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		if s := tidyLine(w.inlines(n)); s != "" {
			level := int(n.Data[1] - '0')
			w.b.WriteString(strings.Repeat("#", level) + " " + strings.ReplaceAll(s, "\n", " ") + "\n\n")
		}
	case atom.Ul, atom.Ol, atom.Menu:
		w.list(n)
	case atom.Pre:
		w.pre(n)
	case atom.Blockquote:
		w.b.WriteString(prefixLines(w.child(n), "> ", "> ") + "\n\n")
	case atom.Table:
		w.table(n)
	case atom.Hr:
		w.b.WriteString("---\n\n")
	case atom.Dl:
		w.definitions(n)
	case atom.Figcaption:
		if s := tidyLine(w.inlines(n)); s != "" {
			w.b.WriteString("*" + s + "*\n\n")
		}
	case atom.Summary:
		if s := tidyLine(w.inlines(n)); s != "" {
			w.b.WriteString("**" + s + "**\n\n")
		}
	default:
		w.blocks(n)
	}
}

func (w *writer) list(n *html.Node) {
	number := 1
	if s, err := strconv.Atoi(attr(n, "start")); err == nil {
		number = s
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type != html.ElementNode {
			continue
		}
		body := w.child(c)
		if c.DataAtom != atom.Li { // a list right inside a list: bad HTML, common
			sub := &writer{base: w.base}
			sub.block(c)
			body = tidy(sub.b.String())
			if body != "" {
				w.b.WriteString(prefixLines(body, "  ", "  ") + "\n")
			}
			continue
		}
		if body == "" {
			continue
		}
		mark := "- "
		if n.DataAtom == atom.Ol {
			mark = strconv.Itoa(number) + ". "
			number++
		}
		// A list with single paragraphs stays tight.
		body = strings.ReplaceAll(body, "\n\n- ", "\n- ")
		w.b.WriteString(prefixLines(body, mark, strings.Repeat(" ", len(mark))) + "\n")
	}
	w.b.WriteString("\n")
}

func (w *writer) pre(n *html.Node) {
	lang := language(n)
	if code := first(n, func(c *html.Node) bool { return c.DataAtom == atom.Code }); code != nil && lang == "" {
		lang = language(code)
	}
	text := strings.Trim(strip(preText(n)), "\n")
	if strings.TrimSpace(text) == "" {
		return
	}
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	w.b.WriteString(fence + lang + "\n" + text + "\n" + fence + "\n\n")
}

func preText(n *html.Node) string {
	var b strings.Builder
	walk(n, func(c *html.Node) bool {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
		if c.DataAtom == atom.Br {
			b.WriteString("\n")
		}
		return true
	})
	return b.String()
}

// language finds the name of a programming language as highlighters write it.
func language(n *html.Node) string {
	for _, class := range strings.Fields(attr(n, "class")) {
		for _, prefix := range []string{"language-", "lang-", "highlight-source-", "brush:"} {
			if l, ok := strings.CutPrefix(class, prefix); ok && len(l) < 20 && !strings.ContainsAny(l, "`\n") {
				return l
			}
		}
	}
	return ""
}

func (w *writer) definitions(n *html.Node) {
	walk(n, func(c *html.Node) bool {
		switch c.DataAtom {
		case atom.Dt:
			w.b.WriteString("**" + tidyLine(w.inlines(c)) + "**\n")
			return false
		case atom.Dd:
			w.b.WriteString(prefixLines(w.child(c), ": ", "  ") + "\n\n")
			return false
		}
		return true
	})
}

// table writes a GFM table; one that only lays out the page becomes its content.
func (w *writer) table(n *html.Node) {
	var rows [][]string
	caption := ""
	layout := attr(n, "role") == "presentation"
	walk(n, func(c *html.Node) bool {
		switch c.DataAtom {
		case atom.Caption:
			caption = tidyLine(w.inlines(c))
			return false
		case atom.Table:
			if c != n {
				layout = true
				return false
			}
		case atom.Tr:
			var row []string
			for d := c.FirstChild; d != nil; d = d.NextSibling {
				if d.DataAtom == atom.Td || d.DataAtom == atom.Th {
					cell := w.child(d)
					layout = layout || len(cell) > 1000
					cell = strings.ReplaceAll(strings.Join(strings.Fields(cell), " "), "|", `\|`)
					row = append(row, cell)
				}
			}
			if strings.Join(row, "") != "" {
				rows = append(rows, row)
			}
			return !layout
		}
		return true
	})
	columns := 0
	for _, r := range rows {
		columns = max(columns, len(r))
	}
	if layout || columns < 2 {
		w.cells(n)
		return
	}
	if caption != "" {
		w.b.WriteString("**" + caption + "**\n\n")
	}
	for i, r := range rows {
		for len(r) < columns {
			r = append(r, "")
		}
		w.b.WriteString("| " + strings.Join(r, " | ") + " |\n")
		if i == 0 {
			w.b.WriteString("|" + strings.Repeat(" --- |", columns) + "\n")
		}
	}
	w.b.WriteString("\n")
}

// cells writes the cells of a table that only lays out the page, one after another.
func (w *writer) cells(n *html.Node) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		switch c.DataAtom {
		case atom.Td, atom.Th, atom.Caption:
			w.blocks(c)
		default:
			w.cells(c)
		}
	}
}

func prefixLines(s, firstPrefix, prefix string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		p := prefix
		if i == 0 {
			p = firstPrefix
		}
		lines[i] = strings.TrimRight(p+l, " ")
	}
	return strings.Join(lines, "\n")
}
