//go:build linux

package sandbox

import (
	"context"
	"maps"
	"slices"

	"github.com/glovebox-dev/glovebox/sandbox/walls"
)

// WithoutBwrap returns a spawner as it would be where bubblewrap is missing.
func WithoutBwrap() *Spawner { return &Spawner{} }

// TryBwrap probes with the given program in place of bubblewrap.
func TryBwrap(ctx context.Context, path string) error { return try(ctx, path) }

// Finding is what a probe saw; Good is what it must see.
type Finding = finding

func GoodFinding() Finding {
	return Finding{UID: nobody, PID: 2, Interfaces: []string{"lo"}, NoNewPrivs: true, Filtered: true, WroteOut: true, AS: 2 << 30, CPU: 5}
}

func (f Finding) Judge() error { return f.judge() }

// WithBait sets up what a box must not reach.
func WithBait(use func(walls.Expect) error) error { return withBait(use) }

// Expect adds to e what the description of a box says.
func (x *Boxer) Expect(b *Box, e *walls.Expect) { x.expect(b, e) }

// ReadRows reads what a probe printed.
func ReadRows(b []byte) ([]walls.Row, error) { return readRows(b) }

// BoxerWith returns a Boxer that looks for bubblewrap at the given path only and
// relies on a version of Landlock.
func BoxerWith(ctx context.Context, path string, landlock int) *Boxer {
	return newBoxer(ctx, []string{path}, landlock)
}

// Judge says what of a profile's walls does not hold.
func Judge(p ProfileReport, want int) string { return p.judge(want) }

// GroupDirs are the directories where control groups are made.
func GroupDirs(x *Boxer) []string { return slices.Collect(maps.Values(x.groups.parent)) }

// SmallStep returns the small program for the inside step beside self.
func SmallStep(self string) string { return smallStep(self) }

// With returns the same Boxer with another program for the inside step.
func (x *Boxer) With(exe string) *Boxer {
	y := *x
	y.exe = exe
	return &y
}

// SelfTest tries the quick walls of every profile.
func SelfTest(ctx context.Context, x *Boxer) []ProfileReport { return x.selfTest(ctx) }

// Linked returns the loader and the libraries of a program.
func Linked(path string) ([]string, error) { return linked(path) }

// LibraryDirs are the directories of libraries.
func LibraryDirs() []string { return slices.Clone(libraryDirs) }
