package budget

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

func spent(t *testing.T, l *Ledger, agent abi.AgentID) int64 {
	t.Helper()
	list, err := l.Usage(context.Background(), agent)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range list {
		if u.Resource == Calls && u.Window == Day {
			return u.Settled + u.Reserved
		}
	}
	return -1
}

// TestPrepaidUnitsNeverPassTheLimit draws on blocks from many goroutines up to the
// last unit: exactly the limit is admitted.
func TestPrepaidUnitsNeverPassTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 1000
	ctx, c := context.Background(), noon()
	l := open(t, filepath.Join(t.TempDir(), "b.db"), c)
	for _, err := range []error{l.Set("p", "", []Limit{{Calls, Day, limit}}), l.Set("c1", "p", nil), l.Set("c2", "p", nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				end, err := l.One(ctx, []abi.AgentID{"c1", "c2"}[i%2], Calls)
				var ex *Exceeded
				if errors.As(err, &ex) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				admitted.Add(1)
				if err := end(ctx, true); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	// What one child holds prepaid is not the other's: at most a block of each is left.
	if n := admitted.Load(); n > limit || n < limit-2*limit/blockShare {
		t.Errorf("%d calls of %d were admitted", n, limit)
	}
	if n := spent(t, l, "p"); n != admitted.Load() {
		t.Errorf("%d are shown as spent, %d were", n, admitted.Load())
	}
}

func TestPrepaidUnitsOutliveNothing(t *testing.T) {
	t.Parallel()
	ctx, c, path := context.Background(), noon(), filepath.Join(t.TempDir(), "b.db")
	take := func(l *Ledger, happened bool) {
		t.Helper()
		end, err := l.One(ctx, "a", Calls)
		if err == nil {
			err = end(ctx, happened)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	opened := func() *Ledger {
		l, err := Open(ctx, path, c.now)
		if err == nil {
			err = l.Set("a", "", []Limit{{Calls, Day, 1000}})
		}
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first := opened()
	take(first, true)
	take(first, false)
	if n := spent(t, first, "a"); n != 1 {
		t.Errorf("%d are spent, want 1: what did not happen is given back", n)
	}
	second := opened() // a crash: the block of the first is gone, never more
	if n := spent(t, second, "a"); n != 1000/blockShare {
		t.Errorf("after a crash %d are spent, want the whole block", n)
	}
	take(second, true)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	third := opened()
	if n := spent(t, third, "a"); n != 1000/blockShare+1 {
		t.Errorf("after a clean end %d are spent, want the rest given back", n)
	}
	take(third, true)
	c.add(time.Hour)
	take(third, true) // of a block of its own hour
	list, err := third.Usage(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range list {
		if u.Resource == Calls && u.Window == Hour && u.Settled != 1 {
			t.Errorf("the new hour shows %d", u.Settled)
		}
	}
}

// TestAUnitIsGivenBackOnce: ending a call twice makes no units.
func TestAUnitIsGivenBackOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := open(t, filepath.Join(t.TempDir(), "b.db"), noon())
	if err := l.Set("a", "", []Limit{{Calls, Day, 1000}}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // one block is booked, and one unit of it is really used
		end, err := l.One(ctx, "a", Calls)
		if err != nil {
			t.Fatal(err)
		}
		if err := end(ctx, true); err != nil {
			t.Fatal(err)
		}
		if err := end(ctx, false); !errors.Is(err, ErrSettled) {
			t.Errorf("a second end: %v", err)
		}
	}
	if n := spent(t, l, "a"); n != 2 {
		t.Errorf("%d are spent, want 2", n)
	}
}

// TestALoweredLimitHoldsAtOnce: what was booked under the old limit, for the agent or
// for whom it works for, is not handed out under the new one.
func TestALoweredLimitHoldsAtOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := open(t, filepath.Join(t.TempDir(), "b.db"), noon())
	wide := []Limit{{Calls, Day, 50_000}}
	if err := errors.Join(l.Set("p", "", wide), l.Set("c", "p", wide)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.One(ctx, "c", Calls); err != nil { // books a block of 1,000
		t.Fatal(err)
	}
	if err := l.Set("p", "", []Limit{{Calls, Day, 500}}); err != nil {
		t.Fatal(err)
	}
	var ex *Exceeded
	if _, err := l.One(ctx, "c", Calls); !errors.As(err, &ex) || ex.Agent != "p" {
		t.Errorf("a call beyond the lowered limit: %v", err)
	}
}
