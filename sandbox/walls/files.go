//go:build linux

package walls

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

func files() []attempt {
	absent := func(id, what string, paths ...string) attempt {
		return attempt{id: id, group: "files", what: what, try: func(Expect) (Verdict, string) {
			for _, p := range paths {
				if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
					return Fail, p + " is there"
				}
			}
			return Pass, "absent"
		}}
	}
	return []attempt{
		absent("homes", "find home directories", "/root", "/home", "/Users"),
		absent("state", "find the host's state", "/var", "/run", "/srv", "/mnt", "/media", "/boot", "/opt"),
		absent("sys", "find /sys, with its cgroups and devices", "/sys", "/proc/sys/fs/binfmt_misc/register"),
		absent("runtime-sockets", "find sockets of the host's services", "/run/user", "/var/run/docker.sock", "/run/systemd", "/tmp/.X11-unix"),
		absent("accounts", "find the host's accounts", "/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssh", "/etc/machine-id"),
		{"secrets", "files", "read files that everyone on the host may read", false, func(e Expect) (Verdict, string) {
			if len(e.Secrets) == 0 {
				return Unobserved, "no file is known"
			}
			for _, p := range e.Secrets {
				if b, err := os.ReadFile(p); !errors.Is(err, fs.ErrNotExist) {
					return Fail, fmt.Sprintf("%s: %d bytes, %v", p, len(b), err)
				}
			}
			return Pass, "absent"
		}},
		{"root-of-init", "files", "enter the host through /proc/1/root", false, func(e Expect) (Verdict, string) {
			for _, p := range e.Secrets {
				if _, err := os.ReadFile("/proc/1/root" + p); err == nil {
					return Fail, p
				}
			}
			if _, err := os.Lstat("/proc/1/root/var"); err == nil {
				return Fail, "/proc/1/root/var"
			}
			return Pass, "nothing of the host"
		}},
		{"writes", "files", "write outside of the writable directories", false, strayWrites},
		{"mounts", "files", "find a writable mount", false, mounts},
		{"devices", "files", "find a device", false, devices},
		{"kernel-facts", "files", "read the kernel's addresses and arguments", false, func(Expect) (Verdict, string) {
			for _, p := range []string{"/proc/kallsyms", "/proc/cmdline", "/proc/kcore", "/proc/modules", "/proc/config.gz", "/proc/keys", "/proc/timer_list"} {
				if b, err := os.ReadFile(p); err == nil && len(b) > 0 {
					return Fail, fmt.Sprintf("%s: %d bytes", p, len(b))
				}
			}
			return Pass, "closed"
		}},
		{"second-wall", "files", "open what Landlock alone keeps closed", false, func(e Expect) (Verdict, string) {
			if !e.Landlock {
				return Open, "the kernel has no Landlock"
			}
			if _, err := os.Lstat(e.Closed); err != nil {
				return Unobserved, err.Error()
			}
			_, err := os.ReadFile(e.Closed)
			return refused(err, unix.EACCES)
		}},
		{"symlink", "files", "leave the workspace through a symbolic link", false, func(e Expect) (Verdict, string) {
			link := filepath.Join(e.Workspace, ".glovebox-probe-link")
			for _, target := range e.Secrets {
				if err := os.Symlink(target, link); err != nil {
					return Unobserved, err.Error()
				}
				_, err := os.ReadFile(link)
				if rm := os.Remove(link); rm != nil {
					return Unobserved, rm.Error()
				}
				if v, saw := refused(err, unix.ENOENT, unix.EACCES); v != Pass {
					return v, saw
				}
			}
			return Pass, "ENOENT"
		}},
		{"hardlink", "files", "take a system file into the workspace with a hard link", false, func(e Expect) (Verdict, string) {
			link := filepath.Join(e.Workspace, ".glovebox-probe-hard")
			err := os.Link("/proc/self/exe", link)
			if err == nil {
				_ = os.Remove(link)
			}
			return refused(err, unix.EXDEV, unix.EROFS, unix.EACCES, unix.EPERM)
		}},
		{"device-node", "files", "make a device", false, func(e Expect) (Verdict, string) {
			node := filepath.Join(e.Workspace, ".glovebox-probe-node")
			err := unix.Mknod(node, unix.S_IFBLK|0o600, int(unix.Mkdev(8, 0)))
			if err == nil {
				_ = os.Remove(node)
			}
			return refused(err, unix.EPERM, unix.EACCES)
		}},
		{"write-then-run", "files", "execute what it wrote", true, writeThenRun},
	}
}

// strayWrites tries to make a file in directories of the system.
func strayWrites(e Expect) (Verdict, string) {
	tried := 0
	for _, dir := range []string{"/", "/etc", "/usr", "/usr/bin", "/usr/lib", "/bin", "/lib", "/lib64", "/dev", "/dev/shm", "/proc", "/proc/self", "/app", "/closed"} {
		if slices.Contains(e.Writable, dir) {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, ".glovebox-probe"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			_, _ = f.Close(), os.Remove(f.Name())
			return Fail, dir
		}
		tried++
	}
	for _, dir := range e.Writable {
		f, err := os.CreateTemp(dir, ".glovebox-probe-")
		if err != nil {
			return Unobserved, "a writable directory is not: " + err.Error()
		}
		if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
			return Unobserved, err.Error()
		}
	}
	return Pass, fmt.Sprintf("%d directories closed", tried)
}

// mounts reads what is mounted: only the writable directories and single device
// files are not read-only, and none honours set-user-ID.
func mounts(e Expect) (Verdict, string) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Unobserved, err.Error()
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 6 {
			return Unobserved, "a line of " + fmt.Sprint(len(f)) + " fields"
		}
		at, options := f[4], strings.Split(f[5], ",")
		n++
		if !slices.Contains(options, "nosuid") {
			return Fail, at + " honours set-user-ID"
		}
		device := strings.HasPrefix(at, "/dev/") && at != "/dev/shm"
		if !slices.Contains(options, "ro") && !slices.Contains(e.Writable, at) && !device {
			return Fail, at + " is writable"
		}
	}
	if n == 0 {
		return Unobserved, "nothing is mounted"
	}
	return Pass, "read-only"
}

// devices lists /dev, which holds the harmless ones, and tries the others by name.
func devices(Expect) (Verdict, string) {
	list, err := os.ReadDir("/dev")
	if err != nil {
		return Unobserved, err.Error()
	}
	for _, d := range list {
		switch d.Name() {
		case "null", "zero", "full", "random", "urandom", "fd", "stdin", "stdout", "stderr", "shm":
		default:
			return Fail, "/dev/" + d.Name()
		}
	}
	for _, name := range []string{"kmsg", "mem", "kvm", "fuse", "tty", "ptmx", "console", "vsock", "net/tun"} {
		if f, err := os.OpenFile("/dev/"+name, os.O_RDONLY, 0); err == nil {
			_ = f.Close()
			return Fail, "/dev/" + name
		}
	}
	return Pass, "harmless ones only"
}

// writeThenRun copies this program into every writable directory and executes it.
func writeThenRun(e Expect) (Verdict, string) {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return Unobserved, err.Error()
	}
	saw := ""
	for _, dir := range e.Writable {
		path := filepath.Join(dir, ".glovebox-probe-run")
		if err := os.WriteFile(path, self, 0o700); err != nil {
			if errors.Is(err, unix.ENOSPC) {
				continue // too small to hold a program
			}
			return Unobserved, err.Error()
		}
		p, err := os.StartProcess(path, []string{"probe", Hostile, "nothing"}, &os.ProcAttr{Files: make([]*os.File, 3)})
		if err == nil {
			_, err = p.Wait()
			if rm := os.Remove(path); err != nil || rm != nil {
				return Unobserved, fmt.Sprint(err, rm)
			}
			if e.Runs {
				return Open, "what the program makes may run"
			}
			return Fail, dir
		}
		if rm := os.Remove(path); rm != nil {
			return Unobserved, rm.Error()
		}
		var v Verdict
		if v, saw = refused(err, unix.EACCES); v != Pass {
			return v, saw
		}
	}
	if !e.Landlock {
		return Open, "the kernel has no Landlock"
	}
	return Pass, saw
}
