// Command feed is a skill that turns a news feed into a digest: RSS 2.0, RSS 1.0,
// Atom and JSON Feed. It may send GET requests to the address that the caller names.
package main

import (
	"fmt"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi/guest"
)

type digestInput struct {
	URL   string `json:"url" desc:"Address of the feed, or of a web page that links to its feed" format:"uri" example:"https://example.org/feed.xml"`
	Limit int    `json:"limit,omitempty" desc:"At most so many entries" min:"1" max:"100" default:"10"`
	Since string `json:"since,omitempty" desc:"Only entries from this day on, such as 2026-03-01, or not older than 24h, 7d or 2w"`
}

var skill = guest.New(
	guest.Tool("digest", "Show the latest entries of an RSS, Atom or JSON feed as a list with titles, dates, links and excerpts. "+
		"Use it for news, headlines, blogs, podcasts, or to see what is new at a site.", digest).Titled("Digest a feed"),
)

//go:wasmexport list_tools
func listTools() int32 { return skill.ListTools() }

//go:wasmexport call_tool
func callTool() int32 { return skill.CallTool() }

func main() {}

// The collector works harder near this, below the limit of skill.yaml.
var _ = debug.SetMemoryLimit(100 << 20)

const accept = "application/rss+xml,application/atom+xml,application/feed+json,application/xml;q=0.9,text/xml;q=0.9,application/json;q=0.8,text/html;q=0.5,*/*;q=0.1"

func digest(ctx guest.Context, in digestInput) (guest.Result, error) {
	since, err := parseSince(in.Since, ctx.Now())
	if err != nil {
		return guest.Result{}, err
	}
	f, err := load(ctx, strings.TrimSpace(in.URL))
	if err != nil {
		return guest.Result{}, err
	}
	entries := slices.Clone(f.Entries)
	if !since.IsZero() {
		entries = slices.DeleteFunc(entries, func(e entry) bool { return e.Date.Before(since) })
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return b.Date.Compare(a.Date) })
	limit := in.Limit
	if limit == 0 {
		limit = 10
	}
	left := max(0, len(entries)-limit)
	entries = entries[:len(entries)-left]
	return guest.Markdown(f.markdown(entries, left, since)).With(map[string]any{"title": f.Title, "url": f.URL, "entries": entries})
}

// load fetches a feed. A web page is searched for the feed that it names, which is
// fetched if it lies on the same origin: another one is not granted by this call.
func load(ctx guest.Context, address string) (*feed, error) {
	resp, err := ctx.Get(address, accept)
	if err != nil {
		return nil, err
	}
	f, err := parse(resp.URL, resp.Header("content-type"), resp.Body)
	if err == nil {
		return f, nil
	}
	found := discover(resp.URL, resp.Body)
	if found == "" {
		return nil, err
	}
	if !sameOrigin(found, resp.URL) {
		return nil, fmt.Errorf("%s is a web page; its feed is at %s: ask for that address", resp.URL, found)
	}
	if resp, err = ctx.Get(found, accept); err != nil {
		return nil, err
	}
	return parse(resp.URL, resp.Header("content-type"), resp.Body)
}

func sameOrigin(a, b string) bool {
	x, err1 := url.Parse(a)
	y, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && x.Scheme == y.Scheme && strings.EqualFold(x.Host, y.Host)
}

// parseSince reads a day, or an age such as 24h, 7d or 2w before now.
func parseSince(s string, now time.Time) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	var n int
	var unit string
	if _, err := fmt.Sscanf(s, "%d%s", &n, &unit); err == nil && n >= 0 && n < 100_000 {
		switch unit {
		case "h":
			return now.Add(-time.Duration(n) * time.Hour), nil
		case "d":
			return now.AddDate(0, 0, -n), nil
		case "w":
			return now.AddDate(0, 0, -7*n), nil
		}
	}
	return time.Time{}, fmt.Errorf("since %q: want a day such as 2026-03-01 or an age such as 24h, 7d or 2w", s)
}

func (f *feed) markdown(entries []entry, left int, since time.Time) string {
	var b strings.Builder
	title := f.Title
	if title == "" {
		title = f.URL
	}
	b.WriteString("# " + title + "\n\n")
	if len(entries) == 0 {
		b.WriteString("No entries")
		if !since.IsZero() {
			b.WriteString(" since " + since.Format(time.DateOnly))
		}
		b.WriteString(".\n")
	}
	for _, e := range entries {
		b.WriteString("- ")
		if !e.Date.IsZero() {
			b.WriteString(e.Date.Format(time.DateOnly) + " ")
		}
		name := e.Title
		if name == "" {
			name = clip(e.Summary, 80)
		}
		if e.Link != "" {
			b.WriteString("[" + brackets.Replace(name) + "](" + e.Link + ")")
		} else {
			b.WriteString("**" + name + "**")
		}
		if e.Author != "" {
			b.WriteString(" — " + e.Author)
		}
		if e.Summary != "" && e.Title != "" {
			b.WriteString("  \n  " + clip(e.Summary, 240))
		}
		b.WriteString("\n")
	}
	if left > 0 {
		fmt.Fprintf(&b, "\n(%d more entries: raise limit to see them.)\n", left)
	}
	if f.Damaged != "" {
		fmt.Fprintf(&b, "\n(The feed breaks off: %s.)\n", f.Damaged)
	}
	return strings.TrimSpace(b.String())
}

func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	cut := string(r[:n])
	if i := strings.LastIndexByte(cut, ' '); i > n/2 {
		cut = cut[:i]
	}
	return strings.TrimRight(cut, " ,;:") + "…"
}
