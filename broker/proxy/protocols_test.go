package proxy

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // what RFC 6455 asks for
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
)

// HTTP/2 is spoken with the box, and each stream is judged.
func TestEachStreamOfHTTP2IsJudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.serve("api.example", echo)
	r := right(api)
	r.Paths = []string{"/v1/*"}
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{r}, Secrets: []abi.SecretRight{bearer(api)}})
	tr := &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: b.pool()},
		DialTLSContext: func(_ context.Context, _, addr string) (net.Conn, error) {
			return b.tunnelTo(abi.Origin("https://"+addr), "h2"), nil
		},
	}
	defer tr.CloseIdleConnections()
	try := func(method, path, host, auth, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, string(api)+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		if auth != "" {
			req.Header.Set("Authorization", auth)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.ProtoMajor != 2 {
			t.Fatalf("spoke %s", resp.Proto)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	if status, text := try("POST", "/v1/a", "", "Bearer {{secret:gh}}", "hello"); status != 200 || !strings.Contains(text, "body=hello") || strings.Contains(text, planted) || !strings.Contains(text, "Bearer [secret:gh]") {
		t.Errorf("%d %s", status, text)
	}
	for _, tt := range []struct{ method, path, host, auth, rule string }{
		{"GET", "/admin", "", "", "egress/path"},
		{"DELETE", "/v1/a", "", "", "egress/method"},
		{"GET", "/v1/a", "evil.example", "", ruleName},
		{"GET", "/v1/a", "", "Bearer mine", "egress/own-credentials"},
	} {
		if status, text := try(tt.method, tt.path, tt.host, tt.auth, ""); status != 403 || !strings.Contains(text, tt.rule) {
			t.Errorf("%s %s %s: %d %s; want %s", tt.method, tt.path, tt.host, status, text, tt.rule)
		}
	}
	if status, _ := try("GET", "/v1/b", "", "", ""); status != 200 {
		t.Errorf("after the refusals: %d", status)
	}
}

// webSocket answers each message with what f makes of it.
func webSocket(t *testing.T, f func(string) string) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-WebSocket-Extensions") != "" {
			t.Error("an extension was asked for")
		}
		c, buf, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see above
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
		for {
			text, err := readMessage(buf.Reader)
			if err != nil {
				return
			}
			_, _ = c.Write(message(f(text), false))
		}
	}
}

func message(text string, masked bool) []byte {
	b := []byte{0x81}
	bit := byte(0)
	if masked {
		bit = 0x80
	}
	if len(text) < 126 {
		b = append(b, bit|byte(len(text)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, bit|126), uint16(len(text))) //nolint:gosec // short texts
	}
	if !masked {
		return append(b, text...)
	}
	mask := []byte{1, 2, 3, 4}
	b = append(b, mask...)
	for i := range len(text) {
		b = append(b, text[i]^mask[i%4])
	}
	return b
}

func readMessage(r *bufio.Reader) (string, error) {
	masked := false
	if b, err := r.Peek(2); err == nil {
		masked = b[1]&0x80 != 0
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return "", err
	}
	n := int(head[1] & 0x7f)
	if n == 126 {
		if _, err := io.ReadFull(r, head); err != nil {
			return "", err
		}
		n = int(binary.BigEndian.Uint16(head))
	}
	mask := make([]byte, 4)
	if masked {
		if _, err := io.ReadFull(r, mask); err != nil {
			return "", err
		}
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	for i := range b {
		b[i] ^= mask[i%4]
	}
	return string(b), err
}

// WebSocket is for origins that permit it; a stored value in a message of either side,
// or spread over messages, ends the connection.
func TestWebSocketMessagesAreLookedAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.serve("api.example", webSocket(t, func(s string) string {
		switch s {
		case "give":
			return "it is " + planted
		case "half":
			return planted[:13]
		case "rest":
			return planted[13:]
		}
		return "you said " + s
	}))
	rights := abi.Rights{HTTP: []abi.HTTPRight{right(api)}, Secrets: []abi.SecretRight{bearer(api)}}
	hello := get(api, "/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Extensions: permessage-deflate", "Authorization: Bearer {{secret:gh}}")
	open := func() (net.Conn, *bufio.Reader) {
		b := w.box(t, rights, func(c *Config) { c.Permits[api] = broker.Permit{WebSocket: true} })
		c := b.tunnelTo(api)
		_, _ = io.WriteString(c, hello)
		in := bufio.NewReader(c)
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") == "" {
			t.Fatalf("%v, %v", resp, err)
		}
		return c, in
	}
	long := strings.Repeat("a long message ", 100)
	c, in := open()
	for _, text := range []string{"hello", long} {
		_, _ = c.Write(message(text, true))
		if got, err := readMessage(in); err != nil || got != "you said "+text {
			t.Errorf("%q, %v", got, err)
		}
	}
	_ = c.Close()
	for name, texts := range map[string][]string{
		"from the server": {"give"}, "from the box": {"it is " + planted}, "in pieces": {"half", "rest"}, "in pieces from the box": {planted[:13], planted[13:]},
	} {
		c, in := open()
		var all strings.Builder
		for _, text := range texts {
			_, _ = c.Write(message(text, true))
			got, err := readMessage(in)
			if err != nil {
				break
			}
			all.WriteString(got)
		}
		if got := all.String(); strings.Contains(got, planted) || strings.Contains(got, planted[13:]) {
			t.Errorf("%s: %q", name, got)
		}
		if _, err := readMessage(in); err == nil {
			t.Errorf("%s: the connection goes on", name)
		}
	}
	b := w.box(t, rights, func(c *Config) {
		c.Permits[api], c.Limits.Request = broker.Permit{WebSocket: true}, 200*time.Millisecond
	})
	c = b.tunnelTo(api)
	_, _ = io.WriteString(c, hello)
	if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("a connection outlives its time: %v", err)
	}
	for name, bytes := range map[string][]byte{
		"a compressed frame": {0xc1, 0x81, 0, 0, 0, 0, 1}, "a frame without a mask": {0x81, 0x01, 'a'}, "an unknown frame": {0x83, 0x80, 0, 0, 0, 0}, "a long ping": {0x89, 0xfe, 0, 0},
	} {
		c, in := open()
		_, _ = c.Write(bytes)
		if _, err := readMessage(in); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}
