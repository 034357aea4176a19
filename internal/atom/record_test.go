package atom

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A value is called what a field of its record says, or what stands before its brackets.
func TestRecordsNameTheirValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"- email: ana@acme.example\n  name: Ana Diaz\n- email: bob@corp.example\n  name: Bob Roe": {"Ana Diaz = ana@acme.example", "Bob Roe = bob@corp.example"},
		`[{"name":"Ana Diaz","email":"ana@acme.example"},{"email":"bob@corp.example"}]`:           {"Ana Diaz = ana@acme.example"},
		`{"name":"Ana Diaz","boss":{"email":"bob@corp.example"},"email":"ana@acme.example"}`:      {"Ana Diaz = ana@acme.example"},
		"name: Ana Diaz\nemail: ana@acme.example\n\nemail: bob@corp.example":                      {"Ana Diaz = ana@acme.example"},
		"full_name: 'Ana Diaz'\nmail: ana@acme.example, bob@corp.example":                         {"Ana Diaz = ana@acme.example", "Ana Diaz = bob@corp.example"},
		"Ana Diaz <ana@acme.example>, Bob <bob@corp.example>":                                     {"Ana Diaz = ana@acme.example"},
		"manager: Ana Diaz\nemail: bob@corp.example":                                              nil,
		"name: Ana\nemail: ana@acme.example":                                                      nil,
		"Ask Ana Diaz, or write to bob@corp.example":                                              nil,
		"name: Ana Diaz, aged 42\nname: 42\nname:\nage: 42":                                       nil,
	} {
		var got []string
		for name, a := range Read(text).Named(Email) {
			s := ""
			for _, w := range name {
				s += w.Value + " "
			}
			got = append(got, s+"= "+a.Value)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for range Read("Ana Diaz <ana@acme.example>, Bob Roe <bob@corp.example>").Named(Email) {
		break
	}
}

// Somebody is mentioned by a whole name, and by a given name only where it can be no
// other word.
func TestMentions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, name string
		want       bool
	}{
		{"mail Ana Diaz the minutes", "Ana Diaz", true},
		{"Ana Diaz wants the minutes", "Ana Diaz", true},
		{"Invite Ana Diaz.", "Ana Diaz", true},
		{"invite 'Ana Diaz'", "Ana Diaz", true},
		{"mail Ana Diaz Prado", "Ana Diaz", false},
		{"mail to Maria Ana Diaz", "Ana Diaz", false},
		{"mail ana diaz", "Ana Diaz", false},
		{"Ana and Diaz", "Ana Diaz", false},
		{"the trip with Mark, please", "Mark", true},
		{"the trip with Mark", "Mark", true},
		{"Mark all as read", "Mark", false},
		{"Done. Mark it", "Mark", false},
		{"Tell Mark", "Mark", false},
		{"the trip with Mark Roe", "Mark", false},
		{"a mark of it", "Mark", false},
		{"say it", "it now", false},
	} {
		if got := Read(tt.text).Mentions(read(tt.name)); got != tt.want {
			t.Errorf("%q mentions %q: %v", tt.text, tt.name, got)
		}
	}
	if !read("Ana Diaz Prado").Contains(read("Diaz Prado")) || read("Ana").Contains(read("Ana Diaz")) {
		t.Error("a part of a name is not found, or a whole one in its part")
	}
}

// FuzzNamed: reading the records of hostile text ends, and yields phrases only.
func FuzzNamed(f *testing.F) {
	for _, s := range []string{"- name: A B\n  email: a@b.example", `{"name":"A B","e":"a@b.example"}`, "A B <a@b.example>", "}}}{{{ a@b.example", "name: 'A B'\na@b.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, a := range Read(s).Named(Email) {
			if len(name) < 2 || a.Kind != Email {
				t.Errorf("%v is called %v", a, name)
			}
			Read(s).Mentions(name)
		}
	})
}

// Contains is what looking at each position says, whatever repeats.
func TestContainsAtEachPosition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		atoms := rapid.SampledFrom([]Atom{{Word, "a"}, {Word, "b"}})
		s, part := Seq(rapid.SliceOfN(atoms, 0, 40).Draw(t, "s")), Seq(rapid.SliceOfN(atoms, 0, 9).Draw(t, "part"))
		want := false
		for i := range len(s) - len(part) + 1 {
			want = want || slices.Equal(s[i:i+len(part)], part)
		}
		if s.Contains(part) != want {
			t.Fatalf("%v in %v: %v", part, s, !want)
		}
	})
}

// A long value is found as a short one is.
func TestLongValuesAreHeld(t *testing.T) {
	t.Parallel()
	words := strings.Repeat("a b ", maxRecord)
	for value, want := range map[string]bool{words + "c": true, words + "d": false, "c " + words: false} {
		seq, err := Value(value)
		if err != nil || Read(words+words+"c").Holds(seq) != want {
			t.Errorf("%.20q…: %v, %v", value, !want, err)
		}
	}
}
