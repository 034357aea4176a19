package skills

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/glovebox-dev/glovebox/abi"
)

// Difference is a file that a second build made otherwise.
type Difference struct {
	File  string     `json:"file"`
	Have  abi.Digest `json:"have"`  // in the folder
	Built abi.Digest `json:"built"` // by the second build
}

// Rebuild builds the skill of a built folder once more, in a copy, and returns the bundle
// with what came out differently; nothing means that the build is reproducible here. The
// folder is left as it is.
func Rebuild(ctx context.Context, dir string, o BuildOptions, l Lister, t Toolchain) (b *Bundle, differ []Difference, err error) {
	if b, err = Open(dir); err != nil {
		return nil, nil, err
	}
	scratch, err := os.MkdirTemp("", "glovebox-verify-")
	if err != nil {
		return nil, nil, fmt.Errorf("verify the build: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	made := []string{b.Manifest.Manifest.Module, ManifestFile, SBOMFile}
	if err := copySources(b.Dir, scratch, made); err != nil {
		return nil, nil, fmt.Errorf("verify the build: %w", err)
	}
	o.UseModule, o.sources = false, b.Dir
	again, err := Build(ctx, scratch, o, l, t)
	if err != nil {
		return nil, nil, fmt.Errorf("verify the build: %w", err)
	}
	for _, name := range made {
		have, err := b.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // an older bundle lists no dependencies
			return nil, nil, err
		}
		built, err := again.Bundle.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		if d := (Difference{name, abi.DigestOf(have), abi.DigestOf(built)}); d.Have != d.Built {
			differ = append(differ, d)
		}
	}
	return b, differ, nil
}

// copySources copies the author's files, without those that a build makes. Installed npm
// packages are not copied but linked.
func copySources(from, to string, made []string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case rel == ".", slices.Contains(made, rel):
			return nil
		case rel == "node_modules":
			if err := os.Symlink(path, target); err != nil {
				return err
			}
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.IsDir():
			return os.Mkdir(target, 0o755)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a folder", path)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, info.Mode().Perm())
	})
}
