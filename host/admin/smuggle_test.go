package admin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestMessageWithTwoLengthsEndsItsConnection: a message that gives its length twice may
// end elsewhere for whoever stands before the daemon (RFC 9112 section 6.1).
func TestMessageWithTwoLengthsEndsItsConnection(t *testing.T) {
	t.Parallel()
	s, _ := start(t, fake{})
	conn, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	request := "POST /api/chat HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n" +
		"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"message\":\"hi\"}\r\n0\r\n\r\n"
	_, _ = fmt.Fprintf(conn, request, s.listener.Addr(), testToken)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	if !resp.Close {
		t.Errorf("status %d, and the connection stays", resp.StatusCode)
	}
	if _, err := r.ReadByte(); err == nil {
		t.Error("the daemon answers another message on this connection")
	}
}
