//go:build !unix

package artifact

import (
	"errors"
	"fmt"
)

// lock fails: without advisory locks two publishers could lose an entry.
func lock(dir string) (unlock func() error, err error) {
	return nil, fmt.Errorf("lock %s: %w on this system", dir, errors.ErrUnsupported)
}
