package packages

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/mcp/reason"
)

// Bounds of what is unpacked.
const (
	maxFiles    = 100_000 // of one server
	maxUnpacked = 1 << 30 // bytes of one server
	maxFile     = 256 << 20
	maxPath     = 1024 // bytes of a path within a server
	maxManifest = 1 << 20
)

// unpacker writes the archives of one server below one folder, and nowhere else.
type unpacker struct {
	root  *os.Root
	files int
	bytes int64
}

// program is package.json as far as it says what runs.
type program struct {
	Name    string            `json:"name"`
	Version string            `json:"version"`
	Bin     json.RawMessage   `json:"bin"`
	Scripts map[string]string `json:"scripts"`
}

// unpack writes the archive of p. The archive holds plain files under one folder, each
// once; links, devices and names that lead elsewhere are refused, and so is a package
// within a package: no registry has named it, so no advisory can.
func (u *unpacker) unpack(p Resolved, archive []byte) (*program, error) {
	gz, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, broken(p, err)
	}
	u.files++ // an empty archive counts as well
	seen := map[string]bool{}
	var text []byte
	for tr := tar.NewReader(gz); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, broken(p, err)
		}
		if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader {
			if u.files++; u.files > maxFiles {
				return nil, refuse(reason.Oversize, "", "%s has more than %d files with what it needs", p, maxFiles)
			}
			continue // folders are made where files need them
		}
		name, err := u.admit(p, h, seen)
		if err != nil {
			return nil, err
		}
		seen[name] = true
		if name == "package.json" {
			if h.Size > maxManifest {
				return nil, refuse(reason.Oversize, "", "package.json of %s has more than %d bytes", p, maxManifest)
			}
			if text, err = io.ReadAll(tr); err != nil {
				return nil, broken(p, err)
			}
			err = u.write(path.Join(p.Path, name), bytes.NewReader(text), h)
		} else {
			err = u.write(path.Join(p.Path, name), tr, h)
		}
		if err != nil {
			return nil, broken(p, err)
		}
	}
	return readProgram(p, text)
}

func broken(p Resolved, err error) error {
	return &reason.Refusal{Reason: reason.Malformed, What: fmt.Sprintf("the archive of %s cannot be unpacked", p), Err: err}
}

// admit judges an entry before its bytes are read and returns its name in the package.
func (u *unpacker) admit(p Resolved, h *tar.Header, seen map[string]bool) (string, error) {
	bad := func(why reason.Reason, what string) (string, error) {
		return "", refuse(why, "", "the archive of %s has %.120q, %s", p, h.Name, what)
	}
	first, name, ok := strings.Cut(h.Name, "/")
	u.files++
	switch {
	case h.Typeflag != tar.TypeReg || h.Linkname != "":
		return bad(reason.Malformed, "which is no plain file")
	case !ok || first == "" || first == ".." || first == ".", !fs.ValidPath(name), name == ".",
		strings.ContainsAny(name, `\:`), strings.ContainsFunc(name, unicode.IsControl), !utf8.ValidString(name):
		return bad(reason.Malformed, "a name that leads out of its folder or into doubt")
	case len(name)+len(p.Path) >= maxPath:
		return bad(reason.Oversize, "a name that is too long")
	case seen[name]:
		return bad(reason.Malformed, "there twice")
	case strings.Contains("/"+name+"/", "/node_modules/"):
		return bad(reason.Lock, "a package within the package, which no registry names")
	case u.files > maxFiles || h.Size > maxFile || u.bytes+h.Size > maxUnpacked:
		return bad(reason.Oversize, fmt.Sprintf("one of more than %d files or %d bytes", maxFiles, maxUnpacked))
	}
	u.bytes += h.Size
	return name, nil
}

// write makes one file. What programs of the package may execute keeps that right.
func (u *unpacker) write(name string, from io.Reader, h *tar.Header) error {
	if err := u.root.MkdirAll(filepath.FromSlash(path.Dir(name)), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if h.Mode&0o111 != 0 {
		mode = 0o755
	}
	f, err := u.root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// readProgram reads package.json. What the archive says that it is counts, and it must
// be what the registry was asked for.
func readProgram(p Resolved, text []byte) (*program, error) {
	if text == nil {
		return nil, refuse(reason.Malformed, "", "the archive of %s has no package.json", p)
	}
	var is program
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	if err := abi.CheckJSON(text, 64); err != nil {
		return nil, broken(p, err)
	}
	if err := json.Unmarshal(text, &is); err != nil {
		return nil, broken(p, err)
	}
	if is.Name != p.Name || strings.TrimLeft(is.Version, "v=") != p.Version {
		return nil, refuse(reason.Integrity, "", "the archive of %s says that it is %.80q@%.80q", p, is.Name, is.Version)
	}
	return &is, nil
}

// entry returns the file that bin names: the only program, the one of the package's own
// name, or the one that was asked for.
func (is *program) entry(p Resolved, bin string) (string, error) {
	programs := map[string]string{}
	var one string
	if json.Unmarshal(is.Bin, &one) == nil && one != "" {
		programs[path.Base(p.Name)] = one
	} else if len(is.Bin) > 0 {
		if err := json.Unmarshal(is.Bin, &programs); err != nil {
			return "", broken(p, err)
		}
	}
	file, ok := programs[bin]
	if bin == "" {
		file, ok = programs[path.Base(p.Name)]
		for _, only := range programs {
			if len(programs) == 1 {
				file, ok = only, true
			}
		}
	}
	file = path.Clean(file)
	if !ok || !fs.ValidPath(file) || file == "." {
		return "", refuse(reason.Config, "name one: npx --package="+p.String()+" PROGRAM", "package %s has no program %q of its own", p, bin)
	}
	return path.Join(p.Path, file), nil
}

// installs reports whether the package wants to run something when it is installed.
// Nothing of that is run.
func (is *program) installs() bool {
	return is.Scripts["preinstall"] != "" || is.Scripts["install"] != "" || is.Scripts["postinstall"] != ""
}
