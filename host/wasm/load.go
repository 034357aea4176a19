package wasm

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
)

// loadKey tells loaded modules apart: by their bytes and by what is baked into their
// compiled form. Memory is not: each instance has its own budget.
type loadKey struct {
	digest  abi.Digest
	options compile.Options
}

// CompileOptions are what a call with limits l needs to be baked into its module:
// compile with them ahead of the first call. The page limit is that of the largest
// budget there can be, because the budget of each instance is enforced where memory
// is allocated, together with the kernel's.
func CompileOptions(l abi.Limits) compile.Options {
	return compile.Options{
		TableMax:    uint32(max(l.Table, 0)),
		MemoryPages: uint32(abi.MaxLimits().Memory / wasmPage),
		Stack:       uint32(max(l.Stack, 0)),
	}
}

// artifact is a module in a form that can be instantiated.
type artifact struct {
	report   *module.Report
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	bytes    int64
}

// storeLoader takes artifacts from the store of compiled modules.
type storeLoader struct{ store *compile.Store }

var _ loader = storeLoader{}

func (s storeLoader) load(ctx context.Context, b abi.Blob, key loadKey) (*artifact, error) {
	a, err := s.store.Get(ctx, b, key.options)
	if err != nil {
		return nil, err
	}
	rt, m, err := a.Instantiable(ctx)
	if err != nil {
		return nil, err
	}
	return &artifact{report: a.Report(), runtime: rt, compiled: m, bytes: a.Bytes()}, nil
}

// loader makes an artifact of a module; the Store does.
type loader interface {
	load(ctx context.Context, b abi.Blob, key loadKey) (*artifact, error)
}

// loaded is one entry of the cache. Everything but users and elem is fixed once
// ready is closed.
type loaded struct {
	key   loadKey
	ready chan struct{}
	err   error
	artifact

	users int           // calls that hold it; guarded by modules.mu
	elem  *list.Element // in modules.order; nil until loaded
}

// modules keeps loaded modules, least recently used out first, bounded by the bytes
// of their code. A module in use stays.
type modules struct {
	loader loader
	max    int64

	mu     sync.Mutex // guards everything below
	by     map[loadKey]*loaded
	order  *list.List // front = used last
	bytes  int64
	closed bool
	wg     sync.WaitGroup // loads in progress
}

func newModules(l loader, max int64) *modules {
	return &modules{loader: l, max: max, by: map[loadKey]*loaded{}, order: list.New()}
}

// get returns the module, loading it if need be; simultaneous first calls make one
// load. The caller releases it.
func (m *modules) get(ctx context.Context, src Source, limits abi.Limits) (*loaded, error) {
	key := loadKey{src.Digest, CompileOptions(limits)}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil, ErrClosed
	}
	l := m.by[key]
	if l == nil {
		l = &loaded{key: key, ready: make(chan struct{})}
		m.by[key] = l
		// Others may wait for this load: it does not end with the call that began it.
		m.wg.Go(func() { m.fill(context.WithoutCancel(ctx), l, src) })
	}
	l.users++
	m.mu.Unlock()
	select {
	case <-l.ready:
	case <-ctx.Done():
		m.release(l)
		return nil, ctx.Err()
	}
	if l.err != nil {
		m.release(l)
		return nil, l.err
	}
	m.mu.Lock()
	m.order.MoveToFront(l.elem)
	m.mu.Unlock()
	return l, nil
}

// release ends one use.
func (m *modules) release(l *loaded) {
	m.mu.Lock()
	l.users--
	out := m.evict()
	m.mu.Unlock()
	closeAll(out)
}

// fill loads l and publishes it, or takes it out again, so that a later call retries.
func (m *modules) fill(ctx context.Context, l *loaded, src Source) {
	a, err := m.load(ctx, l.key, src)
	m.mu.Lock()
	if err != nil {
		l.err = err
		delete(m.by, l.key)
	} else {
		l.artifact = *a
		l.elem = m.order.PushFront(l)
		m.bytes += a.bytes
	}
	close(l.ready)
	out := m.evict()
	m.mu.Unlock()
	closeAll(out)
}

func (m *modules) load(ctx context.Context, key loadKey, src Source) (*artifact, error) {
	if src.Read == nil {
		return nil, fmt.Errorf("load %s: no source", key.digest)
	}
	b, err := src.Read()
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", key.digest, err)
	}
	if !b.Is(key.digest) {
		return nil, fmt.Errorf("%w (got %s, want %s)", ErrDigest, b.Digest(), key.digest)
	}
	a, err := m.loader.load(ctx, b, key)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", key.digest, err)
	}
	err = onlyFunctions(a.report)
	if err == nil {
		err = link(ctx, a.runtime, a.compiled)
	}
	if err != nil {
		_ = a.runtime.Close(ctx)
		return nil, err
	}
	return a, nil
}

// evict takes out what is over the bound and not in use. The caller holds mu, and
// closes what is returned after it let go.
func (m *modules) evict() []*loaded {
	var out []*loaded
	for e := m.order.Back(); e != nil && (m.bytes > m.max || m.closed); {
		l, prev := e.Value.(*loaded), e.Prev()
		if l.users == 0 {
			m.order.Remove(e)
			m.bytes -= l.bytes
			if m.by[l.key] == l {
				delete(m.by, l.key)
			}
			out = append(out, l)
		}
		e = prev
	}
	return out
}

func closeAll(list []*loaded) {
	for _, l := range list {
		_ = l.runtime.Close(context.Background())
	}
}

// close waits for loads and drops everything that is not in use.
func (m *modules) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.wg.Wait()
	m.mu.Lock()
	out := m.evict()
	m.mu.Unlock()
	closeAll(out)
}
