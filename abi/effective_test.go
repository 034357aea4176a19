package abi

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestEffectiveIsTheIntersection(t *testing.T) {
	t.Parallel()
	m, g := mustManifest(t, testdata(t, "skill.yaml")), mustGrant(t, testdata(t, "grant.yaml"))
	r, why, err := Effective(m, g, GlobalPolicy{}, "triage", testProof, testNow)
	if err != nil {
		t.Fatal(err)
	}
	limits := DefaultLimits()
	limits.Wall, limits.Memory, limits.Stack, limits.Table = 3*time.Second, 16*MiB, 4000, 900
	limits.Input, limits.Output, limits.HostCalls = 256*KiB, 256*KiB, 900
	limits.HTTPCalls, limits.HTTPSent, limits.HTTPReceived, limits.HTTPTime = 5, 256*KiB, 2*MiB, 3*time.Second
	limits.FileRead, limits.LogLines, limits.Vars, limits.Asks, limits.KVBytes = 512*KiB, 5, 512, 0, 256*KiB
	want := Rights{
		Granted: true,
		HTTP: []HTTPRight{
			{Origin: "https://api.github.com", Methods: []string{"GET"}, Paths: []string{"/repos/acme/**"}, Auth: "gh", MaxResponse: 64 * KiB, Rule: "grants/github-issues.yaml:6"},
			{Argument: "url", Methods: []string{"GET"}, Paths: []string{"/**"}, MaxResponse: 2 * MiB, Rule: "grants/github-issues.yaml:7"},
		},
		Secrets: []SecretRight{{Name: "gh", Store: "github-readonly", Inject: Injection{Kind: InjectHeader, Name: "Authorization", Format: "Bearer {}"},
			Only: []Origin{"https://api.github.com"}, Rule: "grants/github-issues.yaml:9"}},
		Files:  []FileRight{{Mount: "/data", Host: "/srv/triage", Rule: "grants/github-issues.yaml:11"}},
		KV:     &KVRight{MaxBytes: 256 * KiB, Rule: "grants/github-issues.yaml:12"},
		Human:  true,
		Flows:  []FlowRight{{From: "kv", To: "https://api.github.com", Rule: "grants/github-issues.yaml:14"}},
		Config: map[string]string{"default_owner": "acme"},
		Limits: limits,
		Strict: true,
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("rights\n%+v\nwant\n%+v", r, want)
	}
	first := Explanation{Right: "http GET https://api.github.com /repos/acme/**", Granted: true, Grant: "grants/github-issues.yaml:6", Request: "skill.yaml:14"}
	if !slices.Contains(why, first) {
		t.Errorf("explanations %+v\nlack %+v", why, first)
	}
	for _, x := range why {
		if !x.Granted || x.Request == "" && x.Grant == "" {
			t.Errorf("explanation %+v", x)
		}
	}
}

func TestWithoutAGrantThatHoldsThereIsNoRight(t *testing.T) {
	t.Parallel()
	m := mustManifest(t, testdata(t, "skill.yaml"))
	base := testdata(t, "grant.yaml")
	pinned := swap(t, base, `{version: ">=1.4.0 <2"}`, `{sha256: "`+testDigest.Hex()+`"}`)
	for name, c := range map[string]struct {
		grant  string
		agent  AgentID
		digest Digest
		now    time.Time
		want   string
	}{
		"no grant":            {"", "triage", testDigest, testNow, "no grant (run: glovebox skill grant github-issues)"},
		"draft":               {base + "draft: true\n", "triage", testDigest, testNow, "the grant is a draft"},
		"expired":             {base, "triage", testDigest, time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC), "the grant expired at the end of 2027-01-31"},
		"another agent":       {base, "other", testDigest, testNow, `the grant does not name agent "other"`},
		"no agent":            {base, "", testDigest, testNow, "does not name agent"},
		"empty list":          {swap(t, base, "[triage]", "[]"), "triage", testDigest, testNow, "does not name agent"},
		"newer version":       {swap(t, base, ">=1.4.0 <2", "<1.4.0"), "triage", testDigest, testNow, "pinned to another skill than version 1.4.0"},
		"downgraded":          {swap(t, base, ">=1.4.0 <2", ">1.4.0"), "triage", testDigest, testNow, "pinned to another skill"},
		"changed manifest":    {pinned, "triage", DigestOf([]byte("other")), testNow, "pinned to another skill"},
		"manifest not hashed": {pinned, "triage", "", testNow, "pinned to another skill"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var g *Grant
			if c.grant != "" {
				g = mustGrant(t, c.grant)
			}
			r, why, err := Effective(m, g, GlobalPolicy{}, c.agent, Proof{Digest: c.digest}, c.now)
			if err != nil {
				t.Fatal(err)
			}
			if want := (Rights{Config: map[string]string{"default_owner": "nobody"}}); !reflect.DeepEqual(r, want) {
				t.Errorf("rights %+v", r)
			}
			if len(why) != 1 || why[0].Granted || !strings.Contains(why[0].Why, c.want) {
				t.Errorf("explanations %+v, want %q", why, c.want)
			}
		})
	}
	last := time.Date(2027, 1, 31, 23, 59, 59, 0, time.UTC)
	if r, _, err := Effective(m, mustGrant(t, pinned), GlobalPolicy{}, "triage", testProof, last); err != nil || !r.Granted {
		t.Errorf("on the last day with the right digest: %v, %+v", err, r)
	}
}

func TestWhatTheGrantLeavesOutIsNotGranted(t *testing.T) {
	t.Parallel()
	m := mustManifest(t, testdata(t, "skill.yaml"))
	g := mustGrant(t, "schema: glovebox/grant/v1\nskill: github-issues\nagents: [triage]\n")
	r, why, err := Effective(m, g, GlobalPolicy{}, "triage", testProof, testNow)
	if err != nil || !r.Granted {
		t.Fatal(err, r)
	}
	if len(r.HTTP)+len(r.Secrets)+len(r.Files)+len(r.Flows) != 0 || r.KV != nil || r.Human || r.Limits.KVBytes != 0 {
		t.Errorf("rights %+v", r)
	}
	refused := 0
	for _, x := range why {
		if !x.Granted {
			refused++
			if x.Why != "not granted" || !strings.HasPrefix(x.Request, "skill.yaml:") {
				t.Errorf("explanation %+v", x)
			}
		}
	}
	if refused != 7 {
		t.Errorf("%d refusals, want 7: %+v", refused, why)
	}
}

func TestASecretThatIsNotGrantedIsNotInjected(t *testing.T) {
	t.Parallel()
	m := mustManifest(t, testdata(t, "skill.yaml"))
	g := mustGrant(t, swap(t, testdata(t, "grant.yaml"), "  secrets:\n    - {name: gh, from: \"store:github-readonly\"}\n", ""))
	r, _, err := Effective(m, g, GlobalPolicy{}, "triage", testProof, testNow)
	if err != nil || r.HTTP[0].Auth != "" || len(r.Secrets) != 0 {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestAGrantForMoreThanIsAskedIsStale(t *testing.T) {
	t.Parallel()
	m := mustManifest(t, "schema: glovebox/skill/v1\nname: pure\nversion: 1.0.0\nabi: extism-mcp/v2\nmodule: a.wasm\ndescription: d\n")
	for _, allow := range []string{
		"allow: {http: [{origin: 'https://a.example', methods: [GET], paths: [/]}]}", "allow: {secrets: [{name: a, from: 'store:a'}]}",
		"allow: {files: [{mount: /a, host: /a, access: ro}]}", "allow: {kv: {max_bytes: 1B}}", "allow: {human: true}", "config: {a: b}",
	} {
		g := mustGrant(t, "schema: glovebox/grant/v1\nskill: pure\nagents: [a]\n"+allow+"\n")
		_, _, err := Effective(m, g, GlobalPolicy{}, "a", testProof, testNow)
		if !errors.Is(err, ErrStaleGrant) || !strings.Contains(err.Error(), "grants/github-issues.yaml:4:") || !strings.Contains(err.Error(), "it asks for none") {
			t.Errorf("%s: %v", allow, err)
		}
	}
}

func TestRequiredConfigurationVoidsTheGrantUntilItIsGiven(t *testing.T) {
	t.Parallel()
	text := swap(t, testdata(t, "skill.yaml"), "required: false, default: nobody", "required: true")
	m := mustManifest(t, text)
	without := mustGrant(t, swap(t, testdata(t, "grant.yaml"), "config: {default_owner: acme}\n", ""))
	if r, _, err := Effective(m, without, GlobalPolicy{}, "triage", testProof, testNow); err != nil || r.Granted || len(r.HTTP) != 0 {
		t.Errorf("%v, %+v", err, r)
	}
	if r, _, err := Effective(m, mustGrant(t, testdata(t, "grant.yaml")), GlobalPolicy{}, "triage", testProof, testNow); err != nil || !r.Granted {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestConfigurationHasItsType(t *testing.T) {
	t.Parallel()
	text := swap(t, testdata(t, "skill.yaml"), "type: string, required: false, default: nobody", "type: integer")
	_, _, err := Effective(mustManifest(t, text), mustGrant(t, testdata(t, "grant.yaml")), GlobalPolicy{}, "triage", testProof, testNow)
	wantError(t, err, `config.default_owner: "acme"; want the text of a value of type integer`)
}

func TestAPrivateOriginNeedsTheGlobalPolicy(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{
		"http://127.0.0.1:8080", "https://10.0.0.1", "https://192.168.1.1", "http://169.254.169.254", "http://[::1]", "http://[fe80::1]", "http://[fd00::1]",
		"https://[::ffff:8.8.8.8]", "https://[64:ff9b::808:808]", "https://[2002:808:808::]", "https://[2001::1]", "http://100.64.0.1", "http://0.0.0.0",
		"http://localhost:3000", "http://a.localhost", "http://255.255.255.255", "http://224.0.0.1", "http://198.18.0.1",
	} {
		t.Run(origin, func(t *testing.T) {
			t.Parallel()
			o, err := ParseOrigin(origin)
			if err != nil {
				t.Fatal(err)
			}
			m := &Manifest{Name: "s", Needs: Needs{HTTP: []HTTPNeed{{Origin: OriginPattern(o), Methods: []string{"GET"}, Paths: []string{"/**"}}}}}
			g := m.AsGrant()
			g.Agents = []AgentID{"a"}
			r, why, err := Effective(m, g, GlobalPolicy{PrivateOrigins: []Origin{"http://127.0.0.1:9090"}}, "a", testProof, testNow)
			if err != nil || len(r.HTTP) != 0 || why[0].Granted || !strings.Contains(why[0].Why, "private_origins") {
				t.Errorf("%v, %+v, %+v", err, r, why)
			}
			r, _, err = Effective(m, g, GlobalPolicy{PrivateOrigins: []Origin{o}}, "a", testProof, testNow)
			if err != nil || len(r.HTTP) != 1 {
				t.Errorf("opened: %v, %+v", err, r)
			}
		})
	}
	for _, public := range []Origin{"https://example.com", "https://8.8.8.8", "https://[2606:4700::1111]"} {
		if public.Special() {
			t.Errorf("%s is special", public)
		}
	}
}

func TestALimitAboveTheDefaultNeedsBothSides(t *testing.T) {
	t.Parallel()
	long, short, negative := Duration(60*time.Second), Duration(time.Second), Duration(-time.Second)
	for name, c := range map[string]struct {
		request, grant, policy *Duration
		want                   time.Duration
	}{
		"nobody says a word":      {nil, nil, nil, 10 * time.Second},
		"only the manifest":       {&long, nil, nil, 10 * time.Second},
		"only the grant":          {nil, &long, nil, 10 * time.Second},
		"both":                    {&long, &long, nil, 60 * time.Second},
		"the manifest lowers":     {&short, nil, nil, time.Second},
		"the grant lowers":        {nil, &short, nil, time.Second},
		"the policy lowers":       {&long, &long, &short, time.Second},
		"the policy alone raises": {nil, nil, &long, 10 * time.Second},
		"nonsense is nothing":     {&negative, nil, nil, 0},
	} {
		got := effectiveLimits(LimitsRequest{Wall: c.request}, LimitsRequest{Wall: c.grant}, LimitsRequest{Wall: c.policy}).Wall
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	huge := Size(1 << 60)
	if got := effectiveLimits(LimitsRequest{Memory: &huge}, LimitsRequest{Memory: &huge}, LimitsRequest{Memory: &huge}).Memory; got != MaxLimits().Memory {
		t.Errorf("ceiling: %d", got)
	}
}

func TestThePolicyCapsAndSaysSo(t *testing.T) {
	t.Parallel()
	calls := 1
	m, g := mustManifest(t, testdata(t, "skill.yaml")), mustGrant(t, testdata(t, "grant.yaml"))
	r, why, err := Effective(m, g, GlobalPolicy{Limits: LimitsRequest{HTTPCalls: &calls}}, "triage", testProof, testNow)
	if err != nil || r.Limits.HTTPCalls != 1 {
		t.Errorf("%v, %+v", err, r.Limits)
	}
	if !slices.ContainsFunc(why, func(x Explanation) bool { return x.Right == "limit http_calls 1" && x.Why == "global policy" }) {
		t.Errorf("explanations %+v", why)
	}
}

// withinRequest is the law of Effective: nothing that request or grant does not hold.
func withinRequest(t interface{ Errorf(string, ...any) }, m *Manifest, g *Grant, r Rights) {
	sample := func(p OriginPattern) Origin { return Origin(strings.Replace(string(p), "*", "label", 1)) }
	samplePath := func(p string) string {
		return strings.ReplaceAll(strings.Replace(p, "**", "rest/of/it", 1), "*", "one")
	}
	for _, h := range r.HTTP {
		for _, method := range h.Methods {
			for _, path := range h.Paths {
				p := samplePath(path)
				asked := slices.ContainsFunc(m.Needs.HTTP, func(n HTTPNeed) bool {
					return (h.Argument != "" && n.Argument == h.Argument || h.Argument == "" && n.Origin.Matches(sample(h.Origin))) && slices.Contains(n.Methods, method) &&
						slices.ContainsFunc(n.Paths, func(q string) bool { return MatchPath(q, p) })
				})
				granted := slices.ContainsFunc(g.Allow.HTTP, func(n HTTPGrant) bool {
					return (h.Argument != "" && n.Argument == h.Argument || h.Argument == "" && n.Origin.Matches(sample(h.Origin))) && slices.Contains(n.Methods, method) &&
						slices.ContainsFunc(n.Paths, func(q string) bool { return MatchPath(q, p) })
				})
				if !asked || !granted {
					t.Errorf("%s %s%s: asked %t, granted %t", method, h.Origin, p, asked, granted)
				}
			}
		}
		if h.Auth != "" && !slices.ContainsFunc(r.Secrets, func(s SecretRight) bool { return s.Name == h.Auth }) {
			t.Errorf("auth %s without its secret", h.Auth)
		}
		if h.Rule == "" {
			t.Errorf("%s has no rule", h)
		}
	}
	for _, f := range r.Files {
		i := slices.IndexFunc(m.Needs.Files, func(n FileNeed) bool { return n.Mount == f.Mount })
		j := slices.IndexFunc(g.Allow.Files, func(n FileGrant) bool { return n.Mount == f.Mount })
		if i < 0 || j < 0 || g.Allow.Files[j].Host != f.Host || f.Write && (m.Needs.Files[i].Access != AccessWrite || g.Allow.Files[j].Access != AccessWrite) {
			t.Errorf("file right %+v", f)
		}
	}
	if r.KV != nil && (m.Needs.KV == nil || g.Allow.KV == nil || r.KV.MaxBytes > int64(min(m.Needs.KV.MaxBytes, g.Allow.KV.MaxBytes))) {
		t.Errorf("kv right %+v", *r.KV)
	}
	for _, f := range r.Flows {
		if !slices.ContainsFunc(m.Needs.Flows, func(n FlowNeed) bool { return n.From == f.From && n.To.Matches(sample(f.To)) }) ||
			!slices.ContainsFunc(g.Allow.Flows, func(n FlowGrant) bool { return n.From == f.From && n.To.Matches(sample(f.To)) }) {
			t.Errorf("flow right %+v", f)
		}
	}
	if r.Human && (m.Needs.Human == nil || !m.Needs.Human.Ask || !g.Allow.Human) {
		t.Errorf("human right")
	}
	for _, k := range limitKeys() {
		got := k.of(r.Limits)
		if v, ok := k.get(&m.Limits); ok && got > v {
			t.Errorf("limit %s exceeds the request", k.name)
		}
		if v, ok := k.get(&g.Limits); ok && got > v {
			t.Errorf("limit %s exceeds the grant", k.name)
		}
		if got > k.of(MaxLimits()) {
			t.Errorf("limit %s exceeds the ceiling", k.name)
		}
	}
}

func TestEffectiveNeverExceedsRequestNorGrant(t *testing.T) {
	t.Parallel()
	origins := []OriginPattern{"https://a.example.com", "https://b.example.com", "https://*.example.com", "http://a.example.com", "https://a.example.com:8443", "https://*.b.example.com"}
	paths := []string{"/", "/**", "/a", "/a/", "/a/*", "/a/**", "/*/b", "/a/b", "/*/*", "/*/**", "/a/b/c"}
	methods := []string{"GET", "POST", "PUT"}
	some := func(t *rapid.T, from []string, label string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, 3, rapid.ID[string]).Draw(t, label)
	}
	access := rapid.SampledFrom([]Access{AccessRead, AccessWrite})
	rapid.Check(t, func(t *rapid.T) {
		m := &Manifest{Name: "s", Strict: true}
		g := &Grant{Skill: "s", Agents: []AgentID{"a"}}
		for range rapid.IntRange(0, 3).Draw(t, "needs") {
			n := HTTPNeed{Methods: some(t, methods, "need methods"), Paths: some(t, paths, "need paths")}
			if rapid.Bool().Draw(t, "need argument") {
				n.Argument = rapid.SampledFrom([]string{"url", "feed"}).Draw(t, "argument")
			} else {
				n.Origin = rapid.SampledFrom(origins).Draw(t, "origin")
			}
			m.Needs.HTTP = append(m.Needs.HTTP, n)
		}
		for range rapid.IntRange(0, 3).Draw(t, "grants") {
			n := HTTPGrant{Methods: some(t, methods, "grant methods"), Paths: some(t, paths, "grant paths")}
			if rapid.Bool().Draw(t, "grant argument") {
				n.Argument = rapid.SampledFrom([]string{"url", "feed"}).Draw(t, "argument")
			} else {
				n.Origin = rapid.SampledFrom(origins).Draw(t, "origin")
			}
			g.Allow.HTTP = append(g.Allow.HTTP, n)
		}
		if rapid.Bool().Draw(t, "files") {
			m.Needs.Files = []FileNeed{{Mount: "/d", Access: access.Draw(t, "need access")}}
			g.Allow.Files = []FileGrant{{Mount: "/d", Host: "/srv", Access: access.Draw(t, "grant access")}}
		}
		if rapid.Bool().Draw(t, "kv") {
			m.Needs.KV = &KVNeed{MaxBytes: Size(rapid.Int64Range(0, 100).Draw(t, "need kv"))}
			g.Allow.KV = &KVGrant{MaxBytes: Size(rapid.Int64Range(0, 100).Draw(t, "grant kv"))}
		}
		m.Limits.HTTPCalls, g.Limits.HTTPCalls = drawLimit(t, "asked"), drawLimit(t, "granted")
		r, _, err := Effective(m, g, GlobalPolicy{Limits: LimitsRequest{HTTPCalls: drawLimit(t, "policy")}}, "a", testProof, testNow)
		if err != nil {
			if !errors.Is(err, ErrStaleGrant) {
				t.Fatal(err)
			}
			return
		}
		withinRequest(t, m, g, r)
		noLessThanBoth(t, m, g, r, paths, methods)
	})
}

func drawLimit(t *rapid.T, label string) *int {
	if rapid.Bool().Draw(t, label+" said") {
		n := rapid.IntRange(0, 300).Draw(t, label)
		return &n
	}
	return nil
}

// noLessThanBoth is the other half: what request and grant both hold is granted.
func noLessThanBoth(t *rapid.T, m *Manifest, g *Grant, r Rights, paths, methods []string) {
	concrete := []string{"/", "/a", "/a/", "/a/b", "/x/b", "/a/b/c", "/x/y/z/"}
	for _, origin := range []Origin{"https://a.example.com", "https://b.example.com", "https://c.b.example.com", "http://a.example.com"} {
		for _, method := range methods {
			for _, path := range concrete {
				match := func(o OriginPattern, ms, ps []string) bool {
					return o.Matches(origin) && slices.Contains(ms, method) && slices.ContainsFunc(ps, func(p string) bool { return MatchPath(p, path) })
				}
				asked := slices.ContainsFunc(m.Needs.HTTP, func(h HTTPNeed) bool { return match(h.Origin, h.Methods, h.Paths) })
				granted := slices.ContainsFunc(g.Allow.HTTP, func(h HTTPGrant) bool { return match(h.Origin, h.Methods, h.Paths) })
				held := slices.ContainsFunc(r.HTTP, func(h HTTPRight) bool { return match(h.Origin, h.Methods, h.Paths) })
				if held != (asked && granted) {
					t.Errorf("%s %s%s: asked %t, granted %t, held %t", method, origin, path, asked, granted, held)
				}
			}
		}
	}
}

func TestZeroValuesDeny(t *testing.T) {
	t.Parallel()
	r, _, err := Effective(&Manifest{}, &Grant{}, GlobalPolicy{}, "a", testProof, testNow)
	if err != nil || !reflect.DeepEqual(r, Rights{}) {
		t.Errorf("zero manifest and grant: %v, %s", err, fmt.Sprintf("%+v", r))
	}
	if (OriginPattern("")).Matches("") || (OriginPattern("")).Matches("https://a.example") || MatchPath("", "") || MatchPath("", "/") || (Pin{}).holds("1.0.0", testDigest) {
		t.Error("a zero value admits something")
	}
}

func TestHTTPFlagNamesWhatCanBeGranted(t *testing.T) {
	t.Parallel()
	of := func(needs ...HTTPNeed) string {
		r, _, err := Effective(&Manifest{Name: "x", Needs: Needs{HTTP: needs}}, nil, GlobalPolicy{}, "a", Proof{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return r.HTTPFlag("https://example.com")
	}
	if got := of(HTTPNeed{Argument: "url"}); got != "argument:url" {
		t.Errorf("a skill that asks for an argument: %q", got)
	}
	if got := of(HTTPNeed{Argument: "url"}, HTTPNeed{Origin: "https://example.com"}); got != "https://example.com" {
		t.Errorf("a skill that asks for an origin as well: %q", got)
	}
	if got := of(); got != "https://example.com" {
		t.Errorf("a skill that asks for nothing: %q", got)
	}
}

// TestPublisherOfAGrant takes nobody but the one whom the grant names, key by key.
func TestPublisherOfAGrant(t *testing.T) {
	t.Parallel()
	m, base := mustManifest(t, testdata(t, "skill.yaml")), testdata(t, "grant.yaml")
	const issuer, identity = "https://issuer.example", "https://example.com/release@refs/tags/v1"
	other := "X" + testKey[1:]
	byKey, byIdentity := "publisher: {key: "+testKey+"}\n", "publisher: {issuer: "+issuer+", identity: "+identity+"}\n"
	for name, c := range map[string]struct {
		publisher string
		signer    Signer
		want      bool
	}{
		"no publisher asked for, signed by nobody": {"", Signer{}, true},
		"the key":                        {byKey, Signer{Key: testKey}, true},
		"another key":                    {byKey, Signer{Key: other}, false},
		"nobody instead of the key":      {byKey, Signer{}, false},
		"an identity instead of a key":   {byKey, Signer{Issuer: issuer, Identity: testKey}, false},
		"the identity":                   {byIdentity, Signer{Issuer: issuer, Identity: identity}, true},
		"another issuer":                 {byIdentity, Signer{Issuer: "https://issuer.example.org", Identity: identity}, false},
		"another identity":               {byIdentity, Signer{Issuer: issuer, Identity: identity + "2"}, false},
		"nobody instead of the identity": {byIdentity, Signer{}, false},
		"a key instead of an identity":   {byIdentity, Signer{Key: testKey}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, why, err := Effective(m, mustGrant(t, base+c.publisher), GlobalPolicy{}, "triage", Proof{Digest: testDigest, Signer: c.signer}, testNow)
			if err != nil || r.Granted != c.want {
				t.Fatalf("granted %v, want %v; error %v", r.Granted, c.want, err)
			}
			if !c.want && (len(why) != 1 || !strings.Contains(why[0].Why, "another publisher") || !strings.Contains(why[0].Why, c.signer.String())) {
				t.Errorf("explanations %+v", why)
			}
		})
	}
	// A grant that no decoder has seen and that names nobody admits nobody.
	g := mustGrant(t, base)
	g.Publisher = &Publisher{}
	if r, _, err := Effective(m, g, GlobalPolicy{}, "triage", Proof{Digest: testDigest}, testNow); err != nil || r.Granted {
		t.Errorf("an empty publisher admits nobody's signature: %v", err)
	}
	g.Publisher = Signer{Key: testKey}.Only()
	if text, err := EncodeGrant(g); err != nil || !strings.Contains(string(text), "key: "+testKey) {
		t.Errorf("written as %s, error %v", text, err)
	}
}
