package proxy

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// FuzzHead compares the strict reader with that of net/http: what the strict one takes,
// the other one reads alike.
func FuzzHead(f *testing.F) {
	f.Add([]byte("GET /a HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n"))
	f.Add([]byte("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close, x-a\r\nX-A: 1\r\n\r\n0\r\n\r\n"))
	f.Add([]byte("CONNECT a:443 HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := readHead(bufio.NewReaderSize(bytes.NewReader(text), maxHead))
		if err != nil {
			return
		}
		if h.size > maxHead {
			t.Errorf("a head of %d bytes", h.size)
		}
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			if strings.HasPrefix(h.target, "/") && h.host != "" && h.method != "PRI" {
				if problemless(h) {
					t.Errorf("net/http refuses %q: %v", text, err)
				}
			}
			return
		}
		if req.Method != h.method || req.RequestURI != h.target || h.length != req.ContentLength || (h.length < 0) != (len(req.TransferEncoding) > 0) {
			t.Errorf("%q is %+v and %+v", text, h, req)
		}
		for key := range h.header {
			if strings.Join(h.header[key], "\n") != strings.Join(req.Header[key], "\n") {
				t.Errorf("%q: %s is %q and %q", text, key, h.header[key], req.Header[key])
			}
		}
	})
}

// problemless tells heads whose parts net/http judges by rules that the broker has
// elsewhere: targets and hosts.
func problemless(h *head) bool {
	return !strings.ContainsAny(h.target+h.host, "%[]?#@ \\") && isASCII(h.target+h.host)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= 0x7f || c <= ' ' })
}
