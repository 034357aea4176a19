package guest

import (
	"errors"
	"fmt"
	"strings"
)

// Request is one HTTP request. The capability is needs.http.
type Request struct {
	URL       string              `json:"url"`
	Method    string              `json:"method,omitempty"` // GET if empty
	Headers   map[string][]string `json:"headers,omitempty"`
	Body      []byte              `json:"-"`
	Auth      string              `json:"auth,omitempty"`       // the secret whose rule of injection applies
	Redirect  string              `json:"redirect,omitempty"`   // follow (default) or manual
	TimeoutMS int64               `json:"timeout_ms,omitempty"` // lowered to what the call has left
	MaxBytes  int64               `json:"max_bytes,omitempty"`  // lowered to the grant
}

// Response is the answer to a request. Any status is an answer.
type Response struct {
	Status    int                 `json:"status"`
	Headers   map[string][]string `json:"headers"` // lower-case names
	URL       string              `json:"url"`     // after redirects
	Redirects int                 `json:"redirects"`
	Body      []byte              `json:"-"`

	Handle uint64 `json:"body"`
}

// Header returns the first value of a header, by its lower-case name.
func (r *Response) Header(name string) string {
	if v := r.Headers[strings.ToLower(name)]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Fetch sends a request through the host. A refusal is a [Denied], a failure of the
// peer a [Problem] with code network, timeout or too_large.
func (c Context) Fetch(req Request) (*Response, error) {
	var resp Response
	if err := answer("fetch", hostFetch(c.wire, request(req), req.Body), &resp); err != nil {
		return nil, err
	}
	resp.Body = hostBlock(c.wire, resp.Handle)
	return &resp, nil
}

// ErrStatus is wrapped by the error of Get for a status that is not 2xx.
var ErrStatus = errors.New("the server answered with an error")

// Get fetches a URL and wants a status of 2xx; accept is the Accept header, or "".
func (c Context) Get(url, accept string) (*Response, error) {
	req := Request{URL: url}
	if accept != "" {
		req.Headers = map[string][]string{"accept": {accept}}
	}
	resp, err := c.Fetch(req)
	if err != nil {
		return nil, err
	}
	if resp.Status < 200 || resp.Status > 299 {
		return resp, fmt.Errorf("%s: %w: status %d", url, ErrStatus, resp.Status)
	}
	return resp, nil
}
