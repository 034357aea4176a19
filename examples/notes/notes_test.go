package main

import (
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi/guest"
)

func at(day int) time.Time { return time.Date(2026, 3, day, 9, 30, 0, 0, time.UTC) }

func run(t *testing.T, f *guest.Fake, tool string, in any) guest.Result {
	t.Helper()
	r, err := f.Run(skill, tool, in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNotes(t *testing.T) {
	t.Parallel()
	f := &guest.Fake{Time: at(1)}
	if got := run(t, f, "list", nil).String(); got != "There are no notes yet." {
		t.Errorf("an empty folder: %q", got)
	}
	if got := run(t, f, "add", map[string]any{"text": "Milk, eggs\nand flour", "title": "Shopping für Bärbel", "tags": []string{"#Home", "food"}}).String(); got != `Noted as "Shopping für Bärbel" (shopping-fuer-baerbel).` {
		t.Errorf("add: %q", got)
	}
	want := "---\ntitle: Shopping für Bärbel\ncreated: 2026-03-01T09:30:00Z\ntags: home, food\n---\n\nMilk, eggs\nand flour\n"
	if got := f.Files["/notes/shopping-fuer-baerbel.md"]; got != want {
		t.Errorf("file: %q", got)
	}
	f.Time = at(2)
	run(t, f, "add", map[string]any{"text": "the same title", "title": "Shopping für Bärbel"})
	if _, ok := f.Files["/notes/shopping-fuer-baerbel-2.md"]; !ok {
		t.Errorf("a second note with one title: %v", f.Files)
	}
	run(t, f, "add", map[string]any{"text": "Call the dentist about Tuesday"})
	f.Files["/notes/by-hand.md"] = "# Written by hand\n\nwith flour in it"
	f.Files["/notes/.hidden.md"] = "x"
	if got := run(t, f, "list", nil).String(); !strings.HasPrefix(got, "- call-the-dentist-about-tuesday — Call the dentist about Tuesday · 2026-03-02\n- shopping-fuer-baerbel-2") || strings.Contains(got, "hidden") {
		t.Errorf("list: %q", got)
	}
	if got := run(t, f, "list", map[string]any{"tag": "food"}).String(); strings.Count(got, "\n") != 0 || !strings.Contains(got, "#home #food") {
		t.Errorf("list by tag: %q", got)
	}
	if got := run(t, f, "search", map[string]any{"query": "FLOUR"}).String(); !strings.Contains(got, "- shopping-fuer-baerbel — ") || !strings.Contains(got, "  > and flour") || !strings.Contains(got, "by-hand") {
		t.Errorf("search: %q", got)
	}
	if got := run(t, f, "read", map[string]any{"name": "dentist"}).String(); !strings.Contains(got, "# Call the dentist about Tuesday\n\n*2026-03-02*") {
		t.Errorf("read by part: %q", got)
	}
	if r := run(t, f, "read", map[string]any{"name": "shopping"}); !r.IsError || !strings.Contains(r.String(), "fits several") {
		t.Errorf("an ambiguous name: %q", r)
	}
	if got := run(t, f, "delete", map[string]any{"name": "by-hand"}).String(); got != "Deleted by-hand." || f.Files["/notes/by-hand.md"] != "" {
		t.Errorf("delete: %q", got)
	}
}

func TestNamesStayInTheFolder(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../outside", "/etc/passwd", "..", ".", "a/b", `a\b`, "", "A b", "x\x00y", "über"} {
		f := &guest.Fake{Files: map[string]string{"/notes/a.md": "x", "/outside.md": "y"}}
		if r := run(t, f, "delete", map[string]any{"name": name}); !r.IsError || len(f.Files) != 2 {
			t.Errorf("delete %q: %q", name, r)
		}
	}
	for _, title := range []string{"../../etc/passwd", "a/../../b", "\x00\u202e.md", "....", "CON"} {
		f := &guest.Fake{}
		run(t, f, "add", map[string]any{"text": "x", "title": title})
		for p := range f.Files {
			rest, ok := strings.CutPrefix(p, "/notes/")
			if !ok || strings.ContainsAny(rest, "/\\\x00") || strings.HasPrefix(rest, ".") {
				t.Errorf("title %q was written to %q", title, p)
			}
		}
	}
}

func TestRefusalsReachTheCaller(t *testing.T) {
	t.Parallel()
	for tool, in := range map[string]any{
		"add": map[string]any{"text": "x"}, "list": nil, "read": map[string]any{"name": "x"},
		"search": map[string]any{"query": "x"}, "delete": map[string]any{"name": "x"},
	} {
		f := &guest.Fake{Deny: map[string]bool{"fs_write": true, "fs_list": true, "fs_read": true, "fs_remove": true}}
		if r := run(t, f, tool, in); !r.IsError || !strings.HasPrefix(r.String(), "denied: ") {
			t.Errorf("%s: %q", tool, r)
		}
	}
}

func FuzzSlug(f *testing.F) {
	f.Add("Über die Brücke")
	f.Add("../../x")
	f.Fuzz(func(t *testing.T, s string) {
		got := slug(s)
		if slug(got) != got {
			t.Errorf("slug(%q) = %q is not its own slug: %q", s, got, slug(got))
		}
		if strings.ContainsAny(got, "/\\.\x00 ") || len([]rune(got)) > 60 {
			t.Errorf("slug(%q) = %q", s, got)
		}
		decode("x", s)
	})
}
