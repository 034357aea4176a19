package module_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

// binaries calls f with every .wasm file below dir.
func binaries(t testing.TB, dir string, f func(name string, b []byte)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".wasm" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		rel, _ := filepath.Rel(dir, path)
		f(rel, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Fatalf("no module below %s", dir)
	}
}

func ruleOf(err error) module.Rule {
	var r *module.Refusal
	if errors.As(err, &r) {
		return r.Rule
	}
	if err != nil {
		return module.Rule("not a refusal: " + err.Error())
	}
	return ""
}

// many builds a module by calling f n times on one builder.
func many(n int, prepare func(*modtest.Builder), f func(*modtest.Builder, int)) []byte {
	var b modtest.Builder
	if prepare != nil {
		prepare(&b)
	}
	for i := range n {
		f(&b, i)
	}
	return b.Bytes()
}

func body(n int) []byte {
	var b modtest.Builder
	// One byte declares no locals, one ends the body.
	b.Func(b.Type(nil, nil), nil, bytes.Repeat([]byte{0x01}, n-2)...)
	return b.Bytes()
}

// Each limit admits its own value and refuses one more, by name and number.
func TestLimits(t *testing.T) {
	t.Parallel()
	l := module.DefaultLimits()
	l.Types, l.Funcs, l.Imports, l.Exports, l.Globals, l.Segments = 40, 55, 30, 20, 10, 60
	l.Elements, l.Size, l.TargetsSum = 70, 4<<20, 20_000
	memory := func(b *modtest.Builder) { b.Memory(1, -1) }
	typ := func(b *modtest.Builder) { b.Type(nil, nil) }
	fn := func(b *modtest.Builder) { b.Func(b.Type(nil, nil), nil) }
	cases := []struct {
		rule  module.Rule
		limit int
		make  func(n int) []byte
	}{
		{module.RuleSize, l.Size, func(n int) []byte {
			return modtest.Cat([]byte(modtest.Header), modtest.Section(0, modtest.Cat(modtest.Name("x"), make([]byte, n-8-5-2))))
		}},
		{module.RuleTypes, l.Types, func(n int) []byte {
			return many(n, nil, func(b *modtest.Builder, _ int) { b.Type(nil, nil) })
		}},
		{module.RuleFuncs, l.Funcs, func(n int) []byte {
			return many(n, typ, func(b *modtest.Builder, _ int) { b.Func(0, nil) })
		}},
		{module.RuleImports, l.Imports, func(n int) []byte {
			return many(n, typ, func(b *modtest.Builder, _ int) { b.ImportFunc("m", "f", 0) })
		}},
		{module.RuleExports, l.Exports, func(n int) []byte {
			return many(n, fn, func(b *modtest.Builder, i int) { b.Export(strings.Repeat("x", i), 0, 0) })
		}},
		{module.RuleGlobals, l.Globals, func(n int) []byte {
			return many(n, nil, func(b *modtest.Builder, _ int) { b.Global() })
		}},
		{module.RuleSegments, l.Segments, func(n int) []byte {
			return many(n, memory, func(b *modtest.Builder, _ int) { b.Data("") })
		}},
		{module.RuleElements, l.Elements, func(n int) []byte {
			var b modtest.Builder
			b.Table(100, -1)
			b.Func(b.Type(nil, nil), nil)
			b.Elem(make([]int, n-6)...) // the section's own count, four bytes of offset, the segment's count
			return b.Bytes()
		}},
		{module.RuleTables, l.Tables, func(n int) []byte {
			return many(n, nil, func(b *modtest.Builder, _ int) { b.Table(1, -1) })
		}},
		{module.RuleTableMin, l.TableMin, func(n int) []byte {
			var b modtest.Builder
			b.Table(n, -1)
			return b.Bytes()
		}},
		{module.RuleMemories, 1, func(n int) []byte {
			return many(n, nil, func(b *modtest.Builder, _ int) { b.Memory(1, -1) })
		}},
		{module.RuleMemoryMin, l.MemoryMin, func(n int) []byte {
			var b modtest.Builder
			b.Memory(n, -1)
			return b.Bytes()
		}},
		{module.RuleName, l.Name, func(n int) []byte {
			var b modtest.Builder
			fn(&b)
			b.Export(strings.Repeat("x", n), 0, 0)
			return b.Bytes()
		}},
		{module.RuleBody, l.Body, body},
		{module.RuleLocals, l.Locals, func(n int) []byte { return modtest.Locals(1, n) }},
		{module.RuleLocals, l.Locals, func(n int) []byte {
			var b modtest.Builder
			b.Func(b.Type([]byte{modtest.I32}, nil), []modtest.Local{{N: n - 1, Type: modtest.V128}})
			return b.Bytes()
		}},
		{module.RuleLocalsTotal, l.LocalsTotal, func(n int) []byte {
			var b modtest.Builder
			t := b.Type(nil, nil)
			for n > 0 {
				k := min(n, l.Locals)
				b.Func(t, []modtest.Local{{N: k, Type: modtest.I64}})
				n -= k
			}
			return b.Bytes()
		}},
		{module.RuleNesting, l.Nesting, modtest.Nested},
		{module.RuleBlocks, l.Blocks, func(n int) []byte { return modtest.Ifs(1, n) }},
		{module.RuleTargets, l.Targets, modtest.BrTable},
		{module.RuleTargetsSum, l.TargetsSum, func(n int) []byte {
			var b modtest.Builder
			table := func(n int) []byte {
				return modtest.Cat([]byte{0x41, 0, 0x0e}, modtest.U32(n), make([]byte, n+1))
			}
			b.Func(b.Type(nil, nil), nil, modtest.Cat(table(l.Targets), table(n-l.Targets))...)
			return b.Bytes()
		}},
		{module.RuleValues, l.Values, func(n int) []byte {
			var b modtest.Builder
			b.Type(bytes.Repeat([]byte{modtest.I32}, n), nil)
			return b.Bytes()
		}},
	}
	for _, c := range cases {
		t.Run(string(c.rule), func(t *testing.T) {
			t.Parallel()
			if _, err := module.Scan(c.make(c.limit), l); err != nil {
				t.Errorf("%d is at the limit: %v", c.limit, err)
			}
			_, err := module.Scan(c.make(c.limit+1), l)
			var r *module.Refusal
			if !errors.As(err, &r) || r.Rule != c.rule || r.Limit == 0 || r.Got <= r.Limit {
				t.Errorf("%d is above the limit: got %v", c.limit+1, err)
			}
		})
	}
}

// The product of blocks and locals is bounded where each of them is not.
func TestLimitBlocksTimesLocals(t *testing.T) {
	t.Parallel()
	l := module.DefaultLimits()
	l.BlockLocals = 1_000_000
	if _, err := module.Scan(modtest.Ifs(1_000, 1_000), l); err != nil {
		t.Error(err)
	}
	_, err := module.Scan(modtest.Ifs(1_000, 1_001), l)
	var r *module.Refusal
	if !errors.As(err, &r) || r.Rule != module.RuleBlockLocals || r.Func != 0 || r.Got != 1_001_000 {
		t.Errorf("got %v", err)
	}
}

// Zero limits refuse every module.
func TestZeroLimitsRefuse(t *testing.T) {
	t.Parallel()
	if _, err := module.Scan([]byte(modtest.Header), module.Limits{}); ruleOf(err) != module.RuleSize {
		t.Errorf("got %v", err)
	}
}

func TestHostileCorpusIsRefused(t *testing.T) {
	t.Parallel()
	o := module.RewriteLimits{TableMax: 65_536, MemoryPages: 1024, Stack: 10_000}
	for _, c := range modtest.Corpus() {
		t.Run(c.Name, func(t *testing.T) {
			out, err := module.Rewrite(c.Wasm, o)
			if c.Want == modtest.Refused {
				if ruleOf(err) != c.Rule {
					t.Errorf("got %v, want a refusal by %s", err, c.Rule)
				}
				return
			}
			if err != nil {
				t.Fatalf("this one is for a later layer: %v", err)
			}
			if _, err := module.Scan(out, module.DefaultLimits().Rewritten()); err != nil {
				t.Errorf("the rewritten module: %v", err)
			}
		})
	}
}

// A refusal costs memory in proportion to what was read, not to what was declared.
func TestRefusalAllocatesLittle(t *testing.T) {
	for _, c := range modtest.Corpus() {
		if c.Want != modtest.Refused {
			continue
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := module.Rewrite(c.Wasm, module.RewriteLimits{TableMax: 65_536, MemoryPages: 1024, Stack: 10_000})
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 10<<20 {
			t.Errorf("%s: %d bytes allocated (%v)", c.Name, got, err)
		}
	}
}

func TestFeaturesAreRefusedByName(t *testing.T) {
	t.Parallel()
	code := func(code ...byte) []byte {
		var b modtest.Builder
		b.Memory(1, -1)
		b.Table(1, -1)
		b.Func(b.Type(nil, nil), nil, code...)
		return b.Bytes()
	}
	section := func(id byte, content ...byte) []byte {
		return modtest.Cat([]byte(modtest.Header), modtest.Section(id, content))
	}
	cases := []struct {
		name string
		wasm []byte
		rule module.Rule
		want string
	}{
		{"nothing", nil, module.RuleNotWasm, "not a WebAssembly file"},
		{"a text file", []byte("(module)"), module.RuleNotWasm, "not a WebAssembly file"},
		{"a later version", []byte("\x00asm\x02\x00\x00\x00"), module.RuleNotWasm, "version is 0x2"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), module.RuleComponent, "build with a wasip1 target"},
		{"tail call", code(0x12, 0), module.RuleFeature, "tail calls"},
		{"indirect tail call", code(0x13, 0, 0), module.RuleFeature, "tail calls"},
		{"try_table", code(0x1f, 0x40, 0), module.RuleFeature, "exception handling"},
		{"throw", code(0x08, 0), module.RuleFeature, "exception handling"},
		{"tag section", section(13, 0), module.RuleFeature, "exception handling"},
		{"atomic", code(0xfe, 0x03, 0), module.RuleFeature, "without threads"},
		{"gc instruction", code(0xfb, 0), module.RuleFeature, "garbage collection"},
		{"gc type", section(1, 1, 0x5f, 0), module.RuleFeature, "garbage-collected"},
		{"recursive type group", section(1, 1, 0x4e, 0), module.RuleFeature, "garbage-collected"},
		{"call_ref", code(0x14, 0), module.RuleFeature, "function references"},
		{"typed reference", section(1, 1, 0x60, 1, 0x63, 0x70, 0), module.RuleFeature, "typed and collected references"},
		{"exnref", section(1, 1, 0x60, 1, 0x69, 0), module.RuleFeature, "exception references"},
		{"relaxed simd", code(0xfd, 0x80, 0x02), module.RuleFeature, "relaxed-simd"},
		{"shared memory", section(5, 1, 3, 1, 1), module.RuleFeature, "shared memories"},
		{"64-bit memory", section(5, 1, 4, 1), module.RuleFeature, "wasm32"},
		{"64-bit memory with a maximum", section(5, 1, 5, 1, 1), module.RuleFeature, "wasm32"},
		{"shared table", section(4, 1, 0x70, 3, 1, 1), module.RuleFeature, "shared"},
		{"table with an initial value", section(4, 1, 0x40, 0, 0x70, 0, 1, 0xd0, 0x70, 0x0b), module.RuleFeature, "initial value"},
		{"two memories", section(5, 2, 0, 1, 0, 1), module.RuleMemories, "with one"},
		{"access to a second memory", code(0x41, 0, 0x28, 0x42, 1, 0, 0x1a), module.RuleFeature, "several memories"},
		{"memory.size of a second memory", code(0x3f, 1, 0x1a), module.RuleFeature, "only one is supported"},
		{"imported memory", section(2, 1, 1, 'm', 1, 'n', 2, 0, 1), module.RuleFeature, "import-memory"},
		{"imported table", section(2, 1, 1, 'm', 1, 'n', 1, 0x70, 0, 1), module.RuleFeature, "is a table"},
		{"extended constant expression", section(6, 1, 0x7f, 0, 0x41, 1, 0x41, 1, 0x6a, 0x0b), module.RuleFeature, "extended constant"},
		{"unknown instruction", code(0xff), module.RuleFeature, "unknown instruction 0xff"},
		{"unknown bulk instruction", code(0xfc, 18), module.RuleFeature, "0xfc 0x12"},
		{"long spelling of a bulk instruction", code(0xfc, 0x8b, 0x00), module.RuleFeature, "0xfc"},
		{"long spelling of a vector instruction", code(0xfd, 0x80, 0x00), module.RuleFeature, "vector instruction"},
		{"hole among the vector instructions", code(0xfd, 0x9a, 0x01), module.RuleMalformed, "vector instruction"},
		{"unknown section", section(14, 0), module.RuleMalformed, "section 14 is unknown"},
		{"section twice", modtest.Cat(section(1, 0), modtest.Section(1, []byte{0})), module.RuleMalformed, "twice or out of order"},
		{"sections out of order", modtest.Cat(section(3, 0), modtest.Section(1, []byte{0})), module.RuleMalformed, "twice or out of order"},
		{"section longer than the file", modtest.Cat([]byte(modtest.Header), []byte{1, 100, 0}), module.RuleMalformed, "ends early"},
		{"bytes after a section's contents", section(1, 0, 0), module.RuleMalformed, "too many"},
		{"global of the rewriter", code(0x23, 0, 0x1a), module.RuleMalformed, "global 0"},
		{"type of the rewriter", code(0x02, 1, 0x0b), module.RuleMalformed, "type 1"},
		{"local out of range", code(0x20, 0, 0x1a), module.RuleMalformed, "local 0"},
		{"label out of range", code(0x0c, 1), module.RuleMalformed, "label 1"},
		{"instructions after the end", code(0x0b), module.RuleMalformed, "follow the end"},
		{"body without an end", code(0x02, 0x40), module.RuleMalformed, "ends early"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := module.Scan(c.wasm, module.DefaultLimits())
			if ruleOf(err) != c.rule || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want rule %s and %q", err, c.rule, c.want)
			}
		})
	}
}

// Every prefix of a module is refused or is a module, and none makes Scan panic.
func TestTruncatedModules(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(testenv.ModuleDir(t, "github.com/extism/go-sdk"), "wasm", "alloc.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if _, err := module.Scan(b[:n], module.DefaultLimits()); err == nil && n < 9 && n != 8 {
			t.Errorf("%d bytes were accepted", n)
		}
	}
}

// The plugins of the Extism SDK are what real authors send.
func TestRealPluginsScan(t *testing.T) {
	t.Parallel()
	binaries(t, filepath.Join(testenv.ModuleDir(t, "github.com/extism/go-sdk"), "wasm"), func(name string, b []byte) {
		r, err := module.Scan(b, module.DefaultLimits())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if _, err := r.Profile(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
}

func TestProfile(t *testing.T) {
	t.Parallel()
	export := func(names ...string) *modtest.Builder {
		var b modtest.Builder
		f := b.Func(b.Type(nil, []byte{modtest.I32}), nil, 0x41, 0)
		for _, n := range names {
			b.Export(n, 0, f)
		}
		return &b
	}
	kernel := func() *modtest.Builder {
		var b modtest.Builder
		t := b.Type(nil, nil)
		b.ImportFunc("extism:host/env", "input_length", t)
		b.Export("_start", 0, b.Func(t, nil))
		return &b
	}()
	wrong := func() *modtest.Builder {
		var b modtest.Builder
		b.Export("call_tool", 0, b.Func(b.Type([]byte{modtest.I32, modtest.I64}, nil), nil))
		return &b
	}()
	several := func() *modtest.Builder {
		var b modtest.Builder
		b.Export("_start", 0, b.Func(b.Type(nil, []byte{modtest.I32, modtest.I32}), nil, 0x41, 0, 0x41, 0))
		return &b
	}()
	global := func() *modtest.Builder {
		var b modtest.Builder
		b.Export("list_tools", 3, b.Global())
		return &b
	}()
	cases := []struct {
		name string
		b    *modtest.Builder
		want string
		err  string
	}{
		{"call and describe", export("call", "describe", "list_tools"), "extism-mcp/v1", ""},
		{"call alone is no profile", export("call"), "", `the exports are "call"`},
		{"an entry point of the second", export("list_tools"), "extism-mcp/v2", ""},
		{"kernel imports win over _start", kernel, "extism/raw", ""},
		{"_start", export("_start"), "wasip1/command", ""},
		{"nothing", export(), "", "the exports are none"},
		{"wrong type", wrong, "extism-mcp/v2", `export "call_tool" has type (i32, i64) -> (), want () -> i32`},
		{"two results", several, "wasip1/command", "() -> (i32, i32)"},
		{"no function", global, "extism-mcp/v2", "global mut i32"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := module.Scan(c.b.Bytes(), module.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			p, err := r.Profile()
			if string(p) != c.want || (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got %q, %v", p, err)
			}
		})
	}
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	var b modtest.Builder
	typ := b.Type(nil, nil)
	for _, i := range [][2]string{
		{"extism:host/env", "http_request"}, {"extism:host/env", "input_length"}, {"glovebox:host/v1", "fetch"},
		{"glovebox:host/v1", "kv_get"}, {"glovebox:host/v1", "fs_list"}, {"wasi_snapshot_preview1", "fd_write"},
		{"glovebox:host/v1", "secret_handle"}, {"glovebox:host/v1", "ask"}, {"extism:host/user", "x"}, {"env", "y"},
	} {
		b.ImportFunc(i[0], i[1], typ)
	}
	r, err := module.Scan(b.Bytes(), module.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.Capabilities(), " "); got != "files http human kv secrets user wasi" {
		t.Errorf("got %s", got)
	}
}
