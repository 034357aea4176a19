package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
	"github.com/glovebox-dev/glovebox/internal/contain"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// Chamber is where guests run: the daemon's engine over its jailed compiler.
type Chamber struct {
	engine *wasm.Engine
	store  *compile.Store
}

// OpenChamber opens a chamber whose cache is in dir. The program must answer
// sandbox.Verb as the daemon does: it is its own compiler.
func OpenChamber(ctx context.Context, dir string) (*Chamber, error) {
	store, err := compile.Open(compile.Config{Dir: filepath.Join(dir, "cache"), Key: bytes.Repeat([]byte{7}, 32), Confine: sandbox.New(ctx)})
	if err != nil {
		return nil, err
	}
	e, err := wasm.New(wasm.Config{Store: store, Running: 1})
	return &Chamber{e, store}, err
}

// Close releases the chamber.
func (c *Chamber) Close(ctx context.Context) error {
	err := c.engine.Close(ctx)
	c.store.Close()
	return err
}

func (c *Chamber) call(ctx context.Context, guest []byte, export, input string, rights abi.Rights) (*wasm.Outcome, error) {
	return c.engine.Call(ctx, wasm.Invocation{
		Caller:  abi.Caller{Agent: "a", Session: "s", Skill: "probe", Tool: abi.ToolName(export), Call: "c"},
		Source:  wasm.SourceOf(abi.NewBlob(guest)),
		Profile: abi.ProfileRaw, Export: export, Input: []byte(input), Rights: rights,
	})
}

// A guest that runs may take so long: its limit, and what stopping it costs.
const (
	guestWall = time.Second
	guestEnd  = 3 * time.Second
	guestRSS  = 96 << 20 // the guest's memory at its limit, and the host's own
)

// Guests runs track E.
func (c *Chamber) Guests(ctx context.Context) ([]contain.Figure, error) {
	limits := abi.DefaultLimits()
	limits.Wall, limits.InitWall = guestWall, guestWall
	var survived, slow []string
	var ends []time.Duration
	corpus := modtest.Corpus()
	before, worst := resident(), int64(0)
	for _, g := range corpus {
		if g.Want == modtest.Stopped { // the compiler is not what is measured
			if _, err := c.store.Get(ctx, abi.NewBlob(g.Wasm), wasm.CompileOptions(limits)); err != nil {
				return nil, fmt.Errorf("%s: %w", g.Name, err)
			}
		}
		began := time.Now()
		_, err := c.call(ctx, g.Wasm, "run", "", abi.Rights{Granted: true, Limits: limits})
		took := time.Since(began)
		if err == nil {
			survived = append(survived, g.Name)
		}
		if g.Want != modtest.Killed { // the jailed compiler has a budget of its own
			ends = append(ends, took)
			if took > guestEnd {
				slow = append(slow, fmt.Sprintf("%s (%v)", g.Name, took.Round(time.Millisecond)))
			}
		}
		worst = max(worst, resident()-before)
	}
	slices.Sort(ends)
	alive, err := c.call(ctx, abitest.Probe(), "probe", abitest.Line("log", `{"level":"info","message":"hei"}`, ""), abi.Rights{Granted: true, Limits: abi.DefaultLimits()})
	host := contain.Share("E host still serves afterwards", 0, 1, "")
	if err == nil && alive != nil {
		host = contain.Share("E host still serves afterwards", 1, 1, "")
	}
	return []contain.Figure{
		contain.Share("E hostile guests that were not refused or stopped", len(survived), len(corpus), strings.Join(survived, ", ")),
		contain.Share("E hostile guests that took longer than 3 s", len(slow), len(ends), strings.Join(slow, ", ")),
		contain.Amount("E longest end of a guest", ends[len(ends)-1].Seconds(), "s", ""),
		contain.Amount("E largest growth of the host", float64(worst)/1e6, "MB", ""), host,
	}, nil
}

// resident returns the resident memory of this process, 0 where it cannot be read.
func resident() int64 {
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// Files runs the part of track D that is about paths, in dir: a mount with one file,
// and beside it a canary that links in the mount point to as well.
func (c *Chamber) Files(ctx context.Context, dir string) ([]contain.Figure, error) {
	const canary = "inode-canary-5d2f"
	mount, outside := filepath.Join(dir, "mount"), filepath.Join(dir, "outside")
	for _, d := range []string{mount, outside, filepath.Join(mount, "sub")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	secret := filepath.Join(outside, "secret")
	write := func(file, text string) error { return os.WriteFile(file, []byte(text), 0o600) }
	err := errors.Join(write(filepath.Join(mount, "a.txt"), "content"), write(secret, canary),
		os.Symlink(secret, filepath.Join(mount, "link")), os.Symlink("../outside", filepath.Join(mount, "folder")),
		os.Symlink("folder/secret", filepath.Join(mount, "chain")), os.Symlink("/", filepath.Join(mount, "root")), os.Symlink("..", filepath.Join(mount, "sub", "up")))
	if err != nil {
		return nil, err
	}
	rights := abi.Rights{Granted: true, Limits: abi.MaxLimits(), Files: []abi.FileRight{{Mount: "/data", Host: mount, Write: true, MaxBytes: abi.MiB, Rule: "probe"}}}
	paths := traversals(secret)
	var escaped []string
	for batch := range slices.Chunk(paths, 200) {
		var in strings.Builder
		for _, p := range batch {
			request, err := json.Marshal(map[string]string{"path": p})
			if err != nil {
				return nil, err
			}
			in.WriteString(abitest.Line("fs_read", string(request), ""))
			in.WriteString(abitest.Line("fs_write", string(request), "overwritten"))
		}
		out, err := c.call(ctx, abitest.Probe(), "probe", in.String(), rights)
		if err != nil {
			return nil, fmt.Errorf("probe guest: %w", err)
		}
		answers := strings.Split(string(out.Raw), "\n")
		for i, p := range batch {
			if 2*i < len(answers) && strings.Contains(answers[2*i], canary) {
				escaped = append(escaped, fmt.Sprintf("read %q", p))
			}
		}
		if b, err := os.ReadFile(secret); err != nil || string(b) != canary {
			escaped = append(escaped, "a write of the batch of "+batch[0])
		}
	}
	out, err := c.call(ctx, abitest.Probe(), "probe", abitest.Line("fs_read", `{"path":"/data/sub/../a.txt"}`, ""), rights)
	works := 0
	if err == nil && (strings.Contains(string(out.Raw), "content") || strings.Contains(string(out.Raw), "overwritten")) {
		works = 1
	}
	return []contain.Figure{
		contain.Share("D escapes: paths", len(escaped), 2*len(paths), strings.Join(escaped, ", ")),
		contain.Share("D honest path still works", works, 1, ""),
	}, nil
}

// traversals spells the way to a file out of the mount in many ways.
func traversals(secret string) []string {
	ups := []string{
		"../", "..//", "./../", ".././", "..\\", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..%c0%af", "%252e%252e%252f", "..;/", "...//", "....//", "..\u2215", "\uff0e\uff0e/",
		"..\u2024/", "\u2025/", "sub/../../", "a.txt/../../", "link/../", "folder/../", "sub/up/up/", "root/../", "./", "..\u200b/", "..\x00/", ".. /", "..\t/",
	}
	ends := []string{"outside/secret", "./outside/secret", "outside//secret", "OUTSIDE/secret", "outside/secret\x00.txt", "outside/secret/", "outside/secret/.", "outside/secret%00"}
	starts := []string{"/data/", "/data//", "data/", "/data/./", "/", "", "//data/", "/data/sub/", "file:///data/", "/DATA/", "\\data\\"}
	var all []string
	for _, start := range starts {
		for _, up := range ups {
			for depth := 1; depth <= 3; depth++ {
				for _, end := range ends {
					all = append(all, start+strings.Repeat(up, depth)+end)
				}
			}
		}
	}
	return append(all,
		secret, "/data/link", "/data/link/", "/data/./link", "/data/folder/secret", "/data/folder/./secret", "/data/chain", "/data/root"+secret, "/data/sub/up/up/outside/secret",
		"/data"+secret, "/proc/self/root"+secret, "/proc/self/cwd", "/dev/stdin", "/data/../data/link", "file://"+secret, "~/"+secret, "/data/sub/up/../outside/secret",
	)
}
