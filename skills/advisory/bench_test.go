package advisory

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/skills/sbom"
)

// BenchmarkCheck300 asks about 300 packages that have advisories, as many as a large
// application has: from the export of a real database where CONTAIN_DATA names the folder
// of one, else from one that is made up.
func BenchmarkCheck300(b *testing.B) {
	archive := made(b, 4000)
	if real, err := os.ReadFile(filepath.Join(os.Getenv("CONTAIN_DATA"), "osv", "Go-all.zip")); err == nil {
		archive = real
	}
	x := open(b, filepath.Join(b.TempDir(), "osv.db"))
	done, err := load(x, archive, ImportOptions{AsOf: today})
	if err != nil {
		b.Fatal(err)
	}
	packages := sample(b, archive, 300)
	for name, forget := range map[string]bool{"warm": false, "never asked before": true} {
		b.Run(name, func(b *testing.B) {
			found := 0
			for b.Loop() {
				if forget {
					for _, k := range x.whole {
						clear(k.findings)
					}
				}
				r, err := check(x, DefaultPolicy(), packages...)
				if err != nil {
					b.Fatal(err)
				}
				found = len(r.Findings)
			}
			b.ReportMetric(float64(found), "findings")
			b.ReportMetric(float64(done.Records), "records")
		})
	}
}

// BenchmarkFirstCheck is what a process pays once for each ecosystem and import.
func BenchmarkFirstCheck(b *testing.B) {
	x := open(b, filepath.Join(b.TempDir(), "osv.db"))
	if _, err := load(x, made(b, 200_000), ImportOptions{}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		clear(x.whole)
		if _, err := check(x, DefaultPolicy(), sbom.Package{Ecosystem: "Go", Name: "example.com/m7", Version: "1.0.0"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkImport(b *testing.B) {
	archive := made(b, 4000)
	for b.Loop() {
		x := open(b, filepath.Join(b.TempDir(), "osv.db"))
		if _, err := x.Import(context.Background(), sbom.Go, bytes.NewReader(archive), int64(len(archive)), ImportOptions{Now: today}); err != nil {
			b.Fatal(err)
		}
	}
}

// made is an archive of n records, four about each module.
func made(b *testing.B, n int) []byte {
	b.Helper()
	files := make([]string, 0, 2*n)
	for i := range n {
		id := fmt.Sprintf("GO-%06d", i)
		files = append(files, id+".json", rec(id, fmt.Sprintf("example.com/m%d", i/4), today.Add(-time.Hour).Format(time.RFC3339)))
	}
	return pack(b, files...)
}

// sample names n modules of an archive, at a version that some advisories are about.
func sample(b *testing.B, archive []byte, n int) []sbom.Package {
	b.Helper()
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		b.Fatal(err)
	}
	var out []sbom.Package
	for i := 0; len(out) < n; i += len(z.File) / n {
		f, err := z.File[i].Open()
		if err != nil {
			b.Fatal(err)
		}
		var v struct {
			Affected []struct{ Package sbom.Package }
		}
		if err := json.NewDecoder(f).Decode(&v); err != nil {
			b.Fatal(err)
		}
		_ = f.Close()
		out = append(out, sbom.Package{Ecosystem: "Go", Name: v.Affected[0].Package.Name, Version: "1.2.0"})
	}
	return out
}
