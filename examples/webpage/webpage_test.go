package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi/guest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func fixture(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("tests", "fixtures", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func host(t *testing.T, name, contentType string) *guest.Fake {
	t.Helper()
	return &guest.Fake{Pages: map[string]guest.FakePage{
		"https://site.example/a/page.html": {Body: fixture(t, name), Headers: map[string][]string{"content-type": {contentType}}},
	}}
}

func run(t *testing.T, f *guest.Fake, tool string, in any) string {
	t.Helper()
	r, err := f.Run(skill, tool, in)
	if err != nil {
		t.Fatal(err)
	}
	return r.String()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, contentType string }{
		{"a news page with banners, ads, comments and hidden instructions", "news.html", "text/html"},
		{"a blog post without closing tags", "blog.html", "text/html; charset=utf-8"},
		{"an encyclopaedia article", "wiki.html", "text/html; charset=UTF-8"},
		{"a page of 1999 in a layout table, Latin-1", "latin1.html", "text/html"},
		{"a Japanese page in Shift JIS by Content-Type", "sjis.html", "text/html; charset=Shift_JIS"},
		{"generated documentation", "docs.html", "text/html"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, tool := range []string{"read", "summary"} {
				got := run(t, host(t, c.file, c.contentType), tool, map[string]any{"url": "https://site.example/a/page.html"}) + "\n"
				golden := filepath.Join("testdata", strings.TrimSuffix(c.file, ".html")+"."+tool+".md")
				if *update {
					if err := os.MkdirAll("testdata", 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("%s differs from %s (run with -update and look):\n%s", tool, golden, got)
				}
			}
		})
	}
}

func TestHiddenTextIsNotRead(t *testing.T) {
	t.Parallel()
	for _, hidden := range []string{
		`<p style="display: none">SECRETWORD</p>`, `<p hidden>SECRETWORD</p>`, `<span aria-hidden="true">SECRETWORD</span>`,
		`<div style="visibility:hidden">SECRETWORD</div>`, `<span style="font-size:0px">SECRETWORD</span>`, `<!-- SECRETWORD -->`,
		`<template>SECRETWORD</template>`, `<noscript>SECRETWORD</noscript>`, `<p>a` + "\U000E0053\U000E0045\U000E0043" + `b</p>`,
	} {
		text := "<html><body><p>" + strings.Repeat("Plain words, seen by all. ", 10) + "</p>" + hidden + "</body></html>"
		f := &guest.Fake{Pages: map[string]guest.FakePage{"https://x.example/": {Body: text, Headers: map[string][]string{"content-type": {"text/html; charset=utf-8"}}}}}
		got := run(t, f, "read", map[string]any{"url": "https://x.example/"})
		if strings.Contains(got, "SECRETWORD") || strings.Contains(got, "\U000E0053") {
			t.Errorf("%s came through:\n%s", hidden, got)
		}
	}
}

func TestOtherContent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, contentType, body, want string }{
		{"JSON is indented", "application/json", `{"a":[1]}`, "```json\n{\n  \"a\": [\n    1\n  ]\n}\n```"},
		{"plain text is kept", "text/plain", "one\r\n\r\n\r\n\r\ntwo\n", "one\n\ntwo"},
		{"a PDF is refused by name", "application/pdf", "%PDF-1.7", "application/pdf: this skill reads HTML, text and JSON"},
		{"an unknown encoding is named", "text/plain; charset=klingon", "x", `encoding "klingon" is not known`},
		{"an empty page is said to be empty", "text/html", "", "the page is empty"},
		{"a page drawn by a script says so", "text/html", "<html><body><div id=root></div><script>x()</script></body></html>", "may be drawn by a script"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &guest.Fake{Pages: map[string]guest.FakePage{"https://x.example/f": {Body: c.body, Headers: map[string][]string{"content-type": {c.contentType}}}}}
			if got := run(t, f, "read", map[string]any{"url": "https://x.example/f"}); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestReadOnFromOffset(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	body.WriteString("<html><body><article>")
	for i := range 60 {
		body.WriteString("<p>Paragraph number " + strings.Repeat("x", i%7) + " has some words in it.</p>")
	}
	body.WriteString("</article></body></html>")
	f := &guest.Fake{Pages: map[string]guest.FakePage{"https://x.example/": {Body: body.String(), Headers: map[string][]string{"content-type": {"text/html"}}}}}
	whole := run(t, f, "read", map[string]any{"url": "https://x.example/"})
	first := run(t, f, "read", map[string]any{"url": "https://x.example/", "max_chars": 700})
	i := strings.Index(first, "\n\n(The page goes on: read it with offset ")
	if i < 0 {
		t.Fatalf("no offset in %q", first)
	}
	if !strings.HasPrefix(whole, strings.TrimSpace(first[:i])) {
		t.Errorf("the first part is not the beginning of the whole:\n%s", first)
	}
	if got := run(t, f, "read", map[string]any{"url": "https://x.example/", "offset": 1 << 20}); !strings.Contains(got, "nothing after") {
		t.Errorf("past the end: %q", got)
	}
}

func TestDeniedAndFailed(t *testing.T) {
	t.Parallel()
	f := &guest.Fake{Pages: map[string]guest.FakePage{"https://x.example/gone": {Status: 404, Body: "no"}}}
	r, err := f.Run(skill, "read", map[string]any{"url": "https://other.example/"})
	if err != nil || !r.IsError || !strings.Contains(r.String(), "denied") || !strings.Contains(string(r.Structured), `"code":"denied"`) {
		t.Errorf("a refusal became %+v, %v", r, err)
	}
	r, err = f.Run(skill, "summary", map[string]any{"url": "https://x.example/gone"})
	if err != nil || !r.IsError || !strings.Contains(r.String(), "status 404") {
		t.Errorf("a 404 became %+v, %v", r, err)
	}
}

func FuzzPage(f *testing.F) {
	for _, name := range []string{"news.html", "blog.html", "wiki.html", "latin1.html", "docs.html"} {
		b, err := os.ReadFile(filepath.Join("tests", "fixtures", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add("text/html", b)
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		if p, err := parsePage("https://x.example/", contentType, body); err == nil {
			_ = p.summarise(5)
		}
	})
}
