package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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

// group is the control group of one box, a directory per hierarchy.
type group []string

// make makes a group with the limits.
func (c cgroups) make(l Limits) (g group, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("limit the box by a control group: %w", errors.Join(err, g.remove()))
		}
	}()
	settings := map[string][][2]string{
		"memory": {{"memory.limit_in_bytes", strconv.FormatInt(l.Memory, 10)}},
		"pids":   {{"pids.max", strconv.Itoa(l.Procs + 8)}}, // and those of bubblewrap
	}
	if c.version == 2 {
		settings = map[string][][2]string{"": {{"memory.max", strconv.FormatInt(l.Memory, 10)}, {"pids.max", strconv.Itoa(l.Procs + 8)}}}
	}
	for name, dir := range c.parent {
		own, err := os.MkdirTemp(dir, "glovebox-box-")
		if err != nil {
			return g, err
		}
		g = append(g, own)
		for _, kv := range settings[name] {
			if err := write(own, kv[0], kv[1]); err != nil {
				return g, err
			}
		}
		// Swap would be memory beyond the limit; not every kernel counts it.
		for _, kv := range [][2]string{{"memory.memsw.limit_in_bytes", strconv.FormatInt(l.Memory, 10)}, {"memory.swap.max", "0"}} {
			if err := write(own, kv[0], kv[1]); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return g, err
			}
		}
	}
	return g, nil
}

// admit moves a process, and with it all that it will start, into the group.
func (g group) admit(pid int) error {
	for _, dir := range g {
		if err := write(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("move the box into its control group: %w", err)
		}
	}
	return nil
}

// kill ends every process of the group where the kernel can do that at once.
func (g group) kill() {
	for _, dir := range g {
		_ = write(dir, "cgroup.kill", "1") // version 2 only; the process name space dies in any case
	}
}

// remove removes the group, which is empty as soon as the kernel has buried what
// was in it.
func (g group) remove() error {
	var last error
	for _, dir := range g {
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
