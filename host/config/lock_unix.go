//go:build unix

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Lock takes the folder for one daemon; the kernel gives it up when the process
// ends, however it ends. release may be called once.
func (s *State) Lock() (release func() error, err error) {
	f, err := os.OpenFile(s.path("run/lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, s.dir)
		}
		return nil, fmt.Errorf("lock state folder: %w", err)
	}
	return f.Close, nil
}

// owned refuses what another user could change under us.
func owned(path string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: %s", ErrOwner, path)
	}
	return nil
}
