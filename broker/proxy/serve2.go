package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// maxStreams bounds the requests that one HTTP/2 connection has at once.
const maxStreams = 32

// serve2 answers the requests on one HTTP/2 connection. Each stream is judged like a
// request of its own.
func (t *tunnel) serve2(ctx context.Context, c *tls.Conn) {
	var only http.Protocols
	only.SetHTTP2(true)
	s := &http.Server{
		Handler: http.HandlerFunc(t.stream), Protocols: &only, MaxHeaderBytes: maxHead,
		ReadHeaderTimeout: t.cfg.Limits.Head, IdleTimeout: t.cfg.Limits.Idle,
		HTTP2:       &http.HTTP2Config{MaxConcurrentStreams: maxStreams, WriteByteTimeout: t.cfg.Limits.Stall},
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	one := &oneConn{c: c, closed: make(chan struct{})}
	s.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			_ = one.Close()
		}
	}
	_ = s.Serve(one) // until the connection ends
}

// stream answers one request.
func (t *tunnel) stream(w http.ResponseWriter, req *http.Request) {
	control := http.NewResponseController(w)
	r := &request{method: req.Method, target: req.RequestURI, host: req.Host, header: req.Header.Clone(), length: req.ContentLength, size: headSize(req)}
	named := r.header["Host"]
	ownHop(r.header)
	for _, key := range []string{"Host", "Content-Length", "Expect"} {
		delete(r.header, key)
	}
	if r.length != 0 {
		r.body = stalling{req.Body, control, t.cfg.Limits.Stall}
	}
	if len(named) > 0 {
		t.refusal(w, malformed("a host header beside the authority"))
		return
	}
	a, err := t.pass(req.Context(), r)
	if err != nil {
		t.refusal(w, err)
		return
	}
	defer func() { _ = a.Body.Close() }()
	for key, values := range a.Header {
		w.Header()[key] = values
	}
	if a.Length >= 0 && a.Status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.FormatInt(a.Length, 10))
	}
	w.WriteHeader(a.Status)
	src := receiving{a.Body, t.meter}
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			_ = control.SetWriteDeadline(time.Now().Add(t.cfg.Limits.Stall))
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			if a.Length < 0 {
				_ = control.Flush()
			}
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // resets the stream: something is missing
		}
	}
}

func (t *tunnel) refusal(w http.ResponseWriter, err error) {
	p := problemOf(err)
	if p == nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status(p))
	_, _ = w.Write(body(p))
}

// headSize is about what the head of a request takes.
func headSize(req *http.Request) int64 {
	n := len(req.Method) + len(req.RequestURI) + len(req.Host)
	for key, values := range req.Header {
		for _, v := range values {
			n += len(key) + len(v)
		}
	}
	return int64(n)
}

// stalling is a body that has to go on.
type stalling struct {
	io.Reader
	control *http.ResponseController
	stall   time.Duration
}

// Read implements io.Reader.
func (s stalling) Read(p []byte) (int, error) {
	_ = s.control.SetReadDeadline(time.Now().Add(s.stall))
	return s.Reader.Read(p)
}

// oneConn is a listener that gives one connection, and ends when that does.
type oneConn struct {
	c      *tls.Conn
	once   sync.Once
	closed chan struct{}
	given  bool
}

// Accept implements net.Listener.
func (o *oneConn) Accept() (net.Conn, error) {
	if !o.given {
		o.given = true
		return o.c, nil
	}
	<-o.closed
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (o *oneConn) Close() error {
	o.once.Do(func() { close(o.closed) })
	return nil
}

// Addr implements net.Listener.
func (o *oneConn) Addr() net.Addr { return o.c.LocalAddr() }
