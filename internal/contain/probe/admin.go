package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/internal/contain"
)

// tokens of the server under attack; the attacker has the operator's.
const (
	token    = "operator-token-operator-token-0123456789"
	approver = "approver-token-approver-token-0123456789"
)

// counting is a Backend that counts how often it is stopped; whatever else is called
// fails, and is answered as an error.
type counting struct {
	admin.Backend
	stops, looks atomic.Int64
}

// Stop implements admin.Backend.
func (c *counting) Stop(context.Context) error { c.stops.Add(1); return nil }

// Status implements admin.Backend.
func (c *counting) Status(context.Context) (admin.Status, error) {
	c.looks.Add(1)
	return admin.Status{}, nil
}

// smuggle is one message whose end two readers may see in different places. Its tail
// is a request of its own, which must not be served.
type smuggle struct {
	name string
	head string // header lines between Host and the empty line, with %d for the length of what follows
	body string // before the tail
}

func smuggles() []smuggle {
	var all []smuggle
	for _, te := range []string{
		"Transfer-Encoding: chunked", "Transfer-Encoding : chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked",
		"Transfer-Encoding:\tchunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked",
		"Transfer_Encoding: chunked", "X: y\nTransfer-Encoding: chunked", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: \x0bchunked",
		"transfer-encoding: CHUNKED", " Transfer-Encoding: chunked", "Transfer-Encoding\x00: chunked", "Transfer-Encoding: chunk", "Transfer-Encoding: chunked\x00", "Transfer-Encoding: cow, chunked",
	} {
		all = append(all, smuggle{fmt.Sprintf("both lengths, %q", te), "Content-Length: %d\r\n" + te, "0\r\n\r\n"})
	}
	for _, cl := range []string{
		"Content-Length: %d\r\nContent-Length: 0", "Content-Length: 0\r\nContent-Length: %d", "Content-Length: %d, 0", "Content-Length: +%d", "Content-Length: 0x%x",
		"Content-Length : %d", "Content-Length: -0\r\nX-Content-Length: %d", "Content-Length: %d 0", "Content-Length:\r\n %d", "Content_Length: 0\r\nContent-Length: %d", "Content-Length: 0%d", "Content-Length: %d\x00",
	} {
		all = append(all, smuggle{fmt.Sprintf("length %q", cl), cl, ""})
	}
	for _, chunk := range []string{"0x0\r\n\r\n", "00000000000000000000\r\n\r\n0\r\n\r\n", "-0\r\n\r\n", "0\n\n", "0;ext\n\r\n", "1\r\nZZ\r\n0\r\n\r\n", "0\r\nX: y\n\n", "fffffffffffffffff0\r\n", " 0\r\n\r\n", "0 \r\r\n"} {
		all = append(all, smuggle{fmt.Sprintf("chunk %q, with a length as well", chunk), "Content-Length: %d\r\nTransfer-Encoding: chunked", chunk})
	}
	return all
}

// Smuggling sends messages with two ends to the admin API.
func Smuggling(ctx context.Context) (_ contain.Figure, err error) {
	b := &counting{}
	s, err := admin.Listen(ctx, admin.Config{Listen: "127.0.0.1:0", Token: token, Approve: approver, Backend: b, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return contain.Figure{}, err
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err = errors.Join(err, s.Shutdown(end), <-served)
	}()
	at := strings.TrimPrefix(s.Address(), "http://")
	common := "Host: " + at + "\r\nAuthorization: Bearer " + token + "\r\n"
	if err := send(at, "GET /api/status HTTP/1.1\r\n"+common+"Connection: close\r\n\r\n"); err != nil || b.looks.Load() != 1 {
		return contain.Figure{}, fmt.Errorf("the API does not answer: %w", errors.Join(err, errors.New("no look")))
	}
	tail := "POST /api/stop HTTP/1.1\r\n" + common + "Content-Length: 0\r\nConnection: close\r\n\r\n"
	var served2 []string
	cases := smuggles()
	for _, c := range cases {
		head := c.head
		if strings.Contains(head, "%") {
			head = fmt.Sprintf(head, len(c.body)+len(tail))
		}
		before := b.stops.Load()
		if err := send(at, "GET /api/status HTTP/1.1\r\n"+common+head+"\r\n\r\n"+c.body+tail); err != nil {
			return contain.Figure{}, err
		}
		if b.stops.Load() != before {
			served2 = append(served2, c.name)
		}
	}
	return contain.Share("D smuggled requests that the admin API served", len(served2), len(cases), strings.Join(served2, ", ")), nil
}

// send writes raw bytes to a server and waits for the end of what it answers.
func send(at, raw string) error {
	c, err := net.Dial("tcp", at)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := io.WriteString(c, raw); err != nil {
		return nil // refused before the end
	}
	_, _ = io.Copy(io.Discard, c)
	return nil
}
