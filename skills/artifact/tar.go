package artifact

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Bounds of a single file.
const (
	maxTarEntries = maxLayers + 2 + 3*MaxCandidates + 2                  // blobs, manifest, signatures, index and mark
	maxTar        = MaxTotal + 2*MaxManifest + 3*MaxCandidates*abi.MiB + // contents
		maxTarEntries*1024 + 1024 // headers, padding and end
)

// WriteTar writes the artifact and its signatures as one file: an OCI image layout in a
// USTAR archive, by name, of nobody, of 1970. The same artifact gives the same bytes.
func WriteTar(w io.Writer, a *Artifact, bundles ...[]byte) error {
	if len(bundles) > MaxCandidates {
		return refuse(ReasonSize, "%d signatures: at most %d are kept", len(bundles), MaxCandidates)
	}
	content, entries, err := layoutOf(a, a.Tag(), bundles)
	if err != nil {
		return err
	}
	content[ocispec.ImageLayoutFile] = []byte(layoutText)
	if content[ocispec.ImageIndexFile], err = encodeIndex(entries); err != nil {
		return err
	}
	tw := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(content)) {
		data := content[name]
		err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR})
		if err == nil {
			_, err = tw.Write(data)
		}
		if err != nil {
			return fmt.Errorf("write %s of the tar: %w", name, err)
		}
	}
	if err := tw.Close(); err != nil {
		return fmt.Errorf("write the tar: %w", err)
	}
	return nil
}

// ReadTar reads what WriteTar writes, and nothing else: the archive is judged entry by
// entry before its bytes are taken, and in the end the artifact is written again and has
// to give the same archive. The rules for what is in it are those of Fetch.
func ReadTar(r io.Reader) (*Pulled, error) {
	return readTar(context.Background(), r, Ref{}, Options{})
}

func readTar(ctx context.Context, r io.Reader, ref Ref, o Options) (*Pulled, error) {
	got := sha256.New()
	seen := &counted{r: io.TeeReader(r, got), left: maxTar}
	content, err := unpack(seen)
	if err != nil {
		return nil, err
	}
	if err := seen.drain(); err != nil {
		return nil, err
	}
	o.Foreign = false
	p, err := pull(ctx, &layout{read: content.reader}, ref, o)
	if err != nil {
		return nil, err
	}
	if err := sameTar(got, p); err != nil {
		return nil, err
	}
	return p, nil
}

// sameTar writes p again and compares: whatever hides between, behind or beside the
// files that were read makes a difference.
func sameTar(got hash.Hash, p *Pulled) error {
	want := sha256.New()
	if err := WriteTar(want, p.Artifact, p.Signatures...); err != nil {
		return err
	}
	if string(got.Sum(nil)) != string(want.Sum(nil)) {
		return refuse(ReasonTar, "the archive holds more than %s %s and its signatures, or in another form", p.Name, p.Version).
			hint("make it again: glovebox skill pack DIR; another OCI layout is read as a folder: mkdir d && tar -C d -xf FILE")
	}
	return nil
}

var entryName = regexp.MustCompile(`^(oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})$`)

// unpack reads the entries of an archive into memory, each bounded before it is read.
func unpack(r io.Reader) (files, error) {
	content := files{}
	left := int64(maxTar)
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return content, nil
		}
		if err != nil {
			return nil, tarError(err)
		}
		if err := checkEntry(h, content, left); err != nil {
			return nil, err
		}
		data, err := readAll(tr, h.Size)
		if err != nil {
			return nil, tarError(err)
		}
		content[h.Name] = data
		left -= h.Size
	}
}

func tarError(err error) error {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return refuse(ReasonTar, "the archive cannot be read").because(err)
}

func checkEntry(h *tar.Header, seen files, left int64) error {
	switch _, twice := seen[h.Name]; {
	case h.Typeflag != tar.TypeReg || h.Linkname != "":
		return refuse(ReasonTar, "the entry %q is not a plain file", h.Name)
	case h.Format != tar.FormatUSTAR || len(h.PAXRecords) > 0:
		return refuse(ReasonTar, "the entry %q is in the format %v: want USTAR", h.Name, h.Format)
	case !entryName.MatchString(h.Name):
		return refuse(ReasonTar, "the entry %q has no place in an OCI image layout", h.Name)
	case twice:
		return refuse(ReasonTar, "the entry %q is there twice", h.Name)
	case len(seen) == maxTarEntries:
		return refuse(ReasonSize, "the archive has more than %d entries", maxTarEntries)
	case h.Size > left || h.Size > skills.MaxModule:
		return refuse(ReasonSize, "the entry %q has %d bytes", h.Name, h.Size)
	}
	return nil
}

// counted ends with a refusal after left bytes.
type counted struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, refuse(ReasonSize, "the archive has more than %d bytes", int64(maxTar))
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// drain reads what follows the end of the archive, so that it counts.
func (c *counted) drain() error {
	if _, err := io.Copy(io.Discard, c); err != nil {
		return tarError(err)
	}
	return nil
}

func fetchFile(ctx context.Context, r Ref, o Options) (p *Pulled, err error) {
	info, err := os.Stat(r.Place) // before the open: opening a FIFO blocks
	if err != nil {
		return nil, missing(r.Place, err)
	}
	if !info.Mode().IsRegular() {
		return nil, refuse(ReasonTar, "%s is not a regular file", r.Place)
	}
	f, err := os.Open(r.Place)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return readTar(ctx, f, r, o)
}
