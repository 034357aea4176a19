//go:build linux

package walls

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func processes() []attempt {
	return []attempt{
		{"pids", "processes", "see the host's processes", false, func(Expect) (Verdict, string) {
			list, err := os.ReadDir("/proc")
			if err != nil {
				return Unobserved, err.Error()
			}
			n := 0
			for _, d := range list {
				if _, err := strconv.Atoi(d.Name()); err == nil {
					n++
				}
			}
			if n == 0 || n > 16 || os.Getpid() > 16 {
				return Fail, fmt.Sprintf("%d processes, own number %d", n, os.Getpid())
			}
			return Pass, "its own only"
		}},
		{"signal", "processes", "signal a process of the host", false, func(e Expect) (Verdict, string) {
			if e.PID < 16 {
				return Unobserved, "no process is known"
			}
			return refused(unix.Kill(e.PID, 0), unix.ESRCH)
		}},
		{"memory-of-init", "processes", "open the memory of the box's init", false, func(Expect) (Verdict, string) {
			f, err := os.OpenFile("/proc/1/mem", os.O_RDWR, 0)
			if err == nil {
				_ = f.Close()
			}
			return refused(err, unix.EACCES, unix.EROFS, unix.EPERM)
		}},
		{"environment", "processes", "have variables that nobody granted", false, func(e Expect) (Verdict, string) {
			b, err := os.ReadFile("/proc/self/environ")
			if err != nil {
				return Unobserved, err.Error()
			}
			seen := 0
			for kv := range strings.SplitSeq(strings.TrimRight(string(b), "\x00"), "\x00") {
				if name, _, _ := strings.Cut(kv, "="); !slices.Contains(e.Env, name) {
					return Fail, name
				}
				seen++
			}
			if seen != len(e.Env) {
				return Unobserved, "granted variables are missing"
			}
			return Pass, "the granted ones only"
		}},
		{"environments", "processes", "read variables of others", false, func(e Expect) (Verdict, string) {
			paths, err := filepath.Glob("/proc/[0-9]*/environ")
			if err != nil || len(paths) == 0 {
				return Unobserved, fmt.Sprint(len(paths), " processes ", err)
			}
			for _, p := range paths {
				b, err := os.ReadFile(p)
				if err != nil {
					continue // closed, or gone
				}
				for kv := range strings.SplitSeq(string(b), "\x00") {
					if name, _, _ := strings.Cut(kv, "="); name != "" && name != "PWD" && !slices.Contains(e.Env, name) {
						return Fail, p + ": " + name
					}
				}
			}
			return Pass, "nothing of the host"
		}},
		{"descriptors", "processes", "inherit a descriptor", false, descriptors},
		{"terminal", "processes", "find a terminal", false, func(Expect) (Verdict, string) {
			f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
			if err == nil {
				_ = f.Close()
			}
			return refused(err, unix.ENOENT, unix.ENXIO, unix.EACCES)
		}},
		{"session", "processes", "stay in the session of the daemon", false, func(Expect) (Verdict, string) {
			sid, err := unix.Getsid(0)
			if err != nil {
				return Unobserved, err.Error()
			}
			if sid == 0 { // led from outside of the process name space
				return Fail, "the session of the host"
			}
			return Pass, "its own"
		}},
	}
}

// descriptors looks for open files that are neither the standard ones nor made by
// the runtime of this program.
func descriptors(Expect) (Verdict, string) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return Unobserved, err.Error()
	}
	defer dir.Close() //nolint:errcheck // opened for reading
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return Unobserved, err.Error()
	}
	own := strconv.Itoa(int(dir.Fd()))
	for _, name := range names {
		if fd, err := strconv.Atoi(name); err != nil || fd <= 2 || name == own {
			continue
		}
		to, err := os.Readlink("/proc/self/fd/" + name)
		if errors.Is(err, os.ErrNotExist) || strings.HasPrefix(to, "anon_inode:[event") {
			continue // the runtime's poller
		}
		return Fail, name + " is " + to
	}
	return Pass, "the standard ones only"
}
