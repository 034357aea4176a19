//go:build linux

package compile_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// bombed is a jail in which every module burns all of its budget.
type bombed struct {
	n, now, most atomic.Int32
	hold         chan struct{} // nil: ends at once
}

func (b *bombed) Confined(context.Context, sandbox.Job) (sandbox.Result, error) {
	b.n.Add(1)
	now := b.now.Add(1)
	defer b.now.Add(-1)
	for m := b.most.Load(); now > m && !b.most.CompareAndSwap(m, now); m = b.most.Load() {
	}
	if b.hold != nil {
		<-b.hold
	}
	return sandbox.Result{Signal: "killed", Exit: -1}, nil
}

// A module that was killed in the jail is not compiled again at the next call.
func TestRefusedModuleIsRememberedForAWhile(t *testing.T) {
	t.Parallel()
	b := &bombed{}
	f := open(t, func(c *compile.Config) { c.Confine = b })
	for range 3 {
		_, err := f.Get(t.Context(), abi.NewBlob(returning(1)), options)
		if r := (*module.Refusal)(nil); !errors.As(err, &r) || r.Rule != module.RuleCompileTime {
			t.Fatalf("got %v", err)
		}
	}
	if n := b.n.Load(); n != 1 {
		t.Errorf("%d compilations of one bomb", n)
	}
	other := options
	other.Stack--
	_, _ = f.Get(t.Context(), abi.NewBlob(returning(1)), other)
	_, _ = f.Get(t.Context(), abi.NewBlob(returning(2)), options)
	if n := b.n.Load(); n != 3 {
		t.Errorf("%d compilations of three inputs", n)
	}
}

func TestRefusalsExpireAndAreBounded(t *testing.T) {
	t.Parallel()
	var r compile.Refusals
	now := time.Unix(1, 0)
	for i := range compile.RefusedMax + 10 {
		r.Put(fmt.Sprint(i), &module.Refusal{}, now.Add(time.Duration(i)))
	}
	if n := r.Len(); n != compile.RefusedMax {
		t.Errorf("%d are kept", n)
	}
	last := fmt.Sprint(compile.RefusedMax + 9)
	if r.Get("0", now) != nil || r.Get(last, now) == nil {
		t.Error("the oldest was kept, or the newest forgotten")
	}
	if r.Get(last, now.Add(time.Hour)) != nil {
		t.Error("a refusal holds for ever")
	}
}

// However many modules arrive at once, few children run.
func TestChildrenAreCounted(t *testing.T) {
	t.Parallel()
	b := &bombed{hold: make(chan struct{})}
	f := open(t, func(c *compile.Config) { c.Confine = b })
	var all sync.WaitGroup
	for i := range 3 * runtime.NumCPU() {
		all.Go(func() { _, _ = f.Get(context.Background(), abi.NewBlob(returning(i)), options) })
	}
	for b.n.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // for those that do not wait
	close(b.hold)
	all.Wait()
	if most, want := b.most.Load(), max(1, runtime.NumCPU()/2); int(most) > want {
		t.Errorf("%d children at once, want at most %d", most, want)
	}
}
