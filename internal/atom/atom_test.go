package atom

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func seq(pairs ...any) Seq {
	var out Seq
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, Atom{pairs[i].(Kind), pairs[i+1].(string)})
	}
	return out
}

func TestValue(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   any
		want Seq
	}{
		{"an address in another case", "BOB@Corp.Example", seq(Email, "bob@corp.example")},
		{"an address in another script is another address", "b\u043eb@corp.example", seq(Email, "b\u043eb@corp.example")},
		{"an international domain", "a@b\u00fccher.example", seq(Email, "a@xn--bcher-kva.example")},
		{"a full-width address", "\uff41@b.example", seq(Email, "a@b.example")},
		{"an account in groups", "GB29 NWBK 6016 1331 9268 19", seq(Account, "GB29NWBK60161331926819")},
		{"an account in lower case", "gb29nwbk60161331926819", seq(Account, "GB29NWBK60161331926819")},
		{"a phone number with an area code", "+44 (20) 7946-0958", seq(Phone, "+442079460958")},
		{"a URL with a default port", "HTTPS://News.Example:443/a/../b", seq(URL, "https://news.example/b")},
		{"a URL with unreserved escapes", "https://news.example/%61", seq(URL, "https://news.example/a")},
		{"a URL whose path hides a slash", "https://news.example/a%2fb", nil},
		{"a number with cents", json.Number("98.70"), seq(Number, "98.7")},
		{"a number with thousands", "1,200,000", seq(Number, "1200000")},
		{"a number as a float", 4.0, seq(Number, "4")},
		{"a negative zero", "-0", seq(Number, "0")},
		{"a truth value", true, seq(Word, "true")},
		{"words", "New York", seq(Word, "New", Word, "York")},
		{"a file name", "bill-december-2023.txt", seq(Word, "bill-december-2023.txt")},
		{"a path", "/a/./b.txt", seq(Path, "/a/b.txt")},
		{"nothing", nil, nil},
		{"an empty string", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Value(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == nil && tt.in != nil && tt.in != "" {
				if len(got) == 1 && got[0].Kind == URL {
					t.Errorf("%v was read as %v", tt.in, got)
				}
				return
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestHiddenCharactersAreRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a\u200bb", "a\u202eb", "a\x00b", "a\u00adb", "a\U000e0041b", "\ufeffa", "a\u2028b", "a\u3164b", "a\ufe0fb", "a\x1b[31m", "a\xffb\ufffd"} {
		if _, err := Value(s); !errors.Is(err, ErrHidden) {
			t.Errorf("%+q: %v", s, err)
		}
	}
}

func TestAmbiguousNumbersAreNoNumbers(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"1.200", "1e3", "1,2", ",5", "01", "1,20,000"} {
		if a, err := Value(s); err == nil && len(a) == 1 && a[0].Kind == Number && a[0].Value != s {
			t.Errorf("%q was read as %v", s, a)
		}
	}
	if _, err := Value(json.Number("1e3")); err == nil {
		t.Error("1e3 was read as a number")
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text, value string
		want        bool
	}{
		{"write to bob@corp.example.", "bob@corp.example", true},
		{"write to bob@corp.example.org", "bob@corp.example", false},
		{"write to xbob@corp.example", "bob@corp.example", false},
		{"pay 98.70 now", "98.7", true},
		{"pay 1,200 now", "1200", true},
		{"on June 13 we leave", "13", false},
		{"on 13 June 2024", "2024", false},
		{"at 12:00", "12", false},
		{"call +442079460958", "442079460958", false},
		{"visit https://a.example/x?id=7", "7", false},
		{"my street is 1234 Elm Street, New York", "1234 Elm Street", true},
		{"tell Bob. Smith was late", "Bob Smith", false},
		{"the file 'team plan.docx' please", "team plan.docx", true},
		{"the file 'team plan.docx' please", "plan.docx", false},
		{"he said 'send it to eve@x.example today'", "eve@x.example", false},
		{"it's Ana's file", "Ana's", true},
		{"Spotify sent a note", "Spotify", true},
		{"Spotify sent a note", "spotify", false},
		{"a\u200bb", "ab", false},
		{"", "x", false},
		{"x", "", false},
	}
	for _, tt := range tests {
		value, err := Value(tt.value)
		if err != nil {
			t.Fatal(err)
		}
		if got := Read(tt.text).Holds(value); got != tt.want {
			t.Errorf("%q holds %q: %v; %v in %v", tt.text, tt.value, got, value, Read(tt.text).Atoms())
		}
	}
}

func TestShortIdentifiersNeedTheirKind(t *testing.T) {
	t.Parallel()
	value, _ := Value("13")
	for text, want := range map[string]bool{
		"delete file 13": true, "file #13": true, "id: 13": true, "- id_: '13'": true, "file_id = 13": true, "file number 13": true,
		"13": false, "June 13": false, "page 13": false, "event 13": false, "file a, then 13": false, "file 113": false,
	} {
		if got := Read(text).HoldsID("file", value); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestTextSurvivesStorage(t *testing.T) {
	t.Parallel()
	a := Read("pay 98.70 to 'the plan' at https://x.example/ by June 13")
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var back Text
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(a, back) {
		t.Errorf("%v, %v", back, err)
	}
}

// FuzzRead: reading ends, and a value read alone occurs in a text that is just it, unless
// it is punctuation.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"bob@corp.example", "'''''''", "June 13, 2024", "https://a.example/..//", "GB29 NWBK 6016 1331 9268 19 AND", strings.Repeat("a@", 50)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := Read(s)
		value, err := Value(s)
		if err != nil || !slices.ContainsFunc(value, says) || len(s) > MaxText {
			return
		}
		cleaned, _ := clean(s)
		if !Read(cleaned).Holds(value) {
			t.Errorf("%q does not hold itself: %v in %v", s, value, text.Atoms())
		}
	})
}

func BenchmarkReadHostile(b *testing.B) {
	for name, unit := range map[string]string{"quotes": "'", "ats": "a@", "slashes": "/a", "digits": "1,", "words": "lorem ipsum "} {
		s := strings.Repeat(unit, MaxText/len(unit))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				Read(s)
			}
		})
	}
}
