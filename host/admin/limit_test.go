package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// talker emits events without end until one of them takes long.
type talker struct {
	fake
	ended chan struct{}
}

func (f talker) Chat(_ context.Context, _ ChatRequest, emit func(Event)) (ChatReply, error) {
	defer close(f.ended)
	text := strings.Repeat("x", 1<<20)
	for range 64 {
		emit(Event{"call", Call{Text: text}})
	}
	return ChatReply{}, nil
}

// TestClientThatTakesNothing: who does not read does not hold an agent up.
func TestClientThatTakesNothing(t *testing.T) {
	t.Parallel()
	b := talker{ended: make(chan struct{})}
	s, err := Listen(t.Context(), Config{Listen: "127.0.0.1:0", Token: testToken, Approve: approveToken, Backend: b, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.patience = 100 * time.Millisecond
	base, done := s.Address(), make(chan error, 1)
	go func() { done <- s.Serve() }()
	defer func() {
		if err := errors.Join(s.http.Close(), <-done); err != nil {
			t.Error(err)
		}
	}()
	c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	body := `{"message":"go on"}`
	_, err = fmt.Fprintf(c, "POST /api/chat HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		strings.TrimPrefix(base, "http://"), testToken, len(body), body)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-b.ended:
	case <-time.After(20 * time.Second):
		t.Error("the agent still waits for a client that reads nothing")
	}
}

// TestConnectionsAreBounded: those beyond the number wait, and are served when others end.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(raw, 2)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	var idle []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	for len(l.slots) < 2 { // until both were accepted
		time.Sleep(time.Millisecond)
	}
	third, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = third.Close() }()
	if _, err := io.WriteString(third, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := third.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := third.Read(make([]byte, 1)); err == nil {
		t.Errorf("a third connection was served: %d bytes", n)
	}
	for _, c := range idle {
		_ = c.Close()
	}
	if err := third.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(third); err != nil || !strings.HasSuffix(string(b), "hello") {
		t.Errorf("it was not served afterwards: %q, %v", b, err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	<-done
}

// TestListenerEndsWhileFull: a full listener can be closed.
func TestListenerEndsWhileFull(t *testing.T) {
	t.Parallel()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(raw, 0)
	done := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		done <- err
	}()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("a connection was accepted")
	}
}

// TestKeysAreSpelledExactly: encoding/json would take each of these for the key that
// a proxy before us, or a person, did not look at.
func TestKeysAreSpelledExactly(t *testing.T) {
	t.Parallel()
	_, base := start(t, fake{})
	for _, body := range []string{`{"message":"a","Message":"b"}`, `{"MESSAGE":"b"}`, `{"meſſage":"b"}`} {
		resp, text := send(t, base, request{method: "POST", path: "/api/chat", token: testToken, body: body})
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(text, "unknown field") {
			t.Errorf("%s: status %d: %s", body, resp.StatusCode, text)
		}
	}
}
