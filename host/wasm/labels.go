package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// maxLabelled is the largest file whose label is looked up: the whole file is hashed
// for that. A larger one reads as tainted and private.
const maxLabelled = 32 << 20

// Labels keeps the labels of what lies in the folders of one agent. Paths are those
// of the host. What is not kept reads as tainted and private.
type Labels interface {
	// Kept returns the label of path, and the SHA-256 in hex of the content that it is
	// for. Of a folder, sum is empty, and the label is that of what was removed, too.
	Kept(ctx context.Context, path string) (l label.Label, sum string, ok bool, err error)
	// Children returns the labels of the entries directly in the folder dir, by name.
	Children(ctx context.Context, dir string) (map[string]label.Label, error)
	// Keep keeps the label of path.
	Keep(ctx context.Context, path, sum string, l label.Label) error
	// Forget drops what is kept for path and everything below it.
	Forget(ctx context.Context, path string) error
}

// saw notes that bytes of from with the label l have reached the guest. What is not for
// everybody counts from now on wherever the guest sends something.
func (c *call) saw(from string, l label.Label) {
	c.seen = c.seen.Join(l)
	if l.Readers.IsPublic() {
		return
	}
	if old, ok := c.private[from]; ok {
		l = l.Join(old)
	} else if c.private == nil {
		c.private = map[string]label.Label{}
	}
	c.private[from] = l
	p := abi.Private{From: from}
	for _, r := range l.Readers.List() {
		if host, ok := strings.CutPrefix(string(r), string(label.Host(""))); ok {
			p.Hosts = append(p.Hosts, host)
		}
	}
	c.rights.Read = slices.DeleteFunc(c.rights.Read, func(old abi.Private) bool { return old.From == from })
	c.rights.Read = append(c.rights.Read, p)
}

// written is the label of whatever the guest writes now. The servers that this call has
// asked were told its arguments, so that these are no news to them.
func (c *call) written() label.Label {
	l := c.context
	l.Readers = l.Readers.With(c.told...)
	return l.Join(c.seen)
}

// sawAnswer notes that a server was asked, and answered. Who wrote a page is not known;
// what only this agent can fetch, from the operator's own network or with a secret, is
// for the owner and that server alone.
func (c *call) sawAnswer(resp abi.FetchResponse, asked string) {
	from, _ := originOf(asked)
	if p := serverOf(from); !slices.Contains(c.told, p) {
		c.told = append(c.told, p)
	}
	private := resp.Private || c.secretFor(from)
	if end, ok := originOf(resp.URL); ok {
		private, from = private || c.secretFor(end), end
	}
	l := label.Label{Readers: label.Public()}
	if private {
		l.Readers = label.ReadBy(serverOf(from))
	}
	c.saw(string(from), l)
}

func originOf(url string) (abi.Origin, bool) {
	u, err := abi.ParseURL(url)
	return u.Origin, err == nil
}

// serverOf is whoever runs the server of o.
func serverOf(o abi.Origin) label.Principal {
	_, host, _ := strings.Cut(string(o), "://")
	return label.Host(host)
}

// secretFor reports whether a request to o can carry a secret.
func (c *call) secretFor(o abi.Origin) bool {
	return slices.ContainsFunc(c.rights.Secrets, func(s abi.SecretRight) bool { return slices.Contains(s.Only, o) })
}

// host is the path of p outside of the guest.
func (p place) host() string { return filepath.Join(p.right.Host, filepath.FromSlash(p.name)) }

// kept returns the label of p, and whether one is kept. Where that cannot be found
// out it is the zero label.
func (c *call) kept(ctx context.Context, p place) (l label.Label, sum string, ok bool) {
	if c.services.Labels == nil {
		return label.Label{}, "", false
	}
	l, sum, ok, err := c.services.Labels.Kept(ctx, p.host())
	if err != nil {
		return label.Label{}, "", true
	}
	return l, sum, ok
}

// sawName notes that the guest learns whether p exists, and its size and time. That
// there is no such name says what was removed.
func (c *call) sawName(ctx context.Context, p place, exists bool) {
	if exists {
		l, _, _ := c.kept(ctx, p)
		c.saw(p.right.Mount, l)
	} else if l, _, ok := c.kept(ctx, p.in(path.Dir(p.name))); ok {
		c.saw(p.right.Mount, l)
	}
}

// sawFailure notes what the guest learns of p where it could not be used: whether it
// exists, or how much else does.
func (c *call) sawFailure(ctx context.Context, p place, bad *abi.Problem) {
	if bad.Code == abi.CodeQuota {
		c.saw(p.right.Mount, label.Label{})
		return
	}
	c.sawName(ctx, p, bad.Code != abi.CodeNotFound)
}

// sawFolder notes that the guest learns the names in p. A name that nothing is kept
// for was made outside of the host.
func (c *call) sawFolder(ctx context.Context, p place, entries []fs.DirEntry) {
	if l, _, ok := c.kept(ctx, p); ok {
		c.saw(p.right.Mount, l)
	}
	var kept map[string]label.Label
	if c.services.Labels != nil {
		var err error
		if kept, err = c.services.Labels.Children(ctx, p.host()); err != nil {
			c.saw(p.right.Mount, label.Label{})
			return
		}
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			c.saw(p.right.Mount, kept[e.Name()])
		}
	}
}

// labelOf returns the label of the open file f, which has the content that a label is
// kept for, or the zero label.
func (c *call) labelOf(ctx context.Context, p place, f *os.File, info fs.FileInfo) label.Label {
	if c.services.Labels == nil || info.Size() > maxLabelled {
		return label.Label{}
	}
	l, sum, _ := c.kept(ctx, p)
	if sum == "" {
		return label.Label{}
	}
	now := version{p.host(), info.Size(), info.ModTime().UnixNano()}
	have, known := c.hashes[now]
	if !known {
		var err error
		if have, err = hashOf(f, info.Size()); err != nil {
			return label.Label{}
		}
		if c.hashes == nil {
			c.hashes = map[version]string{}
		}
		c.hashes[now] = have
	}
	if have != sum {
		return label.Label{}
	}
	return l
}

// version is a state of a file, as far as that shows without reading it.
type version struct {
	path string
	size int64
	time int64
}

func hashOf(f io.ReaderAt, size int64) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, size)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// keep keeps the label of what the guest is about to make of p: before it is there,
// so that after a crash the content and the label do not fit. sum is empty for a
// folder.
func (c *call) keep(ctx context.Context, p place, sum string, l label.Label) *abi.Problem {
	if c.services.Labels == nil {
		return nil
	}
	if err := c.services.Labels.Keep(ctx, p.host(), sum, l); err != nil {
		return c.problemOf(ctx, "keeping a label", err)
	}
	return nil
}

// keepAppended keeps the label of a file that data is about to be appended to.
func (c *call) keepAppended(ctx context.Context, p place, data []byte) *abi.Problem {
	if c.services.Labels == nil {
		return nil
	}
	f, info, bad := p.open(os.O_RDONLY)
	if bad != nil {
		return bad
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if info.Size() <= maxLabelled {
		if _, err := io.Copy(h, io.NewSectionReader(f, 0, info.Size())); err != nil {
			return fileProblem(p, err)
		}
	}
	l := c.labelOf(ctx, p, f, info).Join(c.written())
	_, _ = h.Write(data) // never fails
	return c.keep(ctx, p, hex.EncodeToString(h.Sum(nil)), l)
}

// keepMoved moves the label of one file to its new name; what lies in a folder that
// is renamed loses its labels.
func (c *call) keepMoved(ctx context.Context, from, to place, folder bool) *abi.Problem {
	l, sum, ok := c.kept(ctx, from)
	if bad := c.keepGone(ctx, from); bad != nil {
		return bad
	}
	if bad := c.forget(ctx, to); bad != nil || !ok {
		return bad
	}
	if folder {
		sum = ""
	}
	return c.keep(ctx, to, sum, l.Join(c.written()))
}

// keepGone notes in the folder of p that p is no more, and who may have had it so.
func (c *call) keepGone(ctx context.Context, p place) *abi.Problem {
	l := c.written()
	folder := p.in(path.Dir(p.name))
	if old, _, ok := c.kept(ctx, folder); ok {
		l = l.Join(old)
	}
	if bad := c.keep(ctx, folder, "", l); bad != nil {
		return bad
	}
	return c.forget(ctx, p)
}

func (c *call) forget(ctx context.Context, p place) *abi.Problem {
	if c.services.Labels == nil {
		return nil
	}
	if err := c.services.Labels.Forget(ctx, p.host()); err != nil {
		return c.problemOf(ctx, "keeping a label", err)
	}
	return nil
}

// in is the place of the folder or file name in p's mount.
func (p place) in(name string) place { return place{p.right, p.root, path.Clean(name)} }
