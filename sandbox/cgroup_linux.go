package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cgroups is where control groups of boxes can be made: limits of a whole box, and
// a way to kill all of it. The zero value makes none.
type cgroups struct {
	version int               // 1 or 2
	parent  map[string]string // by controller, the directory for new groups
}

// controllers are what a box is limited with.
func controllers() []string { return []string{"memory", "pids"} }

// findCgroups looks for directories in which this process may make groups. root is
// where control groups are mounted, own the content of /proc/self/cgroup.
func findCgroups(root, own string) (cgroups, string) {
	paths := map[string]string{}
	for line := range strings.Lines(own) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 {
			for name := range strings.SplitSeq(f[1], ",") {
				paths[name] = filepath.Clean("/" + f[2])
			}
		}
	}
	if unified, ok := paths[""]; ok {
		if g, ok := findV2(root, unified); ok {
			return g, "v2: memory, pids"
		}
	}
	g := cgroups{version: 1, parent: map[string]string{}}
	var have []string
	for _, c := range controllers() {
		if dir := filepath.Join(root, c, paths[c]); paths[c] != "" && canMake(dir) {
			g.parent[c] = dir
			have = append(have, c)
		}
	}
	if len(have) == 0 {
		return cgroups{}, "none: no group can be made here; limits hold for each process, not for the whole box"
	}
	return g, "v1: " + strings.Join(have, ", ")
}

// findV2 tries the group of this process and the one above: a service whose
// subtree is delegated to it runs in a leaf of that subtree.
func findV2(root, own string) (cgroups, bool) {
	for _, dir := range []string{filepath.Join(root, own), filepath.Join(root, filepath.Dir(own))} {
		if !enable(dir) || !canMake(dir) {
			continue
		}
		return cgroups{version: 2, parent: map[string]string{"": dir}}, true
	}
	return cgroups{}, false
}

// enable makes the controllers available to the groups below dir.
func enable(dir string) bool {
	const control = "cgroup.subtree_control"
	has := func() bool {
		b, err := os.ReadFile(filepath.Join(dir, control))
		on := strings.Fields(string(b))
		return err == nil && !slices.ContainsFunc(controllers(), func(c string) bool { return !slices.Contains(on, c) })
	}
	if has() {
		return true
	}
	return write(dir, control, "+memory +pids") == nil && has()
}

// canMake tries to make a group in dir.
func canMake(dir string) bool {
	probe, err := os.MkdirTemp(dir, "glovebox-probe-")
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(probe, "cgroup.procs"))
	return errors.Join(err, os.Remove(probe)) == nil
}

func write(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// group is the control group of one box: a directory per hierarchy, and where this
// process belongs.
type group struct {
	version   int
	own, home []string
}

// make makes a group with the limits.
func (c cgroups) make(l Limits) (g group, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("limit the box by a control group: %w", errors.Join(err, g.remove()))
		}
	}()
	g.version = c.version
	memory, procs := strconv.FormatInt(l.Memory, 10), strconv.Itoa(l.Procs+8) // and those of bubblewrap
	settings := map[string][][2]string{
		"memory": {{"memory.limit_in_bytes", memory}},
		"pids":   {{"pids.max", procs}},
		"":       {{"memory.max", memory}, {"pids.max", procs}}, // version 2
	}
	// Swap would be memory beyond the limit; not every kernel counts it.
	optional := [][2]string{{"memory.memsw.limit_in_bytes", memory}, {"memory.swap.max", "0"}}
	for name, dir := range c.parent {
		own, err := os.MkdirTemp(dir, fmt.Sprintf("%s%d-", groupPrefix, os.Getpid()))
		if err != nil {
			return g, err
		}
		g.own, g.home = append(g.own, own), append(g.home, dir)
		for _, kv := range settings[name] {
			if err := write(own, kv[0], kv[1]); err != nil {
				return g, err
			}
		}
		for _, kv := range optional {
			if err := write(own, kv[0], kv[1]); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return g, err
			}
		}
	}
	return g, nil
}

// groupPrefix begins the names of groups; the number of the daemon's process follows.
const groupPrefix = "glovebox-box-"

// sweep removes the groups of daemons that were killed. Groups in use stay.
func (c cgroups) sweep() {
	for _, dir := range c.parent {
		old, _ := filepath.Glob(filepath.Join(dir, groupPrefix+"*")) // the pattern is well formed
		for _, g := range old {
			pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(g), groupPrefix), "-")
			if _, err := os.Stat("/proc/" + pid); errors.Is(err, fs.ErrNotExist) {
				_ = os.Remove(g) // refused while processes are in it
			}
		}
	}
}

// start starts cmd in the group, from its first instruction on. The caller's
// goroutine must be locked to its thread: in version 1 a child is born where the
// thread is that forks, and to move the own thread costs nothing, while to move a
// process waits for every processor. If the thread cannot go home, it must end.
func (g group) start(cmd *exec.Cmd) (home bool, err error) {
	switch g.version {
	case 0:
		return true, cmd.Start()
	case 2:
		dir, err := os.Open(g.own[0])
		if err != nil {
			return true, err
		}
		defer dir.Close() //nolint:errcheck // opened for its place only
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
		return true, cmd.Start()
	}
	defer func() {
		if gone := move(g.home); gone != nil {
			home, err = false, errors.Join(err, gone)
		}
	}()
	if err := move(g.own); err != nil {
		return true, err
	}
	return true, cmd.Start()
}

// move moves the calling thread.
func move(dirs []string) error {
	for _, dir := range dirs {
		if err := write(dir, "tasks", "0"); err != nil {
			return fmt.Errorf("move to a control group: %w", err)
		}
	}
	return nil
}

// kill ends every process of the group where the kernel can do that at once.
func (g group) kill() {
	for _, dir := range g.own {
		_ = write(dir, "cgroup.kill", "1") // version 2 only; the process name space dies in any case
	}
}

// remove removes the group, which is empty as soon as the kernel has buried what
// was in it.
func (g group) remove() error {
	var last error
	for _, dir := range g.own {
		for range 50 {
			if last = os.Remove(dir); last == nil || errors.Is(last, fs.ErrNotExist) {
				last = nil
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return last
}
