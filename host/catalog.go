package host

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/install"
)

// maxSkills bounds the skills of one daemon.
const maxSkills = 1000

// catalog finds the skills in the operator's folders from their skill.manifest.json
// alone: no module is read before one of its tools is called.
type catalog struct {
	dirs  []string
	store *install.Store // of what was installed; nil: nothing
	log   *slog.Logger

	mu    sync.Mutex // guards cache and lock
	cache map[string]*watched[described]
	lock  *watched[*install.Lock]
}

// described is a bundle with the tools that it offers.
type described struct {
	*skills.Bundle
	tools []agent.Spec
	unfit error // why one of them cannot be offered
}

// Found is one skill of the catalog: a bundle, or why there is none.
type Found struct {
	Dir    string
	Bundle *skills.Bundle
	Err    error

	tools []agent.Spec
	unfit error

	Artifact abi.Digest // that the lock file names; "" for a folder of the configuration
}

func newCatalog(dirs []string, store *install.Store, log *slog.Logger) *catalog {
	return &catalog{dirs: dirs, store: store, log: log, cache: map[string]*watched[described]{}}
}

// Scan lists what lies in the folders now, by folder. A folder is a skill if it
// holds a manifest; otherwise the folders directly in it are looked at. What was
// installed comes last. Of two skills with one name the first found holds, and the
// other is an error.
func (c *catalog) Scan() []Found {
	var found []Found
	seen := map[abi.SkillName]string{}
	for _, at := range append(c.folders(), c.installed()...) {
		dir := at.Dir
		var bundle described
		err := at.Err
		if err == nil {
			bundle, err = c.open(dir)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist) && at.Artifact == "":
			continue
		case errors.Is(err, fs.ErrNotExist):
			err = &install.Refusal{Reason: install.ReasonInterrupted, What: "it was installed, and its folder " + dir + " is gone", Fix: "glovebox skill install " + filepath.Base(filepath.Dir(dir))}
		}
		if err == nil {
			if other, taken := seen[bundle.Name()]; taken {
				err = fmt.Errorf("skill %q is in %s already, which comes first", bundle.Name(), other)
			} else {
				seen[bundle.Name()] = dir
			}
		}
		if len(found) == maxSkills {
			c.log.Warn("too many skills: the rest is left out", "limit", maxSkills)
			break
		}
		f := Found{Dir: dir, Err: err, Artifact: at.Artifact}
		if err == nil {
			f.Bundle, f.tools, f.unfit = bundle.Bundle, bundle.tools, bundle.unfit
		}
		found = append(found, f)
	}
	return found
}

func (c *catalog) folders() []Found {
	var all []Found
	for _, dir := range c.dirs {
		if _, err := os.Stat(filepath.Join(dir, skills.ManifestFile)); err == nil {
			all = append(all, Found{Dir: dir})
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			c.log.Warn("a folder of skills cannot be read", "err", err)
			continue
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				all = append(all, Found{Dir: filepath.Join(dir, e.Name())})
			}
		}
	}
	return slices.CompactFunc(all, func(a, b Found) bool { return a.Dir == b.Dir })
}

// installed lists the folders that the lock file names. A lock file that cannot be
// read is an error, and no installed skill is there.
func (c *catalog) installed() []Found {
	if c.store == nil {
		return nil
	}
	lock, err := c.readLock()
	if err != nil {
		return []Found{{Dir: c.store.LockFile(), Err: err}}
	}
	var all []Found
	for i := range lock.Skills {
		if e := lock.Installed(lock.Skills[i].Name); e != nil {
			all = append(all, Found{Dir: c.store.Dir(e), Artifact: e.Artifact})
		}
	}
	return all
}

func (c *catalog) readLock() (*install.Lock, error) {
	info := statOf(c.store.LockFile())
	if info == nil {
		return &install.Lock{}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lock.current(info) {
		return c.lock.value, c.lock.err
	}
	c.lock = &watched[*install.Lock]{info: info, fresh: time.Since(info.ModTime()) < settled}
	c.lock.value, c.lock.err = c.store.Lock()
	return c.lock.value, c.lock.err
}

// open reads the manifest in dir, unless it is the one that was read before.
func (c *catalog) open(dir string) (described, error) {
	path := filepath.Join(dir, skills.ManifestFile)
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "not a directory") {
			return described{}, fs.ErrNotExist
		}
		return described{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.cache[path]; w.current(info) {
		return w.value, w.err
	}
	w := &watched[described]{info: info, fresh: time.Since(info.ModTime()) < settled}
	w.value, w.err = readManifest(dir, path)
	c.cache[path] = w
	return w.value, w.err
}

// readManifest is skills.Open without the files that the manifest lists: the digest
// of the module is checked whenever it is loaded.
func readManifest(dir, path string) (d described, err error) {
	data, err := config.ReadOwned(path, skills.MaxManifest)
	if err != nil {
		return d, fmt.Errorf("read skill: %w", err)
	}
	compiled, err := abi.DecodeCompiled(path, data)
	if err != nil {
		return d, fmt.Errorf("read skill: %w", err)
	}
	d.Bundle = &skills.Bundle{Dir: dir, Manifest: compiled, Digest: abi.DigestOf(data)}
	d.tools = specs(d.Bundle)
	for _, spec := range d.tools {
		d.unfit = errors.Join(d.unfit, agent.CheckSpec(spec))
	}
	return d, nil
}
