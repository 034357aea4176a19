package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/glovebox-dev/glovebox/internal/durable"
)

// write is the log's one writer: it ends when Close was called.
func (l *Log) write() {
	defer close(l.done)
	tick := time.NewTicker(CheckpointEvery)
	defer tick.Stop()
	ctx := context.Background() // what was accepted is written, whoever has gone since
	for {
		select {
		case <-l.wake:
			l.flush(ctx, CheckpointRecords)
		case <-tick.C:
			l.flush(ctx, 1)
		case <-l.stop:
			l.flush(ctx, 1)
			return
		}
	}
}

// Checkpoint writes what is queued and signs the head of the chain now.
func (l *Log) Checkpoint(ctx context.Context) error {
	if err := l.flush(ctx, 1); err != nil {
		return fmt.Errorf("audit checkpoint: %w", err)
	}
	return nil
}

// flush writes the queue in one transaction, and then signs if at least every records
// came since the last checkpoint, or if there is none yet.
func (l *Log) flush(ctx context.Context, every uint64) error {
	l.io.Lock()
	defer l.io.Unlock()
	l.mu.Lock()
	batch := l.queue
	l.queue = nil
	l.mu.Unlock()
	if len(batch) > 0 {
		if err := l.insert(ctx, batch); err != nil {
			l.failed(ctx, batch, err)
			return err
		}
		l.mu.Lock()
		l.durable = batch[len(batch)-1].position
		l.release()
		l.mu.Unlock()
		for _, q := range batch {
			if q.result != nil {
				q.result <- nil
			}
		}
	}
	l.mu.Lock()
	at, keys := l.durable, l.keys
	l.mu.Unlock()
	if at.seq == 0 || at.seq == l.signed || l.signed > 0 && at.seq-l.signed < every {
		return nil
	}
	if err := l.sign(ctx, keys, at); err != nil {
		l.cfg.Log.Error("audit checkpoint not written", "seq", at.seq, "error", err)
		return err
	}
	l.signed = at.seq
	return nil
}

// release wakes those who wait for room in the queue; the caller holds l.mu.
func (l *Log) release() {
	close(l.room)
	l.room = make(chan struct{})
}

func (l *Log) insert(ctx context.Context, batch []queued) error {
	tx, err := l.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	defer func() { _ = tx.Rollback() }()
	stmt, err := tx.PrepareContext(ctx, `INSERT INTO record (seq, hash, body) VALUES (?, ?, ?)`)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	defer func() { _ = stmt.Close() }()
	for _, q := range batch {
		if _, err := stmt.ExecContext(ctx, q.seq, q.head, q.body); err != nil {
			return fmt.Errorf("%w: %w", ErrWrite, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	return nil
}

// failed drops batch, and all that was queued behind it and is chained to it, tells
// those who wait, and goes back to what the disk holds. The next Append tries anew.
func (l *Log) failed(ctx context.Context, batch []queued, err error) {
	l.cfg.Log.Error("audit records not written", "records", len(batch), "error", err)
	end, readErr := lastRecord(ctx, l.db.Read)
	l.mu.Lock()
	defer l.mu.Unlock()
	batch = append(batch, l.queue...)
	l.queue = nil
	if readErr == nil {
		l.durable = end // a commit may have failed after it took effect
	}
	l.next = l.durable
	l.release()
	for _, q := range batch {
		switch {
		case q.result != nil:
			q.result <- err
		case q.lost > 0:
			l.lost += q.lost
		default:
			l.lost++
		}
	}
}

// lastRecord returns the end of the stored chain; zero if it is empty.
func lastRecord(ctx context.Context, db *sql.DB) (position, error) {
	var p position
	var body []byte
	err := db.QueryRowContext(ctx, `SELECT seq, hash, body FROM record ORDER BY seq DESC LIMIT 1`).Scan(&p.seq, &p.head, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return position{}, nil
	}
	if err != nil {
		return position{}, fmt.Errorf("audit log: %w", err)
	}
	var last Record
	if err := json.Unmarshal(body, &last); err != nil {
		return position{}, fmt.Errorf("audit log: record %d: %w", p.seq, err)
	}
	p.at = last.Time
	return p, nil
}

// sign stores a checkpoint of at, in the database and then outside of it.
func (l *Log) sign(ctx context.Context, keys *keyFile, at position) error {
	now := l.cfg.Now().UTC().Round(0)
	if now.Before(at.at) {
		now = at.at
	}
	c, err := keys.sign(at.seq, at.head, now)
	if err != nil {
		return err
	}
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if _, err := l.db.Write.ExecContext(ctx, `INSERT INTO checkpoint (seq, body) VALUES (?, ?)`, at.seq, body); err != nil {
		return err
	}
	return durable.ReplaceBytes(l.cfg.Anchor, 0o600, body)
}
