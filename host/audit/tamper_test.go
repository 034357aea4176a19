package audit

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/internal/sqlitex"
)

// tamper runs SQL as somebody who holds the database file.
func tamper(t testing.TB, cfg Config, statements ...string) {
	t.Helper()
	db, err := sqlitex.Open(context.Background(), cfg.Path, migrations)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	drop := `DROP TRIGGER record_no_update; DROP TRIGGER record_no_delete; DROP TRIGGER checkpoint_no_update; DROP TRIGGER checkpoint_no_delete;`
	for _, s := range append([]string{drop}, statements...) {
		if _, err := db.Write.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		sql  []string
		bad  uint64
		why  string
	}{
		{"one byte of a record flipped", []string{`UPDATE record SET body = CAST(replace(CAST(body AS TEXT), 'notes.add', 'notes.adc') AS BLOB) WHERE seq = 5`}, 5, "stored hash"},
		{"a byte and its stored hash changed", []string{`UPDATE record SET body = CAST(replace(CAST(body AS TEXT), 'notes.add', 'notes.adc') AS BLOB) WHERE seq = 5`,
			`UPDATE record SET hash = '00' WHERE seq = 5`}, 5, "stored hash"},
		{"a record deleted", []string{`DELETE FROM record WHERE seq = 5`}, 5, "record 5 is missing"},
		{"the first record deleted", []string{`DELETE FROM record WHERE seq = 1`}, 1, "record 1 is missing"},
		{"a record deleted and the rest renumbered", []string{`DELETE FROM record WHERE seq = 5`, `UPDATE record SET seq = seq - 1 WHERE seq > 5`}, 5, "calls itself 6"},
		{"two records swapped", []string{`UPDATE record SET seq = 1000 WHERE seq = 4`, `UPDATE record SET seq = 4 WHERE seq = 5`, `UPDATE record SET seq = 5 WHERE seq = 1000`}, 4, "calls itself 5"},
		{"a record inserted", []string{`UPDATE record SET seq = seq + 1000 WHERE seq > 4`, `UPDATE record SET seq = seq - 999 WHERE seq > 1000`,
			`INSERT INTO record SELECT 5, hash, body FROM record WHERE seq = 4`}, 5, "calls itself 4"},
		{"the tail cut", []string{`DELETE FROM record WHERE seq > 7`}, 8, "records 8 to 10 were cut off"},
		{"the tail cut with its checkpoint", []string{`DELETE FROM record WHERE seq > 7`, `DELETE FROM checkpoint`}, 8, "records 8 to 10 were cut off"},
		{"everything deleted", []string{`DELETE FROM record`, `DELETE FROM checkpoint`}, 1, "records 1 to 10 were cut off"},
		{"a record that is no JSON", []string{`UPDATE record SET body = CAST('{' AS BLOB) WHERE seq = 3`}, 3, "cannot be read"},
		{"a record respelled", []string{`UPDATE record SET body = CAST(' ' || CAST(body AS TEXT) AS BLOB) WHERE seq = 3`}, 3, "not canonical"},
		{"a checkpoint altered", []string{`UPDATE checkpoint SET body = CAST(replace(CAST(body AS TEXT), '"head":"', '"head":"0') AS BLOB)`}, 1, "damaged"},
		{"a checkpoint resigned by nobody", []string{`UPDATE checkpoint SET body = CAST(replace(CAST(body AS TEXT), '"time":"2', '"time":"1') AS BLOB) WHERE seq = 10`}, 10, "signature does not verify"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := place(t)
			fill(t, cfg, 10)
			tamper(t, cfg, tt.sql...)
			rep := verify(t, cfg, nil)
			if rep.State != Broken || rep.FirstBad != tt.bad || !strings.Contains(rep.Why, tt.why) || rep.State.ExitCode() != 1 {
				t.Errorf("got %v at %d (%s), want broken at %d (%s)", rep.State, rep.FirstBad, rep.Why, tt.bad, tt.why)
			}
		})
	}
}

// Somebody rewrites a record and every hash after it: only the checkpoint tells.
func TestRewrittenChainFailsItsCheckpoint(t *testing.T) {
	t.Parallel()
	cfg := place(t)
	fill(t, cfg, 6)
	forge(t, cfg, 3, func(r *Record) { r.Tool = "notes.list" })
	rep := verify(t, cfg, nil)
	if rep.State != Broken || rep.FirstBad != 6 || !strings.Contains(rep.Why, "not the one that the checkpoint") {
		t.Errorf("%+v", rep)
	}
}

// A record is replaced by a well-formed other one with its own right hash: the link of
// the next one tells.
func TestReplacedRecordBreaksTheLink(t *testing.T) {
	t.Parallel()
	cfg := place(t)
	fill(t, cfg, 6)
	tamper(t, cfg, `UPDATE record SET body = CAST(replace(CAST(body AS TEXT), 'notes.add', 'notes.adc') AS BLOB) WHERE seq = 3`)
	var body []byte
	db, err := sqlitex.Open(context.Background(), cfg.Path, migrations)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Read.QueryRow(`SELECT body FROM record WHERE seq = 3`).Scan(&body); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Write.Exec(`UPDATE record SET hash = ? WHERE seq = 3`, hashOf(body)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	rep := verify(t, cfg, nil)
	if rep.State != Broken || rep.FirstBad != 4 || !strings.Contains(rep.Why, "not linked") {
		t.Errorf("%+v", rep)
	}
}

func TestClockThatGoesBackIsFound(t *testing.T) {
	t.Parallel()
	cfg := place(t)
	fill(t, cfg, 6)
	forge(t, cfg, 4, func(r *Record) { r.Time = r.Time.Add(-time.Hour) })
	rep := verify(t, cfg, nil)
	if rep.State != Broken || rep.FirstBad != 4 || !strings.Contains(rep.Why, "goes back by ") {
		t.Errorf("%+v", rep)
	}
}

// forge changes record seq and recomputes the chain from there.
func forge(t *testing.T, cfg Config, seq uint64, change func(*Record)) {
	t.Helper()
	r, err := OpenReader(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	recs, err := r.Tail(context.Background(), Query{Limit: 1000})
	_ = r.Close()
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlitex.Open(context.Background(), cfg.Path, migrations)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Write.Exec(`DROP TRIGGER record_no_update`); err != nil {
		t.Fatal(err)
	}
	prev := ""
	for _, rec := range recs {
		if rec.Seq == seq {
			change(&rec)
		}
		rec.Prev = prev
		body, hash, err := encode(rec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Write.Exec(`UPDATE record SET body = ?, hash = ? WHERE seq = ?`, body, hash, rec.Seq); err != nil {
			t.Fatal(err)
		}
		prev = hash
	}
}

func TestOldDatabasePutBack(t *testing.T) {
	t.Parallel()
	cfg := place(t)
	fill(t, cfg, 5)
	old, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, cfg, 5)
	kept := *verify(t, cfg, nil).Checkpoint
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(cfg.Path + suffix)
	}
	if err := os.WriteFile(cfg.Path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if rep := verify(t, cfg, nil); rep.State != Broken || rep.FirstBad != 6 {
		t.Errorf("against the anchor: %+v", rep)
	}
	if _, err := Open(context.Background(), cfg); !errors.Is(err, ErrRolledBack) {
		t.Errorf("opened for writing: %v", err)
	}
	// The attacker puts the old anchor back too: a checkpoint kept elsewhere shows it.
	if err := os.Remove(cfg.KeyPath + ".anchor"); err != nil {
		t.Fatal(err)
	}
	if rep := verify(t, cfg, nil); rep.State != Intact {
		t.Errorf("without anchor: %+v", rep)
	}
	if rep := verify(t, cfg, &kept); rep.State != Broken {
		t.Errorf("against the kept checkpoint: %+v", rep)
	}
}
