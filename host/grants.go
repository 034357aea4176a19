package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills/install"
)

// settled is how long a file must have been left alone before its time and size are
// taken for its content: two writes within one tick of the clock look the same.
const settled = 100 * time.Millisecond

// maxGrant bounds a grant file, as the decoder does.
const maxGrant = 256 * abi.KiB

// watched remembers what was read from a file until the file changes.
type watched[T any] struct {
	info  fs.FileInfo
	fresh bool // the file was written just before it was read: read it again
	value T
	err   error
}

// current reports whether w still tells what is in the file described by info.
func (w *watched[T]) current(info fs.FileInfo) bool {
	return w != nil && !w.fresh && os.SameFile(w.info, info) && w.info.ModTime().Equal(info.ModTime()) && w.info.Size() == info.Size()
}

// grantBook finds the operator's grants. It looks at the files at each call, so that
// a grant that is written or removed holds from the next call on.
type grantBook struct {
	dirs  []string       // in the order of search: the first file found holds
	store *install.Store // knows of grants in dirs[0] that wait for their names

	mu    sync.Mutex // guards cache
	cache map[string]*watched[*abi.Grant]
}

func newGrantBook(dirs []string, store *install.Store) *grantBook {
	return &grantBook{dirs: dirs, store: store, cache: map[string]*watched[*abi.Grant]{}}
}

// Lookup returns the grant of a skill and its file. No file is no error: the grant
// is nil, which grants nothing. A file that cannot be read or does not decode is an
// error, and no later folder is tried: what the operator wrote there must not be
// replaced by something wider.
func (b *grantBook) Lookup(skill abi.SkillName) (*abi.Grant, string, error) {
	if err := skill.Check(); err != nil {
		return nil, "", err
	}
	for i, dir := range b.dirs {
		path := filepath.Join(dir, string(skill)+".yaml")
		if i == 0 {
			path = b.store.GrantFile(skill)
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, path, fmt.Errorf("read grant: %w", err)
		}
		grant, err := b.load(path, info, skill)
		return grant, path, err
	}
	return nil, "", nil
}

func (b *grantBook) load(path string, info fs.FileInfo, skill abi.SkillName) (*abi.Grant, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := b.cache[path]; w.current(info) {
		return w.value, w.err
	}
	w := &watched[*abi.Grant]{info: info, fresh: time.Since(info.ModTime()) < settled}
	w.value, w.err = readGrant(path, skill)
	b.cache[path] = w
	return w.value, w.err
}

func readGrant(path string, skill abi.SkillName) (*abi.Grant, error) {
	data, err := config.ReadOwned(path, maxGrant)
	if err != nil {
		return nil, fmt.Errorf("read grant: %w", err)
	}
	// Denials cite this name to the guest: no folder of the host.
	grant, err := abi.DecodeGrant("grants/"+filepath.Base(path), data)
	if err != nil {
		return nil, fmt.Errorf("read grant in %s: %w", filepath.Dir(path), err)
	}
	if grant.Skill != skill {
		return nil, fmt.Errorf("read grant: %s is for skill %q, its name says %q", path, grant.Skill, skill)
	}
	return grant, nil
}
