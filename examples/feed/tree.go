package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// node is one element. Names are without their name space: feeds use dozens of
// prefixes for the same few things.
type node struct {
	name  string
	space string
	attrs map[string]string
	kids  []*node
	data  string // of a run of text, which is a node without a name
}

// Bounds of a document.
const (
	maxDepth = 64
	maxNodes = 200_000
)

// readTree reads XML as far as it goes. The error says why it stopped early.
func readTree(body []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(legal(body)))
	d.Strict = false
	d.Entity = xml.HTMLEntity
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // already UTF-8
	var root *node
	var stack []*node
	count := 0
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return root, nil
		}
		if err != nil {
			return root, err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if count++; count > maxNodes || len(stack) >= maxDepth {
				return root, fmt.Errorf("more than %d elements or %d levels", maxNodes, maxDepth)
			}
			n := &node{name: t.Name.Local, space: t.Name.Space, attrs: map[string]string{}}
			for _, a := range t.Attr {
				n.attrs[a.Name.Local] = a.Value
			}
			if len(stack) > 0 {
				top := stack[len(stack)-1]
				top.kids = append(top.kids, n)
			} else if root == nil {
				root = n
			}
			stack = append(stack, n)
		case xml.EndElement:
			if len(stack) > 0 {
				stack = stack[:len(stack)-1]
			}
		case xml.CharData:
			if len(stack) > 0 {
				top := stack[len(stack)-1]
				top.kids = append(top.kids, &node{data: string(t)})
			}
		}
	}
}

// legal drops the control characters that XML forbids and feeds contain.
func legal(b []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return -1
		}
		return r
	}, b)
}

func (n *node) children(name string) []*node {
	var out []*node
	for _, k := range n.kids {
		if strings.EqualFold(k.name, name) {
			out = append(out, k)
		}
	}
	return out
}

// child returns the first child of this name that holds something, preferring one
// without a foreign name space: <media:title> must not hide <title>.
func (n *node) child(name string) *node {
	var other *node
	for _, k := range n.children(name) {
		if strings.Contains(k.space, "media") || strings.Contains(k.space, "mrss") || strings.Contains(k.space, "itunes") {
			if other == nil {
				other = k
			}
			continue
		}
		return k
	}
	return other
}

// content returns the text of n and of what is below it.
func (n *node) content() string {
	var b strings.Builder
	n.write(&b)
	return strings.TrimSpace(b.String())
}

func (n *node) write(b *strings.Builder) {
	b.WriteString(n.data)
	for _, k := range n.kids {
		if k.name != "" && !inline(k.name) {
			b.WriteByte(' ')
		}
		k.write(b)
	}
}

// inline reports whether an HTML element stands within a word or line of text.
func inline(name string) bool {
	switch strings.ToLower(name) {
	case "a", "abbr", "b", "cite", "code", "em", "font", "i", "kbd", "q", "s", "small", "span", "strong", "sub", "sup", "u", "wbr":
		return true
	}
	return false
}

func (n *node) text(name string) string {
	for _, k := range n.children(name) {
		if s := k.content(); s != "" {
			return s
		}
	}
	return ""
}

func (n *node) plain(name string) string {
	if k := n.child(name); k != nil {
		return stripHTML(k.content())
	}
	return ""
}

// zones are the names that RFC 822 dates use; Go knows none of them.
var zones = map[string]string{
	"UT": "+0000", "UTC": "+0000", "GMT": "+0000", "Z": "+0000", "EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500",
	"MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700", "BST": "+0100", "CET": "+0100", "CEST": "+0200", "JST": "+0900",
}

// parseDate reads the dates of feeds; what it cannot read is the zero time.
func parseDate(s string) time.Time {
	s = strings.Join(strings.Fields(s), " ")
	if s == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00",
		"2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05", time.DateOnly, "2006-01", "2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	if _, rest, ok := strings.Cut(s, ", "); ok { // the day of the week is often wrong
		s = rest
	}
	if i := strings.LastIndexByte(s, ' '); i > 0 {
		if zone, ok := zones[strings.ToUpper(s[i+1:])]; ok {
			s = s[:i+1] + zone
		}
	}
	for _, layout := range []string{"2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04 -0700", "2 Jan 06 15:04:05 -0700", "2 Jan 06 15:04 -0700",
		"2 January 2006 15:04:05 -0700", "2 Jan 2006 15:04:05", "2 Jan 2006", "Jan 2 2006 15:04:05 -0700", "January 2, 2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
