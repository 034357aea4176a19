package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

func TestForbiddenAddressByLiteral(t *testing.T) {
	t.Parallel()
	k, c := newKit(t), newCanary(t)
	for _, host := range []string{"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "169.254.169.254", "[fd00:ec2::254]", "0.0.0.0", "100.100.100.200"} {
		origin := fmt.Sprintf("http://%s:%d", host, c.addr.Port())
		o, err := abi.ParseOrigin(origin)
		if err != nil {
			continue // refused before it is judged
		}
		k.grant(string(o))
		_, p := k.get(origin + "/")
		if p == nil || p.Code != abi.CodeDenied || (p.Rule != rulePrivate && p.Rule != ruleSpecial) {
			t.Errorf("%s: %+v", origin, p)
		}
	}
	c.untouched(t)
}

func TestForbiddenAddressByDNS(t *testing.T) {
	t.Parallel()
	k, c := newKit(t), newCanary(t)
	origin := at("http", "a.example", c.addr.Port())
	k.grant(origin)
	for name, addrs := range map[string][]string{
		"loopback":                {"127.0.0.1"},
		"mapped loopback":         {"::ffff:127.0.0.1"},
		"a bad one behind a good": {"93.184.215.14", "127.0.0.1"},
		"metadata":                {"169.254.169.254"},
		"private":                 {"10.0.0.7"},
	} {
		k.hosts["a.example"] = nil
		for _, a := range addrs {
			k.hosts["a.example"] = append(k.hosts["a.example"], netip.MustParseAddr(a))
		}
		_, p := k.get(origin + "/")
		if p == nil || p.Code != abi.CodeDenied || p.RequestSent {
			t.Fatalf("%s: %+v", name, p)
		}
		for _, a := range addrs {
			if strings.Contains(p.Message+p.Hint, a) {
				t.Errorf("%s: the guest is told the resolved address: %+v", name, p)
			}
		}
		if e := k.lastEvent(); e.Detail == "" || len(e.Resolved) != len(addrs) || e.Problem != p {
			t.Errorf("%s: the operator is not told: %+v", name, e)
		}
	}
	c.untouched(t)
}

func TestPrivateOriginHintCanBePasted(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.grant("http://127.0.0.1:9")
	_, p := k.get("http://127.0.0.1:9/")
	wantProblem(t, p, abi.CodeDenied, rulePrivate)
	if p.Hint != "glovebox egress allow http://127.0.0.1:9 --skill web" {
		t.Errorf("hint %q", p.Hint)
	}
}

func TestForbiddenAddressByRedirect(t *testing.T) {
	t.Parallel()
	k, c := newKit(t), newCanary(t)
	var to string
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) })
	origin := at("https", "a.example", port)
	k.open(origin)
	k.hosts["c.example"] = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	for _, host := range []string{"127.0.0.1", "c.example", "[::ffff:127.0.0.1]", "localhost"} {
		to = at("http", host, c.addr.Port())
		if o, err := abi.ParseOrigin(to); err == nil {
			k.grant(string(o))
		}
		_, p := k.get(origin + "/")
		if p == nil || p.Code != abi.CodeDenied || p.Rule != rulePrivate || !p.RequestSent {
			t.Errorf("%s: %+v", to, p)
		}
	}
	c.untouched(t)
}

// The dialer judges the connected address whatever was resolved: a name that changes
// its answer in between gets nothing.
func TestRebindingStopsAtTheDialer(t *testing.T) {
	t.Parallel()
	k, c := newKit(t), newCanary(t)
	g := k.engine.guard
	r := &route{origin: "http://a.example", port: c.addr.Port(), addrs: []netip.Addr{c.addr.Addr()}}
	_, err := g.dial(t.Context(), r)
	var b *blocked
	if !errors.As(err, &b) || b.rule != rulePrivate {
		t.Fatalf("dialled a forbidden address: %v", err)
	}
	c.untouched(t)
}

func TestOneLookupPerRequestAndTheVettedAddressIsDialled(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") })
	origin := at("https", "a.example", port)
	k.open(origin)
	for range 2 { // also: no connection of the first request serves the second
		if body, p := k.get(origin + "/"); p != nil || body != "ok" {
			t.Fatalf("body %q, problem %v", body, p)
		}
	}
	if len(k.lookups) != 2 {
		t.Errorf("looked up %q; want once per request", k.lookups)
	}
	if e := k.lastEvent(); e.Dialled != netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port) {
		t.Errorf("dialled %s", e.Dialled)
	}
	k.mu.Lock()
	k.private = nil
	k.mu.Unlock()
	_, p := k.get(origin + "/")
	wantProblem(t, p, abi.CodeDenied, rulePrivate) // judged anew although it was reached a moment ago
}

func TestOpenedOriginIsExact(t *testing.T) {
	t.Parallel()
	k, c := newKit(t), newCanary(t)
	k.open(at("http", "a.example", c.addr.Port()))
	k.hosts["b.example"] = []netip.Addr{c.addr.Addr()}
	for _, origin := range []string{at("https", "a.example", c.addr.Port()), at("http", "b.example", c.addr.Port()), at("http", "127.0.0.1", c.addr.Port()), "http://a.example"} {
		k.grant(origin)
		_, p := k.get(origin + "/")
		wantProblem(t, p, abi.CodeDenied, rulePrivate)
	}
	c.untouched(t)
}

func TestMetadataStaysClosedWhenOpened(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, host := range []string{"169.254.169.254", "168.63.129.16", "100.100.100.200", "[fd00:ec2::254]", "[fe80::1]", "192.0.0.192", "224.0.0.1", "0.0.0.0"} {
		k.open("http://" + host)
		_, p := k.get("http://" + host + "/")
		wantProblem(t, p, abi.CodeDenied, ruleSpecial)
		if p != nil && p.Hint != "" {
			t.Errorf("%s: a hint for what cannot be opened: %q", host, p.Hint)
		}
	}
}

func TestDaemonListenersStayClosedWhenOpened(t *testing.T) {
	t.Parallel()
	k, c := newKit(t), newCanary(t)
	origin := at("http", "a.example", c.addr.Port())
	k.open(origin)
	for _, l := range []string{"127.0.0.1", "0.0.0.0", "::"} {
		k.listen = []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(l), c.addr.Port())}
		_, p := k.get(origin + "/")
		wantProblem(t, p, abi.CodeDenied, ruleSelf)
	}
	c.untouched(t)
}

func TestOwnPublicAddressIsPrivate(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	own := netip.MustParseAddr("93.184.215.14")
	k.engine.guard.own = func() ([]netip.Addr, error) { return []netip.Addr{own}, nil }
	k.hosts["a.example"] = []netip.Addr{own}
	k.grant("https://a.example")
	_, p := k.get("https://a.example/")
	wantProblem(t, p, abi.CodeDenied, rulePrivate)
	k.engine.guard.own = func() ([]netip.Addr, error) { return nil, errors.New("no netlink") }
	if _, p = k.get("https://a.example/"); p == nil || p.RequestSent || k.lastEvent().Detail != "no netlink" {
		t.Errorf("went on without knowing the host's own addresses: %+v", p)
	}
	addrs, err := interfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if a.IsLoopback() {
			return
		}
	}
	t.Errorf("interface addresses without loopback: %v", addrs)
}

func TestLocalNamesAreRefusedBeforeTheResolver(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, host := range []string{"localhost", "a.localhost", "nas.local", "metadata.google.internal", "x.home.arpa", "intranet"} {
		k.grant("http://" + host)
		_, p := k.get("http://" + host + "/")
		wantProblem(t, p, abi.CodeDenied, rulePrivate)
	}
	if len(k.lookups) > 0 {
		t.Errorf("looked up %q", k.lookups)
	}
}

func TestResolverFailuresAndFloods(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.grant("https://gone.example")
	k.grant("https://many.example")
	k.grant("https://none.example")
	for range maxAnswers + 1 {
		k.hosts["many.example"] = append(k.hosts["many.example"], netip.MustParseAddr("93.184.215.14"))
	}
	k.hosts["none.example"] = nil
	for u, detail := range map[string]string{
		"https://gone.example/": "no such host", "https://many.example/": "resolve: 33 addresses", "https://none.example/": "resolve: 0 addresses",
	} {
		_, p := k.get(u)
		wantProblem(t, p, abi.CodeNetwork, "")
		if e := k.lastEvent(); !strings.Contains(e.Detail, detail) {
			t.Errorf("%s: %q", u, e.Detail)
		}
	}
}

// silentResolver never answers.
type silentResolver struct{}

func (silentResolver) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestResolverThatNeverAnswers(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.engine.guard.resolver = silentResolver{}
	k.grant("https://a.example")
	k.rights.Limits.HTTPTime = 50 * time.Millisecond
	_, p := k.get("https://a.example/")
	wantProblem(t, p, abi.CodeTimeout, "limits.http_time")
}

func TestSystemResolverIgnoresSearchDomains(t *testing.T) {
	t.Parallel()
	b, err := New(Config{Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := b.engine.guard.resolver.(absolute); !ok {
		t.Fatalf("resolver %T", b.engine.guard.resolver)
	}
	k := newKit(t)
	for asked, want := range map[string]string{"gone.example": "gone.example.", "localhost": "localhost"} {
		k.lookups = nil
		if _, err := (absolute{k}).LookupNetIP(t.Context(), "ip", asked); err == nil || k.lookups[0] != want {
			t.Errorf("asked for %q, %v; want %q", k.lookups, err, want)
		}
	}
}

// What was granted, what is dialled, Host, SNI and the request line are one text.
func TestHostSNIAndRequestLineAreTheJudgedURL(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var got, proto string
	handler := func(_ http.ResponseWriter, r *http.Request) {
		got, proto = r.TLS.ServerName+" "+r.Host+" "+r.RequestURI, r.Proto
	}
	port := k.serve(false, handler)
	k.open(at("https", "a.example", port))
	for _, path := range []string{"/", "/a%20b", "/%7Euser/caf%C3%A9", "/a;b=c,d/(e)", "/a|b^c", "/%5B%5D?x=%5B]|^&y", "/?a=b?c/d"} {
		u, err := abi.ParseURL(at("HTTPS", "A.Example", port) + path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if _, p := k.get(at("HTTPS", "A.Example", port) + path); p != nil {
			t.Errorf("%s: %v", path, p)
			continue
		}
		host, _ := splitOrigin(u.Origin)
		if want := u.Host + " " + host + strings.TrimPrefix(u.String(), string(u.Origin)); strings.Replace(got, host+" ", host, 1) != want {
			t.Errorf("server saw %q; want %q", got, want)
		}
		if proto != "HTTP/2.0" {
			t.Errorf("spoke %s", proto)
		}
	}
}

func TestProxyVariablesAreNotRead(t *testing.T) {
	c := newCanary(t)
	for _, v := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(v, "http://"+c.addr.String())
	}
	k := newKit(t)
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) {})
	k.open(at("https", "a.example", port))
	if _, p := k.get(at("https", "a.example", port) + "/"); p != nil {
		t.Fatal(p)
	}
	c.untouched(t)
	tr := k.engine.guard.transport(&route{}, k.engine.trip.(*network).tls)
	if tr.Proxy != nil || !tr.DisableKeepAlives || !tr.DisableCompression {
		t.Error("transport reads proxies, keeps connections or decompresses by itself")
	}
}

func TestTransportDialsTheRouteWhateverItIsAsked(t *testing.T) {
	t.Parallel()
	k, c := newKit(t), newCanary(t)
	r := &route{port: 9, addrs: []netip.Addr{netip.MustParseAddr("169.254.169.254")}}
	_, err := k.engine.guard.transport(r, k.engine.trip.(*network).tls).DialContext(context.Background(), "tcp", c.addr.String())
	var b *blocked
	if !errors.As(err, &b) {
		t.Errorf("%v", err)
	}
	c.untouched(t)
}

// The first of the two judgements, without the dialer behind it.
func TestResolvedAnswersAreJudgedBeforeDialling(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.hosts["a.example"] = []netip.Addr{netip.MustParseAddr("93.184.215.14"), netip.MustParseAddr("10.0.0.1")}
	for _, u := range []string{"http://a.example/", "http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/"} {
		parsed, err := abi.ParseURL(u)
		if err != nil {
			t.Fatal(err)
		}
		var b *blocked
		if err := k.engine.guard.resolve(t.Context(), parsed, &route{port: 80}); !errors.As(err, &b) {
			t.Errorf("%s: %v", u, err)
		}
	}
}

// What the operator opened to one skill is closed to the others, whatever their rights
// say, and the hint names the skill that asks.
func TestOpenedOriginIsForTheNamedSkill(t *testing.T) {
	t.Parallel()
	k, c := newKit(t), newCanary(t)
	o := k.open("http://" + c.addr.String())
	other := testCaller
	other.Skill = "other"
	_, _, err := k.Fetch(t.Context(), other, k.rights, abi.FetchRequest{Method: "GET", URL: string(o) + "/"}, nil)
	var p *abi.Problem
	if !errors.As(err, &p) || p.Rule != rulePrivate || p.Hint != "glovebox egress allow "+string(o)+" --skill other" {
		t.Errorf("another skill: %+v", err)
	}
	c.untouched(t)
}
