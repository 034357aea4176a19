package importer

import (
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

// kept holds what every import promises: files that this host reads, and a grant that grants
// nothing.
func kept(t *testing.T, list []*Skill) {
	t.Helper()
	for _, s := range list {
		if err := s.finish(); err != nil {
			t.Fatal(err)
		}
		if !s.Grant.Draft || len(s.Grant.Agents) > 0 {
			t.Fatalf("the grant grants: %+v", s.Grant)
		}
		for _, h := range s.Manifest.Needs.HTTP {
			if abi.Origin(h.Origin).Special() || h.Origin == "" {
				t.Fatalf("asks for %q", h.Origin)
			}
		}
	}
}

func fuzz(f *testing.F, format Format, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if list, err := parse(format, "x", data); err == nil {
			kept(t, list)
		}
	})
}

func FuzzExtism(f *testing.F) {
	fuzz(f, Extism, `{"wasm":[{"path":"a.wasm","hash":"00"}],"allowed_hosts":["*.a.example"],"allowed_paths":{"ro:/a":"/b"},"config":{"a":"b"},"memory":{"max_pages":1},"timeout_ms":1}`)
}

func FuzzHyperMCP(f *testing.F) {
	fuzz(f, HyperMCP, "plugins:\n  a:\n    url: oci://x\n    runtime_config: {allowed_hosts: [a.example], allowed_paths: [\"/a:/b\"], env_vars: {A: b}, memory_limit: 1Mi}\n")
}

func FuzzMCPRun(f *testing.F) {
	fuzz(f, MCPRun, `{"installs":[{"name":"a","settings":{"config":{"a":"b"},"permissions":{"network":{"domains":["a.example"]},"filesystem":{"volumes":{"/a":"/b"}}}}}]}`)
}

func FuzzWassette(f *testing.F) {
	fuzz(f, Wassette, "permissions:\n  storage: {allow: [{uri: \"fs://a/**\", access: [read]}]}\n  network: {allow: [{host: a.example}]}\n  environment: {allow: [{key: A}]}\n  resources: {limits: {memory: 64}}\n")
}

func FuzzSkillMD(f *testing.F) {
	f.Add([]byte(weatherMD))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := agentSkill("x", data); err == nil {
			kept(t, []*Skill{s})
		}
	})
}
