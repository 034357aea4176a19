package packages

import (
	"fmt"
	"io"
	"io/fs"
	"syscall"
)

// identify adds what tells one state of a file from every other.
func identify(w io.Writer, name string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%.200q: the system does not say which file it is", name)
	}
	_, err := fmt.Fprintf(w, "%q %d %d %o %d %v %v\n", name, st.Dev, st.Ino, st.Mode, st.Size, st.Mtim, st.Ctim)
	return err
}
