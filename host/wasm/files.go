package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
)

// Bounds of the file functions.
const (
	maxPath     = 4096
	maxName     = 255
	maxList     = 1000
	maxScan     = 20_000 // entries of a folder that fs_list reads
	maxEntries  = 10_000 // files and folders below one writable mount
	defaultRead = 1 << 20
)

// place is a path of the guest resolved to a mount.
type place struct {
	right *abi.FileRight
	root  *os.Root
	name  string // relative to root; "." is the mount itself
}

// locate resolves a guest's path: cleaned lexically, then one mount. Everything
// after that goes through the mount's os.Root, which no link leaves.
func (c *call) locate(guest string, write bool) (place, *abi.Problem) {
	if c.phase == phaseInit {
		return place{}, phaseProblem("a file function", "files")
	}
	if len(guest) == 0 || len(guest) > maxPath || !utf8.ValidString(guest) || strings.ContainsRune(guest, 0) {
		return place{}, invalid("path: want 1 to %d bytes of UTF-8 without NUL", maxPath)
	}
	clean := path.Clean("/" + guest)
	for i := range c.rights.Files {
		r := &c.rights.Files[i]
		rest, ok := strings.CutPrefix(clean, r.Mount)
		if !ok || r.Mount == "" || r.Mount == "/" || rest != "" && rest[0] != '/' {
			continue
		}
		if write && !r.Write {
			return place{}, &abi.Problem{Code: abi.CodeDenied, Capability: "files", Rule: r.Rule,
				Message: r.Mount + " is granted for reading only", Hint: c.grantHint(" --files " + r.Mount + ":rw")}
		}
		root, err := c.root(r)
		if err != nil {
			return place{}, &abi.Problem{Code: abi.CodeUnavailable, Capability: "files", Rule: r.Rule,
				Message: "the folder behind " + r.Mount + " cannot be opened"}
		}
		name := strings.TrimPrefix(rest, "/")
		if name == "" {
			name = "."
		}
		return place{r, root, name}, nil
	}
	return place{}, &abi.Problem{Code: abi.CodeDenied, Capability: "files", Rule: "grant/none",
		Message: "the path is in no folder that is granted to skill " + string(c.caller.Skill), Hint: c.grantHint(" --files MOUNT")}
}

// root opens the folder behind a mount, once per call.
func (c *call) root(r *abi.FileRight) (*os.Root, error) {
	if root, ok := c.roots[r.Mount]; ok {
		return root, nil
	}
	if !path.IsAbs(r.Host) {
		return nil, fs.ErrInvalid
	}
	root, err := os.OpenRoot(r.Host)
	if err != nil {
		return nil, err
	}
	if c.roots == nil {
		c.roots = map[string]*os.Root{}
	}
	c.roots[r.Mount] = root
	return root, nil
}

// newName refuses names that attack who reads them; it is asked for every name that
// would be created.
func newName(name string) *abi.Problem {
	for part := range strings.SplitSeq(name, "/") {
		if len(part) == 0 || len(part) > maxName || part == "." || part == ".." {
			return invalid("path: a name has 1 to %d bytes", maxName)
		}
		if strings.HasPrefix(part, tempPrefix) {
			return invalid("path: names that begin with %s are the host's", tempPrefix)
		}
		if strings.IndexFunc(part, hidden) >= 0 || strings.ContainsRune(part, utf8.RuneError) {
			return invalid("path: a name holds control or invisible characters")
		}
	}
	return nil
}

// fileProblem turns an error of the file system into what the guest may see: its
// class, never a path of the host.
func fileProblem(p place, err error) *abi.Problem {
	out := &abi.Problem{Capability: "files", Rule: p.right.Rule}
	if own, ok := errors.AsType[*abi.Problem](err); ok {
		return own
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		out.Code, out.Message = abi.CodeNotFound, "no such file or folder"
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENOTEMPTY):
		out.Code, out.Message = abi.CodeConflict, "it exists already, or the folder is not empty"
	case errors.Is(err, syscall.ENAMETOOLONG):
		out.Code, out.Message = abi.CodeInvalid, "the name is too long"
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENXIO),
		errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENODEV):
		out.Code, out.Message = abi.CodeInvalid, "not a regular file or folder"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		out.Code, out.Message = abi.CodeQuota, "the disk is full"
	case errors.Is(err, fs.ErrPermission), strings.HasSuffix(err.Error(), "path escapes from parent"):
		out.Code, out.Message, out.Rule = abi.CodeDenied, "the path leads out of the folder that is granted", "files/escape"
	default:
		out.Code, out.Message = abi.CodeInternal, "the file could not be used"
	}
	return out
}

var errNotRegular = &abi.Problem{Code: abi.CodeInvalid, Capability: "files", Rule: "files/regular", Message: "not a regular file"}
var errHardLink = &abi.Problem{Code: abi.CodeDenied, Capability: "files", Rule: "files/hard-link",
	Message: "the file has several names; one of them may lie outside of the folder"}

// open opens a regular file. It never waits for a peer (FIFO), and on a writable
// mount refuses a file that is also known under another name.
func (p place) open(flag int) (*os.File, fs.FileInfo, *abi.Problem) {
	f, err := p.root.OpenFile(p.name, flag|openNonblock, 0o600)
	if err != nil {
		return nil, nil, fileProblem(p, err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, nil, fileProblem(p, err)
	}
	if bad := p.acceptable(info); bad != nil {
		_ = f.Close()
		return nil, nil, bad
	}
	return f, info, nil
}

func (p place) acceptable(info fs.FileInfo) *abi.Problem {
	if !info.Mode().IsRegular() {
		q := *errNotRegular
		return &q
	}
	if n, ok := links(info); p.right.Write && (!ok || n > 1) {
		q := *errHardLink
		return &q
	}
	return nil
}

func (c *call) fileRequest(block []byte) (abi.FileRequest, *abi.Problem) {
	var req abi.FileRequest
	if p := decodeRequest(block, &req); p != nil {
		return req, p
	}
	switch {
	case req.Offset < 0 || req.Length < 0:
		return req, invalid("offset and length: want 0 or more")
	case req.Limit < 0 || req.Limit > maxList:
		return req, invalid("limit: want at most %d", maxList)
	}
	return req, nil
}

func doRead(ctx context.Context, c *call, block, _ []byte) (any, *abi.Problem) {
	req, bad := c.fileRequest(block)
	if bad != nil {
		return nil, bad
	}
	p, bad := c.locate(req.Path, false)
	if bad != nil {
		return nil, bad
	}
	f, info, bad := p.open(os.O_RDONLY)
	if bad != nil {
		c.sawFailure(ctx, p, bad)
		return nil, bad
	}
	defer func() { _ = f.Close() }()
	c.saw(p.right.Mount, c.labelOf(ctx, p, f, info))
	want := req.Length
	if want == 0 {
		want = defaultRead
	}
	want = min(want, max(info.Size()-req.Offset, 0))
	data, bad := c.readAt(f, req.Offset, want)
	if bad == nil && c.services.Screen != nil {
		bad = c.services.Screen.Read(ctx, c.caller, req.Path, data)
	}
	if bad != nil {
		return nil, bad
	}
	return abi.FileReadResult{Data: c.put(data), Size: info.Size(), EOF: req.Offset+int64(len(data)) >= info.Size()}, nil
}

// readAt reads up to n bytes and charges them before it does.
func (c *call) readAt(f *os.File, offset, n int64) ([]byte, *abi.Problem) {
	if n > c.limits.FileRead-c.usage.FileRead {
		return nil, overLimit(abi.CodeQuota, "files", "file_read", c.limits.FileRead)
	}
	if n > c.budget.max-c.budget.used {
		return nil, overLimit(abi.CodeTooLarge, "files", "memory", c.budget.max)
	}
	c.usage.FileRead += n
	data := make([]byte, n)
	got, err := f.ReadAt(data, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, &abi.Problem{Code: abi.CodeInternal, Capability: "files", Message: "the file could not be read"}
	}
	return data[:got], nil
}

func doStat(ctx context.Context, c *call, block, _ []byte) (any, *abi.Problem) {
	req, bad := c.fileRequest(block)
	if bad != nil {
		return nil, bad
	}
	p, bad := c.locate(req.Path, false)
	if bad != nil {
		return nil, bad
	}
	info, err := p.root.Stat(p.name)
	if p.name != "." { // that a mount exists is known anyway
		c.sawName(ctx, p, !errors.Is(err, fs.ErrNotExist))
	}
	if err != nil {
		return nil, fileProblem(p, err)
	}
	e := entry(info)
	e.Name = ""
	return e, nil
}

func entry(info fs.FileInfo) abi.FileEntry {
	e := abi.FileEntry{Name: oneLine(info.Name(), 4*maxName), Type: "other"}
	switch {
	case info.IsDir(): // its time is that of what was made in it, whose label is another
		e.Type = "dir"
	case info.Mode().IsRegular():
		e.Type, e.Size, e.MTime = "file", info.Size(), info.ModTime().UnixMilli()
	}
	return e
}

// doList answers the entries after a name, in byte order. A link shows as "other".
func doList(ctx context.Context, c *call, block, _ []byte) (any, *abi.Problem) {
	req, bad := c.fileRequest(block)
	if bad != nil {
		return nil, bad
	}
	p, bad := c.locate(req.Path, false)
	if bad != nil {
		return nil, bad
	}
	entries, err := readDir(p.root, p.name, maxScan)
	if err != nil {
		bad := fileProblem(p, err)
		c.sawFailure(ctx, p, bad)
		return nil, bad
	}
	c.sawFolder(ctx, p, entries)
	limit := req.Limit
	if limit == 0 {
		limit = maxList
	}
	last := ""
	res := abi.FileListResult{Entries: []abi.FileEntry{}}
	for _, d := range entries {
		if d.Name() <= req.After || strings.HasPrefix(d.Name(), tempPrefix) {
			continue
		}
		if len(res.Entries) == limit {
			res.Next = last
			break
		}
		// Not d.Info(): it goes by the host's path, which may lead elsewhere by now.
		if info, err := p.root.Lstat(path.Join(p.name, d.Name())); err == nil {
			res.Entries = append(res.Entries, entry(info))
			last = d.Name()
		}
	}
	return res, nil
}

// sum is the digest of a file as if_match takes it.
func sum(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}
