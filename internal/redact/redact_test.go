package redact

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"html"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const value = `s3cr/t+"Key"&<x>=~ é9`

func mustMatcher(t testing.TB, values map[string]string) *Matcher {
	t.Helper()
	m, err := NewMatcher(values)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// spellings returns value as programs write it.
func spellings(v string) map[string]string {
	js, _ := json.Marshal(v)
	js2, _ := json.Marshal(string(js[1 : len(js)-1]))
	var everyByte, unicode strings.Builder
	for i := range len(v) {
		fmt.Fprintf(&everyByte, "%%%02x", v[i])
	}
	for _, r := range v {
		fmt.Fprintf(&unicode, `\u%04X`, r)
	}
	h := hex.EncodeToString([]byte(v))
	out := map[string]string{
		"raw": v, "lower": strings.ToLower(v), "upper": asciiFold(v, 'a', 'z', -32), "html": html.EscapeString(v),
		"json": string(js), "json in json": string(js2), "slashes": strings.ReplaceAll(string(js), "/", `\/`), "unicode": unicode.String(), "go": fmt.Sprintf("%q", v), "go ascii": fmt.Sprintf("%+q", v),
		"query": url.QueryEscape(v), "path": url.PathEscape(v), "component": strings.ReplaceAll(url.QueryEscape(v), "+", "%20"), "every byte": everyByte.String(),
		"lower percent": lowerHex(url.QueryEscape(v)), "twice": url.QueryEscape(url.QueryEscape(v)),
		"hex": h, "HEX": strings.ToUpper(h), "hex dump": fmt.Sprintf("% x", v), "hex colons": strings.ReplaceAll(fmt.Sprintf("% X", v), " ", ":"), "escapes": `\x` + strings.ReplaceAll(fmt.Sprintf("% x", v), " ", `\x`),
		"reversed": reverse(v), "spaced": spaced(v), "bytes": fmt.Sprint([]byte(v)), "json bytes": strings.ReplaceAll(fmt.Sprint([]byte(v)), " ", ","),
	}
	for before := range 4 {
		for after := range 4 {
			text := strings.Repeat("u", before) + v + strings.Repeat("w", after)
			for name, enc := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.URLEncoding, "raw": base64.RawStdEncoding, "rawurl": base64.RawURLEncoding} {
				out[fmt.Sprintf("base64 %s %d %d", name, before, after)] = enc.EncodeToString([]byte(text))
			}
		}
	}
	return out
}

func TestEverySpellingIsFound(t *testing.T) {
	t.Parallel()
	for _, v := range []string{value, "abcdefgh", "0123456789abcdef0123456789abcdef", "-----BEGIN KEY-----\nMIIB/w==\n-----END KEY-----"} {
		m := mustMatcher(t, map[string]string{"gh": v, "other": "another-value-here"})
		for name, text := range spellings(v) {
			got := m.RedactString("<" + text + ">")
			if !strings.Contains(got, "[secret:gh]") || strings.Contains(got, text[len(text)/3:2*len(text)/3]) {
				t.Errorf("%q as %s: %q became %q", v, name, text, got)
			}
			if names := m.Names([]byte(text)); len(names) != 1 || names[0] != "gh" {
				t.Errorf("%s: names %v", name, names)
			}
		}
	}
}

func TestOverlappingValuesLeaveNoTail(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, map[string]string{"a": "abcdefghij", "b": "efghijklmnop", "c": "abcdefghij-and-more"})
	for in, want := range map[string]string{
		"x abcdefghijklmnop y":     "x [secret:a] y",
		"abcdefghij-and-more.":     "[secret:c].",
		"abcdefghijabcdefghij":     "[secret:a][secret:a]",
		"abcdefgh abcdefghi":       "abcdefgh abcdefghi",
		"":                         "",
		"abcdefghi":                "abcdefghi",
		"zabcdefghij":              "z[secret:a]",
		"one\x00abcdefghij\xfftwo": "one\x00[secret:a]\xfftwo",
	} {
		if got := m.RedactString(in); got != want {
			t.Errorf("%q became %q; want %q", in, got, want)
		}
	}
}

func TestCheckRefusesWhatCannotBeGuarded(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]error{
		"1234567": ErrTooShort, "12345678": nil, "aaaaaaaaaaaa": ErrTooPlain, "abcabcabcabc": ErrTooPlain, "abcdabcd": nil,
		strings.Repeat("abcdefgh", MaxLength/8): nil, strings.Repeat("abcdefgh", MaxLength/8) + "x": ErrTooLong,
	} {
		if err := Check([]byte(v)); !errors.Is(err, want) {
			t.Errorf("%.20q: %v; want %v", v, err, want)
		}
		if _, err := NewMatcher(map[string]string{"n": v}); !errors.Is(err, want) {
			t.Errorf("NewMatcher %.20q: %v; want %v", v, err, want)
		}
	}
}

func TestNilAndEmptyMatchers(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, nil)
	if m.Contains([]byte("anything")) || m.RedactString("anything") != "anything" || m.Names(nil) != nil {
		t.Error("a matcher of nothing matches")
	}
}

func TestMatcherPrintsNothing(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, map[string]string{"gh": "correct-horse-battery"})
	holder := struct{ hidden *Matcher }{m}
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		fmt.Fprintf(&b, verb+verb+verb, m, *m, holder)
	}
	j, err := json.Marshal(map[string]any{"m": m, "h": holder})
	if err != nil {
		t.Fatal(err)
	}
	b.Write(j)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "m", m, "h", holder)
	if m.Contains(b.Bytes()) {
		t.Errorf("%s", b.String())
	}
}

// corpus returns benign payloads: source code of the Go library, hashes, UUIDs, random
// base64 and prose about tokens.
func corpus(t testing.TB) [][]byte {
	t.Helper()
	var out [][]byte
	r := rand.New(rand.NewPCG(1, 2))
	raw := make([]byte, 3000)
	for i := range 700 {
		for j := 0; j+8 <= len(raw); j += 8 {
			binary.LittleEndian.PutUint64(raw[j:], r.Uint64())
		}
		out = append(out, []byte(hex.EncodeToString(raw)), []byte(base64.StdEncoding.EncodeToString(raw)))
		out = append(out, fmt.Appendf(nil, "%x-%x-%x-%x-%x is the id; set the Authorization header to Bearer <your token> (secret no. %d), see {{secret:NAME}}", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:16], i))
	}
	for _, dir := range []string{"net/http", "encoding/json", "crypto/tls"} {
		files, _ := filepath.Glob(filepath.Join(build.Default.GOROOT, "src", dir, "*.go"))
		for _, f := range files {
			if b, err := os.ReadFile(f); err == nil {
				out = append(out, b)
			}
		}
	}
	return out
}

func randomSecrets(n int) map[string]string {
	r := rand.New(rand.NewPCG(3, 4))
	out := map[string]string{}
	for i := range n {
		b := make([]byte, 16+i%24)
		for j := range b {
			b[j] = byte(r.Uint32())
		}
		v := base64.RawURLEncoding.EncodeToString(b)
		if i%3 == 0 {
			v = hex.EncodeToString(b)
		}
		if i%10 == 0 {
			v = v[:MinLength]
		}
		out[fmt.Sprintf("s%d", i)] = v
	}
	return out
}

func TestBenignTextIsUnaltered(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, randomSecrets(1000))
	total, altered := 0, 0
	texts := corpus(t)
	for _, text := range texts {
		total += len(text)
		if m.Contains(text) {
			altered++
			t.Logf("altered: %v", m.Names(text))
		}
	}
	if altered*1000 >= len(texts) {
		t.Errorf("%d of %d payloads (%d bytes) altered; want less than 0.1 %%", altered, len(texts), total)
	}
	if len(texts) < 2000 {
		t.Errorf("only %d payloads", len(texts))
	}
}

func TestCleanScanDoesNotAllocate(t *testing.T) {
	m := mustMatcher(t, randomSecrets(100))
	text := bytes.Repeat([]byte("the quick brown fox jumps "), 100)
	if n := testing.AllocsPerRun(50, func() { _ = m.Redact(text) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHandlerRedactsEverywhere(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, map[string]string{"gh": "correct-horse-battery", "number": "1234567890123"})
	known := (*Matcher)(nil)
	for _, format := range []string{"text", "json"} {
		var b bytes.Buffer
		var next slog.Handler = slog.NewTextHandler(&b, nil)
		if format == "json" {
			next = slog.NewJSONHandler(&b, nil)
		}
		known = nil
		l := slog.New(Handler(next, func() *Matcher { return known }))
		early := l.With("early", "correct-horse-battery").WithGroup("g")
		known = m // learned after With
		early.Info("a correct-horse-battery b",
			"s", "x correct-horse-battery", "correct-horse-battery", 1, "err", fmt.Errorf("wrapped: %w", errors.New("correct-horse-battery")),
			"bytes", []byte("correct-horse-battery"), "struct", struct{ A, B any }{"correct-horse-battery", []byte("correct-horse-battery")},
			"map", map[string][]byte{"k": []byte("correct-horse-battery")}, "int", 1234567890123, "dur", time.Second, "url", url.URL{Path: "/correct-horse-battery"},
			slog.Group("correct-horse-battery", "deep", slog.GroupValue(slog.String("deeper", "correct-horse-battery"))),
			"valuer", valuer{}, "ok", 42)
		l.WithGroup("correct-horse-battery").With(slog.Group("h", "k", "correct-horse-battery")).Warn("w", "k", "v")
		if m.Contains(b.Bytes()) || strings.Contains(b.String(), "horse") || strings.Contains(b.String(), "1234567890123") {
			t.Errorf("%s: %s", format, b.String())
		}
		if !strings.Contains(b.String(), "[secret:gh]") || !strings.Contains(b.String(), "42") {
			t.Errorf("%s: %s", format, b.String())
		}
		if format == "json" {
			for line := range strings.Lines(b.String()) {
				if !json.Valid([]byte(line)) {
					t.Errorf("not JSON: %s", line)
				}
			}
		}
	}
}

type valuer struct{}

func (valuer) LogValue() slog.Value { return slog.StringValue("correct-horse-battery") }

func TestHandlerKeepsGroupsAndLevels(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	h := Handler(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelWarn}), func() *Matcher { return nil })
	l := slog.New(h).With("a", 1).WithGroup("g").With("b", 2).WithGroup("").WithGroup("h")
	l.Info("dropped")
	l.Warn("kept", "c", 3)
	if got := b.String(); strings.Contains(got, "dropped") || !strings.Contains(got, "a=1 g.b=2 g.h.c=3") {
		t.Error(got)
	}
	if h.Enabled(context.Background(), slog.LevelDebug) {
		t.Error("enabled below the level")
	}
}

func FuzzRedact(f *testing.F) {
	const v = `correct/horse+"battery"=9`
	m := mustMatcher(f, map[string]string{"gh": v, "other": "battery-horse-8"})
	var list []string
	for _, s := range spellings(v) {
		list = append(list, s)
	}
	f.Add([]byte("plain"), uint8(0), uint8(3))
	f.Add([]byte(v[:10]), uint8(9), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, which, at uint8) {
		before := bytes.Clone(b)
		out := m.Redact(b)
		if !bytes.Equal(b, before) {
			t.Fatal("wrote to its input")
		}
		if m.Contains(out) {
			t.Fatalf("%q became %q, which holds a value", b, out)
		}
		if !m.Contains(b) && !bytes.Equal(out, b) {
			t.Fatal("altered what holds no value")
		}
		i := min(int(at), len(b))
		text := string(b[:i]) + list[int(which)%len(list)] + string(b[i:])
		out = m.Redact([]byte(text))
		if m.Contains(out) || !bytes.Contains(out, []byte("[secret:")) {
			t.Fatalf("%q became %q", text, out)
		}
	})
}

// naive looks for each spelling in turn: the peer of the benchmark.
func naive(needles [][]byte, b []byte) bool {
	for _, n := range needles {
		if bytes.Contains(b, n) {
			return true
		}
	}
	return false
}

func BenchmarkScan(b *testing.B) {
	texts := map[string][]byte{"prose": bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog; 42 tokens, no secret. "), 16<<10)}
	for i, c := range corpus(b) {
		kind := "code"
		if i < 2100 {
			kind = []string{"hex", "base64", "prose"}[i%3]
		}
		if kind != "prose" {
			texts[kind] = append(texts[kind], c...)
		}
	}
	for _, n := range []int{1, 100, 1000} {
		values := randomSecrets(n)
		for name, v := range values {
			if len(v) < MinSplit {
				values[name] = v + v
			}
		}
		m := mustMatcher(b, values)
		var needles [][]byte
		for _, n := range m.state().plain.needles {
			needles = append(needles, n.text)
		}
		for kind, text := range texts {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					if m.Contains(text) {
						b.Fatal("found something")
					}
				}
			})
		}
		if n == 100 {
			text := texts["prose"][:64<<10]
			b.Run("naive/prose/100", func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					if naive(needles, text) {
						b.Fatal("found something")
					}
				}
			})
		}
	}
}
