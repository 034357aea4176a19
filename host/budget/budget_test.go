package budget

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

func open(t *testing.T, path string, c *clock) *Ledger {
	t.Helper()
	l, err := Open(context.Background(), path, c.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func noon() *clock { return &clock{t: time.Date(2026, 3, 4, 12, 30, 0, 0, time.UTC)} }

func TestALimitIsAHardStop(t *testing.T) {
	t.Parallel()
	ctx, c := context.Background(), noon()
	l := open(t, filepath.Join(t.TempDir(), "b.db"), c)
	if err := l.Set("a", "", []Limit{{Calls, Hour, 10}, {Calls, Day, 15}}); err != nil {
		t.Fatal(err)
	}
	r, err := l.Reserve(ctx, "a", Amounts{Calls: 10})
	if err != nil {
		t.Fatalf("exactly the limit: %v", err)
	}
	var ex *Exceeded
	if _, err := l.Reserve(ctx, "a", Amounts{Calls: 1}); !errors.As(err, &ex) || ex.Left != 0 || ex.Window != Hour || !ex.Resets.Equal(time.Date(2026, 3, 4, 13, 0, 0, 0, time.UTC)) {
		t.Fatalf("one over the limit: %v", err)
	}
	if err := r.Settle(ctx, Amounts{Calls: 4}); err != nil {
		t.Fatal(err)
	}
	if err := r.Settle(ctx, Amounts{}); !errors.Is(err, ErrSettled) {
		t.Errorf("settled twice: %v", err)
	}
	if _, err := l.Reserve(ctx, "a", Amounts{Calls: 7}); !errors.As(err, &ex) || ex.Left != 6 {
		t.Errorf("after settling: %v", err)
	}
	c.add(time.Hour)
	if _, err := l.Reserve(ctx, "a", Amounts{Calls: 12}); !errors.As(err, &ex) || ex.Window != Hour {
		t.Errorf("the hour's own limit: %v", err)
	}
	if _, err := l.Reserve(ctx, "a", Amounts{Calls: 10}); err != nil {
		t.Errorf("a new hour: %v", err)
	}
	if _, err := l.Reserve(ctx, "a", Amounts{Calls: 2}); !errors.As(err, &ex) {
		t.Errorf("the day's limit: %v", err)
	}
}

func TestChildrenDrawOnTheirParents(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := open(t, filepath.Join(t.TempDir(), "b.db"), noon())
	for _, err := range []error{
		l.Set("parent", "", []Limit{{Tokens, Day, 100}}), l.Set("child", "parent", []Limit{{Tokens, Day, 1000}}), l.Set("grandchild", "child", nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Set("parent", "grandchild", nil); !errors.Is(err, ErrCycle) {
		t.Errorf("a cycle: %v", err)
	}
	if _, err := l.Reserve(ctx, "grandchild", Amounts{Tokens: 60}); err != nil {
		t.Fatal(err)
	}
	var ex *Exceeded
	if _, err := l.Reserve(ctx, "child", Amounts{Tokens: 60}); !errors.As(err, &ex) || ex.Agent != "parent" || ex.Left != 40 {
		t.Errorf("a child passed its parent's remainder: %v", err)
	}
	u, err := l.Usage(ctx, "child")
	if err != nil || u[1].Reserved != 60 {
		t.Errorf("a refused reservation left %+v, %v", u[1], err)
	}
}

func TestACrashSettlesInFull(t *testing.T) {
	t.Parallel()
	ctx, c, path := context.Background(), noon(), filepath.Join(t.TempDir(), "b.db")
	first := open(t, path, c)
	if err := first.Set("a", "", []Limit{{Egress, Day, 100}}); err != nil {
		t.Fatal(err)
	}
	r, err := first.Reserve(ctx, "a", Amounts{Egress: 80})
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, path, c) // the first process is gone without settling
	if err := second.Set("a", "", []Limit{{Egress, Day, 100}}); err != nil {
		t.Fatal(err)
	}
	var ex *Exceeded
	if _, err := second.Reserve(ctx, "a", Amounts{Egress: 30}); !errors.As(err, &ex) || ex.Left != 20 {
		t.Errorf("a restart gave something back: %v", err)
	}
	if err := r.Settle(ctx, Amounts{}); !errors.Is(err, ErrSettled) {
		t.Errorf("a reservation from before the restart was settled again: %v", err)
	}
}

func TestOldWindowsAreForgotten(t *testing.T) {
	t.Parallel()
	ctx, c, path := context.Background(), noon(), filepath.Join(t.TempDir(), "b.db")
	l := open(t, path, c)
	r, err := l.Reserve(ctx, "a", Amounts{Calls: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Settle(ctx, Amounts{Calls: 3}); err != nil {
		t.Fatal(err)
	}
	for _, later := range []struct{ days, rows int }{{89, 2}, {2, 0}} { // 89 days, then 91
		c.add(time.Duration(later.days) * 24 * time.Hour)
		var n int
		if err := open(t, path, c).db.Read.QueryRowContext(ctx, `SELECT count(*) FROM usage`).Scan(&n); err != nil || n != later.rows {
			t.Errorf("%d days later: %d rows, want %d, %v", later.days, n, later.rows, err)
		}
	}
}

func TestBadAmounts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := open(t, filepath.Join(t.TempDir(), "b.db"), noon())
	for _, a := range []Amounts{{Calls: -1}, {"wishes": 1}} {
		if _, err := l.Reserve(ctx, "a", a); !errors.Is(err, ErrAmount) {
			t.Errorf("%v: %v", a, err)
		}
	}
	if _, err := l.Reserve(ctx, "", Amounts{Calls: 1}); !errors.Is(err, ErrNoAgent) {
		t.Error(err)
	}
	if err := l.Set("a", "", []Limit{{Calls, "week", 1}}); err == nil {
		t.Error("an unknown window was accepted")
	}
	if err := l.Set("a", "", []Limit{{Calls, Day, 1 << 62}}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Reserve(ctx, "a", Amounts{Calls: 1 << 62}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Reserve(ctx, "a", Amounts{Calls: 1 << 62}); err == nil {
		t.Error("a sum that overflows was admitted")
	}
}

// TestInvariantUnderRaces: settled + reserved ≤ limit at every instant, and nothing
// stays reserved once all is quiet.
func TestInvariantUnderRaces(t *testing.T) {
	t.Parallel()
	const limit = 500
	ctx := context.Background()
	l := open(t, filepath.Join(t.TempDir(), "b.db"), noon())
	for _, a := range []abi.AgentID{"p", "c1", "c2"} {
		parent := abi.AgentID("p")
		if a == "p" {
			parent = ""
		}
		if err := l.Set(a, parent, []Limit{{Calls, Day, limit}}); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			agent := []abi.AgentID{"c1", "c2"}[i%2]
			for range 25 {
				n := rand.Int64N(20) + 1
				call, cancel := context.WithCancel(ctx)
				if rand.IntN(4) == 0 {
					cancel()
				}
				r, err := l.Reserve(call, agent, Amounts{Calls: n})
				if err == nil {
					cancel()
					if err := r.Settle(call, Amounts{Calls: rand.Int64N(n + 1)}); err != nil {
						t.Error(err)
					}
				}
				cancel()
				u, err := l.Usage(ctx, "p")
				if err != nil {
					t.Error(err)
				}
				for _, x := range u {
					if x.Resource == Calls && x.Settled+x.Reserved > limit {
						t.Errorf("%d of %d are spent", x.Settled+x.Reserved, limit)
					}
				}
			}
		})
	}
	wg.Wait()
	u, err := l.Usage(ctx, "p")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range u {
		if x.Reserved != 0 {
			t.Errorf("%d %s stay reserved", x.Reserved, x.Resource)
		}
	}
}
