package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills"
)

// rss returns the resident bytes of a process.
func rss(pid string) int64 {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb * abi.KiB
		}
	}
	return 0
}

// daemon starts the demo with its modules compiled, and looks at it when it is idle.
func daemon(ctx context.Context, r *Report, binary, dir string) error {
	state := filepath.Join(dir, "daemon")
	if err := sign(ctx, binary, state); err != nil {
		return err
	}
	warm, err := start(ctx, binary, state) // compiles in the background
	if err != nil {
		return err
	}
	err = warm.quiet(3 * time.Minute)
	if err = errors.Join(err, warm.stop()); err != nil {
		return err
	}
	var times []float64
	for range 5 {
		d, err := start(ctx, binary, state)
		if err != nil {
			return err
		}
		times = append(times, d.ready.Seconds()*1e3)
		if len(times) < 5 {
			if err := d.stop(); err != nil {
				return err
			}
			continue
		}
		if _, err := exec.CommandContext(ctx, binary, "--state", state, "chat", "what is 3*(4+5)?").Output(); err != nil {
			return errors.Join(fmt.Errorf("chat: %w", err), d.stop())
		}
		time.Sleep(5 * time.Second)
		idle := float64(rss(strconv.Itoa(d.cmd.Process.Pid))) / abi.MiB
		best := times[0]
		for _, t := range times {
			best = min(best, t)
		}
		r.Rows = append(r.Rows,
			Row{Name: "start/ready", Value: best, Unit: "ms", Ratio: 300 / best, Target: "≤ 300 ms", Note: "exec to ready, modules cached"},
			Row{Name: "mem/idle", Value: idle, Unit: "MiB", Ratio: 60 / idle, Target: "≤ 60 MiB", Note: "five seconds after a chat"})
		return d.stop()
	}
	return nil
}

type running struct {
	cmd   *exec.Cmd
	ready time.Duration
	state string
}

// sign signs the examples with a key of this run: nothing else is loaded.
func sign(ctx context.Context, binary, state string) error {
	built, err := filepath.Glob("examples/*/" + skills.ManifestFile)
	if err != nil {
		return err
	}
	for _, m := range built {
		if out, err := exec.CommandContext(ctx, binary, "--state", state, "skill", "sign", filepath.Dir(m)).CombinedOutput(); err != nil {
			return fmt.Errorf("sign %s: %w: %s", m, err, out)
		}
	}
	return nil
}

func start(ctx context.Context, binary, state string) (*running, error) {
	cmd := exec.CommandContext(ctx, binary, "up", "--config", "examples/demo.yaml", "--state", state, "--listen", "127.0.0.1:0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ready:") {
			d := &running{cmd: cmd, ready: time.Since(begin), state: state}
			go func() {
				for lines.Scan() { //nolint:revive // the daemon must not block on its output
				}
			}()
			return d, nil
		}
	}
	return nil, errors.Join(errors.New("the daemon ended before it was ready"), cmd.Wait())
}

// quiet waits until the daemon has compiled what it holds: its cache no longer grows.
func (d *running) quiet(limit time.Duration) error {
	last, stable := -1, 0
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(time.Second) {
		files, err := filepath.Glob(filepath.Join(d.state, "cache", "*"))
		if err != nil {
			return err
		}
		if stable++; len(files) != last {
			last, stable = len(files), 0
		}
		if stable >= 8 {
			return nil
		}
	}
	return errors.New("the daemon still compiles after three minutes")
}

func (d *running) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return d.cmd.Wait()
}

// commandLine times the shortest command.
func commandLine(ctx context.Context, r *Report, binary, _ string) error {
	us, err := sample(30, func() error { return exec.CommandContext(ctx, binary, "version").Run() })
	if err != nil {
		return err
	}
	r.Rows = append(r.Rows, Row{Name: "cli/version", Value: us / 1e3, Unit: "ms", Ratio: 30 / (us / 1e3), Target: "≤ 30 ms"})
	return nil
}
