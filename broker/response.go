package broker

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strconv"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// network is the tripper that dials.
type network struct {
	guard *guard
	tls   *tls.Config
}

func (n *network) trip(ctx context.Context, h *hop) (*http.Response, error) {
	r := &route{origin: h.url.Origin, opened: h.opened, port: h.url.Port}
	err := n.guard.resolve(ctx, h.url, r)
	h.event.Resolved = r.addrs
	if err != nil {
		return nil, err
	}
	trace := &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			if a, err := netip.ParseAddrPort(i.Conn.RemoteAddr().String()); err == nil {
				h.event.Dialled = a
			}
			h.sent = true // from here on the server may have seen something
		},
	}
	target := h.target()
	req := (&http.Request{
		Method: h.method, URL: target, Host: target.Host, Header: h.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}).WithContext(httptrace.WithClientTrace(ctx, trace))
	if len(h.body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(h.body))
		req.ContentLength = int64(len(h.body))
	}
	t := n.guard.transport(r, n.tls)
	resp, err := t.RoundTrip(req)
	if err != nil {
		t.CloseIdleConnections()
		return nil, err
	}
	resp.Body = &tripBody{resp.Body, t}
	return resp, nil
}

// tripBody ends the transport of its request.
type tripBody struct {
	io.ReadCloser
	t *http.Transport
}

func (b *tripBody) Close() error {
	err := b.ReadCloser.Close()
	b.t.CloseIdleConnections()
	return err
}

// finish reads the response within its limit and takes reflected secrets out.
func (x *exchange) finish(ctx context.Context, resp *http.Response, right abi.HTTPRight, ev *Event) (*answer, *abi.Problem) {
	body, p := x.read(ctx, resp, ev)
	if p != nil {
		return nil, p
	}
	ev.Received = int64(len(body))
	clean := x.clean(ev)
	text := func(s string) string { return string(clean([]byte(s))) }
	a := &answer{done: true, right: right, body: clean(body)}
	headers := answerHeaders(resp.Header, text)
	if _, ok := headers["content-length"]; ok && x.method != http.MethodHead {
		headers["content-length"] = []string{strconv.Itoa(len(a.body))}
	}
	a.response = abi.FetchResponse{
		Status: resp.StatusCode, Headers: headers, Length: len(a.body),
		URL: text(x.url.String()), Redirects: x.hops, Private: x.private,
	}
	return a, nil
}

// read returns the decoded body, and removes the coding from the headers. The limit is
// that of the decoded bytes, and no more than one byte past it is ever held.
func (x *exchange) read(ctx context.Context, resp *http.Response, ev *Event) ([]byte, *abi.Problem) {
	over := tooLarge("response", x.limit.name, x.limit.bytes)
	over.RequestSent = true
	raw := &io.LimitedReader{R: resp.Body, N: encoded(x.limit.bytes)}
	var src io.Reader = raw
	if x.method != http.MethodHead && resp.ContentLength != 0 {
		coding := strings.ToLower(strings.TrimSpace(strings.Join(resp.Header.Values("Content-Encoding"), ",")))
		switch coding {
		case "", "identity":
			if resp.ContentLength > x.limit.bytes {
				return nil, over
			}
		case "gzip", "x-gzip":
			src = &lazyGzip{src: raw}
			resp.Header.Del("Content-Encoding")
		default:
			return nil, &abi.Problem{
				Code: abi.CodeNetwork, Capability: capHTTP, Rule: ruleEncoding, RequestSent: true,
				Message: string(x.url.Origin) + " answered in a content coding that was not asked for",
			}
		}
	}
	body, err := io.ReadAll(io.LimitReader(src, x.limit.bytes+1))
	ev.Received = int64(len(body))
	if int64(len(body)) > x.limit.bytes || err != nil && raw.N == 0 {
		return nil, over
	}
	if err != nil {
		return nil, x.failed(ctx, err, ev)
	}
	return body, nil
}

// encoded is how many bytes on the wire can hold n bytes for the guest. A body can
// take more only by holding nothing, such as empty members of gzip without end, which
// would be decoded for as long as the request may last.
func encoded(n int64) int64 {
	const head, perCent = 64 << 10, 100
	return n + n/perCent + head
}

// lazyGzip reads the gzip header at the first read, so that an empty body is empty.
type lazyGzip struct {
	src io.Reader
	z   *gzip.Reader
}

func (l *lazyGzip) Read(p []byte) (int, error) {
	if l.z == nil {
		z, err := gzip.NewReader(l.src)
		if err != nil {
			return 0, err // io.EOF for a body without a byte
		}
		l.z = z
	}
	return l.z.Read(p)
}

// classify says in fixed words what went wrong.
func classify(err error, sent bool) string {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &dns):
		return "has no address that can be found"
	case errors.As(err, &cert), errors.As(err, &unknown), errors.As(err, &host):
		return "has no certificate that is trusted"
	case errors.As(err, &record), errors.As(err, &alert):
		return "does not speak TLS 1.2 or later"
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return "sent a body that is not the gzip that it claims"
	case sent:
		return "broke off or did not answer in HTTP"
	}
	return "could not be reached"
}

// splitOrigin returns the host[:port] of o as it goes into the Host header, and its
// scheme.
func splitOrigin(o abi.Origin) (host, scheme string) {
	scheme, host, _ = strings.Cut(string(o), "://")
	return host, scheme
}
