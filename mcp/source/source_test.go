package source

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/mcp/reason"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	cases := []struct {
		line string // split at spaces
		want string // PURL or path, program and arguments; or the reason
	}{
		{"npx @modelcontextprotocol/server-memory@2026.8.31", "pkg:npm/%40modelcontextprotocol/server-memory@2026.8.31"},
		{"npx -y left@1.2.3 --port 3", "pkg:npm/left@1.2.3 --port 3"},
		{"npx --yes --package=left@1.2.3 right -c x", "pkg:npm/left@1.2.3 right: -c x"},
		{"npx -p left@1.2.3 -- right", "pkg:npm/left@1.2.3 right:"},
		{"/usr/local/bin/npx.cmd left@1.2.3", "pkg:npm/left@1.2.3"},
		{"uvx mcp-server-git==2026.1.1 --repo /x", "pkg:pypi/mcp-server-git@2026.1.1 --repo /x"},
		{"uvx mcp@1.0rc1", "pkg:pypi/mcp@1.0rc1"},
		{"uvx --from mcp==1.2 serve", "pkg:pypi/mcp@1.2 serve:"},
		{"/opt/weather --stdio", "/opt/weather --stdio"},

		{"npx left", string(reason.Unpinned)},
		{"npx left@latest", string(reason.Unpinned)},
		{"npx left@^1.2.3", string(reason.Unpinned)},
		{"npx left@1", string(reason.Unpinned)},
		{"npx left@1.x", string(reason.Unpinned)},
		{"npx left@npm:right@1.2.3", string(reason.Unpinned)},
		{"npx github:a/b", string(reason.Unpinned)},
		{"npx git+ssh://git@github.com/a/b", string(reason.Unpinned)},
		{"npx https://x.example/a.tgz", string(reason.Unpinned)},
		{"npx ./local", string(reason.Unpinned)},
		{"npx --package=evil good@1.2.3", string(reason.Unpinned)},
		{"npx -p a@1.2.3 -p b@1.2.3 c", string(reason.Launcher)},
		{"npx -c id", string(reason.Shell)},
		{"npx", string(reason.Launcher)},
		{"npx --registry=https://evil.example left@1.2.3", string(reason.Launcher)},
		{"npx --yes=no left@1.2.3", string(reason.Launcher)},
		{"npx Left@1.2.3", string(reason.Config)},
		{"npx ../left@1.2.3", string(reason.Config)},
		{"uvx mcp", string(reason.Unpinned)},
		{"uvx mcp>=1", string(reason.Unpinned)},
		{"uvx mcp==1.*", string(reason.Unpinned)},
		{"uvx --with evil mcp==1.0", string(reason.Launcher)},
		{"uvx --from git+https://x.example/r mcp", string(reason.Unpinned)},
		{"sh -c id", string(reason.Shell)},
		{"/bin/bash -lc id", string(reason.Shell)},
		{`C:\Windows\System32\cmd.exe /c id`, string(reason.Shell)},
		{"env FOO=1 npx left@1.2.3", string(reason.Shell)},
		{"pnpm dlx left@1.2.3", string(reason.Launcher)},
		{"npm exec left@1.2.3", string(reason.Launcher)},
		{"node server.js", string(reason.Launcher)},
		{"docker run image", string(reason.Launcher)},
		{"weather", string(reason.Launcher)},
		{"./weather", string(reason.Launcher)},
		{"/opt/../bin/weather", string(reason.Launcher)},
		{"", string(reason.Launcher)},
	}
	for _, c := range cases {
		t.Run(c.line, func(t *testing.T) {
			t.Parallel()
			if got := described(strings.Fields(c.line)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if got := described([]string{"npx left@1.2.3; id"}); got != string(reason.Shell) {
		t.Errorf("a line for a shell: %s", got)
	}
}

func described(argv []string) string {
	p, binary, args, err := Command(argv)
	var r *reason.Refusal
	if errors.As(err, &r) {
		return string(r.Reason)
	}
	words := []string{binary}
	if p != nil {
		if words[0] = p.PURL(); p.Bin != "" {
			words = append(words, p.Bin+":")
		}
	}
	return strings.Join(append(words, args...), " ")
}

func TestFilesOfOthers(t *testing.T) {
	t.Parallel()
	const registry = `{"$schema":"https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json","name":"io.github.acme/weather","description":"d","version":"1.2.3",` +
		`"packages":[{"registryType":"oci","identifier":"x","version":"1","transport":{"type":"stdio"}},{"registryType":"npm","identifier":"@acme/weather","version":"%VERSION%","transport":{"type":"stdio"},` +
		`"packageArguments":[{"type":"named","name":"--units","value":"metric"},{"type":"positional","valueHint":"x"}],"environmentVariables":[{"name":"API_KEY","isSecret":true,"isRequired":true},{"name":"LANG","default":"en"}]%MORE%}],` +
		`"remotes":[{"type":"streamable-http","url":"https://mcp.acme.example/mcp"}]}`
	fill := func(version, more string) string {
		return strings.NewReplacer("%VERSION%", version, "%MORE%", more).Replace(registry)
	}
	cases := []struct {
		name, text string
		want       string // names of servers, or the reason
	}{
		{"server.json", fill("1.2.3", ""), "weather"},
		{"server.json with a floating version", fill("latest", ""), string(reason.Unpinned)},
		{"server.json with a key of tomorrow", fill("1.2.3", `,"capabilities":["all"]`), string(reason.Config)},
		{"server.json with arguments for node", fill("1.2.3", `,"runtimeArguments":[{"type":"named","name":"--require","value":"x"}]`), string(reason.Config)},
		{"server.json with a registry of its own", fill("1.2.3", `,"registryBaseUrl":"https://evil.example"`), string(reason.Config)},
		{"server.json with an address alone", `{"name":"a/b","version":"1.0.0","remotes":[{"type":"streamable-http","url":"https://b.example/mcp"}]}`, "b"},
		{"server.json with plain http", `{"name":"a/b","version":"1.0.0","remotes":[{"type":"streamable-http","url":"http://b.example/mcp"}]}`, string(reason.Config)},
		{"mcpServers", `{"mcpServers":{"My_Files":{"command":"npx","args":["-y","files@1.2.3","/data"],"env":{"TZ":"UTC"}},"web":{"type":"http","url":"https://w.example/mcp"},"off":{"command":"sh","disabled":true}}}`, "my-files web"},
		{"servers of an editor", `{"servers":{"a":{"command":"uvx","args":["a==1.0"]}}}`, "a"},
		{"an argument with shell words stays one", `{"mcpServers":{"a":{"command":"npx","args":["a@1.0.0","$(id); rm -rf /"]}}}`, "a"},
		{"calls approved in advance", `{"mcpServers":{"a":{"command":"npx","args":["a@1.0.0"],"autoApprove":["x"]}}}`, string(reason.Config)},
		{"a folder to start in", `{"mcpServers":{"a":{"command":"npx","args":["a@1.0.0"],"cwd":"/"}}}`, string(reason.Config)},
		{"a secret in the file", `{"mcpServers":{"a":{"command":"npx","args":["a@1.0.0"],"env":{"GITHUB_TOKEN":"ghp_x"}}}}`, string(reason.Config)},
		{"a placeholder for it", `{"mcpServers":{"a":{"command":"npx","args":["a@1.0.0"],"env":{"GITHUB_TOKEN":"{{secret:github}}"}}}}`, "a"},
		{"a value from elsewhere", `{"mcpServers":{"a":{"command":"npx","args":["a@1.0.0"],"env":{"X":"${env:HOME}"}}}}`, string(reason.Config)},
		{"options for node", `{"mcpServers":{"a":{"command":"npx","args":["a@1.0.0"],"env":{"NODE_OPTIONS":"--require /tmp/x"}}}}`, string(reason.Config)},
		{"a library to load", `{"mcpServers":{"a":{"command":"npx","args":["a@1.0.0"],"env":{"LD_PRELOAD":"/tmp/x"}}}}`, string(reason.Config)},
		{"a path to search", `{"mcpServers":{"a":{"command":"npx","args":["a@1.0.0"],"env":{"PATH":"/tmp"}}}}`, string(reason.Config)},
		{"a proxy of its own", `{"mcpServers":{"a":{"command":"npx","args":["a@1.0.0"],"env":{"https_proxy":"http://x"}}}}`, string(reason.Config)},
		{"a token in a header", `{"mcpServers":{"a":{"url":"https://w.example/mcp","headers":{"Authorization":"Bearer x"}}}}`, string(reason.Config)},
		{"a header of the protocol", `{"mcpServers":{"a":{"url":"https://w.example/mcp","headers":{"Mcp-Session-Id":"x"}}}}`, string(reason.Config)},
		{"the old transport", `{"mcpServers":{"a":{"type":"sse","url":"https://w.example/sse"}}}`, string(reason.Config)},
		{"a name with a line", `{"mcpServers":{"a\nb":{"command":"npx","args":["a@1.0.0"]}}}`, string(reason.Config)},
		{"two keys of one name", `{"mcpServers":{"a":{"command":"npx","args":["a@1.0.0"]},"a":{"command":"sh"}}}`, string(reason.Config)},
		{"nothing", `{"mcpServers":{}}`, string(reason.Config)},
		{"something else", `{"x":1}`, string(reason.Config)},
		{"no JSON", `mcpServers`, string(reason.Config)},
		{"a file too large", `{"x":"` + strings.Repeat("x", MaxFile) + `"}`, string(reason.Oversize)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list, err := Read([]byte(c.text), "")
			var names []string
			for _, s := range list {
				names = append(names, string(s.Name))
			}
			got := strings.Join(names, " ")
			if r := (*reason.Refusal)(nil); errors.As(err, &r) {
				got = string(r.Reason)
			} else if err != nil {
				t.Errorf("an error without a reason: %v", err)
			}
			if got != c.want {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
		})
	}
	list, err := Read([]byte(fill("1.2.3", "")), "sky")
	if err != nil || list[0].Name != "sky" || !slices.Equal(list[0].Args, []string{"--units", "metric"}) ||
		!slices.Equal(list[0].Env, []Variable{{"API_KEY", "{{secret:api-key}}"}, {"LANG", "en"}}) {
		t.Errorf("got %+v, %v", list, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"mcpServers":{"a":{"command":"npx","args":["a@1.0.0"]}}}`)
	f.Add(`{"name":"a/b","version":"1.0.0","packages":[{"registryType":"npm","identifier":"a","version":"1.0.0","transport":{"type":"stdio"}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Read([]byte(text), "")
		if err == nil && len(list) == 0 {
			t.Fatal("neither a server nor an error")
		}
		for _, s := range list {
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
