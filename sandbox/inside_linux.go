package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/glovebox-dev/glovebox/sandbox/filter"
	"github.com/glovebox-dev/glovebox/sandbox/lock"
)

// openFiles is how many descriptors a confined child may have.
const openFiles = 64

// Inside must be the first thing that the program does for Verb, with the
// arguments that follow it. It lowers the limits of the process to what the
// spawner wrote in the first argument, gives up the right to gain privileges and
// the system calls that a compiler does not need, then returns the arguments that are left. Nothing of the input may be read
// before. An error means that the child must end.
//
// For the inside step of a box it does not return: the process becomes the program
// of the box.
//
// Where privileges can still be gained the program is executed anew, so that
// the restriction holds for every thread.
func Inside(args []string) (Cell, []string, error) {
	if len(args) == 0 {
		return Cell{}, nil, errors.New("this verb is for the program's own use")
	}
	if args[0] == boxArg {
		return Cell{}, nil, enter()
	}
	if expect, ok := strings.CutPrefix(args[0], wallsPrefix); ok {
		return Cell{Probe: true, expect: []byte(expect)}, nil, nil
	}
	t, err := parseToken(args[0])
	if err != nil {
		return Cell{}, nil, err
	}
	if err := lower(t); err != nil {
		return Cell{}, nil, err
	}
	nnp, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return Cell{}, nil, fmt.Errorf("ask for no_new_privs: %w", err)
	}
	if nnp == 0 {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return Cell{}, nil, fmt.Errorf("set no_new_privs: %w", err)
		}
		argv := append([]string{"glovebox", Verb}, args...)
		return Cell{}, nil, fmt.Errorf("execute anew: %w", syscall.Exec("/proc/self/exe", argv, []string{}))
	}
	if err := confineCalls(); err != nil {
		return Cell{}, nil, err
	}
	return Cell{Out: t.out, Memory: int64(t.as / 2), Probe: t.probe}, args[1:], nil
}

// confineCalls puts all threads under the compiler's filter: from here on the child
// starts nothing and connects to nothing, with bubblewrap or without.
func confineCalls() error {
	arch, err := filter.Native()
	if err != nil {
		return err
	}
	prog, err := filter.Compiler(arch)
	if err != nil {
		return err
	}
	return lock.Filter(prog)
}

// lower sets hard limits, which an unprivileged process cannot raise again.
func lower(t token) error {
	for _, r := range rlimits(t) {
		if err := unix.Setrlimit(r.resource, &unix.Rlimit{Cur: r.max, Max: r.max}); err != nil {
			return fmt.Errorf("lower %s to %d: %w", r.name, r.max, err)
		}
	}
	return nil
}

type rlimit struct {
	name     string
	resource int
	max      uint64
}

func rlimits(t token) []rlimit {
	return []rlimit{
		{"core size", unix.RLIMIT_CORE, 0},
		{"processor time", unix.RLIMIT_CPU, t.cpu},
		{"file size", unix.RLIMIT_FSIZE, t.fsize},
		{"open files", unix.RLIMIT_NOFILE, openFiles},
		{"address space", unix.RLIMIT_AS, t.as},
	}
}

// finding is what a probe saw from inside.
type finding struct {
	UID         int
	PID         int
	Interfaces  []string
	Capable     bool // a capability is effective or can be gained
	NoNewPrivs  bool
	Filtered    bool // system calls are filtered
	WroteRoot   bool
	WroteOut    bool
	SawHome     bool // the host's home directories or /etc are there
	Environment int  // variables
	AS, CPU     uint64
}

// Probe looks around from inside the jail and writes what it found to out, for
// the spawner to judge.
func Probe(c Cell, out io.Writer) error {
	if c.expect != nil {
		return probeWalls(c.expect, out)
	}
	f := finding{UID: os.Getuid(), PID: os.Getpid()}
	b, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if name, _, ok := strings.Cut(line, ":"); ok {
			f.Interfaces = append(f.Interfaces, strings.TrimSpace(name))
		}
	}
	if b, err = os.ReadFile("/proc/self/status"); err != nil {
		return fmt.Errorf("read own status: %w", err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		k, v, _ := strings.Cut(line, ":")
		v = strings.TrimSpace(v)
		switch k {
		case "CapEff", "CapPrm":
			f.Capable = f.Capable || strings.Trim(v, "0") != ""
		case "NoNewPrivs":
			f.NoNewPrivs = v == "1"
		case "Seccomp":
			f.Filtered = v == "2"
		}
	}
	f.WroteRoot = wrote("/glovebox-probe") || wrote("/usr/glovebox-probe") || wrote("/etc/glovebox-probe")
	if c.Out != "" {
		f.WroteOut = wrote(c.Out + "/glovebox-probe")
	}
	for _, dir := range []string{"/home", "/root", "/etc", "/var"} {
		if _, err := os.Stat(dir); err == nil {
			f.SawHome = true
		}
	}
	if b, err = os.ReadFile("/proc/self/environ"); err == nil {
		f.Environment = strings.Count(string(b), "\x00")
	}
	var as, cpu unix.Rlimit
	if err := errors.Join(unix.Getrlimit(unix.RLIMIT_AS, &as), unix.Getrlimit(unix.RLIMIT_CPU, &cpu)); err != nil {
		return fmt.Errorf("read own limits: %w", err)
	}
	f.AS, f.CPU = as.Max, cpu.Max
	return json.NewEncoder(out).Encode(f)
}

func wrote(path string) bool {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return false
	}
	return errors.Join(f.Close(), os.Remove(path)) == nil
}
