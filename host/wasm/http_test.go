package wasm

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

// TestSmuggledHeaders (NET-5) beside the vectors: what is refused before it reaches
// the broker, and what a server cannot forge.
func TestSmuggledHeaders(t *testing.T) {
	t.Parallel()
	for _, h := range []string{"Host", "hOsT", "Connection", "Proxy-Connection", "proxy-x", "Transfer-Encoding", "content-length", "Upgrade", "TE", "Trailer", "Keep-Alive", "Expect", "", "a b", "a:b", "a\x00", "å"} {
		b, _ := json.Marshal(map[string]any{"url": "https://a.example/", "headers": map[string]string{h: "x"}})
		if _, p := decodeFetch(b); p == nil || p.Code != abi.CodeInvalid {
			t.Errorf("header %q was taken", h)
		}
	}
	for _, v := range []string{"a\nb", "a\rb", "a\x00b", "a\x7fb", "\r\nHost: x"} {
		b, _ := json.Marshal(map[string]any{"url": "https://a.example/", "headers": map[string][]string{"x": {"ok", v}}})
		if _, p := decodeFetch(b); p == nil || p.Code != abi.CodeInvalid {
			t.Errorf("value %q was taken", v)
		}
	}
	exactly := `{"url":"https://a.example/","headers":{"x":"` + strings.Repeat("v", maxHeaderBytes-1) + `"}}`
	if _, p := decodeFetch([]byte(exactly)); p != nil {
		t.Errorf("headers of exactly the limit: %v", p)
	}
	if _, p := decodeFetch([]byte(strings.Replace(exactly, `"v`, `"vv`, 1))); p == nil {
		t.Error("headers of one byte more were taken")
	}
	forged := publicHeaders(map[string][]string{"X-Glovebox-Error": {"denied"}, "X-A": {"1"}, "x-a": {"2"}})
	if len(forged) != 1 || len(forged["x-a"]) != 2 {
		t.Errorf("headers of a server: %v", forged)
	}
}

// FuzzFetchRequest: what is let through keeps every bound.
func FuzzFetchRequest(f *testing.F) {
	for _, s := range []string{
		`{"url":"https://a.example/","method":"post","headers":{"a":["b"],"c":"d"},"auth":"gh","redirect":"manual","timeout_ms":1,"max_bytes":1}`,
		`{"url":"","headers":{"Host":"x"}}`, `{"headers":[]}`, `[`, `{"url":1}`, `{"url":"x","headers":{"a\r\nb":"c"}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		req, p := decodeFetch(b)
		if p != nil {
			if p.Code != abi.CodeInvalid || p.Message == "" || strings.ContainsAny(p.Message, "\n\x1b") {
				t.Fatalf("%+v", p)
			}
			return
		}
		if len(req.URL) == 0 || len(req.URL) > maxURL || len(req.Headers) > maxHeaders || !token(req.Method) || req.TimeoutMS < 0 || req.MaxBytes < 0 {
			t.Fatalf("%+v", req)
		}
		for name, values := range req.Headers {
			if !token(name) || hop(name) {
				t.Fatalf("header %q", name)
			}
			for _, v := range values {
				if strings.ContainsAny(v, "\r\n\x00") {
					t.Fatalf("value %q", v)
				}
			}
		}
	})
}

// FuzzUserRequests: any bytes for hyper-mcp's functions.
func FuzzUserRequests(f *testing.F) {
	f.Add([]byte(`{"mode":"url","message":"m","url":"https://a.example/x","timeout":1e308}`))
	f.Add([]byte(`{"level":"info","data":{"a":[1]},"logger":"l","progress":1,"service":"s","user":"u"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &call{engine: &Engine{}, phase: phaseCall, limits: limits(), budget: &budget{max: abi.MiB}}
		c.log = c.newLog(t.Context())
		if got := userElicit(t.Context(), c, b); string(got) != `{"action":"decline"}` {
			t.Fatalf("%s", got)
		}
		if got := userKeyring(t.Context(), c, b); got != nil {
			t.Fatalf("%s", got)
		}
		userLog(t.Context(), c, b)
		userProgress(t.Context(), c, b)
		for _, l := range c.log.lines {
			if strings.ContainsAny(l.Message, "\n\x1b") {
				t.Fatalf("%q", l.Message)
			}
		}
	})
}
