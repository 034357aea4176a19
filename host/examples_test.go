package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/sandbox"
	"github.com/glovebox-dev/glovebox/skills"
)

// copyExample copies an example skill without what its compiler keeps beside it.
func copyExample(t *testing.T, name string) string {
	t.Helper()
	from, to := filepath.Join("..", "examples", name), filepath.Join(t.TempDir(), name)
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case d.Name() == "node_modules":
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// TestExamples runs the tests of every example skill on the real chamber, holds its
// manifest against what the module itself lists, and its grant against its request.
func TestExamples(t *testing.T) {
	t.Parallel()
	state, err := config.OpenState(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	chamber, err := OpenChamber(t.Context(), ChamberConfig{State: state, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := chamber.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	manifests, err := filepath.Glob("../examples/*/skill.yaml")
	if err != nil || len(manifests) < 8 {
		t.Fatalf("found %v, %v", manifests, err)
	}
	t.Run("all", func(t *testing.T) {
		for _, m := range manifests {
			name := filepath.Base(filepath.Dir(m))
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				testExample(t, chamber, name)
			})
		}
	})
}

func testExample(t *testing.T, chamber *Chamber, name string) {
	dir := copyExample(t, name)
	need := "skills"
	if name == "script" { // its engine is built from npm's sources, by its own Makefile
		need = "script"
	}
	testenv.Need(t, need, func() error {
		if _, err := os.Stat(filepath.Join(dir, skills.ManifestFile)); err != nil {
			return errors.New("the Go example skills are not built: run make skills")
		}
		return nil
	})
	before, err := skills.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	built, err := skills.Build(t.Context(), dir, skills.BuildOptions{UseModule: true}, chamber, sandbox.RunToolchain)
	if err != nil {
		t.Fatal(err)
	}
	if built.Bundle.Digest != before.Digest {
		t.Errorf("%s is not what skill.yaml and the module give: build it again", skills.ManifestFile)
	}
	if len(built.Warnings) > 0 {
		t.Errorf("warnings: %s", strings.Join(built.Warnings, "; "))
	}
	report, err := skills.Test(t.Context(), dir, chamber)
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed() > 0 {
		t.Error(report)
	}
	checkRefusals(t, dir, report)
	checkGrant(t, name, built.Bundle)
}

// checkRefusals wants every skill that may reach something to have a test in which
// the host refuses it.
func checkRefusals(t *testing.T, dir string, report *skills.TestReport) {
	t.Helper()
	seen, err := skills.Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	var refused []string
	for _, c := range report.Cases {
		for _, p := range c.Denials {
			refused = append(refused, p.Capability)
		}
	}
	for _, c := range seen.Capabilities {
		if c != "wasi" && !slices.Contains(refused, c) {
			t.Errorf("no test shows that %s can be refused", c)
		}
	}
}

// checkGrant wants the demo agent to have exactly what the skill asks for.
func checkGrant(t *testing.T, name string, b *skills.Bundle) {
	t.Helper()
	file := filepath.Join("..", "examples", "grants", name+".yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	grant, err := abi.DecodeGrant(file, data)
	if err != nil {
		t.Fatal(err)
	}
	rights, why, err := abi.Effective(&b.Manifest.Manifest, grant, abi.GlobalPolicy{}, "demo", abi.Proof{Digest: b.Digest}, time.Now())
	if err != nil || !rights.Granted {
		t.Fatalf("the grant gives nothing: %v %v", why, err)
	}
	for _, e := range why {
		if !e.Granted {
			t.Errorf("%s is not granted: %s", e.Right, e.Why)
		}
	}
	if other, _, err := abi.Effective(&b.Manifest.Manifest, grant, abi.GlobalPolicy{}, "other", abi.Proof{Digest: b.Digest}, time.Now()); err != nil || other.Granted {
		t.Errorf("another agent is granted %+v, %v", other, err)
	}
}
