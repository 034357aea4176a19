// Package lock is what a process does to itself before it meets what it does not
// trust: Landlock takes files away from it, seccomp takes system calls away. Both
// need no privileges, cannot be taken back, and are inherited by everything that
// the process starts. They stand behind the walls that bubblewrap builds.
//
// It is one of the two packages that import unsafe, to hand the kernel the
// addresses of three structures.
package lock

import "errors"

// ErrUnsupported means that the kernel lacks what was asked for.
var ErrUnsupported = errors.New("the kernel does not offer this")

// Access is what may be done with the files at and below a path.
type Access struct {
	Path    string `json:"path"`
	Write   bool   `json:"write,omitempty"`   // write, make, rename, remove; devices and hard links into it never
	Execute bool   `json:"execute,omitempty"` // execute
}
