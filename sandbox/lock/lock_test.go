//go:build linux

package lock_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/sandbox/lock"
)

// TestMain lets the test binary be the process that locks itself in.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "locked" {
		fmt.Print(locked(os.Args[2:]))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func locked(args []string) string {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err.Error()
	}
	switch args[0] {
	case "filter": // getppid is refused on every thread, the rest is allowed
		prog, err := bpf.Assemble([]bpf.Instruction{
			bpf.LoadAbsolute{Off: 0, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_GETPPID, SkipTrue: 1},
			bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
			bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
		})
		if err != nil {
			return err.Error()
		}
		ready, do, said := make(chan bool), make(chan bool), make(chan error)
		go func() {
			runtime.LockOSThread()
			ready <- true
			<-do
			_, _, e := unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
			said <- e
		}()
		<-ready
		err = lock.Filter(prog)
		do <- true
		_, _, e := unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
		return fmt.Sprint(err, " ", e, " ", <-said)
	case "empty":
		return fmt.Sprint(lock.Filter(nil))
	case "files":
		dir := args[1]
		access := []lock.Access{{Path: filepath.Join(dir, "read")}, {Path: filepath.Join(dir, "write"), Write: true}, {Path: filepath.Join(dir, "file")}}
		if err := lock.Landlock(access); err != nil {
			return err.Error()
		}
		var out []string
		for _, path := range []string{"read/a", "write/a", "closed/a", "file"} {
			_, r := os.ReadFile(filepath.Join(dir, path))
			w := os.WriteFile(filepath.Join(dir, path), []byte("y"), 0o600)
			out = append(out, fmt.Sprint(path, " ", r == nil, " ", w == nil))
		}
		_, dirErr := os.ReadDir(dir)
		mk := os.Mkdir(filepath.Join(dir, "write", "new"), 0o700)
		fifo := unix.Mknod(filepath.Join(dir, "write", "dev"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3)))
		_, exe := exec.Command(filepath.Join(dir, "write", "a")).Output()
		return strings.Join(out, "\n") + fmt.Sprint("\n", dirErr == nil, mk == nil, fifo == nil, errors.Is(exe, unix.EACCES))
	case "missing":
		return fmt.Sprint(lock.Landlock([]lock.Access{{Path: "/nonexistent"}}))
	}
	return "?"
}

func lockedSays(t *testing.T, args ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(self, append([]string{"locked"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestFilterHoldsOnEveryThread(t *testing.T) {
	t.Parallel()
	if got, want := lockedSays(t, "filter"), "<nil> operation not permitted operation not permitted"; got != want {
		t.Errorf("got %q", got)
	}
	if got := lockedSays(t, "empty"); !strings.Contains(got, "without instructions") {
		t.Errorf("an empty filter: %q", got)
	}
}

func TestLandlockLeavesWhatIsNamed(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "landlock", func() error {
		if abi := lock.ABI(); abi < 3 {
			return fmt.Errorf("version %d does not count truncation", abi)
		}
		return nil
	})
	dir := t.TempDir()
	for _, sub := range []string{"read", "write", "closed"} {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, sub), 0o700), os.WriteFile(filepath.Join(dir, sub, "a"), []byte("x"), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := lockedSays(t, "files", dir)
	if want := "read/a true false\nwrite/a true true\nclosed/a false false\nfile true false\nfalse true false true"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := lockedSays(t, "missing"); !strings.Contains(got, "no such file") {
		t.Errorf("a path that is not there: %q", got)
	}
}
