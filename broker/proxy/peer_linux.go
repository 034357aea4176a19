package proxy

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

const canIdentify = true

// peer returns the user whose process opened c (SO_PEERCRED).
func peer(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("ask who opened the socket: %w", err)
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) //nolint:gosec // a descriptor
	})
	if err != nil || failed != nil {
		return 0, fmt.Errorf("ask who opened the socket: %w %w", err, failed)
	}
	return int(cred.Uid), nil
}
