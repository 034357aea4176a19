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
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
)

// maxSkills bounds the skills of one daemon.
const maxSkills = 1000

// catalog finds the skills in the operator's folders from their skill.manifest.json
// alone: no module is read before one of its tools is called.
type catalog struct {
	dirs []string
	log  *slog.Logger

	mu    sync.Mutex // guards cache
	cache map[string]*watched[*skills.Bundle]
}

// Found is one skill of the catalog: a bundle, or why there is none.
type Found struct {
	Dir    string
	Bundle *skills.Bundle
	Err    error
}

func newCatalog(dirs []string, log *slog.Logger) *catalog {
	return &catalog{dirs: dirs, log: log, cache: map[string]*watched[*skills.Bundle]{}}
}

// Scan lists what lies in the folders now, by folder. A folder is a skill if it
// holds a manifest; otherwise the folders directly in it are looked at. Of two
// skills with one name the first found holds, and the other is an error.
func (c *catalog) Scan() []Found {
	var found []Found
	seen := map[abi.SkillName]string{}
	for _, dir := range c.folders() {
		bundle, err := c.open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
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
		f := Found{Dir: dir, Bundle: bundle, Err: err}
		if err != nil {
			f.Bundle = nil
		}
		found = append(found, f)
	}
	return found
}

func (c *catalog) folders() []string {
	var all []string
	for _, dir := range c.dirs {
		if _, err := os.Stat(filepath.Join(dir, skills.ManifestFile)); err == nil {
			all = append(all, dir)
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			c.log.Warn("a folder of skills cannot be read", "err", err)
			continue
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				all = append(all, filepath.Join(dir, e.Name()))
			}
		}
	}
	return slices.Compact(all)
}

// open reads the manifest in dir, unless it is the one that was read before.
func (c *catalog) open(dir string) (*skills.Bundle, error) {
	path := filepath.Join(dir, skills.ManifestFile)
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "not a directory") {
			return nil, fs.ErrNotExist
		}
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.cache[path]; w.current(info) {
		return w.value, w.err
	}
	w := &watched[*skills.Bundle]{info: info, fresh: time.Since(info.ModTime()) < settled}
	w.value, w.err = readManifest(dir, path)
	c.cache[path] = w
	return w.value, w.err
}

// readManifest is skills.Open without the files that the manifest lists: the digest
// of the module is checked whenever it is loaded.
func readManifest(dir, path string) (*skills.Bundle, error) {
	data, err := config.ReadOwned(path, skills.MaxManifest)
	if err != nil {
		return nil, fmt.Errorf("read skill: %w", err)
	}
	compiled, err := abi.DecodeCompiled(path, data)
	if err != nil {
		return nil, fmt.Errorf("read skill: %w", err)
	}
	return &skills.Bundle{Dir: dir, Manifest: compiled, Digest: abi.DigestOf(data)}, nil
}
