package wasm

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"plain text stays", "hei på deg", "hei på deg"},
		{"a newline cannot start a line of its own", "a\nERROR b\r\tc", `a\nERROR b\r\tc`},
		{"terminal escapes", "\x1b[2J\x1b]0;x\x07\u009b1m", `\x1b[2J\x1b]0;x\x07\x9b1m`},
		{"bidirectional overrides", "a\u202eb\u2066c", `a\u202eb\u2066c`},
		{"invisible characters", "a\u200b\ufeff\U000e0041b", `a\u200b\ufeff\U000e0041b`},
		{"bytes that are no UTF-8", "a\xff\xfeb", "a\uFFFD\uFFFDb"},
		{"exactly as long as allowed", strings.Repeat("a", 40), strings.Repeat("a", 40)},
		{"one longer", strings.Repeat("a", 41), strings.Repeat("a", 37) + "…"},
	} {
		if got := oneLine(tc.in, 40); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	if got := prose("a\n\tb\x1b", 40); got != "a\n\tb\\x1b" {
		t.Errorf("prose %q", got)
	}
	if got := result("a\n\x1b[31mb\u202ec\xff 👩\u200d🔬"); got != "a\n[31mbc\uFFFD 👩\u200d🔬" {
		t.Errorf("result %q", got)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\n\x1b\u202e\xff", 5)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n %= 1 << 12
		got := oneLine(s, n)
		if len(got) > max(n, 0) || !utf8.ValidString(got) || strings.IndexFunc(got, hidden) >= 0 {
			t.Fatalf("%q", got)
		}
		if r := result(s); !utf8.ValidString(r) {
			t.Fatalf("%q", r)
		}
	})
}
