package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

func state(t *testing.T) *State {
	t.Helper()
	s, err := OpenState(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStateIsPrivate(t *testing.T) {
	t.Parallel()
	s := state(t)
	if _, err := s.AgentDir("main"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Token(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.LoadKey("cache"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetPrivateOrigin("http://127.0.0.1", true, "webpage"); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(Info{PID: 1}); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(s.Dir(), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", p, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWideModesAreRefusedWithTheCommandThatMendsThem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path string
		mode fs.FileMode
		hint string
	}{
		"the folder itself":    {"", 0o755, "chmod 700 "},
		"the folder, to group": {"", 0o710, "chmod 700 "},
		"the keys":             {"keys", 0o750, "chmod 700 "},
		"the token":            {"token", 0o644, "chmod 600 "},
		"a key":                {"keys/cache", 0o640, "chmod 600 "},
		"a grant":              {"grants/x.yaml", 0o644, "chmod 600 "},
		"the address":          {"run/address", 0o604, "chmod 600 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := state(t)
			path := filepath.Join(s.Dir(), c.path)
			if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
				if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			var mode *ModeError
			if _, err := OpenState(s.Dir()); !errors.As(err, &mode) || mode.Hint() != c.hint+path {
				t.Errorf("error %v, want a ModeError with %q", err, c.hint+path)
			}
			if err := os.Chmod(path, mode.Want); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenState(s.Dir()); err != nil {
				t.Errorf("refused although mended: %v", err)
			}
		})
	}
}

func TestStateOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "root", testenv.Root) // or a folder cannot be given away
	for _, name := range []string{"", "keys", "token"} {
		s := state(t)
		if _, _, err := s.Token(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(s.Dir(), name), 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenState(s.Dir()); !errors.Is(err, ErrOwner) {
			t.Errorf("%q of another user: %v, want ErrOwner", name, err)
		}
	}
}

func TestLinksInTheStateAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"keys", "token", "run"} {
		s := state(t)
		path := filepath.Join(s.Dir(), name)
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(t.TempDir(), path); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenState(s.Dir()); err == nil {
			t.Errorf("a link as %s was accepted", name)
		}
	}
}

func TestSecondDaemonIsLockedOut(t *testing.T) {
	t.Parallel()
	s := state(t)
	release, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: %v, want ErrLocked", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	release, err = s.Lock()
	if err != nil {
		t.Fatalf("the lock was not given up: %v", err)
	}
	_ = release()
}

// TestAddressOfADeadDaemon: what a daemon that was killed published counts no more.
func TestAddressOfADeadDaemon(t *testing.T) {
	t.Parallel()
	s := state(t)
	if held, err := s.Locked(); held || err != nil {
		t.Errorf("before the first daemon: %v, %v", held, err)
	}
	if err := s.Publish(Info{Address: "http://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	release, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.AddressFile()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the next daemon left the address of a dead one: %v", err)
	}
	if held, err := s.Locked(); !held || err != nil {
		t.Errorf("while a daemon runs: %v, %v", held, err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if held, err := s.Locked(); held || err != nil {
		t.Errorf("after it: %v, %v", held, err)
	}
}

func TestTokenAndKeysStayTheSame(t *testing.T) {
	t.Parallel()
	s := state(t)
	first, created, err := s.Token()
	if err != nil || !created || len(first) != 67 {
		t.Fatalf("token %q, created %v, error %v", first, created, err)
	}
	again, created, err := s.Token()
	if err != nil || created || again != first {
		t.Errorf("second call: %q, created %v, error %v", again, created, err)
	}
	k1, err1 := s.LoadKey("cache")
	k2, err2 := s.LoadKey("cache")
	other, err3 := s.LoadKey("other")
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if len(k1) != 32 || !bytes.Equal(k1, k2) || bytes.Equal(k1, other) {
		t.Error("keys are not stable, or not their own")
	}
	for path, content := range map[string]string{s.TokenFile(): "gb_short", s.Key("cache"): "short"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.Token(); err == nil {
		t.Error("a damaged token was accepted or replaced in silence")
	}
	if _, err := s.LoadKey("cache"); err == nil {
		t.Error("a damaged key was accepted or replaced in silence")
	}
}

func TestPrivateOrigins(t *testing.T) {
	t.Parallel()
	s := state(t)
	if list, err := s.PrivateOrigins(); err != nil || len(list) != 0 {
		t.Fatalf("a new state opens %v, error %v", list, err)
	}
	for _, step := range []struct {
		origin  abi.Origin
		allow   bool
		skills  []SkillRef
		changed bool
		after   string
	}{
		{"http://127.0.0.1:8080", true, []SkillRef{"b", "a", "b"}, true, "http://127.0.0.1:8080=[a b]"},
		{"http://127.0.0.1:8080", true, []SkillRef{"a"}, false, "http://127.0.0.1:8080=[a b]"},
		{"http://10.0.0.1", true, []SkillRef{AllSkills}, true, "http://10.0.0.1=[*] http://127.0.0.1:8080=[a b]"},
		{"http://10.0.0.1", true, []SkillRef{"a"}, false, "http://10.0.0.1=[*] http://127.0.0.1:8080=[a b]"},
		{"http://127.0.0.1:8080", true, []SkillRef{"c"}, true, "http://10.0.0.1=[*] http://127.0.0.1:8080=[a b c]"},
		{"http://127.0.0.1:8080", false, []SkillRef{"a", "x"}, true, "http://10.0.0.1=[*] http://127.0.0.1:8080=[b c]"},
		{"http://127.0.0.1:8080", false, []SkillRef{"x"}, false, "http://10.0.0.1=[*] http://127.0.0.1:8080=[b c]"},
		{"http://127.0.0.1:8080", false, nil, true, "http://10.0.0.1=[*]"},
		{"http://127.0.0.1:8080", false, nil, false, "http://10.0.0.1=[*]"},
		{"http://10.0.0.1", false, nil, true, ""},
	} {
		changed, err := s.SetPrivateOrigin(step.origin, step.allow, step.skills...)
		if err != nil || changed != step.changed {
			t.Fatalf("%+v: changed %v, error %v", step, changed, err)
		}
		list, err := s.PrivateOrigins()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range list {
			got = append(got, fmt.Sprintf("%s=%v", p.Origin, p.Skills))
		}
		if strings.Join(got, " ") != step.after {
			t.Fatalf("%+v: list %v", step, got)
		}
	}
	if changed, err := s.SetPrivateOrigin("http://10.0.0.1", true); changed || err == nil {
		t.Error("an origin was opened to nobody, or everybody")
	}
	if _, err := s.SetPrivateOrigin("http://10.0.0.1", true, AllSkills); err != nil {
		t.Fatal(err)
	}
	if changed, err := s.SetPrivateOrigin("http://10.0.0.1", false, "a"); changed || err == nil {
		t.Error("one skill was taken out of all")
	}
	for name, text := range map[string]string{
		"a damaged file":        "{",
		"another schema":        "schema: x\nprivate: []\n",
		"an unknown key":        "schema: glovebox/egress/v1\nprivate: []\nall: true\n",
		"an origin with a path": "schema: glovebox/egress/v1\nprivate: [{origin: \"http://127.0.0.1/a\", skills: [a]}]\n",
		"a bare origin":         "schema: glovebox/egress/v1\nprivate: [\"http://127.0.0.1\"]\n",
		"no skill":              "schema: glovebox/egress/v1\nprivate: [{origin: \"http://127.0.0.1\"}]\n",
		"an empty list":         "schema: glovebox/egress/v1\nprivate: [{origin: \"http://127.0.0.1\", skills: []}]\n",
		"no skill's name":       "schema: glovebox/egress/v1\nprivate: [{origin: \"http://127.0.0.1\", skills: [\"a*\"]}]\n",
	} {
		if err := os.WriteFile(s.EgressFile(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if list, err := s.PrivateOrigins(); err == nil {
			t.Errorf("%s opened %v", name, list)
		}
	}
}

func TestPrivateOriginIsOpenToItsSkills(t *testing.T) {
	t.Parallel()
	list := []PrivateOrigin{
		{"http://10.0.0.2", []SkillRef{"a", "b"}}, {"http://10.0.0.1", []SkillRef{"a"}}, {"http://10.0.0.2", []SkillRef{"a"}},
		{"http://10.0.0.3", []SkillRef{AllSkills}}, {"http://10.0.0.4", nil},
	}
	for skill, want := range map[abi.SkillName]string{
		"a": "[http://10.0.0.1 http://10.0.0.2 http://10.0.0.3]", "b": "[http://10.0.0.2 http://10.0.0.3]", "c": "[http://10.0.0.3]", "": "[]",
	} {
		if got := fmt.Sprint(OpenTo(list, skill)); got != want {
			t.Errorf("skill %q reaches %s, want %s", skill, got, want)
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	s := state(t)
	if _, err := s.Running(); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("nothing runs, error %v", err)
	}
	want := Info{PID: 7, Address: "http://127.0.0.1:1", Version: "v", Started: time.Now().UTC(), Skills: []string{"/a"}, Grants: []string{"/b"}}
	if err := s.Publish(want); err != nil {
		t.Fatal(err)
	}
	got, err := s.Running()
	if err != nil || got.Address != want.Address || !got.Started.Equal(want.Started) || got.Skills[0] != "/a" {
		t.Errorf("got %+v, error %v", got, err)
	}
	if err := errors.Join(s.Withdraw(), s.Withdraw()); err != nil {
		t.Error(err)
	}
	if _, err := s.Running(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}

func TestAgentDirStaysInside(t *testing.T) {
	t.Parallel()
	s := state(t)
	for _, name := range []AgentName{"", "..", "a/b", "/etc", "A", "a b", AgentName(strings.Repeat("a", 65))} {
		if dir, err := s.AgentDir(name); err == nil {
			t.Errorf("agent %q got the folder %s", name, dir)
		}
	}
}

func TestShellQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "''", "/a/b-c.d": "/a/b-c.d", "a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'"} {
		if got := ShellQuote(in); got != want {
			t.Errorf("ShellQuote(%q) = %s, want %s", in, got, want)
		}
	}
}
