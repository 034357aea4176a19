package sandbox

import (
	"context"
	"fmt"

	"github.com/glovebox-dev/glovebox/sandbox/lock"
	"github.com/glovebox-dev/glovebox/sandbox/walls"
)

// Report is what the self-test found. The zero value admits nothing.
type Report struct {
	Ready    bool            // programs may be started in boxes
	Why, Fix string          // why not, and what changes that
	Bwrap    string          // path of bubblewrap
	Landlock int             // version that the kernel speaks; 0 = no second wall for files
	Cgroups  string          // how a whole box is limited
	Profiles []ProfileReport // what each profile's walls were seen to do
}

// ProfileReport is the self-test of one profile.
type ProfileReport struct {
	Name ProfileName
	Rows []walls.Row
	Err  error // the test did not come to its end
}

// Failed returns the rows that did not pass.
func (p ProfileReport) Failed() []walls.Row {
	var failed []walls.Row
	for _, r := range p.Rows {
		if r.Verdict != walls.Pass && r.Verdict != walls.Open {
			failed = append(failed, r)
		}
	}
	return failed
}

// judge says what of the profile's walls does not hold, "" if nothing.
func (p ProfileReport) judge(want int) string {
	failed := p.Failed()
	switch {
	case p.Err != nil:
		return fmt.Sprintf("profile %s: %v", p.Name, p.Err)
	case len(failed) > 0:
		return fmt.Sprintf("profile %s: %d of %d walls do not hold; a program in the box could %s (%s)", p.Name, len(failed), want, failed[0].What, failed[0].Saw)
	case len(p.Rows) != want || want == 0:
		return fmt.Sprintf("profile %s: %d of %d walls were tried", p.Name, len(p.Rows), want)
	}
	return ""
}

// Boxer starts programs in boxes. It is safe for concurrent use.
type Boxer struct {
	bwrap, exe string
	groups     cgroups
	report     Report
}

// NewBoxer finds bubblewrap and tries the walls of every profile from inside. It
// does not fail: what does not hold is told by Report and refused by Start.
func NewBoxer(ctx context.Context) *Boxer { return newBoxer(ctx, bwrapPaths(), lock.ABI()) }

// Check is the report of a new Boxer.
func Check(ctx context.Context) Report { return NewBoxer(ctx).Report() }

// Report tells what NewBoxer found.
func (x *Boxer) Report() Report { return x.report }

// Start starts the program of b in a box and returns when it has been executed.
// When ctx ends, the box is killed.
//
// # Errors
//   - ErrNoSandbox: the self-test failed; Report says why
//   - ErrBox: b is not well described, or names what cannot be shown
//   - any other: the box could not be built, or the program not be executed
func (x *Boxer) Start(ctx context.Context, b Box) (*Process, error) {
	if !x.report.Ready {
		return nil, fmt.Errorf("%w: %s; %s", ErrNoSandbox, x.report.Why, x.report.Fix)
	}
	b.self = false
	return x.start(ctx, b)
}
