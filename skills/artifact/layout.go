package artifact

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	layoutText        = `{"imageLayoutVersion":"1.0.0"}`
	annotationSubject = "dev.glovebox.subject" // in an index: what a signature is about, so that the others need not be read
	maxEntries        = 10_000                 // of an index
)

// opener opens a file of a layout by its slash-separated path.
type opener func(ctx context.Context, name string) (io.ReadCloser, error)

// layout is an OCI image layout, wherever its files are.
type layout struct {
	read  opener
	index *ocispec.Index // once it was read
}

// load reads the index once: a second look could see another.
func (l *layout) load(ctx context.Context) error {
	if l.index != nil {
		return nil
	}
	mark, err := l.file(ctx, ocispec.ImageLayoutFile, 4*abi.KiB)
	if err != nil {
		return err
	}
	var version ocispec.ImageLayout
	if err := decode(mark, &version); err != nil || version.Version != ocispec.ImageLayoutVersion {
		return refuse(ReasonMedia, "it is not an OCI image layout of version %s", ocispec.ImageLayoutVersion).because(err)
	}
	raw, err := l.file(ctx, ocispec.ImageIndexFile, MaxManifest)
	if err != nil {
		return err
	}
	var index ocispec.Index
	if err := decode(raw, &index); err != nil {
		return refuse(ReasonManifest, "%s cannot be read", ocispec.ImageIndexFile).because(err)
	}
	if len(index.Manifests) > maxEntries {
		return refuse(ReasonSize, "%s has %d entries: at most %d are read", ocispec.ImageIndexFile, len(index.Manifests), maxEntries)
	}
	l.index = &index
	return nil
}

func (l *layout) file(ctx context.Context, name string, limit int64) (data []byte, err error) {
	rc, err := l.read(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rc.Close()) }()
	data, err = io.ReadAll(io.LimitReader(rc, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, refuse(ReasonSize, "%s has more than the %d bytes that are read", name, limit)
	}
	return data, nil
}

// resolve implements source. Without a tag and a digest the one tagged entry is meant.
func (l *layout) resolve(ctx context.Context, r Ref) (ocispec.Descriptor, error) {
	if err := l.load(ctx); err != nil {
		return ocispec.Descriptor{}, err
	}
	var found []ocispec.Descriptor
	var tags []string
	for _, d := range l.index.Manifests {
		tag := d.Annotations[ocispec.AnnotationRefName]
		wanted := tag == r.Tag && tag != ""
		if r.Tag == "" {
			wanted = tag != "" && r.Digest == "" || r.Digest != "" && abi.Digest(d.Digest) == r.Digest
		}
		if wanted && !slices.ContainsFunc(found, func(f ocispec.Descriptor) bool { return f.Digest == d.Digest }) {
			found, tags = append(found, d), append(tags, tag)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return ocispec.Descriptor{}, refuse(ReasonMissing, "%s is not there", r)
	}
	return ocispec.Descriptor{}, refuse(ReasonReference, "%s means more than one artifact", r).
		hint("name one of them: %s", Ref{Kind: r.Kind, Place: r.Place, Tag: cmp.Or(r.Tag, tags[0]), Digest: abi.Digest(found[0].Digest)})
}

// open implements source.
func (l *layout) open(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	return l.read(ctx, blobPath(abi.Digest(d.Digest)))
}

// referrers implements source.
func (l *layout) referrers(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	if err := l.load(ctx); err != nil {
		return nil, err
	}
	var list []ocispec.Descriptor
	for _, m := range l.index.Manifests {
		subject := m.Annotations[annotationSubject]
		if m.ArtifactType == MediaSignature && (subject == "" || subject == string(d.Digest)) && len(list) <= MaxCandidates {
			list = append(list, m)
		}
	}
	return list, nil
}

// blobPath returns where a layout keeps a blob. The digest was parsed.
func blobPath(d abi.Digest) string { return ocispec.ImageBlobsDir + "/sha256/" + d.Hex() }

// folderReader reads below dir and follows no link out of it.
func folderReader(dir string) opener {
	return func(_ context.Context, name string) (rc io.ReadCloser, err error) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, missing(dir, err)
		}
		defer func() { err = errors.Join(err, root.Close()) }()
		info, err := root.Stat(filepath.FromSlash(name)) // before the open: opening a FIFO blocks
		if err != nil {
			return nil, missing(name, err)
		}
		if !info.Mode().IsRegular() {
			return nil, refuse(ReasonMissing, "%s is not a regular file", filepath.Join(dir, name))
		}
		return root.Open(filepath.FromSlash(name))
	}
}

// missing tells what is not there from what could not be read.
func missing(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return refuse(ReasonMissing, "%s is not there", name).because(err)
	}
	return err
}

// webReader reads below the URL base.
func webReader(client *broker.Operator, base string) opener {
	return func(ctx context.Context, name string) (io.ReadCloser, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/"+name, nil)
		if err != nil {
			return nil, err
		}
		resp, err := client.HTTP().Do(req)
		if err != nil {
			return nil, err
		}
		if err := answered(resp); err != nil {
			return nil, errors.Join(err, resp.Body.Close())
		}
		return resp.Body, nil
	}
}

// answered tells a body from a refusal of the server.
func answered(resp *http.Response) error {
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return refuse(ReasonMissing, "%s is not there", resp.Request.URL.Redacted())
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s answers %s", resp.Request.URL.Redacted(), resp.Status)
	case resp.Header.Get("Content-Encoding") != "":
		return refuse(ReasonMedia, "%s is sent with the encoding %q, which nobody asked for", resp.Request.URL.Redacted(), resp.Header.Get("Content-Encoding"))
	}
	return nil
}

// files are a layout in memory, by path.
type files map[string][]byte

// reader reads from memory.
func (f files) reader(_ context.Context, name string) (io.ReadCloser, error) {
	data, ok := f[name]
	if !ok {
		return nil, missing(name, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// layoutOf returns the blobs of a layout with the artifact and its signatures, and its
// entries of the index: the artifact under its tag, then the signatures by digest.
func layoutOf(a *Artifact, tag string, bundles [][]byte) (files, []ocispec.Descriptor, error) {
	blobs := files{}
	put := func(list ...Blob) {
		for _, b := range list {
			blobs[blobPath(b.Digest)] = b.Data
		}
	}
	put(a.Blobs...)
	put(blobOf(MediaManifest, a.Manifest))
	head := a.descriptor()
	head.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
	entries := []ocispec.Descriptor{head}
	for _, bundle := range bundles {
		r, err := a.referrer(bundle)
		if err != nil {
			return nil, nil, err
		}
		put(r.blobs...)
		put(r.manifest)
		entries = append(entries, r.descriptor(a.Digest))
	}
	slices.SortFunc(entries[1:], func(a, b ocispec.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	return blobs, entries, nil
}

func encodeIndex(entries []ocispec.Descriptor) ([]byte, error) {
	raw, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: entries})
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", ocispec.ImageIndexFile, err)
	}
	return raw, nil
}

// Tag is the name of the artifact in a layout: a tag has no plus sign, and a version may.
func (a *Artifact) Tag() string {
	return string(a.Name) + "-" + strings.ReplaceAll(a.Version, "+", "_")
}

// FileName is the name of the single file.
func (a *Artifact) FileName() string { return a.Tag() + ".skill.tar" }
