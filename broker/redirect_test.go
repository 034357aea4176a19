package broker

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

// seen is what the last server of a chain of redirects got.
type seen struct {
	method, body string
	header       http.Header
	hits         int
}

// chain serves a.example, which redirects /to with the given status to the URL in the
// query, and b.example, which records what it gets.
func chain(k *kit) (a, b string, s *seen) {
	s = &seen{}
	record := func(r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.method, s.body, s.header = r.Method, string(body), r.Header.Clone()
		s.hits++
	}
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/to" {
			record(r)
			return
		}
		status := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("s"), &status)
		w.Header().Set("Location", r.URL.Query().Get("l"))
		w.WriteHeader(status)
	})
	other := k.serve(false, func(_ http.ResponseWriter, r *http.Request) { record(r) })
	a, b = at("https", "a.example", port), at("https", "b.example", other)
	k.open(a)
	return a, b, s
}

func TestRedirectMethodsAndBodies(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	a, _, s := chain(k)
	for _, c := range []struct {
		status       int
		method, want string
		body         bool
	}{
		{301, "POST", "GET", false}, {302, "POST", "GET", false}, {303, "POST", "GET", false}, {303, "PUT", "GET", false},
		{301, "PUT", "PUT", true}, {307, "POST", "POST", true}, {308, "POST", "POST", true}, {303, "HEAD", "HEAD", false}, {302, "GET", "GET", false},
	} {
		body := "payload"
		if c.method == "HEAD" || c.method == "GET" {
			body = ""
		}
		resp, _, p := k.fetch(abi.FetchRequest{
			URL: fmt.Sprintf("%s/to?s=%d&l=/end", a, c.status), Method: c.method,
			Headers: map[string][]string{"Content-Type": {"text/plain"}, "X-Keep": {"1"}},
		}, body)
		if p != nil {
			t.Fatalf("%d %s: %v", c.status, c.method, p)
		}
		if s.method != c.want || (s.body != "") != c.body || (s.header.Get("Content-Type") != "") != (c.body || c.method == c.want) || s.header.Get("X-Keep") != "1" {
			t.Errorf("%d %s: arrived as %s %q %v", c.status, c.method, s.method, s.body, s.header)
		}
		if resp.Redirects != 1 || resp.URL != a+"/end" {
			t.Errorf("%+v", resp)
		}
	}
}

func TestRedirectToAnotherOriginIsJudgedAndStripped(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	a, b, s := chain(k)
	k.secret("key", "correct-horse-battery", abi.Injection{Kind: abi.InjectBearer}, abi.Origin(a), abi.Origin(b))
	req := abi.FetchRequest{
		URL: a + "/to?s=302&l=" + b + "/end", Auth: "key",
		Headers: map[string][]string{"Cookie": {"c"}, "X-Api-Key": {"k"}, "Accept": {"text/html"}, "Accept-Language": {"nl"}, "User-Agent": {"u"}, "Referer": {"r"}},
	}
	_, _, p := k.fetch(req, "")
	wantProblem(t, p, abi.CodeDenied, ruleNotGranted)
	if s.hits != 0 || !strings.Contains(p.Message, b) || p.Hint != "glovebox skill grant web --http "+b || !p.RequestSent {
		t.Errorf("hits %d, %+v", s.hits, p)
	}
	k.open(b)
	if _, _, p = k.fetch(req, ""); p != nil {
		t.Fatal(p)
	}
	for _, h := range []string{"Authorization", "Cookie", "X-Api-Key", "Referer"} {
		if s.header.Get(h) != "" {
			t.Errorf("%s followed to another origin", h)
		}
	}
	if s.header.Get("Accept") != "text/html" || s.header.Get("Accept-Language") != "nl" || s.header.Get("User-Agent") != "u" {
		t.Errorf("%v", s.header)
	}
	req.URL = a + "/to?s=302&l=/end" // on the same origin the secret stays
	if _, _, p = k.fetch(req, ""); p != nil || s.header.Get("Authorization") != "Bearer correct-horse-battery" {
		t.Errorf("%v %v", p, s.header)
	}
	_, _, p = k.fetch(abi.FetchRequest{URL: a + "/to?s=307&l=" + b + "/end", Method: "POST"}, "body")
	wantProblem(t, p, abi.CodeDenied, ruleRedirect)
}

func TestRedirectHopsAreJudgedLikeRequests(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	a, _, s := chain(k)
	k.rights.HTTP[0].Methods, k.rights.HTTP[0].Paths = []string{"GET", "POST"}, []string{"/to", "/end"}
	for name, c := range map[string]struct{ location, rule string }{
		"other path":          {"/admin", rulePath},
		"dot segments":        {"/end/../admin", rulePath},
		"encoded slash":       {"/end%2f..", ruleRedirect},
		"userinfo":            {strings.Replace(a, "https://", "https://u:p@", 1) + "/end", ruleRedirect},
		"scheme":              {"file:///etc/passwd", ruleRedirect},
		"javascript":          {"javascript:alert(1)", ruleRedirect},
		"other port":          {"https://a.example:1/end", ruleNotGranted},
		"downgrade":           {strings.Replace(a, "https", "http", 1) + "/end", ruleNotGranted},
		"scheme-relative":     {"//b.example/end", ruleNotGranted},
		"backslashes":         {`\\b.example\end`, ruleRedirect},
		"numeric host":        {"http://2130706433/", ruleRedirect},
		"longer than a url":   {"/" + strings.Repeat("a", maxURL), ruleRedirect},
		"placeholder":         {"/end?k={{secret:key}}", ruleMisuse},
		"encoded placeholder": {"/end?k=%257B%257Bsecret:key}}", ruleMisuse},
	} {
		x := &exchange{engine: &k.engine, rights: k.rights, set: &opened{}, caller: testCaller, method: "GET"}
		u, err := abi.ParseURL(a + "/to")
		if err != nil {
			t.Fatal(err)
		}
		x.url = u
		p := x.follow(302, c.location, &Event{})
		if p == nil {
			_, _, p = x.judge(&answer{right: k.rights.HTTP[0], origin: abi.Origin(a)}, &Event{})
		}
		if p == nil || p.Rule != c.rule {
			t.Errorf("%s: %+v; want rule %s", name, p, c.rule)
		}
	}
	if s.hits > 0 {
		t.Errorf("%d requests arrived", s.hits)
	}
}

func TestRedirectLoopsEnd(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	hits := 0
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) {
		hits++
		if r.URL.Path == "/n" && hits > maxRedirects {
			return
		}
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	})
	origin := at("https", "a.example", port)
	k.open(origin)
	_, p := k.get(origin + "/loop")
	wantProblem(t, p, abi.CodeDenied, ruleRedirect)
	if hits != maxRedirects+1 {
		t.Errorf("%d requests; want %d", hits, maxRedirects+1)
	}
	hits = 0
	if resp, _, p := k.fetch(abi.FetchRequest{URL: origin + "/n"}, ""); p != nil || resp.Redirects != maxRedirects {
		t.Errorf("exactly %d redirects: %v", maxRedirects, p)
	}
}

func TestManualRedirectIsReturned(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	a, b, s := chain(k)
	resp, _, p := k.fetch(abi.FetchRequest{URL: a + "/to?s=302&l=" + b + "/x", Redirect: "manual"}, "")
	if p != nil || resp.Status != 302 || resp.Headers["location"][0] != b+"/x" || s.hits != 0 {
		t.Errorf("%+v %v", resp, p)
	}
	_, _, p = k.fetch(abi.FetchRequest{URL: a, Redirect: "sometimes"}, "")
	wantProblem(t, p, abi.CodeInvalid, ruleRequest)
}

func TestRedirectDoesNotCarryASecretElsewhere(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	hits := 0
	b := at("https", "b.example", k.serve(false, func(http.ResponseWriter, *http.Request) { hits++ }))
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			_, _ = io.WriteString(w, "here")
			return
		}
		to := b + "/?k=" + r.URL.Query().Get("key")
		if r.URL.Path == "/same" {
			to = "/moved?key=" + r.URL.Query().Get("key")
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	a := at("https", "a.example", port)
	k.open(a)
	k.open(b)
	k.secret("key", "correct-horse-battery", abi.Injection{Kind: abi.InjectQuery, Name: "key"}, abi.Origin(a))
	_, _, p := k.fetch(abi.FetchRequest{URL: a + "/x", Auth: "key"}, "")
	wantProblem(t, p, abi.CodeDenied, ruleMisuse)
	if hits > 0 {
		t.Error("the other origin was asked")
	}
	resp, body, p := k.fetch(abi.FetchRequest{URL: a + "/same", Auth: "key"}, "")
	if p != nil || body != "here" || strings.Contains(resp.URL, "horse") || !strings.Contains(resp.URL, "[secret:key]") {
		t.Errorf("%+v %q %v", resp, body, p)
	}
}

func TestBoundRightFollowsUpgradeAndWWWOnly(t *testing.T) {
	t.Parallel()
	right := abi.HTTPRight{Origin: "http://a.example", Methods: []string{"GET"}, Paths: []string{"/**"}, Bound: true}
	for to, want := range map[string]bool{
		"https://a.example/x": true, "http://www.a.example/": true, "https://www.a.example/": true,
		"https://b.example/": false, "https://a.example:8443/": false, "http://a.example:81/": false,
		"https://www.www.a.example/": false, "https://m.a.example/": false, "https://example/": false, "https://wwwa.example/": false,
	} {
		u, err := abi.ParseURL(to)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := boundHop(right, u); ok != want {
			t.Errorf("%s: %v", to, ok)
		}
		plain := right
		plain.Bound = false
		if _, ok := boundHop(plain, u); ok {
			t.Errorf("%s: an ordinary right was stretched", to)
		}
	}
	right.Origin = "https://www.a.example"
	for to, want := range map[string]bool{"https://a.example/": true, "http://www.a.example/": false, "http://a.example/": false} {
		u, err := abi.ParseURL(to)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := boundHop(right, u); ok != want {
			t.Errorf("from https to %s: %v", to, ok)
		}
	}
}

func TestBoundRightOnTheWire(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var www string
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.Host, "www."):
			_, _ = io.WriteString(w, "home")
		case r.URL.Path == "/elsewhere":
			http.Redirect(w, r, "https://c.example/", http.StatusFound)
		default:
			http.Redirect(w, r, www, http.StatusMovedPermanently)
		}
	})
	a := at("https", "a.example", port)
	www = at("https", "www.a.example", port)
	k.open(a)
	k.open(www)
	k.rights.HTTP = []abi.HTTPRight{{Origin: abi.OriginPattern(a), Methods: []string{"GET"}, Paths: []string{"/**"}, Bound: true}}
	if body, p := k.get(a + "/"); p != nil || body != "home" {
		t.Errorf("%q %v", body, p)
	}
	_, p := k.get(a + "/elsewhere")
	wantProblem(t, p, abi.CodeDenied, ruleNotGranted)
	if !strings.Contains(p.Message, "https://c.example") || p.Hint != "glovebox skill grant web --http https://c.example" {
		t.Errorf("%+v", p)
	}
}

func TestBoundRightUsesOrdinaryPortsOnly(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.rights.HTTP = []abi.HTTPRight{{Origin: "https://b.example:22", Methods: []string{"GET"}, Paths: []string{"/**"}, Bound: true}}
	_, p := k.get("https://b.example:22/")
	wantProblem(t, p, abi.CodeDenied, rulePort)
	if len(k.lookups) > 0 {
		t.Error("looked up")
	}
}

// A redirect leads where a request of its own would: not to a server that may not see
// what the call has read.
func TestRedirectGoesToReadersOnly(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	a, b, s := chain(k)
	k.open(b)
	host, _ := splitOrigin(abi.Origin(a))
	k.rights.Read = []abi.Private{{From: "/data", Hosts: []string{host}}}
	for _, to := range []string{b + "/end", b + "/end?q=1"} {
		_, _, p := k.fetch(abi.FetchRequest{URL: a + "/to?s=302&l=" + to, Headers: map[string][]string{"Accept": {"a note"}}}, "")
		wantProblem(t, p, abi.CodeDenied, abi.RuleFlow)
	}
	if s.hits != 0 {
		t.Errorf("%d requests arrived", s.hits)
	}
	if _, _, p := k.fetch(abi.FetchRequest{URL: a + "/to?s=302&l=/end"}, ""); p != nil {
		t.Error(p)
	}
	k.rights.Flows = []abi.FlowRight{{From: "/data", To: abi.OriginPattern(b)}}
	if _, _, p := k.fetch(abi.FetchRequest{URL: a + "/to?s=302&l=" + b + "/end"}, ""); p != nil {
		t.Error(p)
	}
}

// The hop to or from www. that no decision precedes carries nothing that the server which
// asked for it was not sent: no header, no body, no secret, and no address but its own.
func TestBoundHopCarriesNothingNew(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var www string
	var seen []*http.Request
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r)
		if !strings.HasPrefix(r.Host, "www.") {
			http.Redirect(w, r, www+"/chosen?by=server", http.StatusTemporaryRedirect)
		}
	})
	a := at("https", "a.example", port)
	www = at("https", "www.a.example", port)
	k.open(a)
	k.open(www)
	right := abi.HTTPRight{Origin: abi.OriginPattern(a), Methods: []string{"GET", "POST"}, Paths: []string{"/**"}, Bound: true}
	k.secret("key", "correct-horse-battery", abi.Injection{Kind: abi.InjectBearer}, abi.Origin(a))
	k.rights.HTTP = []abi.HTTPRight{right}
	headers := map[string][]string{"Accept": {"text/x"}, "User-Agent": {"u"}, "X-Note": {"n"}, "Cookie": {"c=n"}, "If-None-Match": {"n"}}
	if _, _, p := k.fetch(abi.FetchRequest{URL: a + "/path?q=note", Headers: headers}, ""); p != nil || len(seen) != 2 {
		t.Fatalf("%v, %d requests", p, len(seen))
	}
	first, second := seen[0], seen[1]
	if second.RequestURI != "/chosen?by=server" {
		t.Errorf("asked for %s", second.RequestURI)
	}
	for name, values := range second.Header {
		if !slices.Equal(values, first.Header[name]) {
			t.Errorf("%s: %q is news", name, values)
		}
	}
	for name := range headers {
		if name != "Accept" && name != "User-Agent" && second.Header.Get(name) != "" {
			t.Errorf("%s was carried on", name)
		}
	}
	if _, _, p := k.fetch(abi.FetchRequest{URL: a + "/path", Method: "POST"}, "note"); p == nil || len(seen) != 3 {
		t.Errorf("a body was carried on: %v, %d requests", p, len(seen))
	}
	host, _ := splitOrigin(abi.Origin(a))
	k.rights.Read = []abi.Private{{From: "/data", Hosts: []string{host}}}
	_, _, p := k.fetch(abi.FetchRequest{URL: a + "/path"}, "")
	wantProblem(t, p, abi.CodeDenied, abi.RuleFlow)
}
