package advisory

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

const maxRecord = 16 << 20 // bytes of one record's JSON

// limits bound what an import reads.
type limits struct {
	archive   int64 // bytes of the zip
	directory int64 // bytes of its list of entries, which is held in memory
	entries   int
	record    int64 // bytes of one record
	total     int64 // bytes of all records
}

func standardLimits() limits {
	return limits{archive: 1 << 30, directory: 64 << 20, entries: 1_000_000, record: maxRecord, total: 8 << 30}
}

// feed hands out the records of one source, in order. The name is for messages only: it
// is never used as a path.
type feed func(record func(name string, text []byte) error) (sha256sum string, err error)

// zipFeed reads a zip of OSV records, one at a time. Everything in it is a record.
func zipFeed(ctx context.Context, r io.ReaderAt, size int64, max limits) feed {
	return func(record func(string, []byte) error) (string, error) {
		if size > max.archive {
			return "", invalid("the archive has %d bytes, more than %d", size, max.archive)
		}
		list := &budget{r, max.directory}
		z, err := zip.NewReader(list, size)
		if err != nil {
			return "", &Refusal{Reason: ErrInvalid, What: "the archive is no readable zip", Err: err}
		}
		list.left = 1 << 62 // the list is read, what follows is bounded below
		if len(z.File) > max.entries {
			return "", invalid("the archive has %d entries, more than %d", len(z.File), max.entries)
		}
		for _, f := range z.File {
			if !f.Mode().IsRegular() {
				return "", invalid("entry %.80q is not a file", f.Name)
			}
			if err := read(ctx, f.Name, func() (io.ReadCloser, error) { return f.Open() }, &max, record); err != nil {
				return "", err
			}
		}
		h := sha256.New()
		if _, err := io.Copy(h, io.NewSectionReader(r, 0, size)); err != nil {
			return "", &Refusal{Reason: ErrInvalid, What: "the archive cannot be read", Err: err}
		}
		return hex.EncodeToString(h.Sum(nil)), nil
	}
}

// folderFeed reads the .json files of a folder and those below it. Links are refused.
func folderFeed(ctx context.Context, folder fs.FS, max limits) feed {
	return func(record func(string, []byte) error) (string, error) {
		h, n := sha256.New(), 0
		err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return &Refusal{Reason: ErrInvalid, What: fmt.Sprintf("%.80q cannot be read", name), Err: err}
			case d.IsDir() || path.Ext(name) != ".json":
				return nil
			case !d.Type().IsRegular():
				return invalid("%.80q is not a file", name)
			}
			if n++; n > max.entries {
				return invalid("the folder has more than %d records", max.entries)
			}
			return read(ctx, name, func() (io.ReadCloser, error) { return folder.Open(name) }, &max, func(name string, text []byte) error {
				put(h, []byte(name), text)
				return record(name, text)
			})
		})
		return hex.EncodeToString(h.Sum(nil)), err
	}
}

// read hands one record out, within the limits; it takes its size from what is left.
func read(ctx context.Context, name string, open func() (io.ReadCloser, error), left *limits, record func(string, []byte) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := open()
	if err != nil {
		return &Refusal{Reason: ErrInvalid, What: fmt.Sprintf("entry %.80q cannot be read", name), Err: err}
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, left.record+1))
	switch left.total -= int64(len(text)); {
	case err != nil:
		return &Refusal{Reason: ErrInvalid, What: fmt.Sprintf("entry %.80q cannot be read", name), Err: err}
	case int64(len(text)) > left.record:
		return invalid("entry %.80q has more than %d bytes", name, left.record)
	case left.total < 0:
		return invalid("the records have more bytes than an import reads; entry %.80q passed the limit", name)
	}
	return record(name, text)
}

// budget stops a reader that is asked for too much: archive/zip allocates for each entry
// that the list names.
type budget struct {
	io.ReaderAt
	left int64
}

// ReadAt implements io.ReaderAt.
func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errors.New("its list of entries is too long")
	}
	return b.ReaderAt.ReadAt(p, off)
}
