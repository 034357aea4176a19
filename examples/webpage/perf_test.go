package main

import (
	"strings"
	"testing"
	"time"
)

// TestBigPages ends within a generous bound on pages of 1 MiB that are shaped to be slow.
func TestBigPages(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	for name, unit := range map[string]string{
		"nested divs":    "<div>word, word ",
		"nested inlines": "<b><i>word ",
		"paragraphs":     "<p>Some words, and some more words, and so on to the end.</p>",
		"links":          "<p><a href=/x>Some words, and some more words</a></p>",
		"tables":         "<table><tr><td>word word word word word word",
		"lists":          "<ul><li>word word word word word word",
		"clutter":        "<div class='content ads'><p>word word word word word",
		"text":           "word. ",
		"one word":       "x",
		"articles":       "<article><p>word word word word word",
		"brackets":       "[[[](",
		"dots":           "A. ",
		"classes":        "<div class='" + strings.Repeat("a-", 200) + "'>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			p, err := parsePage("https://x.example/", "text/html; charset=utf-8", []byte("<html><body>"+strings.Repeat(unit, size/len(unit))))
			if err == nil {
				p.summarise(5)
			}
			if d := time.Since(begin); d > 20*time.Second {
				t.Errorf("took %v", d)
			} else {
				t.Logf("%v %v", d, err)
			}
		})
	}
}

// TestEscapeAllocatesLittle keeps a big page within the guest's memory: there is one
// call for each text on it.
func TestEscapeAllocatesLittle(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { escape("plain words") }); n > 1 {
		t.Errorf("%v allocations for a text without anything to escape", n)
	}
}
