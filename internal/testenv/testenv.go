// Package testenv makes skipped tests visible: a test that lacks a real part skips
// on a developer's machine and fails where GLOVEBOX_TEST_REQUIRE names that part.
package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Need skips t when probe says that the host lacks what, and fails t when the
// comma-separated list in GLOVEBOX_TEST_REQUIRE holds what.
func Need(t testing.TB, what string, probe func() error) {
	t.Helper()
	err := probe()
	switch {
	case err == nil:
	case slices.Contains(strings.Split(os.Getenv("GLOVEBOX_TEST_REQUIRE"), ","), what):
		t.Fatalf("%s is required here: %v", what, err)
	default:
		t.Skipf("needs %s: %v", what, err)
	}
}

// Program returns a probe that looks for a program on PATH.
func Program(name string) func() error {
	return func() error {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%s is not installed: %w", name, err)
		}
		return nil
	}
}

// Root is the probe for the rights of root.
func Root() error {
	if os.Geteuid() != 0 {
		return errors.New("this is not root")
	}
	return nil
}

// Resident returns the resident memory of this process in bytes.
func Resident(t testing.TB) int64 {
	t.Helper()
	var pages int64
	Need(t, "proc", func() error {
		b, err := os.ReadFile("/proc/self/statm")
		if err == nil {
			_, err = fmt.Sscanf(string(b), "%d %d", new(int64), &pages)
		}
		return err
	})
	return pages * int64(os.Getpagesize())
}

// ModuleDir returns where the source of a Go module that this one requires lies.
func ModuleDir(t testing.TB, path string) string {
	t.Helper()
	var dir string
	Need(t, "module-cache", func() error {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", path).Output()
		if dir = strings.TrimSpace(string(out)); err == nil && dir == "" {
			err = fmt.Errorf("the source of %s is not at hand", path)
		}
		return err
	})
	return dir
}

// Bwrap is the probe for a working bubblewrap with user namespaces: it runs
// something inside, since a binary that is present may still be refused.
func Bwrap() error {
	cmd := exec.Command("bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib",
		"--symlink", "usr/lib64", "/lib64", "--", "/usr/bin/true")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("bwrap does not work here: %w: %s", err, out)
	}
	return nil
}

// Killed runs a program and reports whether SIGKILL ended it.
func Killed(t testing.TB, name string, args ...string) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == -1 {
		return true
	}
	t.Logf("%s ended with %v: %s", name, err, out)
	return false
}
