package filter

import "golang.org/x/net/bpf"

// Compiler returns the filter of the compiler's child: what the Go runtime and a
// program need that reads its input, computes in memory and writes files. It makes
// threads but no processes, executes nothing, opens no socket, signals nobody and
// asks for limits without changing them.
func Compiler(a Arch) ([]bpf.RawInstruction, error) {
	p := program{arch: a}
	p.prologue()
	for _, call := range needed() {
		p.on(call, ret(Allow))
	}
	p.on("clone",
		arg(0), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: cloneNew, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: cloneThread, SkipTrue: 1}, ret(EPERM), ret(Allow))
	p.on("clone3", ret(ENOSYS))
	p.on("prlimit64", // the new limit, argument 2, is a null pointer in both halves
		arg(2), bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 2},
		bpf.LoadAbsolute{Off: offArg + 8*2 + 4, Size: 4}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1},
		ret(EPERM), ret(Allow))
	p.add(ret(EPERM))
	return p.assemble()
}

const cloneThread = 0x00010000 // CLONE_THREAD

func needed() []string {
	return []string{
		// Files.
		"read", "write", "readv", "writev", "pread64", "pwrite64", "open", "openat", "close", "fstat", "newfstatat", "stat", "lstat",
		"lseek", "fcntl", "fsync", "fdatasync", "ftruncate", "getdents64", "mkdir", "mkdirat", "rename", "renameat", "renameat2",
		"unlink", "unlinkat", "rmdir", "readlink", "readlinkat", "getcwd", "access", "faccessat", "faccessat2",
		// Memory: the engine maps the code that it made.
		"mmap", "munmap", "mprotect", "mremap", "madvise", "brk", "mincore", "membarrier",
		// Threads, signals, time.
		"futex", "set_robust_list", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "tgkill",
		"gettid", "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "nanosleep", "clock_nanosleep", "clock_gettime",
		"clock_getres", "gettimeofday", "sched_yield", "sched_getaffinity", "timer_create", "timer_settime", "timer_delete",
		// Waiting for descriptors.
		"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2", "pipe2", "poll", "ppoll", "pselect6",
		// The rest.
		"getrandom", "uname", "sysinfo", "getrusage", "getrlimit", "exit", "exit_group",
	}
}
