// Package sandbox starts processes, and is the only package that does. Confined
// runs this program's own binary in a jail for work on hostile bytes: always
// under resource limits that the child lowers before it reads anything, as an
// unprivileged user without an environment, and inside bubblewrap (no network, an
// empty read-only file system) where that works. RunToolchain runs an author's
// own compiler on the author's machine, unconfined.
//
// A program that calls New must hand the verb in Verb to a function that begins
// with Inside; see the documentation there.
package sandbox

import (
	"errors"
	"io"
	"time"
)

// Verb is the hidden first argument with which the binary calls itself.
const Verb = "compile-module"

// nobody is the user and group of a child of a privileged daemon.
const nobody = 65534

// Ways in which a child was confined.
const (
	ConfinedBwrap   = "bwrap"   // bubblewrap, and resource limits
	ConfinedRlimits = "rlimits" // resource limits and an unprivileged user only
)

// Errors that callers branch on.
var (
	ErrUnsupported = errors.New("this system offers no way to confine a child process")
	ErrWall        = errors.New("the confined child passed its wall time")
	ErrOutput      = errors.New("the confined child wrote more than it may")
)

// Job describes one run of the binary in the jail. The zero value of a limit is
// refused.
type Job struct {
	Args         []string      // after Verb
	Exe          string        // the program; empty = the running binary
	Stdin        io.Reader     // nil = empty
	OutDir       string        // the only directory that the child may write; empty = none
	AddressSpace uint64        // bytes of address space
	FileSize     uint64        // bytes of one file
	CPU          time.Duration // processor time, rounded up to seconds
	Wall         time.Duration // time until the process group is killed
	MaxOutput    int           // bytes of stdout and of stderr each
}

// Result is what a confined child left.
type Result struct {
	Stdout, Stderr []byte
	Exit           int           // exit status; −1 when a signal ended the child
	Signal         string        // the signal that ended it, such as "killed"
	CPU            time.Duration // processor time of the child and its children
	Confinement    string        // ConfinedBwrap or ConfinedRlimits
}

// Status says how children are confined on this machine.
type Status struct {
	Bwrap bool   // bubblewrap works: it was tried
	Why   string // why it does not
	Fix   string // what changes that
}

func (j Job) check() error {
	if j.AddressSpace == 0 || j.FileSize == 0 || j.CPU <= 0 || j.Wall <= 0 || j.MaxOutput <= 0 {
		return errors.New("a confined job needs every limit: address space, file size, processor time, wall time, output")
	}
	return nil
}

// capped keeps the first max bytes that are written to it and calls stop when
// there are more.
type capped struct {
	b    []byte
	max  int
	stop func()
}

func (c *capped) Write(p []byte) (int, error) {
	keep := min(len(p), c.max-len(c.b))
	c.b = append(c.b, p[:keep]...)
	if keep < len(p) {
		c.stop()
	}
	return len(p), nil
}
