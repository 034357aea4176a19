package advisory

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"

	"github.com/glovebox-dev/glovebox/skills/sbom"
)

// intact reads all that a decision about s depends on, once for each import and process:
// SQLite notices a page that is no page, not one bit in a name or a version.
func (x *Index) intact(ctx context.Context, tx *sql.Tx, s Source) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if k := x.whole[s.Ecosystem]; k != nil && k.seal == s.seal {
		return nil
	}
	have, err := seal(ctx, tx, s)
	if err != nil {
		return err
	}
	if have != s.seal {
		return errors.New("rows of " + string(s.Ecosystem) + " are missing or were changed")
	}
	x.whole[s.Ecosystem] = &known{s.seal, map[sbom.Package][]Finding{}}
	return nil
}

// seal hashes the rows of an ecosystem. It tells damage from data; whoever may write the
// file may write the seal too.
func seal(ctx context.Context, tx *sql.Tx, s Source) (string, error) {
	h := sha256.New()
	put(h, []byte(s.Ecosystem), []byte(s.SHA256))
	putInts(h, s.Imported.Unix(), s.Newest.Unix(), int64(s.Records))
	if s.Vouched {
		putInts(h, 1)
	}
	var id int64
	var text, facts sql.RawBytes
	err := each(ctx, tx, `SELECT id, osv, facts FROM rec WHERE eco = ? ORDER BY id`, s, []any{&id, &text, &facts}, func() {
		putInts(h, id)
		put(h, text, facts)
	})
	if err != nil {
		return "", err
	}
	err = each(ctx, tx, `SELECT rec, name FROM aff WHERE eco = ? ORDER BY name, rec`, s, []any{&id, &text}, func() {
		putInts(h, id)
		put(h, text)
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

func each(ctx context.Context, tx *sql.Tx, query string, s Source, dest []any, row func()) error {
	rows, err := tx.QueryContext(ctx, query, s.Ecosystem)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		row()
	}
	return rows.Err()
}

func put(h hash.Hash, parts ...[]byte) {
	for _, p := range parts {
		putInts(h, int64(len(p)))
		_, _ = h.Write(p)
	}
}

func putInts(h hash.Hash, ns ...int64) {
	for _, n := range ns {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(n))
		_, _ = h.Write(b[:])
	}
}
