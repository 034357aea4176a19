package compile

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/tetratelabs/wazero"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// answer is what the child prints.
type answer struct {
	Rewritten abi.Digest      `json:"rewritten,omitempty"` // of the module that was compiled
	Refusal   *module.Refusal `json:"refusal,omitempty"`
}

// ChildMain is the program's part inside the jail: args are what follows
// sandbox.Verb on the command line, the module comes on in, the answer goes to
// out and native code into the jail's only writable directory. It returns the
// exit status. The program must call it before it does anything else.
func ChildMain(args []string, in io.Reader, out, errw io.Writer) int {
	cell, args, err := sandbox.Inside(args)
	if err != nil {
		return childFailed(errw, err)
	}
	if cell.Probe {
		if err := sandbox.Probe(cell, out); err != nil {
			return childFailed(errw, err)
		}
		return 0
	}
	debug.SetMemoryLimit(cell.Memory)
	var a answer
	a.Rewritten, err = childCompile(cell, args, in)
	if err != nil && !errors.As(err, &a.Refusal) {
		return childFailed(errw, err)
	}
	if err := json.NewEncoder(out).Encode(a); err != nil {
		return childFailed(errw, err)
	}
	return 0
}

func childFailed(errw io.Writer, err error) int {
	// The parent reads this as the child's last words; nobody is there to tell if it fails.
	_, _ = fmt.Fprintln(errw, err)
	return 1
}

func childCompile(cell sandbox.Cell, args []string, in io.Reader) (abi.Digest, error) {
	o, err := parseOptions(args)
	if err != nil {
		return "", err
	}
	limit := int64(module.DefaultLimits().Size)
	b, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return "", fmt.Errorf("read the module: %w", err)
	}
	rewritten, err := module.Rewrite(b, o)
	if err != nil {
		return "", err
	}
	return abi.DigestOf(rewritten), compileInto(context.Background(), cell.Out, rewritten, o)
}

// compileInto compiles b and leaves the native code below dir.
func compileInto(ctx context.Context, dir string, b []byte, o Options) (err error) {
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return fmt.Errorf("open the engine's cache: %w", err)
	}
	defer func() { err = errors.Join(err, cache.Close(ctx)) }()
	r := wazero.NewRuntimeWithConfig(ctx, RuntimeConfig(o.MemoryPages).WithCompilationCache(cache))
	defer func() { err = errors.Join(err, r.Close(ctx)) }()
	c, err := r.CompileModule(ctx, b)
	if err != nil {
		return &module.Refusal{Rule: module.RuleInvalid, Func: module.NoFunc, Detail: "the module is not valid: " + plain(err.Error())}
	}
	return c.Close(ctx)
}

// plain bounds text that holds names chosen by the module, and takes everything
// out of it that a terminal or a log would obey.
func plain(s string) string {
	out := make([]rune, 0, 200)
	for _, r := range s {
		if len(out) == 200 {
			return string(out) + "…"
		}
		if r < 0x20 || r > 0x7e {
			r = '?'
		}
		out = append(out, r)
	}
	return string(out)
}

func optionArgs(o Options) []string {
	return []string{
		fmt.Sprintf("-table=%d", o.TableMax), fmt.Sprintf("-pages=%d", o.MemoryPages), fmt.Sprintf("-stack=%d", o.Stack),
	}
}

func parseOptions(args []string) (Options, error) {
	fs := flag.NewFlagSet(sandbox.Verb, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	table, pages, stack := fs.Uint("table", 0, ""), fs.Uint("pages", 0, ""), fs.Uint("stack", 0, "")
	if err := fs.Parse(args); err != nil {
		return Options{}, fmt.Errorf("read the compiler's options: %w", err)
	}
	return Options{TableMax: uint32(*table), MemoryPages: uint32(*pages), Stack: uint32(*stack)}, nil
}

// jail compiles b in a confined child and returns the name and the bytes of the
// native code. rewritten is what the child must have compiled.
func (s *Store) jail(ctx context.Context, b, rewritten []byte, o Options) (name string, native []byte, err error) {
	dir, err := os.MkdirTemp("", "glovebox-compile-")
	if err != nil {
		return "", nil, fmt.Errorf("make a directory for the compiler: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cpu := cpuLimit(len(b))
	res, err := s.cfg.Confine.Confined(ctx, sandbox.Job{
		Args: optionArgs(o), Stdin: newReader(b), OutDir: dir,
		AddressSpace: addressSpace, FileSize: uint64(nativeLimit(len(b))),
		CPU: cpu, Wall: 5*cpu + wallBase, MaxOutput: childOutput,
	})
	if err := outcome(res, err, cpu); err != nil {
		return "", nil, err
	}
	var a answer
	if err := json.Unmarshal(res.Stdout, &a); err != nil {
		return "", nil, fmt.Errorf("%w: its output is not an answer: %w", ErrCrash, err)
	}
	if a.Refusal != nil {
		// The child is hostile by now, for all we know: its words are bounded.
		a.Refusal.Detail, a.Refusal.Rule = plain(a.Refusal.Detail), module.Rule(plain(string(a.Refusal.Rule)))
		return "", nil, a.Refusal
	}
	if a.Rewritten != abi.DigestOf(rewritten) {
		return "", nil, fmt.Errorf("%w: it compiled other bytes than it was given", ErrCrash)
	}
	return readNative(dir, nativeLimit(len(b)))
}

// outcome turns the end of the child into an error that names the limit.
func outcome(res sandbox.Result, err error, cpu any) error {
	refused := func(r module.Rule, format string, args ...any) error {
		return &module.Refusal{Rule: r, Func: module.NoFunc, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case errors.Is(err, sandbox.ErrWall):
		return refused(module.RuleCompileTime, "compilation did not end in time")
	case err != nil:
		return fmt.Errorf("compile in the jail: %w", err)
	case outOfMemory(res.Stderr):
		return refused(module.RuleCompileMemory, "compilation took more than %d MiB of memory", addressSpace>>20)
	case res.Signal == "killed" || res.Signal == "CPU time limit exceeded":
		return refused(module.RuleCompileTime, "compilation took more than %v of processor time", cpu)
	case res.Signal == "file size limit exceeded":
		return refused(module.RuleCompileMemory, "the compiled code is too large")
	case res.Signal != "":
		return fmt.Errorf("%w: signal %s", ErrCrash, res.Signal)
	case res.Exit != 0:
		return fmt.Errorf("%w: exit status %d: %s", ErrCrash, res.Exit, plain(filepath.ToSlash(string(res.Stderr))))
	}
	return nil
}
