// Package modtest makes WebAssembly modules for tests: a small builder of
// binaries, and the corpus of hostile modules that every layer must survive.
package modtest

import "encoding/binary"

// Value types.
const (
	I32, I64, F32, F64, V128, FuncRef, ExternRef byte = 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f
)

// Header begins every module.
const Header = "\x00asm\x01\x00\x00\x00"

// Builder collects the parts of a module. It checks nothing: it is there to make
// wrong modules as well as right ones.
type Builder struct {
	types, imports, funcs, tables, memories, globals, exports, elems, code, data vec
	start                                                                        []byte
	dataCount                                                                    bool
	customs                                                                      []byte
	nImpFunc                                                                     int
}

// vec is a vector of the binary format.
type vec struct {
	n int
	b []byte
}

func (v *vec) add(parts ...[]byte) int {
	for _, p := range parts {
		v.b = append(v.b, p...)
	}
	v.n++
	return v.n - 1
}

// U32 encodes v as unsigned LEB128.
func U32(v int) []byte { return binary.AppendUvarint(nil, uint64(v)) }

// S32 encodes v as signed LEB128.
func S32(v int64) []byte {
	var b []byte
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// Name encodes s with its length.
func Name(s string) []byte { return append(U32(len(s)), s...) }

// Cat joins byte strings.
func Cat(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// Type adds a function type and returns its index.
func (b *Builder) Type(params, results []byte) int {
	return b.types.add([]byte{0x60}, U32(len(params)), params, U32(len(results)), results)
}

// ImportFunc adds an imported function and returns its index. Imports come before
// functions.
func (b *Builder) ImportFunc(module, name string, typ int) int {
	b.imports.add(Name(module), Name(name), []byte{0}, U32(typ))
	b.nImpFunc++
	return b.nImpFunc - 1
}

// Import adds an import with a raw description.
func (b *Builder) Import(module, name string, desc ...byte) {
	b.imports.add(Name(module), Name(name), desc)
}

// Func adds a function and returns its index. locals are pairs of a count and a
// type; the closing end is added.
func (b *Builder) Func(typ int, locals []Local, code ...byte) int {
	body := U32(len(locals))
	for _, l := range locals {
		body = append(append(body, U32(l.N)...), l.Type)
	}
	body = append(append(body, code...), 0x0b)
	b.code.add(U32(len(body)), body)
	return b.nImpFunc + b.funcs.add(U32(typ))
}

// Local declares N locals of one type.
type Local struct {
	N    int
	Type byte
}

// Table adds a table of funcref; a negative maximum declares none.
func (b *Builder) Table(min, max int) int {
	return b.tables.add([]byte{FuncRef}, limits(min, max))
}

// Memory adds a memory; a negative maximum declares none.
func (b *Builder) Memory(min, max int) int { return b.memories.add(limits(min, max)) }

func limits(min, max int) []byte {
	if max < 0 {
		return Cat([]byte{0}, U32(min))
	}
	return Cat([]byte{1}, U32(min), U32(max))
}

// Global adds a mutable i32 global that begins as 0.
func (b *Builder) Global() int { return b.globals.add([]byte{I32, 1, 0x41, 0, 0x0b}) }

// Export adds an export; kind 0 is a function, 1 a table, 2 a memory, 3 a global.
func (b *Builder) Export(name string, kind byte, index int) {
	b.exports.add(Name(name), []byte{kind}, U32(index))
}

// Elem adds an element segment that puts functions into table 0 from entry 0.
func (b *Builder) Elem(funcs ...int) {
	e := Cat([]byte{0, 0x41, 0, 0x0b}, U32(len(funcs)))
	for _, f := range funcs {
		e = append(e, U32(f)...)
	}
	b.elems.add(e)
}

// Data adds an active data segment at offset 0.
func (b *Builder) Data(content string) {
	b.data.add([]byte{0, 0x41, 0, 0x0b}, Name(content))
}

// CountData adds the section that bulk memory instructions need.
func (b *Builder) CountData() { b.dataCount = true }

// Start names the function that runs when the module is instantiated.
func (b *Builder) Start(f int) { b.start = U32(f) }

// Custom adds a custom section at the end.
func (b *Builder) Custom(name string, content []byte) {
	b.customs = append(b.customs, Section(0, Cat(Name(name), content))...)
}

// Section encodes one section.
func Section(id byte, content []byte) []byte {
	return Cat([]byte{id}, U32(len(content)), content)
}

// Bytes returns the module.
func (b *Builder) Bytes() []byte {
	out := []byte(Header)
	put := func(id byte, v vec) {
		if v.n > 0 {
			out = append(out, Section(id, Cat(U32(v.n), v.b))...)
		}
	}
	put(1, b.types)
	put(2, b.imports)
	put(3, b.funcs)
	put(4, b.tables)
	put(5, b.memories)
	put(6, b.globals)
	put(7, b.exports)
	if b.start != nil {
		out = append(out, Section(8, b.start)...)
	}
	put(9, b.elems)
	if b.dataCount {
		out = append(out, Section(12, U32(b.data.n))...)
	}
	put(10, b.code)
	put(11, b.data)
	return append(out, b.customs...)
}
