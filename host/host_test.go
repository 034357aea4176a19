package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/sandbox"
	"github.com/glovebox-dev/glovebox/skills"
)

// TestMessageIsAnsweredBySealedSkill is the spine: message, gate, chamber, broker,
// reply, audit trail, over HTTP, with a private server that the operator opens.
func TestMessageIsAnsweredBySealedSkill(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	url, hits := page(t, "One two three. Four five.")
	if err := f.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() { ended <- f.Run(ctx, func() { close(ready) }) }()
	<-ready
	info, err := f.state.Running()
	if err != nil || info.Address != f.Address() {
		t.Fatalf("published %+v, error %v", info, err)
	}
	session := "s1"
	chat := func(calls ...string) string {
		f.model.call(calls[0], calls[1])
		return post(t, f, fmt.Sprintf(`{"message":%q,"session":%q}`, "count the words of "+calls[1], session))
	}

	denied := chat("textstat.fetch_and_analyse", fmt.Sprintf(`{"url":%q}`, url))
	if *hits != 0 || !strings.Contains(denied, "glovebox egress allow "+url+" --skill textstat") {
		t.Fatalf("%d requests; reply without the hint: %s", *hits, denied)
	}
	origin, err := abi.ParseOrigin(url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.state.SetPrivateOrigin(origin, true, "textstat"); err != nil {
		t.Fatal(err)
	}
	answered := chat("textstat.fetch_and_analyse", fmt.Sprintf(`{"url":%q}`, url))
	if *hits != 1 || !strings.Contains(answered, `"outcome":"ok"`) {
		t.Fatalf("%d requests after the origin was opened: %s", *hits, answered)
	}
	if _, err := f.state.SetPrivateOrigin(abi.Origin(f.Address()), true, "textstat"); err != nil { // even if it is opened
		t.Fatal(err)
	}
	session = "s2" // that has read nothing
	own := chat("textstat.fetch_and_analyse", fmt.Sprintf(`{"url":%q}`, f.Address()+"/health"))
	if strings.Contains(own, `"outcome":"ok"`) || !strings.Contains(own, "glovebox itself") {
		t.Errorf("a skill reached the daemon itself: %s", own)
	}
	for _, words := range [][]string{
		{"message.received"}, {"tool.intent", "textstat.fetch_and_analyse"}, {"egress.request", `"verdict":"deny"`},
		{"skill.denied"}, {"egress.request", `"status":"200"`, "dialled"}, {"tool.outcome", `"outcome":"ok"`}, {"message.answered"},
	} {
		if f.events(words...) == 0 {
			t.Errorf("the audit log has no record with %q", words)
		}
	}
	f.verify()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(f.state.AddressFile()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the address is still published: %v", err)
	}
}

// post sends a message as curl would.
func post(t *testing.T, f *fixture, body string) string {
	t.Helper()
	token, _, err := f.state.Token()
	if err != nil {
		t.Fatal(err)
	}
	client, err := broker.LoopbackClient(strings.TrimPrefix(f.Address(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.Address()+"/api/chat", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b := new(strings.Builder)
	if err := resp.Write(b); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", resp.StatusCode, b)
	}
	return b.String()
}

// TestGrantsHoldFromTheNextCall changes grant files under a running daemon.
func TestGrantsHoldFromTheNextCall(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	const args = `{"expression":"6*7"}`
	if c := f.ask("calc.evaluate", args); c.Outcome != agent.OutcomeOK || c.Text != "42" {
		t.Fatalf("granted call: %+v", c)
	}
	for _, step := range []struct{ name, grant, rule string }{
		{"a grant for another agent", "schema: glovebox/grant/v1\nskill: calc\nagents: [other]\n", "gate/not-granted"},
		{"a grant again", strings.ReplaceAll(testGrant, "%s", "calc"), ""},
		{"an expired grant", strings.ReplaceAll(testGrant, "%s", "calc") + "expires: 2001-01-01\n", "gate/not-granted"},
		{"a draft", strings.ReplaceAll(testGrant, "%s", "calc") + "draft: true\n", "gate/not-granted"},
		{"a grant with a typing mistake", strings.ReplaceAll(testGrant, "%s", "calc") + "agnts: [main]\n", "gate/not-granted"},
		{"a grant for something that is not asked for", strings.ReplaceAll(testGrant, "%s", "calc") + "allow: {human: true}\n", "gate/not-granted"},
		{"a grant of another skill under this name", strings.ReplaceAll(testGrant, "%s", "textstat"), "gate/not-granted"},
		{"a pin to another bundle", strings.ReplaceAll(testGrant, "%s", "calc") + "pin: {sha256: \"" + strings.Repeat("0", 64) + "\"}\n", "gate/not-granted"},
		{"a grant at last", strings.ReplaceAll(testGrant, "%s", "calc"), ""},
		{"no grant", "", "gate/not-granted"},
	} {
		f.grant("calc", step.grant)
		if step.grant == "" {
			if err := os.Remove(filepath.Join(f.grants, "calc.yaml")); err != nil {
				t.Fatal(err)
			}
		}
		c := f.ask("calc.evaluate", args)
		if step.rule == "" && c.Outcome != agent.OutcomeOK || step.rule != "" && (c.Outcome != agent.OutcomeDenied || c.Rule != step.rule) {
			t.Errorf("%s: %+v", step.name, c)
		}
	}
	f.grant("calc", strings.ReplaceAll(testGrant, "%s", "calc"))
	// The state's own grants go before those of the configuration.
	f.write(filepath.Join(f.state.Grants(), "calc.yaml"), []byte("schema: glovebox/grant/v1\nskill: calc\n"))
	if c := f.ask("calc.evaluate", args); c.Rule != "gate/not-granted" {
		t.Errorf("revoked in the state folder: %+v", c)
	}
	f.verify()
}

// TestChangedSkillIsNotRun changes module and manifest under a running daemon.
func TestChangedSkillIsNotRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	module := filepath.Join(f.skills, "calc", skills.ModuleFile)
	good := f.read(module)
	f.write(module, append([]byte{}, f.read(filepath.Join(f.skills, "textstat", skills.ModuleFile))...))
	c := f.ask("calc.evaluate", `{"expression":"1"}`)
	if c.Outcome != agent.OutcomeError || !strings.Contains(c.Why, "changed after it was built") || strings.Contains(c.Why, f.skills) {
		t.Errorf("altered module: %+v", c)
	}
	f.write(module, good)
	if c := f.ask("calc.evaluate", `{"expression":"1"}`); c.Outcome != agent.OutcomeOK {
		t.Errorf("module put back: %+v", c)
	}
	// Between the sealing of the registry and the call.
	w, err := f.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.install("calc", func(c *abi.Compiled) { c.Manifest.Version = "9.9.9" })
	report := w.dispatcher.Dispatch(t.Context(), agent.Request{
		Agent: "main", Session: "s", From: principalChat, Call: agent.ToolCall{Tool: "calc.evaluate", Args: []byte(`{"expression":"1"}`)},
	})
	if report.Rule != "gate/digest" {
		t.Errorf("manifest changed after the registry was sealed: %+v", report)
	}
}

func TestNamesThatCollideAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.install("calc", func(c *abi.Compiled) { c.Manifest.Name = "ca1c" })
	f.install("calc", func(c *abi.Compiled) { c.Manifest.Name = "operator" })
	list, err := f.Skills(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, s := range list {
		states[filepath.Base(s.Dir)] = s.State
	}
	ready := 0
	for _, name := range []string{"calc", "ca1c"} {
		if states[name] != skillRefused {
			ready++
		}
	}
	if ready != 1 || states["operator"] != skillRefused || states["textstat"] != skillReady {
		t.Errorf("states: %v; want one of two look-alikes, and no reserved name", states)
	}
}

func TestStartErrorsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if _, err := New(t.Context(), f.cfg); !errors.Is(err, config.ErrLocked) {
		t.Errorf("second daemon: %v, want ErrLocked", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := f.Start(t.Context(), l.Addr().String()); !errors.Is(err, admin.ErrListen) {
		t.Errorf("port taken: %v, want ErrListen", err)
	}
	if _, err := os.Stat(f.state.AddressFile()); !errors.Is(err, os.ErrNotExist) {
		t.Error("an address was published")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	broken := f.cfg
	broken.model = func(config.Agent) (agent.Model, error) { return nil, errTest }
	if _, err := New(t.Context(), broken); !errors.Is(err, errTest) {
		t.Errorf("error %v", err)
	}
	f.open() // the lock was given up both times
}

func TestResolveFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink("/etc", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"workspace:notes": filepath.Join(dir, "notes"), "/srv/x": "/srv/x",
		"workspace:": "", "workspace:..": "", "workspace:.": "", "workspace:a/b": "", `workspace:a\b`: "",
		"workspace:link": "", "workspace:file": "", "relative": "", "": "",
	} {
		r := abi.Rights{Files: []abi.FileRight{{Mount: "/d", Host: host}}}
		err := ResolveFiles(&r, Protected{State: t.TempDir()}, func() (string, error) { return dir, nil })
		if (err == nil) != (want != "") || err == nil && r.Files[0].Host != want {
			t.Errorf("%q: %q, error %v; want %q", host, r.Files[0].Host, err, want)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "notes")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder in the workspace: %v, error %v", info, err)
	}
}

// TestFilesDoNotReachWhatDecides (GRANT-3): a grant cannot hand out the keys, nor a
// place to write grants, by naming the folder, one around it, one in it or a link.
func TestFilesDoNotReachWhatDecides(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	own := Protected{State: filepath.Join(home, "state"), Skills: []string{filepath.Join(home, "skills"), filepath.Join(home, "absent")}, Rules: []string{filepath.Join(home, "conf/grants")}}
	for _, dir := range []string{"state/keys", "skills/a", "conf/grants/sub", "conf/data", "data"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link": "state", "data/up": ".."} {
		if err := os.Symlink(filepath.Join(home, to), filepath.Join(home, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		host        string
		read, write bool
	}{
		{host: "state"}, {host: "state/keys"}, {host: "."}, {host: "/"}, {host: "link"}, {host: "link/keys"}, {host: "data/up"}, {host: "data/../state"},
		{host: "skills", read: true}, {host: "skills/a", read: true}, {host: "conf", read: true}, {host: "conf/grants", read: true},
		{host: "conf/grants/sub", read: true, write: true}, {host: "conf/data", read: true, write: true}, {host: "data", read: true, write: true}, {host: "nowhere", read: true, write: true},
	} {
		for write, want := range map[bool]bool{false: tc.read, true: tc.write} {
			host := tc.host
			if host != "/" {
				host = home + "/" + host
			}
			r := abi.Rights{Files: []abi.FileRight{{Mount: "/d", Host: host, Write: write}}}
			if err := ResolveFiles(&r, own, nil); (err == nil) != want {
				t.Errorf("%s, write %v: %v", tc.host, write, err)
			}
		}
	}
}

// TestStatusSaysWhatIsWeaker takes bubblewrap away: skills answer, under resource
// limits alone, and status says so.
func TestStatusSaysWhatIsWeaker(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.chamber.jail.probe = func() *sandbox.Spawner { return &sandbox.Spawner{} }
	if w := strings.Join(f.Warnings(), "\n"); !strings.Contains(w, "without bubblewrap") {
		t.Errorf("warnings do not tell what is weaker: %q", w)
	}
	if c := f.ask("calc.evaluate", `{"expression":"6*7"}`); c.Text != "42" {
		t.Errorf("call without bubblewrap: %+v", c)
	}
}
