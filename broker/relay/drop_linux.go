package main

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// lastCap is above every capability that there is: the kernel refuses to name those that
// it does not know.
const lastCap = 63

// dropPrivileges gives up what the relay had to bind low ports with, in each thread, so
// that neither the program nor a subverted relay has it: the ambient set, and the
// bounding set, which no executed file can exceed.
func dropPrivileges() error {
	prctl := func(option, arg uintptr) error {
		_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, option, arg, 0, 0, 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	}
	if err := prctl(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, 0); errno != 0 && errno != unix.EINVAL {
		return fmt.Errorf("ambient capabilities: %w", errno)
	}
	for c := uintptr(0); c <= lastCap; c++ {
		err := prctl(unix.PR_CAPBSET_DROP, c)
		if err == unix.EINVAL || err == unix.EPERM { //nolint:errorlint // an errno; EPERM: it may not drop, having none to drop
			continue
		}
		if err != nil {
			return fmt.Errorf("capability %d: %w", c, err)
		}
	}
	return nil
}
