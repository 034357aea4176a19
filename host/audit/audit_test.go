package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// place returns where a log lies in a fresh folder.
func place(t testing.TB) Config {
	t.Helper()
	dir := t.TempDir()
	return Config{Path: filepath.Join(dir, "audit.db"), KeyPath: filepath.Join(dir, "audit.key")}
}

func open(t testing.TB, cfg Config) *Log {
	t.Helper()
	l, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func add(t testing.TB, l *Log, n int) {
	t.Helper()
	for i := range n {
		e := Entry{Event: EventIntent, Actor: "agent:home", Agent: "home", Session: "s", Tool: "notes.add", Args: []byte(`{"n":1}`), Durable: true, Detail: map[string]string{"i": fmt.Sprint(i)}}
		if _, err := l.Append(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// fill writes n records with a checkpoint at the end, and closes the log.
func fill(t testing.TB, cfg Config, n int) {
	t.Helper()
	l := open(t, cfg)
	add(t, l, n)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func verify(t testing.TB, cfg Config, from *Checkpoint) Report {
	t.Helper()
	r, err := OpenReader(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	rep, err := r.Verify(context.Background(), from)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestChainIsIntactAcrossRestarts(t *testing.T) {
	t.Parallel()
	cfg := place(t)
	fill(t, cfg, 3)
	fill(t, cfg, 4)
	rep := verify(t, cfg, nil)
	if rep.State != Intact || rep.Count != 7 || rep.Last != 7 || rep.Unsigned != 0 || rep.State.ExitCode() != 0 {
		t.Errorf("%+v", rep)
	}
	for _, path := range []string{cfg.Path, cfg.KeyPath, cfg.KeyPath + ".anchor"} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", path, info.Mode(), err)
		}
	}
}

func TestVerifyFromACheckpoint(t *testing.T) {
	t.Parallel()
	cfg := place(t)
	fill(t, cfg, 5)
	kept := *verify(t, cfg, nil).Checkpoint
	fill(t, cfg, 5)
	rep := verify(t, cfg, &kept)
	if rep.State != Intact || rep.Count != 6 || rep.From != 5 {
		t.Errorf("%+v", rep)
	}
	data, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ParseCheckpoint(data); err != nil || again != kept {
		t.Errorf("%+v, %v", again, err)
	}
	forged := kept
	forged.Head = strings.Repeat("0", 64)
	if rep := verify(t, cfg, &forged); rep.State != Broken || !strings.Contains(rep.Why, "signature") {
		t.Errorf("forged checkpoint: %+v", rep)
	}
}

func TestUnverifiable(t *testing.T) {
	t.Parallel()
	cfg := place(t)
	open(t, cfg)
	if rep := verify(t, cfg, nil); rep.State != Unverifiable || rep.State.ExitCode() != 2 || !strings.Contains(rep.Why, "no checkpoint") {
		t.Errorf("an empty log: %+v", rep)
	}
	other, lost := place(t), place(t)
	fill(t, other, 1)
	fill(t, lost, 3)
	lost.KeyPath = other.KeyPath
	lost.Anchor = filepath.Join(t.TempDir(), "none")
	if rep := verify(t, lost, nil); rep.State != Unverifiable || !strings.Contains(rep.Why, "unknown key") {
		t.Errorf("another key file: %+v", rep)
	}
	lost.KeyPath = filepath.Join(t.TempDir(), "none")
	if rep := verify(t, lost, nil); rep.State != Unverifiable {
		t.Errorf("no key file: %+v", rep)
	}
	var zero Report
	if zero.State != Unverifiable || zero.State.ExitCode() == 0 {
		t.Error("the zero report claims something")
	}
}

func TestRotatedKeyStillVerifiesOldCheckpoints(t *testing.T) {
	t.Parallel()
	cfg := place(t)
	l := open(t, cfg)
	add(t, l, 3)
	if err := l.Rotate(context.Background()); err != nil {
		t.Fatal(err)
	}
	add(t, l, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	rep := verify(t, cfg, nil)
	if rep.State != Intact || rep.Checkpoints < 3 {
		t.Errorf("%+v", rep)
	}
	k, err := loadKeys(cfg.KeyPath)
	if err != nil || len(k.Keys) != 2 || k.Keys[0].Seed != nil || rep.Checkpoint.Key != k.Keys[1].ID {
		t.Errorf("keys %+v, %v", k, err)
	}
}

func TestKeyFileIsRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, path string){
		"others can read it": func(t *testing.T, path string) { must(t, os.Chmod(path, 0o644)) },
		"it is gone":         func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"it is no JSON":      func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("x"), 0o600)) },
		"it is empty JSON":   func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("{}"), 0o600)) },
		"its seed is another": func(t *testing.T, path string) {
			k, err := loadKeys(path)
			must(t, err)
			k.Keys[0].Seed[0] ^= 1
			must(t, k.save(path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := place(t)
			fill(t, cfg, 2)
			spoil(t, cfg.KeyPath)
			if _, err := Open(context.Background(), cfg); !errors.Is(err, ErrKey) {
				t.Errorf("got %v, want ErrKey", err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type hide struct{ secret string }

func (h hide) Redact(s string) string { return strings.ReplaceAll(s, h.secret, "[secret]") }

func TestRedactedFirstThenCutThenHashed(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2"
	cfg := place(t)
	cfg.Redactor = hide{secret}
	l := open(t, cfg)
	long := strings.Repeat("x", MaxField-8) + secret // a cut first would leave half of it
	e := Entry{Event: EventDenied, Actor: secret, Session: secret, Tool: secret, Rule: secret, Approval: secret, Outcome: secret, Verdict: secret,
		Args: []byte(`{"token":"` + secret + `"}`), Detail: map[string]string{secret: secret, "long": long, "bad": "\xff"}, Durable: true}
	for i := range MaxDetail + 5 {
		e.Detail[fmt.Sprintf("z%02d", i)] = "v"
	}
	rec, err := l.Append(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Detail) != MaxDetail+1 || rec.Detail["detail.dropped"] == "" || len(rec.ArgsMAC) != 64 || rec.ArgsLen == 0 {
		t.Errorf("%+v", rec)
	}
	must(t, l.Close())
	for _, suffix := range []string{"", "-wal"} {
		if data, err := os.ReadFile(cfg.Path + suffix); err == nil && (strings.Contains(string(data), "hunter2")) {
			t.Errorf("the secret is in the log%s", suffix)
		}
	}
	if rep := verify(t, cfg, nil); rep.State != Intact {
		t.Errorf("%+v", rep)
	}
}

func TestMACShowsEqualityOnly(t *testing.T) {
	t.Parallel()
	one, two := open(t, place(t)), open(t, place(t))
	mac := func(l *Log, args string) string {
		rec, err := l.Append(context.Background(), Entry{Event: EventIntent, Args: []byte(args)})
		must(t, err)
		return rec.ArgsMAC
	}
	first, again := mac(one, `{"a":1}`), mac(one, `{"a":1}`)
	if first != again || first == mac(one, `{"a":2}`) {
		t.Error("equal arguments must have equal MACs, others not")
	}
	if mac(one, `{"a":1}`) == mac(two, `{"a":1}`) {
		t.Error("two logs share their MAC key")
	}
}

func TestConcurrentAppendsAndVerifyWhileRunning(t *testing.T) {
	t.Parallel()
	cfg := place(t)
	l := open(t, cfg)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				if _, err := l.Append(context.Background(), Entry{Event: EventIntent, Durable: i%2 == 0}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 10 {
			if rep := verify(t, cfg, nil); rep.State == Broken {
				t.Errorf("%+v", rep)
			}
		}
	})
	wg.Wait()
	rep, err := l.Verify(context.Background(), nil)
	if err != nil || rep.State != Intact || rep.Count != 400 {
		t.Errorf("%+v, %v", rep, err)
	}
}

func TestCheckpointEveryThousandRecords(t *testing.T) {
	t.Parallel()
	l := open(t, place(t))
	for range 2*CheckpointRecords + 10 {
		if _, err := l.Append(context.Background(), Entry{Event: EventIntent}); err != nil {
			t.Fatal(err)
		}
	}
	rep, err := l.Verify(context.Background(), nil)
	if err != nil || rep.State != Intact || rep.Unsigned >= CheckpointRecords {
		t.Errorf("%+v, %v", rep, err)
	}
}

// A disk that refuses writes: Append says so, and once it works again the chain goes on
// and tells how much was lost.
func TestFailedWriteIsReportedAndTheChainRecovers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg := place(t)
	l := open(t, cfg)
	add(t, l, 2)
	if _, err := l.db.Write.Exec(`CREATE TRIGGER full BEFORE INSERT ON record BEGIN SELECT RAISE(ABORT, 'disk full'); END`); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := l.Append(ctx, Entry{Event: EventOutcome}); err != nil {
			t.Fatal(err) // nobody waits for it
		}
	}
	if _, err := l.Append(ctx, Entry{Event: EventIntent, Durable: true}); !errors.Is(err, ErrWrite) {
		t.Fatalf("got %v, want ErrWrite", err)
	}
	for range 3 { // now that the disk is known to refuse, nobody goes on unrecorded
		if _, err := l.Append(ctx, Entry{Event: EventOutcome}); !errors.Is(err, ErrWrite) {
			t.Fatalf("got %v, want ErrWrite", err)
		}
	}
	if _, err := l.db.Write.Exec(`DROP TRIGGER full`); err != nil {
		t.Fatal(err)
	}
	add(t, l, 1)
	recs, err := l.Tail(ctx, Query{})
	must(t, err)
	if len(recs) != 4 || recs[2].Event != "audit.lost" || recs[2].Detail["records"] != "3" {
		t.Errorf("%+v", recs)
	}
	if rep, err := l.Verify(ctx, nil); err != nil || rep.State != Intact {
		t.Errorf("%+v, %v", rep, err)
	}
}

func TestClockSetBackIsNotedAndTimeStands(t *testing.T) {
	t.Parallel()
	cfg := place(t)
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var back atomic.Int64
	cfg.Now = func() time.Time { return start.Add(-time.Duration(back.Load())) }
	l := open(t, cfg)
	add(t, l, 1)
	back.Store(int64(time.Hour))
	rec, err := l.Append(context.Background(), Entry{Event: EventIntent, Durable: true})
	if err != nil || !strings.Contains(rec.Detail["clock"], "set back by 1h0m0s") {
		t.Errorf("%+v, %v", rec, err)
	}
	if rep, err := l.Verify(context.Background(), nil); err != nil || rep.State != Intact {
		t.Errorf("%+v, %v", rep, err)
	}
}

func TestTailSelects(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := open(t, place(t))
	for i := range 6 {
		e := Entry{Event: EventIntent, Agent: "a", Session: "s1", Call: "c", Durable: true}
		if i%2 == 1 {
			e = Entry{Event: EventDenied, Agent: "b", Session: "s2", Call: "d", Durable: true}
		}
		if _, err := l.Append(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		q    Query
		want []uint64
	}{
		{"the last two", Query{Limit: 2}, []uint64{5, 6}},
		{"after a record", Query{After: 4}, []uint64{5, 6}},
		{"after a record, the first only", Query{After: 2, Limit: 1}, []uint64{3}},
		{"of an agent", Query{Agent: "b"}, []uint64{2, 4, 6}},
		{"of a session and event", Query{Session: "s1", Event: EventIntent, Limit: 1}, []uint64{5}},
		{"of a call", Query{Call: "d", After: 2}, []uint64{4, 6}},
		{"nothing", Query{Agent: "' OR 1=1 --"}, nil},
	} {
		recs, err := l.Tail(ctx, tt.q)
		must(t, err)
		var got []uint64
		for _, r := range recs {
			got = append(got, r.Seq)
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestClosedAndTooLarge(t *testing.T) {
	t.Parallel()
	l := open(t, place(t))
	if _, err := l.Append(context.Background(), Entry{Args: make([]byte, MaxArgs+1)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	must(t, l.Close())
	must(t, l.Close())
	if _, err := l.Append(context.Background(), Entry{}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := Open(context.Background(), Config{Path: "x"}); err == nil {
		t.Error("a log without a key path was opened")
	}
}

// FuzzParseCheckpoint: what parses survives a round trip, and nothing verifies.
func FuzzParseCheckpoint(f *testing.F) {
	f.Add([]byte(`{"seq":1,"head":"` + strings.Repeat("a", 64) + `","time":"2026-01-02T03:04:05Z","key":"k","sig":"AAAA"}`))
	f.Add([]byte(`{}`))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	key, err := newKey(now)
	if err != nil {
		f.Fatal(err)
	}
	keys := &keyFile{Keys: []keyEntry{key}}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCheckpoint(data)
		if err != nil {
			return
		}
		c.Key = key.ID
		if keys.verify(c) == nil {
			t.Fatalf("%q verifies", data)
		}
	})
}

// FuzzRecord: no bytes in a record make the walk panic or pass as record 1.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"event":"x","prev":"","seq":1,"time":"2026-01-02T03:04:05Z"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := &walk{keys: &keyFile{}, want: map[uint64][]Checkpoint{1: {{Seq: 1, Head: strings.Repeat("0", 64)}}}}
		w.record(position{seq: 1, head: hashOf(body)}, body, false)
		if w.report.FirstBad != 1 {
			t.Fatalf("%q passed", body)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, durable := range []bool{false, true} {
		b.Run(fmt.Sprintf("durable=%v", durable), func(b *testing.B) {
			l := open(b, place(b))
			e := Entry{Event: EventIntent, Actor: "agent:home", Agent: "home", Session: "s", Tool: "notes.add", Args: []byte(`{"text":"milk"}`), Durable: durable}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Append(context.Background(), e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	cfg := place(b)
	l := open(b, cfg)
	const n = 10_000
	for range n {
		if _, err := l.Append(context.Background(), Entry{Event: EventIntent, Tool: "notes.add"}); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if rep := verify(b, cfg, nil); rep.State != Intact || rep.Count != n {
			b.Fatalf("%+v", rep)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}
