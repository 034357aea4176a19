//go:build linux

package walls

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// refused passes if err is one of the wanted error numbers.
func refused(err error, wanted ...syscall.Errno) (Verdict, string) {
	if err == nil {
		return Fail, "it worked"
	}
	for _, w := range wanted {
		if errors.Is(err, w) {
			return Pass, unix.ErrnoName(w)
		}
	}
	var e syscall.Errno
	if errors.As(err, &e) {
		return Fail, unix.ErrnoName(e)
	}
	return Fail, err.Error()
}

// call makes a system call with arguments that a kernel without a filter answers
// otherwise than with EPERM where that is possible.
func call(nr uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	_, _, e := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if e != 0 {
		return e
	}
	return nil
}

const bad = ^uintptr(0) // an address and a descriptor that nobody has

// denied is a row whose call must be refused with EPERM.
func denied(id, what string, nr uintptr, args ...uintptr) attempt {
	return attempt{id: id, group: "kernel", what: what, try: func(Expect) (Verdict, string) {
		return refused(call(nr, args...), unix.EPERM)
	}}
}

func kernel() []attempt {
	self := uintptr(os.Getpid())
	return append([]attempt{
		denied("ptrace", "look into a process as a debugger", unix.SYS_PTRACE, unix.PTRACE_PEEKTEXT, bad>>1, 0, 0),
		denied("process_vm_readv", "read a process's memory", unix.SYS_PROCESS_VM_READV, self, 0, 0, 0, 0, 0),
		denied("process_vm_writev", "write a process's memory", unix.SYS_PROCESS_VM_WRITEV, self, 0, 0, 0, 0, 0),
		denied("pidfd_open", "get hold of a process", unix.SYS_PIDFD_OPEN, self, 0),
		denied("pidfd_getfd", "take a descriptor of a process", unix.SYS_PIDFD_GETFD, bad, 0, 0),
		denied("kcmp", "compare processes inside the kernel", unix.SYS_KCMP, self, self, 0, 0, 1),
		denied("mount", "mount", unix.SYS_MOUNT, bad, bad, bad, 0, 0),
		denied("umount2", "take a mount away", unix.SYS_UMOUNT2, bad, 0),
		denied("pivot_root", "change the root", unix.SYS_PIVOT_ROOT, bad, bad),
		denied("chroot", "change the process's root", unix.SYS_CHROOT, bad),
		denied("unshare", "leave name spaces", unix.SYS_UNSHARE, unix.CLONE_SYSVSEM),
		denied("setns", "enter name spaces", unix.SYS_SETNS, bad, 0),
		denied("open_tree", "the new mount interface: open a tree", unix.SYS_OPEN_TREE, bad, bad, 0),
		denied("move_mount", "the new mount interface: move a mount", unix.SYS_MOVE_MOUNT, bad, bad, bad, bad, 0),
		denied("fsopen", "the new mount interface: open a file system", unix.SYS_FSOPEN, bad, 0),
		denied("fsconfig", "the new mount interface: configure", unix.SYS_FSCONFIG, bad, 0, 0, 0, 0),
		denied("fsmount", "the new mount interface: make a mount", unix.SYS_FSMOUNT, bad, 0, 0),
		denied("fspick", "the new mount interface: pick a mount", unix.SYS_FSPICK, bad, bad, 0),
		denied("mount_setattr", "make mounts writable again", unix.SYS_MOUNT_SETATTR, bad, bad, 0, 0, 0),
		denied("open_by_handle_at", "open a file past every mount", unix.SYS_OPEN_BY_HANDLE_AT, bad, bad, 0),
		denied("name_to_handle_at", "name a file past every mount", unix.SYS_NAME_TO_HANDLE_AT, bad, bad, bad, bad, 0),
		denied("fanotify_init", "watch everybody's files", unix.SYS_FANOTIFY_INIT, bad, 0),
		denied("bpf", "load a program into the kernel", unix.SYS_BPF, bad, bad, 0),
		denied("perf_event_open", "measure other processes", unix.SYS_PERF_EVENT_OPEN, bad, 0, 0, 0, 0),
		denied("userfaultfd", "stop the kernel in the middle of a copy", unix.SYS_USERFAULTFD, bad),
		denied("io_uring_setup", "open a queue past the system call filter", unix.SYS_IO_URING_SETUP, 1, bad),
		denied("io_uring_enter", "use such a queue", unix.SYS_IO_URING_ENTER, bad, 0, 0, 0, 0, 0),
		denied("io_uring_register", "register with such a queue", unix.SYS_IO_URING_REGISTER, bad, 0, 0, 0),
		denied("vmsplice", "splice memory into a pipe", unix.SYS_VMSPLICE, bad, 0, 0, 0),
		denied("add_key", "store a key in the kernel", unix.SYS_ADD_KEY, bad, 0, 0, 0, 0),
		denied("request_key", "ask for a key in the kernel", unix.SYS_REQUEST_KEY, bad, 0, 0, 0),
		denied("keyctl", "use the session's keyring", unix.SYS_KEYCTL, 0, ^uintptr(3-1), 0),
		denied("init_module", "load a module", unix.SYS_INIT_MODULE, bad, 0, bad),
		denied("finit_module", "load a module from a file", unix.SYS_FINIT_MODULE, bad, bad, 0),
		denied("kexec_load", "load another kernel", unix.SYS_KEXEC_LOAD, 0, 0, 0, 0),
		denied("kexec_file_load", "load another kernel from a file", unix.SYS_KEXEC_FILE_LOAD, bad, bad, 0, bad, 0),
		denied("syslog", "read the kernel's log", unix.SYS_SYSLOG, 10),
		denied("clock_settime", "set the clock", unix.SYS_CLOCK_SETTIME, bad, bad),
		denied("move_pages", "move pages", unix.SYS_MOVE_PAGES, bad, 0, 0, 0, 0, bad),
		denied("tiocsti", "press keys in a terminal", unix.SYS_IOCTL, bad, unix.TIOCSTI, 0),
		denied("tioclinux", "paste into the console", unix.SYS_IOCTL, bad, 0x541c, 0),
		denied("personality", "turn off random addresses", unix.SYS_PERSONALITY, 0x40000),
		{"clone3", "kernel", "clone with flags that no filter can read", false, func(Expect) (Verdict, string) {
			return refused(call(unix.SYS_CLONE3, 0, 0), unix.ENOSYS)
		}},
		{"memfd", "kernel", "make an executable file without a name", false, func(e Expect) (Verdict, string) {
			fd, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC)
			if err == nil {
				_ = unix.Close(fd)
				if e.Runs {
					return Open, "what the program makes may run"
				}
			}
			return refused(err, unix.EPERM)
		}},
		nameSpace("clone-newuser", "start a process in a new user name space", unix.CLONE_NEWUSER),
		nameSpace("clone-newns", "start a process in a new mount name space", unix.CLONE_NEWNS),
		nameSpace("clone-newnet", "start a process in a new network name space", unix.CLONE_NEWNET),
		nameSpace("clone-newpid", "start a process in a new process name space", unix.CLONE_NEWPID),
	}, oldKernel()...)
}

// nameSpace starts this program again in name spaces of its own.
func nameSpace(id, what string, flags uintptr) attempt {
	return attempt{id: id, group: "kernel", what: what, try: func(Expect) (Verdict, string) {
		p, err := os.StartProcess("/proc/self/exe", []string{"x"}, &os.ProcAttr{Files: make([]*os.File, 3), Sys: &syscall.SysProcAttr{Cloneflags: flags}})
		if err == nil {
			_ = p.Kill()
			_, _ = p.Wait()
		}
		return refused(err, unix.EPERM)
	}}
}

// status returns the fields of /proc/self/status.
func status() (map[string]string, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok {
			fields[k] = strings.TrimSpace(v)
		}
	}
	return fields, nil
}

func field(id, what, name, want string) attempt {
	return attempt{id: id, group: "privileges", what: what, try: func(Expect) (Verdict, string) {
		f, err := status()
		switch got, ok := f[name]; {
		case err != nil || !ok:
			return Unobserved, fmt.Sprint(name, " is not told: ", err)
		case strings.Trim(got, "0") != strings.Trim(want, "0"):
			return Fail, name + " " + got
		default:
			return Pass, name + " " + got
		}
	}}
}

func privileges() []attempt {
	return []attempt{
		field("cap-effective", "have a capability", "CapEff", "0"),
		field("cap-permitted", "be able to raise a capability", "CapPrm", "0"),
		field("cap-bounding", "gain a capability by executing", "CapBnd", "0"),
		field("cap-ambient", "hand a capability on", "CapAmb", "0"),
		field("no-new-privs", "gain privileges by executing", "NoNewPrivs", "1"),
		field("seccomp", "call without a filter", "Seccomp", "2"),
		{"setuid", "privileges", "become root", false, func(Expect) (Verdict, string) {
			if os.Getuid() == 0 || os.Geteuid() == 0 || os.Getgid() == 0 {
				return Fail, "it is"
			}
			return refused(unix.Setuid(0), unix.EPERM, unix.EINVAL)
		}},
		{"setgid", "privileges", "take the group of root", false, func(Expect) (Verdict, string) {
			return refused(unix.Setgid(0), unix.EPERM, unix.EINVAL)
		}},
		{"core-pattern", "privileges", "choose what the host runs at a crash", false, func(Expect) (Verdict, string) {
			return rewrite("/proc/sys/kernel/core_pattern")
		}},
		{"sysctl", "privileges", "change another setting of the host", false, func(Expect) (Verdict, string) {
			return rewrite("/proc/sys/vm/overcommit_memory")
		}},
		{"sysrq", "privileges", "restart the host", false, func(Expect) (Verdict, string) {
			f, err := os.OpenFile("/proc/sysrq-trigger", os.O_WRONLY, 0)
			if err == nil { // nothing is written: that would do it
				_ = f.Close()
			}
			return refused(err, unix.EROFS, unix.EACCES, unix.ENOENT)
		}},
	}
}

// rewrite writes a setting's own value back, which harms nobody if it works.
func rewrite(path string) (Verdict, string) {
	b, err := os.ReadFile(path)
	if err != nil {
		return refused(err, unix.ENOENT, unix.EACCES)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.Write(b)
		err = errors.Join(err, f.Close())
	}
	return refused(err, unix.EROFS, unix.EACCES, unix.EPERM)
}

// deaf keeps a signal from ending the probe.
func deaf(s os.Signal) func() {
	signal.Ignore(s)
	return func() { signal.Reset(s) }
}
