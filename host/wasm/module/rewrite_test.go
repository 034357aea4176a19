package module_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

var limits = module.RewriteLimits{TableMax: 65_536, MemoryPages: 1024, Stack: 1_000}

// start rewrites and instantiates a module.
func start(t *testing.T, b []byte, l module.RewriteLimits) api.Module {
	t.Helper()
	out, err := module.Rewrite(b, l)
	if err != nil {
		t.Fatal(err)
	}
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2))
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	m, err := r.InstantiateWithConfig(t.Context(), out, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func depth(m api.Module) uint64 { return m.ExportedGlobal(module.DepthGlobal).Get() }

// countdown calls itself as often as its argument says and returns 7.
func countdown(locals []modtest.Local, extra ...byte) []byte {
	var b modtest.Builder
	t := b.Type([]byte{modtest.I32}, []byte{modtest.I32})
	// local 0 ? f(local 0 − 1) : 7
	b.Export("run", 0, b.Func(t, locals, modtest.Cat(extra, []byte{
		0x20, 0, 0x45, 0x04, 0x40, 0x41, 7, 0x0f, 0x0b, 0x20, 0, 0x41, 1, 0x6b, 0x10, 0,
	})...))
	return b.Bytes()
}

func TestStackLimitIsExact(t *testing.T) {
	t.Parallel()
	m := start(t, countdown(nil), limits)
	run := m.ExportedFunction("run")
	for range 3 { // the depth comes back to zero each time
		if got, err := run.Call(t.Context(), 999); err != nil || got[0] != 7 || depth(m) != 0 {
			t.Fatalf("1,000 activations: got %v, %v, depth %d", got, err, depth(m))
		}
	}
	if _, err := run.Call(t.Context(), 1000); err == nil || !strings.Contains(err.Error(), "unreachable") || depth(m) != 1001 {
		t.Errorf("1,001 activations: got %v, depth %d", err, depth(m))
	}
}

// A trap of the module's own leaves a depth within the limit, so that the host
// can tell the two apart.
func TestOtherTrapIsNotTheStackLimit(t *testing.T) {
	t.Parallel()
	var b modtest.Builder
	typ := b.Type(nil, nil)
	bad := b.Func(typ, nil, 0x00)
	b.Export("run", 0, b.Func(typ, nil, 0x10, byte(bad)))
	m := start(t, b.Bytes(), limits)
	if _, err := m.ExportedFunction("run").Call(t.Context()); err == nil || depth(m) > uint64(limits.Stack) {
		t.Errorf("got %v, depth %d", err, depth(m))
	}
}

// Large frames weigh more, so that the engine's stack stays small.
func TestStackWeighsFrames(t *testing.T) {
	t.Parallel()
	nops := bytes.Repeat([]byte{0x01}, 20<<10)
	for name, c := range map[string]struct {
		wasm  []byte
		least uint64 // activations that must pass
		most  uint64 // and that must not
	}{
		"one more for each 64 locals":       {countdown([]modtest.Local{{N: 64*9 - 1, Type: modtest.I64}}), 99, 100},
		"one more for each KiB of code":     {countdown(nil, nops...), 46, 47},
		"5,000 locals of 16 bytes on top":   {countdown([]modtest.Local{{N: 5_000, Type: modtest.V128}}), 11, 12},
		"a small frame weighs one as usual": {countdown([]modtest.Local{{N: 62, Type: modtest.I64}}), 999, 1000},
	} {
		m := start(t, c.wasm, limits)
		if _, err := m.ExportedFunction("run").Call(t.Context(), c.least); err != nil {
			t.Errorf("%s: %d calls: %v", name, c.least, err)
		}
		if _, err := m.ExportedFunction("run").Call(t.Context(), c.most); err == nil || depth(m) <= uint64(limits.Stack) {
			t.Errorf("%s: %d calls passed", name, c.most)
		}
	}
}

func TestIndirectAndMutualRecursionStop(t *testing.T) {
	t.Parallel()
	var b modtest.Builder
	v := b.Type(nil, nil)
	b.Func(v, nil, 0x10, 1)
	b.Export("run", 0, b.Func(v, nil, 0x10, 0))
	for name, wasm := range map[string][]byte{"through a table": modtest.Indirect(), "mutual": b.Bytes()} {
		m := start(t, wasm, limits)
		if _, err := m.ExportedFunction("run").Call(t.Context()); err == nil || depth(m) <= uint64(limits.Stack) {
			t.Errorf("%s: got %v, depth %d", name, err, depth(m))
		}
	}
}

// Every way out of a function takes the depth off again, with none, one and
// several results.
func TestDepthAtEveryWayOut(t *testing.T) {
	t.Parallel()
	var b modtest.Builder
	v, two := b.Type(nil, nil), b.Type(nil, []byte{modtest.I32, modtest.I64})
	one := b.Type([]byte{modtest.I32}, []byte{modtest.I32})
	leaf := byte(b.Func(v, nil))
	call := []byte{0x10, leaf}
	ways := map[string]int{
		"end":                b.Func(v, nil, call...),
		"return":             b.Func(v, nil, append(call, 0x0f)...),
		"return in blocks":   b.Func(v, nil, append(call, 0x02, 0x40, 0x03, 0x40, 0x0f, 0x0b, 0x0b)...),
		"branch out":         b.Func(v, nil, append(call, 0x0c, 0)...),
		"branch from inside": b.Func(v, nil, append(call, 0x02, 0x40, 0x0c, 1, 0x0b)...),
		"br_table":           b.Func(v, nil, append(call, 0x02, 0x40, 0x41, 5, 0x0e, 1, 0, 1, 0x0b)...),
		"br_if":              b.Func(v, nil, append(call, 0x41, 1, 0x0d, 0)...),
		"two results":        b.Func(two, nil, append(call, 0x41, 1, 0x42, 2)...),
		"two by return":      b.Func(two, nil, append(call, 0x02, 0x40, 0x41, 1, 0x42, 2, 0x0f, 0x0b, 0x00)...),
		"one by branch":      b.Func(one, nil, append(call, 0x20, 0, 0x0c, 0)...),
	}
	for name, f := range ways {
		b.Export(name, 0, f)
	}
	m := start(t, b.Bytes(), limits)
	for name := range ways {
		f := m.ExportedFunction(name)
		args := make([]uint64, len(f.Definition().ParamTypes()))
		if _, err := f.Call(t.Context(), args...); err != nil || depth(m) != 0 {
			t.Errorf("%s: %v, depth %d", name, err, depth(m))
		}
	}
}

func TestTableAndMemoryStopAtTheirLimits(t *testing.T) {
	t.Parallel()
	for _, declared := range []int{-1, 3, 1 << 30} {
		var b modtest.Builder
		typ := b.Type([]byte{modtest.I32}, []byte{modtest.I32})
		b.Table(1, declared)
		b.Memory(1, min(declared, 65_536))
		b.Export("table", 0, b.Func(typ, nil, 0xd0, modtest.FuncRef, 0x20, 0, 0xfc, 15, 0))
		b.Export("memory", 0, b.Func(typ, nil, 0x20, 0, 0x40, 0))
		m := start(t, b.Bytes(), module.RewriteLimits{TableMax: 10, MemoryPages: 10, Stack: 10})
		most := uint64(10)
		if declared == 3 {
			most = 3
		}
		for _, name := range []string{"table", "memory"} {
			grow := m.ExportedFunction(name)
			for _, c := range []struct{ by, want uint64 }{{1 << 30, 1<<32 - 1}, {most, 1<<32 - 1}, {most - 1, 1}, {1, 1<<32 - 1}} {
				if got, err := grow.Call(t.Context(), c.by); err != nil || got[0] != c.want {
					t.Errorf("maximum %d: grow %s by %d: got %v, %v, want %d", declared, name, c.by, got, err, c.want)
				}
			}
		}
	}
}

func TestRewriteRefuses(t *testing.T) {
	t.Parallel()
	var exported, imported, named, memory, table modtest.Builder
	exported.Export("__glovebox_fuel", 3, exported.Global())
	imported.ImportFunc("__glovebox", "refuel", imported.Type(nil, nil))
	named.ImportFunc("env", "__glovebox_depth", named.Type(nil, nil))
	memory.Memory(int(limits.MemoryPages)+1, -1)
	table.Table(11, -1)
	small := limits
	small.TableMax = 10
	for _, c := range []struct {
		name string
		wasm []byte
		l    module.RewriteLimits
		rule module.Rule
	}{
		{"an export with a reserved name", exported.Bytes(), limits, module.RuleReserved},
		{"an import from a reserved module", imported.Bytes(), limits, module.RuleReserved},
		{"an import with a reserved name", named.Bytes(), limits, module.RuleReserved},
		{"a memory that starts above the limit", memory.Bytes(), limits, module.RuleMemoryMin},
		{"a table that starts above the limit", table.Bytes(), small, module.RuleTableMin},
		{"limits that are not set", modtest.Locals(1, 1), module.RewriteLimits{}, module.RuleStack},
		{"a stack above the ceiling", modtest.Locals(1, 1), module.RewriteLimits{Stack: module.MaxStack + 1}, module.RuleStack},
	} {
		if _, err := module.Rewrite(c.wasm, c.l); ruleOf(err) != c.rule {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	memory, table = modtest.Builder{}, modtest.Builder{}
	memory.Memory(int(limits.MemoryPages), -1)
	table.Table(10, -1)
	for _, b := range []modtest.Builder{memory, table} {
		if _, err := module.Rewrite(b.Bytes(), small); err != nil {
			t.Error(err)
		}
	}
}

// Functions that call nothing, or only the host, are the same bytes as before.
func TestLeavesCostNothing(t *testing.T) {
	t.Parallel()
	var b modtest.Builder
	typ := b.Type(nil, nil)
	b.ImportFunc("env", "f", typ)
	marks := bytes.Repeat([]byte{0x41, 42, 0x1a}, 8)
	b.Func(typ, nil, modtest.Cat(marks, []byte{0x10, 0, 0x0f})...)
	out, err := module.Rewrite(b.Bytes(), limits)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out, modtest.Cat(marks, []byte{0x10, 0, 0x0f, 0x0b})) {
		t.Error("the function was changed")
	}
}

func TestCustomSectionsAreDroppedAndNamesKept(t *testing.T) {
	t.Parallel()
	names := func(sub ...byte) []byte {
		var b modtest.Builder
		b.Export("run", 0, b.Func(b.Type(nil, nil), nil, 0x00))
		b.Custom(".debug_info", []byte("secret"))
		b.Custom("name", sub)
		return b.Bytes()
	}
	good := modtest.Cat([]byte{0}, modtest.Name("\x04mine"), []byte{1, 8, 1, 0, 5}, []byte("boom!"))
	m := start(t, names(good...), limits)
	if _, err := m.ExportedFunction("run").Call(t.Context()); err == nil || !strings.Contains(err.Error(), "boom!") {
		t.Errorf("the name is not in the trace: %v", err)
	}
	for name, sub := range map[string][]byte{
		"count of 4 G":      modtest.Cat([]byte{1, 5}, modtest.U32(1<<32-1)),
		"cut short":         {1, 100, 1},
		"not UTF-8":         {1, 4, 1, 0, 1, 0xff},
		"no such function":  {1, 4, 1, 9, 1, 'x'},
		"not in order":      {1, 7, 2, 0, 1, 'x', 0, 1, 'y'},
		"local names bomb":  modtest.Cat([]byte{2, 5}, modtest.U32(1<<32-1)),
		"trailing garbage":  {1, 5, 1, 0, 1, 'x', 0},
		"an empty section":  {},
		"size beyond range": modtest.Cat([]byte{1}, modtest.U32(1<<32-1)),
	} {
		out, err := module.Rewrite(names(sub...), limits)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if bytes.Contains(out, []byte("debug_info")) || bytes.Contains(out, []byte("\x04name")) {
			t.Errorf("%s: a custom section was kept", name)
		}
		if _, err := module.Scan(out, module.DefaultLimits()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Real plugins stay valid, keep their exports, and can be rewritten anew only by
// going back to the original.
func TestRealPluginsRewrite(t *testing.T) {
	t.Parallel()
	r := wazero.NewRuntimeWithConfig(t.Context(), interpreter())
	defer r.Close(context.Background())
	binaries(t, filepath.Join(testenv.ModuleDir(t, "github.com/extism/go-sdk"), "wasm"), func(name string, b []byte) {
		out, err := module.Rewrite(b, limits)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if err := valid(r, out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		before, err1 := module.Scan(b, module.DefaultLimits())
		after, err2 := module.Scan(out, module.DefaultLimits().Rewritten())
		if err1 != nil || err2 != nil || len(after.Exports) != len(before.Exports)+1 || len(after.Imports) != len(before.Imports) {
			t.Errorf("%s: %v, %v", name, err1, err2)
		}
		if _, err := module.Rewrite(out, limits); ruleOf(err) != module.RuleReserved {
			t.Errorf("%s was rewritten twice: %v", name, err)
		}
		t.Logf("%s: %d bytes, rewritten %d", name, len(b), len(out))
	})
}

func BenchmarkScan(b *testing.B) {
	binaries(b, filepath.Join(testenv.ModuleDir(b, "github.com/extism/go-sdk"), "wasm"), func(name string, wasm []byte) {
		if name != "fs_std.wasm" && name != "alloc.wasm" {
			return
		}
		b.Run("scan/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(wasm)))
			for b.Loop() {
				if _, err := module.Scan(wasm, module.DefaultLimits()); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("rewrite/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(wasm)))
			for b.Loop() {
				if _, err := module.Rewrite(wasm, limits); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}
