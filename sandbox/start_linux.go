package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// boxed is a running box.
type boxed struct {
	cmd    *exec.Cmd
	stop   context.CancelCauseFunc
	view   *view
	group  group
	out    bytes.Buffer
	errout bytes.Buffer
	first  *Tail // what bubblewrap says if it fails
	stdin  *os.File

	mu   sync.Mutex
	init *os.File // pidfd of the first process in the box's process name space
}

// start builds a box and starts its program in it. When it returns without an
// error, the program has been executed.
func (x *Boxer) start(ctx context.Context, b Box) (*Process, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	if recursive() {
		return nil, errors.New("a confined child starts no boxes; the program must pass the verb " + Verb + " to sandbox.Inside before anything else")
	}
	exe, err := openExe(x.exe)
	if err != nil {
		return nil, err
	}
	defer exe.Close() //nolint:errcheck // opened for reading
	var pipes [2][2]*os.File
	for i := range pipes {
		if pipes[i][0], pipes[i][1], err = os.Pipe(); err != nil {
			return nil, errors.Join(fmt.Errorf("make a pipe: %w", err), closePipes(pipes[:i]))
		}
	}
	pid, status := pipes[0], pipes[1]
	ours := []*os.File{pid[0], status[0]}
	var texts [2]*os.File // the arguments and the entry, written when they are known
	for i, name := range []string{"arguments", "entry"} {
		if texts[i], err = memory(name, nil); err != nil {
			return nil, errors.Join(err, closePipes(pipes[:]))
		}
	}
	v, err := b.build(exe, texts[0], pid[1], texts[1], status[1])
	if err != nil {
		closeAll(ours)
		return nil, err
	}
	if err := errors.Join(fill(texts[0], []byte(strings.Join(v.args, "\x00")+"\x00")), x.describe(texts[1], &b, v)); err != nil {
		v.close()
		closeAll(ours)
		return nil, fmt.Errorf("describe the box: %w", err)
	}
	box := &boxed{view: v, first: NewTail(1 << 10)}
	p := &Process{done: make(chan struct{})}
	started := make(chan error, 1)
	go box.run(ctx, x, b, p, ours, started)
	if err := <-started; err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

func closePipes(pipes [][2]*os.File) error {
	for _, p := range pipes {
		closeAll(p[:])
	}
	return nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // pipes of a box that has not started or has ended
	}
}

// describe writes the entry.
func (x *Boxer) describe(to *os.File, b *Box, v *view) error {
	e, err := json.Marshal(entry{
		Argv: b.Argv, Env: b.environment(), Landlock: x.report.Landlock > 0, Access: v.access, Memfd: b.Profile.Runs, Limits: b.Limits,
	})
	return errors.Join(err, fill(to, e))
}

// run is the life of a box, on one thread from beginning to end: bubblewrap dies
// with the thread that started it.
func (r *boxed) run(ctx context.Context, x *Boxer, b Box, p *Process, ours []*os.File, started chan<- error) {
	runtime.LockOSThread()
	home := true // the thread can serve others again
	defer func() {
		if home {
			runtime.UnlockOSThread()
		}
	}()
	defer close(p.done)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if b.Limits.Wall != Unlimited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, b.Limits.Wall, ErrWall)
		defer cancel()
	}
	r.stop, p.kill = stop, func() { stop(ErrKilled) }
	r.command(ctx, x.bwrap, b)
	var err error
	if r.group, err = x.groups.make(b.Limits); err == nil {
		home, err = r.group.start(r.cmd)
	}
	r.view.close()
	if r.stdin != nil {
		closeAll([]*os.File{r.stdin})
	}
	defer closeAll(ours) // bubblewrap writes to one of them when the program ends
	if err == nil {
		err = r.admit(ours)
	}
	if err != nil {
		stop(err)
		if r.cmd.Process != nil {
			_ = r.cmd.Wait() // its end is not the reason
		}
		started <- r.explain(ctx, err, r.bury())
		return
	}
	started <- nil
	p.exit, p.err = r.wait(ctx)
}

// command prepares bubblewrap, whose arguments follow.
func (r *boxed) command(ctx context.Context, bwrap string, b Box) {
	cmd := exec.CommandContext(ctx, bwrap)
	cmd.Args = []string{"bwrap", "--args", fmt.Sprint(argsFD), "--json-status-fd", fmt.Sprint(pidFD), "--", inside, Verb, boxArg}
	cmd.Env, cmd.Dir, cmd.ExtraFiles = []string{}, "/", r.view.files
	ownGroup(cmd)
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	cmd.Cancel, cmd.WaitDelay = r.slay, 5*time.Second
	out, errout := b.Stdout, b.Stderr
	if out == nil {
		out = &r.out
	}
	if errout == nil {
		errout = &r.errout
	}
	flood := func() { r.stop(ErrOutput) }
	cmd.Stdout = &metered{w: out, left: b.Limits.Output, stop: flood}
	cmd.Stderr = io.MultiWriter(r.first, &metered{w: errout, left: b.Limits.Output, stop: flood})
	cmd.Stdin = r.input(b.Stdin)
	r.cmd = cmd
}

// input returns what the program reads: a pipe of the caller's as it is, anything
// else through a pipe of ours. A terminal is never handed in, and a reader that
// blocks does not keep the box from ending.
func (r *boxed) input(in io.Reader) io.Reader {
	if in == nil {
		return nil // the null device
	}
	if f, ok := in.(*os.File); ok {
		if fi, err := f.Stat(); err == nil && fi.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0 {
			return f
		}
	}
	from, to, err := os.Pipe()
	if err != nil {
		return nil
	}
	r.stdin = from
	go func() {
		_, _ = io.Copy(to, in) // the program decides how much it reads
		_ = to.Close()
	}()
	return from
}

// admit learns which process is the box's first, and waits until the program is
// executed.
func (r *boxed) admit(ours []*os.File) error {
	pid, status := ours[0], ours[1]
	var told struct {
		Init int `json:"child-pid"`
	}
	if err := json.NewDecoder(io.LimitReader(pid, 1<<12)).Decode(&told); err != nil || told.Init <= 1 {
		return errors.Join(errors.New("bubblewrap does not tell which process it started"), err)
	}
	if err := r.hold(told.Init); err != nil {
		return err
	}
	said, err := io.ReadAll(io.LimitReader(status, 4<<10))
	switch {
	case err != nil:
		return fmt.Errorf("wait for the box: %w", err)
	case len(said) == 0:
		return errors.New("the box was not built")
	case string(said) != entered:
		return fmt.Errorf("the program does not start: %s", firstLine(bytes.TrimPrefix(said, []byte(entered))))
	}
	return nil
}

// hold keeps a handle of the first process in the box's process name space: when it
// is gone, the kernel has ended all others.
func (r *boxed) hold(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil // it is gone already, and said why
	}
	if err != nil {
		return fmt.Errorf("hold the box's first process: %w", err)
	}
	f := os.NewFile(uintptr(fd), "init")
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		return f.Close() // it went between the two looks
	case err != nil || !strings.Contains(string(b), fmt.Sprintf("\nPPid:\t%d\n", r.cmd.Process.Pid)):
		return errors.Join(fmt.Errorf("process %d is not bubblewrap's child", pid), err, f.Close())
	case strings.Contains(string(b), "\nUid:\t0\t"):
		return errors.Join(errors.New("the box would run as the host's root"), f.Close())
	}
	r.mu.Lock()
	r.init = f
	r.mu.Unlock()
	return nil
}

// slay kills all of the box.
func (r *boxed) slay() error {
	r.mu.Lock()
	if r.init != nil {
		_ = unix.PidfdSendSignal(int(r.init.Fd()), unix.SIGKILL, nil, 0)
	}
	r.mu.Unlock()
	return syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
}

// wait waits until bubblewrap and everything in the box are gone.
func (r *boxed) wait(ctx context.Context) (Exit, error) {
	err := r.cmd.Wait()
	var exit Exit
	cause := context.Cause(ctx)
	if st := r.cmd.ProcessState; st != nil {
		exit.Code = st.ExitCode()
		if ws, ok := st.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			exit.Signal = ws.Signal().String()
		} else if exit.Code > 128 {
			exit.Signal = syscall.Signal(exit.Code - 128).String() // how bubblewrap passes a signal on
		}
	}
	exit.Stdout, exit.Stderr = r.out.Bytes(), r.errout.Bytes()
	var status *exec.ExitError
	if errors.As(err, &status) || errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return exit, errors.Join(cause, err, r.bury())
}

// bury waits for the end of every process of the box and removes its control group.
func (r *boxed) bury() error {
	r.group.kill()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.init != nil {
		defer r.init.Close() //nolint:errcheck // a handle of a process that is gone
		_ = unix.PidfdSendSignal(int(r.init.Fd()), unix.SIGKILL, nil, 0)
		if !ended(r.init, 10*time.Second) {
			return ErrSurvived
		}
		r.init = nil
	}
	return r.group.remove()
}

// ended waits for the end of the process that f is a handle of.
func ended(f *os.File, most time.Duration) bool {
	for end := time.Now().Add(most); time.Now().Before(end); {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}, 100)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
	return false
}

// explain adds to the reason why a box did not start what bubblewrap said.
func (r *boxed) explain(ctx context.Context, err, buried error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, err) {
		err = cause
	}
	if line := firstLine(r.first.Bytes()); line != "" {
		err = fmt.Errorf("%w: %s", err, line)
		if os.Geteuid() == 0 && strings.Contains(line, "Permission denied") {
			err = fmt.Errorf("%w; the daemon is root and the box user %d, who must reach every directory that it shows: run the daemon as a user of its own", err, nobody)
		}
	}
	return errors.Join(fmt.Errorf("start the box: %w", err), buried)
}
