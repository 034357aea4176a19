//go:build linux

package compile_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/sandbox"
)

const goarch = runtime.GOARCH

// resident returns the resident memory of this process in bytes, after garbage.
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	return testenv.Resident(t)
}

// Every module that is known to hurt a host is refused or killed, and the daemon
// does not grow. (Not parallel: it measures the process.)
func TestHostileCorpus(t *testing.T) {
	f := open(t, nil)
	corpus := modtest.Corpus()
	before := resident(t)
	for _, c := range corpus {
		if c.Want == modtest.Killed && compile.Slowdown > 1 {
			continue // would take minutes under the race detector
		}
		if c.Want == modtest.Stopped {
			if _, err := f.Get(t.Context(), abi.NewBlob(c.Wasm), options); err != nil {
				t.Errorf("%s: compiles, and is stopped when it runs: %v", c.Name, err)
			}
			continue
		}
		compiled, began := f.compiled.n.Load(), time.Now()
		_, err := f.Get(t.Context(), abi.NewBlob(c.Wasm), options)
		var r *module.Refusal
		if !errors.As(err, &r) || r.Rule != c.Rule {
			t.Errorf("%s: got %v, want a refusal by %s", c.Name, err, c.Rule)
		}
		if jailed := f.compiled.n.Load() != compiled; jailed != (c.Want == modtest.Killed) {
			t.Errorf("%s: reached the compiler: %t", c.Name, jailed)
		}
		t.Logf("%-45s %8d bytes %8v  %v", c.Name, len(c.Wasm), time.Since(began).Round(time.Millisecond), err)
	}
	if grown := resident(t) - before; grown > 10<<20 && compile.Slowdown == 1 {
		t.Errorf("the process grew by %d bytes", grown)
	}
	runtime.KeepAlive(corpus)
}

// The engine's own judgement comes back as a refusal, with no text of the
// module's that a terminal would obey.
func TestInvalidModuleIsRefused(t *testing.T) {
	t.Parallel()
	f := open(t, nil)
	var b modtest.Builder
	b.Export("\x1b[2Jrun\n", 0, b.Func(b.Type(nil, []byte{modtest.I32}), nil, 0x42, 1)) // i64 for i32
	_, err := f.Get(t.Context(), abi.NewBlob(b.Bytes()), options)
	var r *module.Refusal
	if !errors.As(err, &r) || r.Rule != module.RuleInvalid || strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("got %v", err)
	}
}

func TestUnusableOptionsAreRefused(t *testing.T) {
	t.Parallel()
	f := open(t, nil)
	for _, o := range []compile.Options{{}, {Stack: module.MaxStack + 1}, {Stack: 1}} {
		var r *module.Refusal
		if _, err := f.Get(t.Context(), abi.NewBlob(returning(1)), o); !errors.As(err, &r) {
			t.Errorf("%+v: got %v", o, err)
		}
	}
}

// A module that nobody hashed has no name in the cache: all of them would share one.
func TestModuleWithoutADigestIsRefused(t *testing.T) {
	t.Parallel()
	f := open(t, nil)
	if _, err := f.Get(t.Context(), abi.Blob{}, options); err == nil || !strings.Contains(err.Error(), "no digest") {
		t.Errorf("got %v", err)
	}
}

func TestSizeIsLimited(t *testing.T) {
	t.Parallel()
	f := open(t, nil)
	var r *module.Refusal
	if _, err := f.Get(t.Context(), abi.NewBlob(make([]byte, module.DefaultLimits().Size+1)), options); !errors.As(err, &r) || r.Rule != module.RuleSize {
		t.Errorf("got %v", err)
	}
}

// How the child ended is told by the limit that it passed.
func TestOutcomeNamesTheLimit(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, c := range []struct {
		name string
		res  sandbox.Result
		err  error
		rule module.Rule
		is   error
		text string
	}{
		{"killed", sandbox.Result{Signal: "killed", Exit: -1}, nil, module.RuleCompileTime, nil, "more than 2s of processor time"},
		{"processor signal", sandbox.Result{Signal: "CPU time limit exceeded"}, nil, module.RuleCompileTime, nil, "processor time"},
		{"wall", sandbox.Result{}, sandbox.ErrWall, module.RuleCompileTime, nil, "did not end in time"},
		{"memory", sandbox.Result{Exit: 2, Stderr: []byte("fatal error: out of memory")}, nil, module.RuleCompileMemory, nil, "MiB of memory"},
		{"file size", sandbox.Result{Signal: "file size limit exceeded"}, nil, module.RuleCompileMemory, nil, "too large"},
		{"crash", sandbox.Result{Signal: "segmentation fault"}, nil, "", compile.ErrCrash, "segmentation fault"},
		{"exit", sandbox.Result{Exit: 1, Stderr: []byte("\x1b[31mno")}, nil, "", compile.ErrCrash, "?[31mno"},
		{"no jail", sandbox.Result{}, boom, "", boom, "boom"},
		{"good", sandbox.Result{}, nil, "", nil, ""},
	} {
		err := compile.Outcome(c.res, c.err, 2*time.Second)
		var r *module.Refusal
		switch {
		case c.rule != "" && (!errors.As(err, &r) || r.Rule != c.rule),
			c.is != nil && !errors.Is(err, c.is),
			c.text == "" && err != nil,
			c.text != "" && !strings.Contains(err.Error(), c.text):
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestCPULimit(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]time.Duration{0: time.Second, 1_000_000: 3 * time.Second, 3_000_000: 7 * time.Second, 32 << 20: time.Minute} {
		if got := compile.CPULimit(size); got != compile.Slowdown*want {
			t.Errorf("%d bytes: %v, want %v", size, got, want)
		}
	}
}

// What the child left is read with suspicion.
func TestReadNative(t *testing.T) {
	t.Parallel()
	sub := "wazero-dev-" + goarch + "-linux"
	name := strings.Repeat("0a", 32)
	cases := []struct {
		name string
		make func(dir string) error
		ok   bool
	}{
		{"one file", func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, sub), 0o700), os.WriteFile(filepath.Join(dir, sub, name), []byte("code"), 0o600))
		}, true},
		{"nothing", func(string) error { return nil }, false},
		{"an empty directory", func(dir string) error { return os.Mkdir(filepath.Join(dir, sub), 0o700) }, false},
		{"another name", func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, sub), 0o700), os.WriteFile(filepath.Join(dir, sub, "x"), nil, 0o600))
		}, false},
		{"another architecture", func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "wazero-dev-vax-linux"), 0o700), os.WriteFile(filepath.Join(dir, "wazero-dev-vax-linux", name), nil, 0o600))
		}, false},
		{"two files", func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, sub), 0o700), os.WriteFile(filepath.Join(dir, sub, name), nil, 0o600),
				os.WriteFile(filepath.Join(dir, sub, "1"+name[1:]), nil, 0o600))
		}, false},
		{"two directories", func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, sub), 0o700), os.Mkdir(filepath.Join(dir, "x"), 0o700), os.WriteFile(filepath.Join(dir, sub, name), nil, 0o600))
		}, false},
		{"a link to a file", func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, sub), 0o700), os.Symlink("/etc/passwd", filepath.Join(dir, sub, name)))
		}, false},
		{"a link to a directory", func(dir string) error {
			away := dir + "-away"
			return errors.Join(os.Mkdir(away, 0o700), os.WriteFile(filepath.Join(away, name), nil, 0o600), os.Symlink(away, filepath.Join(dir, sub)))
		}, false},
		{"a pipe", func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, sub), 0o700), syscall.Mkfifo(filepath.Join(dir, sub, name), 0o600))
		}, false},
		{"too many bytes", func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, sub), 0o700), os.WriteFile(filepath.Join(dir, sub, name), make([]byte, 1025), 0o600))
		}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "out")
			if err := errors.Join(os.Mkdir(dir, 0o700), c.make(dir)); err != nil {
				t.Fatal(err)
			}
			got, b, err := compile.ReadNative(dir, 1024)
			if (err == nil) != c.ok || c.ok && (got != sub+"/"+name || string(b) != "code") {
				t.Errorf("got %q, %q, %v", got, b, err)
			}
		})
	}
}

// FuzzUnseal opens arbitrary files, and good ones that were changed.
func FuzzUnseal(f *testing.F) {
	b := returning(1)
	want := compile.KeyOf("sha256:x", options)
	good, err := compile.Seal(key(1), compile.Record{Key: want, Original: "sha256:x", Options: options, Platform: compile.ThisPlatform(), Size: len(b), Report: &module.Report{}}, b, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Add(make([]byte, 36))
	f.Fuzz(func(t *testing.T, file []byte) {
		if err := compile.Unseal(key(1), file, want); !errors.Is(err, compile.ErrSeal) {
			t.Errorf("got %v", err)
		}
	})
}
