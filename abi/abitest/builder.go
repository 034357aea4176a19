package abitest

import "encoding/binary"

// Module is a small WebAssembly module, for guests that no compiler makes: start
// sections, imports of odd types, tables.
type Module struct {
	Imports []Import
	Funcs   []Func  // numbered after the imports
	Table   uint32  // entries at first; 0 = no table
	Memory  uint32  // pages at first; 0 = no memory
	Start   *int    // index of the start function, imports counted; nil = none
	Globals []int64 // mutable i64 globals with these values
}

// Import is an imported function.
type Import struct {
	Module, Name string
	Type         Type
}

// Type is a function type, of the value types of the binary format.
type Type struct{ Params, Results []byte }

// Func is a function; Code is its body without the final end.
type Func struct {
	Export string
	Type   Type
	Code   []byte
}

// Value types.
const (
	I32 byte = 0x7f
	I64 byte = 0x7e
)

// Some instructions; Code concatenates them.
var (
	Loop        = []byte{0x03, 0x40, 0x0c, 0x00, 0x0b} // loop br 0 end
	Unreachable = []byte{0x00}
	Drop        = []byte{0x1a}
)

// Code joins pieces of a body.
func Code(pieces ...[]byte) []byte {
	var b []byte
	for _, p := range pieces {
		b = append(b, p...)
	}
	return b
}

// Const32 and Const64 push a number, Call calls a function by its index.
func Const32(v int32) []byte { return signed([]byte{0x41}, int64(v)) }

// Const64 pushes v.
func Const64(v int64) []byte { return signed([]byte{0x42}, v) }

// Call calls the function with index i.
func Call(i int) []byte { return binary.AppendUvarint([]byte{0x10}, uint64(i)) }

// TableGrow pushes the result of growing the table by n null references.
func TableGrow(n int32) []byte { return Code([]byte{0xd0, 0x70}, Const32(n), []byte{0xfc, 0x0f, 0x00}) }

func signed(b []byte, v int64) []byte {
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

// Bytes encodes the module. It does not validate it.
func (m Module) Bytes() []byte {
	out := []byte{0, 'a', 's', 'm', 1, 0, 0, 0}
	var types, imports, funcs, exports, code [][]byte
	for i, f := range m.Imports {
		types = append(types, f.Type.bytes())
		imports = append(imports, Code(name(f.Module), name(f.Name), []byte{0}, count(i)))
	}
	for i, f := range m.Funcs {
		types = append(types, f.Type.bytes())
		index := len(m.Imports) + i
		funcs = append(funcs, count(index))
		if f.Export != "" {
			exports = append(exports, Code(name(f.Export), []byte{0}, count(index)))
		}
		body := Code([]byte{0}, f.Code, []byte{0x0b})
		code = append(code, Code(count(len(body)), body))
	}
	out = section(out, 1, types)
	out = section(out, 2, imports)
	out = section(out, 3, funcs)
	if m.Table > 0 {
		out = section(out, 4, [][]byte{Code([]byte{0x70, 0}, count(int(m.Table)))})
	}
	if m.Memory > 0 {
		out = section(out, 5, [][]byte{Code([]byte{0}, count(int(m.Memory)))})
	}
	var globals [][]byte
	for _, v := range m.Globals {
		globals = append(globals, Code([]byte{I64, 1}, Const64(v), []byte{0x0b}))
	}
	out = section(out, 6, globals)
	out = section(out, 7, exports)
	if m.Start != nil {
		start := count(*m.Start)
		out = append(append(append(out, 8), count(len(start))...), start...)
	}
	return section(out, 10, code)
}

func (t Type) bytes() []byte {
	return Code([]byte{0x60}, count(len(t.Params)), t.Params, count(len(t.Results)), t.Results)
}

func count(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func name(s string) []byte { return append(count(len(s)), s...) }

func section(out []byte, id byte, items [][]byte) []byte {
	if len(items) == 0 {
		return out
	}
	body := Code(append([][]byte{count(len(items))}, items...)...)
	return append(append(append(out, id), count(len(body))...), body...)
}
