package broker

import (
	"bufio"
	"compress/flate"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

const (
	wholeBody = 64 << 10              // an answer of so many bytes is looked at as one text
	quietTime = 20 * time.Millisecond // after which what was kept back goes on
	pumpSize  = 32 << 10
)

// outgoing is the body of a boxed program's request. It is looked at while it is sent: a
// known value or a placeholder ends the request. Bodies of up to 16 KiB are looked at
// before their first byte goes.
type outgoing struct {
	src     io.Reader
	rights  abi.Rights
	stream  *redact.Stream
	buf     []byte
	past    string // the end of what was looked at for placeholders
	ready   []byte
	err     error
	sent    atomic.Int64
	problem atomic.Pointer[abi.Problem]
}

func newOutgoing(src io.Reader, rights abi.Rights, known *redact.Matcher) *outgoing {
	o := &outgoing{src: src, rights: rights}
	o.stream = known.Stream(func(string) string {
		o.problem.CompareAndSwap(nil, &abi.Problem{
			Code: abi.CodeDenied, Capability: capSecrets, Rule: ruleLeak, Message: "the request holds the value of a stored secret",
		})
		return shown
	}, true)
	return o
}

// Read implements io.Reader.
func (o *outgoing) Read(p []byte) (int, error) {
	if err := o.begin(); err != nil {
		return 0, err
	}
	n := copy(p, o.ready)
	o.ready = o.ready[n:]
	o.sent.Add(int64(n))
	if n == 0 {
		return 0, o.err
	}
	return n, nil
}

// begin looks at the beginning of the body, all of it if it is small.
func (o *outgoing) begin() error {
	for len(o.ready) == 0 && o.err == nil {
		o.fill()
	}
	if p := o.problem.Load(); p != nil {
		return p
	}
	return nil
}

// Close implements io.Closer.
func (o *outgoing) Close() error { return nil }

func (o *outgoing) fill() {
	if o.buf == nil {
		o.buf = make([]byte, pumpSize)
	}
	n, err := o.src.Read(o.buf)
	piece := slices.Clone(o.buf[:n])
	text := o.past + string(piece)
	if name, ok := strayPlaceholder(o.rights, text); ok {
		o.problem.CompareAndSwap(nil, misuse(name, "its placeholder cannot stand in a body"))
	}
	o.past = text[max(0, len(text)-maxPlaceholder):]
	o.ready = o.stream.Write(piece)
	if err != nil {
		o.ready = append(slices.Clip(o.ready), o.stream.Flush()...)
		o.err = err
		if p := (*abi.Problem)(nil); errors.As(err, &p) {
			o.problem.CompareAndSwap(nil, p)
		}
	}
	if o.problem.Load() != nil {
		o.ready, o.err = nil, io.ErrClosedPipe
	}
}

// maxPlaceholder bounds a placeholder in its longest spelling.
const maxPlaceholder = 3 * 256

// incoming is the body of an answer for a box: without known values, in pieces as they
// come.
type incoming struct {
	raw    io.Closer
	src    io.Reader
	stream *redact.Stream
	limit  limit
	ev     *Event
	read   atomic.Int64
	ready  []byte
	pieces chan piece    // nil: the whole body is ready
	stop   chan struct{} // closed: no more pieces are wanted
	err    error
	hidden bool         // something in it could not be looked into
	closed *abi.Problem // what ends it then
	done   func(*abi.Problem)
	fail   func(error) *abi.Problem
}

type piece struct {
	b   []byte
	err error
}

// answer makes what the box gets of resp.
func (x *exchange) answer(ctx context.Context, resp *http.Response, permit Permit, p *Passage, ev *Event) (*Answer, *abi.Problem) {
	clean := x.clean(ev)
	a := &Answer{Status: resp.StatusCode, Length: resp.ContentLength, Header: laneHeaders(resp.Header, func(s string) string { return string(clean([]byte(s))) })}
	if !permit.Cookies {
		a.Header.Del("Set-Cookie")
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return x.socket(resp, a, p, ev)
	}
	in := &incoming{raw: resp.Body, src: resp.Body, ev: ev, limit: x.limit, fail: func(err error) *abi.Problem { return x.failed(ctx, err, ev) }}
	a.Body = in
	if x.method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		in.err = io.EOF
		return a, nil
	}
	coding := strings.ToLower(strings.TrimSpace(strings.Join(resp.Header.Values("Content-Encoding"), ",")))
	switch coding {
	case "", "identity":
	case "gzip", "x-gzip":
		in.src, a.Length = &lazyGzip{src: resp.Body}, -1
	case "deflate":
		in.src, a.Length = &lazyDeflate{src: resp.Body}, -1
	default:
		return nil, &abi.Problem{
			Code: abi.CodeNetwork, Capability: capHTTP, Rule: ruleEncoding, RequestSent: true,
			Message: string(x.url.Origin) + " answered in a content coding that was not asked for",
		}
	}
	a.Header.Del("Content-Encoding")
	known := x.labels(ev)
	label := func(name string) string {
		if name == redact.Unscanned {
			in.hidden = true
			return ""
		}
		return known(name)
	}
	opaque := permit.Opaque || !slices.ContainsFunc(x.rights.Secrets, func(r abi.SecretRight) bool { return slices.Contains(r.Only, x.url.Origin) })
	if a.Length >= 0 && a.Length <= wholeBody {
		body, err := io.ReadAll(in.src)
		if err != nil || int64(len(body)) > x.limit.bytes {
			return nil, in.broken(err)
		}
		in.read.Store(int64(len(body)))
		before := len(ev.Redacted)
		s := x.set.known().Stream(label, opaque)
		in.ready = append(s.Write(body), s.Flush()...)
		if in.hidden {
			return nil, x.hidden()
		}
		in.err, a.Length = io.EOF, int64(len(in.ready))
		if len(ev.Redacted) > before || !slices.Equal(in.ready, body) {
			dropDigests(a.Header)
		}
		return a, nil
	}
	if x.set.known() != nil {
		a.Length = -1
		dropDigests(a.Header)
	}
	in.stream = x.set.known().Stream(label, opaque)
	in.closed = x.hidden()
	in.pieces, in.stop = make(chan piece), make(chan struct{})
	go in.pump()
	return a, nil
}

// hidden is the problem of an answer that holds what cannot be looked into, from an origin
// that is sent a secret.
func (x *exchange) hidden() *abi.Problem {
	p := denied(ruleEncoding, "%s answered with something compressed that cannot be looked into, and it is sent a secret: permit opaque answers to it if it does not give the secret back", x.url.Origin)
	p.RequestSent = true
	return p
}

// pump reads ahead, so that a pause can be told from an end.
func (in *incoming) pump() {
	defer close(in.pieces)
	for {
		b := make([]byte, pumpSize)
		n, err := in.src.Read(b)
		select {
		case in.pieces <- piece{b[:n], err}:
		case <-in.stop:
			return
		}
		if err != nil {
			return
		}
	}
}

// Read implements io.Reader.
func (in *incoming) Read(p []byte) (int, error) {
	for len(in.ready) == 0 && in.err == nil {
		in.next()
		if in.hidden {
			in.ready, in.err = nil, in.closed
		}
	}
	n := copy(p, in.ready)
	in.ready = in.ready[n:]
	if n == 0 {
		return 0, in.err
	}
	return n, nil
}

// next waits for a piece, or lets go what was kept back when none comes.
func (in *incoming) next() {
	var quiet <-chan time.Time
	if in.stream.Held() > 0 {
		t := time.NewTimer(quietTime)
		defer t.Stop()
		quiet = t.C
	}
	select {
	case <-quiet:
		in.ready = in.stream.Flush()
	case c := <-in.pieces:
		if n := in.read.Add(int64(len(c.b))); n > in.limit.bytes {
			in.ready, in.err = nil, in.broken(nil)
			return
		}
		in.ready = in.stream.Write(c.b)
		switch {
		case errors.Is(c.err, io.EOF):
			in.ready, in.err = append(slices.Clip(in.ready), in.stream.Flush()...), io.EOF
		case c.err != nil:
			in.err = in.broken(c.err)
		}
	}
}

// broken is the problem of an answer that ends early; err is nil if it is too large.
func (in *incoming) broken(err error) *abi.Problem {
	if err == nil {
		p := tooLarge("response", in.limit.name, in.limit.bytes)
		p.RequestSent = true
		return p
	}
	return in.fail(err)
}

// Close implements io.Closer and tells the observer.
func (in *incoming) Close() error {
	if in.done == nil {
		return nil
	}
	err := in.raw.Close()
	if in.stop != nil {
		close(in.stop)
		for range in.pieces { // until the reader is gone
		}
	}
	in.ev.Received = in.read.Load()
	var p *abi.Problem
	errors.As(in.err, &p)
	in.done(p)
	in.done = nil
	return err
}

// lazyDeflate reads zlib (RFC 9110 section 8.4.1.2), or the bare deflate that some
// servers mean by it.
type lazyDeflate struct {
	src io.Reader
	z   io.Reader
}

func (l *lazyDeflate) Read(p []byte) (int, error) {
	if l.z == nil {
		b := bufio.NewReader(l.src)
		head, err := b.Peek(2)
		if err != nil {
			return 0, err
		}
		if head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
			if l.z, err = zlib.NewReader(b); err != nil {
				return 0, err
			}
		} else {
			l.z = flate.NewReader(b)
		}
	}
	return l.z.Read(p)
}

// laneHeaders returns the headers of an answer for a box, without those of the
// connection, and without what leads around the broker.
func laneHeaders(in http.Header, clean func(string) string) http.Header {
	in = in.Clone()
	for _, v := range in["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			in.Del(strings.TrimSpace(name))
		}
	}
	in.Del("Content-Length")
	out := http.Header{}
	for name, values := range answerHeaders(in, clean) {
		if token(name) {
			out[http.CanonicalHeaderKey(name)] = values
		}
	}
	return out
}

// dropDigests takes off what is not true of an altered body (RFC 9530).
func dropDigests(h http.Header) {
	for _, key := range []string{"Content-Digest", "Repr-Digest", "Digest", "Content-Md5"} {
		h.Del(key)
	}
}
