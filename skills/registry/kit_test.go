package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
)

// start is a day on which tests begin.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// rig is a registry that is served, and a client of it.
type rig struct {
	t      *testing.T
	clock  *clock
	maker  *Maker
	dir    string // what is served
	url    string
	state  string // database and cache of the client
	client *Client
}

// newRig makes a registry of two versions of acme/weather (by the registry itself), on
// a loopback server.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, clock: &clock{at: start}, dir: t.TempDir(), state: t.TempDir()}
	var err error
	r.maker, err = Init(MakerConfig{Dir: filepath.Join(r.dir, "a"), Keys: t.TempDir(), Now: r.clock.now}, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	r.dir = filepath.Join(r.dir, "a")
	r.must(r.maker.AddSkill(entry("acme/weather", "1.0.0"), nil))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		http.FileServer(http.Dir(r.dir)).ServeHTTP(w, q)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	r.open()
	return r
}

func (r *rig) open() {
	r.t.Helper()
	c, err := Open(context.Background(), Config{DB: filepath.Join(r.state, "registry.db"), Dir: filepath.Join(r.state, "cache"),
		HTTP: func(origin abi.Origin) (Doer, error) {
			return broker.OperatorClient(broker.OperatorConfig{Origins: []abi.Origin{origin}})
		},
		Now: r.clock.now})
	if err != nil {
		r.t.Fatal(err)
	}
	r.client = c
	r.t.Cleanup(func() { _ = c.Close() })
}

// must fails the test if a maker's step failed or waits for signatures.
func (r *rig) must(rep Report, err error) Report {
	r.t.Helper()
	if err != nil || len(rep.Pending) > 0 {
		r.t.Fatalf("maker: %v, pending %q", err, rep.Pending)
	}
	return rep
}

func (r *rig) root() []byte {
	r.t.Helper()
	data, err := os.ReadFile(r.maker.RootFile())
	if err != nil {
		r.t.Fatal(err)
	}
	return data
}

func (r *rig) add(sources ...string) (Status, error) {
	if len(sources) == 0 {
		sources = []string{r.url}
	}
	return r.client.Add(context.Background(), Request{Name: "corp", Sources: sources, Root: r.root()})
}

func (r *rig) mustAdd(sources ...string) Status {
	r.t.Helper()
	s, err := r.add(sources...)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) refresh() error {
	_, err := r.client.Refresh(context.Background(), "corp")
	return err
}

func (r *rig) show() ([]Found, error) {
	return r.client.Show(context.Background(), "", "acme/weather")
}

// copy copies what is served now to another folder.
func (r *rig) copy() string {
	r.t.Helper()
	to := filepath.Join(r.t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(r.dir)); err != nil {
		r.t.Fatal(err)
	}
	return to
}

// edit changes one served file.
func (r *rig) edit(name string, f func([]byte) []byte) {
	r.t.Helper()
	path := filepath.Join(r.dir, filepath.FromSlash(name))
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, f(data), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// target is the file in which a target of the registry is served.
func (r *rig) target(suffix string) string {
	r.t.Helper()
	var found string
	_ = filepath.WalkDir(r.dir, func(p string, d fs.DirEntry, err error) error {
		info, infoErr := os.Stat(p)
		if err == nil && infoErr == nil && strings.HasSuffix(p, "."+suffix) && strings.Contains(p, "targets") {
			if old, err := os.Stat(filepath.Join(r.dir, found)); found == "" || err == nil && !info.ModTime().Before(old.ModTime()) {
				found, _ = filepath.Rel(r.dir, p)
			}
		}
		return nil
	})
	return filepath.ToSlash(found)
}

// reason asserts that err is a refusal for one reason.
func reason(t *testing.T, err error, want Reason) *Refusal {
	t.Helper()
	var why *Refusal
	if !errors.As(err, &why) {
		t.Fatalf("got %v; want a refusal with %s", err, want)
	}
	if why.Reason != want {
		t.Fatalf("got %v; want %s", err, want)
	}
	return why
}

// entry is a well-formed entry.
func entry(id SkillID, version string) Entry {
	digest := abi.DigestOf([]byte(string(id) + version))
	return Entry{Name: id, Version: version, Digest: digest, OCI: "reg.example/" + string(id) + "@" + string(digest),
		Bundle: abi.DigestOf([]byte("bundle " + version)), ABI: abi.ProfileMCPv2,
		Capabilities: Capabilities{"http": {"GET https://api.weather.example /v1/*"}},
		Identity:     Identity{Issuer: "https://issuer.example", SAN: "https://github.com/acme/weather/.github/workflows/release.yml@refs/tags/v" + version}}
}

func indent(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
