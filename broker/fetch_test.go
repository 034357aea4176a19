package broker

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

func TestFetchReturnsWhatTheServerSaw(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{false, true} {
		k := newKit(t)
		var got string
		port := k.serve(plain, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got = fmt.Sprintf("%s %s %s %s %q %s", r.Method, r.Host, r.RequestURI, r.Header.Get("X-One"), b, r.UserAgent())
			w.Header().Set("X-Glovebox-Error", "denied")
			w.Header().Set("X-Answer", "Yes")
			w.WriteHeader(201)
			_, _ = io.WriteString(w, "made")
		})
		scheme := map[bool]string{true: "http", false: "https"}[plain]
		origin := at(scheme, "a.example", port)
		k.open(origin)
		resp, body, p := k.fetch(abi.FetchRequest{URL: origin + "/a/../b%2Dc|d?q=1&r=%20", Method: "post", Headers: map[string][]string{"x-one": {"1"}}}, "hello")
		if p != nil {
			t.Fatal(p)
		}
		u, err := abi.ParseURL(origin + "/a/../b%2Dc|d?q=1&r=%20")
		if err != nil {
			t.Fatal(err)
		}
		host, _ := splitOrigin(u.Origin)
		want := fmt.Sprintf("POST %s %s?%s 1 %q glovebox/1.2.3", host, u.Path, u.Query, "hello")
		if got != want {
			t.Errorf("server saw  %s\nwant        %s", got, want)
		}
		if resp.Status != 201 || body != "made" || resp.Length != 4 || resp.URL != u.String() || resp.Headers["x-answer"][0] != "Yes" {
			t.Errorf("%+v %q", resp, body)
		}
		if _, ok := resp.Headers["x-glovebox-error"]; ok {
			t.Error("a server forged x-glovebox-error")
		}
		if e := k.lastEvent(); e.Status != 201 || e.Sent != 5 || e.Received != 4 || e.Origin != u.Origin || e.Path != u.Path || e.Caller != testCaller {
			t.Errorf("event %+v", e)
		}
	}
}

func TestRightsAreMatchedInOrderOriginMethodPath(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
	origin := at("https", "a.example", port)
	k.open(origin)
	k.rights.HTTP = []abi.HTTPRight{{Origin: abi.OriginPattern(origin), Methods: []string{"GET"}, Paths: []string{"/repos/**"}, Rule: "grants/web.yaml:4"}}
	cases := []struct {
		name, method, url string
		code              abi.Code
		rule              string
	}{
		{"granted", "GET", origin + "/repos/x", "", ""},
		{"other port", "GET", at("https", "a.example", 1) + "/repos/x", abi.CodeDenied, ruleNotGranted},
		{"other scheme", "GET", at("http", "a.example", port) + "/repos/x", abi.CodeDenied, ruleNotGranted},
		{"other host", "GET", at("https", "b.example", port) + "/repos/x", abi.CodeDenied, ruleNotGranted},
		{"suffix of a granted host", "GET", at("https", "a.example.evil.test", port) + "/repos/x", abi.CodeDenied, ruleNotGranted},
		{"other method", "POST", origin + "/repos/x", abi.CodeDenied, "grants/web.yaml:4"},
		{"other path", "GET", origin + "/admin", abi.CodeDenied, "grants/web.yaml:4"},
		{"dot segments", "GET", origin + "/repos/../admin", abi.CodeDenied, "grants/web.yaml:4"},
		{"encoded dot segments", "GET", origin + "/repos/%2e%2e/admin", abi.CodeDenied, "grants/web.yaml:4"},
		{"encoded slash", "GET", origin + "/repos/..%2fadmin", abi.CodeInvalid, ruleURL},
		{"userinfo", "GET", "https://a.example@127.0.0.1:22/", abi.CodeInvalid, ruleURL},
		{"numeric host", "GET", "http://2130706433/", abi.CodeInvalid, ruleURL},
		{"hex host", "GET", "http://0x7f.1/", abi.CodeInvalid, ruleURL},
		{"backslash", "GET", `https://a.example\@b.example/`, abi.CodeInvalid, ruleURL},
		{"no scheme", "GET", "a.example/", abi.CodeInvalid, ruleURL},
		{"file", "GET", "file:///etc/passwd", abi.CodeInvalid, ruleURL},
		{"CONNECT", "CONNECT", origin + "/repos/x", abi.CodeInvalid, ruleRequest},
		{"TRACE", "trace", origin + "/repos/x", abi.CodeInvalid, ruleRequest},
		{"method with a line end", "GET / HTTP/1.1\r\nX: y", origin + "/repos/x", abi.CodeInvalid, ruleRequest},
		{"long url", "GET", origin + "/repos/" + strings.Repeat("a", maxURL), abi.CodeInvalid, ruleURL},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, _, p := k.fetch(abi.FetchRequest{URL: c.url, Method: c.method}, "")
			if c.code == "" && p == nil {
				return
			}
			wantProblem(t, p, c.code, c.rule)
			if p != nil && p.RequestSent {
				t.Error("says that a request was sent")
			}
		})
	}
	_, p := k.get("https://other.example/x")
	if p.Hint != "glovebox skill grant web --http https://other.example" || p.Message != "https://other.example is not granted to skill web" {
		t.Errorf("%+v", p)
	}
}

func TestZeroRightsAndZeroLimitsAdmitNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	hits := 0
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) { hits++; _, _ = io.WriteString(w, "x") })
	origin := at("https", "a.example", port)
	k.rights = abi.Rights{}
	if _, p := k.get(origin); p == nil {
		t.Error("zero rights admit a request")
	}
	k.open(origin)
	k.rights.HTTP[0].Methods = nil
	k.rights.Limits = abi.DefaultLimits()
	if _, p := k.get(origin); p == nil {
		t.Error("a right without methods admits a request")
	}
	k.rights.HTTP[0].Methods, k.rights.HTTP[0].Paths = []string{"GET"}, nil
	if _, p := k.get(origin); p == nil {
		t.Error("a right without paths admits a request")
	}
	k.rights.HTTP = []abi.HTTPRight{{Argument: "url", Methods: []string{"GET"}, Paths: []string{"/**"}}}
	if _, p := k.get(origin); p == nil {
		t.Error("a right that was not bound to an argument admits a request")
	}
	k.rights.HTTP, k.rights.Limits = nil, abi.Limits{}
	k.grant(origin)
	_, p := k.get(origin)
	wantProblem(t, p, abi.CodeTimeout, "limits.http_time")
	if hits > 0 {
		t.Errorf("%d requests arrived", hits)
	}
	k.rights.Limits.HTTPTime = time.Minute
	_, p = k.get(origin)
	wantProblem(t, p, abi.CodeTooLarge, "limits.http_response")
	_, _, p = k.fetch(abi.FetchRequest{URL: origin, Method: "POST"}, "x")
	wantProblem(t, p, abi.CodeTooLarge, "limits.http_sent")
}

func TestGuestHeadersThatSmuggle(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	hits := 0
	port := k.serve(true, func(http.ResponseWriter, *http.Request) { hits++ })
	origin := at("http", "a.example", port)
	k.open(origin)
	many := map[string][]string{}
	for i := range maxHeaders + 1 {
		many[fmt.Sprintf("x-%d", i)] = []string{"v"}
	}
	cases := map[string]map[string][]string{
		"host": {"Host": {"b.example"}}, "host lower": {"host": {"b.example"}}, "connection": {"Connection": {"x-a"}},
		"proxy": {"proxy-authorization": {"x"}}, "proxy 2": {"Proxy-Connection": {"x"}}, "te": {"TE": {"trailers"}},
		"transfer-encoding": {"transfer-Encoding": {"chunked"}}, "content-length": {"content-length": {"5"}},
		"upgrade": {"Upgrade": {"websocket"}}, "trailer": {"Trailer": {"x"}}, "expect": {"Expect": {"100-continue"}},
		"keep-alive": {"Keep-Alive": {"1"}}, "ours": {"X-Glovebox-Error": {"x"}}, "http2": {"HTTP2-Settings": {"x"}},
		"CR LF in value": {"X-A": {"a\r\nHost: b"}}, "LF in value": {"X-A": {"a\nb"}}, "NUL in value": {"X-A": {"a\x00b"}}, "DEL": {"X-A": {"\x7f"}},
		"CR LF in name": {"X-A\r\nHost": {"b"}}, "space in name": {"X A": {"b"}}, "colon in name": {"X:A": {"b"}}, "pseudo header": {":authority": {"b"}},
		"empty name": {"": {"b"}}, "name with letters that fold": {"ſec-x": {"b"}}, "folding to host": {"Hoſt": {"b"}},
		"too many": many, "too large": {"X-A": {strings.Repeat("a", maxHeaderBytes)}},
	}
	for name, h := range cases {
		_, _, p := k.fetch(abi.FetchRequest{URL: origin, Headers: h}, "")
		if p == nil || p.Code != abi.CodeInvalid || p.Rule != ruleHeader {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if hits > 0 {
		t.Errorf("%d requests arrived", hits)
	}
	delete(many, "x-0")
	if _, _, p := k.fetch(abi.FetchRequest{URL: origin, Headers: many}, ""); p != nil {
		t.Errorf("exactly %d headers: %v", maxHeaders, p)
	}
}

func TestAcceptEncodingOfTheGuestIsIgnored(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) {
		if v := r.Header.Values("Accept-Encoding"); len(v) != 1 || v[0] != "gzip" {
			t.Errorf("accept-encoding %q", v)
		}
		w.Header().Set("Content-Encoding", r.URL.Query().Get("c"))
		_, _ = io.WriteString(w, "opaque")
	})
	origin := at("https", "a.example", port)
	k.open(origin)
	for _, c := range []string{"br", "zstd", "deflate", "gzip,gzip"} {
		_, _, p := k.fetch(abi.FetchRequest{URL: origin + "/?c=" + c, Headers: map[string][]string{"accept-encoding": {"br"}}}, "")
		wantProblem(t, p, abi.CodeNetwork, ruleEncoding)
	}
	_, _, p := k.fetch(abi.FetchRequest{URL: origin + "/?c=gzip"}, "")
	wantProblem(t, p, abi.CodeNetwork, "") // claims gzip and is not
}

func TestBodiesWithoutEnd(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.rights.Limits.HTTPResponse = 64 << 10
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/declared":
			w.Header().Set("Content-Length", "10737418240")
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			zero := make([]byte, 1<<20)
			for range 256 {
				if _, err := z.Write(zero); err != nil {
					return
				}
			}
			_ = z.Close()
			return
		case "/exact":
			_, _ = w.Write(make([]byte, 64<<10))
			return
		}
		for {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	origin := at("https", "a.example", port)
	k.open(origin)
	for _, path := range []string{"/endless", "/declared", "/bomb"} {
		_, p := k.get(origin + path)
		wantProblem(t, p, abi.CodeTooLarge, "limits.http_response")
		if p != nil && (!p.RequestSent || !strings.Contains(p.Message, "64 KiB")) {
			t.Errorf("%+v", p)
		}
		if e := k.lastEvent(); e.Received > 64<<10+1 || path == "/declared" && e.Received > 0 {
			t.Errorf("%s: held %d bytes", path, e.Received)
		}
	}
	if body, p := k.get(origin + "/exact"); p != nil || len(body) != 64<<10 {
		t.Errorf("a body of exactly the limit: %d bytes, %v", len(body), p)
	}
	for _, c := range []struct {
		req  abi.FetchRequest
		set  func()
		rule string
	}{
		{abi.FetchRequest{URL: origin + "/exact", MaxBytes: 64<<10 - 1}, func() {}, "max_bytes"},
		{abi.FetchRequest{URL: origin + "/exact"}, func() { k.rights.HTTP[0].MaxResponse = 10 }, "max_response"},
		{abi.FetchRequest{URL: origin + "/exact"}, func() { k.rights.Limits.HTTPReceived = 5 }, "limits.http_received"},
	} {
		c.set()
		_, _, p := k.fetch(c.req, "")
		wantProblem(t, p, abi.CodeTooLarge, c.rule)
	}
}

func TestGzipIsUndone(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, "plain text")
		_ = z.Close()
	})
	origin := at("https", "a.example", port)
	k.open(origin)
	resp, body, p := k.fetch(abi.FetchRequest{URL: origin}, "")
	if p != nil || body != "plain text" || resp.Headers["content-encoding"] != nil {
		t.Errorf("%q %+v %v", body, resp, p)
	}
	if resp, _, p = k.fetch(abi.FetchRequest{URL: origin, Method: "HEAD"}, ""); p != nil || resp.Length != 0 {
		t.Errorf("HEAD: %+v %v", resp, p)
	}
}

// TestGzipOfNothing: members of gzip that hold no byte pass no limit of decoded bytes.
func TestGzipOfNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var sent atomic.Int64
	port := k.serve(true, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		var b bytes.Buffer
		for b.Len() < 1<<16 {
			_ = gzip.NewWriter(&b).Close()
		}
		for range 4096 { // 256 MiB
			n, err := w.Write(b.Bytes())
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	})
	origin := at("http", "a.example", port)
	k.open(origin)
	_, _, p := k.fetch(abi.FetchRequest{URL: origin}, "")
	wantProblem(t, p, abi.CodeTooLarge, "limits.http_response")
	if n := sent.Load(); n > 64*abi.MiB { // the buffers of the connection are among it
		t.Errorf("%d MiB were read", n>>20)
	}
}

func TestSlowServersEndAtTheTimeLimit(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/silent" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		}
		for {
			if _, err := io.WriteString(w, "x"); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-time.After(5 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	})
	origin := at("https", "a.example", port)
	k.open(origin)
	k.rights.Limits.HTTPTime = 300 * time.Millisecond
	for _, path := range []string{"/silent", "/drip"} {
		begin := time.Now()
		_, p := k.get(origin + path)
		wantProblem(t, p, abi.CodeTimeout, "limits.http_time")
		if p != nil && !p.RequestSent {
			t.Error("does not say that a request was sent")
		}
		if time.Since(begin) > 10*time.Second {
			t.Errorf("%s took %s", path, time.Since(begin))
		}
	}
	k.rights.Limits.HTTPTime = time.Hour
	_, _, p := k.fetch(abi.FetchRequest{URL: origin + "/drip", TimeoutMS: 200}, "")
	wantProblem(t, p, abi.CodeTimeout, "limits.http_time")
}

func TestTLSIsCheckedAndOldVersionsRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") }))
	t.Cleanup(s.Close)
	origin := strings.Replace(s.URL, "127.0.0.1", "a.example", 1)
	k.open(origin)
	_, p := k.get(origin)
	if p == nil || p.Code != abi.CodeNetwork || !strings.Contains(p.Message, "certificate") {
		t.Errorf("unknown authority: %+v", p)
	}
	if got := k.engine.trip.(*network).tls; got.MinVersion != 0x0303 || got.InsecureSkipVerify {
		t.Error("TLS settings")
	}
	port := k.serve(false, func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") })
	k.hosts["other.example"] = k.hosts["a.example"]
	k.open(at("https", "other.example", port))
	_, p = k.get(at("https", "other.example", port))
	if p == nil || !strings.Contains(p.Message, "certificate") {
		t.Errorf("name that the certificate does not hold: %+v", p)
	}
	plain := k.serve(true, func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") })
	k.open(at("https", "a.example", plain))
	_, p = k.get(at("https", "a.example", plain))
	if p == nil || !strings.Contains(p.Message, "TLS") && !strings.Contains(p.Message, "HTTP") {
		t.Errorf("plain server: %+v", p)
	}
}

func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.open("http://127.0.0.1:1")
	_, p := k.get("http://127.0.0.1:1/")
	wantProblem(t, p, abi.CodeNetwork, "")
	if p.RequestSent || p.Message != "http://127.0.0.1:1 could not be reached" {
		t.Errorf("%+v", p)
	}
}

func TestCloseEndsRequestsAndRefusesLaterOnes(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	arrived := make(chan struct{})
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) { close(arrived); <-r.Context().Done() })
	origin := at("https", "a.example", port)
	k.open(origin)
	done := make(chan *abi.Problem)
	go func() { _, p := k.get(origin); done <- p }()
	<-arrived
	if err := k.Broker.Close(); err != nil {
		t.Error(err)
	}
	if p := <-done; p == nil || p.Code != abi.CodeNetwork { // and not CodeTimeout
		t.Errorf("the request did not end with the broker: %+v", p)
	}
	_, p := k.get(origin)
	wantProblem(t, p, abi.CodeUnavailable, "")
}

func FuzzHeaders(f *testing.F) {
	f.Add("X-A", "b")
	f.Add("Host", "b")
	f.Add("X-A\r\nHost", "b\r\n\r\nGET / HTTP/1.1")
	f.Add("transfer-encoding", "chunked")
	f.Fuzz(func(t *testing.T, name, value string) {
		h, p := guestHeaders(map[string][]string{name: {value}})
		if p != nil {
			return
		}
		r, err := http.NewRequest("GET", "http://a.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = h
		var b strings.Builder
		if err := r.Write(&b); err != nil {
			t.Fatalf("admitted header cannot be written: %v", err)
		}
		if lines := strings.Count(b.String(), "\n"); lines > 5 { // request, host, user-agent, one header, empty
			t.Errorf("%q: %q became %d lines", name, value, lines)
		}
		if strings.Count(strings.ToLower(b.String()), "\nhost:") != 1 || strings.Contains(strings.ToLower(b.String()), "\ntransfer-encoding:") {
			t.Errorf("smuggled: %q", b.String())
		}
	})
}
