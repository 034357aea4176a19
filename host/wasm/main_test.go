package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// shared is the store of compiled modules of all tests: they are compiled once.
var shared struct {
	once  sync.Once
	dir   string
	store *compile.Store
	err   error
}

// TestMain lets the test binary be the confined compiler, and removes the store.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Verb {
		os.Exit(compile.ChildMain(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	code := m.Run()
	if shared.store != nil {
		shared.store.Close()
	}
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

func store(t testing.TB) *compile.Store {
	t.Helper()
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "glovebox-wasm-test-"); shared.err != nil {
			return
		}
		shared.store, shared.err = compile.Open(compile.Config{
			Dir: filepath.Join(shared.dir, "cache"), Key: bytes.Repeat([]byte{7}, 32), Confine: sandbox.New(context.Background()),
		})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.store
}

// newTest returns an engine over the shared store, closed at the end of the test.
func newTest(t testing.TB, cfg Config) *Engine {
	t.Helper()
	cfg.Store = store(t)
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if got := e.total.used.Load(); got != 0 {
			t.Errorf("%d bytes of guests are still accounted for", got)
		}
		e.slots.mu.Lock()
		defer e.slots.mu.Unlock()
		if e.slots.queued != 0 || len(e.slots.ring) != 0 {
			t.Errorf("somebody still waits for a slot")
		}
	})
	return e
}

func source(b []byte) Source {
	return SourceOf(abi.NewBlob(b))
}

// limits are the defaults, roomier where a loaded machine would make a test flaky.
func limits() abi.Limits {
	l := abi.DefaultLimits()
	l.Wall, l.InitWall = time.Minute, 20*time.Second
	return l
}

// raw is a call of an export with bytes in and bytes out.
func raw(guest []byte, export, input string, change ...func(*Invocation)) Invocation {
	inv := Invocation{
		Caller:  abi.Caller{Agent: "a", Session: "s", Skill: "probe", Tool: abi.ToolName(export), Call: "c1"},
		Source:  source(guest),
		Profile: abi.ProfileRaw, Export: export, Input: []byte(input),
		Rights: abi.Rights{Limits: limits()},
	}
	for _, f := range change {
		f(&inv)
	}
	return inv
}

func withLimits(f func(l *abi.Limits)) func(*Invocation) {
	return func(inv *Invocation) { f(&inv.Rights.Limits) }
}

// wantLimit fails unless err is the limit name.
func wantLimit(t *testing.T, err error, name string) {
	t.Helper()
	l, ok := errors.AsType[*LimitError](err)
	if !ok || l.Limit != name {
		t.Fatalf("error %v (%T), want limit %s", err, err, name)
	}
}

// observer collects what a host is told.
type observer struct {
	mu       sync.Mutex
	denied   []abi.Problem
	log      []string
	progress []abi.ProgressRequest
	callers  []abi.Caller
}

func (o *observer) Denied(_ context.Context, c abi.Caller, p *abi.Problem) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.denied = append(o.denied, *p)
	o.callers = append(o.callers, c)
}

func (o *observer) Log(_ context.Context, c abi.Caller, _ slog.Level, m string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log = append(o.log, m)
	o.callers = append(o.callers, c)
}

func (o *observer) Progress(_ context.Context, _ abi.Caller, p abi.ProgressRequest) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.progress = append(o.progress, p)
}

// fetcher answers requests by a function.
type fetcher func(ctx context.Context, c abi.Caller, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error)

func (f fetcher) Fetch(ctx context.Context, c abi.Caller, _ abi.Rights, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error) {
	return f(ctx, c, req, body)
}

// hello is a server that always says hello.
var hello = fetcher(func(_ context.Context, _ abi.Caller, req abi.FetchRequest, _ []byte) (abi.FetchResponse, []byte, error) {
	return abi.FetchResponse{Status: 200, URL: req.URL, Headers: map[string][]string{"Content-Type": {"text/plain"}}}, []byte("hello"), nil
})

type asker func(ctx context.Context, req abi.AskRequest) (abi.AskResult, error)

func (f asker) Ask(ctx context.Context, _ abi.Caller, req abi.AskRequest) (abi.AskResult, error) {
	return f(ctx, req)
}

var yes = asker(func(context.Context, abi.AskRequest) (abi.AskResult, error) {
	return abi.AskResult{Action: "accept", Content: json.RawMessage(`{"ok":true}`)}, nil
})

type present bool

func (p present) Present(abi.AgentID, abi.SecretName) bool { return bool(p) }

func httpRight() []abi.HTTPRight {
	return []abi.HTTPRight{{Origin: "https://api.example", Methods: []string{"GET", "POST"}, Paths: []string{"/**"}, Rule: "grant.yaml:3"}}
}
