package artifact

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/glovebox-dev/glovebox/internal/durable"
)

// Extract writes the files of the skill into the new folder dir, the signature beside
// them. All of it goes into a hidden folder beside dir (.NAME-…) that then gets its
// name: wherever the process ends, dir is whole or not there. A dir that exists is an
// error.
func (a *Artifact) Extract(dir string, signature []byte) error {
	if err := a.extract(filepath.Clean(dir), signature); err != nil {
		return fmt.Errorf("extract %s: %w", a.Name, err)
	}
	return nil
}

func (a *Artifact) extract(dir string, signature []byte) error {
	if a.Skill == "" {
		return errors.New("a module alone is no skill")
	}
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("%s: %w", dir, os.ErrExist)
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-*")
	if err != nil {
		return err
	}
	list := a.Blobs[1:]
	if signature != nil {
		list = append(slices.Clone(list), Blob{Name: SignatureFile, Data: signature})
	}
	err = fill(temp, list)
	if err == nil {
		err = os.Rename(temp, dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// fill writes files below dir, and nowhere else, until they are on the disk.
func fill(dir string, list []Blob) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := root.Chmod(".", 0o755); err != nil {
		return err
	}
	dirs := map[string]bool{".": true}
	for _, b := range list {
		for d := path.Dir(b.Name); !dirs[d]; d = path.Dir(d) {
			dirs[d] = true
		}
		if err := root.MkdirAll(filepath.FromSlash(path.Dir(b.Name)), 0o755); err != nil {
			return err
		}
		if err := create(root, b); err != nil {
			return err
		}
	}
	for d := range dirs {
		if err := durable.SyncDir(filepath.Join(dir, filepath.FromSlash(d))); err != nil {
			return err
		}
	}
	return nil
}

func create(root *os.Root, b Blob) error {
	f, err := root.OpenFile(filepath.FromSlash(b.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b.Data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
