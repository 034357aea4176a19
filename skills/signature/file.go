package signature

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/glovebox-dev/glovebox/host/config"
)

// ReadFile reads a bundle for Verify, bounded: nothing where there is no file, and one
// byte too many where there are too many. Both are refusals of Verify.
func ReadFile(path string) ([]byte, error) {
	b, err := readFile(path, MaxBundle)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, errTooLong):
		return make([]byte, MaxBundle+1), nil
	case err != nil:
		return nil, fmt.Errorf("read signature: %w", err)
	}
	return b, nil
}

// WriteFile replaces the bundle at path as one step, readable by everybody.
func WriteFile(path string, bundle []byte) error {
	if err := config.WriteFile(path, bundle); err != nil {
		return fmt.Errorf("write signature: %w", err)
	}
	return os.Chmod(path, 0o644)
}

// In returns the path of the bundle in a skill's folder.
func In(dir string) string { return filepath.Join(dir, File) }
