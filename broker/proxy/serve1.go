package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
)

// maxDrain is how much of a body that nobody wanted is read so that another request can
// follow.
const maxDrain = 1 << 20

// serve1 answers the requests on one connection, one after the other, in HTTP/1.1.
func (t *tunnel) serve1(ctx context.Context, c net.Conn) {
	in := bufio.NewReaderSize(c, maxHead)
	for {
		_ = c.SetReadDeadline(time.Now().Add(t.cfg.Limits.Idle))
		if _, err := in.Peek(1); err != nil {
			return
		}
		_ = c.SetReadDeadline(time.Now().Add(t.cfg.Limits.Head))
		h, err := readHead(in)
		if err != nil {
			if problem := problemOf(err); problem != nil {
				t.reject(ctx, slowWriter{c, t.cfg.Limits.Stall}, t.origin, "", problem, "")
			}
			return
		}
		if !t.exchange(ctx, c, in, h) {
			return
		}
	}
}

// exchange answers one request; more tells whether another may follow.
func (t *tunnel) exchange(ctx context.Context, c net.Conn, in *bufio.Reader, h *head) (more bool) {
	out := bufio.NewWriter(slowWriter{c, t.cfg.Limits.Stall})
	r := &request{method: h.method, target: h.target, host: h.host, header: h.header, length: h.length, upgrade: h.upgrade, size: h.size}
	var body *incoming
	if h.length != 0 {
		body = newIncoming(c, in, h, t.cfg.Limits.Stall)
		if h.expect {
			body.before = func() error {
				_, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
				return err
			}
		}
		r.body = body
	}
	a, err := t.pass(ctx, r)
	if err != nil {
		problem := problemOf(err)
		if problem == nil {
			return false
		}
		return writeRefusal(out, problem, h.method == http.MethodHead) == nil && !h.close && body.drained()
	}
	if a.Socket != nil {
		t.socket(c, in, out, a)
		return false
	}
	more = t.write(out, h, a) && body.drained()
	if err := a.Body.Close(); err != nil {
		return false
	}
	return more && out.Flush() == nil && !h.close
}

// write writes an answer; more tells whether the connection is still good.
func (t *tunnel) write(out *bufio.Writer, h *head, a *broker.Answer) (more bool) {
	bare := h.method == http.MethodHead || a.Status == http.StatusNoContent || a.Status == http.StatusNotModified
	chunked := !bare && a.Length < 0 && !h.old
	writeHead(out, a.Status, a.Header)
	switch {
	case chunked:
		_, _ = io.WriteString(out, "Transfer-Encoding: chunked\r\n")
	case a.Length >= 0 && a.Status != http.StatusNoContent:
		_, _ = fmt.Fprintf(out, "Content-Length: %d\r\n", a.Length)
	}
	if h.close {
		_, _ = io.WriteString(out, "Connection: close\r\n")
	}
	_, _ = io.WriteString(out, "\r\n")
	if bare {
		return out.Flush() == nil
	}
	src := receiving{a.Body, t.meter}
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if chunked {
				_, _ = fmt.Fprintf(out, "%x\r\n", n)
			}
			_, _ = out.Write(buf[:n])
			if chunked {
				_, _ = io.WriteString(out, "\r\n")
			}
			if a.Length < 0 && out.Flush() != nil {
				return false
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false // without an end: the program sees that something is missing
		}
	}
	if chunked {
		_, _ = io.WriteString(out, "0\r\n\r\n")
	}
	return out.Flush() == nil && (chunked || a.Length >= 0)
}

// socket passes WebSocket frames until one side ends.
func (t *tunnel) socket(c net.Conn, in *bufio.Reader, out *bufio.Writer, a *broker.Answer) {
	writeHead(out, a.Status, a.Header)
	_, _ = io.WriteString(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if err := out.Flush(); err != nil {
		_ = c.Close()
	}
	_ = c.SetReadDeadline(time.Time{})
	_ = a.Socket.Relay(sending{in, t.meter}, receivingWriter{slowWriter{c, t.cfg.Limits.Stall}, t.meter}, func() { _ = c.Close() })
}

// writeHead writes a status line and header fields, without the empty line.
func writeHead(w io.Writer, status int, header http.Header) {
	_, _ = fmt.Fprintf(w, "HTTP/1.1 %03d %s\r\n", status, http.StatusText(status))
	_ = header.Write(w) // replaces line ends
}

// writeRefusal answers with the reason.
func writeRefusal(w io.Writer, p *abi.Problem, bare ...bool) error {
	doc := body(p)
	writeHead(w, status(p), http.Header{"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(doc))}})
	_, _ = io.WriteString(w, "\r\n")
	if len(bare) == 0 || !bare[0] {
		_, _ = w.Write(doc)
	}
	if b, ok := w.(*bufio.Writer); ok {
		return b.Flush()
	}
	return nil
}

// incoming is the body of one request of the box. A nil one is there and empty.
type incoming struct {
	c      net.Conn
	in     *bufio.Reader
	src    io.Reader
	stall  time.Duration
	chunks bool
	before func() error // before the first byte is read
	end    error
}

func newIncoming(c net.Conn, in *bufio.Reader, h *head, stall time.Duration) *incoming {
	b := &incoming{c: c, in: in, stall: stall, chunks: h.length < 0}
	if b.chunks {
		b.src = httputil.NewChunkedReader(in)
	} else {
		b.src = &exact{in, h.length}
	}
	return b
}

// Read implements io.Reader.
func (b *incoming) Read(p []byte) (int, error) {
	if b.end != nil {
		return 0, b.end
	}
	if before := b.before; before != nil {
		b.before = nil
		if b.end = before(); b.end != nil {
			return 0, b.end
		}
	}
	_ = b.c.SetReadDeadline(time.Now().Add(b.stall))
	n, err := b.src.Read(p)
	var broken net.Error
	switch {
	case err == nil || !b.chunks:
	case errors.Is(err, io.EOF):
		err = b.trailer()
	case !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &broken):
		err = malformed("a chunk that cannot be read")
	}
	b.end = err
	return n, err
}

// trailer reads the empty line behind the last chunk. Trailers are refused: nobody
// judges them.
func (b *incoming) trailer() error {
	line, err := b.in.ReadSlice('\n')
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	if string(line) != "\r\n" {
		return malformed("a trailer behind the body")
	}
	return io.EOF
}

// drained reads what is left of a body and reports whether its end was found.
func (b *incoming) drained() bool {
	if b == nil {
		return true
	}
	if b.before != nil {
		return false // it was not sent, or it was: only the client knows
	}
	_, err := io.Copy(io.Discard, io.LimitReader(b, maxDrain))
	return err == nil && errors.Is(b.end, io.EOF)
}

// exact reads n bytes, no fewer.
type exact struct {
	src io.Reader
	n   int64
}

// Read implements io.Reader.
func (e *exact) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n, err := e.src.Read(p[:min(int64(len(p)), e.n)])
	e.n -= int64(n)
	switch {
	case e.n == 0:
		err = io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// slowWriter gives up on a program that does not read.
type slowWriter struct {
	c     net.Conn
	stall time.Duration
}

// Write implements io.Writer.
func (s slowWriter) Write(p []byte) (int, error) {
	_ = s.c.SetWriteDeadline(time.Now().Add(s.stall))
	return s.c.Write(p)
}

// receivingWriter counts what goes into the box.
type receivingWriter struct {
	io.Writer
	m *meter
}

// Write implements io.Writer.
func (r receivingWriter) Write(p []byte) (int, error) {
	if r.m.received.Add(int64(len(p))) > r.m.limits.Received {
		return 0, spent("receive any")
	}
	return r.Writer.Write(p)
}
