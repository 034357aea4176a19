//go:build !linux

package lock

import "golang.org/x/net/bpf"

// Filter fails: only Linux has seccomp.
func Filter([]bpf.RawInstruction) error { return ErrUnsupported }

// ABI returns 0: only Linux has Landlock.
func ABI() int { return 0 }

// Landlock fails: only Linux has it.
func Landlock([]Access) error { return ErrUnsupported }
