package importer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
	"github.com/glovebox-dev/glovebox/skills"
)

func wasmV2() []byte {
	var b modtest.Builder
	f := b.Func(b.Type(nil, []byte{modtest.I32}), nil, 0x41, 0)
	b.Export("list_tools", 0, f)
	b.Export("call_tool", 0, f)
	return b.Bytes()
}

// folder writes files and returns where.
func folder(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	for file, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// opened imports one file.
func opened(t *testing.T, f Format, text string) []*Skill {
	t.Helper()
	dir := folder(t, "x", map[string]string{"weather.json": text, "plugin.wasm": string(wasmV2())})
	list, err := Open(f, filepath.Join(dir, "weather.json"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// asks says in one line what a skill asks for.
func asks(s *Skill) string {
	var out []string
	m := s.Manifest
	for _, h := range m.Needs.HTTP {
		out = append(out, fmt.Sprintf("%s %s", strings.Join(h.Methods, "+"), h.Origin))
	}
	for _, f := range m.Needs.Files {
		out = append(out, f.Mount+":"+string(f.Access))
	}
	for _, c := range m.Needs.Config {
		out = append(out, c.Key+"="+s.Grant.Config[c.Key])
	}
	if l := m.Limits; l.Memory != nil {
		out = append(out, "memory "+l.Memory.String())
	}
	if l := m.Limits; l.Wall != nil {
		out = append(out, "wall "+l.Wall.String())
	}
	return strings.Join(out, ", ")
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		format Format
		text   string
		want   []string // "name: what it asks for"
		left   []string // each is in some line of what is left
	}{
		{"an Extism manifest", Extism, `{
		  "wasm": [{"path": "plugin.wasm", "name": "main"}],
		  "allowed_hosts": ["api.weather.example", "*.tiles.example", "*", "10.0.0.7", "localhost:8080"],
		  "allowed_paths": {"/srv/data": "/data", "ro:/etc": "/etc", "/": "/"},
		  "config": {"units": "metric", "api_key": "sk-very-secret-value"},
		  "memory": {"max_pages": 16, "max_http_response_bytes": 4096, "max_var_bytes": 1024},
		  "timeout_ms": 5000, "wasi": true}`,
			[]string{"weather: GET https://api.weather.example, GET https://*.tiles.example, /data:rw, /etc:ro, units=metric, memory 1MiB, wall 5s"},
			[]string{`allowed_hosts[2]: "*" is not carried over: name the origins`, "allowed_hosts[3]: \"10.0.0.7\" is no public address", "allowed_hosts[4]",
				`allowed_paths./: "/" is no mount`, `the folder "/srv/data" of the host`, "config.api_key: it looks like a secret", "wasi: this host knows nothing like it"}},
		{"an Extism module that is elsewhere", Extism, `{"wasm":[{"url":"https://x.example/p.wasm","headers":{"authorization":"Bearer sk-very-secret-value"}}]}`,
			[]string{"weather: "}, []string{"wasm[0].url", "is not fetched", "wasm[0].headers: nothing is fetched"}},
		{"several Extism modules", Extism, `{"wasm":[{"path":"plugin.wasm"},{"path":"plugin.wasm"}]}`, []string{"weather: "}, []string{"wasm: 2 modules are linked"}},
		{"an Extism module with another digest", Extism, `{"wasm":[{"path":"plugin.wasm","hash":"00"}]}`, []string{"weather: "}, []string{"does not have the digest"}},
		{"an Extism module out of the folder", Extism, `{"wasm":[{"path":"../../etc/passwd"}]}`, []string{"weather: "}, []string{"module: \"../../etc/passwd\" lies outside"}},
		{"limits that no skill has", Extism, `{"memory":{"max_pages":4294967296},"timeout_ms":86400000}`, []string{"weather: "}, []string{"memory.max_pages", "timeout_ms: 86400000 ms"}},
		{"hyper-mcp as a mapping", HyperMCP, `
plugins:
  my_fetch:
    url: oci://ghcr.io/hyper-mcp-rs/fetch-plugin:latest
    runtime_config:
      allowed_hosts: ["*", "example.com"]
      allowed_paths: ["/tmp", "/var/log:/logs"]
      env_vars: {LANGUAGE: en, GITHUB_TOKEN: sk-very-secret-value}
      memory_limit: 256Mi
      skip_tools: ["temp_.*"]
      allowed_secrets: [{service: s, user: u}]
auths:
  https://private.example: {type: basic, username: u, password: sk-very-secret-value}
oci: {insecure_skip_signature: true}
`,
			[]string{"my-fetch: GET https://example.com, /tmp:rw, /logs:rw, LANGUAGE=en, memory 256MiB"},
			[]string{`"oci://ghcr.io/hyper-mcp-rs/fetch-plugin:latest" is not fetched`, "env_vars.GITHUB_TOKEN: it looks like a secret", "skip_tools", "allowed_secrets", "auths: credentials are not copied", "oci: this host"}},
		{"hyper-mcp as a list", HyperMCP, `{"plugins":[{"name":"a","path":"plugin.wasm"},{"name":"b","path":"plugin.wasm"}]}`, []string{"a: ", "b: "}, nil},
		{"mcp.run installations", MCPRun, `{"installs":[{"name":"fetch","settings":{
		    "permissions":{"network":{"domains":["*.example.com"],"enabled":true,"required":true},"filesystem":{"enabled":false,"volumes":{"/home/foo":"${HOME}"}}},
		    "config":{"username":"foo","apiToken":"sk-very-secret-value"}},
		  "binding":{"contentAddress":"abcdefg"},"servlet":{"slug":"evacchi/fetch","meta":{"description":"read\u202e from a url"}}}]}`,
			[]string{"fetch: GET https://*.example.com, username=foo"}, []string{"binding", "apiToken: it looks like a secret", "1 characters that nobody sees"}},
		{"mcp.run settings alone", MCPRun, `{"config":{"a":"b"},"permissions":{"network":{"enabled":false,"domains":["example.com"]},"filesystem":{"volumes":{"/foo":"/home"}}}}`,
			[]string{"weather: /foo:rw, a=b"}, []string{`the folder "/home" of the host`}},
		{"a wassette policy", Wassette, `
version: "1.0"
description: "Reads the weather"
permissions:
  storage:
    allow:
      - {uri: "fs://work/agent/**", access: [read, write]}
      - {uri: "fs:///etc/*", access: [read]}
    deny:
      - {uri: "fs://work/agent/secret"}
  network:
    allow:
      - host: "api.example.com"
      - cidr: "10.0.0.0/8"
      - defaults: true
  environment:
    allow:
      - {key: HOME}
      - {key: OPENWEATHER_API_KEY, value: sk-very-secret-value}
  resources: {limits: {cpu: 500m, memory: 64Mi}}
runtime: {docker: {security: {privileged: true}}}
`,
			[]string{"weather: GET https://api.example.com, /agent:rw, /etc:ro, HOME=, memory 64MiB"},
			[]string{"module: wassette runs components", "permissions.storage.deny", "cidr: a range", "defaults", "environment.allow[1].key: it looks like a secret", "limits.cpu", "runtime: this host"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list := opened(t, c.format, c.text)
			var got, left []string
			for _, s := range list {
				got = append(got, string(s.Manifest.Name)+": "+asks(s))
				for _, l := range s.Left {
					left = append(left, l.String())
				}
				if !s.Grant.Draft || len(s.Grant.Agents) > 0 || s.Grant.Pin != nil {
					t.Errorf("the grant grants: %+v", s.Grant)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			all := strings.Join(left, "\n")
			for _, want := range c.left {
				if !strings.Contains(all, want) {
					t.Errorf("nothing says %q in:\n%s", want, all)
				}
			}
			if text := all + fmt.Sprintf("%+v", list[0].Grant) + fmt.Sprintf("%+v", list[0].Manifest); strings.Contains(text, "very-secret") {
				t.Errorf("a secret was copied: %s", text)
			}
		})
	}
}

func TestWriteMakesAFolderThatIsASkill(t *testing.T) {
	t.Parallel()
	s := opened(t, Extism, `{"wasm":[{"path":"plugin.wasm"}],"allowed_hosts":["api.example.com"],"config":{"units":"metric"}}`)[0]
	dir := filepath.Join(t.TempDir(), "made")
	if err := s.Write(dir); err != nil {
		t.Fatal(err)
	}
	src, err := skills.OpenSource(dir)
	if err != nil || src.Manifest.ABI != abi.ProfileMCPv2 || !s.HasModule() {
		t.Fatal(src, err)
	}
	if raw, err := os.ReadFile(filepath.Join(dir, skills.ModuleFile)); err != nil || string(raw) != string(wasmV2()) {
		t.Error("the module did not come along", err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, GrantFile))
	if err != nil {
		t.Fatal(err)
	}
	g, err := abi.DecodeGrant(GrantFile, raw)
	if err != nil || !g.Draft || len(g.Allow.HTTP) != 1 || g.Config["units"] != "metric" {
		t.Error(g, err)
	}
	g.Agents = []abi.AgentID{"main"} // even then
	if r, _, err := abi.Effective(src.Manifest, g, abi.GlobalPolicy{}, "main", abi.Proof{}, testTime()); err == nil && (len(r.HTTP) > 0 || len(r.Config) > 0) {
		t.Errorf("a draft granted %+v", r)
	}
	if err := s.Write(dir); err == nil {
		t.Error("a folder was overwritten")
	}
}

func TestRefusedConfigurations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		format Format
		text   string
		want   string
	}{
		{"nothing", Extism, "", "EOF"},
		{"a list", Extism, "[]", "no mapping"},
		{"a key twice in JSON", Extism, `{"config":{},"config":{}}`, "config"},
		{"a key twice in YAML", Wassette, "version: a\nversion: b\n", "twice"},
		{"an alias", Wassette, "a: &x [1]\nb: *x\n", "anchors, aliases"},
		{"a tag", Wassette, "a: !!binary aGk=\n", "tags"},
		{"a merge key", Wassette, "a: {<<: {b: c}}\n", "plain text"},
		{"two documents", Wassette, "a: b\n---\nc: d\n", "more than one document"},
		{"deep nesting", Wassette, strings.Repeat("[", 3) + strings.Repeat("{a: ", 60) + "b" + strings.Repeat("}", 60) + "]]]", "JSON"},
		{"deep YAML", Wassette, "a: " + strings.Repeat("[", 60) + strings.Repeat("]", 60), "nested deeper"},
		{"too many bytes", Wassette, "a: " + strings.Repeat("x", abi.MaxYAML), "more than"},
		{"no plugins", HyperMCP, "auths: {}", "nothing of the format"},
		{"two plugins of one name", HyperMCP, `{"plugins":[{"name":"a b"},{"name":"a_b"}]}`, "two skills"},
		{"an unknown format", "openai", "a: b", "no format"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, "x", map[string]string{"c.yaml": c.text})
			if list, err := Open(c.format, filepath.Join(dir, "c.yaml")); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v", list, err)
			}
		})
	}
}

func TestModulesThatNoHostRunsStayBehind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, module, want string
	}{
		{"a component", "\x00asm\x0d\x00\x01\x00", "is refused"},
		{"text", "hello", "is refused"},
		{"none", "", "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"c.json": `{"wasm":[{"path":"p.wasm"}]}`}
			if c.module != "" {
				files["p.wasm"] = c.module
			}
			list, err := Open(Extism, filepath.Join(folder(t, "x", files), "c.json"))
			if err != nil || list[0].HasModule() || !strings.Contains(fmt.Sprint(list[0].Left), c.want) {
				t.Errorf("got %v, %v", list[0].Left, err)
			}
		})
	}
}
