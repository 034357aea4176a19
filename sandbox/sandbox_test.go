//go:build linux

package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// TestMain lets the test binary be its own confined child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Verb {
		os.Exit(child(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "daemon" {
		os.Exit(daemon(os.Args[2:]))
	}
	code := m.Run()
	if builtIn != "" {
		_ = os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

// child does what the tests ask for, as code that took over the child would.
func child(args []string) int {
	cell, args, err := sandbox.Inside(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	if cell.Probe {
		err = sandbox.Probe(cell, os.Stdout)
	} else {
		err = misbehave(cell, args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func misbehave(cell sandbox.Cell, args []string) error {
	switch args[0] {
	case "look":
		return sandbox.Probe(cell, os.Stdout)
	case "echo":
		_, err := io.Copy(os.Stdout, os.Stdin)
		return err
	case "burn":
		for i := 0; ; i++ {
			_ = i
		}
	case "alloc":
		var all [][]byte
		for {
			b := make([]byte, 64<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			if all = append(all, b); len(all) > 1<<20 {
				return nil
			}
		}
	case "fill":
		return os.WriteFile(filepath.Join(cell.Out, "big"), make([]byte, 8<<20), 0o600)
	case "flood":
		for {
			if _, err := os.Stdout.WriteString(strings.Repeat("x", 4096)); err != nil {
				return err
			}
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "linger": // leave a process behind that outlives its parent
		_, err := os.StartProcess("/proc/self/exe", append(os.Args[:3:3], "sleep"), &os.ProcAttr{Files: []*os.File{nil, os.Stdout, os.Stderr}})
		return err
	case "exec":
		return syscall.Exec("/proc/self/exe", os.Args, nil)
	case "socket": // Landlock and the network name space say nothing about these
		_, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		return err
	case "anonymous":
		_, err := unix.MemfdCreate("x", 0)
		return err
	case "dial":
		c, err := net.DialTimeout("tcp", args[1], time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err
	case "read":
		_, err := os.ReadFile(args[1])
		return err
	case "raise":
		return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 1 << 12, Max: 1 << 12})
	case "signal":
		pid, err := strconv.Atoi(args[1])
		return errors.Join(err, syscall.Kill(pid, 0))
	}
	return nil
}

func job(t *testing.T, args ...string) sandbox.Job {
	t.Helper()
	dir, err := os.MkdirTemp("", "glovebox-sandbox-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return sandbox.Job{Args: args, OutDir: dir, AddressSpace: 2 << 30, FileSize: 1 << 20, CPU: time.Second, Wall: 20 * time.Second, MaxOutput: 64 << 10}
}

// ways returns a spawner for each way of confining that works here. A missing
// bubblewrap is a failure where GLOVEBOX_TEST_REQUIRE asks for it.
func ways(t *testing.T) map[string]*sandbox.Spawner {
	t.Helper()
	all := map[string]*sandbox.Spawner{sandbox.ConfinedRlimits: sandbox.WithoutBwrap()}
	s := sandbox.New(t.Context())
	if st := s.Status(); st.Bwrap {
		all[sandbox.ConfinedBwrap] = s
	} else if slices.Contains(strings.Split(os.Getenv("GLOVEBOX_TEST_REQUIRE"), ","), "bwrap") {
		t.Fatalf("bwrap is required here: %s (%s)", st.Why, st.Fix)
	} else {
		t.Logf("not tested in bubblewrap: %s (%s)", st.Why, st.Fix)
	}
	return all
}

func TestConfined(t *testing.T) {
	t.Parallel()
	for how, s := range ways(t) {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			t.Run("input comes in and output comes out", func(t *testing.T) {
				t.Parallel()
				j := job(t, "echo")
				j.Stdin = strings.NewReader("hostile bytes")
				res, err := s.Confined(t.Context(), j)
				if err != nil || res.Exit != 0 || string(res.Stdout) != "hostile bytes" || res.Confinement != how {
					t.Errorf("got %+v, %v", res, err)
				}
			})
			t.Run("the child has no privileges and no environment", func(t *testing.T) {
				t.Parallel()
				res, err := s.Confined(t.Context(), job(t, "look"))
				var f sandbox.Finding
				if err != nil || json.Unmarshal(res.Stdout, &f) != nil {
					t.Fatalf("got %+v, %v", res, err)
				}
				if f.UID == 0 || f.Capable || !f.NoNewPrivs || !f.Filtered || f.WroteRoot || !f.WroteOut || f.AS != 2<<30 || f.CPU != 1 || f.Environment > 1 {
					t.Errorf("got %+v", f)
				}
				if how == sandbox.ConfinedBwrap {
					f.CPU = 5
					if err := f.Judge(); err != nil {
						t.Error(err)
					}
				}
			})
			t.Run("processor time ends", func(t *testing.T) {
				t.Parallel()
				res, err := s.Confined(t.Context(), job(t, "burn"))
				if err != nil || res.Signal != "killed" {
					t.Errorf("got %+v, %v", res, err)
				}
			})
			t.Run("memory ends", func(t *testing.T) {
				t.Parallel()
				j := job(t, "alloc")
				j.CPU = 20 * time.Second
				res, err := s.Confined(t.Context(), j)
				if err != nil || res.Exit <= 0 || res.Signal != "" { // it ends by itself, long before its processor time
					t.Errorf("got exit %d, %q, %.200s, %v", res.Exit, res.Signal, res.Stderr, err)
				}
			})
			t.Run("files end", func(t *testing.T) {
				t.Parallel()
				j := job(t, "fill")
				res, err := s.Confined(t.Context(), j)
				if err != nil || (res.Exit == 0 && res.Signal == "") {
					t.Errorf("got %+v, %v", res, err)
				}
				if fi, err := os.Stat(filepath.Join(j.OutDir, "big")); err == nil && fi.Size() > 1<<20 {
					t.Errorf("%d bytes were written", fi.Size())
				}
			})
			t.Run("output ends", func(t *testing.T) {
				t.Parallel()
				res, err := s.Confined(t.Context(), job(t, "flood"))
				if !errors.Is(err, sandbox.ErrOutput) || len(res.Stdout) != 64<<10 {
					t.Errorf("got %d bytes, %q, %v", len(res.Stdout), res.Signal, err)
				}
			})
			t.Run("wall time ends", func(t *testing.T) {
				t.Parallel()
				j := job(t, "sleep")
				j.Wall = 300 * time.Millisecond
				if res, err := s.Confined(t.Context(), j); !errors.Is(err, sandbox.ErrWall) {
					t.Errorf("got %+v, %v", res, err)
				}
			})
			t.Run("cancelling ends it", func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				if res, err := s.Confined(ctx, job(t, "sleep")); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %+v, %v", res, err)
				}
			})
			t.Run("limits cannot be raised", func(t *testing.T) {
				t.Parallel()
				if res, err := s.Confined(t.Context(), job(t, "raise")); err != nil || res.Exit != 1 {
					t.Errorf("got %+v, %v", res, err)
				}
			})
			t.Run("system calls are filtered", func(t *testing.T) {
				t.Parallel()
				for _, what := range []string{"linger", "exec", "socket", "anonymous"} {
					res, err := s.Confined(t.Context(), job(t, what))
					if err != nil || res.Exit != 1 || !strings.Contains(string(res.Stderr), "operation not permitted") {
						t.Errorf("%s: got exit %d, %s, %v", what, res.Exit, res.Stderr, err)
					}
				}
			})
			t.Run("private files of the daemon cannot be read", func(t *testing.T) {
				t.Parallel()
				if how == sandbox.ConfinedRlimits {
					testenv.Need(t, "root", testenv.Root) // or the child is the same user
				}
				secret := filepath.Join(t.TempDir(), "key")
				if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
				if res, err := s.Confined(t.Context(), job(t, "read", secret)); err != nil || res.Exit != 1 {
					t.Errorf("got %+v, %v", res, err)
				}
			})
		})
	}
}

func TestBwrapHasNoNetworkAndNoOtherProcesses(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "bwrap", testenv.Bwrap)
	s := ways(t)[sandbox.ConfinedBwrap]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if res, err := s.Confined(t.Context(), job(t, "dial", l.Addr().String())); err != nil || res.Exit != 1 {
		t.Errorf("the child reached the host's loopback: %+v, %v", res, err)
	}
	if res, err := s.Confined(t.Context(), job(t, "signal", strconv.Itoa(os.Getpid()))); err != nil || res.Exit != 1 {
		t.Errorf("the child sees the daemon's process: %+v, %v", res, err)
	}
	if res, err := s.Confined(t.Context(), job(t, "read", "/etc/passwd")); err != nil || res.Exit != 1 {
		t.Errorf("the child reads the host's files: %+v, %v", res, err)
	}
}

func TestProcessGroupIsKilled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var pid int
	out := writerFunc(func(p []byte) (int, error) {
		pid, _ = strconv.Atoi(strings.TrimSpace(string(p)))
		cancel()
		return len(p), nil
	})
	if err := sandbox.RunToolchain(ctx, t.TempDir(), []string{"/bin/sh", "-c", "sleep 600 & echo $!; wait"}, nil, out); !errors.Is(err, context.Canceled) || pid == 0 {
		t.Fatalf("process %d, %v", pid, err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(b), ") Z ") { // gone, or dead and unclaimed
			return
		}
		if time.Now().After(end) {
			t.Fatal("the child's child is still there")
		}
	}
}

func TestConfinedRefuses(t *testing.T) {
	t.Parallel()
	s := sandbox.WithoutBwrap()
	good := job(t, "echo")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(good.OutDir, link); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*sandbox.Job){
		"no address space":    func(j *sandbox.Job) { j.AddressSpace = 0 },
		"no file size":        func(j *sandbox.Job) { j.FileSize = 0 },
		"no processor time":   func(j *sandbox.Job) { j.CPU = 0 },
		"no wall time":        func(j *sandbox.Job) { j.Wall = 0 },
		"no output":           func(j *sandbox.Job) { j.MaxOutput = 0 },
		"a link to write to":  func(j *sandbox.Job) { j.OutDir = link },
		"a missing directory": func(j *sandbox.Job) { j.OutDir = link + "x" },
		"a missing program":   func(j *sandbox.Job) { j.Exe = link + "x" },
	} {
		j := good
		change(&j)
		if res, err := s.Confined(t.Context(), j); err == nil {
			t.Errorf("%s: got %+v", name, res)
		}
	}
}

func TestInsideWantsLimits(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"module.wasm"}, {"--jail="}, {"--jail=as=1,fsize=1"}, {"--jail=as=x,fsize=1,cpu=1"}, {"--jail=as=1,fsize=1,cpu=1,root=1"}} {
		if cell, _, err := sandbox.Inside(args); err == nil {
			t.Errorf("%q: got %+v", args, cell)
		}
	}
}

func TestBrokenBwrapIsFound(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"it fails":            "#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n",
		"it says nothing":     "#!/bin/sh\nexit 0\n",
		"it confines nothing": "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done; shift; shift; exec /proc/self/fd/3 \"$@\"\n",
	} {
		path := filepath.Join(t.TempDir(), "bwrap")
		if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		for dir := filepath.Dir(path); dir != os.TempDir(); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		err := sandbox.TryBwrap(t.Context(), path)
		if err == nil {
			t.Errorf("%s: it was taken for good", name)
		}
		t.Logf("%s: %v", name, err)
	}
}

func TestFindingsThatDoNotHold(t *testing.T) {
	t.Parallel()
	if err := sandbox.GoodFinding().Judge(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*sandbox.Finding){
		"root":                  func(f *sandbox.Finding) { f.UID = 0 },
		"capabilities":          func(f *sandbox.Finding) { f.Capable = true },
		"privileges to gain":    func(f *sandbox.Finding) { f.NoNewPrivs = false },
		"unfiltered calls":      func(f *sandbox.Finding) { f.Filtered = false },
		"a network":             func(f *sandbox.Finding) { f.Interfaces = []string{"lo", "eth0"} },
		"a writable root":       func(f *sandbox.Finding) { f.WroteRoot = true },
		"home directories":      func(f *sandbox.Finding) { f.SawHome = true },
		"no output":             func(f *sandbox.Finding) { f.WroteOut = false },
		"the host's processes":  func(f *sandbox.Finding) { f.PID = 4711 },
		"no address space":      func(f *sandbox.Finding) { f.AS = 1<<64 - 1 },
		"unlimited processor":   func(f *sandbox.Finding) { f.CPU = 1<<64 - 1 },
		"nothing at all to see": func(f *sandbox.Finding) { *f = sandbox.Finding{} },
	} {
		f := sandbox.GoodFinding()
		spoil(&f)
		if f.Judge() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestRunToolchain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out bytes.Buffer
	if err := sandbox.RunToolchain(t.Context(), dir, []string{"/bin/sh", "-c", "pwd; /usr/bin/env"}, []string{"ONLY=this"}, &out); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.HasPrefix(s, dir+"\n") || !strings.Contains(s, "ONLY=this\n") || strings.Contains(s, "HOME=") {
		t.Errorf("got %q", s)
	}
	if err := sandbox.RunToolchain(t.Context(), dir, []string{"/bin/sh", "-c", "exit 3"}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	if err := (sandbox.Toolchain{}).Run(t.Context(), dir, nil, nil, io.Discard); err == nil {
		t.Error("an empty command was run")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := sandbox.RunToolchain(ctx, dir, []string{"/bin/sh", "-c", "sleep 600 & sleep 600"}, nil, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
