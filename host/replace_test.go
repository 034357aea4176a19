package host

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/install"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// installVersion puts a version of reader, which is textstat under another name, into
// the store, with everything that it asks for, as another process does.
func (f *fixture) installVersion(version string) {
	f.t.Helper()
	f.install("textstat", func(c *abi.Compiled) { c.Manifest.Name, c.Manifest.Version = "reader", version })
	dir := filepath.Join(f.skills, "reader")
	b, err := skills.Open(dir)
	if err != nil {
		f.t.Fatal(err)
	}
	art, err := artifact.Manifest(b)
	if err != nil {
		f.t.Fatal(err)
	}
	offer := install.Offer{Artifact: art, Signatures: [][]byte{f.read(filepath.Join(dir, signature.File))}, Source: "test"}
	if err := os.RemoveAll(dir); err != nil {
		f.t.Fatal(err)
	}
	judge := OpenJudge(f.t.Context(), f.cfg)
	defer func() { _ = judge.Close() }()
	gate, known, err := judge.Gate()
	if err != nil {
		f.t.Fatal(err)
	}
	store := install.OpenStore(f.cfg.State)
	present := func() (*abi.Grant, error) {
		grant, _, err := FindGrant(f.cfg, "reader")
		return grant, err
	}
	old, err := present()
	if err != nil {
		f.t.Fatal(err)
	}
	p, err := store.Prepare(f.t.Context(), gate, offer, old, known, install.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	defer p.Release()
	var all []string
	for _, a := range p.Asks {
		all = append(all, a.ID)
	}
	grant, err := p.Grant(all, []abi.AgentID{"main"})
	if err == nil {
		err = p.Commit(store, grant, present)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// version returns the version of reader that is ready, "" if none is.
func (f *fixture) version() string {
	f.t.Helper()
	list, err := f.Skills(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, s := range list {
		if s.Name == "reader" && s.State == skillReady {
			return s.Version
		}
	}
	return ""
}

// TestReplacedWhileItRuns: a call that is in flight when its skill is replaced ends well
// on the old version; the next one is of the new version, and none is lost in between.
func TestReplacedWhileItRuns(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 8), make(chan struct{})
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("One two three."))
	}))
	t.Cleanup(page.Close)
	f := newFixture(t, nil)
	if _, err := f.state.SetPrivateOrigin(abi.Origin(page.URL), true, "reader"); err != nil {
		t.Fatal(err)
	}
	f.installVersion("1.0.0")
	if v := f.version(); v != "1.0.0" {
		t.Fatalf("version %q is ready", v)
	}
	call := func() admin.Call {
		return f.ask("reader.fetch_and_analyse", fmt.Sprintf(`{"url":%q}`, page.URL))
	}
	ended := make(chan admin.Call, 1)
	go func() { ended <- call() }()
	<-arrived
	f.installVersion("2.0.0")
	if v := f.version(); v != "2.0.0" {
		t.Fatalf("version %q is ready after the upgrade", v)
	}
	close(release)
	if c := <-ended; c.Outcome != "ok" || !strings.Contains(c.Text, "3") {
		t.Errorf("the call in flight: %+v", c)
	}
	if c := call(); c.Outcome != "ok" {
		t.Errorf("the next call: %+v", c)
	}
	if f.events("skill.admitted", `"version":"1.0.0"`) == 0 || f.events("skill.admitted", `"version":"2.0.0"`) != 1 {
		t.Error("the admissions are not on record")
	}
	// A file of the installed version that is changed is not run, and says so.
	lock, err := install.OpenStore(f.state).Lock()
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(install.OpenStore(f.state).Dir(lock.Find("reader")), skills.ModuleFile)
	if err := os.Chmod(module, 0o600); err != nil {
		t.Fatal(err)
	}
	tool := &skillTool{host: f.Host, bundle: &skills.Bundle{}, ref: abi.ToolRef{Skill: "reader", Tool: "fetch_and_analyse"}}
	if tool.bundle, err = skills.Open(filepath.Dir(module)); err != nil {
		t.Fatal(err)
	}
	f.write(module, []byte("\x00asm\x01\x00\x00\x00"))
	if _, err := tool.source(t.Context()).Read(); install.ReasonOf(err) != install.ReasonModule {
		t.Errorf("changed on disk: %v", err)
	}
	// What the lock file names and is not there is told, and so is half a lock file.
	if err := os.RemoveAll(filepath.Dir(module)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []install.Reason{install.ReasonInterrupted, install.ReasonLock} {
		list, err := f.Skills(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, s := range list {
			found = found || s.State == skillRefused && strings.Contains(s.Why, string(want))
		}
		if !found {
			t.Errorf("no skill is refused with %s: %+v", want, list)
		}
		f.write(f.state.SkillsLock(), []byte("{"))
		time.Sleep(2 * settled) // the file was replaced within one tick
	}
	f.verify()
}
