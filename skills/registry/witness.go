package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
)

// witness is what this machine saw of a registry, beside the database: a database that
// is put back from a backup is older than its witness, and says so.
type witness struct {
	Root       abi.Digest       `json:"root"`
	Generation int64            `json:"generation"`
	Seen       map[string]int64 `json:"seen"`
}

func (c *Client) cacheDir(name Name) string { return filepath.Join(c.cfg.Dir, string(name)) }

func (c *Client) witnessFile(name Name) string { return filepath.Join(c.cacheDir(name), "seen.json") }

// witness returns the registry's witness if the database is older than it, else nil.
// A wiped cache has no witness: the versions in the database remain.
func (c *Client) witness(r *row) (*witness, error) {
	data, err := os.ReadFile(c.witnessFile(r.name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var w witness
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", c.witnessFile(r.name), err)
	}
	if w.Root != r.rootID || w.Generation <= r.generation {
		return nil, nil
	}
	return &w, nil
}

func (c *Client) bearWitness(r *row, seen map[string]int64) error {
	if err := os.MkdirAll(c.cacheDir(r.name), 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(witness{r.rootID, r.generation, seen})
	if err != nil {
		return err
	}
	return config.WriteFile(c.witnessFile(r.name), data)
}

// merge raises the versions in seen to those of the witness.
func (w *witness) merge(seen map[string]int64) map[string]int64 {
	out := maps.Clone(seen)
	for role, version := range w.Seen {
		out[role] = max(out[role], version)
	}
	return out
}
