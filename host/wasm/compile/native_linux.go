package compile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

var nativeNameRE = regexp.MustCompile(`^wazero-[A-Za-z0-9.+-]{1,64}/[0-9a-f]{64}$`)

// nativeName reports whether name is how the engine of this platform names a file
// below its cache directory.
func nativeName(name string) bool {
	return nativeNameRE.MatchString(name) && strings.HasSuffix(path.Dir(name), "-"+runtime.GOARCH+"-"+runtime.GOOS)
}

// readNative reads what the child left in dir, which the child may still own and
// change: exactly one directory with one regular file of the engine's naming. No
// link is followed and no byte beyond max is read.
func readNative(dir string, max int64) (name string, b []byte, err error) {
	root, err := openAt(unix.AT_FDCWD, dir, unix.O_DIRECTORY)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	subName, err := only(root)
	if err != nil {
		return "", nil, err
	}
	sub, err := openAt(int(root.Fd()), subName, unix.O_DIRECTORY)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, sub.Close()) }()
	fileName, err := only(sub)
	if err != nil {
		return "", nil, err
	}
	name = subName + "/" + fileName
	if !nativeName(name) {
		return "", nil, fmt.Errorf("%w: it left a file with a strange name", ErrCrash)
	}
	f, err := openAt(int(sub.Fd()), fileName, unix.O_NONBLOCK)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err = readRegular(f, max)
	return name, b, err
}

func openAt(dir int, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return nil, fmt.Errorf("open what the compiler left: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// only returns the name of the single entry of dir.
func only(dir *os.File) (string, error) {
	names, err := dir.Readdirnames(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("list what the compiler left: %w", err)
	}
	if len(names) != 1 {
		return "", fmt.Errorf("%w: it left %d files where one was expected", ErrCrash, len(names))
	}
	return names[0], nil
}

func readRegular(f *os.File, max int64) ([]byte, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at a compiled module: %w", err)
	}
	if !fi.Mode().IsRegular() || fi.Size() > max {
		return nil, fmt.Errorf("%w: it is no regular file of at most %d bytes", ErrSeal, max)
	}
	b := make([]byte, fi.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("read a compiled module: %w", err)
	}
	return b, nil
}

// openEntry opens a file of the store without following a link.
func openEntry(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%w: it is a symbolic link", ErrSeal)
	}
	return f, err
}

// private reports whether fi is a directory that only the user of this process
// can enter.
func private(fi os.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && fi.IsDir() && fi.Mode().Perm() == 0o700 && int(st.Uid) == os.Geteuid()
}
