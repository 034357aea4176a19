package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi/guest"
)

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("tests", "fixtures", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func run(t *testing.T, pages map[string]string, in map[string]any) guest.Result {
	t.Helper()
	f := &guest.Fake{Time: time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC), Pages: map[string]guest.FakePage{}}
	for u, body := range pages {
		f.Pages[u] = guest.FakePage{Body: body, Headers: map[string][]string{"content-type": {"application/xml"}}}
	}
	r, err := f.Run(skill, "digest", in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"RSS 2.0", "rss2.xml", `# The Harbour Post – City

- 2026-03-14 [Ferry returns & bus 12 goes](https://news.example/2026/ferry?utm_source=rss&x=1) — Marta Lindqvist  
  The ferry that closed in 1986 will carry passengers again from next spring.
- 2026-03-12 [Storm closes the bridge](https://site.example/2026/storm)  
  Gusts of 38 m/s were measured.
- 2026-03-03 [An entry without a title: the market moves to the old fish hall](https://news.example/2026/untitled)`},
		{"Atom with relative links and XHTML", "atom.xml", `# tinker notes

- 2025-11-02 [Why your Go program leaks goroutines](https://tinker.example/2025/leaks.html) — Kim Okoye  
  A goroutine leaks when it waits.
- 2024-05-01 [Stacks](https://tinker.example/2024/stacks.html)  
  How a stack grows.`},
		{"RSS 1.0", "rdf.xml", `# Old News

- 2026-01-05 [First story](https://old.example/1) — ed  
  Text & more
- 2026-01-04 [Zeroth story](https://old.example/0)`},
		{"JSON Feed", "feed.json", `# Small Things

- 2026-03-02 [Second](https://small.example/2) — Ada  
  Two & more
- 2026-03-01 [A short post without a title](https://else.example/1)`},
		{"RSS 0.91 in Latin-1 with an HTML entity", "latin1.xml", `# Küche é Café

- [Äpfel](https://k.example/1)`},
		{"a feed that breaks off keeps what came before", "broken.xml", `# Cut off

- [Whole & sound](https://b.example/1)
- **Half**

(The feed breaks off: XML syntax error on line 1: unexpected EOF.)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := run(t, map[string]string{"https://site.example/f": fixture(t, c.file)}, map[string]any{"url": "https://site.example/f"})
			if got.String() != c.want {
				t.Errorf("got:\n%s", got)
			}
		})
	}
}

func TestLimitAndSince(t *testing.T) {
	t.Parallel()
	pages := map[string]string{"https://site.example/f": fixture(t, "rss2.xml")}
	for _, c := range []struct {
		name  string
		in    map[string]any
		count int
		want  string
	}{
		{"limit", map[string]any{"limit": 1}, 1, "(2 more entries: raise limit to see them.)"},
		{"since a day", map[string]any{"since": "2026-03-10"}, 2, "Storm"},
		{"since an age", map[string]any{"since": "2d"}, 1, "Ferry"},
		{"nothing since", map[string]any{"since": "1h"}, 0, "No entries since 2026-03-15."},
		{"a wrong since", map[string]any{"since": "yesterday"}, 0, "want a day such as 2026-03-01"},
		{"a limit of nothing", map[string]any{"limit": -1}, 0, "want at least 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.in["url"] = "https://site.example/f"
			got := run(t, pages, c.in).String()
			if strings.Count(got, "\n- ") != c.count || !strings.Contains(got, c.want) {
				t.Errorf("got:\n%s", got)
			}
		})
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	pages := map[string]string{"https://news.example/": fixture(t, "site.html"), "https://news.example/feed/?a=1&b=2": fixture(t, "rss2.xml")}
	if got := run(t, pages, map[string]any{"url": "https://news.example/"}).String(); !strings.HasPrefix(got, "# The Harbour Post – City") {
		t.Errorf("a page that names its feed: %s", got)
	}
	away := map[string]string{"https://a.example/": strings.ReplaceAll(fixture(t, "site.html"), "/feed/", "https://feeds.example/x")}
	if r := run(t, away, map[string]any{"url": "https://a.example/"}); !r.IsError || !strings.Contains(r.String(), "its feed is at https://feeds.example/x") {
		t.Errorf("a feed elsewhere: %s", r)
	}
	if r := run(t, map[string]string{"https://a.example/": "<html><p>no feed</html>"}, map[string]any{"url": "https://a.example/"}); !r.IsError || !strings.Contains(r.String(), "<html>") {
		t.Errorf("a page without a feed: %s", r)
	}
	if r := run(t, nil, map[string]any{"url": "https://a.example/"}); !r.IsError || !strings.HasPrefix(r.String(), "denied: ") {
		t.Errorf("a refusal: %s", r)
	}
}

func TestBombs(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"entity bomb": `<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><rss><channel><title>&b;</title><item><title>x</title></item></channel></rss>`,
		"deep":        strings.Repeat("<a>", 100_000),
		"wide":        "<rss><channel>" + strings.Repeat("<item/>", 300_000),
		"empty":       " ",
		"binary":      "\x00\x01\x02",
		"deep JSON":   `{"version":` + strings.Repeat("[", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, map[string]string{"https://a.example/": body}, map[string]any{"url": "https://a.example/"})
			if len(got.String()) > 10_000 {
				t.Errorf("%d bytes came of it", len(got.String()))
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"rss2.xml", "atom.xml", "rdf.xml", "feed.json", "latin1.xml", "broken.xml", "site.html"} {
		f.Add("text/xml; charset=utf-8", []byte(fixture(f, name)))
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		if got, err := parse("https://a.example/", contentType, body); err == nil {
			got.markdown(got.Entries, 0, time.Time{})
		}
		discover("https://a.example/", body)
	})
}
