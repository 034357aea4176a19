package packages

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/glovebox-dev/glovebox/mcp/source"
	"github.com/glovebox-dev/glovebox/skills/advisory"
)

func TestTreeIsPinned(t *testing.T) {
	t.Parallel()
	n := honest(registryOf(t))
	s := store(t, n.base, clean{})
	in, err := s.Install(t.Context(), weather("1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	app := filepath.Join(s.path(in.Pin.Hex()), filesDir)
	text, err := os.ReadFile(filepath.Join(app, lockName))
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"": "", "node_modules/@acme/weather": "1.0.0", "node_modules/left": "1.4.0", "node_modules/alias": "2.0.0",
		"node_modules/right": "2.1.7", "node_modules/right/node_modules/left": "2.0.0",
		"node_modules/deep": "3.0.0", "node_modules/deep/node_modules/left": "2.0.0",
	}
	for at, e := range lock.Packages {
		if v, ok := want[at]; !ok || v != e.Version {
			t.Errorf("%s is %s, want %s", at, e.Version, v)
		}
	}
	if len(lock.Packages) != len(want) {
		t.Errorf("got %d entries, want %d", len(lock.Packages), len(want))
	}
	again, err := s.Install(t.Context(), weather("1.0.0"))
	if err != nil || again.Pin != in.Pin {
		t.Errorf("installed again: %v, %v", again, err)
	}
	info, err := os.Stat(filepath.Join(app, in.Seal.Entry))
	if err != nil || info.Mode().Perm()&0o222 != 0 {
		t.Errorf("the entry can be written: %v, %v", info, err)
	}
	if err := s.Clean(in.Pin); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context(), in.Pin); err != nil {
		t.Errorf("cleaned away: %v", err)
	}
	if err := s.Clean(); err != nil {
		t.Fatal(err)
	}
	empty(t, s)
}

func TestScriptsOfAnInstallationDoNotRun(t *testing.T) {
	t.Parallel()
	n := honest(registryOf(t))
	canary := filepath.Join(t.TempDir(), "canary")
	text := fmt.Sprintf(`{"name":"deep","version":"3.0.0","scripts":{"preinstall":"touch %[1]s","postinstall":"touch %[1]s"}}`, canary)
	n.put("deep", "3.0.0", deps{"left": "2.x"}, pack([]*tar.Header{{Name: "package/package.json"}, {Name: "package/binding.gyp"}}, []string{text, "{}"}))
	s := store(t, n.base, clean{})
	in, err := s.Install(t.Context(), weather("1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(canary); err == nil {
		t.Error("a script of the package ran")
	}
	if fmt.Sprint(in.Seal.Unbuilt) != "[deep@3.0.0]" {
		t.Errorf("got %q", in.Seal.Unbuilt)
	}
}

func TestHostileRegistryIsRefused(t *testing.T) {
	t.Parallel()
	other := registryOf(t)
	type change func(n *npm)
	dist := func(m map[string]any) map[string]any { return m["dist"].(map[string]any) }
	deep := func(n *npm) map[string]any { return n.packages["deep"]["3.0.0"] }
	entry := func(h *tar.Header, content string) change {
		return func(n *npm) {
			n.put("@acme/weather", "1.0.0", nil, pack([]*tar.Header{{Name: "package/package.json"}, {Name: "package/dist/index.js"}, h}, []string{about, "", content}))
		}
	}
	needs := func(text string) change {
		return func(n *npm) { deep(n)["dependencies"] = deps{"evil": text} }
	}
	for name, c := range map[string]struct {
		change change
		why    reason.Reason
		word   string
	}{
		"other bytes than the integrity": {func(n *npm) {
			n.archives["deep/-/deep-3.0.0.tgz"] = pack([]*tar.Header{{Name: "package/package.json"}}, []string{`{"name":"deep","version":"3.0.0"}`})
		}, reason.Integrity, "deep@3.0.0"},
		"no integrity":     {func(n *npm) { delete(dist(deep(n)), "integrity") }, reason.Lock, "no sha512"},
		"a weak integrity": {func(n *npm) { dist(deep(n))["integrity"] = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=" }, reason.Lock, "no sha512"},
		"an archive at another registry": {func(n *npm) {
			dist(deep(n))["tarball"] = other.base + "/deep/-/deep-3.0.0.tgz"
		}, reason.Lock, "only"},
		"an archive that is a file": {func(n *npm) { dist(deep(n))["tarball"] = "file:///etc/passwd" }, reason.Lock, "only"},
		"a redirect to metadata": {func(n *npm) {
			n.override["/deep/-/deep-3.0.0.tgz"] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
			}
		}, reason.Down, "169.254.169.254"},
		"a redirect to this machine": {func(n *npm) {
			n.override["/deep"] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, other.base+"/deep", http.StatusFound)
			}
		}, reason.Down, "did not name"},
		"a document without an end": {func(n *npm) {
			n.override["/deep"] = func(w http.ResponseWriter, _ *http.Request) {
				for b := make([]byte, 1<<20); ; {
					if _, err := w.Write(b); err != nil {
						return
					}
				}
			}
		}, reason.Oversize, "deep"},
		"a document that breaks off":       {func(n *npm) { n.override["/deep"] = says(`{"name":"deep"`) }, reason.Malformed, "deep"},
		"a document with a key twice":      {func(n *npm) { n.override["/deep"] = says(`{"name":"deep","versions":{},"versions":{}}`) }, reason.Malformed, "deep"},
		"a document about another package": {func(n *npm) { n.override["/deep"] = says(`{"name":"left","versions":{}}`) }, reason.Malformed, "about"},
		"a version that says another one":  {func(n *npm) { deep(n)["version"] = "3.0.1" }, reason.Malformed, "about"},
		"an error": {func(n *npm) {
			n.override["/deep"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
		}, reason.Down, "500"},
		"no answer about provenance": {func(n *npm) {
			n.override["/-/npm/v1/attestations/@acme/weather@1.0.0"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
		}, reason.Down, "503"},
		"a package that is missing": {func(n *npm) { delete(n.packages, "deep") }, reason.Unknown, "deep"},
		"a version that is missing": {func(n *npm) { delete(n.packages["right"], "2.1.7") }, reason.Unknown, "right"},
		"a tag in place of a version": {func(n *npm) {
			n.override["/@acme/weather"] = says(`{"name":"@acme/weather","dist-tags":{"1.0.0":"6.6.6"},"versions":{"6.6.6":{}}}`)
		}, reason.Unknown, "1.0.0"},
		"a dependency on git":         {needs("git+https://git.example/evil.git#main"), reason.Lock, "no registry"},
		"a dependency on a short git": {needs("evil/evil"), reason.Lock, "no registry"},
		"a dependency on a folder":    {needs("file:../evil"), reason.Lock, "no registry"},
		"a dependency on a link":      {needs("link:/etc"), reason.Lock, "no registry"},
		"a dependency on an address":  {needs("https://evil.example/e.tgz"), reason.Lock, "no registry"},
		"a dependency on a workspace": {needs("workspace:*"), reason.Lock, "no registry"},
		"an alias that leads out":     {needs("npm:../../evil@1.0.0"), reason.Lock, "no name"},
		"a name that leads out":       {func(n *npm) { deep(n)["dependencies"] = deps{"../../evil": "1.0.0"} }, reason.Lock, "no name"},
		"bundled packages":            {func(n *npm) { deep(n)["bundleDependencies"] = []string{"evil"} }, reason.Lock, "brings packages"},
		"another system":              {func(n *npm) { deep(n)["os"] = []string{"plan9"} }, reason.Lock, "is not for"},

		"a name that climbs":              {entry(&tar.Header{Name: "package/../../../evil"}, "x"), reason.Malformed, "leads out"},
		"an absolute name":                {entry(&tar.Header{Name: "/etc/evil"}, "x"), reason.Malformed, "leads out"},
		"a name with a backslash":         {entry(&tar.Header{Name: `package/..\evil`}, "x"), reason.Malformed, "leads out"},
		"a symbolic link":                 {entry(&tar.Header{Name: "package/l", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, ""), reason.Malformed, "no plain file"},
		"a hard link":                     {entry(&tar.Header{Name: "package/l", Typeflag: tar.TypeLink, Linkname: "package/package.json"}, ""), reason.Malformed, "no plain file"},
		"a device":                        {entry(&tar.Header{Name: "package/d", Typeflag: tar.TypeChar}, ""), reason.Malformed, "no plain file"},
		"a file twice":                    {entry(&tar.Header{Name: "package/dist/index.js"}, "x"), reason.Malformed, "twice"},
		"a file twice, in two folders":    {entry(&tar.Header{Name: "other/dist/index.js"}, "x"), reason.Malformed, "twice"},
		"a file that is a folder as well": {entry(&tar.Header{Name: "package/dist/index.js/x"}, "x"), reason.Malformed, "unpacked"},
		"a package within":                {entry(&tar.Header{Name: "package/node_modules/left/index.js"}, "x"), reason.Lock, "within"},
		"a package within a folder":       {entry(&tar.Header{Name: "package/lib/node_modules/left/index.js"}, "x"), reason.Lock, "within"},
		"no archive":                      {func(n *npm) { n.put("@acme/weather", "1.0.0", nil, []byte("x")) }, reason.Malformed, "unpacked"},
		"no package.json":                 {func(n *npm) { n.put("@acme/weather", "1.0.0", nil, pack(nil, nil)) }, reason.Malformed, "package.json"},
		"a bomb": {func(n *npm) {
			n.put("@acme/weather", "1.0.0", nil, claims(maxFile+1))
		}, reason.Oversize, "package/b"},
		"another package in the archive": {func(n *npm) {
			n.put("deep", "3.0.0", nil, pack([]*tar.Header{{Name: "package/package.json"}}, []string{`{"name":"deep","version":"2.9.9"}`}))
		}, reason.Integrity, "2.9.9"},
		"another package of that version": {func(n *npm) {
			n.put("deep", "3.0.0", nil, pack([]*tar.Header{{Name: "package/package.json"}}, []string{`{"name":"evil","version":"3.0.0"}`}))
		}, reason.Integrity, "evil"},
		"a program that leads out": {func(n *npm) {
			n.put("@acme/weather", "1.0.0", nil, pack([]*tar.Header{{Name: "package/package.json"}}, []string{strings.Replace(about, "dist/index.js", "../../../left/index.js", 1)}))
		}, reason.Config, "program"},
		"a program that is missing": {func(n *npm) {
			n.put("@acme/weather", "1.0.0", nil, pack([]*tar.Header{{Name: "package/package.json"}}, []string{about}))
		}, reason.Malformed, "no file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := honest(registryOf(t))
			c.change(n)
			s := store(t, n.base, clean{})
			_, err := s.Install(t.Context(), weather("1.0.0"))
			refused(t, err, c.why, c.word)
			empty(t, s)
		})
	}
}

// claims is an archive that goes no further than to say how large its first file is.
func claims(size int64) []byte {
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	if err := errors.Join(tar.NewWriter(gz).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "package/b", Size: size}), gz.Close()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

func TestWhatIsNotPinnedIsRefused(t *testing.T) {
	t.Parallel()
	s := store(t, honest(registryOf(t)).base, clean{})
	for name, c := range map[string]struct {
		p   source.Package
		why reason.Reason
	}{
		"a range":           {weather("^1.0.0"), reason.Unpinned},
		"a tag":             {weather("latest"), reason.Unpinned},
		"no version":        {weather(""), reason.Unpinned},
		"another integrity": {source.Package{Registry: source.NPM, Name: "@acme/weather", Version: "1.0.0", Integrity: "sha512-" + base64.StdEncoding.EncodeToString(make([]byte, 64))}, reason.Integrity},
		"PyPI":              {source.Package{Registry: source.PyPI, Name: "weather", Version: "1.0.0"}, reason.Launcher},
		"no registry":       {source.Package{Name: "weather", Version: "1.0.0"}, reason.Launcher},
		"a path":            {source.Package{Registry: source.NPM, Name: "../weather", Version: "1.0.0"}, reason.Launcher},
		"another program":   {source.Package{Registry: source.NPM, Name: "@acme/weather", Version: "1.0.0", Bin: "other"}, reason.Config},
	} {
		_, err := s.Install(t.Context(), c.p)
		t.Log(name)
		refused(t, err, c.why, "")
	}
	empty(t, s)
}

func TestAdvisoriesAreAskedAboutEverything(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ id, about, word string }{
		"malicious code three levels down": {"MAL-2026-1", "left", "malicious"},
		"a vulnerability":                  {"GHSA-aaaa-bbbb-cccc", "left", "severity"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := honest(registryOf(t))
			s := store(t, n.base, index(t, c.id, c.about))
			_, err := s.Install(t.Context(), weather("1.0.0"))
			refused(t, err, reason.Advisory, c.word)
			empty(t, s)
		})
	}
	t.Run("no data is no answer", func(t *testing.T) {
		t.Parallel()
		x, err := advisory.Open(t.Context(), filepath.Join(t.TempDir(), "osv.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = x.Close() })
		s := store(t, honest(registryOf(t)).base, x)
		_, err = s.Install(t.Context(), weather("1.0.0"))
		refused(t, err, reason.Advisory, "no advisories for npm")
		empty(t, s)
	})
	t.Run("what became known later stops the next start", func(t *testing.T) {
		t.Parallel()
		s := store(t, honest(registryOf(t)).base, index(t, "GHSA-aaaa-bbbb-cccc", "unrelated"))
		in, err := s.Install(t.Context(), weather("1.0.0"))
		if err != nil {
			t.Fatal(err)
		}
		s.cfg.Advisories = index(t, "MAL-2026-1", "left")
		_, err = s.Verify(t.Context(), in.Pin)
		refused(t, err, reason.Advisory, "malicious")
		_, err = s.Judge(t.Context(), in.Pin)
		refused(t, err, reason.Advisory, "malicious")
	})
}

func TestVersionKeepsItsContent(t *testing.T) {
	t.Parallel()
	n := honest(registryOf(t))
	s := store(t, n.base, clean{})
	in, err := s.Install(t.Context(), weather("1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	n.publish("deep", "3.0.0", deps{"left": "2.x"}, "index.js", "// exchanged")
	if err := s.Clean(); err != nil { // removal forgets nothing
		t.Fatal(err)
	}
	_, err = s.Install(t.Context(), weather("1.0.0"))
	refused(t, err, reason.Integrity, "other content than before")
	if _, err := s.Verify(t.Context(), in.Pin); err == nil {
		t.Error("it came back")
	}
}

// recorded is the attestation of sigstore@2.0.0, as npm handed it out, and its SHA-512.
func recorded(t testing.TB) (bundle, integrity string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testenv.ModuleDir(t, "github.com/sigstore/sigstore-go"), "pkg/testing/data/bundles/sigstore.js@2.0.0-provenance.sigstore.json"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := hex.DecodeString("46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c")
	if err != nil {
		t.Fatal(err)
	}
	return string(b), "sha512-" + base64.StdEncoding.EncodeToString(sum)
}

func attested(predicate, bundle string) string {
	return fmt.Sprintf(`{"attestations":[{"predicateType":"https://github.com/npm/attestation/tree/main/specs/publish/v0.1","bundle":{}},{"predicateType":%q,"bundle":%s}]}`, predicate, bundle)
}

func TestProvenance(t *testing.T) {
	t.Parallel()
	const slsa = "https://slsa.dev/provenance/v1"
	bundle, integrity := recorded(t)
	n := registryOf(t)
	s := store(t, n.base, clean{})
	p := Resolved{Name: "sigstore", Version: "2.0.0", Integrity: integrity}
	n.proofs["sigstore@2.0.0"] = attested(slsa, bundle)
	got, err := s.origin(t.Context(), s.npm, p)
	if err != nil || got == nil || got.Repository != "https://github.com/sigstore/sigstore-js" || got.Workflow != ".github/workflows/release.yml" {
		t.Fatalf("got %+v, %v", got, err)
	}
	n.proofs["sigstore@2.0.1"] = n.proofs["sigstore@2.0.0"]
	_, err = s.origin(t.Context(), s.npm, Resolved{Name: "sigstore", Version: "2.0.1", Integrity: integrity})
	refused(t, err, reason.Provenance, "does not hold")
	n.proofs["sigstore@2.0.0"] = attested(slsa, `{}`)
	_, err = s.origin(t.Context(), s.npm, p)
	refused(t, err, reason.Provenance, "does not hold")
	delete(n.proofs, "sigstore@2.0.0")
	p.dist = json.RawMessage(`{"url":"x"}`)
	_, err = s.origin(t.Context(), s.npm, p)
	refused(t, err, reason.Provenance, "hands no provenance out")

	n.publish("sigstore", "2.0.0", nil, "dist/index.js", "// not what was built there")
	n.proofs["sigstore@2.0.0"] = attested(slsa, bundle)
	_, err = s.Install(t.Context(), source.Package{Registry: source.NPM, Name: "sigstore", Version: "2.0.0"})
	refused(t, err, reason.Provenance, "does not hold")
	empty(t, s)
}

func TestProvenanceDoesNotRegress(t *testing.T) {
	t.Parallel()
	was := Origin{"https://github.com/acme/weather", ".github/workflows/release.yml"}
	for name, c := range map[string]struct {
		now  *Origin
		word string
	}{
		"the same":           {&was, ""},
		"none":               {nil, "has no provenance"},
		"another repository": {&Origin{"https://github.com/evil/weather", was.Workflow}, "evil"},
		"another workflow":   {&Origin{was.Repository, ".github/workflows/pr.yml"}, "pr.yml"},
	} {
		k := &known{Origins: map[string]Origin{"@acme/weather": was}}
		err := k.regressed(Resolved{Name: "@acme/weather", Version: "1.1.0"}, c.now)
		t.Log(name)
		if c.word == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		refused(t, err, reason.Provenance, c.word)
	}

	n := honest(registryOf(t))
	s := store(t, n.base, clean{})
	if err := s.learn(nil, Resolved{Name: "@acme/weather"}, &was); err != nil {
		t.Fatal(err)
	}
	_, err := s.Install(t.Context(), weather("1.0.0"))
	refused(t, err, reason.Provenance, "has no provenance")
	empty(t, s)
	for name, k := range map[string]known{
		"nothing in it":  {Schema: schemaKnown},
		"another schema": {Schema: "glovebox/known-packages/v2", Integrity: map[string]string{}, Origins: map[string]Origin{}},
	} {
		text, err := k.encode()
		if err == nil {
			err = os.WriteFile(s.path(knownFile), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Install(t.Context(), weather("1.0.0"))
		t.Log(name)
		refused(t, err, reason.Config, "packages were before")
	}
}

// An installation that is killed leaves the server whole or not there, and can be
// repeated.
func TestKilledInstallation(t *testing.T) {
	t.Parallel()
	n := honest(registryOf(t))
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []step{stepStage, stepSeal, stepPlace, stepLearn} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			s := store(t, n.base, clean{})
			if !testenv.Killed(t, exe, dieVerb, s.cfg.Dir, n.base, string(at)) {
				t.Fatal("it was not killed")
			}
			entries, err := os.ReadDir(s.cfg.Dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range entries {
				if d.IsDir() && !strings.HasPrefix(d.Name(), stagePrefix) && at != stepLearn {
					t.Errorf("%s took its name too early", d.Name())
				}
			}
			in, err := s.Install(t.Context(), weather("1.0.0"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Verify(t.Context(), in.Pin); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNothingToVerifyWithIsNoStore(t *testing.T) {
	t.Parallel()
	good := store(t, registryOf(t).base, clean{}).cfg
	for name, change := range map[string]func(*Config){
		"no advisories": func(c *Config) { c.Advisories = nil },
		"no provenance": func(c *Config) { c.Prover = nil },
		"no client":     func(c *Config) { c.Client = nil },
		"no folder":     func(c *Config) { c.Dir = "" },
		"a link":        func(c *Config) { c.Dir = filepath.Join(filepath.Dir(c.Dir), "link"); _ = os.Symlink("/etc", c.Dir) },
	} {
		c := good
		change(&c)
		if _, err := Open(c); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := Open(good); err != nil {
		t.Error(err)
	}
}
