package sandbox

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glovebox-dev/glovebox/sandbox/lock"
)

// view is what a box shows: the arguments of bubblewrap that build it, the open
// files that these name, and what Landlock leaves open of it.
type view struct {
	args   []string
	files  []*os.File // descriptors from 3
	access []lock.Access
	shown  []string // paths that are there already
}

// Where the parts of the box itself are.
const (
	inside = "/glovebox"            // the program that closes the second wall and starts the other
	closed = "/etc/glovebox.closed" // what only Landlock keeps closed: the self-test tries it
)

func (v *view) close() {
	for _, f := range v.files {
		_ = f.Close() // opened for bubblewrap only
	}
}

// fd adds a file and returns its descriptor in the child.
func (v *view) fd(f *os.File) string {
	v.files = append(v.files, f)
	return fmt.Sprint(2 + len(v.files))
}

func (v *view) add(args ...string) { v.args = append(v.args, args...) }

func (v *view) allow(path string, write, execute bool) {
	v.access = append(v.access, lock.Access{Path: path, Write: write, Execute: execute})
}

// data shows a read-only file with a content of ours.
func (v *view) data(path, content string) error {
	f, err := memory(path, []byte(content))
	if err != nil {
		return err
	}
	v.add("--perms", "0444", "--ro-bind-data", v.fd(f), path)
	return nil
}

// memory returns an open file that holds b and has no name.
func memory(name string, b []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := fill(f, b); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// fill writes b for a reader that begins at the start.
func fill(f *os.File, b []byte) error {
	if _, err := f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("fill a file in memory: %w", err)
	}
	return nil
}

// host shows a file or directory of the host where it is, read-only.
func (v *view) host(path string) error {
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at %s: %w", path, err)
	case fi.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		if err != nil {
			return fmt.Errorf("look at %s: %w", path, err)
		}
		v.add("--symlink", to, path)
		v.shown = append(v.shown, path)
		return nil
	}
	v.add("--ro-bind", path, path)
	v.allow(path, false, true)
	v.shown = append(v.shown, path)
	return nil
}

func (v *view) shows(path string) bool {
	return slices.ContainsFunc(v.shown, func(s string) bool { return below(path, s) })
}

// file shows one file of the host at a path.
func (v *view) file(host, path string, allow bool) {
	if !v.shows(path) {
		v.add("--ro-bind", host, path)
		v.shown = append(v.shown, path)
	}
	if allow {
		v.allow(path, false, true)
	}
}

// system shows what the profile names, the programs, and what they are linked with.
func (v *view) system(b *Box) error {
	for _, path := range b.Profile.System {
		if err := v.host(path); err != nil {
			return err
		}
	}
	if b.self {
		v.allow(inside, false, true)
		return nil // its libraries are shown for the inside step, and opened here
	}
	for _, program := range append([]string{b.Argv[0]}, b.Programs...) {
		if err := v.program(b, program); err != nil {
			return err
		}
	}
	return nil
}

// program shows a program of the host at its path, with its libraries. One below a
// mount is there already.
func (v *view) program(b *Box, program string) error {
	brought := slices.ContainsFunc(b.binds(), func(m Mount) bool { return below(program, m.Box) })
	if brought {
		program = b.hostPath(program)
	} else if !v.shows(program) {
		real, err := filepath.EvalSymlinks(program)
		if err != nil {
			return fmt.Errorf("%w: the program %s: %w", ErrBox, program, err)
		}
		v.file(real, program, true)
		program = real
	}
	if v.shows("/usr/lib") {
		return nil // all libraries are there
	}
	libs, err := linked(program)
	if err != nil {
		return err
	}
	if b.Profile.Python && !brought {
		more, err := v.python(program)
		if err != nil {
			return err
		}
		libs = append(libs, more...)
	}
	slices.Sort(libs)
	for _, lib := range slices.Compact(libs) {
		v.file(lib, lib, true)
	}
	return nil
}

// hostPath returns where a path in the box is on the host.
func (b *Box) hostPath(p string) string {
	for _, m := range b.binds() {
		if below(p, m.Box) {
			return filepath.Join(m.Host, strings.TrimPrefix(p, m.Box))
		}
	}
	return p
}

// python shows the standard library that lies beside an interpreter and returns the
// libraries of its compiled modules.
func (v *view) python(interpreter string) ([]string, error) {
	prefix := filepath.Dir(filepath.Dir(interpreter))
	found, err := filepath.Glob(filepath.Join(prefix, "lib", "python3.*", "os.py"))
	if err != nil {
		return nil, fmt.Errorf("look for the standard library: %w", err)
	}
	want := filepath.Base(interpreter)
	if i := slices.IndexFunc(found, func(p string) bool { return filepath.Base(filepath.Dir(p)) == want }); i >= 0 {
		found = found[i : i+1]
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%w: %d standard libraries beside %s; name the interpreter with its version, such as python3.11", ErrBox, len(found), interpreter)
	}
	tree := filepath.Dir(found[0])
	if err := v.host(tree); err != nil {
		return nil, err
	}
	modules, err := filepath.Glob(filepath.Join(tree, "lib-dynload", "*.so"))
	if err != nil {
		return nil, fmt.Errorf("look for compiled modules: %w", err)
	}
	var libs []string
	for _, m := range modules {
		more, err := linked(m)
		if err != nil {
			return nil, err
		}
		libs = append(libs, more...)
	}
	return libs, nil
}

// linked returns the loader and the libraries of a program, as far as they lie in
// the directories of libraries: a program does not choose what else is shown. What
// is no program has none.
func linked(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: the program %s: %w", ErrBox, path, err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	var magic [4]byte
	if _, err := f.ReadAt(magic[:], 0); err != nil || string(magic[:]) != elf.ELFMAG {
		return nil, nil
	}
	libs, err := libraries(f)
	if err != nil {
		return nil, fmt.Errorf("%w: the program %s: %w", ErrBox, path, err)
	}
	return libs, nil
}
