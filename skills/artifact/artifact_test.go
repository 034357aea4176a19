package artifact

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills"
)

// TestManifestIsGolden pins the bytes for a bundle that was built once: a signature
// made yesterday holds only while the same folder gives the same manifest.
func TestManifestIsGolden(t *testing.T) {
	t.Parallel()
	b, err := skills.Open(filepath.Join("testdata", "hello"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := Manifest(b)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Manifest, want) {
		t.Errorf("the manifest changed:\n%s\nwant\n%s", a.Manifest, want)
	}
	if a.Digest != abi.DigestOf(want) || a.Name != "hello" || a.Version != "1.2.0" || a.Skill != b.Digest {
		t.Errorf("got %s %s %s %s", a.Digest, a.Name, a.Version, a.Skill)
	}
	for i, b := range a.Blobs {
		if abi.DigestOf(b.Data) != b.Digest {
			t.Errorf("blob %d: its digest is another", i)
		}
	}
}

func TestManifestFollowsFromTheListedFilesAlone(t *testing.T) {
	t.Parallel()
	a, b := hello(t), build(t, map[string]string{"SKILL.md": "# hello\n", "references/b.md": "b", "assets/a.txt": "a", "LICENSE": "MIT\n"})
	write(t, b.Dir, map[string]string{SignatureFile: "{}", "assets/later.txt": "not listed", "notes.txt": "mine"})
	if err := os.Chtimes(filepath.Join(b.Dir, "SKILL.md"), time.Unix(0, 0), time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	again, err := Manifest(b)
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest != a.Digest {
		t.Errorf("a file that is not listed changed the digest: %s", again.Manifest)
	}
}

func TestManifestRefusesAFileThatChanged(t *testing.T) {
	t.Parallel()
	for _, name := range []string{skills.ModuleFile, skills.ManifestFile, "SKILL.md", "assets/a.txt"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := build(t, map[string]string{"SKILL.md": "# hello\n", "assets/a.txt": "a"})
			file := filepath.Join(b.Dir, filepath.FromSlash(name))
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			raw[len(raw)-1] ^= 1
			if err := os.WriteFile(file, raw, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := Manifest(b); !errors.Is(err, skills.ErrDigest) {
				t.Errorf("got %v, want %v", err, skills.ErrDigest)
			}
		})
	}
}

// TestManifestRefusesALyingList changes what skill.manifest.json says about its files.
func TestManifestRefusesALyingList(t *testing.T) {
	t.Parallel()
	file := func(name, text string) abi.File {
		return abi.File{Name: name, Digest: abi.DigestOf([]byte(text)), Size: int64(len(text))}
	}
	for _, c := range []struct {
		name  string
		files []abi.File
		want  Reason
	}{
		{"a size that is another", []abi.File{{Name: "a", Digest: abi.DigestOf([]byte("a")), Size: 2}}, ReasonSize},
		{"a file of 11 MiB", []abi.File{{Name: "a", Digest: abi.DigestOf([]byte("a")), Size: 11 << 20}}, ReasonSize},
		{"130 MiB in parts", many(13, 10<<20), ReasonSize},
		{"names that differ in case", []abi.File{file("A", "a"), file("a", "a")}, ReasonName},
		{"names that differ in the case of a Kelvin sign", []abi.File{file("k", "a"), file("\u212a", "a")}, ReasonName},
		{"a file that is a folder too", []abi.File{file("a", "a"), file("a/b", "b")}, ReasonName},
		{"a file that is a folder in other case", []abi.File{file("A/b", "b"), file("a", "a")}, ReasonName},
		{"the module in other case", []abi.File{file("SKILL.WASM", "a")}, ReasonName},
		{"the manifest itself", []abi.File{file(skills.ManifestFile, "a")}, ReasonName},
		{"the signature", []abi.File{file("Skill.sigstore.json", "a")}, ReasonName},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := build(t, nil)
			compiled := *b.Manifest
			compiled.Files = c.files
			raw, err := abi.EncodeCompiled(&compiled)
			if err != nil {
				t.Fatal(err)
			}
			write(t, b.Dir, map[string]string{skills.ManifestFile: string(raw)})
			for _, f := range c.files {
				if c.want == ReasonSize {
					write(t, b.Dir, map[string]string{f.Name: "a"})
				}
			}
			_, err = Manifest(&skills.Bundle{Dir: b.Dir, Manifest: &compiled, Digest: abi.DigestOf(raw)})
			wants(t, err, c.want)
		})
	}
}

func many(n int, size int64) []abi.File {
	files := make([]abi.File, n)
	for i := range files {
		files[i] = abi.File{Name: string(rune('a' + i)), Digest: abi.DigestOf(nil), Size: size}
	}
	return files
}

// TestManifestIsTheLayoutOfTheField reads it as another client would.
func TestManifestIsTheLayoutOfTheField(t *testing.T) {
	t.Parallel()
	a := hello(t)
	var config struct {
		Created      string
		Architecture string
		OS           string
		LayerDigests []string
	}
	if err := json.Unmarshal(a.Blobs[0].Data, &config); err != nil {
		t.Fatal(err)
	}
	if config.Architecture != "wasm" || config.OS != "wasip1" || len(config.LayerDigests) != len(a.Blobs)-1 || config.LayerDigests[0] != string(a.Blobs[1].Digest) {
		t.Errorf("config: %s", a.Blobs[0].Data)
	}
	modules := 0
	for _, b := range a.Blobs {
		if b.Media == MediaModule {
			modules++
		}
	}
	if modules != 1 || a.Blobs[1].Media != MediaModule || a.Blobs[2].Media != MediaSkill || a.Blobs[2].Digest != a.Skill {
		t.Errorf("layers: %s", a.Manifest)
	}
}
