package leaks

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestABuildWithoutRulesSaysSo(t *testing.T) {
	t.Parallel()
	if Available() {
		t.Skip("this build has rules")
	}
	s, text := New(), "ghp"+"_"+strings.Repeat("a1B2", 9)
	if look := s.Find(text); look.Unread != len(text) || look.Hints != nil {
		t.Errorf("%+v, want that nothing was looked at", look)
	}
	if got := s.Hide(text); got != text {
		t.Errorf("altered: %q", got)
	}
	var b bytes.Buffer
	next := slog.NewTextHandler(&b, nil)
	if Handler(next, s) != slog.Handler(next) {
		t.Error("a handler that does nothing")
	}
}

func TestHintsThatOverlapAreOne(t *testing.T) {
	t.Parallel()
	got := merge([]Hint{{"c", 9, 12}, {"b", 2, 6}, {"a", 0, 4}, {"d", 12, 13}})
	want := []Hint{{"a", 0, 6}, {"c", 9, 12}, {"d", 12, 13}}
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("%v, want %v", got, want)
	}
}

// FuzzHide: any text gets hints within its bounds, in order, and keeps what is between.
func FuzzHide(f *testing.F) {
	s := New()
	for _, seed := range []string{"", "a\nb", "token = \"" + strings.Repeat("x7Q", 12) + "\"", "\n\nkey:%41%42", "AKIA" + "Q3EGRIKOXW2SKZ7P\n", "YXBpX2tleSA9ICJh"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		look := s.Find(text)
		at := 0
		for _, h := range look.Hints {
			if h.Rule == "" || h.Start < at || h.End <= h.Start || h.End > len(text)-look.Unread {
				t.Fatalf("%+v in %d bytes", look, len(text))
			}
			at = h.End
		}
		if out := s.Hide(text); len(look.Hints) == 0 && (look.Unread == 0 || !Available()) && out != text {
			t.Fatalf("altered without a hint: %q", out)
		}
	})
}
