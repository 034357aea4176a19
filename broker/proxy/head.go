package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/glovebox-dev/glovebox/abi"
)

// maxHead bounds a request line with its header, in bytes.
const maxHead = 8 << 10

// maxFields bounds the fields of a header.
const maxFields = 100

// head is a request line and its header. There is one way to read it, or it is refused:
// what two programs read differently is how one smuggles past the other.
type head struct {
	method, target string
	old            bool // HTTP/1.0
	host           string
	header         http.Header // without Host and what concerns this connection
	length         int64       // of the body; −1: chunked
	close          bool        // the client sends no other request
	expect         bool        // it waits for 100 (Continue)
	upgrade        string      // the protocol that it asks for, in lower case
	size           int64       // bytes of all this
}

// readHead reads one head (RFC 9112 sections 2 to 6), strictly: lines end in CR LF, no
// field is folded, none of those that say where a message ends is there twice or with
// its rival. The error is an *abi.Problem, or that of r.
func readHead(r *bufio.Reader) (*head, error) {
	h := &head{header: http.Header{}}
	line, err := h.line(r)
	if err != nil {
		return nil, err
	}
	if err := h.request(line); err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		if line, err = h.line(r); err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
		if n == maxFields {
			return nil, malformed("more than %d header fields", maxFields)
		}
		if err := h.field(line); err != nil {
			return nil, err
		}
	}
	return h, h.settle()
}

// line reads one line without its end.
func (h *head) line(r *bufio.Reader) (string, error) {
	b, err := r.ReadSlice('\n')
	h.size += int64(len(b))
	switch {
	case h.size > maxHead || errors.Is(err, bufio.ErrBufferFull):
		return "", &abi.Problem{Code: abi.CodeTooLarge, Capability: capHTTP, Rule: ruleRequest, Message: fmt.Sprintf("the head of the request is larger than %d KiB", maxHead>>10)}
	case errors.Is(err, io.EOF) && h.size > 0:
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	case len(b) < 2 || b[len(b)-2] != '\r':
		return "", malformed("a line does not end in CR LF")
	}
	b = b[:len(b)-2]
	if i := bytes.IndexFunc(b, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }); i >= 0 {
		return "", malformed("a control character in the head of the request")
	}
	return string(b), nil
}

func (h *head) request(line string) error {
	parts := strings.Split(line, " ")
	if len(parts) != 3 || !httpguts.ValidHeaderFieldName(parts[0]) || parts[1] == "" || strings.ContainsFunc(parts[1], func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return malformed("the request line is not METHOD TARGET VERSION")
	}
	switch h.method, h.target = parts[0], parts[1]; parts[2] {
	case "HTTP/1.1":
	case "HTTP/1.0":
		h.old, h.close = true, true
	case "HTTP/2.0":
		return &abi.Problem{Code: abi.CodeInvalid, Capability: capHTTP, Rule: ruleProtocol, Message: "HTTP/2 is spoken after it was agreed on in the TLS handshake only"}
	default:
		return malformed("the version is neither HTTP/1.1 nor HTTP/1.0")
	}
	return nil
}

func (h *head) field(line string) error {
	name, value, ok := strings.Cut(line, ":")
	switch {
	case line[0] == ' ' || line[0] == '\t':
		return malformed("a folded header field")
	case !ok || !httpguts.ValidHeaderFieldName(name):
		return malformed("a header field without a name")
	}
	key := http.CanonicalHeaderKey(name)
	h.header[key] = append(h.header[key], strings.Trim(value, " \t"))
	return nil
}

// settle takes out of the header what concerns this connection.
func (h *head) settle() error {
	for _, key := range []string{"Host", "Content-Length", "Transfer-Encoding", "Expect", "Upgrade"} {
		if len(h.header[key]) > 1 {
			return malformed("%s is there twice", strings.ToLower(key))
		}
	}
	take := func(key string) (string, bool) {
		v, ok := h.header[key]
		delete(h.header, key)
		if !ok {
			return "", false
		}
		return v[0], true
	}
	h.host, _ = take("Host")
	coding, chunked := take("Transfer-Encoding")
	length, sized := take("Content-Length")
	switch {
	case chunked && sized:
		return malformed("transfer-encoding and content-length in one request")
	case chunked && (h.old || !strings.EqualFold(coding, "chunked")):
		return malformed("a transfer coding other than chunked")
	case chunked:
		h.length = -1
	case sized:
		n, err := strconv.ParseUint(length, 10, 63)
		if err != nil || strings.ContainsFunc(length, func(c rune) bool { return c < '0' || c > '9' }) {
			return malformed("content-length is no number")
		}
		h.length = int64(n) //nolint:gosec // 63 bits
	}
	if expect, ok := take("Expect"); ok {
		if !strings.EqualFold(expect, "100-continue") || h.old {
			return malformed("an expectation other than 100-continue")
		}
		h.expect = h.length != 0
	}
	upgrade, _ := take("Upgrade")
	for _, name := range listed(h.header["Connection"]) {
		switch strings.ToLower(name) {
		case "close":
			h.close = true
		case "upgrade":
			h.upgrade = strings.ToLower(upgrade)
		}
	}
	ownHop(h.header)
	return nil
}

// ownHop removes what concerns the connection to the box only (RFC 9110 section 7.6.1).
func ownHop(h http.Header) {
	for _, name := range listed(h["Connection"]) {
		h.Del(name)
	}
	for key := range h {
		switch {
		case key == "Connection", key == "Keep-Alive", key == "Te", key == "Trailer", key == "Transfer-Encoding", key == "Upgrade", key == "Http2-Settings", strings.HasPrefix(key, "Proxy-"):
			delete(h, key)
		}
	}
}

// listed returns the elements of a list field.
func listed(values []string) []string {
	var out []string
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name != "" {
				out = append(out, name)
			}
		}
	}
	return out
}
