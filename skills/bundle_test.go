package skills

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

func TestOpenChecksEveryDigest(t *testing.T) {
	t.Parallel()
	extra := map[string]string{"SKILL.md": "# hello", "assets/a.txt": "a", "references/deep/b.md": "b", "notes.txt": "not part of it"}
	b, err := Open(built(t, extra))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range b.Manifest.Files {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "SKILL.md assets/a.txt references/deep/b.md sbom.cdx.json skill.yaml" {
		t.Errorf("files of the bundle: %s", got)
	}
	for _, c := range []struct {
		name   string
		damage func(dir string) error
		want   error
	}{
		{"one bit of the module", func(dir string) error {
			raw, err := os.ReadFile(filepath.Join(dir, ModuleFile))
			if err != nil {
				return err
			}
			raw[len(raw)-1] ^= 1
			return os.WriteFile(filepath.Join(dir, ModuleFile), raw, 0o644)
		}, ErrDigest},
		{"a longer module", func(dir string) error { return appendTo(dir, ModuleFile, "\x00") }, ErrDigest},
		{"an asset", func(dir string) error { return appendTo(dir, "assets/a.txt", "x") }, ErrDigest},
		{"SKILL.md", func(dir string) error { return appendTo(dir, "SKILL.md", "x") }, ErrDigest},
		{"no module", func(dir string) error { return os.Remove(filepath.Join(dir, ModuleFile)) }, ErrNotBuilt},
		{"no manifest", func(dir string) error { return os.Remove(filepath.Join(dir, ManifestFile)) }, ErrNotBuilt},
		{"one space in the manifest", func(dir string) error { return appendTo(dir, ManifestFile, " ") }, abi.ErrManifest},
		{"an empty manifest", func(dir string) error { return os.WriteFile(filepath.Join(dir, ManifestFile), nil, 0o644) }, abi.ErrManifest},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := built(t, extra)
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestReadChecksAgain(t *testing.T) {
	t.Parallel()
	dir := built(t, nil)
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(); err != nil {
		t.Fatal(err)
	}
	if err := appendTo(dir, ModuleFile, "\x00"); err != nil {
		t.Fatal(err)
	}
	_, err = b.Module().Read()
	var e *Error
	if !errors.Is(err, ErrDigest) || !errors.As(err, &e) || !strings.Contains(e.Hint, "glovebox skill build") {
		t.Errorf("a module that changed after it was opened: %v", err)
	}
}

func TestLinksAndOddFilesAreNotFollowed(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link", "folder", "../secret", "/etc/passwd", "", "absent"} {
		if data, err := readFile(dir, name, 1<<20); err == nil {
			t.Errorf("%q was read: %q", name, data)
		}
	}
}

func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"at": "12345", "over": "123456"})
	if _, err := readFile(dir, "at", 5); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := readFile(dir, "over", 5); err == nil || !strings.Contains(err.Error(), "6 bytes: more than 5") {
		t.Errorf("one byte over the limit: %v", err)
	}
	if err := os.Truncate(filepath.Join(dir, "over"), MaxModule+1); err != nil {
		t.Fatal(err)
	}
	if _, err := readFile(dir, "over", MaxModule); err == nil {
		t.Error("a module over the limit was read")
	}
}

func TestReadFileKnowsOnlyTheFilesOfTheBundle(t *testing.T) {
	t.Parallel()
	b, err := Open(built(t, map[string]string{"SKILL.md": "# hello", "assets/a.txt": "a", "notes.txt": "not part of it"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{ManifestFile, ModuleFile, SourceFile, SBOMFile, "SKILL.md", "assets/a.txt"} {
		if _, err := b.ReadFile(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := appendTo(b.Dir, name, " "); err != nil {
			t.Fatal(err)
		}
		if _, err := b.ReadFile(name); err == nil {
			t.Errorf("%s: it changed, and it was read", name)
		}
	}
	for _, name := range []string{"notes.txt", "../x", ""} {
		if _, err := b.ReadFile(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

func TestOpenSourceSaysHowToBegin(t *testing.T) {
	t.Parallel()
	_, err := OpenSource(t.TempDir())
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(e.Hint, "glovebox skill new") {
		t.Errorf("got %v", err)
	}
}

func TestDescriptorOfAnUnlistedToolIsTheStrictest(t *testing.T) {
	t.Parallel()
	b, err := Open(built(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if d := b.Descriptor("other"); d.Effect.Class() != abi.ClassDestructive || d.Role("x") != abi.RoleControl {
		t.Errorf("got %+v", d)
	}
	if d := b.Descriptor("greet"); d.Effect != abi.EffectRead {
		t.Errorf("got %+v", d)
	}
}

func appendTo(dir, name, text string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
