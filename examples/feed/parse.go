package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
)

// feed is what the four formats have in common.
type feed struct {
	URL     string
	Title   string
	Entries []entry
	Damaged string // why reading stopped early, if it did
}

type entry struct {
	Title   string    `json:"title"`
	Link    string    `json:"link,omitempty"`
	Date    time.Time `json:"date,omitzero"`
	Author  string    `json:"author,omitempty"`
	Summary string    `json:"summary,omitempty"`
}

// parse reads a feed of any of the four formats.
func parse(address, contentType string, body []byte) (*feed, error) {
	base, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("address of the feed: %w", err)
	}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if len(body) == 0 {
		return nil, fmt.Errorf("%s: the feed is empty", address)
	}
	var f *feed
	if body[0] == '{' {
		f, err = parseJSON(base, body)
	} else {
		_, params, _ := mime.ParseMediaType(contentType) // a broken header names no charset
		f, err = parseXML(base, params["charset"], body)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	f.URL = address
	return f, nil
}

func parseXML(base *url.URL, label string, body []byte) (*feed, error) {
	body, err := toUTF8(body, label)
	if err != nil {
		return nil, err
	}
	root, damage := readTree(body)
	if root == nil {
		return nil, fmt.Errorf("this is neither XML nor JSON: %w", damage)
	}
	f := &feed{}
	switch strings.ToLower(root.name) {
	case "rss", "rdf":
		channel := root.child("channel")
		if channel == nil {
			return nil, fmt.Errorf("an RSS feed without a channel")
		}
		f.Title = channel.plain("title")
		items := channel.children("item")
		items = append(items, root.children("item")...) // RSS 1.0 has them beside the channel
		for _, i := range items {
			f.Entries = append(f.Entries, rssEntry(base, i))
		}
	case "feed":
		f.Title = root.plain("title")
		if b, err := base.Parse(root.attrs["base"]); err == nil {
			base = b
		}
		for _, e := range root.children("entry") {
			f.Entries = append(f.Entries, atomEntry(base, e))
		}
	default:
		return nil, fmt.Errorf("this is no feed but a document of type <%s>", root.name)
	}
	if damage != nil {
		f.Damaged = damage.Error()
		if len(f.Entries) == 0 {
			return nil, damage
		}
	}
	return f, nil
}

func rssEntry(base *url.URL, n *node) entry {
	e := entry{
		Title:   n.plain("title"),
		Link:    resolve(base, n.text("link")),
		Date:    parseDate(firstOf(n.text("pubDate"), n.text("date"), n.text("published"), n.text("updated"))),
		Author:  firstOf(n.plain("creator"), n.plain("author")),
		Summary: firstOf(n.plain("description"), n.plain("summary"), n.plain("encoded")),
	}
	if guid := n.child("guid"); e.Link == "" && guid != nil && guid.attrs["isPermaLink"] != "false" {
		e.Link = resolve(base, guid.content())
	}
	if e.Link == "" {
		for _, l := range n.children("link") { // atom:link inside RSS
			e.Link = firstOf(e.Link, resolve(base, l.attrs["href"]))
		}
	}
	if e.Link == "" {
		if enc := n.child("enclosure"); enc != nil {
			e.Link = resolve(base, enc.attrs["url"])
		}
	}
	return e
}

func atomEntry(base *url.URL, n *node) entry {
	e := entry{
		Title:   n.plain("title"),
		Date:    parseDate(firstOf(n.text("published"), n.text("updated"), n.text("issued"), n.text("modified"))),
		Summary: firstOf(n.plain("summary"), n.plain("content")),
	}
	if a := n.child("author"); a != nil {
		e.Author = a.plain("name")
	}
	if b, err := base.Parse(n.attrs["base"]); err == nil {
		base = b
	}
	for _, l := range n.children("link") {
		if rel := l.attrs["rel"]; rel == "" || rel == "alternate" {
			e.Link = resolve(base, l.attrs["href"])
			break
		}
	}
	if g := n.child("group"); e.Summary == "" && g != nil { // media:group of video sites
		e.Summary = g.plain("description")
	}
	return e
}

// parseJSON reads a JSON Feed, versions 1 and 1.1.
func parseJSON(base *url.URL, body []byte) (*feed, error) {
	type author struct{ Name string }
	var j struct {
		Version, Title string
		Items          []struct {
			ID        json.RawMessage
			URL       string
			External  string `json:"external_url"`
			Title     string
			Summary   string
			Text      string `json:"content_text"`
			HTML      string `json:"content_html"`
			Published string `json:"date_published"`
			Modified  string `json:"date_modified"`
			Author    author
			Authors   []author
		}
	}
	if err := json.Unmarshal(body, &j); err != nil {
		return nil, fmt.Errorf("read the JSON feed: %w", err)
	}
	if !strings.Contains(j.Version, "jsonfeed.org/version") {
		return nil, fmt.Errorf("this is JSON and no feed: it has no jsonfeed.org version")
	}
	f := &feed{Title: clean(j.Title)}
	for _, i := range j.Items {
		e := entry{
			Title: clean(i.Title), Link: resolve(base, firstOf(i.URL, i.External)),
			Date: parseDate(firstOf(i.Published, i.Modified)), Author: clean(i.Author.Name),
			Summary: firstOf(clean(i.Summary), clean(i.Text), stripHTML(i.HTML)),
		}
		if len(i.Authors) > 0 {
			e.Author = clean(i.Authors[0].Name)
		}
		f.Entries = append(f.Entries, e)
	}
	return f, nil
}

var encodingRE = regexp.MustCompile(`^<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._:-]+)["']`)

// toUTF8 decodes by byte order mark, declaration or header, in this order.
func toUTF8(body []byte, label string) ([]byte, error) {
	if m := encodingRE.FindSubmatch(body[:min(len(body), 200)]); m != nil {
		label = string(m[1])
	}
	if bytes.HasPrefix(body, []byte("\xff\xfe")) || bytes.HasPrefix(body, []byte("\xfe\xff")) {
		label = "utf-16"
	}
	if label == "" || strings.EqualFold(label, "utf-8") || strings.EqualFold(label, "utf8") {
		return bytes.ToValidUTF8(body, []byte("\ufffd")), nil
	}
	r, err := charset.NewReaderLabel(label, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("encoding %q is not known", label)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("decode from %s: %w", label, err)
	}
	return out, nil
}

// Replacers hold tables: one for all entries.
var (
	urlEscapes = strings.NewReplacer("(", "%28", ")", "%29", " ", "%20")
	brackets   = strings.NewReplacer("[", "(", "]", ")")
)

func resolve(base *url.URL, href string) string {
	href = strings.TrimSpace(href)
	if href == "" {
		return ""
	}
	u, err := base.Parse(href)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return urlEscapes.Replace(u.String())
}

// stripHTML returns the text of a piece of HTML.
func stripHTML(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return clean(s)
	}
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(s))
	skip := 0
	for {
		switch z.Next() {
		case html.ErrorToken:
			return clean(b.String())
		case html.TextToken:
			if skip == 0 {
				b.Write(z.Text())
			}
		case html.StartTagToken:
			name, _ := z.TagName()
			if string(name) == "script" || string(name) == "style" {
				skip++
			}
			if !inline(string(name)) {
				b.WriteByte(' ')
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if skip > 0 && (string(name) == "script" || string(name) == "style") {
				skip--
			}
			if !inline(string(name)) {
				b.WriteByte(' ')
			}
		case html.SelfClosingTagToken:
			b.WriteByte(' ')
		case html.CommentToken, html.DoctypeToken:
		}
	}
}

// clean joins white space and drops characters that show nothing.
func clean(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)), " ")
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

var (
	linkRE = regexp.MustCompile(`(?is)<link\b[^>]*>`)
	attrRE = regexp.MustCompile(`(?is)\b(rel|type|href)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))`)
)

// discover finds the feed that a web page names in its head.
func discover(address string, page []byte) string {
	base, err := url.Parse(address)
	if err != nil {
		return ""
	}
	for _, tag := range linkRE.FindAll(page[:min(len(page), 200_000)], 200) {
		a := map[string]string{}
		for _, m := range attrRE.FindAllSubmatch(tag, -1) {
			a[strings.ToLower(string(m[1]))] = html.UnescapeString(firstOf(string(m[2]), string(m[3]), string(m[4])))
		}
		kind := strings.ToLower(a["type"])
		if strings.Contains(strings.ToLower(a["rel"]), "alternate") && (strings.Contains(kind, "rss") || strings.Contains(kind, "atom") || strings.Contains(kind, "feed+json")) {
			if u := resolve(base, a["href"]); u != "" {
				return u
			}
		}
	}
	return ""
}
