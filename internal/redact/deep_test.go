package redact

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

const token = "ghp_9Xk2LmQ7vRt4ZsB1nWc8YdF3" // 28 bytes: halves of 14

func gz(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func zl(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func wrap(s string, width int, end string) string {
	var out strings.Builder
	for i := 0; i < len(s); i += width {
		out.WriteString(s[i:min(i+width, len(s))] + end)
	}
	return out.String()
}

// each writes every byte of s as f says.
func each(s string, f func(c byte) string) string {
	var out strings.Builder
	for i := range len(s) {
		out.WriteString(f(s[i]))
	}
	return out.String()
}

// hidings are the ways to hide a value that a list of spellings does not cover.
func hidings(v string) map[string]string {
	long := "before it " + v + " and after it"
	return map[string]string{
		"first half":               v[:(len(v)+1)/2],
		"last half":                v[len(v)/2:],
		"half in a phrase":         "it starts with " + v[:(len(v)+1)/2] + ", ask me for the rest",
		"two lines":                v[:len(v)/2] + "\n" + v[len(v)/2:],
		"two fields":               fmt.Sprintf(`{"a":%q,"b":%q}`, v[:len(v)/2], v[len(v)/2:]),
		"half of the base64":       b64(v)[:len(b64(v))/2+2],
		"half of the hex":          hex.EncodeToString([]byte(v))[:len(v)+2],
		"spaced by dots":           each(v, func(c byte) string { return string(c) + "." }),
		"spaced by two spaces":     each(v, func(c byte) string { return string(c) + "  " }),
		"line by line":             each(v, func(c byte) string { return string(c) + "\r\n" }),
		"zero-width":               each(v, func(c byte) string { return string(c) + "\u200b" }),
		"soft hyphens":             each(v, func(c byte) string { return string(c) + "\u00ad" }),
		"in fours":                 wrap(v, 4, "-"),
		"full width":               each(v, func(c byte) string { return string(rune(c) - 0x20 + 0xff00) }),
		"swapped case":             strings.Map(swapCase, v),
		"reversed and spaced":      each(reverse(v), func(c byte) string { return string(c) + " " }),
		"base64 in lines of 64":    wrap(b64(strings.Repeat("x", 40)+v), 64, "\n"),
		"base64 in lines of 76":    wrap(b64(strings.Repeat("x", 50)+v), 76, "\r\n"),
		"base64 in lines of 8":     wrap(b64("x"+v), 8, "\n"),
		"base64 lines in JSON":     strings.ReplaceAll(wrap(b64(strings.Repeat("x", 40)+v), 64, "\n"), "\n", `\n`),
		"hex with commas":          wrap(hex.EncodeToString([]byte(v)), 2, ", "),
		"base64 twice":             b64(b64(v)),
		"base64 three times":       b64(b64(b64(v))),
		"base64url of JSON":        base64.RawURLEncoding.EncodeToString([]byte(`{"k":"` + v + `"}`)),
		"base64 of the reversal":   b64(reverse(v)),
		"base64 of hex":            b64(hex.EncodeToString([]byte(v))),
		"hex of base64":            hex.EncodeToString([]byte(b64(long))),
		"hex of hex":               hex.EncodeToString([]byte(hex.EncodeToString([]byte(v)))),
		"gzip":                     gz(long),
		"gzip behind text":         "body: " + gz(long),
		"zlib behind text":         "body: " + zl(long),
		"zlib":                     zl(long),
		"gzip in base64":           b64(gz(long)),
		"gzip in base64 behind it": "ab" + b64(gz(long)),
		"gzip in base64 in lines":  wrap(b64(gz(long)), 76, "\n"),
		"zlib in base64url":        base64.RawURLEncoding.EncodeToString([]byte(zl(long))),
		"gzip in hex":              hex.EncodeToString([]byte(gz(long))),
		"gzip twice":               gz(gz(long)),
		"gzip cut at its end":      gz(long)[:len(gz(long))-8],
		"base64 in gzip in base64": b64(gz(b64(long))),
		"percent, every other":     everyOther(v, func(c byte) string { return fmt.Sprintf("%%%02X", c) }),
		"percent three times":      url.QueryEscape(url.QueryEscape(each(v, func(c byte) string { return fmt.Sprintf("%%%02x", c) }))),
		"unicode, every other":     everyOther(v, func(c byte) string { return fmt.Sprintf(`\u%04x`, c) }),
		"hex escapes, some":        everyOther(v, func(c byte) string { return fmt.Sprintf(`\x%02x`, c) }),
		"entities":                 each(v, func(c byte) string { return fmt.Sprintf("&#%d;", c) }),
		"hex entities, some":       everyOther(v, func(c byte) string { return fmt.Sprintf("&#x%x;", c) }),
		"in a path, twice":         "/v1/items/" + b64(b64(v)),
		"in a path, hex of base64": "/v1/x-" + hex.EncodeToString([]byte(b64(v))) + "/z",
		"hex behind a digit":       "a" + hex.EncodeToString([]byte(b64(v))),
		"behind one, twice":        "q" + b64(b64(long)),
		"behind three, of spaces":  "abc" + b64(each(v, func(c byte) string { return string(c) + " " })),
		"data URL":                 "data:text/plain;base64," + b64(long),
	}
}

func swapCase(r rune) rune {
	if unicode.IsUpper(r) {
		return unicode.ToLower(r)
	}
	return unicode.ToUpper(r)
}

func everyOther(s string, f func(c byte) string) string {
	i := 0
	return each(s, func(c byte) string {
		if i++; i%2 == 0 {
			return string(c)
		}
		return f(c)
	})
}

func TestHiddenValuesAreFound(t *testing.T) {
	t.Parallel()
	for _, v := range []string{token, "0123456789abcdef0123456789ABCDEF", "Xy7-Qp2_Lk9.Zr4~Wt8=Ub5", strings.Repeat("MIIEvQIBADANBgkqhkiG9w0B", 3) + "AQEFAASC+/=Key9"} {
		m := mustMatcher(t, map[string]string{"gh": v, "other": "another-value-here"})
		for name, text := range hidings(v) {
			if got := m.Find([]byte(text)); got != "gh" {
				t.Errorf("%q as %s: found %q in %q", v, name, got, text)
			}
			if got := m.RedactString("<" + text + ">"); m.Contains([]byte(got)) || !strings.Contains(got, "[secret:gh]") {
				t.Errorf("%q as %s: %q became %q", v, name, text, got)
			}
		}
	}
}

// TestEachHalfIsFound takes every window of half of the value, at every place of a text.
func TestEachHalfIsFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.StringMatching(`[a-zA-Z0-9+/=_-]{12,90}`).Filter(func(s string) bool { return Check([]byte(s)) == nil }).Draw(t, "value")
		m, err := NewMatcher(map[string]string{"n": v, "other": "Zq8-another-value-here"})
		if err != nil {
			t.Fatal(err)
		}
		n := half(len(v))
		at := rapid.IntRange(0, len(v)-n).Draw(t, "at")
		text := strings.Repeat(" ", rapid.IntRange(0, 9).Draw(t, "before")) + v[at:at+n] + strings.Repeat("\x00", rapid.IntRange(0, 9).Draw(t, "after"))
		if m.Find([]byte(text)) != "n" {
			t.Fatalf("%q holds half of %q", text, v)
		}
	})
}

func TestShortValuesMatchWholeOnly(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, map[string]string{"short": "k3yWord9!x", "long": token})
	for text, want := range map[string]string{
		"a k3yWord9!x b": "short", "k3yWord9!": "", "k 3 y W o r d 9 ! x": "short", "k-3-y-W-o-r-d-9-!-x": "", token[:13]: "", token[:14]: "long",
	} {
		if got := m.Find([]byte(text)); got != want {
			t.Errorf("%q: found %q, want %q", text, got, want)
		}
	}
}

// TestCompatibleLetters holds the table to that of Unicode.
func TestCompatibleLetters(t *testing.T) {
	t.Parallel()
	missed := 0
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		want := byte(0)
		if s := norm.NFKC.String(string(r)); len(s) == 1 {
			want = fold[s[0]]
		}
		got := compatible(r)
		if got != 0 && got != want && unicode.IsOneOf([]*unicode.RangeTable{unicode.L, unicode.N}, r) {
			t.Errorf("%U counts as %q, want %q", r, got, want)
		}
		if got != want {
			missed++
			if missed < 20 {
				t.Logf("%U %c: %q, NFKC %q", r, r, got, want)
			}
		}
	}
	t.Logf("%d letters are not folded as NFKC does", missed)
	if missed > 120 {
		t.Errorf("%d letters are not folded", missed)
	}
}

func TestBombsAreNotInflated(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, map[string]string{"gh": token})
	bomb := gz(strings.Repeat("\x00", 8<<20))
	many := strings.Repeat(gz(strings.Repeat("a", 3<<20))+"|", 20)
	for name, text := range map[string]string{
		"gzip": bomb, "base64": b64(bomb), "nested": b64(gz(bomb)), "many": many, "headers": strings.Repeat(gzipMagic+"\x00\x00\x00\x00\x00\x00\xff", 20_000),
	} {
		if got := m.Find([]byte(text)); got != Unscanned {
			t.Errorf("%s: found %q, want %q", name, got, Unscanned)
		}
		if got := m.Redact([]byte(text)); m.Contains(got) {
			t.Errorf("%s: the text is still not clean", name)
		}
	}
	if got := m.Find([]byte(gz(strings.Repeat("benign text ", 500)))); got != "" {
		t.Errorf("an innocent stream: %q", got)
	}
}

// TestNoSizeEndsTheScan hides a value at the end of texts that are larger than any
// buffer of the package.
func TestNoSizeEndsTheScan(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, map[string]string{"gh": token})
	for name, filler := range map[string]string{"prose": "plain words, and more of them. ", "base64": b64("picture bytes \x00\x01\x02\xff\xfe"), "lines": "a%20b\\n\n"} {
		body := strings.Repeat(filler, (5<<18)/len(filler))
		for how, v := range map[string]string{"raw": token, "base64 twice": " " + b64(b64(token)), "spaced": each(token, func(c byte) string { return string(c) + " " })} {
			text := body + " " + v
			if got := m.Find([]byte(text)); got != "gh" {
				t.Errorf("%s at the end of %d bytes of %s: found %q", how, len(text), name, got)
			}
		}
		if got := m.Find([]byte(body)); got != "" {
			t.Errorf("%s: found %q", name, got)
		}
	}
}

func TestTailJoinsTexts(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, map[string]string{"gh": token})
	var tail Tail
	for i, piece := range []string{token[:9], token[9:18], token[18:]} {
		if m.Contains([]byte(piece)) {
			t.Fatalf("piece %d is found by itself", i)
		}
		if got, want := tail.Add(m, []byte(piece)), i > 0; (got == "gh") != want && i == 1 {
			t.Errorf("piece %d: found %q", i, got)
		}
	}
	var other Tail
	for _, piece := range []string{"benign", " text ", strings.Repeat("y", 3000), token[:5], "x", token[5:10]} {
		if got := other.Add(m, []byte(piece)); got != "" {
			t.Errorf("%q: found %q", piece, got)
		}
	}
	if other.Add(nil, []byte("x")) != "" {
		t.Error("a matcher of nothing finds something")
	}
}

func TestJSONStaysJSON(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, map[string]string{"gh": `n` + token, "number": "1234567890123"})
	for in, want := range map[string]string{
		`{"a":"x\nn` + token + `"}`:           `{"a":"x\n[secret:gh]"}`,
		`{"n` + token + `":[1.50,"ok",null]}`: `{"[secret:gh]":[1.50,"ok",null]}`,
		`{"b":1234567890123}`:                 `{"b":"[secret:number]"}`,
		`{"clean": 1.0}`:                      `{"clean": 1.0}`,
	} {
		got, err := m.RedactJSON([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s became %s, error %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{`n` + token, `{"a":"n` + token + `"} {}`, `[` + each("1234567890123", func(c byte) string { return string(c) + "," }) + `1]`} {
		if got, err := m.RedactJSON([]byte(in)); m.Contains([]byte(in)) && !errors.Is(err, ErrJSON) {
			t.Errorf("%s became %s, error %v", in, got, err)
		}
	}
}

func TestBenignStructuresAreUnaltered(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, randomSecrets(200))
	r := rand.New(rand.NewPCG(7, 8))
	altered, total := 0, 0
	for i := range 1000 {
		raw := make([]byte, 200+i%800)
		for j := range raw {
			raw[j] = byte(r.Uint32())
		}
		doc, _ := json.Marshal(map[string]any{"id": hex.EncodeToString(raw[:20]), "picture": raw, "url": "https://example.com/a%20b?q=" + url.QueryEscape(string(raw[:40])), "n": i})
		texts := [][]byte{doc, raw, []byte(gz(string(doc))), []byte(wrap(b64(string(raw)), 76, "\r\n")), []byte("data:image/png;base64," + b64(zl(string(raw))))}
		for _, text := range texts {
			total++
			if name := m.Find(text); name != "" {
				altered++
				t.Logf("%q in %q", name, text)
			}
		}
	}
	if altered*1000 >= total {
		t.Errorf("%d of %d payloads altered; want less than 0.1 %%", altered, total)
	}
}

func FuzzHidden(f *testing.F) {
	m := mustMatcher(f, map[string]string{"gh": token})
	for _, h := range hidings(token) {
		f.Add([]byte(h))
	}
	f.Add([]byte("\x1f\x8b\x08 and \\u00e9%41&#x41;"))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		out := m.Redact(b)
		if !bytes.Equal(before, b) {
			t.Fatal("wrote to its input")
		}
		if m.Contains(out) || !m.Contains(b) && !bytes.Equal(out, b) {
			t.Fatalf("%q became %q", b, out)
		}
		if len(places(b)) != len(condense(nil, b)) {
			t.Fatalf("%q is condensed to %q, with %d places", b, condense(nil, b), len(places(b)))
		}
	})
}

func TestDecode64(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		enc := rapid.SampledFrom([]*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding}).Draw(t, "encoding")
		text := wrap(enc.EncodeToString(want), rapid.IntRange(1, 80).Draw(t, "width"), rapid.SampledFrom([]string{"", "\n", "\r\n", " "}).Draw(t, "end"))
		if got := decode64(nil, []byte(text)); !bytes.Equal(got, want) {
			t.Fatalf("%q: %x, want %x", text, got, want)
		}
	})
}
