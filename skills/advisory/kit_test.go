package advisory

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/skills/sbom"
)

// today is a fortnight after the newest of testdata/osv.
var today = time.Date(2026, 11, 15, 0, 0, 0, 0, time.UTC)

var ecosystems = []sbom.Ecosystem{sbom.Go, sbom.NPM, sbom.PyPI, sbom.Crates}

func open(t testing.TB, path string) *Index {
	t.Helper()
	x, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

func records(t testing.TB) fs.FS {
	t.Helper()
	root, err := os.OpenRoot(filepath.Join("testdata", "osv"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root.FS()
}

// fill returns an index of testdata/osv.
func fill(t testing.TB) *Index {
	t.Helper()
	x := open(t, filepath.Join(t.TempDir(), "osv.db"))
	for _, eco := range ecosystems {
		if _, err := x.ImportFolder(context.Background(), eco, records(t), ImportOptions{Now: today}); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// pack zips files, given as name and text in turn.
func pack(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rec is a record of one Go module in all versions.
func rec(id, module, modified string) string {
	return `{"id":"` + id + `","modified":"` + modified + `","affected":[{"package":{"ecosystem":"Go","name":"` + module +
		`"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`
}

func load(x *Index, archive []byte, o ImportOptions) (Imported, error) {
	if o.Now.IsZero() {
		o.Now = today
	}
	return x.Import(context.Background(), sbom.Go, bytes.NewReader(archive), int64(len(archive)), o)
}

func check(x *Index, p Policy, packages ...sbom.Package) (Report, error) {
	return x.Check(context.Background(), packages, p, today)
}

// refused holds an error against a reason, a word of what it says, and whether it names a fix.
func refused(t *testing.T, err error, reason Reason, word string) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || !errors.Is(err, reason) || !strings.Contains(err.Error(), word) {
		t.Errorf("got %v; want %s with %q", err, reason, word)
	}
}

func ids(r Report) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.ID)
	}
	return strings.Join(out, " ")
}
