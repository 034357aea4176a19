package main

import (
	"cmp"
	"fmt"
	"go/build"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/host/memory"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/sandbox"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

// TestMain is the compiler child when the spawner starts this binary, and glovebox
// when a script does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Verb {
		os.Exit(compile.ChildMain(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	testscript.Main(m, map[string]func(){"glovebox": main})
}

// TestStories runs each story in testdata: what people type, and what they see.
func TestStories(t *testing.T) {
	t.Parallel()
	stories(t, "testdata")
}

// TestAuthorStory starts, builds and tests a skill with nothing but the Go compiler
// and the module cache.
func TestAuthorStory(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles a guest")
	}
	testenv.Need(t, "go", func() error {
		if err := testenv.Program("go")(); err != nil {
			return err
		}
		found, err := filepath.Glob(filepath.Join(moduleCache(), "github.com", "extism", "go-pdk@*"))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("the module cache has no go-pdk (run go mod download): %v", err)
		}
		return nil
	})
	stories(t, "testdata/author")
}

func moduleCache() string {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return dir
	}
	return filepath.Join(build.Default.GOPATH, "pkg", "mod")
}

func stories(t *testing.T, dir string) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: dir, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				fmt.Fprintf(w, "Gloves keep hands safe. authorization=%s", r.Header.Get("Authorization"))
			}))
			env.Defer(page.Close)
			own := filepath.Join(env.WorkDir, "examples") // a story signs them with its own key
			if err := copyExamples(own, examples); err != nil {
				return err
			}
			for name, value := range map[string]string{
				"PAGE": page.URL, "TODAY": time.Now().UTC().Format(time.DateOnly), "EXAMPLES": own, "HOME": env.WorkDir, "GLOVEBOX_STATE": filepath.Join(env.WorkDir, "state"),
				"GOMODCACHE": moduleCache(), "GOPROXY": "off", "GOTOOLCHAIN": "local",
				"GOCACHE": cmp.Or(os.Getenv("GOCACHE"), filepath.Join(cache, "go-build")),
			} {
				env.Setenv(name, value)
			}
			return nil
		},
		Condition: func(what string) (bool, error) {
			if what != "fts5" {
				return false, fmt.Errorf("condition %q is not known", what)
			}
			return fullText(t) == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"ready": ready, "flip": flip, "until": until, "terminate": terminate},
	})
}

// copyExamples copies the examples that stories use, with their configuration.
func copyExamples(to, from string) error {
	for _, name := range []string{"calc", "textstat", "units", "grants"} {
		if err := os.CopyFS(filepath.Join(to, name), os.DirFS(filepath.Join(from, name))); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(filepath.Join(from, "demo.yaml"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, "demo.yaml"), text, 0o600)
}

// fullText tells whether this build has the full-text search that memory needs.
func fullText(t *testing.T) error {
	s, err := memory.Open(t.Context(), filepath.Join(t.TempDir(), "probe.db"), nil, time.Now)
	if err != nil {
		return err
	}
	return s.Close()
}

// ready waits until the daemon of the script has published its address.
func ready(ts *testscript.TestScript, neg bool, _ []string) {
	path := filepath.Join(ts.Getenv("GLOVEBOX_STATE"), "run", "address")
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); (err == nil) != neg {
			return
		}
	}
	ts.Fatalf("the daemon has not published its address")
}

// terminate sends SIGTERM to the daemon of the script.
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	state, err := config.FindState(ts.Getenv("GLOVEBOX_STATE"))
	ts.Check(err)
	info, err := state.Running()
	ts.Check(err)
	p, err := os.FindProcess(info.PID)
	ts.Check(err)
	ts.Check(p.Signal(syscall.SIGTERM))
}

// flip FILE changes the last byte of a file.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	b[len(b)-1] ^= 1
	ts.Check(os.WriteFile(path, b, 0o600))
}

// until COMMAND… TEXT repeats a command until its output holds TEXT, and sets the
// first word of the line that does as $FOUND.
func until(ts *testscript.TestScript, _ bool, args []string) {
	text := args[len(args)-1]
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ts.Exec(args[0], args[1:len(args)-1]...) != nil {
			continue
		}
		for line := range strings.Lines(ts.ReadFile("stdout")) {
			if strings.Contains(line, text) {
				ts.Setenv("FOUND", strings.Fields(line)[0])
				return
			}
		}
	}
	ts.Fatalf("%q never appeared", text)
}

// TestEveryCommandHasAnExample walks the command tree.
func TestEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	var walk func(*cobra.Command)
	count := 0
	walk = func(c *cobra.Command) {
		if c.Name() == "help" || c.Name() == "completion" {
			return
		}
		count++
		if c.Short == "" || !strings.Contains(c.Example, "glovebox") {
			t.Errorf("%s has no description, or no example", c.CommandPath())
		}
		if !c.HasSubCommands() && c.Args == nil {
			t.Errorf("%s does not count its arguments", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).root())
	if count < 25 {
		t.Errorf("only %d commands seen", count)
	}
}

func TestNearestCommand(t *testing.T) {
	t.Parallel()
	root := (&app{}).root()
	for word, want := range map[string]string{"chta": "chat", "satus": "status", "secrets": "secret", "verison": "version", "zzzzzz": ""} {
		if got := nearest(root, word); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
}

// TestGuestTextCannotDriveTheTerminal prints what a hostile guest might answer.
func TestGuestTextCannotDriveTheTerminal(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"\x1b[2J", "a\rb", "\x9b31m", "\u202etxt.exe", "a\u200bb", "\ufeffx", "\x07", "\x7f", "a\U000e0041b", "a\u00adb", "\u061c"} {
		if got := printable(text); strings.ContainsAny(got, "\x1b\r\x07\x7f\u009b\u202e\u200b\ufeff\U000e0041\u00ad\u061c") {
			t.Errorf("printable(%q) = %q", text, got)
		}
	}
	if got := printable("two\nlines\tä 漢 🙂"); got != "two\nlines\tä 漢 🙂" {
		t.Errorf("ordinary text was changed: %q", got)
	}
	if got := oneLine("a\nerror: forged"); strings.Contains(got, "\n") {
		t.Errorf("oneLine kept a line end: %q", got)
	}
}
