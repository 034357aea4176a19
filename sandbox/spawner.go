package sandbox

import (
	"context"
	"errors"
	"io"
	"os"
)

// Spawner starts confined children. It is safe for concurrent use.
type Spawner struct {
	status Status
	bwrap  string // path of bubblewrap if it works
}

// New finds out how children can be confined here by confining one. It does not
// fail: what does not work is told by Status and refused by Confined.
func New(ctx context.Context) *Spawner {
	s := &Spawner{}
	s.bwrap, s.status = probe(ctx)
	return s
}

// Status tells what New found.
func (s *Spawner) Status() Status { return s.status }

// Confined runs the binary with Verb, the limits and j.Args in the jail and waits
// for it. An exit status other than 0 is no error; a child that passes its wall
// time or its output is killed together with its process group, and the error is
// ErrWall or ErrOutput.
func (s *Spawner) Confined(ctx context.Context, j Job) (Result, error) {
	if err := j.check(); err != nil {
		return Result{}, err
	}
	if recursive() {
		return Result{}, errors.New("a confined child starts no confined children; the program must pass the verb " + Verb + " to sandbox.Inside before anything else")
	}
	return confine(ctx, s.bwrap, j, false)
}

// recursive reports whether this very process was started as a confined child,
// which a program that does not dispatch on Verb would not notice.
func recursive() bool { return len(os.Args) > 1 && os.Args[1] == Verb }

// Toolchain runs an author's own compiler. The zero value is ready.
type Toolchain struct{}

// Run is RunToolchain.
func (Toolchain) Run(ctx context.Context, dir string, argv, env []string, out io.Writer) error {
	return RunToolchain(ctx, dir, argv, env, out)
}
