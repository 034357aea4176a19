// Package filter compiles the seccomp filters of confined processes to classic BPF.
//
// Box allows what ordinary programs do and refuses, by a list, what reaches for
// the kernel's own machinery: other processes, mounts and name spaces, what loads
// code into the kernel, keys, clocks, exotic sockets. Calls that are younger than
// the list do not exist (ENOSYS), so a new kernel opens nothing. Compiler is an
// allow-list for the compiler's child, which by then only reads, writes, allocates
// and waits.
//
// A filter never relies on the kernel's own checks: it refuses a call whoever
// makes it, before the kernel looks at its arguments.
package filter

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
)

// ErrArch means that there is no table of system calls for an architecture.
var ErrArch = errors.New("no system call filter for this architecture")

// none stands for a call that an architecture does not have.
const none = ^uint32(0)

type numbers struct{ amd64, arm64 uint32 }

// Arch is an architecture with a table of system calls.
type Arch struct {
	Name  string // as in runtime.GOARCH
	audit uint32 // AUDIT_ARCH_…
	x32   bool   // numbers from 0x40000000 are a second ABI
}

// Arches returns the architectures that have a table.
func Arches() []Arch {
	return []Arch{{"amd64", 0xc000003e, true}, {"arm64", 0xc00000b7, false}}
}

// Native returns the architecture of this program, or ErrArch.
func Native() (Arch, error) {
	all := Arches()
	i := slices.IndexFunc(all, func(a Arch) bool { return a.Name == runtime.GOARCH })
	if i < 0 {
		return Arch{}, fmt.Errorf("%w: %s", ErrArch, runtime.GOARCH)
	}
	return all[i], nil
}

// number returns the number of a call, none if the architecture lacks it. A name
// that is in no table is a mistake in the list, found by every test that compiles it.
func (a Arch) number(call string) (uint32, error) {
	n, ok := calls()[call]
	switch {
	case !ok:
		return none, fmt.Errorf("the system call %q has no number", call)
	case a.Name == "amd64":
		return n.amd64, nil
	case a.Name == "arm64":
		return n.arm64, nil
	}
	return none, fmt.Errorf("%w: %q", ErrArch, a.Name)
}
