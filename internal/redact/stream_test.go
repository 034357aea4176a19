package redact

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// pipe sends text through a stream in pieces of the given sizes, over and over.
func pipe(s *Stream, text []byte, flush bool, sizes ...int) []byte {
	var out []byte
	for i := 0; len(text) > 0; i++ {
		n := min(len(text), max(1, sizes[i%len(sizes)]))
		out = append(out, s.Write(text[:n])...)
		if flush {
			out = append(out, s.Flush()...)
		}
		text = text[n:]
	}
	return append(out, s.Flush()...)
}

func noise(r *rand.Rand, n int) string {
	const letters = " abcdefghijklmnopqrstuvwxyz.,\n"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

func TestStreamReplacesEveryFormAtEveryCut(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, map[string]string{"gh": token})
	r := rand.New(rand.NewPCG(1, 2))
	for name, form := range hidings(token) {
		if strings.Contains(name, "gzip") || strings.Contains(name, "zlib") {
			continue // found where one block holds it
		}
		for _, size := range []int{1, 7, 64, 1000, 40000} {
			text := noise(r, 17<<10) + form + noise(r, 17<<10)
			got := pipe(m.Stream(Label, false), []byte(text), false, size)
			if m.Contains(got) || !bytes.Contains(got, []byte("[secret:gh]")) {
				t.Errorf("%s in pieces of %d: passes, or is not replaced", name, size)
			}
		}
	}
}

func TestStreamLeavesOtherTextAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, err := NewMatcher(map[string]string{"gh": token})
		if err != nil {
			t.Fatal(err)
		}
		text := rapid.SliceOfN(rapid.Byte(), 0, 4<<10).Draw(t, "text")
		text = bytes.Repeat(text, rapid.IntRange(1, 20).Draw(t, "times"))
		sizes := rapid.SliceOfN(rapid.IntRange(1, 30<<10), 1, 5).Draw(t, "sizes")
		if m.Contains(text) {
			t.Skip("holds a value by chance")
		}
		if got := pipe(m.Stream(Label, true), text, rapid.Bool().Draw(t, "flush"), sizes...); !bytes.Equal(got, text) {
			t.Fatalf("%d bytes became %d others", len(text), len(got))
		}
	})
}

// Where the text goes on, no beginning of a value passes.
func TestStreamKeepsBackTheBeginning(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, map[string]string{"gh": token})
	for cut := 6; cut < len(token); cut++ {
		s := m.Stream(Label, false)
		got := append([]byte{}, s.Write([]byte(strings.Repeat(".", 64<<10)+token[:cut]))...)
		got = append(got, s.Write([]byte(token[cut:]+strings.Repeat(".", 64<<10)))...)
		got = append(got, s.Flush()...)
		if bytes.Contains(got, []byte(token[:6])) || !bytes.Contains(got, []byte("[secret:gh]")) {
			t.Errorf("cut at %d: the beginning passes", cut)
		}
	}
}

// A value whose pieces are sent with pauses between them is cut off: less than half of
// it passes.
func TestStreamFlushedInsideAValue(t *testing.T) {
	t.Parallel()
	m := mustMatcher(t, map[string]string{"gh": token})
	for cut := 1; cut < len(token); cut++ {
		s := m.Stream(Label, false)
		got := append([]byte{}, s.Write([]byte("key: "+token[:cut]))...)
		got = append(got, s.Flush()...)
		got = append(got, s.Write([]byte(token[cut:]+" and more"))...)
		got = append(got, s.Flush()...)
		if m.Contains(got) || !bytes.Contains(got, []byte("[secret:gh]")) {
			t.Errorf("cut at %d: %q", cut, got)
		}
	}
	s := m.Stream(Label, false)
	var got []byte
	for _, part := range []string{"key: " + token[:9], token[9:18], token[18:] + " and more"} { // none of them is half of it
		got = append(append(got, s.Write([]byte(part))...), s.Flush()...)
	}
	if bytes.Contains(got, []byte(token[9:18])) || !bytes.Contains(got, []byte("[secret:gh]")) {
		t.Errorf("in thirds: %q", got)
	}
}

// FuzzStream compares a stream with the text as a whole.
func FuzzStream(f *testing.F) {
	f.Add([]byte("a "+token+" b"), uint16(3), false)
	f.Add([]byte(strings.Repeat("x", 20<<10)+b64(token)), uint16(100), true)
	m, err := NewMatcher(map[string]string{"gh": token})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte, size uint16, flush bool) {
		if len(text) > 24<<10 || flush && len(text)/(int(size)+1) > 200 {
			t.Skip("too much work for one run")
		}
		got := pipe(m.Stream(Label, false), text, flush, int(size))
		if bytes.Contains(got, []byte(token)) {
			t.Errorf("%q passes %q", text, got)
		}
		if !m.Contains(text) && !bytes.Equal(got, text) {
			t.Errorf("%q became %q", text, got)
		}
	})
}
