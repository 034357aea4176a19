//go:build !linux

package sandbox

import (
	"context"
	"io"
	"os/exec"
)

// Inside fails: only Linux confines children so far.
func Inside([]string) (Cell, []string, error) { return Cell{}, nil, ErrUnsupported }

// Probe fails: only Linux confines children so far.
func Probe(Cell, io.Writer) error { return ErrUnsupported }

func confine(context.Context, string, Job, bool) (Result, error) { return Result{}, ErrUnsupported }

func probe(context.Context) (string, Status) {
	return "", Status{Why: ErrUnsupported.Error(), Fix: "run the daemon on Linux; modules that were compiled elsewhere cannot be used either"}
}

// ownGroup leaves the group alone; the process itself is killed.
func ownGroup(*exec.Cmd) {}

// cgroups do not exist here.
type cgroups struct{}

func bwrapPaths() []string { return nil }

func newBoxer(context.Context, []string, int) *Boxer {
	return &Boxer{report: Report{Why: ErrUnsupported.Error(), Fix: "run the daemon on Linux; skills in WebAssembly work here"}}
}

func (x *Boxer) start(context.Context, Box) (*Process, error) { return nil, ErrNoSandbox }
