package abi

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var grantEdits = []edit{
	{"schema", "glovebox/grant/v1", "glovebox/grant/v2", `schema: "glovebox/grant/v2"; this build reads glovebox/grant/v1`},
	{"skill", "skill: github-issues", "skill: github-issue", `grants/github-issues.yaml:2:1: skill: the grant is for "github-issue", not for "github-issues"`},
	{"draft", "expires:", "draft: true\nexpires:", ""},
	{"publisher", "expires:", "publisher: {}\nexpires:", "publisher: want either key, or issuer and identity"},
	{"publisher.issuer", "expires:", "publisher: {issuer: 'https://a.example'}\nexpires:", "publisher: want either key, or issuer and identity"},
	{"publisher.issuer", "expires:", "publisher: {issuer: 'https://a.example', identity: x}\nexpires:", ""},
	{"publisher.identity", "expires:", "publisher: {identity: x}\nexpires:", "publisher: want either key, or issuer and identity"},
	{"publisher.identity", "expires:", "publisher: {issuer: 'https://a.example', identity: \"a\\u0007\"}\nexpires:", "publisher.identity"},
	{"publisher.key", "expires:", "publisher: {key: abc}\nexpires:", "want the base64 text of 32 bytes"},
	{"publisher.key", "expires:", "publisher: {key: '" + testKey + "', issuer: 'https://a.example', identity: x}\nexpires:", "publisher: want either key, or issuer and identity"},
	{"publisher.key", "expires:", "publisher: {key: '" + testKey + "'}\nexpires:", ""},
	{"pin", `{version: ">=1.4.0 <2"}`, "{}", "pin: want exactly one of sha256 and version"},
	{"pin.version", `">=1.4.0 <2"`, `">=1.5.0"`, ""},
	{"pin.version", `">=1.4.0 <2"`, `"1.4"`, "-"},
	{"pin.version", `">=1.4.0 <2"`, `">=1.4.0 <2 !=3"`, "is no version"},
	{"pin.version", `">=1.4.0 <2"`, `"=>1"`, `comparison "=>"`},
	{"pin.version", `">=1.4.0 <2"`, `" "`, "want 1 to 8 comparisons"},
	{"pin.sha256", `version: ">=1.4.0 <2"`, "sha256: abc", "want 64 lower-case hexadecimal digits"},
	{"pin.sha256", `version: ">=1.4.0 <2"`, `sha256: "` + strings.Repeat("0", 64) + `"`, ""},
	{"allow", "allow:\n", "allow: []\nallow2:\n", "allow: want a mapping, got a list"},
	{"allow.http", "- {argument: url, methods: [GET], paths: [\"/**\"]}", "- {origin: https://evil.example, methods: [GET], paths: [\"/**\"]}", "grants/github-issues.yaml:7:7: allow.http[1]: http GET https://evil.example /**: the grant matches nothing that the skill asks for; the closest it asks for is http "},
	{"allow.http[].origin", "origin: https://api.github.com", "origin: https://api.githb.com", "the closest it asks for is http GET,POST https://api.github.com /repos/**"},
	{"allow.http[].origin", "origin: https://api.github.com", "origin: http://api.github.com", "matches nothing"},
	{"allow.http[].origin", "origin: https://api.github.com", "origin: https://api.github.com:444", "matches nothing"},
	{"allow.http[].argument", "argument: url", "argument: repo", "matches nothing"},
	{"allow.http[].argument", "argument: url", "argument: url, origin: https://api.github.com", "give either origin or argument"},
	{"allow.http[].methods", "methods: [GET], paths: [\"/repos/acme/**\"]", "methods: [GET, POST], paths: [\"/repos/acme/**\"]", ""},
	{"allow.http[].methods", "methods: [GET], paths: [\"/repos/acme/**\"]", "methods: [DELETE], paths: [\"/repos/acme/**\"]", "matches nothing"},
	{"allow.http[].methods", "methods: [GET], paths: [\"/repos/acme/**\"]", "paths: [\"/repos/acme/**\"]", "allow.http[0].methods: missing"},
	{"allow.http[].paths", `"/repos/acme/**"`, `"/repos/**"`, ""},
	{"allow.http[].paths", `"/repos/acme/**"`, `"/admin/**"`, "matches nothing"},
	{"allow.http[].paths", `, paths: ["/repos/acme/**"]`, "", "allow.http[0].paths: missing"},
	{"allow.http[].max_response", "max_response: 64KiB", "max_response: 1KiB", ""},
	{"allow.http[].max_response", "max_response: 64KiB", "max_response: 1GiB", "exceeds the ceiling"},
	{"allow.secrets", "- {name: gh, from: \"store:github-readonly\"}", "- {name: gh, from: \"store:a\"}\n    - {name: gh, from: \"store:b\"}", `"gh" is there twice`},
	{"allow.secrets[].name", "name: gh", "name: hg", "secret hg: the grant matches nothing that the skill asks for; the closest it asks for is secret gh"},
	{"allow.secrets[].from", "store:github-readonly", "env:TOKEN", "glovebox secret set NAME"},
	{"allow.secrets[].from", "store:github-readonly", "store:", "secret name"},
	{"allow.secrets[].from", "store:github-readonly", "store:other", ""},
	{"allow.files", "- {mount: /data,", "- {mount: /data, host: /a, access: ro}\n    - {mount: /data,", `"/data" is there twice`},
	{"allow.files[].mount", "mount: /data", "mount: /dat", "files /dat: the grant matches nothing that the skill asks for; the closest it asks for is files /data"},
	{"allow.files[].host", "host: /srv/triage", "host: srv/triage", "want workspace:NAME or an absolute path"},
	{"allow.files[].host", "host: /srv/triage", "host: /srv/../etc", `write "/etc"`},
	{"allow.files[].host", "host: /srv/triage", "host: /", "the whole file system cannot be granted"},
	{"allow.files[].host", "host: /srv/triage", "host: 'workspace:../x'", "want workspace: and one name"},
	{"allow.files[].host", "host: /srv/triage", "host: 'workspace:'", "want workspace: and one name"},
	{"allow.files[].host", "host: /srv/triage", "host: 'workspace:notes'", ""},
	{"allow.files[].access", "access: ro", "access: rw", ""},
	{"allow.files[].access", ", access: ro", "", "allow.files[0].access: missing"},
	{"allow.files[].max_bytes", "access: ro", "access: ro, max_bytes: 1B", "nothing is stored below"},
	{"allow.files[].max_bytes", "access: ro", "access: rw, max_bytes: 1B", ""},
	{"allow.kv", "kv: {max_bytes: 256KiB}", "kv: {}", "allow.kv.max_bytes: missing"},
	{"allow.kv.max_bytes", "kv: {max_bytes: 256KiB}", "kv: {max_bytes: 1KiB}", ""},
	{"allow.kv.max_bytes", "kv: {max_bytes: 256KiB}", "kv: {max_bytes: 1GiB}", "exceeds the ceiling"},
	{"allow.flows", "flows: [{from: kv, to: https://api.github.com}]", "flows: []", ""},
	{"allow.flows", "flows: [{from: kv,", "flows: [{from: kv, to: https://api.github.com}, {from: kv,", "is there twice"},
	{"allow.flows[].from", "from: kv", "from: /data", "send content of /data to https://api.github.com: the grant matches nothing that the skill asks for; the closest it asks for is send its own storage (kv) to https://api.github.com"},
	{"allow.flows[].from", "from: kv", "from: data", "want a mount such as /data, kv, human or an origin"},
	{"allow.flows[].to", "to: https://api.github.com}", "to: https://evil.example}", "the grant matches nothing"},
	{"allow.flows[].to", ", to: https://api.github.com}", "}", "allow.flows[0].to: missing"},
	{"allow.human", "human: true", "human: false", ""},
	{"config", "default_owner: acme", "default_owner: umbrella", ""},
	{"config", "default_owner: acme", "default_ownr: acme", "config default_ownr: the grant matches nothing that the skill asks for; the closest it asks for is config default_owner"},
	{"config", "default_owner: acme", `default_owner: "\e[0m"`, "config.default_owner: character U+001B is not printable"},
	{"agents", "[triage]", "[]", ""},
	{"agents", "[triage]", "[other]", ""},
	{"agents", "[triage]", "['*']", "agents[0]: agent name"},
	{"agents", "[triage]", "[triage, triage]", `"triage" is there twice`},
	{"limits", "limits: {", "limits: {wal: 1s, ", `limits.wal: unknown key (did you mean "wall"?)`},
	{"limits.fuel", "limits: {", "limits: {fuel: 2e9, ", "limits.fuel: this build cannot enforce it"},
	{"limits.wall", "wall: 3s", "wall: 1s", ""},
	{"limits.memory", "memory: 16MiB", "memory: 1MiB", ""},
	{"limits.stack", "stack: 4000", "stack: 10", ""},
	{"limits.table", "table: 900", "table: 1", ""},
	{"limits.input", "input: 256KiB", "input: 1B", ""},
	{"limits.output", "output: 256KiB", "output: 1B", ""},
	{"limits.host_calls", "host_calls: 900", "host_calls: 1", ""},
	{"limits.http_calls", "http_calls: 5", "http_calls: 0", ""},
	{"limits.http_sent", "http_sent: 256KiB", "http_sent: 0B", ""},
	{"limits.http_received", "http_received: 2MiB", "http_received: 1B", ""},
	{"limits.http_time", "http_time: 3s", "http_time: 1s", ""},
	{"limits.file_read", "file_read: 512KiB", "file_read: 1B", ""},
	{"limits.log_lines", "log_lines: 5", "log_lines: 0", ""},
	{"limits.vars", "vars: 512B", "vars: 1B", ""},
	{"limits.asks", "asks: 0", "asks: 1", ""},
	{"limits.asks", "asks: 0", "asks: 4", "ceiling of 3"},
	{"expires", "2027-01-31", "2026-11-23", ""},
	{"expires", "2027-01-31", "tomorrow", "want a day such as"},
}

func TestEveryGrantKeyIsEnforcedOrRefused(t *testing.T) {
	t.Parallel()
	checkEdits(t, grantEdits, reflect.TypeFor[Grant](), "grant.yaml", func(text string) (string, error) {
		return outcome(testdata(t, "skill.yaml"), text)
	})
}

func TestMatchVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		constraint, version string
		want                bool
	}{
		{">=1.4.0 <2", "1.4.0", true}, {">=1.4.0 <2", "1.9.9", true}, {">=1.4.0 <2", "2.0.0", false}, {">=1.4.0 <2", "1.3.9", false},
		{">=1.4.0", "1.4.0-rc.1", false}, {"<2", "2.0.0-rc.1", true}, {"1.4.0", "1.4.0", true}, {"=1.4.0", "1.4.1", false},
		{">1.4.0", "1.4.0", false}, {"<=1.4.0", "1.4.0", true}, {"1", "1.0.0", true}, {">=1.10.0", "1.9.0", false},
	} {
		if got, err := matchVersion(c.constraint, c.version); got != c.want || err != nil {
			t.Errorf("%s against %s = %t, %v", c.version, c.constraint, got, err)
		}
	}
}

func TestEncodeGrantRoundTrips(t *testing.T) {
	t.Parallel()
	g := mustGrant(t, testdata(t, "grant.yaml"))
	g.Config["default_owner"] = "2027-01-31" // must stay a string
	text, err := EncodeGrant(g)
	if err != nil {
		t.Fatal(err)
	}
	again := mustGrant(t, string(text))
	g.pos, again.pos = Positions{}, Positions{}
	if !reflect.DeepEqual(g, again) {
		t.Errorf("round trip:\n%s\nwas %+v\nis  %+v", text, g, again)
	}
}

func TestEncodeGrantRefusesWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Grant){
		"no schema":     func(g *Grant) { g.Schema = "" },
		"bad agent":     func(g *Grant) { g.Agents = []AgentID{"A\nallow: x"} },
		"relative host": func(g *Grant) { g.Allow.Files[0].Host = "etc" },
		"publisher":     func(g *Grant) { g.Publisher = &Publisher{} },
	} {
		g := mustGrant(t, testdata(t, "grant.yaml"))
		change(g)
		if b, err := EncodeGrant(g); err == nil {
			t.Errorf("%s: wrote\n%s", name, b)
		}
	}
}

func TestAsGrantGivesExactlyWhatIsAsked(t *testing.T) {
	t.Parallel()
	m := mustManifest(t, testdata(t, "skill.yaml"))
	g := m.AsGrant()
	if len(g.Agents) != 0 {
		t.Errorf("names agents %v", g.Agents)
	}
	g.Agents = []AgentID{"a"}
	r, why, err := Effective(m, g, GlobalPolicy{}, "a", testProof, testNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range why {
		if !x.Granted {
			t.Errorf("not granted: %+v", x)
		}
	}
	if len(r.HTTP) != 2 || len(r.Secrets) != 1 || len(r.Files) != 1 || r.KV == nil || !r.Human || r.Files[0].Host != "workspace:data" ||
		r.HTTP[0].MaxResponse != MiB || r.HTTP[0].Auth != "gh" || r.Files[0].MaxBytes != 32*MiB || r.Limits.Wall.String() != "5s" {
		t.Errorf("rights %+v", r)
	}
	if _, err := EncodeGrant(g); err != nil {
		t.Error(err)
	}
}

func FuzzDecodeGrant(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("testdata", "grant.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	skill, err := os.ReadFile(filepath.Join("testdata", "skill.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	m := mustManifest(f, string(skill))
	f.Add(b)
	f.Add([]byte("schema: glovebox/grant/v1\nskill: x\nagents: [a]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := DecodeGrant("grants/x.yaml", b)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b\x00") {
				t.Errorf("the message breaks out of its line: %q", err)
			}
			return
		}
		if _, err := EncodeGrant(g); err != nil {
			t.Errorf("a grant that was read cannot be written: %v", err)
		}
		r, _, err := Effective(m, g, GlobalPolicy{}, "triage", testProof, testNow)
		if err == nil {
			withinRequest(t, m, g, r)
		}
	})
}
