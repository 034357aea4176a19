package host

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
)

// goldenBundles are bundles as they were released with each version of the ABI, with the digests
// of their manifests. An entry is added and never changed: what was signed has to open, and to
// give the same answers, for ever.
func goldenBundles() map[string]abi.Digest {
	return map[string]abi.Digest{
		"abi-v1": "sha256:a37a7e019fcfd31976b235f6d27844e279264f41f0496cf6320c0ae91d79ba3a",
	}
}

func TestGoldenBundlesOpenAndRun(t *testing.T) {
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
	golden := filepath.Join("..", "skills", "testdata", "golden")
	dirs, err := filepath.Glob(filepath.Join(golden, "*"))
	if err != nil || len(dirs) != len(goldenBundles()) {
		t.Fatalf("found %v, %v", dirs, err)
	}
	for name, digest := range goldenBundles() {
		dir := filepath.Join(golden, name)
		b, err := skills.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if b.Digest != digest {
			t.Errorf("%s was changed: it is %s", name, b.Digest)
		}
		var files []string
		for _, f := range b.Manifest.Files {
			files = append(files, f.Name)
		}
		if want := []string{"SKILL.md", "sbom.cdx.json", "skill.yaml"}; !slices.Equal(files, want) {
			t.Errorf("%s lists %v", name, files)
		}
		if _, _, err := b.Dependencies(); err != nil {
			t.Error(err)
		}
		report, err := skills.Test(t.Context(), dir, chamber)
		if err != nil {
			t.Fatal(err)
		}
		if report.Failed() > 0 || len(report.Cases) == 0 {
			t.Error(report)
		}
	}
}
