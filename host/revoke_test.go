package host

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/registry"
	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// spinner is a guest whose one tool never ends.
func spinner() []byte {
	var b modtest.Builder
	number := b.Type(nil, []byte{modtest.I32})
	b.Export("list_tools", 0, b.Func(number, nil, 0x41, 0))
	b.Export("call_tool", 0, b.Func(number, nil, 0x03, 0x40, 0x0c, 0x00, 0x0b, 0x41, 0)) // loop br 0 end
	return b.Bytes()
}

// installSpinner installs it with one npm package, and grants it.
func (f *fixture) installSpinner() {
	f.t.Helper()
	wasm := spinner()
	list := []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"evil","purl":"pkg:npm/evil@1.0.0"}]}`)
	f.put(&abi.Compiled{
		Manifest: abi.Manifest{Schema: abi.SchemaSkill, Name: "spin", Version: "1.0.0", ABI: abi.ProfileMCPv2, Module: skills.ModuleFile, Description: "Turns", Tools: []abi.Descriptor{{Name: "turn", Effect: abi.EffectRead}}},
		Module:   abi.DigestOf(wasm), ModuleSize: int64(len(wasm)),
		Tools: []abi.Tool{{Name: "turn", Description: "Turn.", InputSchema: json.RawMessage(`{"type":"object","properties":{}}`)}},
	}, wasm, list)
	f.grant("spin", strings.ReplaceAll(testGrant, "%s", "spin"))
}

// TestWithdrawnWhileItRuns: a skill in an endless loop ends when a registry revokes it,
// its key, or when what it was built from turns out to be malicious. What is withdrawn
// does not start again, and the log says why.
func TestWithdrawnWhileItRuns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason   string
		withdraw func(*fixture)
	}{
		"the bundle": {"skill.revoked", func(f *fixture) {
			b, err := skills.Open(filepath.Join(f.skills, "spin"))
			if err != nil {
				f.t.Fatal(err)
			}
			digest, err := artifact.DigestOf(b)
			if err != nil {
				f.t.Fatal(err)
			}
			f.revoke(registry.Subject{Digest: digest})
		}},
		"the signer": {"skill.revoked", func(f *fixture) {
			key, err := signature.OwnKey(f.state)
			if err != nil {
				f.t.Fatal(err)
			}
			public, err := signature.PublicKeyOf(key)
			if err != nil {
				f.t.Fatal(err)
			}
			f.revoke(registry.Subject{Key: public.Hint})
		}},
		"a package in it": {"osv.malicious", func(f *fixture) {
			x, err := advisory.Open(f.t.Context(), f.state.Advisories())
			if err != nil {
				f.t.Fatal(err)
			}
			now := time.Now()
			_, err = x.ImportFolder(f.t.Context(), sbom.NPM, fstest.MapFS{"MAL-1.json": {Data: []byte(`{"schema_version":"1.6.0","id":"MAL-1","modified":"` +
				now.UTC().Format(time.RFC3339) + `","affected":[{"package":{"ecosystem":"npm","name":"evil"},"versions":["1.0.0"]}]}`)}}, advisory.ImportOptions{Now: now})
			if err != nil {
				f.t.Fatal(err)
			}
			if err := x.Close(); err != nil {
				f.t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.installSpinner()
			ctx, stop := context.WithCancel(t.Context())
			watched := make(chan struct{})
			go func() { defer close(watched); f.watch(ctx) }()
			defer func() { stop(); <-watched }()

			ended := make(chan admin.Call, 1)
			go func() { ended <- f.ask("spin.turn", `{}`) }()
			// Once it is compiled, the gate has let it in.
			options := wasm.CompileOptions(abi.DefaultLimits())
			eventually(t, "the skill runs", func() bool { return f.chamber.store.Cached(abi.DigestOf(spinner()), options) })
			c.withdraw(f)
			call := <-ended
			if call.Outcome == "ok" || !strings.Contains(call.Why, c.reason) {
				t.Fatalf("the call ended with %+v, want %s", call, c.reason)
			}
			if again := f.ask("spin.turn", `{}`); again.Outcome != "denied" {
				t.Errorf("it started again: %+v", again)
			}
			for _, event := range []string{"skill.admitted", "skill.stopped", "skill.refused"} {
				word := c.reason
				if event == "skill.admitted" {
					word = "spin"
				}
				eventually(t, event+" with "+word+" is on record", func() bool { return f.events(event, word) > 0 })
			}
			list, err := f.Skills(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range list {
				if s.Name == "spin" && (s.State != skillRefused || !strings.Contains(s.Why, c.reason)) {
					t.Errorf("listed as %+v", s)
				}
			}
			f.verify()
		})
	}
}

// revoke makes a registry that revokes a subject, and adds it to the state folder, as
// "glovebox registry" does in another process.
func (f *fixture) revoke(s registry.Subject) {
	f.t.Helper()
	dir := filepath.Join(f.t.TempDir(), "registry")
	m, err := registry.Init(registry.MakerConfig{Dir: dir, Keys: f.t.TempDir()}, 1, 1)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := m.Revoke(s, "it steals", false); err != nil {
		f.t.Fatal(err)
	}
	root, err := os.ReadFile(m.RootFile())
	if err != nil {
		f.t.Fatal(err)
	}
	c, err := registry.Open(f.t.Context(), registry.Config{DB: f.state.Registries(), Dir: f.state.RegistryCache()})
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := c.Add(f.t.Context(), registry.Request{Name: "corp", Sources: []string{dir}, Root: root}); err != nil {
		f.t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		f.t.Fatal(err)
	}
}

// TestUnsignedIsNotLoaded walks from an unsigned folder to a loaded skill, and back when
// the key that signed it is gone.
func TestUnsignedIsNotLoaded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	sig := filepath.Join(f.skills, "calc", signature.File)
	calc := func() admin.Skill {
		t.Helper()
		list, err := f.Skills(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if filepath.Base(s.Dir) == "calc" {
				return s
			}
		}
		t.Fatal("calc is not listed")
		return admin.Skill{}
	}
	good := f.read(sig)
	if err := os.Remove(sig); err != nil {
		t.Fatal(err)
	}
	if s := calc(); s.State != skillRefused || !strings.Contains(s.Why, "sig.missing") || s.Hint != "glovebox skill sign "+filepath.Join(f.skills, "calc") {
		t.Errorf("unsigned: %+v", s)
	}
	if c := f.ask("calc.evaluate", `{"expression":"6*7"}`); c.Outcome != "denied" {
		t.Errorf("unsigned and called: %+v", c)
	}
	f.write(sig, good)
	if c := f.ask("calc.evaluate", `{"expression":"6*7"}`); c.Text != "42" {
		t.Errorf("signed again: %+v", c)
	}
	stranger, err := signature.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	f.write(sig, signed(t, filepath.Join(f.skills, "calc"), stranger))
	if s := calc(); s.State != skillRefused || !strings.Contains(s.Why, "key.unknown") {
		t.Errorf("signed by a stranger: %+v", s)
	}
	f.write(sig, good)
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(sig, old, old); err != nil { // so that the judgement is kept
		t.Fatal(err)
	}
	if s := calc(); s.State != skillReady || s.Publisher != "local" {
		t.Errorf("signed once more: %+v", s)
	}
	if err := os.Remove(f.state.PublisherKey()); err != nil {
		t.Fatal(err)
	}
	if s := calc(); s.State != skillRefused {
		t.Errorf("signed with a key that is gone: %+v", s)
	}
}

// TestLoadsAreJudged: a module that is loaded from the cache of compiled modules passes
// the gate like any other.
func TestLoadsAreJudged(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if c := f.ask("calc.evaluate", `{"expression":"6*7"}`); c.Text != "42" {
		t.Fatalf("%+v", c)
	}
	b, err := skills.Open(filepath.Join(f.skills, "calc"))
	if err != nil {
		t.Fatal(err)
	}
	tool := &skillTool{host: f.Host, bundle: b, ref: abi.ToolRef{Skill: "calc", Tool: "evaluate"}}
	if _, err := tool.source(t.Context()).Read(); err != nil {
		t.Errorf("a good skill: %v", err)
	}
	if err := os.Remove(filepath.Join(b.Dir, signature.File)); err != nil {
		t.Fatal(err)
	}
	if _, err := tool.source(t.Context()).Read(); err == nil || !strings.Contains(err.Error(), "sig.missing") {
		t.Errorf("loaded without a signature: %v", err)
	}
}
