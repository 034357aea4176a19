package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/glovebox-dev/glovebox/sandbox/filter"
	"github.com/glovebox-dev/glovebox/sandbox/walls"
)

const fixReport = "install or update bubblewrap (apt-get install -y bubblewrap), and compare with docs/sandbox.md"

// newBoxer looks for bubblewrap at paths; landlock is the version to rely on.
func newBoxer(ctx context.Context, paths []string, landlock int) *Boxer {
	x := &Boxer{exe: smallStep("/proc/self/exe")}
	x.report = x.examine(ctx, paths, landlock)
	return x
}

func (x *Boxer) examine(ctx context.Context, paths []string, landlock int) Report {
	i := slices.IndexFunc(paths, regular)
	if i < 0 {
		return Report{Why: "bubblewrap is not installed", Fix: fixInstall}
	}
	if recursive() {
		return Report{Why: "this process is itself a confined child", Fix: "start boxes from the daemon"}
	}
	if _, err := filter.Native(); err != nil {
		return Report{Why: err.Error(), Fix: "run the daemon on amd64 or arm64"}
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return Report{Why: "/proc cannot be read: " + err.Error(), Fix: "mount /proc"}
	}
	x.bwrap = paths[i]
	r := Report{Bwrap: x.bwrap, Landlock: landlock}
	x.groups, r.Cgroups = findCgroups("/sys/fs/cgroup", string(own))
	x.groups.sweep()
	x.report = r // start asks for Landlock
	r.Profiles = x.selfTest(ctx)
	want := len(walls.All(true))
	for _, p := range r.Profiles {
		if r.Why = p.judge(want); r.Why != "" {
			r.Fix = fixReport
			if p.Err != nil {
				r.Fix = fixUserns
			}
			return r
		}
	}
	r.Ready = len(r.Profiles) == len(Profiles())
	return r
}

// stepName is the name of the small program for the inside step, see sandbox/enter.
const stepName = "glovebox-box"

// smallStep returns the path of that program beside self, "" if it is not there or
// somebody could have put it there who could not have replaced self.
func smallStep(self string) string {
	self, err := filepath.EvalSymlinks(self)
	if err != nil {
		return ""
	}
	path := filepath.Join(filepath.Dir(self), stepName)
	own, err1 := os.Stat(self)
	small, err2 := os.Lstat(path)
	dir, err3 := os.Stat(filepath.Dir(self))
	if errors.Join(err1, err2, err3) != nil || !small.Mode().IsRegular() {
		return ""
	}
	for _, fi := range []os.FileInfo{own, small, dir} {
		if fi.Mode().Perm()&0o022 != 0 || owner(fi) != owner(own) {
			return ""
		}
	}
	return path
}

func owner(fi os.FileInfo) uint32 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Uid
	}
	return ^uint32(0)
}

// selfTest tries the quick walls of every profile at once.
func (x *Boxer) selfTest(ctx context.Context) []ProfileReport {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	all := Profiles()
	reports := make([]ProfileReport, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() {
			reports[i] = ProfileReport{Name: p.Name}
			err := withBait(func(e walls.Expect) error {
				var err error
				reports[i].Rows, err = x.tryWalls(ctx, p, e)
				return err
			})
			reports[i].Err = err
		})
	}
	wg.Wait()
	return reports
}

// tryWalls runs the quick walls in a box of a profile.
func (x *Boxer) tryWalls(ctx context.Context, p Profile, e walls.Expect) ([]walls.Row, error) {
	b := Box{Profile: p, Workspace: e.Workspace, Scratch: p.Size, Limits: p.Limits, self: true}
	b.Limits.Wall, b.Limits.Output = 20*time.Second, 256<<10
	b.Argv = []string{inside, Verb}
	e.Quick = true
	x.expect(&b, &e)
	expect, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("say what to expect: %w", err)
	}
	b.Argv = append(b.Argv, wallsPrefix+string(expect))
	proc, err := x.start(ctx, b)
	if err != nil {
		return nil, err
	}
	exit, err := proc.Wait()
	if err != nil {
		return nil, err
	}
	if exit.Code != 0 {
		return nil, fmt.Errorf("exit status %d%s: %s", exit.Code, exit.Signal, firstLine(exit.Stderr))
	}
	return readRows(exit.Stdout)
}

func readRows(b []byte) ([]walls.Row, error) {
	var rows []walls.Row
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		var r walls.Row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("the probe answered %q: %w", firstLine(lines.Bytes()), err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// expect adds to e what the description of a box says.
func (x *Boxer) expect(b *Box, e *walls.Expect) {
	e.Profile, e.Runs, e.Landlock, e.Closed = string(b.Profile.Name), b.Profile.Runs, x.report.Landlock > 0, closed
	e.Scratch, e.Memory, e.Files, e.Procs, e.FileSize = b.Scratch, b.Limits.Memory, b.Limits.Files, b.Limits.Procs, b.Limits.FileSize
	e.Workspace, e.Writable = WorkspaceDir, []string{"/tmp", WorkspaceDir}
	if b.Profile.Shm > 0 {
		e.Writable = append(e.Writable, "/dev/shm")
	}
	for _, kv := range b.environment() {
		name, _, _ := strings.Cut(kv, "=")
		e.Env = append(e.Env, name)
	}
}

// withBait sets up on the host what a box must not reach, and calls use.
func withBait(use func(walls.Expect) error) (err error) {
	var e walls.Expect
	clean := func(c io.Closer) { err = errors.Join(err, c.Close()) }
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen on loopback: %w", err)
	}
	defer clean(tcp)
	dir, err := os.MkdirTemp("", "glovebox-bait-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	user, group := User()
	workspace, err := os.MkdirTemp("", "glovebox-workspace-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(workspace)) }()
	if err := os.Chown(workspace, user, group); err != nil {
		return fmt.Errorf("give the workspace to the box: %w", err)
	}
	e.Abstract = filepath.Base(dir)
	unix, err := net.Listen("unix", "@"+e.Abstract)
	if err != nil {
		return fmt.Errorf("listen on an abstract socket: %w", err)
	}
	defer clean(unix)
	secret := filepath.Join(dir, "secret")
	if err := errors.Join(os.WriteFile(secret, []byte("secret\n"), 0o644), os.Chmod(secret, 0o644), os.Chmod(dir, 0o755)); err != nil { //nolint:gosec // that everyone may read it is the point
		return fmt.Errorf("lay a bait: %w", err)
	}
	if e.Workspace, err = filepath.EvalSymlinks(workspace); err != nil {
		return fmt.Errorf("find the workspace: %w", err)
	}
	e.Loopback, e.Secrets, e.PID = tcp.Addr().String(), []string{secret, "/etc/hostname"}, os.Getpid()
	return use(e)
}

// probeWalls is the box's side of the self-test.
func probeWalls(expect []byte, out io.Writer) error {
	var e walls.Expect
	if err := json.Unmarshal(expect, &e); err != nil {
		return fmt.Errorf("read what to expect: %w", err)
	}
	lines := json.NewEncoder(out)
	return walls.Run(e, func(r walls.Row) error { return lines.Encode(r) })
}
