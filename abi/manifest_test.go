package abi

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// edit is one change of testdata/skill.yaml or testdata/grant.yaml. want is part of the error, or
// empty: then the outcome for the policy, the rights or their explanation must change.
type edit struct{ key, old, with, want string }

var manifestEdits = []edit{
	{"schema", "glovebox/skill/v1", "glovebox/skill/v2", `schema: "glovebox/skill/v2"; this build reads glovebox/skill/v1`},
	{"name", "name: github-issues", "name: GitHub", "skill.yaml:2:1: name: skill name"},
	{"name", "name: github-issues", "name: other", `the grant is for "github-issues"`},
	{"version", "1.4.0", "1.4.x", "want a semantic version"},
	{"version", "1.4.0", "1.4.0-rc1+b", ""}, // below the pin
	{"version", "1.4.0", "v1.4.0", "want a semantic version"},
	{"abi", "extism-mcp/v2", "extism-mcp/v3", `abi: "extism-mcp/v3"; want extism-mcp/v2,`},
	{"abi", "extism-mcp/v2", "auto", `"auto"; want`},
	{"module", "skill.wasm", "../skill.wasm", "module: "},
	{"module", "skill.wasm", "/tmp/skill.wasm", "module: "},
	{"module", "skill.wasm", "skill.exe", "module: "},
	{"description", "Read and file GitHub issues", `""`, "description: empty"},
	{"description", "Read and file GitHub issues", `"a\e[31m"`, "is not printable"},
	{"description", "Read and file GitHub issues", `"a\u202eb"`, "is not printable"},
	{"description", "Read and file GitHub issues", strings.Repeat("x", 2049), "limit of 2 KiB"},
	{"stateful", "isolation: fresh", "stateful: true", "stateful: this build cannot enforce it"},
	{"isolation", "isolation: fresh", "isolation: reset", "isolation: this build cannot enforce it"},
	{"isolation", "isolation: fresh", "isolation: frsh", `did you mean "fresh"?`},
	{"strict", "strict: true", "strict: false", ""},

	{"tools", "abi: extism-mcp/v2", "abi: extism/raw", "-"}, // see TestRawNeedsTools
	{"tools[].name", "name: list_issues", "name: list issues", "tools[0].name: tool name"},
	{"tools[].name", "name: list_issues", "name: Create_Issue", "tools[1].name: \"create_issue\" is too like the tool \"Create_Issue\""},
	{"tools[].effect", "effect: read", "effect: rad", `tools[0].effect: effect "rad": want read`},
	{"tools[].effect", "effect: read, ", "", ""}, // undeclared is destructive
	{"tools[].args", "state: inert", "state: inrt", "tools[0].args.state: argument role"},
	{"tools[].args", "state: inert", "state: content", ""},
	{"tools[].args", "state: inert", `"a b": inert`, "argument name"},
	{"tools[].recipients", "recipients: [/repo]", "recipients: [repo]", "want a JSON Pointer"},
	{"tools[].recipients", "recipients: [/repo]", "recipients: [/title]", "the argument's role is control, not content"},
	{"tools[].recipients", "recipients: [/repo]", "recipients: [/rep]", `did you mean "repo"?`},
	{"tools[].recipients", "recipients: [/repo]", "recipients: [/a~2]", "want a JSON Pointer"},
	{"tools[].recipients", ", recipients: [/repo]", "", ""},

	{"needs", "  human: {ask: true, why: to choose a label}\n", "", "allow.human: human: the grant matches nothing"},
	{"needs.http", "- argument: url", "- {}\n    - argument: url", "needs.http[1].methods: missing"},
	{"needs.http[].origin", "origin: https://api.github.com", "origin: ftp://api.github.com", `scheme "ftp"`},
	{"needs.http[].origin", "origin: https://api.github.com", "origin: https://*", "refused URL"},
	{"needs.http[].origin", "origin: https://api.github.com", "origin: https://*.com", "at least two labels"},
	{"needs.http[].origin", "origin: https://api.github.com", "origin: https://api.*.com", "whole first label"},
	{"needs.http[].origin", "origin: https://api.github.com", "origin: https://api.github.com/repos", "an origin has no path"},
	{"needs.http[].origin", "origin: https://api.github.com", "origin: https://api.github.com:8443", "none of which is https://api.github.com:8443"},
	{"needs.http[].origin", "    - origin: https://api.github.com\n      methods", "    - methods", "needs.http[0].origin: missing; give origin, or argument"},
	{"needs.http[].argument", "argument: url", "argument: uri", `no tool declares an argument "uri"`},
	{"needs.http[].argument", "argument: url", "argument: title", `tool create_issue declares "title" as content; an argument that chooses a destination is control`},
	{"needs.http[].argument", "argument: url", "argument: url\n      origin: https://x.example", "give either origin or argument"},
	{"needs.http[].argument", "argument: url", "argument: url\n      auth: gh", "a secret cannot go to an origin that an argument chooses"},
	{"needs.http[].argument", "argument: url", "argument: repo", "http GET the origin of argument url /**: the grant matches nothing"},
	{"needs.http[].methods", "[GET, POST]", "[get]", `methods[0]: "get"; want a method in upper case`},
	{"needs.http[].methods", "[GET, POST]", "[CONNECT]", "never sent"},
	{"needs.http[].methods", "[GET, POST]", "[]", "methods: empty"},
	{"needs.http[].methods", "[GET, POST]", "[POST]", "the grant matches nothing"},
	{"needs.http[].paths", `["/repos/**"]`, `[repos]`, "begin with a slash"},
	{"needs.http[].paths", `["/repos/**"]`, `["/repos/*x"]`, "* stands for a whole segment"},
	{"needs.http[].paths", `["/repos/**"]`, `["/**/repos"]`, "comes last"},
	{"needs.http[].paths", `["/repos/**"]`, `["/a/../repos"]`, `write its canonical form "/repos"`},
	{"needs.http[].paths", `["/repos/**"]`, `["/a%2fb"]`, "encoded separator"},
	{"needs.http[].paths", `["/repos/**"]`, `[]`, "paths: empty"},
	{"needs.http[].paths", `["/repos/**"]`, `["/repos/acme/x"]`, ""},
	{"needs.http[].auth", "auth: gh", "auth: hg", `no secret "hg" in needs.secrets (did you mean "gh"?)`},
	{"needs.http[].auth", "      auth: gh\n", "", ""},
	{"needs.http[].max_response", "max_response: 1MiB", "max_response: 17MiB", "exceeds the ceiling of 16MiB"},
	{"needs.http[].max_response", "max_response: 1MiB", "max_response: 1KiB", ""},
	{"needs.http[].why", "read and create issues", `"\e[2J"`, "needs.http[0].why: character U+001B is not printable"},

	{"needs.secrets", "inject: {header", "injct: {header", `needs.secrets[0].injct: unknown key (did you mean "inject"?)`},
	{"needs.secrets[].name", "- name: gh", "- name: 'g h'", "needs.secrets[0].name: secret name"},
	{"needs.secrets[].name", "- name: gh", "- name: gh2", `no secret "gh"`},
	{"needs.secrets[].inject", `{header: Authorization, format: "Bearer {}"}`, "{}", "exactly one of bearer"},
	{"needs.secrets[].inject.bearer", `{header: Authorization, format: "Bearer {}"}`, "{bearer: true}", ""},
	{"needs.secrets[].inject.bearer", `{header: Authorization, format: "Bearer {}"}`, "{bearer: true, query: key}", "exactly one of bearer"},
	{"needs.secrets[].inject.header", "header: Authorization", "header: Host", `inject.header: "Host" cannot carry a secret`},
	{"needs.secrets[].inject.header", "header: Authorization", "header: Proxy-Authorization", "cannot carry a secret"},
	{"needs.secrets[].inject.header", "header: Authorization", `header: "X\r\nY"`, "cannot carry a secret"},
	{"needs.secrets[].inject.header", "header: Authorization", "header: X-Key", ""},
	{"needs.secrets[].inject.format", `"Bearer {}"`, `"Bearer"`, "exactly one {}"},
	{"needs.secrets[].inject.format", `"Bearer {}"`, `"{}\n{}"`, "exactly one {}"},
	{"needs.secrets[].inject.format", `"Bearer {}"`, `"token {}"`, ""},
	{"needs.secrets[].inject.query", `{header: Authorization, format: "Bearer {}"}`, "{query: 'a&b'}", "want the name of a parameter"},
	{"needs.secrets[].inject.query", `{header: Authorization, format: "Bearer {}"}`, "{query: key}", ""},
	{"needs.secrets[].inject.basic", `{header: Authorization, format: "Bearer {}"}`, "{basic: 'a:b'}", "without a colon"},
	{"needs.secrets[].inject.basic", `{header: Authorization, format: "Bearer {}"}`, "{basic: me}", ""},
	{"needs.secrets[].only", "only: [https://api.github.com]", "only: ['https://*.github.com']", "needs.secrets[0].only[0]: refused URL"},
	{"needs.secrets[].only", "only: [https://api.github.com]", "only: ['http://api.github.com']", "a secret travels over https"},
	{"needs.secrets[].only", "only: [https://api.github.com]", "only: []", "want 1 to 64 exact origins"},
	{"needs.secrets[].only", "only: [https://api.github.com]", "only: [https://other.example]", "none of which is https://api.github.com"},
	{"needs.secrets[].why", "your token", `"a\u200bb"`, "not printable"},

	{"needs.files", "files:\n    - {mount: /data", "files:\n    - {mount: /x, access: ro}\n    - {mount: /x", "needs.files[1].mount: \"/x\" is there twice"},
	{"needs.files[].mount", "mount: /data", "mount: /data/x", "want a slash and one name"},
	{"needs.files[].mount", "mount: /data", "mount: /", "want a slash and one name"},
	{"needs.files[].mount", "mount: /data", "mount: /..", "want a slash and one name"},
	{"needs.files[].mount", "mount: /data", "mount: data", "want a slash and one name"},
	{"needs.files[].mount", "mount: /data", "mount: /dta", "files /data: the grant matches nothing that the skill asks for; the closest it asks for is files /dta"},
	{"needs.files[].root", "root: workspace", "root: /etc", "a host path stands only in the grant"},
	{"needs.files[].access", "access: rw", "access: rx", `needs.files[0].access: "rx"; want ro, rw`},
	{"needs.files[].access", "access: rw", "access: ro", "nothing is stored below a mount with access ro"},
	{"needs.files[].max_bytes", "max_bytes: 32MiB", "max_bytes: 32", "want an integer and one of"},
	{"needs.files[].why", "why: drafts", `why: "\x7f"`, "not printable"},

	{"needs.kv", "kv: {max_bytes: 512KiB, scope: agent, why: cursors}", "kv: {}", "needs.kv.max_bytes: missing"},
	{"needs.kv.max_bytes", "max_bytes: 512KiB", "max_bytes: 65MiB", "exceeds the ceiling of 64MiB"},
	{"needs.kv.max_bytes", "max_bytes: 512KiB", "max_bytes: 1KiB", ""},
	{"needs.kv.scope", "scope: agent", "scope: session", "needs.kv.scope: this build cannot enforce it"},
	{"needs.kv.why", "why: cursors", `why: "\0"`, "not printable"},

	{"needs.config", "- {key: default_owner", "- {key: a}\n    - {key: a}\n    - {key: default_owner", `"a" is there twice`},
	{"needs.config[].key", "key: default_owner", "key: a b", "needs.config[0].key: \"a b\""},
	{"needs.config[].key", "key: default_owner", "key: gh", `"gh" is a secret already`},
	{"needs.config[].key", "key: default_owner", "key: default_ownr", "config default_owner: the grant matches nothing that the skill asks for; the closest it asks for is config default_ownr"},
	{"needs.config[].type", "type: string", "type: strng", `did you mean "string"?`},
	{"needs.config[].type", "type: string", "type: integer", `needs.config[0].default: "nobody"; want the text of a value of type integer`},
	{"needs.config[].required", "required: false", "required: yes", "want true or false"},
	{"needs.config[].default", "default: nobody", "default: 5", "want a string"},
	{"needs.config[].why", "why: whose repositories", `why: "\b"`, "not printable"},

	{"needs.flows", "flows:\n    - {from: kv", "flows:\n    - {from: kv, to: https://api.github.com}\n    - {from: kv", "is there twice"},
	{"needs.flows", "flows:\n    - {from", "flows: {}\nlist:\n    - {from", "needs.flows: want a list"},
	{"needs.flows[].from", "{from: kv", "{from: /dta", `needs.flows[0].from: "/dta" is nothing that needs asks to read`},
	{"needs.flows[].from", "{from: kv", "{from: data", "want a mount such as /data, kv, human or an origin"},
	{"needs.flows[].from", "{from: kv", "{from: /data", "the grant matches nothing that the skill asks for; the closest it asks for is send content of /data to https://api.github.com"},
	{"needs.flows[].from", "{from: kv", "{from: human", "the grant matches nothing"},
	{"needs.flows[].from", "{from: kv", "{from: https://evil.example", "is nothing that needs asks to read"},
	{"needs.flows[].to", "to: https://api.github.com, why: g", "to: https://evil.example, why: g", "is no origin of needs.http; where an argument chooses"},
	{"needs.flows[].to", "to: https://api.github.com, why: g", "to: '*', why: g", "-"},
	{"needs.flows[].why", "why: goes on where it stopped", `why: "\a"`, "not printable"},
	{"needs.human.ask", "ask: true", "ask: false", "asks for nothing"},
	{"needs.human.why", "why: to choose a label", `why: "\a"`, "not printable"},
	{"needs.human", "human: {ask: true, why: to choose a label}", "human: true", "needs.human: want a mapping, got a boolean"},

	{"limits", "limits: {", "limits: {cpu: 1, ", "limits.cpu: unknown key"},
	{"limits.fuel", "limits: {", "limits: {fuel: 2e9, ", "limits.fuel: this build cannot enforce it"},
	{"limits.wall", "wall: 5s", "wall: 121s", "limits.wall: 2m1s is outside 0 to the ceiling of 2m0s"},
	{"limits.memory", "memory: 32MiB", "memory: 513MiB", "ceiling of 512MiB"},
	{"limits.stack", "stack: 5000", "stack: 100001", "ceiling of 100000"},
	{"limits.table", "table: 1000", "table: 65537", "ceiling of 65536"},
	{"limits.input", "input: 512KiB", "input: 17MiB", "ceiling of 16MiB"},
	{"limits.output", "output: 512KiB", "output: 17MiB", "ceiling of 16MiB"},
	{"limits.host_calls", "host_calls: 1000", "host_calls: 100001", "ceiling of 100000"},
	{"limits.http_calls", "http_calls: 10", "http_calls: 201", "ceiling of 200"},
	{"limits.http_calls", "http_calls: 10", "http_calls: -1", "outside 0 to"},
	{"limits.http_sent", "http_sent: 512KiB", "http_sent: 17MiB", "ceiling of 16MiB"},
	{"limits.http_received", "http_received: 4MiB", "http_received: 65MiB", "ceiling of 64MiB"},
	{"limits.http_time", "http_time: 5s", "http_time: 31s", "ceiling of 30s"},
	{"limits.file_read", "file_read: 1MiB", "file_read: 257MiB", "ceiling of 256MiB"},
	{"limits.log_lines", "log_lines: 10", "log_lines: 1001", "ceiling of 1000"},
	{"limits.vars", "vars: 1KiB", "vars: 65KiB", "ceiling of 64KiB"},
	{"limits.asks", "asks: 1", "asks: 4", "ceiling of 3"},
	{"limits.wall", "wall: 5s", "wall: 1s", ""},
	{"limits.memory", "memory: 32MiB", "memory: 1MiB", ""},
	{"limits.stack", "stack: 5000", "stack: 10", ""},
	{"limits.table", "table: 1000", "table: 1", ""},
	{"limits.input", "input: 512KiB", "input: 1B", ""},
	{"limits.output", "output: 512KiB", "output: 1B", ""},
	{"limits.host_calls", "host_calls: 1000", "host_calls: 1", ""},
	{"limits.http_calls", "http_calls: 10", "http_calls: 0", ""},
	{"limits.http_sent", "http_sent: 512KiB", "http_sent: 0B", ""},
	{"limits.http_received", "http_received: 4MiB", "http_received: 1B", ""},
	{"limits.http_time", "http_time: 5s", "http_time: 1s", ""},
	{"limits.file_read", "file_read: 1MiB", "file_read: 1B", ""},
	{"limits.log_lines", "log_lines: 10", "log_lines: 0", ""},
	{"limits.vars", "vars: 1KiB", "vars: 1B", ""},
	{"limits.asks", "asks: 1}", "asks: -1}", "outside 0 to"},
}

// outcome is everything that a manifest and a grant decide.
func outcome(manifest, grant string) (string, error) {
	m, err := DecodeManifest("skill.yaml", []byte(manifest))
	if err != nil {
		return "", err
	}
	g, err := DecodeGrant("grants/github-issues.yaml", []byte(grant))
	if err != nil {
		return "", err
	}
	r, why, err := Effective(m, g, GlobalPolicy{}, "triage", testProof, testNow)
	if err != nil {
		return "", err
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%+v\n", r)
	if r.KV != nil {
		fmt.Fprintf(&s, "%+v\n", *r.KV)
	}
	for _, x := range why {
		fmt.Fprintf(&s, "%s %t %s\n", x.Right, x.Granted, x.Why)
	}
	for _, d := range m.Tools {
		fmt.Fprintf(&s, "%s %s %v %v\n", d.Name, d.Effect.Class(), d.Args, d.Recipients)
	}
	return s.String(), nil
}

func TestEveryManifestKeyIsEnforcedOrRefused(t *testing.T) {
	t.Parallel()
	checkEdits(t, manifestEdits, reflect.TypeFor[Manifest](), "skill.yaml", func(text string) (string, error) {
		return outcome(text, testdata(t, "grant.yaml"))
	})
}

// checkEdits applies each edit, and wants one for each key of typ.
func checkEdits(t *testing.T, edits []edit, typ reflect.Type, file string, outcome func(string) (string, error)) {
	t.Helper()
	base := testdata(t, file)
	before, err := outcome(base)
	if err != nil {
		t.Fatal(err)
	}
	covered := map[string]bool{}
	for _, e := range edits {
		covered[e.key] = true
		if e.want == "-" {
			continue
		}
		t.Run(e.key+" "+e.with, func(t *testing.T) {
			after, err := outcome(swap(t, base, e.old, e.with))
			if e.want != "" {
				wantError(t, err, e.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if before == after {
				t.Errorf("the key changes nothing:\n%s", after)
			}
		})
	}
	for _, key := range keysOf(typ, "") {
		if !covered[key] {
			t.Errorf("no test shows what the key %s does", key)
		}
	}
}

// keysOf lists every key of a struct type.
func keysOf(t reflect.Type, path string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice:
		return keysOf(t.Elem(), path+"[]")
	case reflect.Struct:
	default:
		return nil
	}
	var keys []string
	for _, f := range yamlFields(t) {
		sub := joinPath(path, f.name)
		keys = append(append(keys, sub), keysOf(t.Field(f.index).Type, sub)...)
	}
	return keys
}

func TestRawNeedsTools(t *testing.T) {
	t.Parallel()
	_, err := DecodeManifest("skill.yaml", []byte("schema: glovebox/skill/v1\nname: a\nversion: 1.0.0\nabi: extism/raw\nmodule: a.wasm\ndescription: d\n"))
	wantError(t, err, "skill.yaml:1:1: tools: missing; abi extism/raw calls the exports that are named here")
}

func TestManifestListsAreBounded(t *testing.T) {
	t.Parallel()
	base := "schema: glovebox/skill/v1\nname: a\nversion: 1.0.0\nabi: extism-mcp/v2\nmodule: a.wasm\ndescription: d\n"
	list := func(n int, item string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, item, i)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		n    int
		head string
		item string
	}{
		"tools":   {256, "tools:\n", "  - {name: t%d}\n"},
		"http":    {64, "needs:\n  http:\n", "    - {origin: 'https://h%d.example.com', methods: [GET], paths: [/]}\n"},
		"secrets": {64, "needs:\n  secrets:\n", "    - {name: s%d, inject: {bearer: true}, only: ['https://h.example.com']}\n"},
		"files":   {64, "needs:\n  files:\n", "    - {mount: /m%d, access: ro}\n"},
		"config":  {64, "needs:\n  config:\n", "    - {key: k%d}\n"},
		"args":    {64, "tools:\n  - name: t\n    args:\n", "      a%d: inert\n"},
	} {
		if _, err := DecodeManifest("skill.yaml", []byte(base+c.head+list(c.n, c.item))); err != nil {
			t.Errorf("%d %s: %v", c.n, name, err)
		}
		_, err := DecodeManifest("skill.yaml", []byte(base+c.head+list(c.n+1, c.item)))
		wantError(t, err, fmt.Sprintf("exceed the limit of %d", c.n))
	}
}

func TestDescriptorOfAnUndeclaredToolIsTheStrictest(t *testing.T) {
	t.Parallel()
	var d Descriptor
	if d.Effect.Class() != ClassDestructive || d.Role("anything") != RoleControl {
		t.Errorf("zero descriptor: %s, %s", d.Effect.Class(), d.Role("anything"))
	}
}

func FuzzDecodeManifest(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("testdata", "skill.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("schema: glovebox/skill/v1\n<<: *a\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeManifest("skill.yaml", b)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b\x00") {
				t.Errorf("the message breaks out of its line: %q", err)
			}
			return
		}
		g := m.AsGrant()
		g.Agents = []AgentID{"a"}
		if len(m.Needs.Config) == 0 {
			if r, _, err := Effective(m, g, GlobalPolicy{}, "a", Proof{}, testNow); err != nil || !r.Granted {
				t.Errorf("a manifest does not meet its own request: %v", err)
			}
		}
	})
}
