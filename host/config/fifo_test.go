//go:build unix

package config

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestFilesThatWouldBlockAreRefused lays a FIFO where a manifest, a grant or a
// configuration is looked for: a downloaded archive can hold one.
func TestFilesThatWouldBlockAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "glovebox.yaml")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := ReadOwned(path, 1024)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a FIFO was read")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("reading a FIFO blocks")
	}
}
