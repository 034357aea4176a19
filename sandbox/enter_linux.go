package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/glovebox-dev/glovebox/sandbox/filter"
	"github.com/glovebox-dev/glovebox/sandbox/lock"
)

// Descriptors of a box's child. The first two are bubblewrap's, the others reach
// the inside step; none reaches the program.
const (
	argsFD   = 3 // bubblewrap's arguments, which other users need not read
	pidFD    = 4 // bubblewrap tells which process is the box's init
	entryFD  = 5 // the entry
	statusFD = 6 // the inside step tells that the program is about to start, or why not
)

// entered is what the inside step says before it executes the program.
const entered = "entered\n"

// entry is what the inside step has to do, in JSON. It does not travel in the
// arguments, which every user of the host may read.
type entry struct {
	Argv     []string      `json:"argv"`
	Env      []string      `json:"env"`
	Landlock bool          `json:"landlock"` // the kernel has it
	Access   []lock.Access `json:"access"`
	Memfd    bool          `json:"memfd"`
	Limits   Limits        `json:"limits"`
}

// enter is the inside step: in the box, before the program, this program puts
// itself under resource limits, Landlock and the filter, and becomes the program.
// It returns only if that fails.
func enter() error {
	status := os.NewFile(statusFD, "status")
	err := enterFrom(os.NewFile(entryFD, "entry"), status)
	_, werr := fmt.Fprintln(status, err)
	return errors.Join(err, werr)
}

func enterFrom(in io.Reader, status io.Writer) error {
	// Landlock holds for one thread, which then becomes the program.
	runtime.LockOSThread()
	var e entry
	if err := json.NewDecoder(in).Decode(&e); err != nil {
		return fmt.Errorf("read the entry: %w", err)
	}
	if nnp, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || nnp != 1 {
		return errors.Join(errors.New("no_new_privs is not set"), err)
	}
	arch, err := filter.Native()
	if err != nil {
		return err
	}
	prog, err := filter.Box(arch, filter.Options{Memfd: e.Memfd})
	if err != nil {
		return err
	}
	if e.Landlock {
		if err := lock.Landlock(e.Access); err != nil {
			return err
		}
	}
	if err := unix.CloseRange(3, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close descriptors: %w", err)
	}
	for _, r := range e.Limits.rlimits() {
		if err := unix.Setrlimit(r.resource, &unix.Rlimit{Cur: r.max, Max: r.max}); err != nil {
			return fmt.Errorf("lower %s to %d: %w", r.name, r.max, err)
		}
	}
	if err := lock.Filter(prog); err != nil {
		return err
	}
	if _, err := io.WriteString(status, entered); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return fmt.Errorf("execute %s: %w", e.Argv[0], syscall.Exec(e.Argv[0], e.Argv, e.Env))
}

// rlimits are the limits that hold for each process. Data is what a process can
// write to, so an interpreter may reserve address space as it likes.
func (l Limits) rlimits() []rlimit {
	all := []rlimit{
		{"core size", unix.RLIMIT_CORE, 0},
		{"file size", unix.RLIMIT_FSIZE, uint64(l.FileSize)},
		{"open files", unix.RLIMIT_NOFILE, uint64(l.Files)},
		{"message queues", unix.RLIMIT_MSGQUEUE, 0},
		{"locked memory", unix.RLIMIT_MEMLOCK, 64 << 10},
		{"data", unix.RLIMIT_DATA, uint64(l.Memory)},
		{"processes", unix.RLIMIT_NPROC, uint64(l.Procs)},
	}
	if l.CPU != Unlimited {
		all = append(all, rlimit{"processor time", unix.RLIMIT_CPU, uint64(max(1, l.CPU.Round(1e9)/1e9))})
	}
	return all
}
