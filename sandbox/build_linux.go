package sandbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Identity of a program in a box. Files of others appear as nobody's, so that it
// does not take them for its own.
const boxUser = 1000

// build puts a view together. The order matters: mounts cover each other, and what
// is read-only becomes so last.
func (b *Box) build(exe *os.File, first ...*os.File) (v *view, err error) {
	v = &view{files: first}
	defer func() {
		if err != nil {
			v.close()
		}
	}()
	v.add("--unshare-all", "--unshare-user", "--disable-userns", "--assert-userns-disabled",
		"--uid", fmt.Sprint(boxUser), "--gid", fmt.Sprint(boxUser), "--hostname", "box",
		"--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL")
	if err := v.inside(exe); err != nil {
		return v, err
	}
	if err := v.system(b); err != nil {
		return v, err
	}
	own, err := libraries(exe)
	if err != nil {
		return v, err
	}
	for _, lib := range own {
		v.file(lib, lib, b.self)
	}
	v.kernel()
	v.space("/tmp", b.Scratch, b.Profile.Runs)
	if b.Profile.Shm > 0 {
		v.space("/dev/shm", b.Profile.Shm, b.Profile.Runs)
	}
	for _, m := range b.binds() {
		if err := v.bind(m, b.Profile.Runs); err != nil {
			return v, err
		}
	}
	if err := v.etc(); err != nil {
		return v, err
	}
	v.add("--remount-ro", "/proc", "--remount-ro", "/", "--chdir", b.start())
	return v, nil
}

// start is the directory in which the program starts.
func (b *Box) start() string {
	switch {
	case b.Dir != "":
		return b.Dir
	case b.Workspace != "":
		return WorkspaceDir
	}
	return "/tmp"
}

// inside shows this program for its inside step.
func (v *view) inside(exe *os.File) error {
	dup, err := unix.FcntlInt(exe.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return fmt.Errorf("hand the program over: %w", err)
	}
	fd := v.fd(os.NewFile(uintptr(dup), exe.Name()))
	if reachable(exe) {
		v.add("--ro-bind-fd", fd, inside)
		return nil
	}
	if _, err := exe.Seek(0, 0); err != nil {
		return fmt.Errorf("hand the program over: %w", err)
	}
	v.add("--perms", "0555", "--ro-bind-data", fd, inside)
	return nil
}

// kernel shows /proc, read-only and without the facts that help an exploit, and
// the devices that are harmless.
func (v *view) kernel() {
	v.add("--proc", "/proc")
	v.allow("/proc", false, false)
	for _, fact := range []string{"kallsyms", "cmdline", "kcore", "modules", "config.gz", "keys", "timer_list", "sysrq-trigger", "kmsg"} {
		if p := "/proc/" + fact; regular(p) {
			v.add("--ro-bind", "/dev/null", p)
		}
	}
	v.add("--dir", "/dev")
	v.allow("/dev", false, false)
	for _, device := range []string{"null", "zero", "full", "random", "urandom"} {
		p := "/dev/" + device
		v.add("--dev-bind", p, p)
		v.allow(p, true, false)
	}
	for i, name := range []string{"stdin", "stdout", "stderr"} {
		v.add("--symlink", fmt.Sprint("/proc/self/fd/", i), "/dev/"+name)
	}
	v.add("--symlink", "/proc/self/fd", "/dev/fd")
}

// space shows an empty writable directory of a size.
func (v *view) space(path string, size int64, runs bool) {
	v.add("--perms", "0700", "--size", fmt.Sprint(size), "--tmpfs", path)
	v.allow(path, true, runs)
}

// bind shows something of the host's. It is opened here and handed on as open:
// what takes its place afterwards is not shown.
func (v *view) bind(m Mount, runs bool) error {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, m.Host, &how)
	if errors.Is(err, unix.ELOOP) {
		return fmt.Errorf("%w: %s leads over a symbolic link", ErrBox, m.Host)
	}
	if err != nil {
		return fmt.Errorf("%w: open %s: %w", ErrBox, m.Host, err)
	}
	bind := "--ro-bind-fd"
	if m.Write {
		bind = "--bind-fd"
	}
	v.add(bind, v.fd(os.NewFile(uintptr(fd), m.Host)), m.Box)
	v.allow(m.Box, m.Write, runs || !m.Write)
	return nil
}

// etc shows the few files that libraries look for, with nothing of the host in them.
func (v *view) etc() error {
	for _, f := range [][2]string{
		{"/etc/passwd", fmt.Sprintf("box:x:%d:%d:box:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n", boxUser, boxUser)},
		{"/etc/group", fmt.Sprintf("box:x:%d:\nnogroup:x:65534:\n", boxUser)},
		{"/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"},
		{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"},
		{closed, "closed\n"},
	} {
		if err := v.data(f[0], f[1]); err != nil {
			return err
		}
		if f[0] != closed {
			v.allow(f[0], false, false)
		}
	}
	return nil
}

// environment is what the program gets: the profile's variables and the box's,
// where the later one of a name holds.
func (b *Box) environment() []string {
	var env []string
	for _, kv := range slices.Concat(b.Profile.Env, b.Env, []string{"PWD=" + b.start()}) {
		name, _, _ := strings.Cut(kv, "=")
		env = slices.DeleteFunc(env, func(other string) bool { return strings.HasPrefix(other, name+"=") })
		env = append(env, kv)
	}
	return env
}
