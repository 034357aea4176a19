package modtest

import (
	"bytes"

	"github.com/glovebox-dev/glovebox/host/wasm/module"
)

// How a case of the corpus must end.
const (
	Refused = "refused" // by Scan or Rewrite, before an engine sees it
	Killed  = "killed"  // by the limits of the compiler's jail
	Stopped = "stopped" // by a limit of the call, when its export run is called (or at once, from its start function)
)

// Case is one hostile module.
type Case struct {
	Name string
	Wasm []byte
	Want string      // Refused, Killed or Stopped
	Rule module.Rule // of the refusal, unless Stopped
}

// Corpus returns the modules that are known to hurt a host: those that make a
// plain engine's compiler take seconds, gigabytes or the process with it, and
// those that do so when they run.
func Corpus() []Case {
	return append(append(bombs(), declared()...), running()...)
}

// bombs are small binaries with a large compile.
func bombs() []Case {
	return []Case{
		{"4 G locals in 36 bytes", Locals(1, 1<<32-1), Refused, module.RuleLocals},
		{"50 M locals", Locals(1, 50_000_000), Refused, module.RuleLocals},
		{"1,000 functions of 50,000 locals", Locals(1_000, 50_000), Refused, module.RuleLocals},
		{"10,000 functions of 9,999 locals", Locals(10_000, 9_999), Refused, module.RuleLocalsTotal},
		{"2,000 locals and 2,000 ifs", Ifs(2_000, 2_000), Refused, module.RuleBlockLocals},
		{"2,000 locals and 8,000 ifs", Ifs(2_000, 8_000), Refused, module.RuleBlockLocals},
		{"10,000 ifs", Ifs(64, 10_000), Refused, module.RuleBlocks},
		{"30,000 ifs", Ifs(64, 30_000), Refused, module.RuleBlocks},
		{"br_table with 100,000 targets", BrTable(100_000), Refused, module.RuleTargets},
		{"br_table with 300,000 targets", BrTable(300_000), Refused, module.RuleTargets},
		{"10,000 nested blocks", Nested(10_000), Refused, module.RuleNesting},
		{"100,000 nested blocks", Nested(100_000), Refused, module.RuleNesting},
		{"1 M additions", Additions(1_000_000), Refused, module.RuleBody},
		{"many functions at the limits", Heavy(6), Killed, module.RuleCompileTime},
	}
}

// declared are modules that are large in one section.
func declared() []Case {
	var types, globals, segments, memory, table, tables Builder
	for range 1_000_000 {
		types.Type(nil, nil)
		globals.Global()
	}
	segments.Memory(1, -1)
	for range 1_000_000 {
		segments.Data("")
	}
	memory.Memory(65_536, -1)
	table.Table(100_000_000, -1)
	for range 10 {
		tables.Table(1<<27, -1)
	}
	return []Case{
		{"1 M functions", Locals(1_000_000, 0), Refused, module.RuleFuncs},
		{"1 M types", types.Bytes(), Refused, module.RuleTypes},
		{"1 M globals", globals.Bytes(), Refused, module.RuleGlobals},
		{"1 M data segments", segments.Bytes(), Refused, module.RuleSegments},
		{"a memory of 4 GiB", memory.Bytes(), Refused, module.RuleMemoryMin},
		{"a table of 100 M entries", table.Bytes(), Refused, module.RuleTableMin},
		{"ten tables of 128 M entries", tables.Bytes(), Refused, module.RuleTables},
		{"a vector that counts 4 G types in 5 bytes", Cat([]byte(Header), Section(1, U32(1<<32-1))), Refused, module.RuleTypes},
	}
}

// running are modules that compile and then do harm in the exported function run,
// of type () -> i32.
func running() []Case {
	run := func(name string, prepare func(b *Builder), locals []Local, code ...byte) Case {
		var b Builder
		t := b.Type(nil, []byte{I32})
		if prepare != nil {
			prepare(&b)
		}
		b.Export("run", 0, b.Func(t, locals, code...))
		return Case{Name: name, Wasm: b.Bytes(), Want: Stopped}
	}
	memory := func(b *Builder) { b.Memory(1, -1) }
	table := func(b *Builder) { b.Table(1, -1) }
	var start Builder
	v := start.Type(nil, nil)
	start.Start(start.Func(v, nil, 0x03, 0x40, 0x0c, 0, 0x0b))
	start.Export("run", 0, start.Func(start.Type(nil, []byte{I32}), nil, 0x41, 0))
	return []Case{
		run("an endless loop", nil, nil, 0x03, 0x40, 0x0c, 0, 0x0b, 0x41, 0),
		{Name: "an endless loop in the start function", Wasm: start.Bytes(), Want: Stopped},
		run("endless recursion", nil, nil, 0x10, 0),
		run("endless recursion with 5,000 locals", nil, []Local{{5_000, I64}}, 0x10, 0),
		{Name: "endless recursion through a table", Wasm: Indirect(), Want: Stopped},
		// loop: table.grow by 2^30; drop; br 0
		run("table.grow in a loop", table, nil, 0x03, 0x40, 0xd0, FuncRef, 0x41, 0x80, 0x80, 0x80, 0x80, 0x04, 0xfc, 15, 0, 0x1a, 0x0c, 0, 0x0b, 0x41, 0),
		run("memory.grow in a loop", memory, nil, 0x03, 0x40, 0x41, 1, 0x40, 0, 0x1a, 0x0c, 0, 0x0b, 0x41, 0),
		// grow to the limit, then fill all of it for ever
		run("memory.fill in a loop", memory, nil, 0x03, 0x40, 0x41, 1, 0x40, 0, 0x1a,
			0x41, 0, 0x41, 7, 0x3f, 0, 0x41, 16, 0x74, 0xfc, 11, 0, 0x0c, 0, 0x0b, 0x41, 0),
	}
}

// Locals returns n functions, each of which declares locals i64 locals.
func Locals(n, locals int) []byte {
	var b Builder
	t := b.Type(nil, nil)
	for range n {
		b.Func(t, []Local{{locals, I64}})
	}
	return b.Bytes()
}

// Ifs returns a function with locals i64 locals and n ifs, each of which assigns
// to one, so that the compiler joins all of them n times.
func Ifs(locals, n int) []byte {
	var b Builder
	b.Func(b.Type(nil, nil), []Local{{locals, I64}}, ifs(locals, n)...)
	return b.Bytes()
}

func ifs(locals, n int) []byte {
	var code []byte
	for i := range n {
		code = append(code, 0x41, 1, 0x04, 0x40, 0x42, 1, 0x21)
		code = append(append(code, U32(i%locals)...), 0x0b)
	}
	return code
}

// Heavy returns n functions that are each just below the limits of the scan, and
// take ten seconds for each megabyte to compile.
func Heavy(n int) []byte {
	var b Builder
	t := b.Type(nil, nil)
	code := ifs(1, module.DefaultLimits().Blocks)
	for range n {
		b.Func(t, []Local{{1, I64}}, code...)
	}
	return b.Bytes()
}

// BrTable returns a function whose one br_table has n targets.
func BrTable(n int) []byte {
	var b Builder
	code := Cat([]byte{0x02, 0x40, 0x41, 0, 0x0e}, U32(n), make([]byte, n+1), []byte{0x0b})
	b.Func(b.Type(nil, nil), nil, code...)
	return b.Bytes()
}

// Nested returns a function of n nested blocks.
func Nested(n int) []byte {
	var b Builder
	code := Cat(bytes.Repeat([]byte{0x02, 0x40}, n), bytes.Repeat([]byte{0x0b}, n))
	b.Func(b.Type(nil, nil), nil, code...)
	return b.Bytes()
}

// Additions returns a function that adds n constants.
func Additions(n int) []byte {
	var b Builder
	code := Cat([]byte{0x41, 0}, bytes.Repeat([]byte{0x41, 1, 0x6a}, n))
	b.Func(b.Type(nil, []byte{I32}), nil, code...)
	return b.Bytes()
}

// Indirect returns a module whose export run calls itself through a table.
func Indirect() []byte {
	var b Builder
	t := b.Type(nil, []byte{I32})
	b.Table(1, -1)
	f := b.Func(t, nil, 0x41, 0, 0x11, byte(t), 0)
	b.Elem(f)
	b.Export("run", 0, f)
	return b.Bytes()
}
