package main

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Names of boxes around an article, in class or id. Words stand alone or are joined
// by - or _, so that "header-share" matches and "shareholder" does not.
var (
	clutterRE = regexp.MustCompile(`(?i)(^|[\s_-])(ad|ads|advert|advertisement|sponsor(ed)?|banner|cookies?|consent|gdpr|breadcrumbs?|comments?|disqus|` +
		`footer|masthead|menu|modal|nav|navbar|byline|newsletter|outbrain|pager|pagination|paywall|popup|promo|recommended|related|share|sharing|` +
		`sidebar|skip|social|subscribe|subscription|taboola|toolbar|tooltip|widget|sr-only|visually-hidden|screen-reader-text|noprint|mw-editsection|navbox|reflist|toc)([\s_-]|s?$)`)
	contentRE = regexp.MustCompile(`(?i)(^|[\s_-])(article|body|content|entry|main|page|post|story|text|blog)([\s_-]|$)`)
	hiddenRE  = regexp.MustCompile(`(?i)(display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(px|em|rem|%)?\s*(;|$)|opacity\s*:\s*0\s*(;|$))`)
)

// minArticle is the length of text, in characters, below which a candidate is not
// believed to be the article.
const minArticle = 140

// extract finds the node that holds the article. It takes the tree apart: what no
// reader sees or wants is removed.
func extract(doc *html.Node) *html.Node {
	body := first(doc, func(n *html.Node) bool { return n.DataAtom == atom.Body })
	if body == nil {
		body = doc
	}
	removeUnseen(body)
	if n := declared(body); n != nil {
		removeClutter(n)
		return n
	}
	whole := textLen(body)
	removeClutter(body)
	best := topCandidate(body)
	if best == nil || textLen(best) < minArticle || textLen(best)*5 < textLen(body) && whole < 2000 {
		return body
	}
	return widen(best)
}

// declared returns the element that the page itself marks as its article, if there
// is exactly one that holds enough text.
func declared(body *html.Node) *html.Node {
	for _, mark := range []func(*html.Node) bool{
		func(n *html.Node) bool { return attr(n, "itemprop") == "articleBody" },
		func(n *html.Node) bool { return n.DataAtom == atom.Article },
		func(n *html.Node) bool { return n.DataAtom == atom.Main || attr(n, "role") == "main" },
	} {
		var found []*html.Node
		walk(body, func(n *html.Node) bool {
			if n.Type == html.ElementNode && mark(n) && textLen(n) >= minArticle {
				found = append(found, n)
				return false
			}
			return true
		})
		if len(found) == 1 {
			return found[0]
		}
	}
	return nil
}

// removeUnseen drops what is no text for a reader: scripts, forms, hidden boxes.
// Hidden text is the usual place of instructions that are meant for a model.
func removeUnseen(root *html.Node) {
	remove(root, func(n *html.Node) bool {
		if n.Type == html.CommentNode {
			return true
		}
		if n.Type != html.ElementNode {
			return false
		}
		switch n.DataAtom {
		case atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Svg, atom.Iframe, atom.Object, atom.Embed,
			atom.Canvas, atom.Button, atom.Input, atom.Select, atom.Textarea, atom.Dialog, atom.Link, atom.Meta,
			atom.Audio, atom.Video, atom.Head:
			return true
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "hidden", a.Key == "aria-hidden" && a.Val == "true",
				a.Key == "style" && hiddenRE.MatchString(a.Val):
				return true
			}
		}
		return false
	})
}

// removeClutter drops what stands around an article by element, role or name.
func removeClutter(root *html.Node) {
	remove(root, func(n *html.Node) bool {
		if n.Type != html.ElementNode || n == root {
			return false
		}
		switch n.DataAtom {
		case atom.Nav, atom.Aside, atom.Footer, atom.Form:
			return true
		case atom.Header:
			return n.Parent == root && root.DataAtom == atom.Body
		case atom.Time: // the header of the result has the date
			return n.Parent == root
		case atom.Body, atom.Html, atom.Main, atom.Article, atom.Pre, atom.Code, atom.A,
			atom.H1, atom.H2, atom.H3, atom.P, atom.Table, atom.Tbody, atom.Tr, atom.Td:
			return false
		}
		switch attr(n, "role") {
		case "navigation", "banner", "contentinfo", "complementary", "search", "dialog", "alert":
			return true
		}
		names := attr(n, "class") + " " + attr(n, "id")
		if !clutterRE.MatchString(names) {
			return false
		}
		// A wrapper such as "content-with-sidebar" holds the article itself.
		return !(contentRE.MatchString(names) && textLen(n) > 500)
	})
}

func remove(root *html.Node, drop func(*html.Node) bool) {
	for c := root.FirstChild; c != nil; {
		next := c.NextSibling
		if drop(c) {
			root.RemoveChild(c)
		} else {
			remove(c, drop)
		}
		c = next
	}
}

// topCandidate scores the boxes around paragraphs: long text with commas and few
// links speaks for an article.
func topCandidate(body *html.Node) *html.Node {
	scores := map[*html.Node]float64{}
	var order []*html.Node
	add := func(n *html.Node, s float64) {
		if n == nil || n.Type != html.ElementNode {
			return
		}
		if _, ok := scores[n]; !ok {
			order = append(order, n)
			if contentRE.MatchString(attr(n, "class") + " " + attr(n, "id")) {
				s += 25
			}
			switch n.DataAtom {
			case atom.Article, atom.Main:
				s += 30
			case atom.Ul, atom.Ol, atom.Li, atom.Dl, atom.H1, atom.H2, atom.H3, atom.Th:
				s -= 5
			}
		}
		scores[n] += s
	}
	walk(body, func(n *html.Node) bool {
		switch n.DataAtom {
		case atom.P, atom.Pre, atom.Td, atom.Blockquote, atom.Li:
			text := clean(textOf(n))
			if len(text) < 25 {
				return true
			}
			s := 1 + float64(strings.Count(text, ",")) + min(float64(len(text))/100, 3)
			add(n.Parent, s)
			if n.Parent != nil {
				add(n.Parent.Parent, s/2)
			}
		case atom.Div, atom.Section:
			// Pages that use <br> for paragraphs keep their text right in a box.
			if own := ownText(n); len(own) > 200 {
				add(n, 1+float64(strings.Count(own, ","))+min(float64(len(own))/100, 10))
			}
		}
		return true
	})
	var best *html.Node
	top := 0.0
	for _, n := range order {
		if s := scores[n] * (1 - linkDensity(n)); s > top {
			best, top = n, s
		}
	}
	return best
}

// widen goes up to the parent as long as that adds text and few links: an article is
// often cut into sections.
func widen(n *html.Node) *html.Node {
	for p := n.Parent; p != nil && p.Type == html.ElementNode && p.DataAtom != atom.Body && p.DataAtom != atom.Html; p = n.Parent {
		more := textLen(p) - textLen(n)
		if linkDensity(p) > 0.3 || more > 0 && more < textLen(n)/20 && linkDensity(p) > linkDensity(n)+0.05 {
			return n
		}
		n = p
	}
	return n
}

func ownText(n *html.Node) string {
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.TextNode {
			b.WriteString(c.Data + " ")
		}
	}
	return clean(b.String())
}

// textLen counts the characters of n's text, with runs of white space as one. It is
// asked for often and makes no copy.
func textLen(n *html.Node) int {
	count, space := 0, true
	walk(n, func(n *html.Node) bool {
		if n.Type == html.TextNode {
			for _, r := range n.Data {
				if unicode.IsSpace(r) {
					space = true
					continue
				}
				if space && count > 0 {
					count++
				}
				space = false
				count++
			}
		}
		return n.Type != html.ElementNode || n.DataAtom != atom.Script && n.DataAtom != atom.Style && n.DataAtom != atom.Noscript
	})
	return count
}

// linkDensity is the share of n's text that stands in links.
func linkDensity(n *html.Node) float64 {
	all := textLen(n)
	if all == 0 {
		return 1
	}
	links := 0
	walk(n, func(c *html.Node) bool {
		if c.DataAtom == atom.A {
			links += textLen(c)
			return false
		}
		return true
	})
	return float64(links) / float64(all)
}
