//go:build unix

package wasm

import (
	"io/fs"
	"syscall"
)

// openNonblock keeps an open of a FIFO or a device from waiting for a peer.
const openNonblock = syscall.O_NONBLOCK

// links is the number of names that a file has.
func links(info fs.FileInfo) (uint64, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return uint64(st.Nlink), true //nolint:unconvert // its type differs between systems
}
