package advisory

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/skills/sbom"
)

func TestWhatIsKnownAgainstAPackage(t *testing.T) {
	t.Parallel()
	x := fill(t)
	for name, tt := range map[string]struct {
		pkg  sbom.Package
		want string
	}{
		"inside an interval":                       {sbom.Package{Ecosystem: "Go", Name: "example.com/interval", Version: "1.1.9"}, "GO-2026-9001 GO-2026-9015"},
		"a leading v":                              {sbom.Package{Ecosystem: "Go", Name: "example.com/interval", Version: "v1.2.2"}, "GO-2026-9001"},
		"the version that fixes it":                {sbom.Package{Ecosystem: "Go", Name: "example.com/interval", Version: "1.2.3"}, ""},
		"a pre-release of the version that fixes":  {sbom.Package{Ecosystem: "Go", Name: "example.com/interval", Version: "1.2.3-rc.1"}, "GO-2026-9001"},
		"a pseudo-version":                         {sbom.Package{Ecosystem: "Go", Name: "example.com/interval", Version: "0.0.0-20260101000000-0123456789ab"}, "GO-2026-9001 GO-2026-9015"},
		"between two intervals":                    {sbom.Package{Ecosystem: "Go", Name: "example.com/intervals", Version: "1.0.9"}, ""},
		"in the second interval":                   {sbom.Package{Ecosystem: "Go", Name: "example.com/intervals", Version: "1.1.1+incompatible"}, "GO-2026-9002"},
		"withdrawn":                                {sbom.Package{Ecosystem: "Go", Name: "example.com/withdrawn", Version: "1.0.0"}, ""},
		"fields of a newer schema":                 {sbom.Package{Ecosystem: "Go", Name: "example.com/newer", Version: "0.9.0"}, "GO-2026-9006"},
		"standard library":                         {sbom.Package{Ecosystem: "Go", Name: "stdlib", Version: "1.26.1"}, "GO-2026-9007"},
		"standard library under its other name":    {sbom.Package{Ecosystem: "Go", Name: "go", Version: "1.26rc1"}, "GO-2026-9007"},
		"standard library, fixed":                  {sbom.Package{Ecosystem: "Go", Name: "stdlib", Version: "1.26.8"}, ""},
		"the last version that is affected":        {sbom.Package{Ecosystem: "Go", Name: "example.com/last", Version: "1.4.0"}, "GO-2026-9010"},
		"behind the last version":                  {sbom.Package{Ecosystem: "Go", Name: "example.com/last", Version: "1.4.1"}, ""},
		"a major version in the path":              {sbom.Package{Ecosystem: "Go", Name: "example.com/major/v2", Version: "2.4.9"}, "GO-2026-9012"},
		"the path without it is another module":    {sbom.Package{Ecosystem: "Go", Name: "example.com/major", Version: "2.4.9"}, ""},
		"the first package of two":                 {sbom.Package{Ecosystem: "Go", Name: "example.com/two/a", Version: "2.0.0"}, ""},
		"the second package of two":                {sbom.Package{Ecosystem: "Go", Name: "example.com/two/b", Version: "2.0.0"}, "GO-2026-9013"},
		"case matters in a module path":            {sbom.Package{Ecosystem: "Go", Name: "example.com/Interval", Version: "1.1.9"}, ""},
		"a listed version":                         {sbom.Package{Ecosystem: "npm", Name: "evil-listed", Version: "1.0.1"}, "MAL-2026-0001"},
		"a listed version with build metadata":     {sbom.Package{Ecosystem: "npm", Name: "evil-listed", Version: "1.0.1+x"}, "MAL-2026-0001"},
		"a version that is not listed":             {sbom.Package{Ecosystem: "npm", Name: "evil-listed", Version: "1.0.2"}, ""},
		"a scoped name":                            {sbom.Package{Ecosystem: "npm", Name: "@scope/thing", Version: "0.1.0"}, "GHSA-0007-scop-0007"},
		"the name without its scope":               {sbom.Package{Ecosystem: "npm", Name: "thing", Version: "0.1.0"}, ""},
		"one name in two registries: npm":          {sbom.Package{Ecosystem: "npm", Name: "twice", Version: "1.5.0"}, ""},
		"one name in two registries: PyPI":         {sbom.Package{Ecosystem: "PyPI", Name: "twice", Version: "1.5.0"}, "GHSA-0009-both-0009"},
		"a name of PyPI, as the record writes it":  {sbom.Package{Ecosystem: "PyPI", Name: "Odd_Name..Here", Version: "1.0.0"}, "PYSEC-2026-1"},
		"a name of PyPI, as PEP 503 has it":        {sbom.Package{Ecosystem: "PyPI", Name: "odd-name-here", Version: "1.0.0"}, "PYSEC-2026-1"},
		"a name of PyPI, otherwise":                {sbom.Package{Ecosystem: "PyPI", Name: "odd.NAME_-here", Version: "1.0.0"}, "PYSEC-2026-1"},
		"a listed version in another spelling":     {sbom.Package{Ecosystem: "PyPI", Name: "odd-name-here", Version: "1.0"}, "PYSEC-2026-1"},
		"a listed pre-release in another spelling": {sbom.Package{Ecosystem: "PyPI", Name: "odd-name-here", Version: "1.1.0c1"}, "PYSEC-2026-1"},
		"a listed version with a local part":       {sbom.Package{Ecosystem: "PyPI", Name: "odd-name-here", Version: "1.0.0+cu12"}, "PYSEC-2026-1"},
		"a range of PyPI":                          {sbom.Package{Ecosystem: "PyPI", Name: "ranged", Version: "99.0"}, "PYSEC-2026-2"},
		"a range of PyPI, fixed in a later epoch":  {sbom.Package{Ecosystem: "PyPI", Name: "ranged", Version: "1!0.5"}, ""},
		"a suffix behind the ecosystem":            {sbom.Package{Ecosystem: "PyPI", Name: "suffixed", Version: "0.9"}, "PYSEC-2026-5"},
		"a crate in another spelling":              {sbom.Package{Ecosystem: "crates.io", Name: "crate-name", Version: "0.3.0"}, "RUSTSEC-2026-0001"},
		"a crate, fixed":                           {sbom.Package{Ecosystem: "crates.io", Name: "Crate_Name", Version: "0.3.1"}, ""},
		"a build of a listed version":              {sbom.Package{Ecosystem: "crates.io", Name: "bundled-sys", Version: "1.1.2"}, "RUSTSEC-2026-0002"},
		"a package that no record names":           {sbom.Package{Ecosystem: "npm", Name: "fine", Version: "1.0.0"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := check(x, DefaultPolicy(), tt.pkg)
			if err != nil {
				t.Fatal(err)
			}
			want := Block
			if tt.want == "" {
				want = Pass
			}
			if got := ids(r); got != tt.want || r.Verdict != want {
				t.Errorf("%s: found %q, %s; want %q, %s", tt.pkg, got, r.Verdict, tt.want, want)
			}
		})
	}
}

// TestWhatTheMatcherSkipsIsAffected holds the records that osv-scalibr's matcher answers
// with "not affected" because it cannot evaluate them.
func TestWhatTheMatcherSkipsIsAffected(t *testing.T) {
	t.Parallel()
	x := fill(t)
	for name, tt := range map[string]struct {
		pkg  sbom.Package
		want string
	}{
		"commits before versions":          {sbom.Package{Ecosystem: "Go", Name: "example.com/gitfirst", Version: "1.9.9"}, "GO-2026-9003"},
		"commits before versions, fixed":   {sbom.Package{Ecosystem: "Go", Name: "example.com/gitfirst", Version: "2.0.0"}, ""},
		"commits after versions":           {sbom.Package{Ecosystem: "Go", Name: "example.com/gitlast", Version: "1.9.9"}, "GO-2026-9004"},
		"commits after versions, fixed":    {sbom.Package{Ecosystem: "Go", Name: "example.com/gitlast", Version: "2.0.0"}, ""},
		"commits and listed versions":      {sbom.Package{Ecosystem: "PyPI", Name: "listed", Version: "0.9"}, "PYSEC-2026-3"},
		"commits and other versions":       {sbom.Package{Ecosystem: "PyPI", Name: "listed", Version: "1.0"}, ""},
		"commits alone":                    {sbom.Package{Ecosystem: "PyPI", Name: "commits", Version: "7.0"}, "PYSEC-2026-4"},
		"neither ranges nor versions":      {sbom.Package{Ecosystem: "Go", Name: "example.com/bare", Version: "7.0.0"}, "GO-2026-9008"},
		"a range of an unknown type":       {sbom.Package{Ecosystem: "Go", Name: "example.com/newtype", Version: "7.0.0"}, "GO-2026-9009"},
		"a range that nothing opens":       {sbom.Package{Ecosystem: "Go", Name: "example.com/unopened", Version: "0.1.0"}, "GO-2026-9014"},
		"a record that was changed year 1": {sbom.Package{Ecosystem: "Go", Name: "example.com/undated", Version: "0.1.0"}, "GO-2026-9011"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := check(x, DefaultPolicy(), tt.pkg)
			if err != nil || ids(r) != tt.want {
				t.Errorf("%s: found %q (%v), want %q", tt.pkg, ids(r), err, tt.want)
			}
		})
	}
}

func TestPackagesThatCannotBeJudged(t *testing.T) {
	t.Parallel()
	x := fill(t)
	long := string(make([]byte, 1000))
	for name, p := range map[string]sbom.Package{
		"no version":              {Ecosystem: "npm", Name: "rated-high"},
		"a tag":                   {Ecosystem: "npm", Name: "rated-high", Version: "latest"},
		"a range":                 {Ecosystem: "npm", Name: "rated-high", Version: "^1.2.3"},
		"half of a version":       {Ecosystem: "npm", Name: "rated-high", Version: "1.2"},
		"a wildcard":              {Ecosystem: "PyPI", Name: "ranged", Version: "1.*"},
		"a place":                 {Ecosystem: "npm", Name: "rated-high", Version: "file:../x"},
		"a development build":     {Ecosystem: "Go", Name: "example.com/interval", Version: "(devel)"},
		"a line behind a version": {Ecosystem: "npm", Name: "rated-high", Version: "1.2.3\n"},
		"an overlong version":     {Ecosystem: "npm", Name: "rated-high", Version: "1.2.3-" + long},
		"no name":                 {Ecosystem: "npm", Version: "1.2.3"},
		"a name of separators":    {Ecosystem: "PyPI", Name: "-_.", Version: "1.2.3"},
		"an overlong name":        {Ecosystem: "npm", Name: long, Version: "1.2.3"},
		"no ecosystem":            {Name: "rated-high", Version: "1.2.3"},
		"an unknown ecosystem":    {Ecosystem: "Maven", Name: "rated-high", Version: "1.2.3"},
		"another case of one":     {Ecosystem: "NPM", Name: "rated-high", Version: "1.2.3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := check(x, DefaultPolicy(), sbom.Package{Ecosystem: "npm", Name: "fine", Version: "1.0.0"}, p)
			refused(t, err, ErrInvalid, "")
			if r.Verdict != Block {
				t.Error("the report of a refusal does not block")
			}
		})
	}
}

func TestWithoutDataOrWithOldDataNothingPasses(t *testing.T) {
	t.Parallel()
	fine := sbom.Package{Ecosystem: "Go", Name: "example.com/fine", Version: "1.0.0"}
	npm := sbom.Package{Ecosystem: "npm", Name: "fine", Version: "1.0.0"}
	x := open(t, filepath.Join(t.TempDir(), "osv.db"))
	_, err := check(x, DefaultPolicy(), fine)
	refused(t, err, ErrNoDB, "Go")
	if _, err := x.ImportFolder(context.Background(), sbom.Go, records(t), ImportOptions{Now: today}); err != nil {
		t.Fatal(err)
	}
	if r, err := check(x, DefaultPolicy(), fine); err != nil || r.Verdict != Pass {
		t.Fatalf("%v, %v", r, err)
	}
	_, err = check(x, DefaultPolicy(), fine, npm)
	refused(t, err, ErrNoDB, "npm")
	_, err = check(x, Policy{}, fine)
	refused(t, err, ErrStale, "Go")
	_, err = x.Check(context.Background(), []sbom.Package{fine}, DefaultPolicy(), today.AddDate(0, 1, 0))
	refused(t, err, ErrStale, "44 days")
	_, err = x.Check(context.Background(), []sbom.Package{fine}, DefaultPolicy(), today.AddDate(-1, 0, 0))
	refused(t, err, ErrStale, "Go")
	if r, err := check(x, Policy{}); err != nil || r.Verdict != Pass {
		t.Errorf("no packages: %v, %v", r.Verdict, err)
	}
}

func TestAgeIsOfTheDataNotOfTheImport(t *testing.T) {
	t.Parallel()
	x := open(t, filepath.Join(t.TempDir(), "osv.db"))
	old := pack(t, "a.json", rec("A", "example.com/a", "2026-01-01T00:00:00Z"))
	p := sbom.Package{Ecosystem: "Go", Name: "example.com/fine", Version: "1.0.0"}
	for range 2 {
		done, err := load(x, old, ImportOptions{})
		if err != nil || done.Age(today) != 318*24*time.Hour {
			t.Fatalf("%v, %v", done, err)
		}
		_, err = check(x, DefaultPolicy(), p)
		refused(t, err, ErrStale, "2026-01-01")
	}
	done, err := load(x, old, ImportOptions{AsOf: today.AddDate(0, 0, -3)})
	if err != nil || !done.Vouched {
		t.Fatalf("%v, %v", done, err)
	}
	if r, err := check(x, DefaultPolicy(), p); err != nil || r.Verdict != Pass || !r.Data[0].Vouched {
		t.Errorf("%v, %v", r, err)
	}
	for _, as := range []time.Time{today.AddDate(0, 0, 2), time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC)} {
		_, err = load(x, old, ImportOptions{AsOf: as})
		refused(t, err, ErrInvalid, "snapshot")
	}
}
