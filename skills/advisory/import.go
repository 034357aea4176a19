package advisory

import (
	"bytes"
	"compress/flate"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/glovebox-dev/glovebox/skills/sbom"
)

// clockSkew is how far ahead of this clock a time in the data may be. Beyond, one record
// from the future would keep old data young.
const clockSkew = 24 * time.Hour

// ImportOptions say how an import is judged.
type ImportOptions struct {
	Now time.Time // required
	// AsOf is the time of the snapshot, where something else than its records vouches for
	// it: a registry's signature, or the operator. Zero takes the newest modification.
	AsOf time.Time
	// Force admits data that is older than what it replaces.
	Force bool

	limits *limits // of tests
}

// Imported says what an import did.
type Imported struct {
	Source
	Left int `json:"left_out"` // records that are withdrawn or of other ecosystems
}

// Import replaces the data of one ecosystem by a zip of OSV records, in one transaction:
// after an error, whatever it is, the data is what it was.
func (x *Index) Import(ctx context.Context, eco sbom.Ecosystem, archive io.ReaderAt, size int64, o ImportOptions) (Imported, error) {
	return x.load(ctx, eco, zipFeed(ctx, archive, size, o.bounds()), o)
}

// ImportFolder is Import from the .json files of a folder.
func (x *Index) ImportFolder(ctx context.Context, eco sbom.Ecosystem, folder fs.FS, o ImportOptions) (Imported, error) {
	return x.load(ctx, eco, folderFeed(ctx, folder, o.bounds()), o)
}

func (o ImportOptions) bounds() limits {
	if o.limits != nil {
		return *o.limits
	}
	return standardLimits()
}

func (x *Index) load(ctx context.Context, eco sbom.Ecosystem, from feed, o ImportOptions) (Imported, error) {
	if _, ok := registryOf(eco); !ok {
		return Imported{}, invalid("ecosystem %.80q is not known; want Go, npm, crates.io or PyPI", eco)
	}
	if o.Now.IsZero() {
		return Imported{}, errors.New("import of advisories without a time")
	}
	done := Imported{Source: Source{Ecosystem: eco, Imported: o.Now.UTC().Truncate(time.Second), Vouched: !o.AsOf.IsZero()}}
	err := transact(ctx, x.db.Write, func(tx *sql.Tx) error {
		w, err := newWriter(ctx, tx, &done, o)
		if err != nil {
			return err
		}
		if done.SHA256, err = from(func(name string, text []byte) error { return w.add(ctx, name, text) }); err != nil {
			return err
		}
		return w.finish(ctx)
	})
	if err != nil {
		return Imported{}, fmt.Errorf("advisories of %s are as they were: %w", eco, err)
	}
	// The log of an import is as large as the data. It is kept where a reader is in it;
	// the next one goes on there.
	_, _ = x.db.Write.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
	return done, nil
}

// writer fills the rows of one ecosystem.
type writer struct {
	tx       *sql.Tx
	done     *Imported
	o        ImportOptions
	before   sql.NullInt64 // newest of the data that is replaced, Unix seconds
	ids      map[string]bool
	deflated bytes.Buffer
	deflate  *flate.Writer // onto deflated
	rec, aff *sql.Stmt
}

func newWriter(ctx context.Context, tx *sql.Tx, done *Imported, o ImportOptions) (*writer, error) {
	w := &writer{tx: tx, done: done, o: o, ids: map[string]bool{}}
	var err error
	if w.deflate, err = flate.NewWriter(&w.deflated, flate.BestSpeed); err != nil {
		return nil, err
	}
	err = tx.QueryRowContext(ctx, `SELECT newest FROM src WHERE eco = ?`, done.Ecosystem).Scan(&w.before)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	for _, table := range []string{"src", "rec", "aff"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE eco = ?`, done.Ecosystem); err != nil {
			return nil, err
		}
	}
	if w.rec, err = tx.PrepareContext(ctx, `INSERT INTO rec (eco, osv, modified, facts, body) VALUES (?, ?, ?, ?, ?)`); err != nil {
		return nil, err
	}
	w.aff, err = tx.PrepareContext(ctx, `INSERT INTO aff (eco, name, rec) VALUES (?, ?, ?)`)
	return w, err
}

// add stores one record. A record that cannot be read ends the import: the package that
// it is about would read as clean.
func (w *writer) add(ctx context.Context, name string, text []byte) error {
	r, err := parse(w.done.Ecosystem, text)
	if err != nil && !errors.Is(err, errElsewhere) {
		return &Refusal{Reason: ErrInvalid, What: fmt.Sprintf("record %.80q cannot be read", name), Err: err}
	}
	switch {
	case w.ids[r.id]:
		return invalid("record %.80q: id %.80q is there twice", name, r.id)
	case r.modified.After(w.o.Now.Add(clockSkew)):
		return invalid("record %.80q was modified in the future, %s", name, r.modified.Format(time.RFC3339))
	}
	w.ids[r.id] = true
	if r.modified.After(w.done.Newest) {
		w.done.Newest = r.modified.UTC().Truncate(time.Second)
	}
	if err != nil {
		w.done.Left++
		return nil
	}
	w.done.Records++
	w.deflated.Reset()
	w.deflate.Reset(&w.deflated)
	if _, err := w.deflate.Write(text); err != nil {
		return err
	}
	if err := w.deflate.Close(); err != nil {
		return err
	}
	res, err := w.rec.ExecContext(ctx, w.done.Ecosystem, r.id, r.modified.Unix(), r.facts, w.deflated.Bytes())
	if err != nil {
		return err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return err
	}
	for _, n := range r.names {
		if _, err := w.aff.ExecContext(ctx, w.done.Ecosystem, n, id); err != nil {
			return err
		}
	}
	return nil
}

// finish judges the data as a whole and seals it.
func (w *writer) finish(ctx context.Context) error {
	d := w.done
	if d.Records == 0 {
		return invalid("%d records, none of them about a package of %s", d.Left, d.Ecosystem)
	}
	if d.Vouched {
		as := w.o.AsOf.UTC().Truncate(time.Second)
		if as.Before(d.Newest) || as.After(w.o.Now.Add(clockSkew)) {
			return invalid("a snapshot of %s cannot be as of %s: its newest record is of %s, and now is %s", d.Ecosystem,
				as.Format(time.RFC3339), d.Newest.Format(time.RFC3339), w.o.Now.UTC().Format(time.RFC3339))
		}
		d.Newest = as
	}
	if w.before.Valid && d.Newest.Unix() < w.before.Int64 && !w.o.Force {
		return &Refusal{Reason: ErrStale, What: fmt.Sprintf("the data is as of %s, older than what it would replace, %s",
			d.Newest.Format(time.RFC3339), time.Unix(w.before.Int64, 0).UTC().Format(time.RFC3339)), Fix: "glovebox osv update --force --ecosystem " + string(d.Ecosystem) + " --from FILE"}
	}
	var err error
	if d.seal, err = seal(ctx, w.tx, d.Source); err != nil {
		return err
	}
	_, err = w.tx.ExecContext(ctx, `INSERT INTO src (eco, sha256, imported, newest, vouched, records, seal) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		d.Ecosystem, d.SHA256, d.Imported.Unix(), d.Newest.Unix(), d.Vouched, d.Records, d.seal)
	return err
}
