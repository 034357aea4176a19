//go:build !unix

package config

import (
	"errors"
	"io/fs"
)

// Lock fails: without advisory locks two daemons could share one state.
func (s *State) Lock() (release func() error, err error) {
	return nil, errors.New("lock state folder: not supported on this system")
}

// Locked fails for the same reason.
func (s *State) Locked() (bool, error) {
	return false, errors.New("look at the lock of the state folder: not supported on this system")
}

// LockFile fails for the same reason.
func LockFile(path string) (release func() error, err error) {
	return nil, errors.New("lock " + path + ": not supported on this system")
}

// TryLockFile fails for the same reason.
func TryLockFile(path string) (release func() error, err error) { return LockFile(path) }

func owned(string, fs.FileInfo) error {
	return errors.New("owner of the state folder cannot be checked on this system")
}
