package broker

import (
	"net/http"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// Limits on what a guest writes, in bytes but for maxHeaders.
const (
	maxURL         = 8 << 10
	maxHeaders     = 64       // values
	maxHeaderBytes = 32 << 10 // names and values, with four for ": " and CR LF each
	maxMethod      = 32
)

// forbidden lists the headers by which a guest could change where a request goes, how
// it is framed, or what the broker can see of the answer.
var forbidden = map[string]bool{
	"Connection": true, "Content-Length": true, "Expect": true, "Host": true, "Http2-Settings": true,
	"Keep-Alive": true, "Te": true, "Trailer": true, "Trailers": true, "Transfer-Encoding": true, "Upgrade": true,
	"Accept-Transfer-Encoding": true, "Early-Data": true,
}

// guestHeaders checks what a guest wants to send and returns it under canonical
// names. Accept-Encoding is left out: the broker asks for a coding that it can undo,
// so that it can search the answer.
func guestHeaders(in map[string][]string) (http.Header, *abi.Problem) {
	out := http.Header{}
	count, bytes := 0, 0
	for name, values := range in {
		if !token(name) {
			return nil, invalid(ruleHeader, "a header name is empty or holds a character that names cannot hold")
		}
		key := http.CanonicalHeaderKey(name)
		if forbidden[key] || strings.HasPrefix(key, "Proxy-") || strings.HasPrefix(key, "X-Glovebox-") || strings.HasPrefix(key, "Sec-") {
			return nil, invalid(ruleHeader, "header %s cannot be set by a skill", strings.ToLower(key))
		}
		for _, value := range values {
			if count++; count > maxHeaders {
				return nil, invalid(ruleHeader, "more than %d headers", maxHeaders)
			}
			if bytes += len(name) + len(value) + 4; bytes > maxHeaderBytes {
				return nil, invalid(ruleHeader, "headers are larger than %s", size(maxHeaderBytes))
			}
			if !fieldValue(value) {
				return nil, invalid(ruleHeader, "header %s holds a control character", strings.ToLower(key))
			}
			if key == "Accept-Encoding" {
				continue
			}
			out[key] = append(out[key], value)
		}
	}
	return out, nil
}

// token reports whether s is an RFC 9110 section 5.6.2 token.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			continue
		}
		if strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= 256
}

// fieldValue reports whether s may stand in a header: RFC 9110 section 5.5, so no CR,
// LF, NUL or other control but tab.
func fieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// guestMethod returns the method in upper case, GET for none. CONNECT and TRACE are
// not requests for a resource and are never sent.
func guestMethod(s string) (string, *abi.Problem) {
	if s == "" {
		return http.MethodGet, nil
	}
	m := strings.ToUpper(s)
	if len(m) > maxMethod || !token(m) || m == http.MethodConnect || m == http.MethodTrace {
		return "", invalid(ruleRequest, "method is not one that a skill can use")
	}
	return m, nil
}

// crossOrigin returns the headers that follow a redirect to another origin.
func crossOrigin(in http.Header) http.Header {
	out := http.Header{}
	for _, key := range []string{"Accept", "Accept-Language", "User-Agent"} {
		if v, ok := in[key]; ok {
			out[key] = v
		}
	}
	return out
}

// withoutContent drops the headers that describe a body (RFC 9110 section 15.4).
func withoutContent(in http.Header) http.Header {
	out := in.Clone()
	for key := range out {
		if strings.HasPrefix(key, "Content-") || key == "Digest" || key == "Repr-Digest" || key == "Last-Modified" {
			delete(out, key)
		}
	}
	return out
}

// answerHeaders returns the headers that a guest sees, under lower-case names: without
// those that only concern the connection, and without x-glovebox-…, by which a guest
// tells our refusals from a server's.
func answerHeaders(in http.Header, clean func(string) string) map[string][]string {
	out := map[string][]string{}
	for name, values := range in {
		key := strings.ToLower(name)
		switch key {
		case "connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "alt-svc":
			continue
		}
		if strings.HasPrefix(key, "x-glovebox-") {
			continue
		}
		key = clean(key)
		for _, v := range values {
			out[key] = append(out[key], clean(v))
		}
	}
	return out
}
