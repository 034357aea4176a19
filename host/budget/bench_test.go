package budget

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkCall is what a budget adds to one call: a reservation and its end.
func BenchmarkCall(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l, err := Open(ctx, filepath.Join(b.TempDir(), "b.db"), time.Now)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := l.Set("a", "", []Limit{{Calls, Hour, 1 << 40}, {Calls, Day, 1 << 40}}); err != nil {
		b.Fatal(err)
	}
	b.Run("prepaid", func(b *testing.B) {
		for b.Loop() {
			end, err := l.One(ctx, "a", Calls)
			if err != nil {
				b.Fatal(err)
			}
			if err := end(ctx, true); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("exact", func(b *testing.B) {
		for b.Loop() {
			r, err := l.Reserve(ctx, "a", Amounts{Calls: 1})
			if err != nil {
				b.Fatal(err)
			}
			if err := r.Settle(ctx, Amounts{Calls: 1}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
