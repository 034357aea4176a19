//go:build linux

package sandbox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// real returns the path of an installed program as a box sees it.
func real(t testing.TB, what string, paths ...string) string {
	t.Helper()
	var found string
	testenv.Need(t, what, func() error {
		var err error
		for _, p := range paths {
			if _, err = os.Stat(p); err == nil {
				found = p
				return nil
			}
		}
		return err
	})
	return found
}

func TestNodeInItsBox(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	node := real(t, "node", "/usr/bin/node", "/usr/local/bin/node")
	b := box(t, sandbox.MCPNode, node, "/app/server.js")
	app := open(t)
	b.Mounts = []sandbox.Mount{{Host: app, Box: "/app"}}
	const program = `
const fs = require("fs"), os = require("os"), net = require("net"), {Worker} = require("worker_threads"), {spawnSync} = require("child_process");
fs.writeFileSync("/workspace/made", "by node"); fs.writeFileSync("/tmp/x", "x");
const tries = {app: () => fs.writeFileSync("/app/x", "x"), home: () => fs.readdirSync("/root"), etc: () => fs.readFileSync("/etc/shadow"),
  interfaces: () => os.networkInterfaces(), shell: () => { const r = spawnSync("/bin/sh", ["-c", "true"]); if (r.error) throw r.error; }};
for (const k in tries) try { tries[k](); console.log(k, "worked"); } catch (e) { console.log(k, e.code); }
console.log("user", os.userInfo().username);
const child = spawnSync(process.execPath, ["-e", "console.log(40+2)"]);
console.log("child", child.stdout.toString().trim());
new Worker("require('worker_threads').parentPort.postMessage(6*7)", {eval: true}).on("message", m => {
  console.log("worker", m);
  const server = net.createServer(c => c.end("hi")).listen(0, "127.0.0.1", () => {
    net.connect(server.address().port, "127.0.0.1").on("data", d => { console.log("own loopback", d.toString()); server.close(); });
  });
  net.connect(80, "192.0.2.1").on("error", e => console.log("internet", e.code));
});
`
	if err := os.WriteFile(filepath.Join(app, "server.js"), []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	exit, err := run(t, x, b)
	want := []string{"app EROFS", "home ENOENT", "etc ENOENT", "interfaces ERR_SYSTEM_ERROR", "shell ENOENT", "user box", "child 42", "worker 42", "internet ENETUNREACH", "own loopback hi"}
	for _, line := range want {
		if !strings.Contains(string(exit.Stdout), line+"\n") {
			t.Errorf("%q is missing", line)
		}
	}
	if err != nil || exit.Code != 0 || t.Failed() {
		t.Errorf("got %d, %s%s, %v", exit.Code, exit.Stdout, exit.Stderr, err)
	}
	if made, err := os.ReadFile(filepath.Join(b.Workspace, "made")); err != nil || string(made) != "by node" {
		t.Errorf("the workspace holds %q, %v", made, err)
	}
}

func TestPythonInItsBox(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	python := real(t, "python3", "/usr/bin/python3", "/usr/local/bin/python3")
	const program = `
import ssl, sqlite3, ctypes, json, socket, subprocess, multiprocessing, pwd, os
def double(n): return 2 * n
if __name__ == "__main__":
    open("/workspace/made", "w").write("by python")
    print("sqlite", sqlite3.connect(":memory:").execute("select 42").fetchone()[0])
    with multiprocessing.get_context("fork").Pool(2) as p: print("pool", p.map(double, [21]))
    print("user", pwd.getpwuid(os.getuid()).pw_name)
    for name, f in {"app": lambda: open("/app/x", "w"), "shell": lambda: subprocess.run(["/bin/sh", "-c", "true"]), "netlink": lambda: socket.socket(socket.AF_NETLINK),
                    "internet": lambda: socket.create_connection(("192.0.2.1", 80), 1), "name": lambda: socket.getaddrinfo("example.com", 80),
                    "ptrace": lambda: (_ for _ in ()).throw(OSError(ctypes.get_errno(), "")) if ctypes.CDLL(None, use_errno=True).ptrace(0, 0, 0, 0) else None}.items():
        try: f(); print(name, "worked")
        except OSError as e: print(name, type(e).__name__)
`
	b := box(t, sandbox.MCPPython, python, "/app/server.py")
	app := open(t)
	b.Mounts = []sandbox.Mount{{Host: app, Box: "/app"}}
	if err := os.WriteFile(filepath.Join(app, "server.py"), []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	exit, err := run(t, x, b)
	for _, line := range []string{"sqlite 42", "pool [42]", "user box", "app OSError", "shell FileNotFoundError", "netlink OSError", "internet OSError", "name gaierror", "ptrace PermissionError"} {
		if !strings.Contains(string(exit.Stdout), line+"\n") {
			t.Errorf("%q is missing", line)
		}
	}
	if err != nil || exit.Code != 0 || t.Failed() {
		t.Errorf("got %d, %s%s, %v", exit.Code, exit.Stdout, exit.Stderr, err)
	}
}

// TestProgramsBehindAnother starts an interpreter from a program of the mounts, as a
// relay does.
func TestProgramsBehindAnother(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	node := real(t, "node", "/usr/bin/node", "/usr/local/bin/node")
	b := box(t, sandbox.MCPNode, "/app/hostile", "become", node, "-p", "6*7")
	if exit, err := run(t, x, b); err != nil || exit.Code == 0 {
		t.Errorf("node was shown though nobody named it: %s, %v", exit.Stdout, err)
	}
	b.Programs = []string{node}
	if exit, err := run(t, x, b); err != nil || string(exit.Stdout) != "42\n" {
		t.Errorf("got %s%s, %v", exit.Stdout, exit.Stderr, err)
	}
}

// TestCommandsInTheirBox runs what an agent runs: the system's programs work on the
// workspace, and what they make may run.
func TestCommandsInTheirBox(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	git, sh := real(t, "git", "/usr/bin/git"), real(t, "sh", "/bin/sh")
	b := box(t, sandbox.Exec)
	for _, step := range []struct {
		argv []string
		want string
	}{
		{[]string{git, "init", "-q", "-b", "main", "."}, ""},
		{[]string{sh, "-c", "printf '#!/bin/sh\\necho made here\\n' > tool; chmod +x tool; ./tool"}, "made here"},
		{[]string{git, "add", "tool"}, ""},
		{[]string{git, "-c", "user.name=box", "-c", "user.email=box@localhost", "commit", "-q", "-m", "one"}, ""},
		{[]string{git, "log", "--format=%an %s"}, "box one"},
		{[]string{"/workspace/tool"}, "made here"},
		{[]string{sh, "-c", "ls -A /root /home /var 2>&1; curl -sS -m 2 http://127.0.0.1:4766 2>&1; true"}, "cannot access '/root'"},
	} {
		b.Argv = step.argv
		exit, err := run(t, x, b)
		if err != nil || exit.Code != 0 || !strings.Contains(string(exit.Stdout), step.want) {
			t.Errorf("%q: %d, %s%s, %v", step.argv, exit.Code, exit.Stdout, exit.Stderr, err)
		}
	}
}

// BenchmarkStart compares the time until a program says its first word, in a box
// and without one.
func BenchmarkStart(b *testing.B) {
	self := boxer(b)
	small := self.With(filepath.Join(programs(b), "glovebox-box"))
	node := real(b, "node", "/usr/bin/node", "/usr/local/bin/node")
	// What a server in JavaScript does before it answers.
	const server = `const n=["http","https","crypto","url","zlib","tls","stream","events","path","fs"].map(require);console.log("ready")`
	for _, c := range []struct {
		what    string
		profile sandbox.ProfileName
		argv    []string
	}{
		{"echo", sandbox.Exec, []string{"/bin/echo", "ready"}},
		{"node", sandbox.MCPNode, []string{node, "-e", server}},
	} {
		b.Run(c.what+"/bare", func(b *testing.B) {
			for b.Loop() {
				first := make(firstWord, 1)
				ended := make(chan error, 1)
				go func() { ended <- sandbox.RunToolchain(b.Context(), "/", c.argv, []string{"PATH=/usr/bin"}, first) }()
				<-first
				b.StopTimer()
				if err := <-ended; err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
		for how, x := range map[string]*sandbox.Boxer{"box": small, "box-one-program": self} {
			b.Run(c.what+"/"+how, func(b *testing.B) {
				d := box(b, c.profile, c.argv...)
				for b.Loop() {
					first := make(firstWord, 1)
					d.Stdout = first
					p, err := x.Start(b.Context(), d)
					if err != nil {
						b.Fatal(err)
					}
					<-first
					b.StopTimer()
					if exit, err := p.Wait(); err != nil || exit.Code != 0 {
						b.Fatal(exit, err)
					}
					b.StartTimer()
				}
			})
		}
	}
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if r := sandbox.Check(b.Context()); !r.Ready {
				b.Fatal(r.Why)
			}
		}
	})
}

// firstWord tells that something was written.
type firstWord chan struct{}

func (f firstWord) Write(p []byte) (int, error) {
	select {
	case f <- struct{}{}:
	default:
	}
	return len(p), nil
}
