package wasm

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
)

// countLoads is a loader in this process, so that the tests of the cache see what is
// loaded and closed.
type countLoads struct {
	loads atomic.Int64
	slow  time.Duration
}

func (c *countLoads) load(ctx context.Context, b abi.Blob, _ loadKey) (*artifact, error) {
	c.loads.Add(1)
	time.Sleep(c.slow)
	report, err := module.Scan(b.Bytes(), module.DefaultLimits())
	if err != nil {
		return nil, err
	}
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	m, err := rt.CompileModule(ctx, b.Bytes())
	if err != nil {
		return nil, errors.Join(err, rt.Close(ctx))
	}
	return &artifact{report: report, runtime: rt, compiled: m, bytes: 100}, nil
}

// guestNumber is a small module unlike that of any other n.
func guestNumber(n int32) Source {
	return source(abitest.Module{Funcs: []abitest.Func{{Export: "run", Type: abitest.Type{Results: []byte{abitest.I32}}, Code: abitest.Const32(n)}}}.Bytes())
}

// TestDigestIsCheckedAtEveryLoad (MOD-4).
func TestDigestIsCheckedAtEveryLoad(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	inv := raw(abitest.Hostile(), "ok", "")
	good := inv.Source
	inv.Source.Read = SourceOf(abi.NewBlob(abitest.Probe())).Read
	if _, err := e.Call(t.Context(), inv); !errors.Is(err, ErrDigest) {
		t.Errorf("other bytes: %v", err)
	}
	inv.Source = SourceOf(abi.Blob{}) // neither names a digest: that is no agreement
	if _, err := e.Call(t.Context(), inv); !errors.Is(err, ErrDigest) {
		t.Errorf("bytes that nobody hashed: %v", err)
	}
	inv.Source.Digest = good.Digest
	broken := errors.New("broken disk")
	inv.Source.Read = func() (abi.Blob, error) { return abi.Blob{}, broken }
	if _, err := e.Call(t.Context(), inv); !errors.Is(err, broken) {
		t.Errorf("no bytes: %v", err)
	}
	inv.Source.Read = nil
	if _, err := e.Call(t.Context(), inv); err == nil {
		t.Error("no source: no error")
	}
	inv.Source = good // a failed load is not remembered
	if _, err := e.Call(t.Context(), inv); err != nil {
		t.Error(err)
	}
}

// TestOneLoadForManyCallers, and one that gives up does not end it.
func TestOneLoadForManyCallers(t *testing.T) {
	t.Parallel()
	l := &countLoads{slow: 50 * time.Millisecond}
	m := newModules(l, 1000)
	defer m.close()
	gone, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			ctx := t.Context()
			if i%2 == 0 {
				ctx = gone
			}
			got, err := m.get(ctx, guestNumber(1), limits())
			if i%2 == 0 {
				if err == nil {
					m.release(got)
				}
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			m.release(got)
		})
	}
	time.Sleep(10 * time.Millisecond)
	cancel()
	wg.Wait()
	if n := l.loads.Load(); n != 1 {
		t.Errorf("%d loads", n)
	}
}

// TestLeastRecentlyUsedGoes, but never a module that a call holds.
func TestLeastRecentlyUsedGoes(t *testing.T) {
	t.Parallel()
	l := &countLoads{}
	m := newModules(l, 250) // two of 100
	use := func(n int32) *loaded {
		got, err := m.get(t.Context(), guestNumber(n), limits())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	held := use(1)
	m.release(use(2))
	m.release(use(3)) // 1 is held, so 2 goes
	m.release(use(3))
	if n := l.loads.Load(); n != 3 {
		t.Errorf("%d loads", n)
	}
	m.release(use(2))
	if n := l.loads.Load(); n != 4 {
		t.Errorf("2 was not put out: %d loads", n)
	}
	if _, err := held.runtime.InstantiateModule(t.Context(), held.compiled, wazero.NewModuleConfig().WithName("")); err != nil {
		t.Errorf("the held module was closed: %v", err)
	}
	if m.bytes > 250 {
		t.Errorf("%d bytes are kept", m.bytes)
	}
	m.release(held)
	m.close()
	if len(m.by) != 0 || m.bytes != 0 {
		t.Errorf("%d modules, %d bytes after close", len(m.by), m.bytes)
	}
	if _, err := m.get(t.Context(), guestNumber(1), limits()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestLimitsThatAreBakedIn: two calls of one module with other stack limits are apart.
func TestLimitsThatAreBakedIn(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	for _, depth := range []int{100, 10_000, 100} {
		_, err := e.Call(t.Context(), raw(abitest.Hostile(), "mutual", "", withLimits(func(l *abi.Limits) { l.Stack = depth })))
		l, ok := errors.AsType[*LimitError](err)
		if !ok || l.Limit != "stack" || l.Max != int64(depth) {
			t.Errorf("%d: %v", depth, err)
		}
	}
}
