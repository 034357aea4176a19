package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/host/admin"
)

// TestPromotionShowsTheWholeRow: a person sees every character, and only yes is a yes.
func TestPromotionShowsTheWholeRow(t *testing.T) {
	t.Parallel()
	row := admin.MemoryRow{ID: 7, Agent: "main", Kind: "external", Label: "tainted, owner", Origin: "session s\x1b[2J", Text: strings.Repeat("a", 8000) + "\u202e\x1b[2K the end", Digest: "sha256:00"}
	for typed, promoted := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "": false, "yes please\n": false} {
		var shown bytes.Buffer
		a := &app{in: strings.NewReader(typed), out: &bytes.Buffer{}, err: &shown, terminal: true}
		if err := a.confirm(row); (err == nil) != promoted {
			t.Errorf("%q: %v", typed, err)
		}
		text := shown.String()
		if strings.ContainsAny(text, "\x1b\u202e") || !strings.Contains(text, "202e") && !strings.Contains(text, "202E") || !strings.Contains(text, "the end") || strings.Count(text, "a") < 8000 {
			t.Errorf("shown: %.200q … %q", text, text[max(0, len(text)-200):])
		}
	}
	a := &app{in: strings.NewReader("y\n"), out: &bytes.Buffer{}, err: &bytes.Buffer{}}
	if err := a.confirm(row); err == nil {
		t.Error("promoted where nobody can be asked")
	}
}
