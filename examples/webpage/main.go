// Command webpage is a skill that reads web pages: the article as Markdown, or its
// gist. It may send GET requests to the address that the caller names and to nothing
// else, and it keeps nothing.
package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/glovebox-dev/glovebox/abi/guest"
)

type readInput struct {
	URL      string `json:"url" desc:"Address of the page, http or https" format:"uri" example:"https://example.org/article"`
	MaxChars int    `json:"max_chars,omitempty" desc:"Length of the part that is returned" min:"500" max:"200000" default:"20000"`
	Offset   int    `json:"offset,omitempty" desc:"Where the part begins, to read on in a long page" min:"0" default:"0"`
}

type summaryInput struct {
	URL       string `json:"url" desc:"Address of the page, http or https" format:"uri" example:"https://example.org/article"`
	Sentences int    `json:"sentences,omitempty" desc:"How many key sentences to pick" min:"1" max:"15" default:"5"`
}

var skill = guest.New(
	guest.Tool("read", "Open a web page by its URL and return the readable text of the article as Markdown, "+
		"with headings, links, lists, tables and code. Use it to read, open, show, fetch or quote a page or link.", read).
		Titled("Read a web page"),
	guest.Tool("summary", "Summarise a web page by its URL: title, author, date, lead and the most telling sentences of the article. "+
		"Use it to summarise, sum up or get the gist of a page, article or link.", summary).
		Titled("Summarise a web page"),
)

//go:wasmexport list_tools
func listTools() int32 { return skill.ListTools() }

//go:wasmexport call_tool
func callTool() int32 { return skill.CallTool() }

func main() {}

// The collector works harder near this, below the limit of skill.yaml.
var _ = debug.SetMemoryLimit(100 << 20)

const accept = "text/html,application/xhtml+xml,text/plain;q=0.9,text/markdown;q=0.9,application/json;q=0.8,*/*;q=0.1"

// load fetches a page and parses it by its content type.
func load(ctx guest.Context, url string) (*page, error) {
	resp, err := ctx.Get(strings.TrimSpace(url), accept)
	if err != nil {
		return nil, err
	}
	if len(resp.Body) == 0 {
		return nil, fmt.Errorf("%s: the page is empty", resp.URL)
	}
	return parsePage(resp.URL, resp.Header("content-type"), resp.Body)
}

func read(ctx guest.Context, in readInput) (guest.Result, error) {
	p, err := load(ctx, in.URL)
	if err != nil {
		return guest.Result{}, err
	}
	if in.MaxChars == 0 {
		in.MaxChars = 20_000
	}
	part, next := window(p.Markdown, in.Offset, in.MaxChars)
	var b strings.Builder
	if in.Offset == 0 {
		b.WriteString(p.header())
	}
	b.WriteString(part)
	if next > 0 {
		fmt.Fprintf(&b, "\n\n(The page goes on: read it with offset %d.)", next)
	}
	return guest.Markdown(strings.TrimSpace(b.String())).With(struct {
		URL    string `json:"url"`
		Title  string `json:"title,omitempty"`
		Byline string `json:"byline,omitempty"`
		Date   string `json:"date,omitempty"`
		Chars  int    `json:"chars"`
		Next   int    `json:"next_offset,omitempty"`
	}{p.URL, p.Title, p.Byline, p.Date, len([]rune(p.Markdown)), next})
}

func summary(ctx guest.Context, in summaryInput) (guest.Result, error) {
	p, err := load(ctx, in.URL)
	if err != nil {
		return guest.Result{}, err
	}
	if in.Sentences == 0 {
		in.Sentences = 5
	}
	return guest.Markdown(p.summarise(in.Sentences)), nil
}

// window returns up to size characters of s from offset, cut at the end of a
// paragraph or line where one is near, and the offset to go on at, 0 at the end.
func window(s string, offset, size int) (part string, next int) {
	r := []rune(s)
	if offset >= len(r) {
		return "(There is nothing after this offset.)", 0
	}
	end := min(offset+size, len(r))
	if end == len(r) {
		return string(r[offset:]), 0
	}
	part = string(r[offset:end])
	for _, sep := range []string{"\n\n", "\n", ". ", " "} {
		if i := strings.LastIndex(part, sep); i > len(part)*2/3 {
			part = part[:i+len(sep)]
			break
		}
	}
	return part, offset + len([]rune(part))
}
