package abi

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// The canonical text of one URL each, and "" where it is refused.
var urlCorpus = []struct{ in, want string }{
	{"https://example.com", "https://example.com/"},
	{"HTTPS://EXAMPLE.COM:443/A?B#C", "https://example.com/A?B"},
	{"http://example.com:80", "http://example.com/"},
	{"http://example.com:443", "http://example.com:443/"},
	{"https://example.com?q=1", "https://example.com/?q=1"},
	{"https://example.com?", "https://example.com/"},
	{"https://example.com/a#b?c", "https://example.com/a"},
	{"https://example.com/a?b#c", "https://example.com/a?b"},
	{"https://example.com/a?b=/../c//d", "https://example.com/a?b=/../c//d"},
	{"https://example.com/a?b=%2f%2F", "https://example.com/a?b=%2f%2F"},
	{"https://example.com/a?ü", "https://example.com/a?%C3%BC"},
	{"https://example.com/%7Euser/%41", "https://example.com/~user/A"},
	{"https://example.com/%c3%bc/ü", "https://example.com/%C3%BC/%C3%BC"},
	{"https://example.com/a b", ""},
	{"https://example.com/%20", "https://example.com/%20"},
	{"https://example.com/100%25", "https://example.com/100%25"},
	{"https://example.com/[a]|b^{c}`\"<>", "https://example.com/%5Ba%5D%7Cb%5E%7Bc%7D%60%22%3C%3E"},
	{"https://Bücher.example/", "https://xn--bcher-kva.example/"},
	{"https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"},
	{"https://faß.de/", "https://xn--fa-hia.de/"},
	{"https://r3---sn-abc.example.com/", "https://r3---sn-abc.example.com/"},
	{"https://a。b．c/", "https://a.b.c/"},
	{"http://127.0.0.1/", "http://127.0.0.1/"},
	{"http://[::1]/", "http://[::1]/"},
	{"http://[0:0::0:1]:8080/", "http://[::1]:8080/"},
	{"http://[2001:DB8::A]/", "http://[2001:db8::a]/"},
	{"http://[::ffff:127.0.0.1]/", "http://[::ffff:127.0.0.1]/"},
	{"http://localhost:3000/x", "http://localhost:3000/x"},

	// dot segments resolve before anything is compared
	{"https://h.example/repos/../admin", "https://h.example/admin"},
	{"https://h.example/repos/%2e%2e/admin", "https://h.example/admin"},
	{"https://h.example/repos/.%2E/admin", "https://h.example/admin"},
	{"https://h.example/../../etc", "https://h.example/etc"},
	{"https://h.example/a/.", "https://h.example/a/"},
	{"https://h.example/a/..", "https://h.example/"},
	{"https://h.example/a/b/..", "https://h.example/a/"},
	{"https://h.example/.", "https://h.example/"},
	{"https://h.example/./a/./b", "https://h.example/a/b"},
	{"https://h.example/...", "https://h.example/..."},

	// spellings that parsers disagree about
	{"", ""}, {"example.com", ""}, {"//example.com/", ""}, {"https:example.com", ""}, {"https:/example.com", ""},
	{"https:///example.com", ""}, {"https://", ""}, {"https://?x", ""}, {"https://#", ""}, {"https://:443/", ""},
	{"ftp://example.com/", ""}, {"file:///etc/passwd", ""}, {"javascript://example.com/%0aalert(1)", ""}, {"data:text/html,x", ""},
	{"ws://example.com/", ""}, {"gopher://example.com/", ""}, {" https://example.com/", ""}, {"https://example.com/ ", ""},
	{"https://user@example.com/", ""}, {"https://user:pass@example.com/", ""}, {"https://@example.com/", ""}, {"https://good.example@evil.example/", ""},
	{"https://good.example%40evil.example/", ""}, {"https://good.example:443@evil.example/", ""},
	{`https://good.example\@evil.example/`, ""}, {`https:\\example.com\`, ""}, {`https://example.com\.evil.example/`, ""}, {`https://h.example/a\..\b`, ""},
	{"https://good.example#@evil.example/", "https://good.example/"}, {"https://good.example?@evil.example/", "https://good.example/?@evil.example/"},
	{"https://good.example;.evil.example/", ""}, {"https://good.example,evil.example/", ""}, {"https://good.example&evil.example/", ""},
	{"https://ex\tample.com/", ""}, {"https://ex\nample.com/", ""}, {"https://example.com/\r\nHost: evil", ""}, {"https://example.com/\x00", ""},
	{"https://example.com/%00", ""}, {"https://example.com/%0d%0aHost:%20evil", ""}, {"https://example.com/%7f", ""},
	{"https://ex\u00adample.com/", ""}, {"https://ex\u200bample.com/", ""}, {"https://example.com/\u202e", ""}, {"https://example.com/\ufeff", ""},
	{"https://example.com./", ""}, {"https://example.com../", ""}, {"https://.example.com/", ""}, {"https://a..b/", ""}, {"https://-a.example/", ""}, {"https://a-.example/", ""},
	{"https://a_b.example.com/", ""}, {"https://*.example.com/", ""}, {"https://exa$mple.com/", ""}, {"https://[example.com]/", ""},
	{"https://ex%61mple.com/", ""}, {"https://%65xample.com/", ""}, {"https://example%2ecom/", ""}, {"https://example.com%2f@evil/", ""}, {"https://xn--/", ""}, {"https://xn--a.example/", ""},
	{"https://example.com:/", ""}, {"https://example.com:0/", ""}, {"https://example.com:65536/", ""}, {"https://example.com:0443/", ""},
	{"https://example.com:+443/", ""}, {"https://example.com:-1/", ""}, {"https://example.com:443x/", ""}, {"https://example.com:４４３/", ""}, {"https://example.com:1:2/", ""},
	{"http://2130706433/", ""}, {"http://0x7f000001/", ""}, {"http://0x7f.1/", ""}, {"http://0177.0.0.1/", ""}, {"http://127.1/", ""}, {"http://127.0.1/", ""},
	{"http://0/", ""}, {"http://00.0.0.0/", ""}, {"http://127.0.0.01/", ""}, {"http://256.0.0.1/", ""}, {"http://1.2.3.4.5/", ""}, {"http://127.0.0.1./", ""},
	{"http://0x/", ""}, {"http://a.0x7f/", ""}, {"http://a.1/", ""}, {"http://１２７.0.0.1/", ""}, {"http://127。0。0。1/", ""}, {"http://①②⑦.⓪.⓪.①/", ""}, {"http://0X7F.1/", ""},
	{"http://[::1/", ""}, {"http://::1/", ""}, {"http://[::1]x/", ""}, {"http://[::1]:x/", ""}, {"http://[fe80::1%25eth0]/", ""}, {"http://[fe80::1%eth0]/", ""},
	{"http://[127.0.0.1]/", ""}, {"http://[::1.2.3]/", ""}, {"http://[:::1]/", ""}, {"http://[]/", ""}, {"http://[::1]]/", ""}, {"http://[[::1]]/", ""}, {"http://a[::1]/", ""},
	{"https://h.example//", ""}, {"https://h.example/a//b", ""}, {"https://h.example//evil.example/", ""},
	{"https://h.example/a%2fb", ""}, {"https://h.example/a%2Fb", ""}, {"https://h.example/a%5cb", ""}, {"https://h.example/..%2f..%2fadmin", ""},
	{"https://h.example/%252e%252e/admin", ""}, {"https://h.example/a%252fb", ""}, {"https://h.example/a%255cb", ""}, {"https://h.example/%2500", ""}, {"https://h.example/%25252e", ""}, {"https://h.example/%25%32%65", ""},
	{"https://h.example/repos/..;/admin", ""}, {"https://h.example/repos/..;a=b/admin", ""}, {"https://h.example/repos/%2e%2e;/admin", ""}, {"https://h.example/repos/..%3b/admin", ""}, {"https://h.example/.;/a", ""},
	{"https://h.example/a;b=c/d", "https://h.example/a;b=c/d"},
	{"https://h.example/%c0%ae%c0%ae/", ""}, {"https://h.example/%c0%af", ""}, {"https://h.example/%e0%80%af", ""}, {"https://h.example/%ff", ""},
	{"https://h.example/．．/admin", ""}, {"https://h.example/a／b", ""}, {"https://h.example/a＼b", ""}, {"https://h.example/‥/admin", ""}, {"https://h.example/․․/admin", ""}, {"https://h.example/%ef%bc%8e%ef%bc%8e/", ""}, {"https://h.example/％2f", ""},
	{"https://h.example/%", ""}, {"https://h.example/%2", ""}, {"https://h.example/%zz", ""}, {"https://h.example/?%zz", ""}, {"https://h.example/?%", ""},
	{"https://h.example/\xff", ""},
}

func TestParseURLCorpus(t *testing.T) {
	t.Parallel()
	for _, c := range urlCorpus {
		u, err := ParseURL(c.in)
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%q is accepted as %s", c.in, u)
		case c.want == "" && !errors.Is(err, ErrURL):
			t.Errorf("%q: error %v is not an ErrURL", c.in, err)
		case c.want != "" && (err != nil || u.String() != c.want):
			t.Errorf("%q\n got %q, %v\nwant %q", c.in, u.String(), err, c.want)
		}
		checkURL(t, c.in)
	}
	for _, n := range []int{MaxURL, MaxURL + 1} {
		s := "https://h.example/" + strings.Repeat("a", n-len("https://h.example/"))
		if _, err := ParseURL(s); (err == nil) != (n == MaxURL) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestRefusalsOfURLsSayWhy(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://good.example@evil.example/": "user information before the host",
		"https://example.com./":              "ends in a dot; leave it out",
		"http://0x7f.1/":                     "an IPv4 address has four plain decimal parts",
		"http://[fe80::1%25eth0]/":           "without a zone",
		"https://ex%61mple.com/":             "percent signs",
		"https://h.example/a%2Fb":            "encoded separator or control character \"%2F\"",
		"https://h.example/a%252Fb":          "twice encoded",
		"https://h.example/..;/a":            "dot segment with parameters",
		"https://h.example/．．/a":             "equivalent to a separator or to dots",
		"https://h.example/%c0%af":           "not UTF-8",
		"https://h.example/a//b":             "empty segment",
		"https://h.example:0/":               "port",
		"ftp://h.example/":                   "want http or https",
		`https://h.example\a`:                "backslash",
		"https://h.example/\ta":              "white space or control characters",
		"h.example":                          "want an absolute URL such as https://example.com/",
	} {
		_, err := ParseURL(in)
		wantError(t, err, want)
	}
}

// checkURL holds an accepted URL to what the broker relies on.
func checkURL(t *testing.T, in string) {
	t.Helper()
	u, err := ParseURL(in)
	if err != nil {
		return
	}
	text := u.String()
	if again, err := ParseURL(text); err != nil || again != u {
		t.Errorf("%q is not idempotent: %+v, then %+v, %v", in, u, again, err)
	}
	std, err := url.Parse(text)
	if err != nil {
		t.Fatalf("%q → %q: net/url: %v", in, text, err)
	}
	if std.Hostname() != u.Host || std.Scheme != u.Scheme || std.User != nil || std.String() != text && std.RawQuery != "" {
		t.Errorf("%q → %q: net/url dials %q and sends %q", in, text, std.Hostname(), std.String())
	}
	if o, err := ParseOrigin(string(u.Origin)); err != nil || o != u.Origin || o.Host() != u.Host || o.Scheme() != u.Scheme {
		t.Errorf("%q: origin %q parses to %q, %v", in, u.Origin, o, err)
	}
	for _, bad := range []string{"//", "/../", "/./", "%2f", "%2F", "%5c", "%5C", "%00", `\`} {
		if strings.Contains(u.Path+"/", bad) && bad != "//" || strings.Contains(u.Path, "//") {
			t.Errorf("%q: path %q holds %q", in, u.Path, bad)
		}
	}
	for _, r := range text {
		if r <= ' ' || r > '~' {
			t.Errorf("%q → %q holds %q", in, text, r)
		}
	}
	if addr, err := netip.ParseAddr(u.Host); err == nil && addr.String() != u.Host {
		t.Errorf("%q: address %q is not canonical", in, u.Host)
	}
}

func FuzzParseURL(f *testing.F) {
	for _, c := range urlCorpus {
		f.Add(c.in)
	}
	f.Fuzz(checkURL)
}

func TestParseOrigin(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Origin{
		"https://API.github.com:443": "https://api.github.com", "http://h.example:8080": "http://h.example:8080", "http://[0::1]": "http://[::1]",
		"https://h.example/": "", "https://h.example?": "", "https://h.example#": "", "https://h.example/a": "", "h.example": "", "https://*.example.com": "",
	} {
		if got, err := ParseOrigin(in); got != want || (err == nil) != (want != "") {
			t.Errorf("%q = %q, %v", in, got, err)
		}
	}
}

func TestOriginPattern(t *testing.T) {
	t.Parallel()
	for pattern, c := range map[string]struct{ yes, no []Origin }{
		"https://a.example.com":     {[]Origin{"https://a.example.com"}, []Origin{"http://a.example.com", "https://a.example.com:8443", "https://b.example.com", "https://x.a.example.com", "https://a.example.com.evil.example", ""}},
		"https://*.example.com":     {[]Origin{"https://a.example.com", "https://xn--bcher-kva.example.com"}, []Origin{"https://example.com", "https://a.b.example.com", "https://aexample.com", "http://a.example.com", "https://a.example.com:8443", "https://.example.com", "https://a.example.com.evil.example"}},
		"http://*.example.com:8080": {[]Origin{"http://a.example.com:8080"}, []Origin{"http://a.example.com", "http://a.example.com:80"}},
	} {
		p, err := ParseOriginPattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range c.yes {
			if !p.Matches(o) {
				t.Errorf("%s does not match %s", p, o)
			}
		}
		for _, o := range c.no {
			if p.Matches(o) {
				t.Errorf("%s matches %s", p, o)
			}
		}
	}
	for _, bad := range []string{"*", "https://*", "https://*.com", "https://a.*.com", "https://*a.example.com", "https://*.*.example.com", "https://**.example.com", "*://a.example.com", "https://*.1.2.3.4", "https://*.[::1]", "https://*.localhost", "https://*.example.com/", "https://*.example.com/a", "https://u@*.example.com", "https://*.u@example.com"} {
		if p, err := ParseOriginPattern(bad); err == nil {
			t.Errorf("%q is accepted as %q", bad, p)
		}
	}
}

func TestMatchPath(t *testing.T) {
	t.Parallel()
	for pattern, c := range map[string]struct{ yes, no []string }{
		"/":           {[]string{"/"}, []string{"/a", "", "a"}},
		"/**":         {[]string{"/", "/a", "/a/b/c/"}, []string{"", "a"}},
		"/repos/**":   {[]string{"/repos/", "/repos/a", "/repos/a/b"}, []string{"/repos", "/reposx/a", "/Repos/a", "/", "/a/repos/b"}},
		"/repos/*":    {[]string{"/repos/a"}, []string{"/repos/", "/repos/a/b", "/repos/a/", "/repos"}},
		"/*/b":        {[]string{"/a/b"}, []string{"//b", "/a/c", "/a/b/"}},
		"/a/":         {[]string{"/a/"}, []string{"/a", "/a/b"}},
		"/repos/**/x": {nil, []string{"/repos/a/x"}}, // ** comes last, so that this is a literal segment
	} {
		for _, p := range c.yes {
			if !MatchPath(pattern, p) {
				t.Errorf("%s does not match %s", pattern, p)
			}
		}
		for _, p := range c.no {
			if MatchPath(pattern, p) {
				t.Errorf("%s matches %s", pattern, p)
			}
		}
	}
}

func FuzzMatchPath(f *testing.F) {
	f.Add("/a/*", "/*/**", "/a/b")
	f.Add("/**", "/a/", "/a/")
	f.Add("/*", "/**", "//")
	f.Fuzz(func(t *testing.T, a, b, path string) {
		if checkPathPattern(a) != nil || checkPathPattern(b) != nil {
			MatchPath(a, path)
			return
		}
		canonical, err := canonicalPath(path)
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		if again, err := canonicalPath(canonical); err != nil || again != canonical {
			t.Errorf("%q → %q → %q, %v", path, canonical, again, err)
		}
		both, ok := meetPath(a, b)
		if got, want := ok && MatchPath(both, canonical), MatchPath(a, canonical) && MatchPath(b, canonical); got != want {
			t.Errorf("meet of %q and %q is %q, %t: matches %q = %t, want %t", a, b, both, ok, canonical, got, want)
		}
		if !slices.Contains(strings.Split(a, "/"), "*") && !strings.HasSuffix(a, "/**") && MatchPath(a, canonical) != (a == canonical) {
			t.Errorf("literal pattern %q and path %q", a, canonical)
		}
	})
}
