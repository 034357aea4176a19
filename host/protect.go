package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/glovebox-dev/glovebox/abi"
)

// Protected are the folders that a grant of files cannot reach into, whoever wrote it:
// a grant of the home folder must not hand out the token and the keys in it, nor let
// a skill write its own grant.
type Protected struct {
	State  string   // neither read nor written; "workspace:NAME" is the way to a folder in it
	Skills []string // not written, nor what lies in them
	Rules  []string // folders with grants or the configuration: not written themselves
}

// check refuses a mount from which a guest could reach what is protected.
func (p Protected) check(f abi.FileRight) error {
	try := func(dirs []string, reaches func(host, dir string) (bool, error)) error {
		for _, dir := range dirs {
			hit, err := reaches(f.Host, dir)
			if err == nil && hit {
				err = fmt.Errorf("%s reaches into %s, which decides over skills; give a folder of its own, such as workspace:NAME", f.Host, dir)
			}
			if err != nil {
				return fmt.Errorf("mount %s (%s): %w", f.Mount, f.Rule, err)
			}
		}
		return nil
	}
	err := try([]string{p.State}, overlap)
	if f.Write {
		err = errors.Join(err, try(p.Skills, overlap), try(p.Rules, func(host, dir string) (bool, error) { return within(dir, host) }))
	}
	return err
}

// overlap reports whether one of two folders is the other or lies in it, by their
// identity: a link or a second mount of a folder is that folder.
func overlap(a, b string) (bool, error) {
	in, err := within(a, b)
	if in || err != nil {
		return in, err
	}
	return within(b, a)
}

// within reports whether path is dir or lies below it. What does not exist lies
// nowhere.
func within(path, dir string) (bool, error) {
	want, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	path, err = filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for {
		info, err := os.Stat(path)
		if err != nil {
			return false, err
		}
		if os.SameFile(info, want) {
			return true, nil
		}
		up := filepath.Dir(path)
		if up == path {
			return false, nil
		}
		path = up
	}
}
