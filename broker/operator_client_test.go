package broker

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

// operate returns a client for the origins, over the kit's names and certificates.
func (k *kit) operate(origins, private []abi.Origin) *http.Client {
	k.t.Helper()
	c, err := OperatorClient(OperatorConfig{Origins: origins, Private: private, Resolver: k, Roots: k.pool,
		Listeners: func() []netip.AddrPort { return k.listen }})
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

func ask(t *testing.T, c *http.Client, method, url, body string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer kept")
	req.Header.Set("X-Key", "kept")
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func TestOperatorClientReachesWhatWasNamed(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	echo := func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Authorization")) }
	plain, secure := at("http", "127.0.0.1", k.serve(true, echo)), at("https", "a.example", k.serve(false, echo))
	c := k.operate([]abi.Origin{abi.Origin(plain), abi.Origin(secure)}, []abi.Origin{abi.Origin(secure)})
	for _, origin := range []string{plain, secure} {
		if got, err := ask(t, c, "GET", origin+"/x", ""); err != nil || got != "Bearer kept" {
			t.Errorf("%s: %q, %v", origin, got, err)
		}
	}
}

// TestOperatorClientRefuses goes through what a hostile answer, or a hostile name
// server, asks for. No case may reach the canary.
func TestOperatorClientRefuses(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	canary := newCanary(t)
	var to atomic.Value
	to.Store("")
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, to.Load().(string), http.StatusTemporaryRedirect)
	})
	open, other := at("https", "a.example", port), at("https", "b.example", canary.addr.Port())
	private := at("https", "c.example", canary.addr.Port())
	loopback := "http://" + canary.addr.String()
	k.hosts["b.example"] = []netip.Addr{netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("127.0.0.1")}
	k.hosts["metadata.example"] = []netip.Addr{netip.MustParseAddr("169.254.169.254")}
	c := k.operate([]abi.Origin{abi.Origin(open), abi.Origin(private), abi.Origin(loopback), abi.Origin(other), "https://metadata.example"},
		[]abi.Origin{abi.Origin(open), abi.Origin(private), "https://metadata.example"})
	for _, test := range []struct{ name, method, url, redirect, want string }{
		{"a name that stands for a private address too", "GET", other, "", "egress/private"},
		{"a name for the metadata address, opened", "GET", "https://metadata.example", "", "egress/special-purpose"},
		{"a host that nobody named, with credentials", "GET", "https://c.example", "", "asks for credentials"},
		{"plain http to a name", "GET", "http://a.example", "", "plain http"},
		{"plain http to another loopback port", "GET", "http://127.0.0.1:1", "", "plain http"},
		{"another loopback address with https", "GET", "https://127.0.0.2:" + fmt.Sprint(canary.addr.Port()), "", "asks for credentials"},
		{"a user name in the URL", "GET", strings.Replace(open, "://", "://me:pw@", 1), "", "user name"},
		{"a scheme of its own", "GET", "ftp://a.example/", "", "scheme"},
		{"redirect to the metadata address", "GET", open, "http://169.254.169.254/latest/", "plain http"},
		{"redirect to a named loopback address", "GET", open, loopback + "/", "plain http"},
		{"redirect to a named private origin", "GET", open, private + "/", "egress/private"},
		{"redirect to a private address", "GET", open, "https://127.0.0.1:" + fmt.Sprint(canary.addr.Port()), "egress/private"},
		{"redirect to plain http of the same name", "GET", open, "http://a.example:" + fmt.Sprint(port), "plain http"},
		{"redirect to a name of this network", "GET", open, "https://localhost:" + fmt.Sprint(canary.addr.Port()), "a name of this network"},
		{"redirect with a user name", "GET", open, "https://x@b.example/", "user name"},
		{"redirect that carries a body", "PUT", open, "https://b.example/", "carry the body"},
		{"redirect to itself for ever", "GET", open, open, "5 redirects"},
	} {
		to.Store(test.redirect)
		got, err := ask(t, c, test.method, test.url, map[bool]string{true: "body"}[test.method == "PUT"])
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: answered %q, %v; want %q", test.name, got, err, test.want)
		}
	}
	canary.untouched(t)
}

func TestOperatorClientNeverReachesTheDaemon(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	canary := newCanary(t)
	k.listen = []netip.AddrPort{canary.addr}
	origin := abi.Origin("http://" + canary.addr.String())
	if _, err := ask(t, k.operate([]abi.Origin{origin}, nil), "GET", string(origin), ""); err == nil {
		t.Error("it was reached")
	}
	canary.untouched(t)
}

// TestOperatorClientRedirectsTakeCredentialsAway asks the judge of redirects alone: a
// second origin that may be redirected to has a public address, which no test has.
func TestOperatorClientRedirectsTakeCredentialsAway(t *testing.T) {
	t.Parallel()
	o := &operator{}
	first, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		via  []string
		to   string
		kept bool
	}{
		{"to itself", []string{"https://a.example/"}, "https://a.example/x", true},
		{"to a subdomain", []string{"https://a.example/"}, "https://www.a.example/", false},
		{"to another port", []string{"https://a.example/"}, "https://a.example:8443/", false},
		{"to itself over another", []string{"https://a.example/", "https://b.example/"}, "https://a.example/", false},
		{"a subdomain to itself", []string{"https://a.example/", "https://www.a.example/"}, "https://www.a.example/x", false},
	} {
		req := first.Clone(t.Context())
		req.Header = http.Header{"Authorization": {"Bearer x"}, "Cookie": {"x"}, "X-Key": {"x"}, "Referer": {"https://a.example/"}, "Accept": {"*/*"}}
		var via []*http.Request
		for _, u := range c.via {
			v, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
			if err != nil {
				t.Fatal(err)
			}
			via = append(via, v)
		}
		if req.URL, err = req.URL.Parse(c.to); err != nil {
			t.Fatal(err)
		}
		if err := o.redirect(req, via); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if req.Header.Get("Accept") == "" || req.Header.Get("Referer") != "" {
			t.Errorf("%s: headers %v", c.name, req.Header)
		}
		for _, h := range []string{"Authorization", "Cookie", "X-Key"} {
			if got := req.Header.Get(h) != ""; got != c.kept {
				t.Errorf("%s: %s kept: %v", c.name, h, got)
			}
		}
	}
}

func TestOperatorClientDoesNotBeginWithABadOrigin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		origins, private []abi.Origin
	}{
		{origins: []abi.Origin{"http://10.0.0.1:5000"}},
		{origins: []abi.Origin{"http://localhost:5000"}},
		{origins: []abi.Origin{"http://registry.example"}},
		{origins: []abi.Origin{"https://169.254.169.254"}},
		{origins: []abi.Origin{"registry.example"}},
		{private: []abi.Origin{"https://registry.example"}},
	} {
		if _, err := OperatorClient(OperatorConfig{Origins: c.origins, Private: c.private}); err == nil {
			t.Errorf("%v: no error", c)
		}
	}
}

func TestOperatorClientSaysWhoDidNotNameIt(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	if _, err := ask(t, k.operate(nil, nil), "GET", "https://a.example/", ""); !errors.Is(err, ErrOrigin) {
		t.Errorf("got %v", err)
	}
}
