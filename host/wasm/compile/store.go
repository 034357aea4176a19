package compile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
)

// Store keeps compiled modules in a private directory. It is safe for concurrent
// use by one process.
type Store struct {
	cfg     Config
	flights singleflight.Group
	running sync.WaitGroup // compilations that nobody may be waiting for any more
	trim    sync.Mutex     // guards the choice of what to remove
	refused refusals       // what the jail refused lately
	jails   chan struct{}  // holds one token for each child that runs
}

// suffix ends the names of the store's files.
const suffix = ".compiled"

// Open opens the store in c.Dir. A directory that others can enter, or that
// belongs to somebody else, is refused with ErrDir: its files become code.
func Open(c Config) (*Store, error) {
	if len(c.Key) != 32 {
		return nil, fmt.Errorf("the key of the store of compiled modules has %d bytes, want 32", len(c.Key))
	}
	if c.Confine == nil {
		return nil, errors.New("the store of compiled modules needs a jail")
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Key = bytes.Clone(c.Key)
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of compiled modules: %w", err)
	}
	s := &Store{cfg: c, jails: make(chan struct{}, max(1, runtime.NumCPU()/2))} // a flood of modules leaves cores to those that run
	if err := s.checkDir(); err != nil {
		return nil, err
	}
	return s, s.sweep()
}

// leftover is the age at which a temporary file is known to be one of a process
// that died.
const leftover = time.Hour

// sweep removes what an earlier process left half done.
func (s *Store) sweep() error {
	names, err := filepath.Glob(filepath.Join(s.cfg.Dir, ".*-*"))
	if err != nil {
		return fmt.Errorf("list compiled modules: %w", err)
	}
	for _, n := range names {
		if fi, err := os.Lstat(n); err != nil || time.Since(fi.ModTime()) < leftover {
			continue
		}
		if err := os.RemoveAll(n); err != nil {
			return fmt.Errorf("remove what an earlier process left: %w", err)
		}
	}
	return nil
}

// Close waits for compilations that are under way.
func (s *Store) Close() { s.running.Wait() }

func (s *Store) checkDir() error {
	fi, err := os.Lstat(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("look at the directory of compiled modules: %w", err)
	}
	if !private(fi) {
		return fmt.Errorf("%w: %s must be a directory with mode 0700 that belongs to the user of the daemon; see to it with: chmod 700 %[2]s", ErrDir, s.cfg.Dir)
	}
	return nil
}

func (s *Store) path(key string) string { return filepath.Join(s.cfg.Dir, key+suffix) }

// Cached reports whether there is a file for the module, without verifying it.
func (s *Store) Cached(d abi.Digest, o Options) bool {
	_, err := os.Lstat(s.path(keyOf(d, o)))
	return err == nil
}

// Get returns the compiled module for blob, from disk if what lies there verifies
// and freshly compiled in the jail otherwise. However many ask for the same
// module at once, it is compiled once; a caller whose ctx ends leaves the
// compilation to the others. A module that is refused gives a *module.Refusal.
func (s *Store) Get(ctx context.Context, blob abi.Blob, o Options) (*Artifact, error) {
	b, digest := blob.Bytes(), blob.Digest()
	if digest == "" {
		return nil, errors.New("compile a module: it has no digest, so nobody knows which one it is")
	}
	if limit := module.DefaultLimits().Size; len(b) > limit {
		return nil, &module.Refusal{Rule: module.RuleSize, Func: module.NoFunc, Got: int64(len(b)), Limit: int64(limit), Detail: "too many bytes"}
	}
	key := keyOf(digest, o)
	s.running.Add(1)
	result := s.flights.DoChan(key, func() (any, error) {
		// The work is shared: it ends by the jail's own limits, not with one caller.
		return s.get(context.WithoutCancel(ctx), key, digest, b, o)
	})
	done := make(chan singleflight.Result, 1)
	go func() {
		defer s.running.Done()
		done <- <-result
	}()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a compilation: %w", context.Cause(ctx))
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		a, ok := r.Val.(*Artifact)
		if !ok {
			return nil, ErrCrash
		}
		return a.share(), nil
	}
}

func (s *Store) get(ctx context.Context, key string, d abi.Digest, b []byte, o Options) (*Artifact, error) {
	if err := s.checkDir(); err != nil {
		return nil, err
	}
	a, err := s.load(key)
	if err == nil {
		return a, nil
	}
	if !errors.Is(err, ErrAbsent) {
		s.cfg.Log.WarnContext(ctx, "compiled module refused, compiling it again", "event", "module.cache_refused", "digest", string(d), "error", err)
		if err := os.RemoveAll(s.path(key)); err != nil {
			return nil, fmt.Errorf("remove a compiled module that does not verify: %w", err)
		}
	}
	report, err := module.Scan(b, module.DefaultLimits())
	if err != nil {
		return nil, err
	}
	rewritten, err := module.Rewrite(b, o)
	if err != nil {
		return nil, err
	}
	if why := s.refused.get(key, time.Now()); why != nil {
		again := *why
		return nil, &again
	}
	s.jails <- struct{}{}
	name, native, err := s.jail(ctx, b, rewritten, o)
	<-s.jails
	if err != nil {
		if r := (*module.Refusal)(nil); errors.As(err, &r) {
			s.refused.put(key, r, time.Now())
		}
		return nil, err
	}
	r := record{
		Key: key, Original: d, Rewritten: abi.DigestOf(rewritten), Native: abi.DigestOf(native), NativeName: name,
		Size: len(rewritten), Code: len(native), Platform: thisPlatform(), Options: o, Report: report,
	}
	file, err := seal(s.cfg.Key, r, rewritten, native)
	if err != nil {
		return nil, err
	}
	if err := s.write(key, file); err != nil {
		return nil, err
	}
	return &Artifact{store: s, record: r, rewritten: rewritten, native: native}, nil
}

// load reads and verifies the file of key.
func (s *Store) load(key string) (*Artifact, error) {
	f, err := openEntry(s.path(key))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrAbsent
	}
	if err != nil {
		return nil, err
	}
	file, err := readRegular(f, nativeMax+4*int64(module.DefaultLimits().Size))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	r, rewritten, native, err := unseal(s.cfg.Key, file, key)
	if err != nil {
		return nil, err
	}
	// The time of last use decides what is removed first; a failure only misorders.
	_ = os.Chtimes(s.path(key), time.Time{}, time.Now())
	return &Artifact{store: s, record: r, rewritten: rewritten, native: native}, nil
}

// write puts file in place in one step and makes room for it.
func (s *Store) write(key string, file []byte) (err error) {
	f, err := os.CreateTemp(s.cfg.Dir, ".new-*")
	if err != nil {
		return fmt.Errorf("write a compiled module: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = io.Copy(f, bytes.NewReader(file))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write a compiled module: %w", err)
	}
	if err = os.Rename(f.Name(), s.path(key)); err != nil {
		return fmt.Errorf("write a compiled module: %w", err)
	}
	return s.makeRoom(key)
}

// makeRoom removes the files that were used longest ago until the rest fits, but
// never the one of keep.
func (s *Store) makeRoom(keep string) error {
	s.trim.Lock()
	defer s.trim.Unlock()
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("list compiled modules: %w", err)
	}
	var files []os.FileInfo
	var sum int64
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil || !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		sum += fi.Size()
		if e.Name() != keep+suffix {
			files = append(files, fi)
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, fi := range files {
		if sum <= s.cfg.MaxBytes {
			break
		}
		if err := os.Remove(filepath.Join(s.cfg.Dir, fi.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove a compiled module: %w", err)
		}
		sum -= fi.Size()
	}
	return nil
}
