package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/internal/sqlitex"
)

// How often the chain is signed and how much may wait for the disk.
const (
	CheckpointRecords = 1000
	CheckpointEvery   = 60 * time.Second
	maxPending        = 4096
	flushDelay        = 20 * time.Millisecond // a record that nobody waits for is on disk after this
)

// Config says where the log lies. Path and KeyPath are required.
type Config struct {
	Path     string           // the database
	KeyPath  string           // the key file, 0600; made together with the database
	Anchor   string           // file for the last checkpoint; KeyPath + ".anchor" if empty
	Redactor Redactor         // nil = nothing to redact
	Now      func() time.Time // nil = time.Now
	Log      *slog.Logger     // nil = discard
}

func (c Config) complete() (Config, error) {
	if c.Path == "" || c.KeyPath == "" {
		return c, errors.New("audit log needs a path and a key path")
	}
	if c.Anchor == "" {
		c.Anchor = c.KeyPath + ".anchor"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// migrations is the schema. The triggers stop accidents, not an attacker: against
// those stands the chain.
var migrations = []string{`
CREATE TABLE record (seq INTEGER PRIMARY KEY, hash TEXT NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE checkpoint (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TRIGGER record_no_update BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER record_no_delete BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
`}

// Log appends to the chain. It is safe for concurrent use; one process at a time may
// have it open for writing.
type Log struct {
	cfg Config
	db  *sqlitex.DB
	Reader

	io     sync.Mutex // held while writing to disk; taken before mu
	signed uint64     // the last record under a checkpoint; guarded by io

	mu      sync.Mutex // guards what follows
	keys    *keyFile
	next    position // after what is queued
	durable position // after what is on disk
	queue   []queued
	lost    int // records that nobody waited for and that a failed write dropped
	closed  bool

	wake chan struct{} // to the writer; capacity 1
	room chan struct{} // closed and replaced when the queue was emptied
	stop chan struct{}
	done chan struct{} // closed when the writer has ended
}

// position is a place in the chain: how many records, the hash of the last one and
// its time.
type position struct {
	seq  uint64
	head string
	at   time.Time
}

type queued struct {
	position
	body   []byte
	lost   int        // this many records are what it reports as lost
	result chan error // nil if nobody waits
}

// Open opens or creates the log and starts its writer.
//
// # Errors
//
//   - ErrKey: the key file is missing for a log that has records, or malformed, or
//     readable by others
//   - ErrRolledBack: the anchor knows of records that the database does not have
func Open(ctx context.Context, cfg Config) (*Log, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	db, err := sqlitex.Open(ctx, cfg.Path, migrations)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	l := &Log{cfg: cfg, db: db, wake: make(chan struct{}, 1), room: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
	if err := l.load(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	l.Reader = Reader{cfg: cfg, db: db.Read, keys: l.currentKeys}
	go l.write()
	return l, nil
}

// load finds the end of the chain and checks it against the anchor.
func (l *Log) load(ctx context.Context) error {
	var err error
	if l.durable, err = lastRecord(ctx, l.db.Read); err != nil {
		return err
	}
	empty := l.durable.seq == 0
	if l.keys, err = openKeys(l.cfg.KeyPath, empty, l.cfg.Now()); err != nil {
		return err
	}
	anchor, err := readAnchor(l.cfg.Anchor)
	if err != nil {
		return err
	}
	if anchor != nil && anchor.Seq > l.durable.seq {
		return fmt.Errorf("%w: it ends at record %d, the anchor %q at %d; put the newer database back, or move the anchor away to accept the loss",
			ErrRolledBack, l.durable.seq, l.cfg.Anchor, anchor.Seq)
	}
	if anchor != nil {
		l.signed = anchor.Seq
	}
	l.next = l.durable
	return nil
}

func (l *Log) currentKeys() (*keyFile, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := *l.keys
	return &k, nil
}

// Append adds e to the chain and returns its record. If e is Durable the record is on
// disk when Append returns; otherwise it follows within flushDelay, or with the next
// one that is. Once a write has failed, every Append waits for the disk and fails
// with it, until one succeeds. An error means that e is not in the log, save that of ctx, after which
// it may be: a caller must not go on in either case.
func (l *Log) Append(ctx context.Context, e Entry) (Record, error) {
	if len(e.Args) > MaxArgs {
		return Record{}, fmt.Errorf("%w: %d bytes of arguments", ErrTooLarge, len(e.Args))
	}
	e = redact(e, l.cfg.Redactor)
	for {
		rec, result, room, err := l.enqueue(e)
		if err != nil {
			return Record{}, err
		}
		if room != nil { // the queue is full: wait for the disk
			select {
			case <-room:
				continue
			case <-ctx.Done():
				return Record{}, ctx.Err()
			}
		}
		if result == nil {
			return rec, nil
		}
		select {
		case err := <-result:
			if err != nil {
				return Record{}, err
			}
			return rec, nil
		case <-ctx.Done():
			return Record{}, ctx.Err()
		}
	}
}

// enqueue chains e behind what is queued. If there is no room it returns a channel
// that closes when there may be.
func (l *Log) enqueue(e Entry) (rec Record, result chan error, room <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return Record{}, nil, nil, ErrClosed
	}
	if len(l.queue) >= maxPending {
		return Record{}, nil, l.room, nil
	}
	// After a failed write nothing goes on unrecorded: each entry waits for the disk
	// until one arrives there.
	wait := e.Durable || l.lost > 0
	if l.lost > 0 {
		gap := Entry{Event: "audit.lost", Actor: "host", Detail: map[string]string{"records": fmt.Sprint(l.lost)}}
		if _, err := l.chain(gap, nil); err != nil {
			return Record{}, nil, nil, err
		}
		l.queue[len(l.queue)-1].lost, l.lost = l.lost, 0
	}
	if wait {
		result = make(chan error, 1)
	}
	rec, err = l.chain(e, result)
	if err != nil {
		return Record{}, nil, nil, err
	}
	if wait || len(l.queue) >= maxPending/2 {
		l.nudge()
	}
	return rec, result, nil, nil
}

// chain numbers, dates, links and queues e; the caller holds l.mu.
func (l *Log) chain(e Entry, result chan error) (Record, error) {
	now := l.cfg.Now().UTC().Round(0)
	if now.Before(l.next.at) {
		// Time in the log never decreases, so a decrease in a stored log is forged.
		if back := l.next.at.Sub(now); back > time.Second {
			e = withDetail(e, "clock", "set back by "+back.Round(time.Second).String())
		}
		now = l.next.at
	}
	rec := e.record(l.keys)
	rec.Seq, rec.Time, rec.Prev = l.next.seq+1, now, l.next.head
	body, hash, err := encode(rec)
	if err != nil {
		return Record{}, err
	}
	l.next = position{seq: rec.Seq, head: hash, at: now}
	l.queue = append(l.queue, queued{position: l.next, body: body, result: result})
	if len(l.queue) == 1 {
		time.AfterFunc(flushDelay, l.nudge)
	}
	return rec, nil
}

func (l *Log) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Close writes what is queued, signs a last checkpoint and closes the database.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.stop)
	<-l.done
	return l.db.Close()
}

// Rotate makes a new signing key. A checkpoint under the old key comes first, and the
// record of the change is the first one that the new key covers.
func (l *Log) Rotate(ctx context.Context) error {
	if err := l.Checkpoint(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	entry, err := newKey(l.cfg.Now())
	if err != nil {
		l.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	old := l.keys.Keys[len(l.keys.Keys)-1].ID
	k := &keyFile{Schema: l.keys.Schema, MAC: l.keys.MAC}
	for _, e := range l.keys.Keys {
		e.Seed = nil
		k.Keys = append(k.Keys, e)
	}
	k.Keys = append(k.Keys, entry)
	if err = k.save(l.cfg.KeyPath); err == nil {
		l.keys = k
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = l.Append(ctx, Entry{Event: "audit.key.rotated", Actor: "host", Durable: true, Detail: map[string]string{"old": old, "new": entry.ID}})
	return err
}
