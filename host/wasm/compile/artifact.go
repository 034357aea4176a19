package compile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/tetratelabs/wazero"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
)

// Artifact is a module that was compiled and verified. It is safe for concurrent
// use.
type Artifact struct {
	store  *Store
	record record

	mu        sync.Mutex // guards the bytes, which the first Instantiable takes
	rewritten []byte
	native    []byte
}

// share returns a copy for one caller: each may take the bytes once.
func (a *Artifact) share() *Artifact {
	return &Artifact{store: a.store, record: a.record, rewritten: a.rewritten, native: a.native}
}

// Digest is that of the module as it was given, before it was rewritten.
func (a *Artifact) Digest() abi.Digest { return a.record.Original }

// Options are the limits that are baked into the module.
func (a *Artifact) Options() Options { return a.record.Options }

// Report is what the scan of the module found.
func (a *Artifact) Report() *module.Report { return a.record.Report }

// Bytes is about what a runtime of this artifact holds in memory: the native code
// and the module itself.
func (a *Artifact) Bytes() int64 { return int64(a.record.Code) + int64(a.record.Size) }

// Instantiable makes a runtime with the artifact's memory limit and loads the
// module into it from verified bytes. One runtime serves any number of instances;
// close it to free the code. Nothing is compiled: if the engine would not take
// the native code, the error is ErrSeal.
func (a *Artifact) Instantiable(ctx context.Context) (wazero.Runtime, wazero.CompiledModule, error) {
	rewritten, native, err := a.take()
	if err != nil {
		return nil, nil, err
	}
	return a.store.mount(ctx, a.record, rewritten, native)
}

// take returns the verified bytes and forgets them; once they are gone it reads
// and verifies the file again.
func (a *Artifact) take() (rewritten, native []byte, err error) {
	a.mu.Lock()
	rewritten, native = a.rewritten, a.native
	a.rewritten, a.native = nil, nil
	a.mu.Unlock()
	if rewritten != nil {
		return rewritten, native, nil
	}
	again, err := a.store.load(a.record.Key)
	if err != nil {
		return nil, nil, err
	}
	return again.rewritten, again.native, nil
}

// mount gives the engine the native code in a directory that exists only for the
// moment and that only this process can enter.
func (s *Store) mount(ctx context.Context, r record, rewritten, native []byte) (rt wazero.Runtime, c wazero.CompiledModule, err error) {
	dir, err := os.MkdirTemp(s.cfg.Dir, ".load-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a directory for the engine: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("open the engine's cache: %w", err)
	}
	closing := &heldRuntime{cache: cache}
	defer func() {
		if err != nil {
			err = errors.Join(err, closing.Close(ctx))
			rt, c = nil, nil
		}
	}()
	// The engine made the directory that is named for its version. If the record
	// names another one, the engine would not find the code and compile it here.
	if fi, err := os.Lstat(filepath.Join(dir, filepath.Dir(r.NativeName))); err != nil || !fi.IsDir() {
		return nil, nil, fmt.Errorf("%w: it was made by another version of the engine", ErrSeal)
	}
	if err := os.WriteFile(filepath.Join(dir, r.NativeName), native, 0o600); err != nil {
		return nil, nil, fmt.Errorf("give the engine a compiled module: %w", err)
	}
	closing.Runtime = wazero.NewRuntimeWithConfig(ctx, RuntimeConfig(r.Options.MemoryPages).WithCompilationCache(cache))
	c, err = closing.CompileModule(ctx, rewritten)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSeal, err)
	}
	left, err := os.ReadDir(filepath.Join(dir, filepath.Dir(r.NativeName)))
	if err != nil {
		return nil, nil, fmt.Errorf("look at the engine's cache: %w", err)
	}
	if len(left) != 1 || left[0].Name() != filepath.Base(r.NativeName) {
		return nil, nil, fmt.Errorf("%w: the engine did not use it", ErrSeal)
	}
	return closing, c, nil
}

// heldRuntime frees the engine's cache together with the runtime: the native code
// belongs to the cache.
type heldRuntime struct {
	wazero.Runtime
	cache wazero.CompilationCache
}

// Close closes the runtime and frees its code.
func (r *heldRuntime) Close(ctx context.Context) error { return r.CloseWithExitCode(ctx, 0) }

// CloseWithExitCode closes the runtime and frees its code.
func (r *heldRuntime) CloseWithExitCode(ctx context.Context, code uint32) error {
	var err error
	if r.Runtime != nil {
		err = r.Runtime.CloseWithExitCode(ctx, code)
	}
	return errors.Join(err, r.cache.Close(ctx))
}

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

// outOfMemory recognises the last words of a Go program that ran out of memory.
func outOfMemory(stderr []byte) bool {
	return bytes.Contains(stderr, []byte("out of memory")) || bytes.Contains(stderr, []byte("cannot allocate memory"))
}
