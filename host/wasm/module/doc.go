// Package module reads and rewrites WebAssembly binaries before any engine sees
// them. It is pure Go without I/O: Scan walks a whole module and refuses what
// would hurt a compiler or a host, and Rewrite bounds what is left.
//
// Scan allocates in proportion to the bytes that it has read and never to a
// count that a module merely declares: 36 bytes can declare four billion locals.
// It knows the instructions of WebAssembly 2.0 (SIMD, bulk memory and reference
// types included) and refuses every byte that it does not know, so that it and
// the engine never disagree about where an instruction ends.
package module

// Version names the rewriter. It is part of the key of everything that is made
// from a rewritten module; change it whenever the output of Rewrite changes.
const Version = "2"

// Limits bounds the shape of a module. A count at its limit passes and one above
// it is refused. The zero value refuses everything.
type Limits struct {
	Size        int // bytes of the whole binary
	Types       int // entries of the type section
	Funcs       int // functions, imported ones included
	Imports     int // entries of the import section
	Exports     int // entries of the export section
	Globals     int // globals, imported ones included
	Segments    int // data segments
	Elements    int // bytes of the element section
	Tables      int // tables; none may be imported
	TableMin    int // entries that one table may start with
	MemoryMin   int // pages that the memory may start with
	Name        int // bytes of one import or export name
	Body        int // bytes of one function body
	Locals      int // parameters and locals of one function
	LocalsTotal int // locals of all functions together
	Nesting     int // open blocks
	Blocks      int // blocks, loops and ifs of one function
	BlockLocals int // product of blocks and locals of one function
	Targets     int // targets of one br_table
	TargetsSum  int // targets of all br_tables of one function
	Values      int // parameters or results of one type
}

// DefaultLimits returns the limits that hold for every skill. Each is far above
// the largest value seen in some forty-five real modules (C, Rust, Go, TinyGo,
// Haskell, AssemblyScript) and far below what hurts the engine's compiler, whose
// time and memory are quadratic in several of them.
func DefaultLimits() Limits {
	return Limits{
		Size:        32 << 20,  // seen 3.5 MB
		Types:       10_000,    // seen 1,719
		Funcs:       50_000,    // seen 4,573; a million costs 4 s
		Imports:     1_000,     // seen 41
		Exports:     2_000,     // seen 191
		Globals:     10_000,    // seen 11
		Segments:    100_000,   // seen 44,723 (Go)
		Elements:    1 << 20,   // seen 7.8 KB
		Tables:      4,         // seen 1; reference types allow several
		TableMin:    65_536,    // seen 5,731 (Go begins at 4,096)
		MemoryMin:   65_536,    // the cap of the call is applied by Rewrite
		Name:        4 << 10,   // seen 96
		Body:        1 << 20,   // seen 168 KB (Haskell)
		Locals:      10_000,    // seen 2,452 (instrumented C); four billion kill the process
		LocalsTotal: 500_000,   // seen 8,700; 110 KB can ask for 3.8 GB without it
		Nesting:     4_096,     // seen 1,706 (Haskell)
		Blocks:      8_192,     // seen 1,791
		BlockLocals: 2_000_000, // seen 635,068
		Targets:     16_384,    // seen 3,125 (Haskell); 300,000 cost 19 s
		TargetsSum:  65_536,
		Values:      1_000, // of WebAssembly's JavaScript interface
	}
}
