package host

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/sandbox"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"go.uber.org/goleak"
)

// TestMain is the compiler child when the spawner starts this binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Verb {
		os.Exit(compile.ChildMain(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// steered is a model that a test drives: what it says next is a function of what it
// was told.
type steered struct {
	mu      sync.Mutex
	turns   []agent.Turn
	prompts []agent.Prompt
}

func (*steered) Name() string { return "steered" }

func (s *steered) Next(_ context.Context, p agent.Prompt) (agent.Turn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prompts = append(s.prompts, p)
	if len(s.turns) == 0 {
		return agent.Turn{Text: "done"}, nil
	}
	next := s.turns[0]
	s.turns = s.turns[1:]
	return next, nil
}

// call makes the model ask for one tool call in its next turn.
func (s *steered) call(tool, args string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns = append(s.turns, agent.Turn{Calls: []agent.ToolCall{{ID: "1", Tool: tool, Args: json.RawMessage(args)}}})
}

// world of a test: a daemon on a state of its own, with copies of example skills.
type fixture struct {
	*Host
	t      *testing.T
	model  *steered
	cfg    Config
	skills string
	grants string
}

const testGrant = "schema: glovebox/grant/v1\nskill: %s\nagents: [main]\n"

// newFixture opens a daemon with calc and textstat, both granted; change may alter
// the configuration first.
func newFixture(t *testing.T, change func(*Config)) *fixture {
	t.Helper()
	dir := t.TempDir()
	state, err := config.OpenState(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, model: &steered{}, skills: filepath.Join(dir, "skills"), grants: filepath.Join(dir, "grants")}
	f.cfg = Config{State: state, Settings: config.Default(), Version: "test", model: func(config.Agent) (agent.Model, error) { return f.model, nil }}
	for _, name := range []string{"calc", "textstat"} {
		f.install(name, nil)
	}
	f.grant("calc", strings.ReplaceAll(testGrant, "%s", "calc"))
	f.grant("textstat", strings.ReplaceAll(testGrant, "%s", "textstat")+"allow: {http: [{argument: url, methods: [GET], paths: [\"/**\"]}]}\n")
	f.cfg.Settings.Listen, f.cfg.Settings.Skills.Dirs, f.cfg.Settings.Grants.Dir = "127.0.0.1:0", []string{f.skills}, f.grants
	if change != nil {
		change(&f.cfg)
	}
	f.open()
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fixture) open() {
	f.t.Helper()
	h, err := New(f.t.Context(), f.cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Host = h
}

// install copies an example skill, its manifest changed if change is not nil.
func (f *fixture) install(name string, change func(*abi.Compiled)) {
	f.t.Helper()
	from := filepath.Join("..", "examples", name)
	data := f.read(filepath.Join(from, skills.ManifestFile))
	c, err := abi.DecodeCompiled("skill.manifest.json", data)
	if err != nil {
		f.t.Fatal(err)
	}
	if change != nil {
		change(c)
	}
	module := f.read(filepath.Join(from, skills.ModuleFile))
	list := f.read(filepath.Join(from, skills.SBOMFile))
	f.put(c, module, list)
}

// put writes a skill with its list of dependencies, and signs it.
func (f *fixture) put(c *abi.Compiled, module, list []byte) {
	f.t.Helper()
	c.Files = []abi.File{{Name: skills.SBOMFile, Digest: abi.DigestOf(list), Size: int64(len(list))}}
	data, err := abi.EncodeCompiled(c)
	if err != nil {
		f.t.Fatal(err)
	}
	to := filepath.Join(f.skills, string(c.Manifest.Name))
	f.write(filepath.Join(to, skills.SBOMFile), list)
	f.write(filepath.Join(to, skills.ManifestFile), data)
	f.write(filepath.Join(to, c.Manifest.Module), module)
	f.sign(to)
}

// sign signs the skill in a folder with the key of the daemon's machine.
func (f *fixture) sign(dir string) {
	f.t.Helper()
	key, _, err := signature.MakeOwnKey(f.cfg.State)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(filepath.Join(dir, signature.File), signed(f.t, dir, key))
}

// signed returns the signature of the skill in a folder.
func signed(t *testing.T, dir string, key signature.Signer) []byte {
	t.Helper()
	b, err := skills.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := artifact.DigestOf(b)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signature.Sign(t.Context(), signature.Request{Digest: digest, Facts: signature.FactsOf(b.Manifest, b.Digest), Signer: key})
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func (f *fixture) grant(skill, text string) {
	f.t.Helper()
	f.write(filepath.Join(f.grants, skill+".yaml"), []byte(text))
}

func (f *fixture) read(path string) []byte {
	f.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

func (f *fixture) write(path string, data []byte) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// ask sends one message, which names the values of the call, during which the model
// makes one call, and returns it.
func (f *fixture) ask(tool, args string) admin.Call {
	f.t.Helper()
	f.model.call(tool, args)
	reply, err := f.Chat(f.t.Context(), admin.ChatRequest{Message: "go on with " + args, Session: "s"}, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	if len(reply.Calls) != 1 {
		f.t.Fatalf("%d calls, want 1: %+v", len(reply.Calls), reply)
	}
	return reply.Calls[0]
}

// events returns the names of the records that carry the words.
func (f *fixture) events(words ...string) (found int) {
	f.t.Helper()
	records, err := f.Audit(f.t.Context(), 1000)
	if err != nil {
		f.t.Fatal(err)
	}
records:
	for _, r := range records {
		for _, w := range words {
			if !strings.Contains(string(r.Record), w) {
				continue records
			}
		}
		found++
	}
	return found
}

func (f *fixture) verify() {
	f.t.Helper()
	report, err := f.audit.Verify(f.t.Context(), nil)
	if err != nil || report.State != audit.Intact {
		f.t.Errorf("audit log: %+v, error %v", report, err)
	}
}

// page is a local server: private, and closed to skills unless opened.
func page(t *testing.T, text string) (url string, hits *int) {
	t.Helper()
	hits = new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*hits++
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(s.Close)
	return s.URL, hits
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

// lines is a log handler's target.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) handler(level slog.Level) slog.Handler {
	return slog.NewTextHandler(l, &slog.HandlerOptions{Level: level})
}

var errTest = errors.New("test")
