//go:build unix

package artifact

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock waits until nobody else publishes to the folder dir. The lock ends with the
// process, however that ends.
func lock(dir string) (unlock func() error, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), d.Close())
	}
	return d.Close, nil
}
