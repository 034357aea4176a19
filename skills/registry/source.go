package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// Source is one place that holds the files of a registry. Nothing that it answers is
// believed: each byte is verified.
type Source interface {
	// Get returns the file with the slash-separated name. A file that is not there is
	// fs.ErrNotExist; one of more than most bytes is a *Refusal with Size.
	Get(ctx context.Context, name string, most int64) ([]byte, error)
}

// Doer sends a request; an *http.Client does.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// The slowest transfer that is waited for.
const (
	fetchTime = 30 * time.Second
	fetchRate = 64 << 10 // bytes per second, on top
)

// source makes a Source of what the operator wrote: https://…, http:// on a loopback
// address, oci://HOST/REPOSITORY:TAG, or the absolute path of a folder.
func (c *Client) source(text string) (Source, error) {
	switch {
	case strings.HasPrefix(text, "oci://"):
		if c.cfg.OCI == nil {
			return nil, errors.New("no OCI source in this build: copy the registry's files to a folder or a web server and add that")
		}
		return c.cfg.OCI(strings.TrimPrefix(text, "oci://"))
	case filepath.IsAbs(text):
		return folder(text), nil
	}
	base, err := abi.ParseURL(strings.TrimSuffix(text, "/"))
	if err != nil {
		return nil, fmt.Errorf("source %q: want https://HOST/PATH, http:// on a loopback address, or the absolute path of a folder: %w", clip(text), err)
	}
	addr, notAddr := netip.ParseAddr(base.Host)
	if base.Scheme == "http" && (notAddr != nil || !addr.IsLoopback()) {
		return nil, fmt.Errorf("source %q: plain http is for loopback addresses; use https", clip(text))
	}
	if base.Query != "" {
		return nil, fmt.Errorf("source %q: a query has no place in it", clip(text))
	}
	if c.cfg.HTTP == nil {
		return nil, fmt.Errorf("source %q: no network here", clip(text))
	}
	client, err := c.cfg.HTTP(base.Origin)
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", clip(text), err)
	}
	return web{client, strings.TrimSuffix(base.String(), "/") + "/"}, nil
}

// web is a static web server.
type web struct {
	client Doer
	base   string // ends in a slash
}

// Get implements Source. 403 is what some object stores answer for what is missing.
func (w web) Get(ctx context.Context, name string, most int64) (_ []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime+time.Duration(most/fetchRate)*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+name, nil)
	if err != nil {
		return nil, err
	}
	res, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	switch res.StatusCode {
	case http.StatusOK:
		return readAll(name, res.Body, most)
	case http.StatusNotFound, http.StatusForbidden, http.StatusGone:
		return nil, fmt.Errorf("%s%s: %s: %w", w.base, name, res.Status, fs.ErrNotExist)
	}
	return nil, fmt.Errorf("%s%s: %s", w.base, name, res.Status)
}

// folder is a copy on disk.
type folder string

// Get implements Source and follows no link out of the folder.
func (f folder) Get(_ context.Context, name string, most int64) (_ []byte, err error) {
	root, err := os.OpenRoot(string(f))
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
	file, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return readAll(name, file, most)
}

func readAll(name string, r io.Reader, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > most {
		return nil, refuse(Size, "%s has more than the %d bytes that are allowed", name, most)
	}
	return data, nil
}

// Get implements Source.
func (s stored) Get(_ context.Context, name string, most int64) ([]byte, error) {
	data, ok := s[name]
	if !ok {
		return nil, fmt.Errorf("%s: not in the stored set: %w", name, fs.ErrNotExist)
	}
	if int64(len(data)) > most {
		return nil, refuse(Size, "%s has more than the %d bytes that are allowed", name, most)
	}
	return data, nil
}
