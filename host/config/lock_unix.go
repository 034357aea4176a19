//go:build unix

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// How often Lock looks whether the lock is held, and how long it waits in between: a
// command that asks Locked holds it for an instant.
const (
	lockTries = 10
	lockPause = 20 * time.Millisecond
)

// Lock takes the folder for one daemon, and removes the address that a dead one left;
// the kernel gives the lock up when the process ends, however it ends. release may be
// called once.
func (s *State) Lock() (release func() error, err error) {
	f, err := os.OpenFile(s.path("run/lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state folder: %w", err)
	}
	for try := 1; ; try++ {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || try == lockTries {
			break
		}
		time.Sleep(lockPause)
	}
	if err == nil {
		err = s.Withdraw()
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, s.dir)
		}
		return nil, fmt.Errorf("lock state folder: %w", err)
	}
	return f.Close, nil
}

// Locked reports whether a daemon runs on the folder. An address in it counts only as
// long as one does: of a daemon that was killed the address stays, and anybody may
// listen there since.
func (s *State) Locked() (bool, error) {
	f, err := os.Open(s.path("run/lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the lock of the state folder: %w", err)
	}
	defer func() { _ = f.Close() }() // gives the lock up
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the lock of the state folder: %w", err)
	}
	return false, nil
}

// LockFile waits until no other process holds the file at path, which is made where it
// is missing, and holds it until release is called or the process ends.
func LockFile(path string) (release func() error, err error) {
	return lockFile(path, syscall.LOCK_EX)
}

// TryLockFile is LockFile without the wait: the error wraps ErrHeld.
func TryLockFile(path string) (release func() error, err error) {
	release, err = lockFile(path, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w: %w", ErrHeld, err)
	}
	return release, err
}

func lockFile(path string, how int) (release func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	for {
		if err = syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
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
