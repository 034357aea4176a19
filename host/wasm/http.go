package wasm

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/glovebox-dev/glovebox/abi"
)

// Bounds of one request as a guest writes it.
const (
	maxURL         = 8 << 10
	maxHeaders     = 64
	maxHeaderBytes = 32 << 10
	maxRequest     = 64 << 10 // a request block of any function
	maxRequestJSON = 64       // nesting
)

// lastResponse is what http_status_code and http_headers answer.
type lastResponse struct {
	status  int
	headers []byte // JSON; nil before the first request
}

// wireRequest is FetchRequest as guests write it: a header is a string or a list.
type wireRequest struct {
	URL       string                     `json:"url"`
	Method    string                     `json:"method"`
	Headers   map[string]json.RawMessage `json:"headers"`
	Auth      abi.SecretName             `json:"auth"`
	Redirect  string                     `json:"redirect"`
	TimeoutMS int64                      `json:"timeout_ms"`
	MaxBytes  int64                      `json:"max_bytes"`
}

// decodeFetch reads a request block. The error is for the guest.
func decodeFetch(block []byte) (abi.FetchRequest, *abi.Problem) {
	var w wireRequest
	if p := decodeRequest(block, &w); p != nil {
		return abi.FetchRequest{}, p
	}
	req := abi.FetchRequest{URL: w.URL, Method: strings.ToUpper(w.Method), Auth: w.Auth, Redirect: w.Redirect, TimeoutMS: w.TimeoutMS, MaxBytes: w.MaxBytes}
	if req.Method == "" {
		req.Method = "GET"
	}
	switch {
	case len(req.URL) == 0 || len(req.URL) > maxURL:
		return req, invalid("url: want 1 to %d bytes", maxURL)
	case !token(req.Method) || len(req.Method) > 32:
		return req, invalid("method: want an HTTP token")
	case req.Redirect != "" && req.Redirect != "follow" && req.Redirect != "manual":
		return req, invalid("redirect: want follow or manual")
	case req.TimeoutMS < 0 || req.MaxBytes < 0:
		return req, invalid("timeout_ms and max_bytes: want 0 or more")
	case req.Auth != "" && req.Auth.Check() != nil:
		return req, invalid("auth: not a name of a secret")
	case len(w.Headers) > maxHeaders:
		return req, invalid("headers: want at most %d", maxHeaders)
	}
	total := 0
	if len(w.Headers) > 0 {
		req.Headers = make(map[string][]string, len(w.Headers))
	}
	for name, raw := range w.Headers {
		values, p := headerValues(name, raw)
		if p != nil {
			return req, p
		}
		for _, v := range values {
			total += len(name) + len(v)
		}
		if total > maxHeaderBytes {
			return req, invalid("headers: want at most %d bytes", maxHeaderBytes)
		}
		req.Headers[name] = values
	}
	return req, nil
}

func headerValues(name string, raw json.RawMessage) ([]string, *abi.Problem) {
	if !token(name) {
		return nil, invalid("headers: a name is not an HTTP token")
	}
	if hop(name) {
		return nil, invalid("headers: %s is set by the host only", strings.ToLower(name))
	}
	var one string
	var values []string
	if json.Unmarshal(raw, &one) == nil {
		values = []string{one}
	} else if json.Unmarshal(raw, &values) != nil {
		return nil, invalid("headers: want a string or a list of strings")
	}
	if len(values) > maxHeaders {
		return nil, invalid("headers: want at most %d values", maxHeaders)
	}
	for _, v := range values {
		for i := range len(v) {
			if v[i] < 0x20 && v[i] != '\t' || v[i] == 0x7f {
				return nil, invalid("headers: a value holds a control character")
			}
		}
	}
	return values, nil
}

// hop reports whether a header frames the message or the connection (RFC 9110
// section 7.6.1), which a guest must not influence.
func hop(name string) bool {
	switch n := strings.ToLower(name); n {
	case "host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "content-length", "upgrade", "expect":
		return true
	default:
		return strings.HasPrefix(n, "proxy-")
	}
}

// token reports whether s is a token of RFC 9110 section 5.6.2.
func token(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		b := s[i]
		if b <= ' ' || b >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, b) >= 0 {
			return false
		}
	}
	return true
}

// fetch performs one exchange within the rights and limits of the call.
func (c *call) fetch(ctx context.Context, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, *abi.Problem) {
	resp, out, p := c.exchange(ctx, req, body)
	if p != nil {
		return abi.FetchResponse{}, nil, c.refuse(ctx, p)
	}
	return resp, out, nil
}

func (c *call) exchange(ctx context.Context, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, *abi.Problem) {
	none := abi.FetchResponse{}
	if c.phase == phaseInit {
		return none, nil, phaseProblem("a request", "http")
	}
	if len(c.rights.HTTP) == 0 {
		return none, nil, c.notGranted(req.URL)
	}
	if c.services.Fetch == nil {
		return none, nil, unavailable("http")
	}
	if to, ok := originOf(req.URL); ok { // of anything else the Fetcher makes no request
		if p := c.rights.Withheld(c.caller.Skill, to); p != nil {
			return none, nil, p
		}
	}
	if c.usage.HTTPCalls >= c.limits.HTTPCalls {
		return none, nil, overLimit(abi.CodeQuota, "http", "http_calls", int64(c.limits.HTTPCalls))
	}
	c.usage.HTTPCalls++
	if c.usage.HTTPSent+int64(len(body)) > c.limits.HTTPSent {
		return none, nil, overLimit(abi.CodeQuota, "http", "http_sent", c.limits.HTTPSent)
	}
	left := c.limits.HTTPReceived - c.usage.HTTPReceived
	if left <= 0 {
		return none, nil, overLimit(abi.CodeQuota, "http", "http_received", c.limits.HTTPReceived)
	}
	limit := min(left, c.limits.HTTPResponse)
	if req.MaxBytes > 0 {
		limit = min(limit, req.MaxBytes)
	}
	wait := min(c.limits.HTTPTime, c.clock.remaining())
	if req.TimeoutMS > 0 && req.TimeoutMS < wait.Milliseconds() {
		wait = time.Duration(req.TimeoutMS) * time.Millisecond
	}
	if wait <= 0 || limit <= 0 {
		return none, nil, overLimit(abi.CodeQuota, "http", "http_time", c.limits.HTTPTime.Milliseconds())
	}
	req.MaxBytes, req.TimeoutMS = limit, max(wait.Milliseconds(), 1)

	c.usage.HTTPSent += int64(len(body)) // charged before it starts, and kept whatever happens
	var resp abi.FetchResponse
	var out []byte
	var err error
	c.outside(ctx, false, func() {
		fetchCtx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		resp, out, err = c.services.Fetch.Fetch(fetchCtx, c.caller, c.rights, req, body)
	})
	if err == nil {
		c.sawAnswer(resp, req.URL)
	}
	if err != nil {
		p := c.problemOf(ctx, "the request", err)
		if p.RequestSent { // how it failed is the server's choice
			c.sawAnswer(abi.FetchResponse{Private: !p.Public}, req.URL)
		}
		if p.Capability == "" {
			q := *p
			q.Capability = "http"
			p = &q
		}
		if p.Code == abi.CodeTooLarge {
			c.usage.HTTPReceived += limit
		} else {
			c.usage.HTTPReceived += min(int64(max(resp.Length, len(out))), limit)
		}
		return none, nil, p
	}
	c.usage.HTTPReceived += int64(len(out))
	if int64(len(out)) > limit {
		return none, nil, overLimit(abi.CodeTooLarge, "http", "http_response", limit)
	}
	resp.Length = len(out)
	resp.Headers = publicHeaders(resp.Headers)
	return resp, out, nil
}

// notGranted refuses a request of a skill that has no network at all; what is
// granted but does not fit is the Fetcher's to refuse.
func (c *call) notGranted(rawURL string) *abi.Problem {
	p := &abi.Problem{Code: abi.CodeDenied, Capability: "http", Rule: "grant/none",
		Message: "no network access is granted to skill " + string(c.caller.Skill)}
	if u, err := abi.ParseURL(rawURL); err == nil {
		p.Message = string(u.Origin) + " is not granted to skill " + string(c.caller.Skill)
		p.Hint = c.grantHint(" --http " + c.rights.HTTPFlag(u.Origin))
	}
	return p
}

// publicHeaders returns h with lower-case names and without our own error header.
func publicHeaders(h map[string][]string) map[string][]string {
	out := make(map[string][]string, len(h))
	for name, values := range h {
		if n := strings.ToLower(name); n != "x-glovebox-error" {
			out[n] = append(out[n], values...)
		}
	}
	return out
}

// runHTTPRequest is Extism's request function over the same fetch. A refusal is a
// response: plugins show it as text and stay alive.
func runHTTPRequest(ctx context.Context, c *call, _ api.Module, s []uint64) {
	block, body := c.consume(s[0], maxRequest), c.consume(s[1], c.limits.HTTPSent)
	req, p := decodeFetch(block)
	var resp abi.FetchResponse
	var out []byte
	if p == nil {
		c.traceCall("http_request", req.Method+" "+req.URL)
		req.Auth = "" // not a field of Extism's request
		resp, out, p = c.fetch(ctx, req, body)
	}
	c.traceResult(p)
	headers := map[string]string{}
	if p != nil {
		resp.Status, out = problemResponse(p)
		headers["content-type"] = "application/problem+json"
		headers["x-glovebox-error"] = string(p.Code)
	}
	for name, values := range resp.Headers {
		headers[name] = strings.Join(values, ",")
	}
	c.response.status = resp.Status
	c.response.headers, _ = json.Marshal(headers) // strings only: cannot fail
	s[0] = c.put(out)
}

// problemResponse is p as an HTTP response (RFC 9457).
func problemResponse(p *abi.Problem) (int, []byte) {
	status := map[abi.Code]int{
		abi.CodeInvalid: 400, abi.CodeDenied: 403, abi.CodePhase: 403, abi.CodeNeedsHuman: 403, abi.CodeNotFound: 404,
		abi.CodeConflict: 409, abi.CodeTooLarge: 413, abi.CodeQuota: 429, abi.CodeInternal: 500,
		abi.CodeNetwork: 502, abi.CodeUnavailable: 503, abi.CodeTimeout: 504,
	}[p.Code]
	if status == 0 {
		status = 500
	}
	b, _ := json.Marshal(struct { // strings and numbers only: cannot fail
		Title       string   `json:"title"`
		Status      int      `json:"status"`
		Detail      string   `json:"detail"`
		Code        abi.Code `json:"code"`
		Capability  string   `json:"capability,omitempty"`
		Rule        string   `json:"rule,omitempty"`
		RequestSent bool     `json:"request_sent"`
		Hint        string   `json:"hint,omitempty"`
	}{string(p.Code), status, p.Message, p.Code, p.Capability, p.Rule, p.RequestSent, p.Hint})
	return status, b
}

func invalid(format string, args ...any) *abi.Problem {
	return &abi.Problem{Code: abi.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

func unavailable(capability string) *abi.Problem {
	return &abi.Problem{Code: abi.CodeUnavailable, Capability: capability, Message: "this host does not offer it"}
}

func overLimit(code abi.Code, capability, limit string, n int64) *abi.Problem {
	return &abi.Problem{Code: code, Capability: capability, Rule: "limits." + limit,
		Message: fmt.Sprintf("limits.%s %d reached", limit, n)}
}
