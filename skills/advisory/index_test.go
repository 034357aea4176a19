package advisory

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/glovebox-dev/glovebox/internal/sqlitex"
	"github.com/glovebox-dev/glovebox/skills/sbom"
)

var (
	bad   = sbom.Package{Ecosystem: "Go", Name: "example.com/interval", Version: "1.1.9"}
	clean = sbom.Package{Ecosystem: "npm", Name: "fine", Version: "1.0.0"}
)

// stored returns the bytes of an index of testdata/osv.
func stored(t *testing.T) []byte {
	t.Helper()
	x := fill(t)
	path := x.db.Path
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answer opens a database of these bytes and asks it.
func answer(t *testing.T, b []byte) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "osv.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	x, err := Open(context.Background(), path)
	if err != nil {
		return "", err
	}
	defer func() { _ = x.Close() }()
	r, err := check(x, DefaultPolicy(), bad, clean)
	return ids(r), err
}

func TestDamagedDatabaseNeverReadsAsClean(t *testing.T) {
	t.Parallel()
	whole := stored(t)
	want, err := answer(t, whole)
	if err != nil || want != "GO-2026-9001 GO-2026-9015" {
		t.Fatalf("%q, %v", want, err)
	}
	// One byte at a time, over the whole file.
	refusals := 0
	for at := 0; at < len(whole); at += len(whole) / 600 {
		got, err := answer(t, flip(whole, at))
		var r *Refusal
		switch {
		case err == nil && got == want: // a free page, or a part that the answer does not need
		case errors.As(err, &r) && errors.Is(err, ErrNoDB) && strings.Contains(r.Fix, "glovebox osv update"):
			refusals++
		case errors.Is(err, sqlitex.ErrNewer):
			refusals++
		default:
			t.Errorf("byte %d of %d is damaged: %q, %v", at, len(whole), got, err)
		}
	}
	if refusals < 30 {
		t.Errorf("%d refusals: the damage was not looked at", refusals)
	}
	for _, n := range []int{1, 100, len(whole) / 2, len(whole) - 4096} {
		if got, err := answer(t, whole[:n]); err == nil {
			t.Errorf("%d bytes of %d answered %q", n, len(whole), got)
		}
	}
	_, err = answer(t, nil)
	refused(t, err, ErrNoDB, "no advisories")
	_, err = answer(t, []byte(strings.Repeat("no database", 1000)))
	refused(t, err, ErrNoDB, "cannot be read")
}

func TestRowsThatAreMissingOrChangedAreNoticed(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"no table of names":            `DROP TABLE aff`,
		"no table of records":          `DROP TABLE rec`,
		"no table of sources":          `DROP TABLE src`,
		"a name is missing":            `DELETE FROM aff WHERE name = 'example.com/interval'`,
		"a name is changed":            `UPDATE aff SET name = 'x' WHERE name = 'example.com/interval'`,
		"a record is missing":          `DELETE FROM rec WHERE osv = 'GO-2026-9001'`,
		"a record's facts are another": `UPDATE rec SET facts = x'' WHERE osv = 'GO-2026-9001'`,
		"a record is of elsewhere":     `UPDATE rec SET eco = 'npm' WHERE osv = 'GO-2026-9001'`,
		"the data is younger":          `UPDATE src SET newest = newest + 1`,
		"nothing but a seal":           `UPDATE src SET seal = ''`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := fill(t)
			if r, err := check(x, DefaultPolicy(), bad); err != nil || len(r.Findings) != 2 {
				t.Fatalf("%v, %v", r, err)
			}
			path := x.db.Path
			if _, err := x.db.Write.Exec(script); err != nil {
				t.Fatal(err)
			}
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			_, err := check(open(t, path), DefaultPolicy(), bad)
			refused(t, err, ErrNoDB, "cannot be read")
			_, err = open(t, path).Sources(context.Background())
			refused(t, err, ErrNoDB, "cannot be read")
		})
	}
}

func TestRecordThatVanishesBesideAReaderIsNoticed(t *testing.T) {
	t.Parallel()
	x := fill(t)
	if _, err := check(x, DefaultPolicy(), bad); err != nil {
		t.Fatal(err)
	}
	if _, err := x.db.Write.Exec(`DELETE FROM rec WHERE osv = 'GO-2026-9001'`); err != nil {
		t.Fatal(err)
	}
	other := bad
	other.Version = "1.1.8"
	_, err := check(x, DefaultPolicy(), other)
	refused(t, err, ErrNoDB, "missing")
}

func TestAnswersAreRememberedAsLongAsTheirData(t *testing.T) {
	t.Parallel()
	x := open(t, filepath.Join(t.TempDir(), "osv.db"))
	p := sbom.Package{Ecosystem: "Go", Name: "example.com/a", Version: "1.0.0"}
	for i, id := range []string{"A", "B", "B"} {
		if _, err := load(x, pack(t, "a.json", rec(id, "example.com/a", good)), ImportOptions{}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if r, err := check(x, DefaultPolicy(), p); err != nil || ids(r) != id || r.Verdict != Block {
				t.Errorf("import %d: %q, %v; want %s", i, ids(r), err, id)
			}
		}
		if r, err := check(x, Policy{MaxAge: DefaultPolicy().MaxAge, Waivers: []Waiver{{ID: id, Ecosystem: "Go", Package: p.Name, Version: p.Version, Expires: today.Add(1), Why: "test"}}}, p); err != nil || r.Verdict != Warn {
			t.Errorf("a verdict was remembered: %v, %v", r, err)
		}
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	list, err := fill(t).Sources(context.Background())
	if err != nil || len(list) != 4 || list[0].Ecosystem != "Go" || list[0].Records != 14 || len(list[0].SHA256) != 64 {
		t.Errorf("%+v, %v", list, err)
	}
	empty, err := open(t, filepath.Join(t.TempDir(), "osv.db")).Sources(context.Background())
	if err != nil || len(empty) != 0 {
		t.Errorf("%+v, %v", empty, err)
	}
}

func TestOpenOfWhatIsNotAFile(t *testing.T) {
	t.Parallel()
	if _, err := Open(context.Background(), t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
}

func TestManyAskWhileDataIsReplaced(t *testing.T) {
	t.Parallel()
	x := fill(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				r, err := check(x, DefaultPolicy(), bad, clean)
				if err != nil || len(r.Findings) != 2 {
					t.Errorf("%v, %v", r, err)
				}
			}
		})
	}
	for range 5 {
		if _, err := x.ImportFolder(context.Background(), sbom.Go, records(t), ImportOptions{Now: today}); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}
