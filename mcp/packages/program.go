package packages

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"

	"github.com/glovebox-dev/glovebox/mcp/reason"
)

// maxProgram bounds a program, in bytes.
const maxProgram = 256 << 20

var programRE = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

// InstallProgram copies a program of Go out of an absolute path into the store. The go
// command wrote into it which modules it was built from; a program that does not say so
// is refused, since no advisory can be asked about it.
//
// The error is a *reason.Refusal, or of the system.
func (s *Store) InstallProgram(ctx context.Context, file string) (*Installed, error) {
	name := filepath.Base(file)
	if !filepath.IsAbs(file) || filepath.Clean(file) != file || !programRE.MatchString(name) {
		return nil, refuse(reason.Launcher, "write its absolute path", "%.200q is no absolute path of a program", file)
	}
	info, err := os.Stat(file) // before the open: opening a FIFO blocks
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxProgram {
		return nil, &reason.Refusal{Reason: reason.Launcher, What: "there is no program of a sensible size at " + file, Err: err}
	}
	seal := Seal{Schema: SchemaSeal, Runtime: RuntimeBinary, Entry: path.Join("bin", name)}
	return s.keep(ctx, &seal, func(files *os.Root) error { return copyProgram(files, file, &seal) }, func() error { return nil })
}

// copyProgram copies first and reads then: what is judged is what was copied.
func copyProgram(files *os.Root, file string, seal *Seal) (err error) {
	from, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if err := files.Mkdir("bin", 0o755); err != nil {
		return err
	}
	to, err := files.OpenFile(filepath.FromSlash(seal.Entry), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	n, err := io.Copy(to, io.LimitReader(from, maxProgram+1))
	switch {
	case err != nil:
		return err
	case n > maxProgram:
		return refuse(reason.Oversize, "", "program %.120q has more than %d bytes", file, maxProgram)
	}
	list, err := programList(to)
	if err != nil {
		return &reason.Refusal{Reason: reason.Lock, What: "program " + file + " does not say what it was built from", Fix: "build it with: go install MODULE@VERSION", Err: err}
	}
	seal.Packages = len(list.Packages)
	return nil
}
