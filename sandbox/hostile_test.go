//go:build linux

package sandbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/sandbox"
	"github.com/glovebox-dev/glovebox/sandbox/lock"
	"github.com/glovebox-dev/glovebox/sandbox/walls"
)

func TestBoxesAreWellDescribed(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	dir := open(t)
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Mkdir(dir+"/ssl", 0o755), os.Symlink(dir, link)); err != nil {
		t.Fatal(err)
	}
	mount := func(host, at string) func(*sandbox.Box) {
		return func(b *sandbox.Box) { b.Mounts = append(b.Mounts, sandbox.Mount{Host: host, Box: at}) }
	}
	for what, spoil := range map[string]func(*sandbox.Box){
		"the zero box":                   func(b *sandbox.Box) { *b = sandbox.Box{} },
		"no profile":                     func(b *sandbox.Box) { b.Profile = sandbox.Profile{} },
		"no wall time":                   func(b *sandbox.Box) { b.Limits.Wall = 0 },
		"no processor time":              func(b *sandbox.Box) { b.Limits.CPU = 0 },
		"no memory":                      func(b *sandbox.Box) { b.Limits.Memory = 0 },
		"unlimited memory":               func(b *sandbox.Box) { b.Limits.Memory = sandbox.Unlimited },
		"no processes":                   func(b *sandbox.Box) { b.Limits.Procs = 0 },
		"unlimited processes":            func(b *sandbox.Box) { b.Limits.Procs = sandbox.Unlimited },
		"no files":                       func(b *sandbox.Box) { b.Limits.Files = 0 },
		"no file size":                   func(b *sandbox.Box) { b.Limits.FileSize = 0 },
		"no output":                      func(b *sandbox.Box) { b.Limits.Output = 0 },
		"endless output that is kept":    func(b *sandbox.Box) { b.Limits.Output = sandbox.Unlimited },
		"no scratch space":               func(b *sandbox.Box) { b.Scratch = 0 },
		"no program":                     func(b *sandbox.Box) { b.Argv = nil },
		"a program to be looked up":      func(b *sandbox.Box) { b.Argv[0] = "sh" },
		"a program past the root":        func(b *sandbox.Box) { b.Argv[0] = "/app/../bin/sh" },
		"a further program by its name":  func(b *sandbox.Box) { b.Programs = []string{"node"} },
		"a zero byte in an argument":     func(b *sandbox.Box) { b.Argv = append(b.Argv, "a\x00--bind\x00/\x00/") },
		"a zero byte in a variable":      func(b *sandbox.Box) { b.Env = []string{"A=\x00B=1"} },
		"a variable without a value":     func(b *sandbox.Box) { b.Env = []string{"A"} },
		"a variable without a name":      func(b *sandbox.Box) { b.Env = []string{"=A"} },
		"a function for a variable":      func(b *sandbox.Box) { b.Env = []string{"BASH_FUNC_ls%%=() {}"} },
		"a relative directory":           func(b *sandbox.Box) { b.Dir = "workspace" },
		"the root of the host":           mount("/", "/host"),
		"home directories":               mount("/home", "/host"),
		"the host's processes":           mount("/proc", "/host"),
		"a relative mount":               mount("etc", "/host"),
		"a mount past a directory":       mount("/srv/../etc", "/host"),
		"a mount over the root":          mount(dir, "/"),
		"a mount over the system":        mount(dir, "/usr/bin"),
		"a mount over the accounts":      mount(dir, "/etc"),
		"a mount over the inside step":   mount(dir, "/glovebox"),
		"a mount over the processes":     mount(dir, "/proc/1"),
		"two mounts at one place":        mount(dir, "/app"),
		"a mount inside of another":      mount(dir, "/app/node_modules"),
		"a mount over the workspace":     mount(dir, "/workspace/x"),
		"a mount that is a link":         mount(link, "/host"),
		"a mount behind a link":          mount(link+"/ssl", "/host"),
		"a mount that is not there":      mount(dir+"/none", "/host"),
		"a workspace that is a link":     func(b *sandbox.Box) { b.Workspace = link },
		"a workspace that is everything": func(b *sandbox.Box) { b.Workspace = "/" },
	} {
		b := hostile(t, "exit")
		spoil(&b)
		if p, err := x.Start(t.Context(), b); !errors.Is(err, sandbox.ErrBox) {
			t.Errorf("%s: %v", what, err)
			if err == nil {
				p.Kill()
			}
		}
	}
}

// TestSwappedWorkspace swaps the workspace for a link to a secret, over and over,
// while boxes start: a box sees the workspace or does not start.
func TestSwappedWorkspace(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	dir := open(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"work", "secret"} {
		if err := errors.Join(os.Mkdir(at(name), 0o755), os.WriteFile(filepath.Join(at(name), "file"), []byte(name), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("secret", at("link")); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default: // work is the directory half of the time, and a link to the secret
				_ = os.Rename(at("work"), at("aside"))
				_ = os.Rename(at("link"), at("work"))
				_ = os.Rename(at("work"), at("link"))
				_ = os.Rename(at("aside"), at("work"))
				time.Sleep(time.Millisecond)
			}
		}
	}()
	started := 0
	for range 12 {
		b := hostile(t, "read", "/workspace/file")
		b.Workspace = at("work")
		p, err := x.Start(t.Context(), b)
		if err != nil {
			continue
		}
		exit, err := p.Wait()
		if err != nil || strings.Contains(string(exit.Stdout), "secret") {
			t.Errorf("got %s, %v", exit.Stdout, err)
		}
		started++
	}
	close(stop)
	<-stopped
	t.Logf("%d of 12 boxes started", started)
}

// TestFilesOfTheDaemonAreNotThere tries what a program would look for: keys, the
// database and sockets of the daemon, by their paths and through the workspace.
func TestFilesOfTheDaemonAreNotThere(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	state := open(t)
	b := hostile(t)
	b.Workspace = filepath.Join(state, "workspace") // the workspace lies in the state
	if err := errors.Join(os.Mkdir(b.Workspace, 0o755), os.WriteFile(filepath.Join(state, "token"), []byte("secret"), 0o644),
		os.Symlink("../token", filepath.Join(b.Workspace, "up")), os.Symlink(filepath.Join(state, "token"), filepath.Join(b.Workspace, "far")),
		os.WriteFile(filepath.Join(b.Workspace, "own"), []byte("mine"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/workspace/own": "mine<nil>", "/workspace/up": "no such file", "/workspace/far": "no such file", filepath.Join(state, "token"): "no such file",
		"/workspace/../token": "no such file", "/etc/passwd": "box:x:1000", "/etc/glovebox.closed": "permission denied",
		"/proc/self/root/" + state + "/token": "no such file", "/glovebox": "permission denied",
	} {
		b.Argv = []string{"/app/hostile", "read", path}
		if exit, err := run(t, x, b); err != nil || !strings.Contains(string(exit.Stdout), want) || strings.Contains(string(exit.Stdout), "secret") {
			t.Errorf("%s: %s, %v", path, exit.Stdout, err)
		}
	}
}

// TestOwnersStayAsTheyAre shows a directory of another user for writing.
func TestOwnersStayAsTheyAre(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	b := hostile(t, "fill")
	b.Workspace = open(t) // belongs to this user, which as root is not the box's
	before, err := os.Stat(b.Workspace)
	if err != nil {
		t.Fatal(err)
	}
	exit, err := run(t, x, b)
	after, serr := os.Stat(b.Workspace)
	if err != nil || serr != nil || before.Sys().(*syscall.Stat_t).Uid != after.Sys().(*syscall.Stat_t).Uid {
		t.Errorf("%v, %v", err, serr)
	}
	if os.Geteuid() == 0 && !strings.Contains(string(exit.Stdout), "/workspace 0\n") {
		t.Errorf("the box wrote into a directory of root: %s", exit.Stdout)
	}
}

// TestSocketIsTheOnlyWayOut shows one unix socket of the host in a box.
func TestSocketIsTheOnlyWayOut(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	path := filepath.Join(open(t), "egress.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello"))
			_ = c.Close()
		}
	}()
	b := hostile(t, "dial", "/egress/sock")
	b.Sockets = []sandbox.Mount{{Host: path, Box: "/egress/sock"}}
	if exit, err := run(t, x, b); err != nil || string(exit.Stdout) != "hello<nil>" {
		t.Errorf("got %s, %v", exit.Stdout, err)
	}
}

// TestProgramsDoNotChooseWhatIsShown names a file of the host as the loader and as
// libraries of a program.
func TestProgramsDoNotChooseWhatIsShown(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	libs, err := sandbox.Linked(writeProgram(t, good))
	if err != nil || len(libs) < 2 {
		t.Fatalf("got %q, %v", libs, err)
	}
	loader := libs[0]
	for _, other := range []string{"/etc/passwd", "/etc/../etc/passwd", "/lib64/../etc/hostname"} {
		evil := bytes.Replace(good, []byte(loader), append([]byte(other), make([]byte, len(loader)-len(other))...), 1)
		if libs, err := sandbox.Linked(writeProgram(t, evil)); err != nil || slices.Contains(libs, filepath.Clean(other)) || slices.Contains(libs, other) {
			t.Errorf("%s: %q, %v", other, libs, err)
		}
	}
}

func writeProgram(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, b, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// FuzzLinked reads programs of strangers: whatever they say, nothing is shown but
// files in the directories of libraries.
func FuzzLinked(f *testing.F) {
	if b, err := os.ReadFile("/bin/true"); err == nil {
		f.Add(b)
	}
	f.Add([]byte("\x7fELF"))
	f.Add([]byte("#!/bin/sh\n"))
	dirs := sandbox.LibraryDirs()
	f.Fuzz(func(t *testing.T, b []byte) {
		libs, err := sandbox.Linked(writeProgram(t, b))
		if err != nil {
			return
		}
		for _, lib := range libs {
			if !slices.Contains(dirs, filepath.Dir(lib)) {
				t.Errorf("it shows %q", lib)
			}
		}
	})
}

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(open(t), "bwrap")
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWithoutWallsNothingRuns(t *testing.T) {
	t.Parallel()
	// The arguments that bubblewrap would read are on descriptor 3. The program is
	// the first file after the four pipes.
	const skip = "while [ \"$1\" != -- ]; do shift; done; shift; shift\n"
	for what, bwrap := range map[string]string{
		"it is not there": "/nonexistent/bwrap",
		"it fails":        script(t, "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n"),
		"it says nothing": script(t, "#!/bin/sh\nexit 0\n"),
		"it executes the program": script(t, "#!/bin/sh\n"+skip+
			"exec /proc/self/fd/7 \"$@\"\n"),
		"it lies about the process": script(t, "#!/bin/sh\n"+skip+
			"echo '{\"child-pid\": 1}' >&4; exec /proc/self/fd/7 \"$@\"\n"),
		"it starts the program and tells": script(t, "#!/bin/sh\n"+skip+
			"exec /usr/bin/setpriv --no-new-privs -- /bin/sh -c '/proc/self/fd/7 \"$@\" & echo \"{\\\"child-pid\\\": $!}\" >&4; wait $!' sh \"$@\"\n"),
		"it ignores the arguments":   script(t, "#!/bin/sh\nexec /usr/bin/bwrap --dev-bind / / --json-status-fd 4 --unshare-user --die-with-parent -- /proc/self/fd/7 compile-module --box\n"),
		"it shares the network":      script(t, "#!/bin/bash\nmapfile -d '' -t a <&3\nshift 5; exec /usr/bin/bwrap \"${a[@]}\" --share-net --json-status-fd 4 -- \"$@\"\n"),
		"it shows the host":          script(t, "#!/bin/bash\nmapfile -d '' -t a <&3\nshift 5; exec /usr/bin/bwrap --ro-bind / / \"${a[@]}\" --json-status-fd 4 -- \"$@\"\n"),
		"it keeps the root writable": script(t, "#!/bin/bash\nmapfile -d '' -t a <&3\nfor i in \"${!a[@]}\"; do [ \"${a[i]}\" = --remount-ro ] && unset \"a[i]\" \"a[i+1]\"; done\nshift 5; exec /usr/bin/bwrap \"${a[@]}\" --json-status-fd 4 -- \"$@\"\n"),
		"it keeps the session":       script(t, "#!/bin/bash\nmapfile -d '' -t a <&3\nfor i in \"${!a[@]}\"; do [ \"${a[i]}\" = --new-session ] && unset \"a[i]\"; done\nshift 5; exec /usr/bin/bwrap \"${a[@]}\" --json-status-fd 4 -- \"$@\"\n"),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			for _, landlock := range []int{lock.ABI(), 0} {
				x := sandbox.BoxerWith(t.Context(), bwrap, landlock)
				r := x.Report()
				if r.Ready || r.Why == "" || r.Fix == "" {
					t.Errorf("it was taken for good: %+v", r)
				}
				if _, err := x.Start(t.Context(), hostile(t, "exit")); !errors.Is(err, sandbox.ErrNoSandbox) {
					t.Errorf("a program was started: %v", err)
				}
				t.Logf("landlock %d, %v: %s", landlock, time.Since(begin).Round(time.Millisecond), r.Why)
			}
		})
	}
	var zero sandbox.Boxer
	if _, err := zero.Start(t.Context(), hostile(t, "exit")); !errors.Is(err, sandbox.ErrNoSandbox) {
		t.Errorf("the zero Boxer: %v", err)
	}
}

func TestReportJudgesRows(t *testing.T) {
	t.Parallel()
	good := func() sandbox.ProfileReport {
		return sandbox.ProfileReport{Name: sandbox.Exec, Rows: []walls.Row{{ID: "a", Verdict: walls.Pass}, {ID: "b", Verdict: walls.Open}}}
	}
	if why := sandbox.Judge(good(), 2); why != "" {
		t.Fatal(why)
	}
	for what, spoil := range map[string]func(*sandbox.ProfileReport){
		"a wall does not hold":        func(p *sandbox.ProfileReport) { p.Rows[0].Verdict = walls.Fail },
		"a wall could not be tried":   func(p *sandbox.ProfileReport) { p.Rows[0].Verdict = walls.Unobserved },
		"a row without a verdict":     func(p *sandbox.ProfileReport) { p.Rows[0].Verdict = "" },
		"a row is missing":            func(p *sandbox.ProfileReport) { p.Rows = p.Rows[:1] },
		"no row":                      func(p *sandbox.ProfileReport) { p.Rows = nil },
		"the probe ended in an error": func(p *sandbox.ProfileReport) { p.Err = fmt.Errorf("exit status 1") },
	} {
		p := good()
		spoil(&p)
		if sandbox.Judge(p, 2) == "" {
			t.Errorf("%s: it was taken for good", what)
		}
	}
	if sandbox.Judge(sandbox.ProfileReport{}, 0) == "" {
		t.Error("an empty report was taken for good")
	}
}
