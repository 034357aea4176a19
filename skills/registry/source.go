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

// source makes a Source of what the operator wrote: https://…, http:// on a loopback
// address, oci://HOST/REPOSITORY:TAG, or the absolute path of a folder.
func (c *Client) source(text string) (Source, error) {
	if filepath.IsAbs(text) {
		return folder(text), nil
	}
	if ref, ok := strings.CutPrefix(text, "oci://"); ok {
		host, repository, tag, err := splitOCI(ref)
		if err != nil {
			return nil, err
		}
		client, base, err := c.reach("https://" + host)
		if addr, parseErr := netip.ParseAddrPort(host); parseErr == nil && addr.Addr().IsLoopback() {
			client, base, err = c.reach("http://" + host)
		}
		return &oci{client: client, base: base + "v2/" + repository + "/", tag: tag}, err
	}
	client, base, err := c.reach(strings.TrimSuffix(text, "/"))
	if err != nil {
		return nil, err
	}
	return web{client, base}, nil
}

// reach returns the client for a URL, and the URL with a slash behind it.
func (c *Client) reach(text string) (Doer, string, error) {
	base, err := abi.ParseURL(text)
	if err != nil {
		return nil, "", fmt.Errorf("source %q: want https://HOST/PATH, http:// on a loopback address, oci://HOST/REPOSITORY:TAG, or the absolute path of a folder: %w", clip(text), err)
	}
	addr, notAddr := netip.ParseAddr(base.Host)
	if base.Scheme == "http" && (notAddr != nil || !addr.IsLoopback()) {
		return nil, "", fmt.Errorf("source %q: plain http is for loopback addresses; use https", clip(text))
	}
	if base.Query != "" {
		return nil, "", fmt.Errorf("source %q: a query has no place in it", clip(text))
	}
	if c.cfg.HTTP == nil {
		return nil, "", fmt.Errorf("source %q: no network here", clip(text))
	}
	client, err := c.cfg.HTTP(base.Origin)
	if err != nil {
		return nil, "", fmt.Errorf("source %q: %w", clip(text), err)
	}
	return client, strings.TrimSuffix(base.String(), "/") + "/", nil
}

// web is a static web server.
type web struct {
	client Doer
	base   string // ends in a slash
}

// Get implements Source.
func (w web) Get(ctx context.Context, name string, most int64) ([]byte, error) {
	return get(ctx, w.client, w.base+name, name, most, "")
}

// The slowest transfer that is waited for.
const (
	fetchTime = 30 * time.Second
	fetchRate = 64 << 10 // bytes per second, on top
)

// get reads one answer of a web server. 403 is what some object stores answer for what
// is missing.
func get(ctx context.Context, client Doer, url, name string, most int64, accept string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime+time.Duration(most/fetchRate)*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	switch res.StatusCode {
	case http.StatusOK:
		return readAll(name, res.Body, most)
	case http.StatusNotFound, http.StatusForbidden, http.StatusGone:
		return nil, fmt.Errorf("%s: %s: %w", url, res.Status, fs.ErrNotExist)
	case http.StatusUnauthorized:
		return nil, fmt.Errorf("%s: %s: no credentials are sent from here; copy the registry's files to a folder and use that", url, res.Status)
	}
	return nil, fmt.Errorf("%s: %s", url, res.Status)
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
