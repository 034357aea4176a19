package packages

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/glovebox-dev/glovebox/mcp/source"
	"github.com/glovebox-dev/glovebox/sandbox"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// dieVerb makes the test binary install a server and be killed on the way.
const dieVerb = "install-and-die"

// TestMain lets the test binary be the inside step of a box, and the process that dies.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Verb {
		cell, _, err := sandbox.Inside(os.Args[2:])
		if err == nil && cell.Probe {
			err = sandbox.Probe(cell, os.Stdout)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 5 && os.Args[1] == dieVerb {
		fmt.Fprintln(os.Stderr, installAndDie(os.Args[2], os.Args[3], step(os.Args[4])))
		os.Exit(7) // it should not have lived that long
	}
	os.Exit(m.Run())
}

func installAndDie(dir, registry string, at step) error {
	s, err := openStore(dir, registry, clean{})
	if err != nil {
		return err
	}
	s.step = func(now step) {
		if now == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	_, err = s.Install(context.Background(), weather("1.0.0"))
	return err
}

// now is the moment of these tests.
var now = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)

// clean is an index without advisories about anything.
type clean struct{}

func (clean) Check(_ context.Context, packages []sbom.Package, _ advisory.Policy, _ time.Time) (advisory.Report, error) {
	return advisory.Report{Verdict: advisory.Pass, Packages: packages}, nil
}

// index returns a real index of one record, about everything below 2.0.0 of a package.
func index(t testing.TB, id, name string) *advisory.Index {
	t.Helper()
	x, err := advisory.Open(t.Context(), filepath.Join(t.TempDir(), "osv.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	for _, eco := range []sbom.Ecosystem{sbom.NPM, sbom.Go} {
		record := fmt.Sprintf(`{"id":%q,"modified":"2026-11-20T00:00:00Z","affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}]}]}`, id, eco, name)
		if _, err := x.ImportFolder(t.Context(), eco, fstest.MapFS{id + ".json": {Data: []byte(record)}}, advisory.ImportOptions{Now: now}); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func openStore(dir, registry string, a Advisories) (*Store, error) {
	c, err := broker.NewOperator(broker.OperatorConfig{Origins: []abi.Origin{abi.Origin(registry)}, Timeout: 20 * time.Second})
	if err != nil {
		return nil, err
	}
	p, err := signature.NewProvenanceVerifier(signature.PublicGoodRoot())
	if err != nil {
		return nil, err
	}
	return Open(Config{Dir: dir, Registry: registry, Client: c, Advisories: a, Policy: advisory.DefaultPolicy(), Prover: p, Node: interpreter(), Now: func() time.Time { return now }})
}

func store(t testing.TB, registry string, a Advisories) *Store {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { _ = discard(dir) }) // what is sealed cannot be removed as it is
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil { // the user of a box must get there
			t.Fatal(err)
		}
	}
	s, err := openStore(filepath.Join(dir, "servers"), registry, a)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// npm is a registry of the tests.
type npm struct {
	base     string
	packages map[string]map[string]map[string]any // manifests by name and version
	archives map[string][]byte                    // by path
	proofs   map[string]string                    // attestations by NAME@VERSION
	override map[string]http.HandlerFunc          // by path
}

func (n *npm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := n.override[r.URL.Path]; h != nil {
		h(w, r)
		return
	}
	p := strings.TrimPrefix(r.URL.Path, "/")
	if b, ok := n.archives[p]; ok {
		_, _ = w.Write(b)
		return
	}
	if of, ok := strings.CutPrefix(p, "-/npm/v1/attestations/"); ok && n.proofs[of] != "" {
		_, _ = fmt.Fprint(w, n.proofs[of])
		return
	}
	versions, ok := n.packages[p]
	if !ok {
		http.NotFound(w, r)
		return
	}
	latest := slices.Sorted(maps.Keys(versions))
	_ = json.NewEncoder(w).Encode(map[string]any{"name": p, "dist-tags": map[string]string{"latest": latest[len(latest)-1]}, "versions": versions})
}

func registryOf(t testing.TB) *npm {
	t.Helper()
	n := &npm{packages: map[string]map[string]map[string]any{}, archives: map[string][]byte{}, proofs: map[string]string{}, override: map[string]http.HandlerFunc{}}
	srv := httptest.NewServer(n)
	t.Cleanup(srv.Close)
	n.base = srv.URL
	return n
}

type deps = map[string]string

// publish adds a version with its files beside package.json, and returns its manifest,
// to be changed.
func (n *npm) publish(name, version string, needs deps, files ...string) map[string]any {
	about := map[string]any{"name": name, "version": version, "bin": "dist/index.js", "dependencies": needs}
	text, err := json.Marshal(about)
	if err != nil {
		panic(err)
	}
	list := []*tar.Header{{Name: "package/package.json"}}
	content := []string{string(text)}
	for i := 0; i < len(files); i += 2 {
		list, content = append(list, &tar.Header{Name: "package/" + files[i], Mode: 0o755}), append(content, files[i+1])
	}
	return n.put(name, version, needs, pack(list, content))
}

// put adds a version with the given archive.
func (n *npm) put(name, version string, needs deps, archive []byte) map[string]any {
	at := name + "/-/" + path.Base(name) + "-" + version + ".tgz"
	n.archives[at] = archive
	hash := sha512.Sum512(archive)
	m := map[string]any{"name": name, "version": version, "dependencies": needs, "dist": map[string]any{
		"tarball": n.base + "/" + at, "integrity": "sha512-" + base64.StdEncoding.EncodeToString(hash[:]),
	}}
	if n.packages[name] == nil {
		n.packages[name] = map[string]map[string]any{}
	}
	n.packages[name][version] = m
	return m
}

// pack makes an archive out of headers and contents.
func pack(list []*tar.Header, content []string) []byte {
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	tw := tar.NewWriter(gz)
	for i, h := range list {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		h.Size = int64(len(content[i]))
		if err := errors.Join(tw.WriteHeader(h), func() error { _, err := tw.Write([]byte(content[i])); return err }()); err != nil {
			panic(err)
		}
	}
	if err := errors.Join(tw.Close(), gz.Close()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

const about = `{"name":"@acme/weather","version":"1.0.0","bin":"dist/index.js"}`

func weather(version string) source.Package {
	return source.Package{Registry: source.NPM, Name: "@acme/weather", Version: version}
}

// script is a server that says who it is, what it finds and what it is told.
const script = `console.log("weather " + require("left").name + " " + process.argv[2])`

// honest fills a registry with the server of these tests and what it needs.
func honest(n *npm) *npm {
	n.publish("@acme/weather", "1.0.0", deps{"left": "^1.0.0", "right": "~2.1.0", "alias": "npm:left@2.0.0"}, "dist/index.js", script)
	n.publish("left", "1.0.0", nil, "index.js", `exports.name = "left 1.0.0"`)
	n.publish("left", "1.4.0", nil, "index.js", `exports.name = "left 1.4.0"`)
	n.publish("left", "2.0.0", nil, "index.js", `exports.name = "left 2.0.0"`)
	n.publish("right", "2.1.7", deps{"left": "2.x", "deep": "*"}, "index.js", "")
	n.publish("right", "2.2.0", nil, "index.js", "")
	n.publish("deep", "3.0.0", deps{"left": "2.x"}, "index.js", "")
	return n
}

func refused(t testing.TB, err error, why reason.Reason, word string) {
	t.Helper()
	var r *reason.Refusal
	if !errors.As(err, &r) || r.Reason != why || !strings.Contains(err.Error(), word) {
		t.Errorf("got %v; want %s with %q", err, why, word)
	}
}

// empty fails if the store holds anything that could be started.
func empty(t testing.TB, s *Store) {
	t.Helper()
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range entries {
		if d.IsDir() {
			t.Errorf("%s is left in the store", d.Name())
		}
	}
}

// interpreter returns a file that passes for node where there is none: what starts a
// server needs the real one, see boxer.
func interpreter() string {
	if _, err := (&Store{}).node(); err == nil {
		return ""
	}
	return os.Args[0]
}
