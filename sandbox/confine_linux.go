package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptors that a child inherits besides the standard ones.
const exeFD, outFD = 3, 4

// confine runs one job, in bubblewrap if bwrap names it. The executable and the
// output directory travel as descriptors: no path of theirs needs to be reachable
// for the unprivileged user, and nobody can swap them in between.
func confine(ctx context.Context, bwrap string, j Job, probe bool) (res Result, err error) {
	exe, err := openExe(j.Exe)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, exe.Close()) }()
	files := []*os.File{exe}
	if j.OutDir != "" {
		dir, err := openOut(j.OutDir)
		if err != nil {
			return res, err
		}
		defer dir.Close() //nolint:errcheck // opened for its path only
		files = append(files, dir)
	}
	t := token{as: j.AddressSpace, fsize: j.FileSize, cpu: uint64((j.CPU + time.Second - 1) / time.Second), probe: probe}
	argv, path := []string{"glovebox", Verb}, fmt.Sprintf("/proc/self/fd/%d", exeFD)
	res.Confinement = ConfinedRlimits
	if j.OutDir != "" {
		t.out = fmt.Sprintf("/proc/self/fd/%d", outFD)
	}
	if bwrap != "" {
		if j.OutDir != "" {
			t.out = "/out"
		}
		res.Confinement, path = ConfinedBwrap, bwrap
		if argv, err = bwrapArgs(exe, j.OutDir != ""); err != nil {
			return res, err
		}
	}
	argv = append(append(argv, t.String()), j.Args...)
	return run(ctx, path, argv, files, j, t, res)
}

func run(ctx context.Context, path string, argv []string, files []*os.File, j Job, t token, res Result) (Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, j.Wall, ErrWall)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	flood := func() { stop(ErrOutput) }
	stdout, stderr := capped{max: j.MaxOutput, stop: flood}, capped{max: j.MaxOutput, stop: flood}
	cmd := exec.CommandContext(ctx, path)
	cmd.Args, cmd.Env, cmd.Dir = argv, []string{}, "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = j.Stdin, &stdout, &stderr, files
	if cmd.Stdin == nil {
		cmd.Stdin = bytes.NewReader(nil)
	}
	ownGroup(cmd)
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	cmd.WaitDelay = 2 * time.Second
	// The death signal is bound to the thread that forks: it must outlive the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return res, fmt.Errorf("start a confined child: %w", err)
	}
	// The child lowers its own limits before it reads; this covers the moment before.
	for _, r := range rlimits(t) {
		_ = unix.Prlimit(cmd.Process.Pid, r.resource, &unix.Rlimit{Cur: r.max, Max: r.max}, nil)
	}
	err := cmd.Wait()
	res.Stdout, res.Stderr = stdout.b, stderr.b
	if cmd.ProcessState == nil {
		return res, fmt.Errorf("wait for a confined child: %w", err)
	}
	res.Exit = cmd.ProcessState.ExitCode()
	res.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		res.Signal = ws.Signal().String()
	} else if res.Confinement == ConfinedBwrap && res.Exit > 128 {
		res.Signal = syscall.Signal(res.Exit - 128).String() // how bubblewrap passes a signal on
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return res, context.Cause(ctx)
	case err != nil && !errors.As(err, &exit):
		return res, fmt.Errorf("wait for a confined child: %w", err)
	}
	return res, nil
}

// ownGroup puts the child in a process group that is killed as a whole.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// openExe opens the program; by default the image that runs now, even if another
// one took its place on disk.
func openExe(path string) (*os.File, error) {
	if path == "" {
		path = "/proc/self/exe"
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the program to confine: %w", err)
	}
	return f, nil
}

// openOut opens the output directory without following a link and hands it to the
// unprivileged user when this process is privileged.
func openOut(path string) (*os.File, error) {
	fd, err := unix.Open(filepath.Clean(path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the output directory: %w", err)
	}
	f := os.NewFile(uintptr(fd), path)
	if os.Geteuid() == 0 {
		if err := f.Chown(nobody, nobody); err != nil {
			return nil, errors.Join(fmt.Errorf("give the output directory to the child: %w", err), f.Close())
		}
	}
	return f, nil
}
