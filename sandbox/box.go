package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Errors of boxes that callers branch on.
var (
	ErrNoSandbox = errors.New("no sandbox: programs cannot be confined on this machine")
	ErrBox       = errors.New("the box is not well described")
	ErrKilled    = errors.New("the box was ended from outside")
	ErrSurvived  = errors.New("processes of the box survive its end")
)

// Unlimited stands for no limit, where that is possible: wall time, processor time
// and output, for servers that run until they are stopped.
const Unlimited = -1

// Limits bound a box. Every field must be set; the profile has values to start from.
type Limits struct {
	Wall     time.Duration // of the whole box; Unlimited possible
	CPU      time.Duration // of each process, whole seconds; Unlimited possible
	Memory   int64         // bytes of data of each process, and of all of them where cgroups are at hand
	Procs    int           // processes and threads
	Files    int           // open descriptors of each process
	FileSize int64         // bytes of one file
	Output   int64         // bytes of stdout and of stderr each, in all; Unlimited possible
}

// Mount shows a directory or file of the host in the box. No part of Host may be a
// symbolic link: resolve it once, when it is configured. What is to be written must
// belong to User: a box changes no owner.
type Mount struct {
	Host  string
	Box   string // absolute; not the root, /tmp or a place of the system
	Write bool
}

// Box describes one program in a box.
type Box struct {
	Profile Profile
	// Argv is the program and its arguments. The program is named by its absolute
	// path in the box: a file of the host, seen in the box at the same path, or
	// one below a mount. No shell looks at it.
	Argv []string
	// Programs are further programs of the host that the first one starts, such as
	// an interpreter behind a relay; they are shown like the first.
	Programs []string
	Env      []string // NAME=VALUE, on top of the profile's; nothing else is set
	// Workspace is a directory of the host that the program may write; it is
	// /workspace in the box and the directory where the program starts. Without
	// one the program starts in Dir or /tmp.
	Workspace string
	Dir       string // directory in the box where the program starts
	Mounts    []Mount
	Sockets   []Mount // unix sockets; Write is not needed to connect
	Scratch   int64   // bytes of /tmp
	Limits    Limits

	Stdin  io.Reader // nil = empty
	Stdout io.Writer // nil = kept for Exit, with the limit of Output
	Stderr io.Writer // likewise

	self bool // the program is this one, for the self-test
}

// User returns the user and group of the host that programs in boxes are, which may
// be this process's own. Whoever makes a workspace gives it to them.
func User() (uid, gid int) {
	if os.Geteuid() == 0 {
		return nobody, nobody
	}
	return os.Geteuid(), os.Getegid()
}

// WorkspaceDir is where the workspace is in every box.
const WorkspaceDir = "/workspace"

func (b *Box) check() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrBox, fmt.Sprintf(format, args...))
	}
	l := b.Limits
	for _, limit := range []struct {
		name string
		set  bool
	}{
		{"wall", l.Wall > 0 || l.Wall == Unlimited}, {"cpu", l.CPU > 0 || l.CPU == Unlimited}, {"memory", l.Memory > 0},
		{"procs", l.Procs > 0}, {"files", l.Files > 0}, {"file size", l.FileSize > 0},
		{"output", l.Output > 0 || l.Output == Unlimited}, {"scratch", b.Scratch > 0},
	} {
		if !limit.set {
			return refuse("the limit %q is not set", limit.name)
		}
	}
	if l.Output == Unlimited && (b.Stdout == nil || b.Stderr == nil) {
		return refuse("output without a limit needs a place to go")
	}
	if b.Profile.Name == "" {
		return refuse("it has no profile")
	}
	if len(b.Argv) == 0 || !clean(b.Argv[0]) {
		return refuse("argv[0] must be an absolute path")
	}
	for _, p := range b.Programs {
		if !clean(p) {
			return refuse("the program %q is not absolute", p)
		}
	}
	for _, s := range slices.Concat(b.Argv, b.Programs, b.Env, []string{b.Dir}) {
		if strings.ContainsRune(s, 0) {
			return refuse("%q holds a zero byte", s)
		}
	}
	for _, kv := range b.Env {
		if name, _, ok := strings.Cut(kv, "="); !ok || !variable(name) {
			return refuse("%q is no NAME=VALUE", name)
		}
	}
	if b.Dir != "" && !clean(b.Dir) {
		return refuse("the directory %q is not absolute", b.Dir)
	}
	return b.checkMounts(refuse)
}

func (b *Box) checkMounts(refuse func(string, ...any) error) error {
	var taken []string
	for _, m := range b.binds() {
		switch {
		case !clean(m.Host) || slices.Contains(hostRoots(), m.Host):
			return refuse("%q of the host cannot be shown", m.Host)
		case !clean(m.Box) || system(m.Box):
			return refuse("%q in the box belongs to the system", m.Box)
		case slices.ContainsFunc(taken, func(t string) bool { return below(t, m.Box) || below(m.Box, t) }):
			return refuse("%q in the box is taken", m.Box)
		}
		taken = append(taken, m.Box)
	}
	return nil
}

// binds returns everything of the host that the caller shows in the box.
func (b *Box) binds() []Mount {
	all := slices.Concat(b.Mounts, b.Sockets)
	if b.Workspace != "" {
		all = append(all, Mount{Host: b.Workspace, Box: WorkspaceDir, Write: true})
	}
	return all
}

// hostRoots are directories too wide to be anybody's workspace.
func hostRoots() []string {
	return []string{"/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/run"}
}

// system reports whether a path in the box is a place that the box itself fills.
func system(p string) bool {
	if p == "/" {
		return true
	}
	first, _, _ := strings.Cut(p[1:], "/")
	return slices.Contains([]string{"bin", "dev", "etc", "glovebox", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "tmp", "usr"}, first)
}

func clean(p string) bool { return filepath.IsAbs(p) && path.Clean(p) == p }

// below reports whether p is dir or lies below it.
func below(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

func variable(name string) bool {
	for i, c := range name {
		if c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
