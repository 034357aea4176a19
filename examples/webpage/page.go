package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
)

// page is what was found at an address.
type page struct {
	URL      string
	Title    string
	Byline   string
	Date     string // as the page gives it, often RFC 3339
	Site     string
	Lead     string // the page's own description
	Markdown string // of the article
}

// parsePage turns a response into a page by its content type.
func parsePage(address, contentType string, body []byte) (*page, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		media, params = "", nil
	}
	base, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("address of the page: %w", err)
	}
	p := &page{URL: address, Site: base.Host}
	switch {
	case media == "text/html", media == "application/xhtml+xml", media == "" && looksLikeHTML(body):
		return p, p.parseHTML(base, contentType, body)
	case media == "application/json", strings.HasSuffix(media, "+json"):
		var out bytes.Buffer
		if err := json.Indent(&out, body, "", "  "); err != nil {
			return nil, fmt.Errorf("%s: says it is JSON and is not: %w", address, err)
		}
		p.Markdown = "```json\n" + out.String() + "\n```"
	case media == "", strings.HasPrefix(media, "text/"), strings.HasSuffix(media, "+xml"), media == "application/xml":
		text, err := decode(body, params["charset"])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", address, err)
		}
		p.Markdown = tidy(text)
	default:
		return nil, fmt.Errorf("%s is of type %s: this skill reads HTML, text and JSON", address, media)
	}
	return p, nil
}

func looksLikeHTML(body []byte) bool {
	head := bytes.ToLower(body[:min(len(body), 1024)])
	return bytes.Contains(head, []byte("<html")) || bytes.Contains(head, []byte("<!doctype html")) || bytes.Contains(head, []byte("<body"))
}

// decode turns text of a named or unnamed encoding into UTF-8.
func decode(body []byte, label string) (string, error) {
	if label == "" && utf8.Valid(body) {
		return strings.TrimPrefix(string(body), "\ufeff"), nil
	}
	if label == "" {
		label = "windows-1252"
	}
	r, err := charset.NewReaderLabel(label, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("encoding %q is not known", label)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return "", fmt.Errorf("decode from %s: %w", label, err)
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return "", fmt.Errorf("this is not text")
	}
	return strings.TrimPrefix(strings.ToValidUTF8(string(b), "\ufffd"), "\ufeff"), nil
}

// parseHTML fills p from a document. The encoding is found as browsers do: byte
// order mark, Content-Type, meta tag, content.
func (p *page) parseHTML(base *url.URL, contentType string, body []byte) error {
	r, err := charset.NewReader(bytes.NewReader(body), contentType)
	if err != nil {
		return fmt.Errorf("%s: find the encoding: %w", p.URL, err)
	}
	doc, err := html.Parse(r)
	if err != nil {
		return fmt.Errorf("%s: parse the page: %w", p.URL, err)
	}
	if b := first(doc, func(n *html.Node) bool { return n.DataAtom == atom.Base && attr(n, "href") != "" }); b != nil {
		if u, err := base.Parse(attr(b, "href")); err == nil {
			base = u
		}
	}
	p.readMeta(doc)
	article := extract(doc)
	p.Markdown = render(article, base, p.Title)
	if strings.TrimSpace(p.Markdown) == "" {
		p.Markdown = p.Lead
	}
	if p.Markdown == "" {
		return fmt.Errorf("%s holds no readable text: it may be drawn by a script", p.URL)
	}
	return nil
}

// readMeta reads title, byline, date and description from the head and the usual
// places in the body.
func (p *page) readMeta(doc *html.Node) {
	meta := map[string]string{}
	var title string
	walk(doc, func(n *html.Node) bool {
		switch n.DataAtom {
		case atom.Meta:
			for _, key := range []string{"property", "name", "itemprop"} {
				if k := strings.ToLower(attr(n, key)); k != "" && meta[k] == "" {
					meta[k] = clean(attr(n, "content"))
				}
			}
		case atom.Title:
			if title == "" && n.Parent != nil && n.Parent.DataAtom == atom.Head {
				title = clean(textOf(n))
			}
		case atom.Svg, atom.Script, atom.Style:
			return false
		}
		return true
	})
	headline := ""
	if h := first(doc, func(n *html.Node) bool { return n.DataAtom == atom.H1 && clean(textOf(n)) != "" }); h != nil {
		headline = clean(textOf(h))
	}
	p.Title = firstOf(meta["og:title"], meta["twitter:title"], bestTitle(title, headline))
	p.Lead = firstOf(meta["og:description"], meta["description"], meta["twitter:description"])
	p.Site = firstOf(meta["og:site_name"], p.Site)
	p.Byline = firstOf(notURL(meta["author"]), notURL(meta["article:author"]), meta["dc.creator"], byline(doc))
	p.Date = firstOf(meta["article:published_time"], meta["datepublished"], meta["date"], meta["dc.date"], published(doc))
}

// bestTitle strips the site's name from a document title if the headline shows which
// part is the title.
func bestTitle(title, headline string) string {
	headline = strings.TrimRight(headline, "¶#§ ")
	if headline != "" && (title == "" || strings.Contains(title, headline)) {
		return headline
	}
	return firstOf(title, headline)
}

func byline(doc *html.Node) string {
	n := first(doc, func(n *html.Node) bool {
		if n.Type != html.ElementNode {
			return false
		}
		names := strings.ToLower(attr(n, "class") + " " + attr(n, "id"))
		return attr(n, "rel") == "author" || attr(n, "itemprop") == "author" || strings.Contains(names, "byline")
	})
	if n == nil {
		return ""
	}
	s := clean(textOf(n))
	if len(s) > 3 && strings.EqualFold(s[:3], "by ") {
		s = s[3:]
	}
	if len(s) > 100 {
		return ""
	}
	return s
}

func published(doc *html.Node) string {
	n := first(doc, func(n *html.Node) bool { return n.DataAtom == atom.Time && attr(n, "datetime") != "" })
	if n == nil {
		return ""
	}
	return clean(attr(n, "datetime"))
}

func notURL(s string) string {
	if strings.Contains(s, "://") {
		return ""
	}
	return s
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

// header is the head of the Markdown: title, origin line.
func (p *page) header() string {
	var b strings.Builder
	if p.Title != "" {
		b.WriteString("# " + p.Title + "\n\n")
	}
	b.WriteString(p.origin() + "\n\n")
	return b.String()
}

func (p *page) origin() string {
	var parts []string
	if p.Byline != "" {
		parts = append(parts, "by "+p.Byline)
	}
	if p.Date != "" {
		day, _, _ := strings.Cut(p.Date, "T")
		parts = append(parts, day)
	}
	parts = append(parts, p.Site)
	return strings.Join(parts, " · ") + "  \n<" + p.URL + ">"
}
