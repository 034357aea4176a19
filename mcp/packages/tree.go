package packages

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/glovebox-dev/glovebox/abi"
)

// tree is what lies in a folder: the digest of all names, rights and contents, and what
// the system said of each file when it was read.
type tree struct {
	digest abi.Digest
	stats  []byte
}

// readTree reads all of a folder. Anything but folders and plain files is an error.
func readTree(dir string) (tree, error) { return walk(dir, true) }

// held reports whether nothing below dir was touched since t was read: neither contents
// nor names nor rights, and not back again either, since a change of any of them sets the
// time of the change, which nobody can set.
func (t tree) held(dir string) (bool, error) {
	now, err := walk(dir, false)
	return err == nil && bytes.Equal(now.stats, t.stats), err
}

func walk(dir string, read bool) (t tree, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return tree{}, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	all, stats, files := sha256.New(), sha256.New(), 0
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if files++; files > 2*maxFiles {
			return fmt.Errorf("more than %d files", 2*maxFiles)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if err := identify(stats, name, info); err != nil {
			return err
		}
		switch {
		case !read:
			return nil
		case d.IsDir():
			_, err := fmt.Fprintf(all, "folder %q\n", name)
			return err
		case !info.Mode().IsRegular():
			return fmt.Errorf("%.200q is no plain file", name)
		}
		return content(all, root, name, info)
	})
	if err != nil {
		return tree{}, err
	}
	return tree{abi.Digest("sha256:" + hex.EncodeToString(all.Sum(nil))), stats.Sum(nil)}, nil
}

// content adds one file.
func content(all hash.Hash, root *os.Root, name string, info fs.FileInfo) (err error) {
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if now, err := f.Stat(); err != nil || !os.SameFile(info, now) {
		return errors.Join(err, fmt.Errorf("%.200q was exchanged", name))
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(f, maxUnpacked+1))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(all, "file %q %t %d %x\n", name, info.Mode().Perm()&0o111 != 0, n, sum.Sum(nil))
	return err
}

// protect takes the right to write from dir and everything below it, for everybody.
func protect(dir string) error {
	return each(dir, func(root *os.Root, name string, d fs.DirEntry) error {
		info, err := d.Info()
		if err != nil || !d.IsDir() && !info.Mode().IsRegular() {
			return err
		}
		return root.Chmod(name, info.Mode().Perm()&^0o222|0o444)
	})
}

// discard removes dir, protected or not.
func discard(dir string) error {
	err := each(dir, func(root *os.Root, name string, d fs.DirEntry) error {
		if !d.IsDir() {
			return nil
		}
		return root.Chmod(name, 0o700)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// each tells f of dir and everything below it, folders first.
func each(dir string, f func(root *os.Root, name string, d fs.DirEntry) error) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return f(root, filepath.FromSlash(name), d)
	})
}
