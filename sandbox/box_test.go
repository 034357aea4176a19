//go:build linux

package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/sandbox"
	"github.com/glovebox-dev/glovebox/sandbox/walls"
)

// boxer returns a Boxer that works, or skips the test.
func boxer(t testing.TB) *sandbox.Boxer {
	t.Helper()
	x := sharedBoxer()
	testenv.Need(t, "bwrap", func() error {
		if r := x.Report(); !r.Ready {
			return fmt.Errorf("%s (%s)", r.Why, r.Fix)
		}
		return nil
	})
	return x
}

var sharedBoxer = sync.OnceValue(func() *sandbox.Boxer { return sandbox.NewBoxer(context.Background()) })

// open returns a directory that the box's user can reach.
func open(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "glovebox-box-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// builtIn is where the programs are, "" until a test wanted them.
var builtIn string

// built builds the static programs that run in boxes.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "glovebox-box-programs-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	for name, pkg := range map[string]string{"probe": "./probe", "hostile": "./testdata/hostile", "glovebox-box": "./enter"} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, name), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w: %s", name, err, out)
		}
	}
	return dir, nil
})

func programs(t testing.TB) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// box describes a box of a profile with the programs of the tests in /app.
func box(t testing.TB, name sandbox.ProfileName, argv ...string) sandbox.Box {
	t.Helper()
	p, err := sandbox.FindProfile(name)
	if err != nil {
		t.Fatal(err)
	}
	b := sandbox.Box{
		Profile: p, Argv: argv, Workspace: filepath.Join(open(t), "workspace"), Scratch: 8 << 20, Limits: p.Limits,
		Mounts: []sandbox.Mount{{Host: programs(t), Box: "/app"}},
	}
	uid, gid := sandbox.User()
	if err := errors.Join(os.Mkdir(b.Workspace, 0o755), os.Chown(b.Workspace, uid, gid)); err != nil {
		t.Fatal(err)
	}
	b.Limits.Wall, b.Limits.Output = 60*time.Second, 1<<20
	return b
}

func hostile(t testing.TB, args ...string) sandbox.Box {
	return box(t, sandbox.MCPBinary, append([]string{"/app/hostile"}, args...)...)
}

// run starts a box and waits for its end.
func run(t testing.TB, x *sandbox.Boxer, b sandbox.Box) (sandbox.Exit, error) {
	t.Helper()
	p, err := x.Start(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return p.Wait()
}

// probed are the rows of the whole probe in a profile.
func probed(t *testing.T, x *sandbox.Boxer, name sandbox.ProfileName) []walls.Row {
	t.Helper()
	b := box(t, name)
	b.Env = []string{"GRANTED=1"}
	var rows []walls.Row
	err := sandbox.WithBait(func(e walls.Expect) error {
		x.Expect(&b, &e)
		expect, err := json.Marshal(e)
		if err != nil {
			return err
		}
		b.Argv = []string{"/app/probe", string(expect)}
		exit, err := run(t, x, b)
		if err != nil || exit.Code != 0 {
			return fmt.Errorf("exit status %d: %s: %w", exit.Code, exit.Stderr, err)
		}
		rows, err = sandbox.ReadRows(exit.Stdout)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestWallsHoldInEveryProfile runs the static probe in a box of every profile and
// compares the outcome with the table of docs/sandbox.md.
func TestWallsHoldInEveryProfile(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	table := make(map[string][]walls.Verdict)
	var mu sync.Mutex
	t.Run("profiles", func(t *testing.T) {
		for i, p := range sandbox.Profiles() {
			t.Run(string(p.Name), func(t *testing.T) {
				t.Parallel()
				rows := probed(t, x, p.Name)
				if want := walls.All(false); len(rows) != len(want) {
					t.Errorf("%d rows of %d", len(rows), len(want))
				}
				mu.Lock()
				defer mu.Unlock()
				for _, r := range rows {
					if table[r.ID] == nil {
						table[r.ID] = make([]walls.Verdict, len(sandbox.Profiles()))
					}
					table[r.ID][i] = r.Verdict
					if r.Verdict == walls.Open {
						if r.ID != "memfd" && r.ID != "write-then-run" || p.Name != sandbox.Exec {
							t.Errorf("%s is open: %s", r.ID, r.Saw)
						}
					} else if r.Verdict != walls.Pass {
						t.Errorf("%s: %s: a program could %s: %s", r.ID, r.Verdict, r.What, r.Saw)
					}
				}
			})
		}
	})
	compareTable(t, table)
}

func compareTable(t *testing.T, table map[string][]walls.Verdict) {
	t.Helper()
	var b strings.Builder
	b.WriteString("| Group | Row | A program in the box tries to |")
	for _, p := range sandbox.Profiles() {
		fmt.Fprintf(&b, " %s |", p.Name)
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(sandbox.Profiles())) + "\n")
	for _, r := range walls.All(false) {
		fmt.Fprintf(&b, "| %s | %s | %s |", r.Group, r.ID, r.What)
		for i := range sandbox.Profiles() {
			v := walls.Unobserved
			if table[r.ID] != nil {
				v = table[r.ID][i]
			}
			fmt.Fprintf(&b, " %s |", v)
		}
		b.WriteByte('\n')
	}
	const path, begin, end = "../docs/sandbox.md", "<!-- walls: generated -->\n", "<!-- walls: end -->"
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(doc), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("docs/sandbox.md has no place for the table")
	}
	if old == b.String() {
		return
	}
	if os.Getenv("GLOVEBOX_WRITE") != "" {
		if err := os.WriteFile(path, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Error("the table in docs/sandbox.md is not what the probe saw; write it with: GLOVEBOX_WRITE=1 go test ./sandbox -run TestWallsHoldInEveryProfile")
}

// TestSelfTest fails, and does not skip, where bubblewrap works and the walls do
// not: on this kernel, and on one without Landlock.
func TestSelfTest(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "bwrap", testenv.Bwrap)
	here := sandbox.Check(t.Context())
	for _, r := range []sandbox.Report{here, sandbox.BoxerWith(t.Context(), here.Bwrap, 0).Report()} {
		if !r.Ready || len(r.Profiles) != len(sandbox.Profiles()) {
			t.Errorf("landlock %d: %s (%s)", r.Landlock, r.Why, r.Fix)
		}
		for _, p := range r.Profiles {
			if len(p.Rows) < 100 || len(p.Failed()) > 0 || p.Err != nil {
				t.Errorf("landlock %d: %s: %d rows, failed: %v, %v", r.Landlock, p.Name, len(p.Rows), p.Failed(), p.Err)
			}
		}
		t.Logf("landlock %d, cgroups %s", r.Landlock, r.Cgroups)
	}
}

func TestBoxRunsPrograms(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	t.Run("streams", func(t *testing.T) {
		t.Parallel()
		b := hostile(t, "echo")
		in, out := io.Pipe()
		lines := make(chan string, 8)
		b.Stdin, b.Stdout = in, writerFunc(func(p []byte) (int, error) { lines <- string(p); return len(p), nil })
		p, err := x.Start(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"one\n", "two\n"} { // each answer comes before the next question
			if _, err := io.WriteString(out, s); err != nil {
				t.Fatal(err)
			}
			if got := <-lines; got != s {
				t.Errorf("got %q", got)
			}
		}
		_ = out.Close()
		if exit, err := p.Wait(); err != nil || exit.Code != 0 {
			t.Errorf("got %+v, %v", exit, err)
		}
	})
	t.Run("a reader that blocks does not keep it", func(t *testing.T) {
		t.Parallel()
		b := hostile(t, "exit")
		in, _ := io.Pipe()
		b.Stdin = in
		if exit, err := run(t, x, b); err != nil || exit.Code != 7 {
			t.Errorf("got %+v, %v", exit, err)
		}
	})
	t.Run("signals are told", func(t *testing.T) {
		t.Parallel()
		if exit, err := run(t, x, hostile(t, "crash")); err != nil || exit.Signal != "killed" {
			t.Errorf("got %+v, %v", exit, err)
		}
	})
	t.Run("the environment is what was granted", func(t *testing.T) {
		t.Parallel()
		b := hostile(t, "env")
		b.Env = []string{"GRANTED=yes", "HOME=/workspace"}
		exit, err := run(t, x, b)
		got := strings.Fields(string(exit.Stdout))
		slices.Sort(got)
		want := []string{"GRANTED=yes", "HOME=/workspace", "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin", "PWD=/workspace", "TMPDIR=/tmp"}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("a program that is not there", func(t *testing.T) {
		t.Parallel()
		for _, program := range []string{"/app/none", "/usr/bin/none"} {
			b := hostile(t)
			b.Argv = []string{program}
			if _, err := x.Start(t.Context(), b); err == nil {
				t.Errorf("%s was started", program)
			}
		}
	})
}

// TestSmallInsideStep starts boxes with the small program in place of this one.
func TestSmallInsideStep(t *testing.T) {
	t.Parallel()
	x := boxer(t).With(filepath.Join(programs(t), "glovebox-box"))
	if exit, err := run(t, x, hostile(t, "exit")); err != nil || exit.Code != 7 {
		t.Errorf("got %+v, %v", exit, err)
	}
	for _, r := range probed(t, x, sandbox.MCPNode) {
		if r.Verdict != walls.Pass {
			t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Saw)
		}
	}
	for _, p := range sandbox.SelfTest(t.Context(), x) {
		if p.Err != nil || len(p.Rows) == 0 || len(p.Failed()) > 0 {
			t.Errorf("%s: %d rows, %v, %v", p.Name, len(p.Rows), p.Failed(), p.Err)
		}
	}
}

func TestSmallInsideStepIsTrustedAsThisProgram(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		spoil func(dir string) error
		found bool
	}{
		"it is there":             {func(string) error { return nil }, true},
		"it is not":               {func(dir string) error { return os.Remove(dir + "/glovebox-box") }, false},
		"others may write it":     {func(dir string) error { return os.Chmod(dir+"/glovebox-box", 0o757) }, false},
		"a group may write it":    {func(dir string) error { return os.Chmod(dir+"/glovebox-box", 0o775) }, false},
		"others may write beside": {func(dir string) error { return os.Chmod(dir, 0o777) }, false},
		"it is a link": {func(dir string) error {
			return errors.Join(os.Remove(dir+"/glovebox-box"), os.Symlink("glovebox", dir+"/glovebox-box"))
		}, false},
		"it is another's": {func(dir string) error { return os.Chown(dir+"/glovebox-box", 12345, 12345) }, false},
	} {
		if what == "it is another's" && os.Geteuid() != 0 {
			continue
		}
		dir := open(t)
		for _, name := range []string{"glovebox", "glovebox-box"} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.spoil(dir); err != nil {
			t.Fatal(err)
		}
		if got := sandbox.SmallStep(filepath.Join(dir, "glovebox")); (got != "") != c.found {
			t.Errorf("%s: %q", what, got)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestBoxLimits(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	t.Run("wall", func(t *testing.T) {
		t.Parallel()
		b := hostile(t, "deaf")
		b.Limits.Wall = 300 * time.Millisecond
		if exit, err := run(t, x, b); !errors.Is(err, sandbox.ErrWall) {
			t.Errorf("got %+v, %v", exit, err)
		}
	})
	t.Run("processor time", func(t *testing.T) {
		t.Parallel()
		b := hostile(t, "burn")
		b.Limits.CPU = time.Second
		if exit, err := run(t, x, b); err != nil || exit.Signal != "killed" && exit.Signal != "CPU time limit exceeded" {
			t.Errorf("got %+v, %v", exit, err)
		}
	})
	t.Run("output", func(t *testing.T) {
		t.Parallel()
		b := hostile(t, "flood")
		b.Limits.Output = 64 << 10
		if exit, err := run(t, x, b); !errors.Is(err, sandbox.ErrOutput) || len(exit.Stdout) != 64<<10 {
			t.Errorf("got %d bytes, %v", len(exit.Stdout), err)
		}
	})
	t.Run("processes", func(t *testing.T) {
		t.Parallel()
		b := hostile(t, "forks")
		b.Limits.Procs, b.Limits.Wall = 32, time.Second
		// It ends when it cannot start a thread of its own, or is ended; how many there
		// can be is a row of the probe.
		if exit, err := run(t, x, b); err == nil && exit.Code == 0 || err != nil && !errors.Is(err, sandbox.ErrWall) {
			t.Errorf("got %+v, %v", exit, err)
		}
	})
	t.Run("space", func(t *testing.T) {
		t.Parallel()
		b := hostile(t, "fill")
		b.Limits.FileSize = 4 << 20
		exit, err := run(t, x, b)
		if want := "/tmp 7\n/dev/shm 0\n/workspace 4\n/dev 0\n/etc 0\n/ 0\n"; err != nil || strings.ReplaceAll(string(exit.Stdout), "/tmp 8", "/tmp 7") != want {
			t.Errorf("got %s%s, %v", exit.Stdout, exit.Stderr, err)
		}
	})
	t.Run("memory of all processes together", func(t *testing.T) {
		t.Parallel()
		testenv.Need(t, "cgroups", groups(x))
		b := hostile(t, "eat")
		b.Limits.Memory, b.Limits.Wall = 96<<20, 20*time.Second
		if exit, err := run(t, x, b); err != nil || string(exit.Stdout) != "two are left\n" {
			t.Errorf("six times 40 MiB: %s, %v", exit.Stdout, err)
		}
	})
}

// TestNothingOutlivesItsBox lets programs leave processes behind in sessions of
// their own, and looks whether they still write.
func TestNothingOutlivesItsBox(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	silent := func(t *testing.T, workspace string) {
		t.Helper()
		first, err := os.Stat(filepath.Join(workspace, "beat"))
		if err != nil || first.Size() == 0 {
			t.Fatalf("the process never ran: %v", err)
		}
		time.Sleep(100 * time.Millisecond) // twenty beats
		if again, err := os.Stat(filepath.Join(workspace, "beat")); err != nil || again.Size() != first.Size() {
			t.Errorf("a process of the box still writes: %v", err)
		}
	}
	t.Run("the program ends", func(t *testing.T) {
		t.Parallel()
		b := hostile(t, "daemon")
		if exit, err := run(t, x, b); err != nil || exit.Code != 0 {
			t.Errorf("got %+v, %v", exit, err)
		}
		silent(t, b.Workspace)
	})
	for what, end := range map[string]func(context.CancelFunc, *sandbox.Process){
		"it is killed":          func(_ context.CancelFunc, p *sandbox.Process) { p.Kill() },
		"its context ends":      func(cancel context.CancelFunc, _ *sandbox.Process) { cancel() },
		"it is killed at once":  func(_ context.CancelFunc, p *sandbox.Process) { go p.Kill(); p.Kill() },
		"its reader goes away":  nil,
		"its wall time is over": nil,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := hostile(t, "stay")
			ready := make(chan struct{})
			b.Stdout = writerFunc(func(p []byte) (int, error) {
				close(ready)
				if what == "its reader goes away" {
					return 0, io.ErrClosedPipe
				}
				return len(p), nil
			})
			if what == "its wall time is over" {
				b.Limits.Wall = 3 * time.Second
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p, err := x.Start(ctx, b)
			if err != nil {
				t.Fatal(err)
			}
			<-ready
			if end != nil {
				end(cancel, p)
			}
			if _, err := p.Wait(); err == nil {
				t.Error("it ended by itself")
			}
			silent(t, b.Workspace)
		})
	}
	t.Run("the daemon is killed", func(t *testing.T) {
		t.Parallel()
		b := hostile(t, "stay")
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, "daemon", programs(t), b.Workspace)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line := make([]byte, 6); true {
			if _, err := io.ReadFull(out, line); err != nil || string(line) != "ready\n" {
				t.Errorf("got %q, %v", line, err)
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			a, err1 := os.Stat(filepath.Join(b.Workspace, "beat"))
			time.Sleep(50 * time.Millisecond)
			z, err2 := os.Stat(filepath.Join(b.Workspace, "beat"))
			if err1 == nil && err2 == nil && a.Size() == z.Size() {
				break
			}
		}
		silent(t, b.Workspace)
	})
}

// TestGroupsOfKilledDaemonsAreRemoved makes a group as a daemon that is gone would
// have left it.
// groups is the probe for control groups that may be made here.
func groups(x *sandbox.Boxer) func() error {
	return func() error {
		if said := x.Report().Cgroups; !strings.Contains(said, "memory") {
			return fmt.Errorf("no control groups: %s", said)
		}
		return nil
	}
}

func TestGroupsOfKilledDaemonsAreRemoved(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	testenv.Need(t, "cgroups", groups(x))
	dirs := sandbox.GroupDirs(x)
	var left []string
	for _, dir := range dirs {
		dir, err := os.MkdirTemp(dir, "glovebox-box-4194305-") // above the highest number of a process
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, dir)
	}
	sandbox.Check(t.Context())
	for _, dir := range left {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is still there", dir)
			_ = os.Remove(dir)
		}
	}
}

// daemon starts a box and waits to be killed.
func daemon(args []string) int {
	p, err := sandbox.FindProfile(sandbox.MCPBinary)
	if err != nil {
		return 1
	}
	b := sandbox.Box{
		Profile: p, Argv: []string{"/app/hostile", "stay"}, Workspace: args[1], Scratch: 1 << 20, Limits: p.Limits,
		Mounts: []sandbox.Mount{{Host: args[0], Box: "/app"}}, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	proc, err := sandbox.NewBoxer(context.Background()).Start(context.Background(), b)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_, _ = proc.Wait()
	return 0
}
