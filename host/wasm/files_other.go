//go:build !unix

package wasm

import "io/fs"

const openNonblock = 0

// links cannot tell here, so that writable mounts refuse every file.
func links(fs.FileInfo) (uint64, bool) { return 0, false }
