package oracle

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/osv-scanner/v2/pkg/models"
	"github.com/google/osv-scanner/v2/pkg/osvscanner"
)

const root = "../../../.."

// parts are glovebox and a folder of data for both.
type parts struct {
	glovebox string
	dir      string
}

func setup(t *testing.T) parts {
	t.Helper()
	p := parts{filepath.Join(t.TempDir(), "glovebox"), t.TempDir()}
	build := exec.Command("go", "build", "-tags=sqlite_fts5", "-o", p.glovebox, "./cmd/glovebox")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return p
}

// run runs glovebox; a refusal comes back as what it printed on stderr.
func (p parts) run(t *testing.T, args ...string) (out []byte, refusal string) {
	t.Helper()
	cmd := exec.Command(p.glovebox, append(args, "--state", filepath.Join(p.dir, "state"))...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 3) {
		t.Fatalf("%v: %s", err, &errs)
	}
	if err != nil {
		refusal = errs.String()
	}
	return out, refusal
}

func (p parts) update(t *testing.T, eco, from string) string {
	t.Helper()
	_, refusal := p.run(t, "osv", "update", "--ecosystem", eco, "--from", from, "--as-of", time.Now().UTC().Format(time.DateOnly))
	return refusal
}

// ours asks glovebox, and reads its answer with osv-scanner's own types.
func (p parts) ours(t *testing.T, eco string, packages []string) map[string]string {
	t.Helper()
	out, refusal := p.run(t, append([]string{"osv", "check", "--format", "osv-scanner", "--ecosystem", eco}, packages...)...)
	if refusal != "" && !strings.Contains(refusal, "what is known blocks") {
		t.Fatal(refusal)
	}
	var r models.VulnerabilityResults
	dec := json.NewDecoder(bytes.NewReader(out))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		t.Fatalf("the output is not osv-scanner's model: %v", err)
	}
	return found(r)
}

// theirs asks osv-scanner, offline, with the zips of dbs by ecosystem.
func theirs(t *testing.T, dbs map[string][]byte, purl string, packages []string) (models.VulnerabilityResults, error) {
	t.Helper()
	dir := t.TempDir()
	for eco, archive := range dbs {
		folder := filepath.Join(dir, "osv-scalibr", eco)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "all.zip"), archive, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	type component struct {
		Type    string `json:"type"`
		Name    string `json:"name"`
		Version string `json:"version"`
		PURL    string `json:"purl"`
	}
	bom := map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1}
	var list []component
	for _, p := range packages {
		i := strings.LastIndexByte(p, '@')
		list = append(list, component{"library", p[:i], p[i+1:], "pkg:" + purl + "/" + strings.ReplaceAll(p[:i], "@", "%40") + "@" + p[i+1:]})
	}
	bom["components"] = list
	text, err := json.Marshal(bom)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "bom.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := osvscanner.DoScan(osvscanner.ScannerActions{
		LockfilePaths: []string{file}, CompareOffline: true, LocalDBPath: dir, ShowAllPackages: true,
		ExperimentalScannerActions: osvscanner.ExperimentalScannerActions{TransitiveScanning: osvscanner.TransitiveScanningActions{Disabled: true}},
		PluginNetworkDisabled:      true,
	})
	if errors.Is(err, osvscanner.ErrVulnerabilitiesFound) {
		err = nil
	}
	return r, err
}

// found are the ids by NAME@VERSION.
func found(r models.VulnerabilityResults) map[string]string {
	out := map[string]string{}
	for _, source := range r.Results {
		for _, p := range source.Packages {
			var ids []string
			for _, v := range p.Vulnerabilities {
				ids = append(ids, v.GetId())
			}
			if slices.Sort(ids); len(ids) > 0 {
				out[p.Package.Name+"@"+p.Package.Version] = strings.Join(ids, " ")
			}
		}
	}
	return out
}

// fixtures zips the records of the index's own tests, all but those named.
func fixtures(t *testing.T, without ...string) []byte {
	t.Helper()
	files, err := filepath.Glob("../osv/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no records: %v", err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, file := range files {
		name := filepath.Base(file)
		if slices.Contains(without, strings.TrimSuffix(name, ".json")) {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		add(t, z, name, text)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func add(t *testing.T, z *zip.Writer, name string, text []byte) {
	t.Helper()
	w, err := z.Create(name)
	if err == nil {
		_, err = w.Write(text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// undecidable are the fixtures that osv-scanner passes over.
var undecidable = []string{"GO-2026-9003", "GO-2026-9006", "GO-2026-9008", "GO-2026-9009", "GO-2026-9014"}

// TestSameAnswers asks both about some thousand packages: the export of a real database
// where CONTAIN_DATA names a folder with osv/Go-all.zip, else the fixtures.
func TestSameAnswers(t *testing.T) {
	p := setup(t)
	archive, err := os.ReadFile(filepath.Join(os.Getenv("CONTAIN_DATA"), "osv", "Go-all.zip"))
	if err != nil {
		t.Logf("no real data (%v): the fixtures", err)
		archive = fixtures(t, undecidable...)
	}
	file := filepath.Join(p.dir, "all.zip")
	if err := os.WriteFile(file, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	if refusal := p.update(t, "Go", file); refusal != "" {
		t.Fatal(refusal)
	}
	packages := sample(t, archive, 3000)
	start := time.Now()
	ours := p.ours(t, "Go", packages)
	between := time.Now()
	r, err := theirs(t, map[string][]byte{"Go": archive}, "golang", packages)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d packages, %d of them affected; glovebox %s, osv-scanner %s", len(packages), len(ours), between.Sub(start), time.Since(between))
	want, differ := found(r), 0
	for _, one := range packages {
		if ours[one] != want[one] {
			if differ++; differ < 20 {
				t.Errorf("%s: we say %q, osv-scanner %q", one, ours[one], want[one])
			}
		}
	}
	if differ > 0 || len(ours) == 0 {
		t.Errorf("%d of %d packages differ", differ, len(packages))
	}
	// The rest of the model, group by group.
	one := slices.Sorted(slices.Values(packages))[len(packages)/2:][:200]
	out, _ := p.run(t, append([]string{"osv", "check", "--format", "osv-scanner", "--ecosystem", "Go"}, one...)...)
	var mine models.VulnerabilityResults
	if err := json.Unmarshal(out, &mine); err != nil {
		t.Fatal(err)
	}
	yours, err := theirs(t, map[string][]byte{"Go": archive}, "golang", one)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := grouped(mine), grouped(yours); a != b {
		t.Errorf("groups differ:\n%s\n%s", a, b)
	}
}

// grouped writes the groups of each package.
func grouped(r models.VulnerabilityResults) string {
	var lines []string
	for _, source := range r.Results {
		for _, p := range source.Packages {
			for _, g := range p.Groups {
				lines = append(lines, fmt.Sprint(p.Package.Name, p.Package.Version, p.Package.Ecosystem, g.IDs, g.Aliases, g.MaxSeverity))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// sample draws packages from the records: at the versions that they name, and beside them.
func sample(t *testing.T, archive []byte, n int) []string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[string]bool{}
	for tries := 0; len(seen) < n && tries < 10*n; tries++ {
		f, err := z.File[r.IntN(len(z.File))].Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		var v struct {
			Affected []struct {
				Package struct{ Ecosystem, Name string }
				Ranges  []struct{ Events []map[string]string }
			}
		}
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		versions := []string{fmt.Sprintf("%d.%d.%d", r.IntN(5), r.IntN(20), r.IntN(10)), "0.0.0-20220101000000-0123456789ab"}
		for _, a := range v.Affected {
			for _, g := range a.Ranges {
				for _, e := range g.Events {
					for _, at := range e {
						if strings.Count(at, ".") == 2 {
							versions = append(versions, at)
						}
					}
				}
			}
			if a.Package.Ecosystem == "Go" {
				seen[a.Package.Name+"@"+versions[r.IntN(len(versions))]] = true
			}
		}
	}
	out := make([]string, 0, n)
	for one := range seen {
		out = append(out, one)
	}
	slices.Sort(out)
	return out
}

// TestWhereOSVScannerSaysClean pins what keeps osv-scanner out of the decision: each of
// these is clean to it, and a refusal or a finding to us.
func TestWhereOSVScannerSaysClean(t *testing.T) {
	p := setup(t)
	whole := fixtures(t)
	broken := func(name string, text string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		add(t, z, "fine.json", []byte(`{"id":"GO-FINE","modified":"2026-11-01T00:00:00Z","affected":[{"package":{"ecosystem":"Go","name":"example.com/fine"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`))
		add(t, z, name, []byte(text))
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	clean := func(t *testing.T, dbs map[string][]byte, purl, pkg string) {
		t.Helper()
		r, err := theirs(t, dbs, purl, []string{pkg})
		if err != nil || len(found(r)) != 0 {
			t.Errorf("osv-scanner no longer says clean: %v, %v", found(r), err)
		}
	}
	t.Run("no database", func(t *testing.T) {
		clean(t, nil, "golang", "example.com/interval@1.1.0")
		if _, refusal := p.run(t, "osv", "check", "--ecosystem", "Go", "example.com/interval@1.1.0"); !strings.Contains(refusal, "osv.nodb") {
			t.Error(refusal)
		}
	})
	for name, archive := range map[string][]byte{
		"a corrupt zip": whole[:len(whole)/2], "a record of broken JSON": broken("b.json", `{"id":`),
	} {
		t.Run(name, func(t *testing.T) {
			clean(t, map[string][]byte{"Go": archive}, "golang", "example.com/interval@1.1.0")
			file := filepath.Join(t.TempDir(), "all.zip")
			if err := os.WriteFile(file, archive, 0o600); err != nil {
				t.Fatal(err)
			}
			if refusal := p.update(t, "Go", file); !strings.Contains(refusal, "osv.invalid") {
				t.Error(refusal)
			}
		})
	}
	file := filepath.Join(p.dir, "all.zip")
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if refusal := p.update(t, "Go", file); refusal != "" {
		t.Fatal(refusal)
	}
	t.Run("one ecosystem of two", func(t *testing.T) {
		clean(t, map[string][]byte{"Go": whole}, "npm", "evil-always@1.0.0")
		if _, refusal := p.run(t, "osv", "check", "--ecosystem", "npm", "evil-always@1.0.0"); !strings.Contains(refusal, "osv.nodb") {
			t.Error(refusal)
		}
	})
	for name, pkg := range map[string]string{
		"a field of a newer schema":   "example.com/newer@0.9.0",
		"commits before versions":     "example.com/gitfirst@1.9.9",
		"neither ranges nor versions": "example.com/bare@1.0.0",
		"a range of an unknown type":  "example.com/newtype@1.0.0",
		"a range that nothing opens":  "example.com/unopened@0.9.0",
	} {
		t.Run(name, func(t *testing.T) {
			clean(t, map[string][]byte{"Go": whole}, "golang", pkg)
			if ours := p.ours(t, "Go", []string{pkg}); len(ours) != 1 {
				t.Errorf("we say %v", ours)
			}
		})
	}
}
