package lock

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Filter puts every thread of the process under a seccomp filter, which needs
// no_new_privs to be set.
func Filter(prog []bpf.RawInstruction) error {
	ins := make([]unix.SockFilter, len(prog))
	for i, r := range prog {
		ins[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	if len(ins) == 0 {
		return errors.New("a filter without instructions")
	}
	fprog := unix.SockFprog{Len: uint16(len(ins)), Filter: &ins[0]}
	thread, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	switch {
	case e != 0:
		return fmt.Errorf("load the system call filter: %w", e)
	case thread != 0:
		return fmt.Errorf("load the system call filter: thread %d has another one", thread)
	}
	return nil
}

// ABI returns the version of Landlock that the kernel speaks, 0 if none.
func ABI() int {
	v, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return 0
	}
	return int(v)
}

// Rights by the version of Landlock that brought them.
const (
	rightsRead  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	rightsWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	rightsNever = unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK
	rightsFile  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
)

// Landlock leaves the calling thread, and what it executes, with the files that
// access names. The caller must have locked its goroutine to the thread, and
// no_new_privs must be set. A path that does not exist is an error.
func Landlock(access []Access) (err error) {
	abi := ABI()
	if abi == 0 {
		return fmt.Errorf("landlock: %w", ErrUnsupported)
	}
	write := uint64(rightsWrite)
	attr := unix.LandlockRulesetAttr{Handled_access_fs: rightsRead | rightsNever | unix.LANDLOCK_ACCESS_FS_EXECUTE}
	if abi >= 2 {
		write |= unix.LANDLOCK_ACCESS_FS_REFER // renames between directories are refused before
	}
	if abi >= 3 {
		write |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	attr.Handled_access_fs |= write
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	fd, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if e != 0 {
		return fmt.Errorf("landlock: make a rule set: %w", e)
	}
	rules := os.NewFile(fd, "landlock")
	defer func() { err = errors.Join(err, rules.Close()) }()
	for _, a := range access {
		rights := uint64(rightsRead)
		if a.Write {
			rights |= write
		}
		if a.Execute {
			rights |= unix.LANDLOCK_ACCESS_FS_EXECUTE
		}
		if err := beneath(rules, a.Path, rights&attr.Handled_access_fs); err != nil {
			return fmt.Errorf("landlock: %s: %w", a.Path, err)
		}
	}
	if _, _, e := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, rules.Fd(), 0, 0); e != 0 {
		return fmt.Errorf("landlock: %w", e)
	}
	return nil
}

func beneath(rules *os.File, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // opened for its place only
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= rightsFile
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	if _, _, e := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, rules.Fd(), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); e != 0 {
		return e
	}
	return nil
}
