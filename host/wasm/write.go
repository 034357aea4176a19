package wasm

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// tempPrefix begins the names of files that are not complete yet. Guests neither see
// nor make such names.
const tempPrefix = ".glovebox-"

// doWrite writes one file. The mount's quota is held while it does, so that two
// sessions cannot pass it together.
func doWrite(ctx context.Context, c *call, block, data []byte) (any, *abi.Problem) {
	req, bad := c.fileRequest(block)
	if bad != nil {
		return nil, bad
	}
	if req.Mode == "" {
		req.Mode = "replace"
	}
	if !slices.Contains([]string{"create", "replace", "append"}, req.Mode) {
		return nil, invalid("mode: want create, replace or append")
	}
	p, bad := c.locate(req.Path, true)
	if bad != nil {
		return nil, bad
	}
	if bad := c.writable(ctx, p, data); bad != nil {
		return nil, bad
	}
	q := c.quota(p)
	q.mu.Lock()
	defer q.mu.Unlock()
	if bad := c.writeIn(ctx, p, q, req, data); bad != nil {
		c.sawFailure(ctx, p, bad)
		return nil, bad
	}
	c.usage.FileWritten += int64(len(data))
	return abi.FileWriteResult{Written: int64(len(data)), SHA256: sum(data)}, nil
}

// writeIn writes the file. q.mu is held.
func (c *call) writeIn(ctx context.Context, p place, q *quota, req abi.FileRequest, data []byte) *abi.Problem {
	if bad := c.precondition(ctx, p, req); bad != nil {
		return bad
	}
	if dir := p.in(path.Dir(p.name)); req.MkDirs {
		if bad := c.mkdirs(ctx, p, q); bad != nil {
			return bad
		}
	} else if dir.name != "." { // it is told whether there is such a folder
		_, err := p.root.Stat(dir.name)
		c.sawName(ctx, dir, !errors.Is(err, fs.ErrNotExist))
	}
	if req.Mode == "append" {
		return c.appendTo(ctx, p, q, data)
	}
	return c.replace(ctx, p, q, data, req.Mode == "create")
}

// writable reports why a guest may not make p with the content data: its name is not
// fit, or one of both holds what must not pass.
func (c *call) writable(ctx context.Context, p place, data []byte) *abi.Problem {
	if bad := newName(p.name); bad != nil || c.services.Screen == nil {
		return bad
	}
	if bad := c.services.Screen.Wrote(ctx, c.caller, p.name, []byte(p.name)); bad != nil {
		return bad
	}
	return c.services.Screen.Wrote(ctx, c.caller, p.name, data)
}

// precondition checks if_match against the present content.
func (c *call) precondition(ctx context.Context, p place, req abi.FileRequest) *abi.Problem {
	if req.IfMatch == "" {
		return nil
	}
	f, info, bad := p.open(os.O_RDONLY)
	if bad != nil && bad.Code != abi.CodeNotFound {
		return bad
	}
	if bad == nil {
		defer func() { _ = f.Close() }()
		c.saw(p.right.Mount, c.labelOf(ctx, p, f, info))
		data, bad := c.readAt(f, 0, info.Size())
		if bad != nil {
			return bad
		}
		if sum(data) == strings.ToLower(req.IfMatch) {
			return nil
		}
	}
	return &abi.Problem{Code: abi.CodeConflict, Capability: "files", Message: "the file is not the one that if_match names"}
}

// stat is the file that a write would change; nil if there is none.
func (p place) stat() (fs.FileInfo, *abi.Problem) {
	info, err := p.root.Lstat(p.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileProblem(p, err)
	}
	return info, p.acceptable(info)
}

// replace writes a temporary file beside the target and renames it over, so that a
// reader sees the old content or the new one.
func (c *call) replace(ctx context.Context, p place, q *quota, data []byte, create bool) *abi.Problem {
	old, bad := p.stat()
	if bad != nil {
		return bad
	}
	if create { // it is told whether the name was free
		c.sawName(ctx, p, old != nil)
	}
	var had int64
	if old != nil {
		if create {
			return fileProblem(p, fs.ErrExist)
		}
		had = old.Size()
	}
	entries := 0
	if old == nil {
		entries = 1
	}
	if bad := q.admit(p, int64(len(data))-had, entries); bad != nil {
		return bad
	}
	l := c.written()
	if old != nil { // its name stays
		was, _, _ := c.kept(ctx, p)
		l = l.Join(was)
	}
	if bad := c.keep(ctx, p, sum(data), l); bad != nil {
		return bad
	}
	temp := path.Join(path.Dir(p.name), tempPrefix+rand.Text())
	if err := c.writeNew(p, temp, data); err != nil {
		return fileProblem(p, err)
	}
	if err := p.root.Rename(temp, p.name); err != nil {
		_ = p.root.Remove(temp)
		return fileProblem(p, err)
	}
	q.add(int64(len(data))-had, entries)
	return nil
}

func (c *call) writeNew(p place, name string, data []byte) error {
	f, err := p.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|openNonblock, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = c.sync(f) // before it gets its name: a crash leaves the old content or the new
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = p.root.Remove(name)
	}
	return err
}

func (c *call) sync(f *os.File) error {
	if c.engine.hooks.sync != nil {
		return c.engine.hooks.sync(f)
	}
	return f.Sync()
}

func (c *call) appendTo(ctx context.Context, p place, q *quota, data []byte) *abi.Problem {
	old, bad := p.stat()
	if bad != nil {
		return bad
	}
	if old == nil {
		return c.replace(ctx, p, q, data, true)
	}
	if bad := q.admit(p, int64(len(data)), 0); bad != nil {
		return bad
	}
	if bad := c.keepAppended(ctx, p, data); bad != nil {
		return bad
	}
	f, info, bad := p.open(os.O_WRONLY | os.O_APPEND)
	if bad != nil {
		return bad
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Write(data); err != nil {
		_ = f.Truncate(info.Size()) // all or nothing
		q.stale = true
		return fileProblem(p, err)
	}
	q.add(int64(len(data)), 0)
	return nil
}

// mkdirs makes the folder of p and those above it, each counted.
func (c *call) mkdirs(ctx context.Context, p place, q *quota) *abi.Problem {
	dir := path.Dir(p.name)
	if dir == "." {
		return nil
	}
	made := ""
	for part := range strings.SplitSeq(dir, "/") {
		made = path.Join(made, part)
		info, err := p.root.Stat(made)
		if err == nil && info.IsDir() {
			continue
		}
		if err == nil {
			q := *errNotRegular
			q.Message = "not a folder"
			return &q
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fileProblem(p, err)
		}
		if bad := q.admit(p, 0, 1); bad != nil {
			return bad
		}
		if bad := c.keep(ctx, p.in(made), "", c.written()); bad != nil {
			return bad
		}
		if err := p.root.Mkdir(made, 0o700); err != nil {
			return fileProblem(p, err)
		}
		q.add(0, 1)
	}
	return nil
}

func doMkdir(ctx context.Context, c *call, block, _ []byte) (any, *abi.Problem) {
	return c.change(ctx, block, func(p place, q *quota) *abi.Problem {
		if bad := c.writable(ctx, p, nil); bad != nil {
			return bad
		}
		if bad := q.admit(p, 0, 1); bad != nil {
			return bad
		}
		err := p.root.Mkdir(p.name, 0o700)
		c.sawName(ctx, p, err != nil)
		if err != nil {
			return fileProblem(p, err)
		}
		q.add(0, 1)
		return c.keep(ctx, p, "", c.written())
	})
}

func doRemove(ctx context.Context, c *call, block, _ []byte) (any, *abi.Problem) {
	return c.change(ctx, block, func(p place, q *quota) *abi.Problem {
		info, err := p.root.Lstat(p.name)
		c.sawName(ctx, p, !errors.Is(err, fs.ErrNotExist))
		if err != nil {
			return fileProblem(p, err)
		}
		if p.name == "." || !info.IsDir() && !info.Mode().IsRegular() {
			bad := *errNotRegular
			return &bad
		}
		if err := p.root.Remove(p.name); err != nil {
			return fileProblem(p, err)
		}
		if info.IsDir() {
			q.add(0, -1)
		} else {
			q.add(-info.Size(), -1)
		}
		return c.keepGone(ctx, p)
	})
}

// change runs one change of a mount under its quota's lock.
func (c *call) change(ctx context.Context, block []byte, f func(p place, q *quota) *abi.Problem) (any, *abi.Problem) {
	req, bad := c.fileRequest(block)
	if bad != nil {
		return nil, bad
	}
	p, bad := c.locate(req.Path, true)
	if bad != nil {
		return nil, bad
	}
	q := c.quota(p)
	q.mu.Lock()
	defer q.mu.Unlock()
	if bad := f(p, q); bad != nil {
		c.sawFailure(ctx, p, bad)
		return nil, bad
	}
	return struct{}{}, nil
}

// doRename moves a file or folder within one mount, to a name that is free.
func doRename(ctx context.Context, c *call, block, _ []byte) (any, *abi.Problem) {
	req, bad := c.fileRequest(block)
	if bad != nil {
		return nil, bad
	}
	from, bad := c.locate(req.From, true)
	if bad != nil {
		return nil, bad
	}
	to, bad := c.locate(req.To, true)
	if bad != nil {
		return nil, bad
	}
	if from.right != to.right {
		return nil, &abi.Problem{Code: abi.CodeInvalid, Capability: "files", Rule: "files/one-mount", Message: "from and to must lie in one mount"}
	}
	if bad := c.writable(ctx, to, nil); bad != nil {
		return nil, bad
	}
	if bad := newName(from.name); bad != nil && from.name == "." {
		return nil, bad
	}
	q := c.quota(from)
	q.mu.Lock()
	defer q.mu.Unlock()
	info, err := from.root.Lstat(from.name)
	c.sawName(ctx, from, !errors.Is(err, fs.ErrNotExist))
	if err != nil {
		return nil, fileProblem(from, err)
	}
	if !info.IsDir() {
		if bad := from.acceptable(info); bad != nil {
			return nil, bad
		}
	}
	_, err = to.root.Lstat(to.name)
	c.sawName(ctx, to, !errors.Is(err, fs.ErrNotExist))
	if err == nil {
		return nil, fileProblem(to, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fileProblem(to, err)
	}
	if bad := c.keepMoved(ctx, from, to, info.IsDir()); bad != nil {
		return nil, bad
	}
	if err := from.root.Rename(from.name, to.name); err != nil {
		return nil, fileProblem(from, err)
	}
	return struct{}{}, nil
}
