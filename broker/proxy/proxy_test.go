package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

// echo answers with what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(w, "%s %s host=%s auth=%q accept=%q ua=%q body=%s", r.Method, r.RequestURI, r.Host, r.Header["Authorization"], r.Header["Accept-Encoding"], r.Header["User-Agent"], b)
}

// A program that holds a placeholder gets its work done with the secret, and does not
// see it though the server says it back.
func TestSecretIsUsedAndNotSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var saw atomic.Value
	api := w.serve("api.example", func(rw http.ResponseWriter, r *http.Request) {
		saw.Store(r.Header.Get("Authorization"))
		rw.Header().Set("X-Echo", r.Header.Get("Authorization"))
		echo(rw, r)
	})
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}, Secrets: []abi.SecretRight{bearer(api)}})
	status, text := b.ask(api, get(api, "/v1/me?x=1", "Authorization: Bearer {{secret:gh}}"))
	if status != 200 || strings.Contains(text, planted) || !strings.Contains(text, "Bearer [secret:gh]") {
		t.Errorf("%d %q", status, text)
	}
	if saw.Load() != "Bearer "+planted {
		t.Errorf("the server saw %q", saw.Load())
	}
	e := w.eventually(func(e broker.Event) bool { return e.Status == 200 })
	if e.Box != "box-1" || e.Method != "GET" || e.Path != "/v1/me" || len(e.Secrets) != 1 || e.Secrets[0] != "gh-store" || len(e.Redacted) != 1 || e.Problem != nil || e.Received == 0 {
		t.Errorf("recorded %+v", e)
	}
}

// Each row is an attempt from inside a tunnel to the api; other is granted as well,
// without the secret.
func TestRefusalsInATunnel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var reached atomic.Int32
	count := func(rw http.ResponseWriter, r *http.Request) { reached.Add(1); echo(rw, r) }
	api := w.serve("api.example", count)
	other := w.serve("other.example", count)
	r := right(api)
	r.Paths = []string{"/v1/**"}
	header := abi.SecretRight{Name: "key", Store: "gh-store", Inject: abi.Injection{Kind: abi.InjectHeader, Name: "X-Key"}, Only: []abi.Origin{api}}
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{r, right(other)}, Secrets: []abi.SecretRight{bearer(api), header}})
	const auth = "Authorization: Bearer {{secret:gh}}"
	post := func(o abi.Origin, fields []string, body string) string {
		return "POST /v1/x HTTP/1.1\r\nHost: " + authorityOf(o) + "\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n" + body
	}
	tests := []struct {
		name   string
		origin abi.Origin
		text   string
		status int
		rule   string
	}{
		{"domain fronting", api, get("https://evil.example", "/v1/x"), 403, ruleName},
		{"no host", api, "GET /v1/x HTTP/1.1\r\n\r\n", 403, ruleName},
		{"another port in the host", api, get("https://api.example:1", "/v1/x"), 403, ruleName},
		{"user information in the host", api, get("https://a@"+abi.Origin(authorityOf(api)), "/v1/x"), 403, ruleName},
		{"two hosts", api, get(api, "/v1/x", "Host: evil.example"), 400, ruleRequest},
		{"a forbidden path", api, get(api, "/admin"), 403, "egress/path"},
		{"a path that climbs", api, get(api, "/v1/../admin"), 403, "egress/path"},
		{"a path that climbs, encoded", api, get(api, "/v1/%2e%2e/admin"), 403, "egress/path"},
		{"an encoded slash", api, get(api, "/v1%2fx"), 400, "egress/url"},
		{"a forbidden method", api, strings.Replace(get(api, "/v1/x"), "GET", "DELETE", 1), 403, "egress/method"},
		{"a method in lower case", api, strings.Replace(get(api, "/v1/x"), "GET", "get", 1), 400, ruleRequest},
		{"TRACE", api, strings.Replace(get(api, "/v1/x"), "GET", "TRACE", 1), 400, ruleRequest},
		{"an absolute target", api, strings.Replace(get(api, "/v1/x"), "GET /v1/x", "GET https://evil.example/v1/x", 1), 400, ruleRequest},
		{"an absolute target of this host", api, strings.Replace(get(api, "/v1/x"), "GET /v1/x", "GET "+string(api)+"/v1/x", 1), 400, ruleRequest},
		{"a network path", api, get(api, "//evil.example/v1/x"), 400, "egress/url"},
		{"a CONNECT in the tunnel", api, "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", 403, ruleConnect},
		{"both lengths", api, post(api, []string{"Content-Length: 3", "Transfer-Encoding: chunked"}, "0\r\n\r\n"), 400, ruleRequest},
		{"two lengths", api, post(api, []string{"Content-Length: 3", "Content-Length: 3"}, "abc"), 400, ruleRequest},
		{"a list of lengths", api, post(api, []string{"Content-Length: 3, 3"}, "abc"), 400, ruleRequest},
		{"a signed length", api, post(api, []string{"Content-Length: +3"}, "abc"), 400, ruleRequest},
		{"another transfer coding", api, post(api, []string{"Transfer-Encoding: gzip, chunked"}, "0\r\n\r\n"), 400, ruleRequest},
		{"a hidden transfer coding", api, post(api, []string{"Transfer-Encoding : chunked"}, "0\r\n\r\n"), 400, ruleRequest},
		{"a trailer", api, post(api, []string{"Transfer-Encoding: chunked"}, "3\r\nabc\r\n0\r\nAuthorization: Bearer mine\r\n\r\n"), 400, ruleRequest},
		{"a chunk that ends in LF", api, post(api, []string{"Transfer-Encoding: chunked"}, "3\nabc\r\n0\r\n\r\n"), 400, ruleRequest},
		{"a folded header", api, get(api, "/v1/x", "X-A: b", " c"), 400, ruleRequest},
		{"a line that ends in LF", api, strings.Replace(get(api, "/v1/x", "X-A: b"), "b\r\n", "b\n", 1), 400, ruleRequest},
		{"a bare CR", api, get(api, "/v1/x", "X-A: b\rX-B: c"), 400, ruleRequest},
		{"a NUL", api, get(api, "/v1/x", "X-A: b\x00"), 400, ruleRequest},
		{"a header as large as a head", api, get(api, "/v1/x", "X-A: "+strings.Repeat("a", maxHead)), 413, ruleRequest},
		{"many headers", api, get(api, "/v1/x", strings.Split(strings.Repeat("X: y\n", maxFields+1), "\n")[:maxFields+1]...), 400, ruleRequest},
		{"HTTP/2 without agreement", api, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, ruleProtocol},
		{"HTTP/2 by upgrade", api, get(api, "/v1/x", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAA"), 403, ruleProtocol},
		{"WebSocket", api, get(api, "/v1/x", "Connection: Upgrade", "Upgrade: websocket"), 403, ruleProtocol},
		{"gRPC", api, post(api, []string{"Content-Type: application/grpc", "Content-Length: 0"}, ""), 403, ruleProtocol},
		{"another expectation", api, get(api, "/v1/x", "Expect: 200-ok"), 400, ruleRequest},
		{"its own authorization", api, get(api, "/v1/x", "Authorization: Bearer mine"), 403, "egress/own-credentials"},
		{"its own authorization elsewhere", other, get(other, "/v1/x", "Authorization: Bearer mine"), 403, "egress/own-credentials"},
		{"its own cookie", other, get(other, "/v1/x", "Cookie: a=b"), 403, "egress/own-credentials"},
		{"its own value in the place of the secret", api, get(api, "/v1/x", "X-Key: mine"), 403, "egress/own-credentials"},
		{"the placeholder in another header", api, get(api, "/v1/x", "X-Other: {{secret:gh}}"), 403, "secret/misuse"},
		{"the placeholder in the query", api, get(api, "/v1/x?k={{secret:gh}}"), 403, "secret/misuse"},
		{"the placeholder in the path", api, get(api, "/v1/%7B%7Bsecret:gh%7D%7D"), 403, "secret/misuse"},
		{"the placeholder in a body", api, post(api, []string{"Content-Length: 15"}, "k={{secret:gh}}"), 403, "secret/misuse"},
		{"the placeholder for another host", other, get(other, "/v1/x", auth), 403, "secret/misuse"},
		{"the placeholder of another box", api, get(api, "/v1/x", "Authorization: Bearer {{secret:theirs}}"), 403, "secret/not-granted"},
		{"a header of ours", api, get(api, "/v1/x", "X-Glovebox-Auth: a"), 400, "egress/header"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &box{b.Proxy, t, w}
			before := reached.Load()
			status, text := b.ask(tt.origin, tt.text)
			if status != tt.status || !strings.Contains(text, `"rule":"`+tt.rule+`"`) {
				t.Errorf("got %d %s; want %d by %s", status, text, tt.status, tt.rule)
			}
			if n := reached.Load() - before; n != 0 {
				t.Errorf("%d requests reached a server", n)
			}
			e := w.last()
			if e.Problem == nil || e.Problem.Rule != tt.rule || e.Box != "box-1" {
				t.Errorf("recorded %+v, problem %+v", e, e.Problem)
			}
		})
	}
}

// What is not a tunnel to a granted host is refused before anything is resolved.
func TestRefusalsOnTheSocket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.serve("api.example", echo)
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}})
	connect := func(to string) string { return "CONNECT " + to + " HTTP/1.1\r\nHost: " + to + "\r\n\r\n" }
	tests := []struct {
		name, text string
		status     int
		rule       string
	}{
		{"a plain proxy request", "GET http://127.0.0.1:4766/ HTTP/1.1\r\nHost: 127.0.0.1:4766\r\n\r\n", 403, ruleConnect},
		{"a plain request to a granted name", "GET http://api.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n", 403, ruleConnect},
		{"a path", "GET / HTTP/1.1\r\nHost: api.example\r\n\r\n", 403, ruleConnect},
		{"metadata", connect("169.254.169.254:80"), 403, ruleNotGranted},
		{"a name that is not granted", connect("evil.example:443"), 403, ruleNotGranted},
		{"a granted name below a name", connect("x." + authorityOf(api)), 403, ruleNotGranted},
		{"another port", connect("api.example:22"), 403, ruleNotGranted},
		{"a trailing dot", connect(strings.Replace(authorityOf(api), "example", "example.", 1)), 400, ruleRequest},
		{"user information", connect("u@" + authorityOf(api)), 400, ruleRequest},
		{"no port", connect("api.example"), 400, ruleRequest},
		{"a number for an address", connect("2130706433:443"), 400, ruleRequest},
		{"another host header", "CONNECT " + authorityOf(api) + " HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403, ruleName},
		{"a body", "CONNECT " + authorityOf(api) + " HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400, ruleRequest},
		{"bytes that are no HTTP", "\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, ruleRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &box{b.Proxy, t, w}
			status, text := b.answer(bufio.NewReader(b.raw(tt.text)))
			if status != tt.status || !strings.Contains(text, `"rule":"`+tt.rule+`"`) {
				t.Errorf("got %d %s; want %d by %s", status, text, tt.status, tt.rule)
			}
			if e := w.last(); e.Problem == nil || e.Problem.Rule != tt.rule || e.Dialled.IsValid() || e.Resolved != nil {
				t.Errorf("recorded %+v", e)
			}
		})
	}
}

func TestHandshakeNamesTheHostOfTheTunnel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.serve("api.example", echo)
	other := w.serve("other.example", echo)
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api), right(other)}})
	for _, name := range []string{"other.example", "evil.example", ""} {
		c := b.raw("CONNECT " + authorityOf(api) + " HTTP/1.1\r\n\r\n")
		for line := "-"; line != ""; {
			var err error
			if line, err = readLine(c); err != nil {
				t.Fatal(err)
			}
		}
		err := tls.Client(c, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake() //nolint:gosec // the server decides
		if err == nil {
			t.Errorf("a handshake for %q in a tunnel to %s", name, api)
		}
		w.eventually(func(e broker.Event) bool {
			return e.Problem != nil && e.Problem.Rule == ruleName && strings.Contains(e.Problem.Message, fmt.Sprintf("%q", name)) && strings.Contains(e.Problem.Message, "api.example")
		})
	}
}

// Each request on a kept connection is judged, also those that are sent before the first
// is answered, and rights that are taken back count at once.
func TestEachRequestOfATunnelIsJudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.serve("api.example", echo)
	r := right(api)
	r.Paths = []string{"/v1/*"}
	rights := abi.Rights{HTTP: []abi.HTTPRight{r}}
	var now atomic.Pointer[abi.Rights]
	now.Store(&rights)
	b := w.box(t, rights, func(c *Config) { c.Rights = func() abi.Rights { return *now.Load() } })
	c := b.tunnelTo(api)
	in := bufio.NewReader(c)
	want := func(status int) {
		t.Helper()
		if got, text := b.answer(in); got != status {
			t.Errorf("got %d %s; want %d", got, text, status)
		}
	}
	_, _ = io.WriteString(c, get(api, "/v1/a")+get(api, "/admin")+get(api, "/v1/b")) // pipelined
	want(200)
	want(403)
	want(200)
	_, _ = io.WriteString(c, "POST /v1/c HTTP/1.1\r\nHost: "+authorityOf(api)+"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
	want(200)
	now.Store(&abi.Rights{})
	_, _ = io.WriteString(c, get(api, "/v1/d"))
	want(403)
	now.Store(&rights)
	_, _ = io.WriteString(c, get(api, "/v1/e"))
	want(200)
}

// An address that may not be reached any more is not reached over a connection of
// before, and a name that moves to one is not followed.
func TestAddressOfAKeptConnectionIsJudgedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.serve("api.example", echo)
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}})
	c := b.tunnelTo(api)
	in := bufio.NewReader(c)
	try := func(want int, rule string) {
		t.Helper()
		_, _ = io.WriteString(c, get(api, "/"))
		if status, text := b.answer(in); status != want || !strings.Contains(text, rule) {
			t.Errorf("got %d %s; want %d %s", status, text, want, rule)
		}
	}
	try(200, "")
	w.mu.Lock()
	opened := w.opened
	w.opened = nil
	w.mu.Unlock()
	try(403, "egress/private")
	w.mu.Lock()
	w.opened = opened
	w.mu.Unlock()
	try(200, "")
	at := w.eventually(func(e broker.Event) bool { return e.Dialled.IsValid() }).Dialled
	w.mu.Lock()
	w.listen = []netip.AddrPort{at}
	w.mu.Unlock()
	try(403, "egress/own-listener")
	w.mu.Lock()
	w.listen, w.hosts["api.example"] = nil, []netip.Addr{netip.MustParseAddr("169.254.169.254")}
	w.mu.Unlock()
	try(403, "egress/special-purpose")
}

// What a server makes of the secret is found however its answer is cut and coded.
func TestAnswersAreLookedThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.serve("api.example", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Digest", "sha-256=:x:")
		rw.Header().Set("Set-Cookie", "a=b")
		text := "before " + planted + " after"
		switch r.URL.Path {
		case "/short":
			_, _ = io.WriteString(rw, text)
		case "/drops":
			for i := range len(text) {
				_, _ = io.WriteString(rw, text[i:i+1])
				rw.(http.Flusher).Flush()
			}
		case "/pauses":
			for _, part := range []string{text[:12], text[12:20], text[20:]} {
				_, _ = io.WriteString(rw, part)
				rw.(http.Flusher).Flush()
				time.Sleep(100 * time.Millisecond)
			}
		case "/long":
			_, _ = io.WriteString(rw, strings.Repeat("0123456789abcde\n", 20<<10)+text+strings.Repeat("x", 100<<10))
		case "/gzip":
			rw.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(rw)
			_, _ = io.WriteString(z, text)
			_ = z.Close()
		case "/br":
			rw.Header().Set("Content-Encoding", "br")
			_, _ = io.WriteString(rw, text)
		case "/spaced":
			_, _ = io.WriteString(rw, strings.Join(strings.Split(text, ""), " "))
		}
	})
	for path, size := range map[string]int{"/short": 0, "/drops": 0, "/pauses": 0, "/long": 420 << 10, "/gzip": 0, "/spaced": 0} {
		b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}, Secrets: []abi.SecretRight{bearer(api)}})
		resp, err := b.client().Get(string(api) + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || len(text) < size {
			t.Errorf("%s: %d, %d bytes, %v", path, resp.StatusCode, len(text), err)
		}
		if strings.Contains(string(text), planted) || !strings.Contains(string(text), "[secret:gh]") || path != "/spaced" && !strings.HasSuffix(strings.TrimRight(string(text), "x"), " after") {
			t.Errorf("%s: %.300q", path, text)
		}
		if resp.Header.Get("Content-Digest") != "" || resp.Header.Get("Set-Cookie") != "" || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: headers %v", path, resp.Header)
		}
	}
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}})
	if status, text := b.ask(api, get(api, "/br")); status != 502 || !strings.Contains(text, "egress/encoding") {
		t.Errorf("an unknown coding: %d %s", status, text)
	}
}

// Events of a server come through while it goes on.
func TestStreamsComeThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	next := make(chan string)
	api := w.serve("api.example", func(rw http.ResponseWriter, r *http.Request) {
		for text := range next {
			_, _ = io.WriteString(rw, text)
			rw.(http.Flusher).Flush()
		}
	})
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}, Secrets: []abi.SecretRight{bearer(api)}})
	go func() { next <- "data: 1\n\n" }()
	resp, err := b.client().Get(string(api) + "/events")
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(resp.Body)
	for i := range 3 {
		if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i+1) {
			t.Fatalf("%q, %v", line, err)
		}
		_, _ = in.ReadString('\n')
		next <- fmt.Sprintf("data: %d\n\n", i+2)
	}
	close(next)
	_, _ = io.Copy(io.Discard, in)
	_ = resp.Body.Close()
}

// The second time that a stored value is met, the box is cut off.
func TestSecondReflectionCutsTheBox(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.serve("api.example", echo)
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}, Secrets: []abi.SecretRight{bearer(api)}})
	auth := get(api, "/", "Authorization: Bearer {{secret:gh}}")
	c := b.tunnelTo(api)
	in := bufio.NewReader(c)
	for i, want := range []int{200, 200, 403} {
		_, _ = io.WriteString(c, auth)
		if status, text := b.answer(in); status != want || want == 403 && !strings.Contains(text, ruleCut) {
			t.Errorf("request %d: %d %s; want %d", i+1, status, text, want)
		}
	}
	if status, text := b.answer(bufio.NewReader(b.raw("CONNECT " + authorityOf(api) + " HTTP/1.1\r\n\r\n"))); status != 403 || !b.Status().Cut {
		t.Errorf("a tunnel afterwards: %d %s", status, text)
	}
}

// A box that got hold of a value cannot send it, whole or in a stream.
func TestBodiesAreLookedThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var seen bytes.Buffer
	api := w.serve("api.example", func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(&seen, r.Body)
	})
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}})
	text := strings.Repeat("some text\n", 30<<10) + planted + strings.Repeat("more text\n", 30<<10)
	status, answer := b.ask(api, fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", authorityOf(api), len(text), text))
	if status != 403 || !strings.Contains(answer, "secret/leak") {
		t.Errorf("%d %s", status, answer)
	}
	if status, answer = b.ask(api, get(api, "/?a="+planted)); status != 403 || !strings.Contains(answer, "secret/leak") {
		t.Errorf("in the query: %d %s", status, answer)
	}
	if strings.Contains(seen.String(), planted) {
		t.Error("the server got the value")
	}
}

// Each budget of a box ends what goes over it.
func TestBudgets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.serve("api.example", func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(rw, strings.Repeat("x", 4000))
	})
	rights := abi.Rights{HTTP: []abi.HTTPRight{right(api)}}
	limited := func(f func(*Limits)) *box {
		return w.box(t, rights, func(c *Config) { f(&c.Limits) })
	}
	b := limited(func(l *Limits) { l.Requests = 2 }) // the CONNECT is one
	c := b.tunnelTo(api)
	in := bufio.NewReader(c)
	_, _ = io.WriteString(c, get(api, "/")+get(api, "/"))
	if status, _ := b.answer(in); status != 200 {
		t.Errorf("the first request: %d", status)
	}
	if status, text := b.answer(in); status != 429 || !strings.Contains(text, ruleQuota) {
		t.Errorf("requests: %d %s", status, text)
	}
	b = limited(func(l *Limits) { l.Sent = 2000 })
	post := fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 40000\r\n\r\n%s", authorityOf(api), strings.Repeat("y", 40000))
	if status, text := b.ask(api, post); status != 429 || !strings.Contains(text, ruleQuota) {
		t.Errorf("sent: %d %s", status, text)
	}
	b = limited(func(l *Limits) { l.Received = 2000 })
	if status, text := b.ask(api, get(api, "/")); status == 200 && len(text) >= 4000 {
		t.Errorf("received: %d, %d bytes", status, len(text))
	}
	for name, f := range map[string]func(*Limits){
		"requests": func(l *Limits) { l.Requests = 0 }, "sent": func(l *Limits) { l.Sent = 0 }, "rate": func(l *Limits) { l.Rate = 0 },
	} {
		cfg := Config{Broker: w.broker, Box: "b", Rights: func() abi.Rights { return rights }, Dir: filepath.Join(shortDir(t), "e"), Limits: DefaultLimits()}
		f(&cfg.Limits)
		if _, err := Listen(cfg); err == nil {
			t.Errorf("a box without a limit of %s", name)
		}
	}
}

// A program that sends its head, or its body, byte by byte, or does not read, loses its
// connection, and the slot of it.
func TestSlowProgramsLoseTheirConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.serve("api.example", echo)
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}}, func(c *Config) {
		c.Limits.Head, c.Limits.Stall, c.Limits.Idle, c.Limits.Connections = 100*time.Millisecond, 100*time.Millisecond, 200*time.Millisecond, 1
	})
	ended := func(c io.Reader) {
		t.Helper()
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("the connection stays: %v", err)
		}
	}
	ended(b.raw("CONNECT api"))
	ended(b.raw("CONNECT " + authorityOf(api) + " HTTP/1.1\r\n\r\n")) // no handshake
	ended(b.tunnelTo(api))                                            // no request
	c := b.tunnelTo(api)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: ")
	ended(c)
	c = b.tunnelTo(api)
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: "+authorityOf(api)+"\r\nContent-Length: 9\r\n\r\nabc")
	ended(c)
}

// The authority of a box is good for its hosts and nothing else.
func TestAuthorityIsConstrained(t *testing.T) {
	t.Parallel()
	a, err := newAuthority([]string{"api.example"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(a.pem())
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !ca.PermittedDNSDomainsCritical || !ca.MaxPathLenZero || ca.MaxPathLen != 0 || ca.KeyUsage != x509.KeyUsageCertSign || time.Until(ca.NotAfter) > caLife {
		t.Errorf("the authority: %+v", ca)
	}
	if _, err := a.certificate("other.example", time.Now()); err == nil {
		t.Error("a leaf of another host")
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	verify := func(host string) error {
		c, err := a.certificate(host, time.Now())
		if err != nil {
			return err
		}
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			return err
		}
		_, err = leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host})
		return err
	}
	if err := verify("api.example"); err != nil {
		t.Error(err)
	}
	a.hosts = append(a.hosts, "bank.example") // as if the key had been stolen
	if err := verify("bank.example"); err == nil {
		t.Error("a leaf outside of the constraints is believed")
	}
}

// Another user's process is not answered, though it could open the socket.
func TestPeerIsChecked(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "root", func() error {
		if os.Geteuid() != 0 {
			return errors.New("only root can give a socket to somebody else")
		}
		return nil
	})
	w := newWorld(t)
	api := w.serve("api.example", echo)
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}}, func(c *Config) { c.UID = 12345 })
	if n, err := b.raw("CONNECT " + authorityOf(api) + " HTTP/1.1\r\n\r\n").Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("a process of another user is answered")
	}
	w.eventually(func(e broker.Event) bool { return e.Problem != nil && e.Problem.Rule == rulePeer })
}

func TestSocketIsOfOneUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.serve("api.example", echo)
	rights := abi.Rights{HTTP: []abi.HTTPRight{right(api)}}
	b := w.box(t, rights)
	for path, want := range map[string]os.FileMode{b.Socket(): 0o600, filepath.Dir(b.Socket()): 0o700} {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, fi.Mode(), err, want)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(b.Socket())); err == nil {
		t.Error("the socket outlives the box")
	}
	for name, f := range map[string]func(*Config){
		"a wildcard": func(c *Config) {
			c.Rights = func() abi.Rights { return abi.Rights{HTTP: []abi.HTTPRight{right("https://*.example")}} }
		},
		"an address": func(c *Config) {
			c.Rights = func() abi.Rights { return abi.Rights{HTTP: []abi.HTTPRight{right("https://192.0.2.1")}} }
		},
		"plain http": func(c *Config) {
			c.Rights = func() abi.Rights { return abi.Rights{HTTP: []abi.HTTPRight{right("http://api.example")}} }
		},
		"nothing":            func(c *Config) { c.Rights = func() abi.Rights { return abi.Rights{} } },
		"a directory in use": func(c *Config) { c.Dir = t.TempDir() },
		"a long path":        func(c *Config) { c.Dir += strings.Repeat("x", 100) },
	} {
		cfg := Config{Broker: w.broker, Box: "b", Rights: func() abi.Rights { return rights }, Dir: filepath.Join(shortDir(t), "e"), UID: os.Geteuid(), Limits: DefaultLimits()}
		f(&cfg)
		if p, err := Listen(cfg); err == nil {
			_ = p.Close()
			t.Errorf("a box with %s", name)
		}
	}
}
