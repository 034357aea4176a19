package durable_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/glovebox-dev/glovebox/internal/durable"
)

// A file is replaced whole, or is as it was, and nothing is left beside it.
func TestReplaceIsWholeOrNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := durable.ReplaceBytes(path, 0o600, []byte("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	for name, write := range map[string]func(io.Writer) error{
		"a writer that fails half way": func(w io.Writer) error { _, _ = io.WriteString(w, "ne"); return broken },
		"a writer that looks at path": func(w io.Writer) error {
			_, _ = io.WriteString(w, "new")
			if b, err := os.ReadFile(path); err != nil || string(b) != "old" {
				t.Errorf("before its end a reader sees %q, %v", b, err)
			}
			return broken
		},
	} {
		if err := durable.Replace(path, 0o644, write); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "old" {
			t.Errorf("%s left %q, %v", name, b, err)
		}
	}
	if err := durable.ReplaceBytes(path, 0o644, []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	entries, _ := os.ReadDir(dir)
	if b, _ := os.ReadFile(path); err != nil || string(b) != "new" || info.Mode().Perm() != 0o644 || len(entries) != 1 {
		t.Errorf("%q, mode %v, beside it %v, %v", b, info.Mode(), entries, err)
	}
	if err := durable.ReplaceBytes(filepath.Join(dir, "none", "file"), 0o600, nil); err == nil {
		t.Error("a folder that is not there")
	}
}
