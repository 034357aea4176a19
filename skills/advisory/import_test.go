package advisory

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/skills/sbom"
)

const good = "2026-11-01T00:00:00Z"

func TestImportIsAllOrNothing(t *testing.T) {
	t.Parallel()
	one := rec("A", "example.com/a", good)
	whole := pack(t, "a.json", one)
	small := standardLimits()
	small.archive, small.entries, small.record, small.total = int64(len(whole))+200, 1, int64(len(one)), int64(len(one))
	directory := standardLimits()
	directory.directory = 200
	large := strings.Replace(one, `"A"`, `"A","details":"`+strings.Repeat("a", 50)+`"`, 1)
	total := standardLimits()
	total.total = int64(len(one)) + 10
	many := []string{}
	for range 50 {
		many = append(many, "a.json", one)
	}
	for name, tt := range map[string]struct {
		archive []byte
		o       ImportOptions
		word    string
	}{
		"broken JSON":                 {pack(t, "a.json", one, "b.json", `{"id":"B"`), ImportOptions{}, "b.json"},
		"an empty record":             {pack(t, "a.json", one, "b.json", ``), ImportOptions{}, "b.json"},
		"JSON that is no record":      {pack(t, "a.json", one, "b.json", `[]`), ImportOptions{}, "b.json"},
		"a field of another type":     {pack(t, "a.json", one, "b.json", `{"id":1,"modified":"`+good+`"}`), ImportOptions{}, "b.json"},
		"a record without an id":      {pack(t, "a.json", one, "b.json", `{"modified":"`+good+`"}`), ImportOptions{}, "no id"},
		"a record without a time":     {pack(t, "a.json", one, "b.json", `{"id":"B"}`), ImportOptions{}, "no time"},
		"a record from the future":    {pack(t, "a.json", one, "b.json", rec("B", "b", "2027-01-01T00:00:00Z")), ImportOptions{}, "future"},
		"a package without a name":    {pack(t, "a.json", one, "b.json", rec("B", "", good)), ImportOptions{}, "name"},
		"an overlong name":            {pack(t, "a.json", one, "b.json", rec("B", strings.Repeat("b", 600), good)), ImportOptions{}, "name"},
		"an overlong version":         {pack(t, "b.json", strings.Replace(one, `"0"`, `"`+strings.Repeat("1", 300)+`"`, 1)), ImportOptions{}, "version"},
		"an id twice":                 {pack(t, "a.json", one, "b.json", one), ImportOptions{}, "twice"},
		"an id twice, once withdrawn": {pack(t, "a.json", one, "b.json", `{"id":"A","withdrawn":"`+good+`","modified":"`+good+`"}`), ImportOptions{}, "twice"},
		"a file that is no record":    {pack(t, "a.json", one, "README", "hello"), ImportOptions{}, "README"},
		"a folder":                    {pack(t, "a.json", one, "x/", ""), ImportOptions{}, "not a file"},
		"an empty zip":                {pack(t), ImportOptions{}, "none of them"},
		"records of npm alone":        {pack(t, "a.json", strings.Replace(one, `"Go"`, `"npm"`, 1)), ImportOptions{}, "none of them"},
		"withdrawn records alone":     {pack(t, "a.json", strings.Replace(one, `"A"`, `"A","withdrawn":"`+good+`"`, 1)), ImportOptions{}, "none of them"},
		"no zip":                      {[]byte("not a zip"), ImportOptions{}, "zip"},
		"nothing":                     {nil, ImportOptions{}, "zip"},
		"a truncated zip":             {whole[:len(whole)-10], ImportOptions{}, "zip"},
		"a damaged entry":             {flip(pack(t, "a.json", one), 60), ImportOptions{}, "a.json"},
		"a bomb":                      {pack(t, "a.json", large), ImportOptions{limits: &small}, "more than"},
		"many small ones":             {pack(t, "a.json", one, "b.json", rec("B", "b", good)), ImportOptions{limits: &total}, "more bytes"},
		"too many entries":            {pack(t, "a.json", one, "b.json", ""), ImportOptions{limits: &small}, "entries"},
		"a long list of entries":      {pack(t, many...), ImportOptions{limits: &directory}, "list of entries"},
		"a large archive":             {pack(t, many...), ImportOptions{limits: &small}, "bytes, more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := open(t, filepath.Join(t.TempDir(), "osv.db"))
			if _, err := load(x, pack(t, "o.json", rec("OLD", "example.com/old", "2026-10-30T00:00:00Z")), ImportOptions{}); err != nil {
				t.Fatal(err)
			}
			_, err := load(x, tt.archive, tt.o)
			refused(t, err, ErrInvalid, tt.word)
			r, err := check(x, DefaultPolicy(), sbom.Package{Ecosystem: "Go", Name: "example.com/old", Version: "1.0.0"})
			if err != nil || ids(r) != "OLD" {
				t.Errorf("what was there is gone: %q, %v", ids(r), err)
			}
			r, err = check(x, DefaultPolicy(), sbom.Package{Ecosystem: "Go", Name: "example.com/a", Version: "1.0.0"})
			if err != nil || ids(r) != "" {
				t.Errorf("a part came in: %q, %v", ids(r), err)
			}
		})
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0xff
	return b
}

func TestFirstImportThatFailsLeavesNoData(t *testing.T) {
	t.Parallel()
	x := open(t, filepath.Join(t.TempDir(), "osv.db"))
	_, err := load(x, pack(t, "a.json", rec("A", "example.com/a", good), "b.json", "{"), ImportOptions{})
	refused(t, err, ErrInvalid, "b.json")
	_, err = check(x, DefaultPolicy(), sbom.Package{Ecosystem: "Go", Name: "example.com/b", Version: "1.0.0"})
	refused(t, err, ErrNoDB, "Go")
}

func TestOlderDataReplacesNothingUnlessForced(t *testing.T) {
	t.Parallel()
	x := open(t, filepath.Join(t.TempDir(), "osv.db"))
	if _, err := load(x, pack(t, "a.json", rec("A", "example.com/a", good)), ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	old := pack(t, "b.json", rec("B", "example.com/b", "2026-10-31T00:00:00Z"))
	_, err := load(x, old, ImportOptions{})
	refused(t, err, ErrStale, "older")
	if done, err := load(x, old, ImportOptions{Force: true}); err != nil || done.Records != 1 {
		t.Errorf("%v, %v", done, err)
	}
	if r, err := check(x, DefaultPolicy(), sbom.Package{Ecosystem: "Go", Name: "example.com/a", Version: "1.0.0"}); err != nil || ids(r) != "" {
		t.Errorf("what was replaced is still there: %q, %v", ids(r), err)
	}
}

func TestImportTakesAnEcosystemThatItKnows(t *testing.T) {
	t.Parallel()
	x := open(t, filepath.Join(t.TempDir(), "osv.db"))
	for _, eco := range []sbom.Ecosystem{"", "go", "Maven", "../Go"} {
		_, err := x.Import(context.Background(), eco, bytes.NewReader(nil), 0, ImportOptions{Now: today})
		refused(t, err, ErrInvalid, "ecosystem")
	}
	if _, err := x.Import(context.Background(), "Go", bytes.NewReader(nil), 0, ImportOptions{}); err == nil {
		t.Error("an import without a time was done")
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	x := open(t, filepath.Join(t.TempDir(), "osv.db"))
	done, err := x.ImportFolder(ctx, sbom.Go, records(t), ImportOptions{Now: today})
	if err != nil || done.Records != 14 || done.Left != 19 || done.Newest.Format("2006-01-02") != "2026-11-01" {
		t.Fatalf("%+v, %v", done, err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "beside"), []byte(rec("A", "example.com/a", good)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("beside", filepath.Join(dir, "a.json")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	_, err = x.ImportFolder(ctx, sbom.Go, root.FS(), ImportOptions{Now: today})
	refused(t, err, ErrInvalid, "a.json")
	few := standardLimits()
	few.entries = 3
	_, err = x.ImportFolder(ctx, sbom.Go, records(t), ImportOptions{Now: today, limits: &few})
	refused(t, err, ErrInvalid, "3 records")
}

func TestImportStops(t *testing.T) {
	t.Parallel()
	x := fill(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	archive := pack(t, "a.json", rec("A", "example.com/a", good))
	if _, err := x.Import(ctx, "Go", bytes.NewReader(archive), int64(len(archive)), ImportOptions{Now: today}); err == nil {
		t.Error("an import went on behind its end")
	}
	if _, err := x.Import(context.Background(), "Go", torn{}, 1000, ImportOptions{Now: today}); err == nil {
		t.Error("an archive that cannot be read was imported")
	}
}

type torn struct{}

func (torn) ReadAt([]byte, int64) (int, error) { return 0, io.ErrUnexpectedEOF }

// FuzzImport gives the import archives and records: whatever they are, it ends with data
// that answers or with a refusal and no data.
func FuzzImport(f *testing.F) {
	f.Add([]byte(rec("A", "example.com/a", good)), false)
	f.Add([]byte(rec("A", "example.com/a", "0001-01-01T00:00:00Z")), false)
	for _, name := range []string{"GO-2026-9003", "GO-2026-9006", "GO-2026-9009"} {
		b, err := os.ReadFile(filepath.Join("testdata", "osv", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
	}
	f.Add([]byte("{"), false)
	f.Add([]byte("PK\x05\x06"), true)
	x := open(f, filepath.Join(f.TempDir(), "osv.db"))
	f.Fuzz(func(t *testing.T, b []byte, raw bool) {
		archive := b
		if !raw {
			archive = pack(t, "a.json", string(b))
		}
		_, err := load(x, archive, ImportOptions{Force: true})
		if err != nil {
			refused(t, err, ErrInvalid, "")
			return
		}
		names, err := x.db.Read.Query(`SELECT name FROM aff`)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = names.Close() }()
		for names.Next() {
			var name string
			if err := names.Scan(&name); err != nil {
				t.Fatal(err)
			}
			for _, v := range []string{"0.0.1", "1.2.3-rc.1", "99.0.0"} {
				p := Policy{MaxAge: 1<<63 - 1}
				if _, err := check(x, p, sbom.Package{Ecosystem: "Go", Name: name, Version: v}); err != nil {
					t.Fatalf("%q: %v", name, err)
				}
			}
		}
	})
}

// FuzzCanonical holds that the canonical spelling of a version of PyPI is one.
func FuzzCanonical(f *testing.F) {
	for _, v := range []string{"1.0.0", "v1!01.2.0a", "1.0-1", "1.0.post2.dev3+local.7", "x", "1.0c1"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		c := canonicalPEP440(v)
		if again := canonicalPEP440(c); again != c {
			t.Errorf("%q -> %q -> %q", v, c, again)
		}
		if pep440.MatchString(v) && !pep440.MatchString(c) {
			t.Errorf("%q -> %q, which is no version", v, c)
		}
	})
}
