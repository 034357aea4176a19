package packages

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// installed returns a store with the server of these tests, and its pin.
func installed(t testing.TB) (*Store, abi.Digest) {
	t.Helper()
	s := store(t, honest(registryOf(t)).base, clean{})
	in, err := s.Install(t.Context(), weather("1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	return s, in.Pin
}

func TestTouchedFilesAreNotStarted(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(app string) error{
		"a file changed": func(app string) error {
			return os.WriteFile(filepath.Join(app, "node_modules/left/index.js"), []byte("evil"), 0o600)
		},
		"a file added":   func(app string) error { return os.WriteFile(filepath.Join(app, "node_modules/left/x.js"), nil, 0o600) },
		"a file removed": func(app string) error { return os.Remove(filepath.Join(app, "node_modules/left/index.js")) },
		"a file renamed": func(app string) error {
			return os.Rename(filepath.Join(app, "node_modules/left/index.js"), filepath.Join(app, "node_modules/left/i.js"))
		},
		"a folder added":  func(app string) error { return os.Mkdir(filepath.Join(app, "node_modules/evil"), 0o755) },
		"a right changed": func(app string) error { return os.Chmod(filepath.Join(app, "package-lock.json"), 0o700) },
		"a file made a link": func(app string) error {
			f := filepath.Join(app, "node_modules/left/index.js")
			return firstOf(os.Remove(f), os.Symlink("/etc/hostname", f))
		},
		"the lock file edited": func(app string) error {
			return os.WriteFile(filepath.Join(app, lockName), []byte(`{"lockfileVersion":3,"packages":{}}`), 0o600)
		},
		"the seal edited": func(app string) error {
			f := filepath.Join(filepath.Dir(app), sealFile)
			text, err := os.ReadFile(f)
			return firstOf(err, os.WriteFile(f, bytes.Replace(text, []byte("@acme/weather/dist/index.js"), []byte("left/index.js"), 1), 0o600))
		},
		"the seal removed": func(app string) error { return os.Remove(filepath.Join(filepath.Dir(app), sealFile)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, pin := installed(t)
			dir := s.path(pin.Hex())
			loosen(t, dir)
			if _, err := s.Verify(t.Context(), pin); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			if err := change(filepath.Join(dir, filesDir)); err != nil {
				t.Fatal(err)
			}
			_, err := s.Verify(t.Context(), pin)
			refused(t, err, reason.Tree, "")
			if in, err := s.Install(t.Context(), weather("1.0.0")); err != nil || in.Pin != pin { // what is broken gives way
				t.Fatal(in, err)
			}
			if _, err := s.Verify(t.Context(), pin); err != nil {
				t.Error(err)
			}
		})
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// loosen gives the right to write back, as who owns the files can.
func loosen(t testing.TB, dir string) {
	t.Helper()
	if err := each(dir, func(root *os.Root, name string, d os.DirEntry) error {
		info, err := d.Info()
		if err != nil {
			return err
		}
		return root.Chmod(name, info.Mode().Perm()|0o200)
	}); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownPinIsRefused(t *testing.T) {
	t.Parallel()
	s, pin := installed(t)
	for _, p := range []abi.Digest{"", "sha256:../../etc", abi.DigestOf([]byte("x")), pin[:len(pin)-1], abi.Digest(pin.Hex())} {
		_, err := s.Verify(t.Context(), p)
		refused(t, err, reason.Tree, "")
	}
}

// meddler starts nothing until it has exchanged a file and put it back.
type meddler struct {
	Boxer
	between func()
}

func (m meddler) Start(ctx context.Context, b sandbox.Box) (*sandbox.Process, error) {
	m.between()
	return m.Boxer.Start(ctx, b)
}

func boxer(t testing.TB) *sandbox.Boxer {
	t.Helper()
	x := sandbox.NewBoxer(t.Context())
	testenv.Need(t, "bwrap", func() error {
		if r := x.Report(); !r.Ready {
			return errText(r.Why)
		}
		return nil
	})
	testenv.Need(t, "node", func() error { _, err := (&Store{}).node(); return err })
	return x
}

type errText string

func (e errText) Error() string { return string(e) }

// box is what the operator adds.
func box() sandbox.Box {
	p, _ := sandbox.FindProfile(sandbox.MCPNode) // of sandbox's own list
	b := sandbox.Box{Limits: p.Limits, Scratch: p.Size}
	b.Limits.Wall, b.Limits.Output = time.Minute, 1<<20
	return b
}

func TestServerRunsInItsBox(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	s, pin := installed(t)
	for name, b := range map[string]sandbox.Box{
		"alone":              box(),
		"behind another one": {Argv: []string{"/usr/bin/env"}},
	} {
		var out, log bytes.Buffer // of the box's own until it has ended
		b.Stdout, b.Stderr = &out, &log
		p, err := s.Start(t.Context(), x, pin, []string{"argument"}, b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := p.Wait(); err != nil || out.String() != "weather left 1.4.0 argument\n" {
			t.Errorf("%s: got %q, %v; stderr %s", name, &out, err, &log)
		}
	}
}

func TestExchangeAtTheStartIsSeen(t *testing.T) {
	t.Parallel()
	x := boxer(t)
	for name, change := range map[string]func(t *testing.T, dir string){
		"a file changed": func(t *testing.T, dir string) {
			loosen(t, dir)
			if err := os.WriteFile(filepath.Join(dir, filesDir, "node_modules/left/index.js"), []byte(`exports.name="evil"`), 0o600); err != nil {
				t.Error(err)
			}
		},
		"folders exchanged, and back": func(t *testing.T, dir string) {
			for _, r := range [][2]string{{dir, dir + ".away"}, {dir + ".away", dir}} {
				if err := os.Rename(r[0], r[1]); err != nil {
					t.Error(err)
				}
			}
			app := filepath.Join(dir, filesDir)
			loosen(t, dir)
			for _, r := range [][2]string{{app, app + ".away"}, {app + ".away", app}} {
				if err := os.Rename(r[0], r[1]); err != nil {
					t.Error(err)
				}
			}
			if err := protect(app); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, pin := installed(t)
			_, err := s.Start(t.Context(), meddler{x, func() { change(t, s.path(pin.Hex())) }}, pin, nil, box())
			refused(t, err, reason.Tree, "while it was started")
		})
	}
}

func TestNoSandboxNoServer(t *testing.T) {
	t.Parallel()
	s, pin := installed(t)
	_, err := s.Start(t.Context(), nil, pin, nil, box())
	refused(t, err, reason.NoSandbox, "box")
	_, err = s.Start(t.Context(), (*sandbox.Boxer)(nil), pin, nil, box())
	refused(t, err, reason.NoSandbox, "box")
	_, err = s.Start(t.Context(), &sandbox.Boxer{}, pin, nil, box())
	refused(t, err, reason.NoSandbox, "no sandbox")
}

func TestProgramOfGo(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "server")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", link, "github.com/glovebox-dev/glovebox/sandbox/probe")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := store(t, registryOf(t).base, clean{})
	in, err := s.InstallProgram(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Verify(t.Context(), in.Pin)
	if err != nil || in.Seal.Packages < 2 || !slices.Equal(l.Argv, []string{"/app/bin/server"}) || l.Profile != sandbox.MCPBinary {
		t.Errorf("got %+v, %v", l, err)
	}
	s = store(t, registryOf(t).base, index(t, "GHSA-aaaa-bbbb-cccc", "golang.org/x/sys"))
	_, err = s.InstallProgram(t.Context(), link)
	refused(t, err, reason.Advisory, "golang.org/x/sys")
	for name, file := range map[string]string{"not of Go": "/bin/true", "no path": "server", "a folder": "/usr/bin", "nothing": "/nonexistent/server"} {
		if _, err := s.InstallProgram(t.Context(), file); err == nil {
			t.Errorf("%s: installed", name)
		}
	}
	empty(t, s)
}
