package filter

import (
	"golang.org/x/net/bpf"
)

// What a filter answers: SECCOMP_RET_… with the error number in the low bits.
const (
	Allow = 0x7fff0000
	Kill  = 0x80000000 // the whole process
	errno = 0x00050000

	EPERM        = errno | 1
	ENOSYS       = errno | 38
	EAFNOSUPPORT = errno | 97
)

// Offsets in struct seccomp_data, for the low half of an argument on a
// little-endian machine, which all of Arches are.
const (
	offNumber = 0
	offArch   = 4
	offArg    = 16
)

// youngest is the last call that the list was written against (file_setattr,
// Linux 6.17); numbers are the same on all architectures since 424.
const youngest = 469

// Denied returns the calls that no box needs, in groups with the reason.
func Denied() []Group {
	return []Group{
		{"other processes' memory, descriptors and state", []string{"ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open", "pidfd_getfd", "kcmp", "process_madvise"}},
		{"mounts and name spaces, and files by handle past every mount", []string{"mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "statmount", "listmount", "open_by_handle_at", "name_to_handle_at", "fanotify_init", "fanotify_mark"}},
		{"interpreters and queues inside the kernel, the source of most local exploits", []string{"bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "vmsplice"}},
		{"keyrings, which no user name space separates", []string{"add_key", "request_key", "keyctl"}},
		{"code in the kernel, other kernels, and the whole machine", []string{"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "sethostname", "setdomainname", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "vhangup", "syslog"}},
		{"ports, segments and calls of the past", []string{"iopl", "ioperm", "modify_ldt", "lookup_dcookie", "nfsservctl", "uselib", "ustat", "sysfs", "_sysctl", "afs_syscall"}},
		{"placement of pages, a tool of exploits", []string{"move_pages", "migrate_pages", "mbind", "set_mempolicy", "set_mempolicy_home_node"}},
		{"memory that the kernel itself cannot read, and security modules", []string{"memfd_secret", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules"}},
	}
}

// Group is some calls that are refused for one reason.
type Group struct {
	Why   string
	Calls []string
}

// Options vary a filter of a box.
type Options struct {
	Memfd bool // files without a name may be made: they can be executed
}

// Box returns the filter of programs that are not trusted.
func Box(a Arch, o Options) ([]bpf.RawInstruction, error) {
	p := program{arch: a}
	p.prologue()
	p.add(bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: youngest, SkipTrue: 1}, ret(ENOSYS))
	for _, g := range Denied() {
		for _, call := range g.Calls {
			p.on(call, ret(EPERM))
		}
	}
	if !o.Memfd {
		p.on("memfd_create", ret(EPERM))
	}
	p.on("clone3", ret(ENOSYS)) // its flags lie in memory; the C library falls back on clone
	p.on("clone",
		arg(0), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: cloneNew, SkipFalse: 1}, ret(EPERM), ret(Allow))
	for _, call := range []string{"socket", "socketpair"} {
		p.on(call, sockets()...)
	}
	p.on("personality", // asking is allowed, and the plain Linux of containers' programs
		arg(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0xffffffff, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, ret(EPERM), ret(Allow))
	p.on("ioctl", // keys pressed into another's terminal
		arg(1), bpf.JumpIf{Cond: bpf.JumpEqual, Val: tiocsti, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: tioclinux, SkipTrue: 1}, ret(EPERM), ret(Allow))
	p.add(ret(Allow))
	return p.assemble()
}

const (
	cloneNew  = 0x7e020000 // CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET
	tiocsti   = 0x5412
	tioclinux = 0x541c
)

// sockets admits AF_UNIX, AF_INET and AF_INET6, and no raw ones.
func sockets() []bpf.Instruction {
	return []bpf.Instruction{
		arg(0),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 1, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 2, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 10, SkipTrue: 1},
		ret(EAFNOSUPPORT),
		arg(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 3, SkipFalse: 1}, ret(EPERM), ret(Allow),
	}
}

func ret(v uint32) bpf.Instruction { return bpf.RetConstant{Val: v} }

// arg loads the low half of an argument.
func arg(i uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: offArg + 8*i, Size: 4} }

// program is a filter in the making. After its prologue the accumulator holds the
// number of the call, as every block expects and none that goes on changes.
type program struct {
	arch Arch
	ins  []bpf.Instruction
	err  error
}

func (p *program) add(ins ...bpf.Instruction) { p.ins = append(p.ins, ins...) }

// prologue ends a process that calls through another ABI, whose numbers mean
// other calls.
func (p *program) prologue() {
	p.add(bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: p.arch.audit, SkipTrue: 1}, ret(Kill),
		bpf.LoadAbsolute{Off: offNumber, Size: 4})
	if p.arch.x32 {
		p.add(bpf.JumpIf{Cond: bpf.JumpLessThan, Val: 0x40000000, SkipTrue: 1}, ret(Kill))
	}
}

// on does block, which must end with an answer, for one call.
func (p *program) on(call string, block ...bpf.Instruction) {
	n, err := p.arch.number(call)
	if err != nil {
		p.err = err
	}
	if n != none {
		p.add(bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: n, SkipTrue: uint8(len(block))})
		p.add(block...)
	}
}

func (p *program) assemble() ([]bpf.RawInstruction, error) {
	if p.err != nil {
		return nil, p.err
	}
	return bpf.Assemble(p.ins)
}
