package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/glovebox-dev/glovebox/internal/canon"
)

// State is the result of Verify. The zero value claims nothing.
type State uint8

// The states, with the exit code that audit verify gives each.
const (
	Unverifiable State = iota // exit 2: no checkpoint, or one of an unknown key
	Broken                    // exit 1
	Intact                    // exit 0
)

// String returns unverifiable, broken or intact.
func (s State) String() string {
	switch s {
	case Broken:
		return "broken"
	case Intact:
		return "intact"
	case Unverifiable:
	}
	return "unverifiable"
}

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ExitCode returns 0 for intact, 1 for broken, 2 for unverifiable.
func (s State) ExitCode() int {
	switch s {
	case Intact:
		return 0
	case Broken:
		return 1
	case Unverifiable:
	}
	return 2
}

// Report is what Verify found.
type Report struct {
	State       State       `json:"state"`
	From        uint64      `json:"from,omitempty"`     // the checkpoint that the walk started at
	Count       uint64      `json:"count"`              // records walked
	Last        uint64      `json:"last"`               // number of the last record
	FirstBad    uint64      `json:"firstBad,omitempty"` // the first record that does not hold
	Why         string      `json:"why,omitempty"`
	Checkpoints int         `json:"checkpoints"`          // signatures that verified
	Unsigned    uint64      `json:"unsigned"`             // records after the last checkpoint: a cut there would not show
	Checkpoint  *Checkpoint `json:"checkpoint,omitempty"` // the last one; keep it elsewhere and verify from it
}

// Verify walks the chain in time linear in its length: numbers without gap, canonical
// bytes, hashes, links, time that never decreases, and the signature of every
// checkpoint, of the anchor and of from, which may be nil. With from the records
// before it are not walked; it vouches for them.
//
// An error means that the log could not be read, not that it is broken.
func (r *Reader) Verify(ctx context.Context, from *Checkpoint) (Report, error) {
	// The anchor is read before the snapshot of the database is taken: a checkpoint
	// that is written meanwhile then cannot look like a cut.
	anchor, err := readAnchor(r.cfg.Anchor)
	if err != nil {
		return Report{State: Broken, Why: err.Error()}, nil
	}
	keys, err := r.keys()
	if err != nil {
		keys = &keyFile{} // the chain is still worth walking
	}
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Report{}, fmt.Errorf("audit verify: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	w := &walk{keys: keys, want: map[uint64][]Checkpoint{}}
	if err := w.checkpoints(ctx, tx); err != nil {
		return Report{}, err
	}
	if anchor != nil {
		w.expect(*anchor, "the anchor")
	}
	if from != nil {
		w.expect(*from, "the given checkpoint")
		w.report.From = from.Seq
	}
	if err := w.records(ctx, tx); err != nil {
		return Report{}, err
	}
	return w.result(), nil
}

// Verify writes what is queued, and verifies it with the rest.
func (l *Log) Verify(ctx context.Context, from *Checkpoint) (Report, error) {
	if err := l.flush(ctx, CheckpointRecords); err != nil {
		return Report{}, fmt.Errorf("audit verify: %w", err)
	}
	return l.Reader.Verify(ctx, from)
}

// walk is one verification.
type walk struct {
	keys    *keyFile
	want    map[uint64][]Checkpoint // heads that must be found, by seq
	highest uint64                  // of want
	unknown string                  // why something could not be verified
	prev    position
	report  Report
}

// bad notes a fault unless an earlier record is already known to be bad.
func (w *walk) bad(seq uint64, format string, args ...any) {
	if w.report.Why == "" || seq < w.report.FirstBad {
		w.report.FirstBad, w.report.Why = seq, fmt.Sprintf(format, args...)
	}
}

// expect checks the signature of c and remembers its head for the walk.
func (w *walk) expect(c Checkpoint, what string) {
	switch err := w.keys.verify(c); {
	case errors.Is(err, errUnknownKey):
		w.unknown = fmt.Sprintf("%s at record %d is %v", what, c.Seq, err)
		return
	case err != nil:
		w.bad(c.Seq, "%s at record %d: %v", what, c.Seq, err)
		return
	}
	w.report.Checkpoints++
	w.want[c.Seq] = append(w.want[c.Seq], c)
	if c.Seq >= w.highest {
		w.highest, w.report.Checkpoint = c.Seq, &c
	}
}

func (w *walk) checkpoints(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT seq, body FROM checkpoint ORDER BY seq`)
	if err != nil {
		return fmt.Errorf("audit verify: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var seq uint64
		var body []byte
		if err := rows.Scan(&seq, &body); err != nil {
			return fmt.Errorf("audit verify: %w", err)
		}
		c, err := ParseCheckpoint(body)
		if err != nil || c.Seq != seq {
			w.bad(seq, "the checkpoint at record %d is damaged", seq)
			continue
		}
		w.expect(c, "the checkpoint")
	}
	return rows.Err()
}

func (w *walk) records(ctx context.Context, tx *sql.Tx) error {
	start := w.report.From
	if start > 0 {
		w.prev = position{seq: start - 1} // its link to the one before is not checked
	}
	rows, err := tx.QueryContext(ctx, `SELECT seq, hash, body FROM record WHERE seq >= ? ORDER BY seq`, start)
	if err != nil {
		return fmt.Errorf("audit verify: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var p position
		var body []byte
		if err := rows.Scan(&p.seq, &p.head, &body); err != nil {
			return fmt.Errorf("audit verify: %w", err)
		}
		w.report.Count++
		w.record(p, body, start > 0 && w.report.Count == 1)
		if w.report.Why != "" && p.seq > w.report.FirstBad {
			break // what follows a bad record says nothing
		}
	}
	return rows.Err()
}

// record checks one record against the one before it.
func (w *walk) record(p position, body []byte, first bool) {
	head := hashOf(body)
	var rec Record
	v, err := canon.Parse(body, canon.Limits{})
	if err == nil {
		err = json.Unmarshal(body, &rec)
	}
	switch {
	case p.seq != w.prev.seq+1:
		w.bad(w.prev.seq+1, "record %d is missing", w.prev.seq+1)
	case err != nil:
		w.bad(p.seq, "record %d cannot be read", p.seq)
	case string(v.Canonical()) != string(body):
		w.bad(p.seq, "record %d is not canonical JSON", p.seq)
	case rec.Seq != p.seq:
		w.bad(p.seq, "record %d calls itself %d", p.seq, rec.Seq)
	case head != p.head:
		w.bad(p.seq, "record %d does not have its stored hash", p.seq)
	case !first && rec.Prev != w.prev.head:
		w.bad(p.seq, "record %d is not linked to the one before it", p.seq)
	case rec.Time.Before(w.prev.at):
		w.bad(p.seq, "the clock of record %d goes back by %v", p.seq, w.prev.at.Sub(rec.Time).Round(time.Millisecond))
	}
	for _, c := range w.want[p.seq] {
		if c.Head != head {
			w.bad(p.seq, "record %d is not the one that the checkpoint of %s signed", p.seq, c.Time.Format(time.RFC3339))
		}
	}
	w.prev = position{seq: p.seq, head: head, at: rec.Time}
}

func (w *walk) result() Report {
	r := &w.report
	r.Last = w.prev.seq
	if r.Why == "" && w.highest > r.Last {
		w.bad(r.Last+1, "records %d to %d were cut off: a checkpoint signed them", r.Last+1, w.highest)
	}
	if r.Last > w.highest {
		r.Unsigned = r.Last - w.highest
	}
	switch {
	case r.Why != "":
		r.State = Broken
	case w.unknown != "":
		r.State, r.Why = Unverifiable, w.unknown
	case r.Checkpoints == 0:
		r.State, r.Why = Unverifiable, "there is no checkpoint yet"
	default:
		r.State = Intact
	}
	return *r
}
