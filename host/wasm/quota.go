package wasm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/glovebox-dev/glovebox/abi"
)

// quota is what lies below one folder of the host while calls may write to it. All
// calls of the engine share it.
type quota struct {
	mu      sync.Mutex // held over a whole change; taken after quotas.mu is released
	host    string
	bytes   int64
	entries int
	stale   bool // must be counted again
	users   int  // guarded by quotas.mu
}

// quotas are the counted folders.
type quotas struct {
	mu sync.Mutex // guards by and quota.users; never held while a folder is read
	by map[string]*quota
}

func (qs *quotas) acquire(host string) *quota {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q := qs.by[host]
	if q == nil {
		q = &quota{host: host, stale: true}
		qs.by[host] = q
	}
	q.users++
	return q
}

// release forgets a folder that no call uses: who else changes it is counted next time.
func (qs *quotas) release(q *quota) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(qs.by, q.host)
	}
}

// quota returns the counter of the folder behind p, for as long as the call lasts.
func (c *call) quota(p place) *quota {
	q := c.quotas[p.right.Host]
	if q == nil {
		q = c.engine.quotas.acquire(p.right.Host)
		if c.quotas == nil {
			c.quotas = map[string]*quota{}
		}
		c.quotas[p.right.Host] = q
	}
	return q
}

// admit reports a problem if bytes and entries more would pass the quota of p. The
// caller holds mu.
func (q *quota) admit(p place, bytes int64, entries int) *abi.Problem {
	if q.stale {
		n, e, err := usage(p.root)
		if err != nil {
			return fileProblem(p, err)
		}
		q.bytes, q.entries, q.stale = n, e, false
	}
	if bytes > 0 && q.bytes+bytes > p.right.MaxBytes {
		return &abi.Problem{Code: abi.CodeQuota, Capability: "files", Rule: p.right.Rule,
			Message: fmt.Sprintf("%s holds at most %d bytes", p.right.Mount, p.right.MaxBytes)}
	}
	if entries > 0 && q.entries+entries > maxEntries {
		return &abi.Problem{Code: abi.CodeQuota, Capability: "files", Rule: "files/entries",
			Message: fmt.Sprintf("%s holds at most %d files and folders", p.right.Mount, maxEntries)}
	}
	return nil
}

// add counts a change that was made. The caller holds mu.
func (q *quota) add(bytes int64, entries int) {
	q.bytes += bytes
	q.entries += entries
}

// usage counts what lies below root, without following links.
func usage(root *os.Root) (bytes int64, entries int, err error) {
	pending := []string{"."}
	for len(pending) > 0 {
		dir := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		list, err := readDir(root, dir, maxEntries+1)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed meanwhile
			}
			if p, ok := errors.AsType[*abi.Problem](err); ok && p.Code == abi.CodeTooLarge {
				return bytes, maxEntries + 1, nil
			}
			return 0, 0, err
		}
		for _, d := range list {
			entries++
			if d.IsDir() {
				pending = append(pending, path.Join(dir, d.Name()))
				continue
			}
			if info, err := root.Lstat(path.Join(dir, d.Name())); err == nil && info.Mode().IsRegular() {
				bytes += info.Size()
			}
		}
		if entries > maxEntries {
			return bytes, entries, nil // full already: no need to know how full
		}
	}
	return bytes, entries, nil
}

// readDir reads a folder in byte order; more than max entries are a problem, never
// a partial answer.
func readDir(root *os.Root, name string, max int) ([]fs.DirEntry, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &abi.Problem{Code: abi.CodeInvalid, Capability: "files", Message: "not a folder"}
	}
	list, err := f.ReadDir(max + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(list) > max {
		return nil, &abi.Problem{Code: abi.CodeTooLarge, Capability: "files", Rule: "files/entries",
			Message: fmt.Sprintf("the folder has more than %d entries", max)}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}
