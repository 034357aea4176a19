package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/mcp"
	"github.com/glovebox-dev/glovebox/mcp/reason"
)

// remoteBench reaches a handler through the broker.
func remoteBench(t *testing.T, h http.Handler, auth mcp.Authorizer) *bench {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	op, err := broker.NewOperator(broker.OperatorConfig{Origins: []abi.Origin{abi.Origin(srv.URL)}})
	if err != nil {
		t.Fatal(err)
	}
	link, err := mcp.Remote(srv.URL+"/mcp", op, auth)
	if err != nil {
		t.Fatal(err)
	}
	return newBench(t, link, nil)
}

// web answers as a script does, one message a request.
func web(tools string, on func(w http.ResponseWriter, r *http.Request, m frame) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.Error(w, "no", http.StatusMethodNotAllowed)
			return
		}
		body, _ := io.ReadAll(r.Body)
		var m frame
		_ = json.Unmarshal(body, &m)
		if on != nil && on(w, r, m) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		switch m.Method {
		case "initialize":
			fmt.Fprint(w, result(m, `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"web","version":"1"}}`))
		case "tools/list":
			fmt.Fprint(w, result(m, `{"tools":`+tools+`}`))
		case "tools/call":
			fmt.Fprint(w, result(m, `{"content":[{"type":"text","text":"said"}]}`))
		case "server/discover":
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no such method"}}`, m.ID)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	}
}

func TestARemoteToolIsCalled(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	b := remoteBench(t, web(oneTool(), func(_ http.ResponseWriter, r *http.Request, _ frame) bool {
		if r.Header.Get("Authorization") == "Bearer fresh" {
			seen.Add(1)
		}
		return false
	}), func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer fresh")
		return nil
	})
	b.approve(t)
	out, err := b.echo(t.Context())
	if err != nil || out.Content[0].Text != "said" || seen.Load() < 4 {
		t.Errorf("got %+v, %v; %d requests with credentials", out, err, seen.Load())
	}
}

// A redirect is an answer of the server's, and leads nowhere else.
func TestRedirectsStayAtHome(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	t.Cleanup(elsewhere.Close)
	for _, to := range []string{
		"http://169.254.169.254/latest/meta-data/", elsewhere.URL, "https://example.com/mcp", "http://[::ffff:169.254.169.254]/",
		"http://localhost/mcp", "file:///etc/passwd", "http://168.63.129.16/", "http://[64:ff9b::a9fe:a9fe]/",
	} {
		for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
			t.Run(fmt.Sprint(status, " ", to), func(t *testing.T) {
				t.Parallel()
				b := remoteBench(t, web(oneTool(), func(w http.ResponseWriter, r *http.Request, m frame) bool {
					if m.Method == "tools/list" {
						http.Redirect(w, r, to, status)
					}
					return m.Method == "tools/list"
				}), nil)
				_, _, err := mcp.Probe(t.Context(), b.config)
				wantReason(t, err, reason.Redirect)
			})
		}
	}
	t.Cleanup(func() {
		if reached.Load() {
			t.Error("another origin was reached")
		}
	})
}

func TestHostileAnswersOverHTTP(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		do   func(w http.ResponseWriter, m frame)
		want reason.Reason
	}{
		{"a giant body", func(w http.ResponseWriter, _ frame) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.Copy(w, strings.NewReader(`{"x":"`+strings.Repeat("x", mcp.MaxFrame)))
		}, reason.Oversize},
		{"a giant event", func(w http.ResponseWriter, _ frame) {
			w.Header().Set("Content-Type", "text/event-stream")
			for range 17 {
				_, _ = io.WriteString(w, "data: "+strings.Repeat("x", 1<<20)+"\n")
			}
		}, reason.Oversize},
		{"events without end", func(w http.ResponseWriter, _ frame) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, strings.Repeat("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":1}}\n\n", 3000))
		}, reason.Flood},
		{"an event that is no JSON", func(w http.ResponseWriter, _ frame) {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			_, _ = io.WriteString(w, "event: message\ndata: {\"a\":1,\"a\":2}\n\n")
		}, reason.Malformed},
		{"a body that is no JSON", func(w http.ResponseWriter, _ frame) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "<html>")
		}, reason.Malformed},
		{"credentials that no longer hold", func(w http.ResponseWriter, _ frame) { w.WriteHeader(http.StatusUnauthorized) }, reason.Reauth},
		{"a server that is down", func(w http.ResponseWriter, _ frame) { w.WriteHeader(http.StatusBadGateway) }, reason.Down},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := remoteBench(t, web(oneTool(), func(w http.ResponseWriter, _ *http.Request, m frame) bool {
				if m.Method == "tools/list" {
					c.do(w, m)
				}
				return m.Method == "tools/list"
			}), nil)
			_, _, err := mcp.Probe(t.Context(), b.config)
			wantReason(t, err, c.want)
		})
	}
}

// An event may be split over lines, and over packets.
func TestEventsInPieces(t *testing.T) {
	t.Parallel()
	b := remoteBench(t, web(oneTool(), func(w http.ResponseWriter, _ *http.Request, m frame) bool {
		if m.Method != "tools/call" {
			return false
		}
		w.Header().Set("Content-Type", "text/event-stream")
		text := ": hello\r\n\r\nevent: message\r\nid: 1\r\ndata: " + result(m, `{"content":[{"type":"text","text":"said"}]}`) + "\r\n\r\n"
		for _, c := range []byte(text) {
			_, _ = w.Write([]byte{c})
			w.(http.Flusher).Flush()
		}
		return true
	}), nil)
	b.approve(t)
	out, err := b.echo(t.Context())
	if err != nil || out.Content[0].Text != "said" {
		t.Errorf("got %+v, %v", out, err)
	}
}
