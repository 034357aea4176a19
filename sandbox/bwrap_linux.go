package sandbox

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bwrapPaths returns the places where bubblewrap may lie; the path of this process is
// not asked, since whoever sets it would choose the jailer.
func bwrapPaths() []string {
	return []string{"/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap", "/run/current-system/sw/bin/bwrap"}
}

// bwrapArgs returns the arguments up to those of the program itself.
func bwrapArgs(exe *os.File, out bool) ([]string, error) {
	args := []string{"bwrap",
		"--unshare-all", "--unshare-user", "--disable-userns", "--assert-userns-disabled",
		"--uid", fmt.Sprint(nobody), "--gid", fmt.Sprint(nobody), "--hostname", "box",
		"--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL",
	}
	libs, err := libraries(exe)
	if err != nil {
		return nil, err
	}
	for _, lib := range libs {
		args = append(args, "--ro-bind", lib, lib)
	}
	if reachable(exe) {
		args = append(args, "--ro-bind-fd", fmt.Sprint(exeFD), "/glovebox")
	} else {
		args = append(args, "--perms", "0555", "--ro-bind-data", fmt.Sprint(exeFD), "/glovebox")
	}
	if out {
		args = append(args, "--bind-fd", fmt.Sprint(outFD), "/out")
	}
	// The engine asks the kernel for little, the Go runtime reads /proc/self and /dev/null.
	args = append(args, "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/", "--chdir", "/")
	return append(args, "--", "/glovebox", Verb), nil
}

// reachable reports whether the child's user can reach the open file by its path,
// which is what bubblewrap needs to bind it. Otherwise it is copied into the jail.
func reachable(f *os.File) bool {
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return false
	}
	own, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	if err != nil || !os.SameFile(own, there) {
		return false // replaced or deleted since it was started
	}
	if os.Geteuid() != 0 {
		return true // the child has the same user
	}
	if there.Mode().Perm()&0o005 != 0o005 {
		return false
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		fi, err := os.Lstat(dir)
		if err != nil || fi.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == "/" {
			return true
		}
	}
}

// libraryDirs are where the dynamic loaders of the common distributions look
// without a cache file.
var libraryDirs = []string{
	"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
	"/lib64", "/usr/lib64", "/lib", "/usr/lib",
}

// libraries returns the loader and the shared libraries that the program needs,
// and theirs: only these are visible in the jail, not /usr. What does not lie in
// libraryDirs is left out: a program does not choose what of the host is shown.
func libraries(exe *os.File) ([]string, error) {
	f, err := elf.NewFile(exe)
	if err != nil {
		return nil, fmt.Errorf("read the program's libraries: %w", err)
	}
	var found []string
	if interp := f.Section(".interp"); interp != nil {
		b, err := interp.Data()
		if err != nil {
			return nil, fmt.Errorf("read the program's loader: %w", err)
		}
		loader := filepath.Clean(strings.TrimRight(string(b), "\x00"))
		if slices.Contains(libraryDirs, filepath.Dir(loader)) && regular(loader) {
			found = append(found, loader)
		}
	}
	names, err := f.ImportedLibraries()
	if err != nil {
		return nil, fmt.Errorf("read the program's libraries: %w", err)
	}
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		path := library(name)
		same := func(p string) bool { return filepath.Base(p) == filepath.Base(path) }
		if path == "" || slices.ContainsFunc(found, same) {
			continue
		}
		found = append(found, path)
		lib, err := elf.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read the library %s: %w", path, err)
		}
		more, err := lib.ImportedLibraries()
		if err := errors.Join(err, lib.Close()); err != nil {
			return nil, fmt.Errorf("read the library %s: %w", path, err)
		}
		names = append(names, more...)
	}
	return found, nil
}

// library returns where a library lies, "" if nowhere.
func library(name string) string {
	for _, dir := range libraryDirs {
		if p := filepath.Join(dir, filepath.Base(name)); regular(p) {
			return p
		}
	}
	return ""
}

func regular(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular()
}

// How to make bubblewrap work.
const (
	fixInstall = "install bubblewrap, for instance with: apt-get install bubblewrap"
	fixUserns  = "allow user namespaces, for instance with: sysctl -e -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 user.max_user_namespaces=10000"
)

// probe runs this program in bubblewrap and judges what it saw from inside. It
// returns the path of a bubblewrap that works, or why there is none.
func probe(ctx context.Context) (string, Status) {
	paths := bwrapPaths()
	i := slices.IndexFunc(paths, regular)
	if i < 0 {
		return "", Status{Why: "bubblewrap is not installed", Fix: fixInstall}
	}
	if recursive() {
		return "", Status{Why: "this process is itself a confined child"}
	}
	path := paths[i]
	if err := try(ctx, path); err != nil {
		return "", Status{Why: path + " does not confine: " + err.Error(), Fix: fixUserns}
	}
	return path, Status{Bwrap: true}
}

func try(ctx context.Context, bwrap string) (err error) {
	dir, err := os.MkdirTemp("", "glovebox-probe-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	job := Job{OutDir: dir, AddressSpace: 2 << 30, FileSize: 1 << 20, CPU: 5 * time.Second, Wall: 10 * time.Second, MaxOutput: 64 << 10}
	res, err := confine(ctx, bwrap, job, true)
	if err != nil {
		return err
	}
	if res.Exit != 0 {
		return fmt.Errorf("exit status %d: %s", res.Exit, firstLine(res.Stderr))
	}
	var f finding
	if err := json.Unmarshal(res.Stdout, &f); err != nil {
		return fmt.Errorf("the probe answered %q: %w", firstLine(res.Stdout), err)
	}
	return f.judge()
}

// judge says what of the jail does not hold.
func (f finding) judge() error {
	switch {
	case f.UID != nobody:
		return fmt.Errorf("the child runs as user %d", f.UID)
	case f.Capable || !f.NoNewPrivs:
		return errors.New("the child keeps privileges")
	case !f.Filtered:
		return errors.New("the child's system calls are not filtered")
	case !slices.Equal(f.Interfaces, []string{"lo"}):
		return fmt.Errorf("the child sees the network interfaces %v", f.Interfaces)
	case f.WroteRoot || f.SawHome:
		return errors.New("the child reaches the host's files")
	case !f.WroteOut:
		return errors.New("the child cannot write its result")
	case f.PID > 8:
		return errors.New("the child shares the host's processes")
	case f.AS != 2<<30 || f.CPU != 5:
		return errors.New("the child's resource limits are not set")
	}
	return nil
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	if len(line) > 200 {
		line = line[:200] + "…"
	}
	return line
}
