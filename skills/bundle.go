package skills

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// Names of the files of a skill's folder.
const (
	SourceFile   = "skill.yaml"          // what the author asks for
	ModuleFile   = "skill.wasm"          // where "skill build" puts the module
	ManifestFile = "skill.manifest.json" // made by "skill build"; with the module, all that the daemon reads
	SBOMFile     = "sbom.cdx.json"       // made by "skill build": what the module was built from
	TestFolder   = "tests"
)

// Bounds of the files that Open reads.
const (
	MaxModule   = 32 * abi.MiB // the ceiling of module.Limits
	MaxManifest = abi.MaxManifest
	MaxFile     = 10 * abi.MiB // any other file of a bundle
)

// Errors that callers branch on.
var (
	ErrNotBuilt = errors.New("the skill is not built")
	ErrDigest   = errors.New("the file does not match its digest")
)

// Bundle is a built skill on disk. It is immutable; the files below Dir are checked
// again whenever they are read.
type Bundle struct {
	Dir      string        // absolute
	Manifest *abi.Compiled //
	Digest   abi.Digest    // of skill.manifest.json: what a grant pins
}

// Open reads skill.manifest.json in dir and checks every file that it lists, the
// module first.
func Open(dir string) (*Bundle, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open skill %s: %w", dir, err)
	}
	raw, err := readFile(abs, ManifestFile, MaxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notBuilt(abs, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open skill %s: %w", abs, err)
	}
	compiled, err := abi.DecodeCompiled(filepath.Join(abs, ManifestFile), raw)
	if err != nil {
		return nil, err
	}
	b := &Bundle{Dir: abs, Manifest: compiled, Digest: abi.DigestOf(raw)}
	if _, err := b.Read(); err != nil {
		return nil, err
	}
	for _, f := range compiled.Files {
		if err := b.check(f.Name, f.Digest, MaxFile); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Name returns the skill's name.
func (b *Bundle) Name() abi.SkillName { return b.Manifest.Manifest.Name }

// Read returns the module, hashed here and nowhere later, if it still matches the
// manifest. Otherwise the error wraps ErrDigest.
func (b *Bundle) Read() (abi.Blob, error) {
	return b.read(b.Manifest.Manifest.Module, b.Manifest.Module, MaxModule)
}

// ReadFile returns the bytes of one file of the bundle, if they still match: the
// manifest, the module, or a file that the manifest lists, with the size that it lists.
// Otherwise the error wraps ErrDigest, or fs.ErrNotExist for a file of no bundle.
func (b *Bundle) ReadFile(name string) ([]byte, error) {
	blob, err := b.file(name)
	return blob.Bytes(), err
}

func (b *Bundle) file(name string) (abi.Blob, error) {
	switch name {
	case ManifestFile:
		return b.read(name, b.Digest, MaxManifest)
	case b.Manifest.Manifest.Module:
		return b.Read()
	}
	i, listed := slices.BinarySearchFunc(b.Manifest.Files, name, func(f abi.File, name string) int { return strings.Compare(f.Name, name) })
	if !listed {
		return abi.Blob{}, fmt.Errorf("skill %q: %s is not listed in %s: %w", b.Name(), name, ManifestFile, fs.ErrNotExist)
	}
	return b.read(name, b.Manifest.Files[i].Digest, min(MaxFile, b.Manifest.Files[i].Size))
}

// Descriptor returns what the author says about a tool. A tool without a descriptor
// gets the strictest.
func (b *Bundle) Descriptor(tool abi.ToolName) abi.Descriptor {
	return descriptorOf(&b.Manifest.Manifest, tool)
}

func descriptorOf(m *abi.Manifest, tool abi.ToolName) abi.Descriptor {
	for _, d := range m.Tools {
		if d.Name == tool {
			return d
		}
	}
	return abi.Descriptor{Name: tool}
}

// Tool returns the entry of a tool in the manifest.
func (b *Bundle) Tool(name abi.ToolName) (abi.Tool, bool) {
	for _, t := range b.Manifest.Tools {
		if t.Name == name {
			return t, true
		}
	}
	return abi.Tool{}, false
}

func (b *Bundle) check(name string, want abi.Digest, limit int64) error {
	_, err := b.read(name, want, limit)
	return err
}

func (b *Bundle) read(name string, want abi.Digest, limit int64) (abi.Blob, error) {
	data, err := readFile(b.Dir, name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return abi.Blob{}, notBuilt(b.Dir, err)
	}
	if err != nil {
		return abi.Blob{}, fmt.Errorf("skill %q: %w", b.Name(), err)
	}
	blob := abi.NewBlob(data)
	if !blob.Is(want) {
		return abi.Blob{}, &Error{
			Err:  ErrDigest,
			What: fmt.Sprintf("skill %q not loaded: %s does not match %s (got %s, want %s)", b.Name(), name, ManifestFile, blob.Digest(), want),
			Hint: fmt.Sprintf("if you changed it yourself, run \"glovebox skill build %s\"; if not, do not use it", b.Dir),
		}
	}
	return blob, nil
}

func notBuilt(dir string, cause error) error {
	return &Error{
		Err:  ErrNotBuilt,
		What: fmt.Sprintf("no built skill in %s: %v", dir, cause),
		Hint: fmt.Sprintf("run \"glovebox skill build %s\"", dir),
	}
}

// Error is a failure with the command that helps.
type Error struct {
	Err  error  // a sentinel, or nil
	What string // what happened and why
	Hint string // what fixes it
}

// Error implements error.
func (e *Error) Error() string { return e.What }

// Unwrap returns the sentinel.
func (e *Error) Unwrap() error { return e.Err }

// readFile reads a regular file below dir, following no link out of it, and at most
// limit bytes.
func readFile(dir, name string, limit int64) (data []byte, err error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil, fmt.Errorf("file name %q leaves the skill's folder", name)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	info, err := root.Stat(filepath.FromSlash(name)) // before the open: opening a FIFO blocks
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes: more than %d", name, info.Size(), limit)
	}
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead))
	if _, err := buf.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	if data = buf.Bytes(); int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return data, nil
}

// Source is the author's folder of a skill.
type Source struct {
	Dir      string // absolute
	Manifest *abi.Manifest
}

// OpenSource reads skill.yaml in dir.
func OpenSource(dir string) (*Source, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open skill %s: %w", dir, err)
	}
	raw, err := readFile(abs, SourceFile, 256*abi.KiB)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{
			Err:  fs.ErrNotExist,
			What: fmt.Sprintf("no %s in %s", SourceFile, abs),
			Hint: "start a skill with \"glovebox skill new NAME\"",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open skill %s: %w", abs, err)
	}
	m, err := abi.DecodeManifest(filepath.Join(dir, SourceFile), raw)
	if err != nil {
		return nil, err
	}
	return &Source{Dir: abs, Manifest: m}, nil
}
