//go:build linux

package compile_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
	"github.com/glovebox-dev/glovebox/sandbox"
)

var options = compile.Options{TableMax: 65_536, MemoryPages: 1024, Stack: 10_000}

// jail is the one spawner of all tests: its probe starts a process.
var jail = sync.OnceValue(func() *sandbox.Spawner { return sandbox.New(context.Background()) })

// counting counts the compilations that it passes on.
type counting struct{ n atomic.Int32 }

func (c *counting) Confined(ctx context.Context, j sandbox.Job) (sandbox.Result, error) {
	c.n.Add(1)
	return jail().Confined(ctx, j)
}

// fixture is a store with what tests look at.
type fixture struct {
	*compile.Store
	dir      string
	compiled *counting
	log      *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func open(t *testing.T, change func(*compile.Config)) fixture {
	t.Helper()
	f := fixture{dir: filepath.Join(t.TempDir(), "cache"), compiled: &counting{}, log: &lockedBuffer{}}
	c := compile.Config{Dir: f.dir, Key: key(1), Confine: f.compiled, Log: slog.New(slog.NewTextHandler(f.log, nil))}
	if change != nil {
		change(&c)
	}
	s, err := compile.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	f.Store = s
	return f
}

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// returning makes a module whose export run answers n.
func returning(n int) []byte {
	var b modtest.Builder
	b.Memory(1, -1)
	b.Export("run", 0, b.Func(b.Type(nil, []byte{modtest.I32}), nil, modtest.Cat([]byte{0x41}, modtest.S32(int64(n)))...))
	return b.Bytes()
}

// answer gets, loads and calls a module.
func answer(t *testing.T, s *compile.Store, b []byte) uint64 {
	t.Helper()
	a, err := s.Get(t.Context(), abi.NewBlob(b), options)
	if err != nil {
		t.Fatal(err)
	}
	return call(t, a)
}

func call(t *testing.T, a *compile.Artifact) uint64 {
	t.Helper()
	r, c, err := a.Instantiable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(t.Context())
	m, err := r.InstantiateModule(t.Context(), c, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.ExportedFunction("run").Call(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func TestCompileOnceThenLoad(t *testing.T) {
	t.Parallel()
	f := open(t, nil)
	b := returning(41)
	if f.Cached(abi.DigestOf(b), options) {
		t.Error("cached before it was compiled")
	}
	for range 3 {
		if got := answer(t, f.Store, b); got != 41 {
			t.Errorf("got %d", got)
		}
	}
	if n := f.compiled.n.Load(); n != 1 || !f.Cached(abi.DigestOf(b), options) || f.log.String() != "" {
		t.Errorf("compiled %d times, log %s", n, f.log)
	}
	// Other limits make another module.
	other := options
	other.Stack++
	if _, err := f.Get(t.Context(), abi.NewBlob(b), other); err != nil || f.compiled.n.Load() != 2 {
		t.Errorf("%v, compiled %d times", err, f.compiled.n.Load())
	}
	left, err := filepath.Glob(filepath.Join(f.dir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

func TestArtifactLoadsMoreThanOnce(t *testing.T) {
	t.Parallel()
	f := open(t, nil)
	a, err := f.Get(t.Context(), abi.NewBlob(returning(5)), options)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := call(t, a); got != 5 {
			t.Errorf("the module returns %d", got)
		}
	}
	if a.Report().Size == 0 || a.Bytes() == 0 || a.Digest() != abi.DigestOf(returning(5)) || a.Options() != options {
		t.Error("the artifact is not what was compiled")
	}
	if err := os.Remove(f.FileOf(a.Digest(), options)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Instantiable(t.Context()); !errors.Is(err, compile.ErrAbsent) {
		t.Errorf("got %v", err)
	}
}

// Whatever is done to a file of the store: it is refused, logged and compiled
// again, and the module still runs.
func TestTamperedFilesAreRefused(t *testing.T) {
	t.Parallel()
	f := open(t, nil)
	victim, other := returning(1), returning(2)
	if answer(t, f.Store, victim) != 1 || answer(t, f.Store, other) != 2 {
		t.Fatal("the modules do not run")
	}
	path := f.FileOf(abi.DigestOf(victim), options)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(f.FileOf(abi.DigestOf(other), options))
	if err != nil {
		t.Fatal(err)
	}
	head := bytes.IndexByte(good, '{')
	wasm := bytes.Index(good, []byte(modtest.Header))
	native := bytes.Index(good, []byte("WAZEVO"))
	if head != 36 || wasm < head || native < wasm {
		t.Fatalf("the layout is %d, %d, %d", head, wasm, native)
	}
	write := func(b []byte) func() error { return func() error { return os.WriteFile(path, b, 0o600) } }
	flip := func(at int) func() error {
		b := bytes.Clone(good)
		b[at] ^= 1
		return write(b)
	}
	remade := func(make func() error) func() error {
		return func() error { return errors.Join(os.RemoveAll(path), make()) }
	}
	away := filepath.Join(t.TempDir(), "away")
	if err := os.WriteFile(away, good, 0o600); err != nil {
		t.Fatal(err)
	}
	attacks := []struct {
		name string
		do   func() error
	}{
		{"a bit of the MAC", flip(0)},
		{"a bit of the length", flip(33)},
		{"a bit of the record", flip(head + 20)},
		{"a bit of the rewritten module", flip(wasm + 20)},
		{"a bit of the native code", flip(native + 30)},
		{"the last byte", flip(len(good) - 1)},
		{"one byte more", write(append(bytes.Clone(good), 0))},
		{"one byte less", write(good[:len(good)-1])},
		{"half of it", write(good[:len(good)/2])},
		{"nothing", write(nil)},
		{"another skill's file", write(foreign)},
		{"a symbolic link to a good file", remade(func() error { return os.Symlink(away, path) })},
		{"a directory", remade(func() error { return os.Mkdir(path, 0o700) })},
		{"a pipe", remade(func() error { return syscall.Mkfifo(path, 0o600) })},
	}
	for i, a := range attacks {
		if err := a.do(); err != nil {
			t.Fatalf("%s: %v", a.name, err)
		}
		if got := answer(t, f.Store, victim); got != 1 {
			t.Errorf("%s: the module answers %d", a.name, got)
		}
		if n := int(f.compiled.n.Load()); n != i+3 {
			t.Fatalf("%s: %d compilations in all, want %d", a.name, n, i+3)
		}
		if n := strings.Count(f.log.String(), "module.cache_refused"); n != i+1 {
			t.Errorf("%s: %d events", a.name, n)
		}
		if fi, err := os.Lstat(path); err != nil || !fi.Mode().IsRegular() {
			t.Errorf("%s: the file was not replaced: %v", a.name, err)
		}
	}
}

func TestForeignRecordsAreRefused(t *testing.T) {
	t.Parallel()
	b := returning(3)
	d := abi.DigestOf(b)
	want := compile.KeyOf(d, options)
	record := compile.Record{
		Key: want, Original: d, Rewritten: abi.DigestOf(b), Native: abi.DigestOf([]byte("code")), Size: len(b), Code: 4,
		NativeName: "wazero-dev-" + goarch + "-linux/" + strings.Repeat("0", 64), Platform: compile.ThisPlatform(), Options: options, Report: &module.Report{},
	}
	file := func(k []byte, change func(r *compile.Record)) []byte {
		r := record
		change(&r)
		out, err := compile.Seal(k, r, b, []byte("code"))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if err := compile.Unseal(key(1), file(key(1), func(*compile.Record) {}), want); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string][]byte{
		"sealed with another key":    file(key(2), func(*compile.Record) {}),
		"by an older engine":         file(key(1), func(r *compile.Record) { r.Platform.Wazero = "v1.11.0" }),
		"by an older rewriter":       file(key(1), func(r *compile.Record) { r.Platform.Rewriter = "0" }),
		"for another processor":      file(key(1), func(r *compile.Record) { r.Platform.CPU = "x" }),
		"for another architecture":   file(key(1), func(r *compile.Record) { r.Platform.Arch = "riscv64" }),
		"for other limits":           file(key(1), func(r *compile.Record) { r.Options.Stack++ }),
		"for another module":         file(key(1), func(r *compile.Record) { r.Original = abi.DigestOf(nil) }),
		"under another name":         file(key(1), func(r *compile.Record) { r.Key = strings.Repeat("0", 64) }),
		"with another digest":        file(key(1), func(r *compile.Record) { r.Native = abi.DigestOf(nil) }),
		"with a path as native name": file(key(1), func(r *compile.Record) { r.NativeName = "../../etc/passwd" }),
		"with a wrong size":          file(key(1), func(r *compile.Record) { r.Size++ }),
		"without a report":           file(key(1), func(r *compile.Record) { r.Report = nil }),
	} {
		if err := compile.Unseal(key(1), f, want); !errors.Is(err, compile.ErrSeal) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A record that names a file which the engine would not look for must not end in
// a quiet compilation inside the daemon.
func TestEngineThatDoesNotFindTheCodeIsNoticed(t *testing.T) {
	t.Parallel()
	f := open(t, nil)
	for name, change := range map[string]func(*compile.Record){
		"another file":    func(r *compile.Record) { r.NativeName = filepath.Dir(r.NativeName) + "/" + strings.Repeat("a", 64) },
		"another version": func(r *compile.Record) { r.NativeName = "wazero-v0-" + goarch + "-linux/" + strings.Repeat("a", 64) },
	} {
		a, err := f.Get(t.Context(), abi.NewBlob(returning(9)), options)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Mount(t.Context(), change); !errors.Is(err, compile.ErrSeal) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestDirectoryMustBePrivate(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	wide, link := filepath.Join(base, "wide"), filepath.Join(base, "link")
	if err := errors.Join(os.Mkdir(wide, 0o700), os.Chmod(wide, 0o755), os.Mkdir(filepath.Join(base, "good"), 0o700), os.Symlink("good", link)); err != nil {
		t.Fatal(err)
	}
	dirs := map[string]string{"others may enter": wide, "a symbolic link": link}
	if os.Geteuid() == 0 {
		foreign := filepath.Join(base, "foreign")
		if err := errors.Join(os.Mkdir(foreign, 0o700), os.Chown(foreign, 65534, 65534)); err != nil {
			t.Fatal(err)
		}
		dirs["somebody else's"] = foreign
	}
	for name, dir := range dirs {
		if _, err := compile.Open(compile.Config{Dir: dir, Key: key(1), Confine: &counting{}}); !errors.Is(err, compile.ErrDir) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	f := open(t, nil)
	if err := os.Chmod(f.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Get(t.Context(), abi.NewBlob(returning(1)), options); !errors.Is(err, compile.ErrDir) {
		t.Errorf("widened while it is open: got %v", err)
	}
}

func TestOpenSweepsLeftovers(t *testing.T) {
	t.Parallel()
	f := open(t, nil)
	answer(t, f.Store, returning(1))
	old, young := filepath.Join(f.dir, ".load-1"), filepath.Join(f.dir, ".new-2")
	then := time.Now().Add(-2 * time.Hour)
	if err := errors.Join(os.Mkdir(old, 0o700), os.WriteFile(young, nil, 0o600), os.Chtimes(old, then, then)); err != nil {
		t.Fatal(err)
	}
	if _, err := compile.Open(compile.Config{Dir: f.dir, Key: key(1), Confine: f.compiled}); err != nil {
		t.Fatal(err)
	}
	_, gone := os.Stat(old)
	_, kept := os.Stat(young)
	if !errors.Is(gone, os.ErrNotExist) || kept != nil || !f.Cached(abi.DigestOf(returning(1)), options) {
		t.Errorf("got %v, %v", gone, kept)
	}
}

func TestOpenWantsKeyAndJail(t *testing.T) {
	t.Parallel()
	for _, c := range []compile.Config{{Key: key(1)}, {Key: key(1)[:31], Confine: &counting{}}, {Confine: &counting{}}} {
		c.Dir = filepath.Join(t.TempDir(), "c")
		if s, err := compile.Open(c); err == nil {
			t.Errorf("got %v", s)
		}
	}
}

func TestFiftyAtOnceCompileOnce(t *testing.T) {
	t.Parallel()
	f := open(t, nil)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if got := answer(t, f.Store, returning(77)); got != 77 {
				t.Errorf("got %d", got)
			}
		})
	}
	wg.Wait()
	if n := f.compiled.n.Load(); n != 1 {
		t.Errorf("compiled %d times", n)
	}
}

// held waits until it is let go, to keep a compilation under way.
type held struct{ enter, release chan struct{} }

func (h held) Confined(ctx context.Context, j sandbox.Job) (sandbox.Result, error) {
	close(h.enter)
	<-h.release
	return jail().Confined(ctx, j)
}

func TestCancelledCallerLeavesTheOthers(t *testing.T) {
	t.Parallel()
	h := held{make(chan struct{}), make(chan struct{})}
	f := open(t, func(c *compile.Config) { c.Confine = h })
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := f.Get(ctx, abi.NewBlob(returning(6)), options)
		first <- err
	}()
	<-h.enter
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(h.release)
	if got := answer(t, f.Store, returning(6)); got != 6 {
		t.Errorf("got %d", got)
	}
}

func TestLeastRecentlyUsedIsRemoved(t *testing.T) {
	t.Parallel()
	probe := open(t, nil)
	answer(t, probe.Store, returning(1))
	fi, err := os.Stat(probe.FileOf(abi.DigestOf(returning(1)), options))
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, func(c *compile.Config) { c.MaxBytes = 2*fi.Size() + fi.Size()/2 })
	cached := func(n int) bool { return f.Cached(abi.DigestOf(returning(n)), options) }
	past := func(n int, age time.Duration) {
		when := time.Now().Add(-age)
		if err := os.Chtimes(f.FileOf(abi.DigestOf(returning(n)), options), when, when); err != nil {
			t.Fatal(err)
		}
	}
	answer(t, f.Store, returning(1))
	answer(t, f.Store, returning(2))
	past(1, 2*time.Hour)
	past(2, time.Hour)
	answer(t, f.Store, returning(1)) // used again
	answer(t, f.Store, returning(3))
	if !cached(1) || cached(2) || !cached(3) {
		t.Errorf("kept: %t %t %t", cached(1), cached(2), cached(3))
	}
}

func TestStackExceeded(t *testing.T) {
	t.Parallel()
	f := open(t, nil)
	var b modtest.Builder
	typ := b.Type(nil, []byte{modtest.I32})
	b.Export("deep", 0, b.Func(typ, nil, 0x10, 0))
	b.Export("trap", 0, b.Func(typ, nil, 0x00))
	a, err := f.Get(t.Context(), abi.NewBlob(b.Bytes()), options)
	if err != nil {
		t.Fatal(err)
	}
	r, c, err := a.Instantiable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(t.Context())
	for name, want := range map[string]bool{"deep": true, "trap": false} {
		m, err := r.InstantiateModule(t.Context(), c, wazero.NewModuleConfig().WithName(""))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.ExportedFunction(name).Call(t.Context()); err == nil || compile.StackExceeded(m, options) != want {
			t.Errorf("%s: %v, stack exceeded: %t", name, err, !want)
		}
	}
}
