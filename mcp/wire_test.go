package mcp

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func passed(text []byte, events bool) ([]byte, error) {
	f := newFrames(io.NopCloser(iotest.OneByteReader(bytes.NewReader(text))), events, newMeter(), &fault{})
	return io.ReadAll(f)
}

func TestFramesPassAsTheyAre(t *testing.T) {
	t.Parallel()
	got, err := passed([]byte(" {\"a\":1}\r\n\n{\"b\":2}"), false)
	if want := "{\"a\":1}\n{\"b\":2}\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
	const stream = ":x\n\nevent: message\ndata: {\"a\":\ndata: 1}\nid: 3\n\ndata:{}\n\n"
	if got, err := passed([]byte(stream), true); err != nil || string(got) != stream {
		t.Errorf("got %q, %v", got, err)
	}
	limit := strings.Repeat("x", MaxFrame-len(`{"a":""}`)-1)
	if _, err := passed([]byte(`{"a":"`+limit+`"}`+"\n"), false); err != nil {
		t.Errorf("the largest frame: %v", err)
	}
	if _, err := passed([]byte(`{"a":"`+limit+`x"}`+"\n"), false); err == nil {
		t.Error("one byte more is admitted")
	}
}

// Whatever a server sends, no JSON text that was not looked at gets past.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n\n{\"b\":[1]}\n"), false)
	f.Add([]byte("event: m\ndata: {\"a\":1}\n\ndata: [\n\n"), true)
	f.Add([]byte("data: {\ndata: }\n\n"), true)
	f.Fuzz(func(t *testing.T, text []byte, events bool) {
		got, _ := passed(text, events)
		if events {
			if !bytes.HasPrefix(text, got) {
				t.Fatalf("%q became %q", text, got)
			}
			return
		}
		for lines := bufio.NewScanner(bytes.NewReader(got)); lines.Scan(); {
			if err := checkMessage(lines.Bytes()); err != nil {
				t.Fatalf("%q got past: %v", lines.Bytes(), err)
			}
		}
	})
}
