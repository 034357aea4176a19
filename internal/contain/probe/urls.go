package probe

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/internal/contain"
)

// hosts are spellings of this machine and of places inside a network.
func hosts() []string {
	return []string{
		"127.0.0.1", "127.1", "127.0.1", "127.0.0.1.", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001",
		"127.000.000.001", "0", "0.0.0.0", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
		"[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[fe80::1%25lo]", "[fe80::1]", "localhost", "LOCALHOST", "localhost.",
		"a.localhost", "localhost.localdomain", "ip6-localhost", "printer.local", "db.internal", "router.home.arpa",
		"\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021", "\u2460\u2461\u2466.0.0.1", "%31%32%37.0.0.1", "127.0.0.1%00.example", "lo\u00adcalhost", "\u2113ocalhost",
		"10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "168.63.129.16", "192.0.0.192",
		"metadata.google.internal", "[fc00::1]", "224.0.0.1", "255.255.255.255", "198.18.0.1",
	}
}

// shapes are ways of writing a URL around a host, so that two parsers may disagree.
func shapes() []string {
	return []string{
		"http://%s/", "http://open.example@%s/", "http://open.example:80@%s/", "http://%s#@open.example/", "http://%s?@open.example/", `http://%s\@open.example/`,
		`http:\\%s\`, "http:%s/", "http:///%s/", "//%s/", "http://open.example\\.%s/", "HTTP://%s/", "http://\t%s/", "http://%s\r\nHost: open.example/", "http://%s/\x00",
		"https://%s/", "ftp://%s/", "gopher://%s/_x", "file://%s/etc/passwd", "ws://%s/", "jar:http://%s!/", "http://[%s]/", "http://%s%%2f@open.example/", "http:/\\%s/",
	}
}

// corpus spells every host in the plain shape and some in all, with the port of the
// canary where the host takes one, and without.
func corpus(port string) []string {
	var all []string
	for i, h := range hosts() {
		for j, shape := range shapes() {
			if j > 0 && i > 0 && h != "localhost" && h != "[::1]" && h != "169.254.169.254" {
				break
			}
			all = append(all, fmt.Sprintf(shape, h+":"+port), fmt.Sprintf(shape, h))
		}
	}
	return all
}

// Network runs the part of track D that is about addresses.
func Network(ctx context.Context) ([]contain.Figure, error) {
	n, err := newNetwork(nil)
	if err != nil {
		return nil, err
	}
	defer n.close()
	if _, body, err := n.fetch(ctx, string(n.origin())+"/", abi.FetchRequest{}, ""); err != nil {
		return nil, fmt.Errorf("the opened server does not answer: %w %s", err, body)
	}
	urls := corpus(port(n.canary.at))
	figures := []contain.Figure{
		n.attack(ctx, "D escapes: URL as written", urls, func(u string) string { return u }, nil),
		n.attack(ctx, "D escapes: redirect", urls, func(string) string { return string(n.origin()) + "/" }, func(u string) func(w http.ResponseWriter) {
			return func(w http.ResponseWriter) { w.Header()["Location"] = []string{u}; w.WriteHeader(http.StatusFound) }
		}),
		n.dns(ctx), n.rebind(ctx),
	}
	blocks, err := falseBlocks(ctx)
	return append(figures, blocks), err
}

// attack fetches each URL and tells which reached the canary, or were answered at all.
func (n *network) attack(ctx context.Context, name string, urls []string, ask func(u string) string, answer func(u string) func(w http.ResponseWriter)) contain.Figure {
	var reached []string
	for _, u := range urls {
		n.canary.take(nil)
		n.open.take(nil)
		if answer != nil {
			n.open.take(answer(u))
		}
		res, _, err := n.fetch(ctx, ask(u), abi.FetchRequest{}, "")
		hit := n.canary.take(nil) != ""
		own := strings.HasPrefix(res.URL, string(n.origin())+"/") // a URL that honestly names the opened server
		if hit || err == nil && !own && res.Status/100 == 2 {
			reached = append(reached, fmt.Sprintf("%q", u))
		}
	}
	return contain.Share(name, len(reached), len(urls), strings.Join(reached, ", "))
}

// dns lets names of strangers resolve to inner addresses, alone and among good ones.
func (n *network) dns(ctx context.Context) contain.Figure {
	inner := []string{
		"127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "fd00:ec2::254",
		"100.100.100.200", "168.63.129.16", "64:ff9b::7f00:1", "2002:7f00:1::1", "fe80::1", "fc00::1", "224.0.0.1", "255.255.255.255", "2001:db8::1", "192.0.2.1",
	}
	var reached []string
	total := 0
	for _, a := range inner {
		for _, mixed := range []bool{false, true} {
			answer := []netip.Addr{netip.MustParseAddr(a)}
			if mixed {
				answer = append([]netip.Addr{netip.MustParseAddr("93.184.215.14")}, answer...)
			}
			n.resolve(func(string) []netip.Addr { return answer })
			for _, u := range []string{"http://rebound.example:" + port(n.canary.at) + "/", "http://rebound.example/", string(n.daemon()) + "/"} {
				if u == string(n.daemon())+"/" && a != "127.0.0.1" {
					continue // what the operator opened may be private; the daemon itself never
				}
				total++
				n.canary.take(nil)
				if _, _, err := n.fetch(ctx, u, abi.FetchRequest{}, ""); err == nil || n.canary.take(nil) != "" {
					reached = append(reached, u+" at "+a)
				}
			}
		}
	}
	n.resolve(nil)
	return contain.Share("D escapes: DNS", len(reached), total, strings.Join(reached, ", "))
}

// rebind lets an opened name change its address between two hops, and counts that
// each hop resolves once: there is no second answer that could differ.
func (n *network) rebind(ctx context.Context) contain.Figure {
	var reached []string
	inner := []string{"169.254.169.254", "100.100.100.200", "fd00:ec2::254", "0.0.0.0", "224.0.0.1", "fe80::1"}
	for _, a := range inner {
		lookups := 0
		n.resolve(func(string) []netip.Addr {
			lookups++
			if lookups == 1 {
				return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
			}
			return []netip.Addr{netip.MustParseAddr(a)}
		})
		n.open.take(func(w http.ResponseWriter) {
			w.Header()["Location"] = []string{string(n.origin()) + "/again"}
			w.WriteHeader(http.StatusFound)
		})
		_, _, err := n.fetch(ctx, string(n.origin())+"/", abi.FetchRequest{}, "")
		if seen := n.open.take(nil); err == nil || lookups != 2 || strings.Contains(seen, "/again") {
			reached = append(reached, fmt.Sprintf("%s (%d look-ups)", a, lookups))
		}
	}
	n.resolve(nil)
	return contain.Share("D escapes: rebinding", len(reached), len(inner), strings.Join(reached, ", "))
}

// honest are URLs as people and programs write them.
func honest() []string {
	list := []string{
		"https://en.wikipedia.org/wiki/Caf%C3%A9", "https://en.wikipedia.org/wiki/Go_(programming_language)", "https://news.example/a?b=c&d=e%20f", "http://shop.example/",
		"https://m\u00fcnchen.example/stra\u00dfe", "https://xn--mnchen-3ya.example/", "https://api.example/v1/users/42/repos?per_page=100&page=2", "https://a.b.c.d.example/x",
		"https://example.org/path;param=1", "https://example.org/~user/", "https://example.org/a,b", "https://example.org/?q=%E2%9C%93", "https://example.org/@user/123",
		"https://example.org/a+b", "https://example.org/(x)", "https://example.org/x!", "https://example.org/?a[]=1&a[]=2", "https://example.org/?redirect=https%3A%2F%2Fother.example%2F",
		"https://EXAMPLE.org/Upper", "https://example.org:443/", "http://example.org:80/", "https://example.org/a/./b", "https://example.org/a/../b", "https://example.org/%7Euser",
		"https://1password.example/", "https://127-0-0-1.example/", "https://localhost.example/", "https://10.example/", "https://sub-domain.example/", "https://example.org/.well-known/x",
		"https://8.8.8.8/dns-query?dns=AAAB", "https://[2606:4700::6810:84e5]/", "https://example.org/?t=12:30", "https://example.org/a=b", "https://example.org/%20space", "https://example.org/*",
	}
	for i := range 100 {
		list = append(list, fmt.Sprintf("https://site%d.example/item/%d?ref=%x", i, i*7919, i*104729))
	}
	return list
}

// falseBlocks asks for honest URLs through the same judgement, answered from a tape:
// no network is touched.
func falseBlocks(ctx context.Context) (contain.Figure, error) {
	var tape []broker.Exchange
	for _, u := range honest() {
		tape = append(tape, broker.Exchange{Request: broker.RecordedRequest{URL: u}, Response: broker.RecordedResponse{Body: "ok"}})
	}
	r, err := broker.NewRecorded(tape, nil)
	if err != nil {
		return contain.Figure{}, err
	}
	var blocked []string
	for _, u := range honest() {
		rights := abi.Rights{Granted: true, Limits: abi.DefaultLimits(), HTTP: []abi.HTTPRight{{Argument: "url", Methods: []string{"GET"}, Paths: []string{"/**"}, Rule: "probe"}}}
		rights, err := rights.Bind([]byte(fmt.Sprintf(`{"url":%q}`, u)))
		if err == nil {
			_, _, err = r.Fetch(ctx, abi.Caller{Agent: "a", Skill: "probe"}, rights, abi.FetchRequest{URL: u}, nil)
		}
		if err != nil {
			blocked = append(blocked, fmt.Sprintf("%s (%v)", u, err))
		}
	}
	return contain.Share("D false blocks of honest URLs", len(blocked), len(honest()), strings.Join(blocked, ", ")), nil
}
