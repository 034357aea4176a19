package module

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Scan reads the whole of b, instruction by instruction, and reports what it
// holds. The error is a *Refusal.
func Scan(b []byte, l Limits) (*Report, error) {
	s, err := decode(b, l)
	if err != nil {
		return nil, err
	}
	return &s.report, nil
}

// Identifiers of sections in the order in which they must appear.
const (
	secCustom, secType, secImport, secFunc    = 0, 1, 2, 3
	secTable, secMemory, secGlobal, secExport = 4, 5, 6, 7
	secStart, secElem, secCode, secData       = 8, 9, 10, 11
	secDataCount, secTag                      = 12, 13
)

// rank orders the sections; the data count stands before the code.
var rank = [...]int{secType: 1, secImport: 2, secFunc: 3, secTable: 4, secMemory: 5, secGlobal: 6,
	secExport: 7, secStart: 8, secElem: 9, secDataCount: 10, secCode: 11, secData: 12}

// section is one section of the binary; start and end bound its contents.
type section struct {
	id         byte
	start, end int
}

// funcType points into the module's bytes.
type funcType struct{ params, results []byte }

// body is one function body as it lies in the module.
type body struct {
	start, end int // of locals and code, without the size
	code       int // first instruction
	slots      int // parameters and locals
	calls      bool
}

// scanner holds what later sections need from earlier ones.
type scanner struct {
	reader
	l        Limits
	report   Report
	sections []section
	types    []funcType
	funcs    []uint32 // type of every function, imported ones first
	globals  []string // type of every global, imported ones first
	nImpFunc int
	nImpGlob int
	tables   []limits
	memory   *limits
	bodies   []body
	locals   int64 // sum over all functions
	dataN    int   // from the data count section, −1 if absent
	nameAt   int   // subsections of the first name section; 0 if there is none
	nameEnd  int
}

// limits is the size of a table or memory, with the type of a table.
type limits struct {
	elem     byte
	min, max uint32
	hasMax   bool
}

func decode(b []byte, l Limits) (*scanner, error) {
	s := &scanner{reader: reader{b: b, end: len(b), fn: NoFunc, what: "header"}, l: l, dataN: -1}
	s.report.Size = len(b)
	s.limit(RuleSize, "bytes", int64(len(b)), int64(l.Size))
	s.header()
	s.all()
	if s.err != nil {
		return nil, s.err
	}
	return s, nil
}

func (s *scanner) header() {
	if s.err != nil {
		return
	}
	if len(s.b) < 8 || string(s.b[:4]) != "\x00asm" {
		s.fail(RuleNotWasm, "this is not a WebAssembly file")
		return
	}
	switch v := binary.LittleEndian.Uint32(s.b[4:]); v {
	case 1:
		s.off = 8
	case 0x1000d:
		s.fail(RuleComponent, "this is a WebAssembly component and this host runs core modules; "+
			"build with a wasip1 target (GOOS=wasip1, wasm32-wasip1, -target=wasip1)")
	default:
		s.fail(RuleNotWasm, "the WebAssembly version is %#x, want 1", v)
	}
}

func (s *scanner) all() {
	last := 0
	for s.ok() && s.off < len(s.b) {
		s.end, s.what = len(s.b), "module"
		id := s.byte()
		size := s.u32()
		if s.ok() && int64(size) > int64(s.left()) {
			s.what = fmt.Sprintf("section %d", id)
			s.truncated()
		}
		if !s.ok() {
			return
		}
		s.what, s.end = fmt.Sprintf("section %d", id), s.off+int(size)
		switch {
		case id == secTag:
			s.fail(RuleFeature, "exception handling is not supported (build without it)")
		case int(id) >= len(rank):
			s.fail(RuleMalformed, "section %d is unknown", id)
		case id != secCustom && rank[id] <= last:
			s.fail(RuleMalformed, "section %d stands twice or out of order", id)
		case id != secCustom:
			last = rank[id]
		}
		if !s.ok() {
			return
		}
		sec := section{id: id, start: s.off, end: s.end}
		s.section(sec)
		if s.ok() && s.off != sec.end {
			s.fail(RuleMalformed, "section %d has %d bytes too many", id, sec.end-s.off)
		}
		// Custom sections are not kept in the list: a module can hold millions.
		if id != secCustom {
			s.sections = append(s.sections, sec)
		}
	}
	if s.ok() && len(s.bodies) != len(s.funcs)-s.nImpFunc {
		s.fail(RuleMalformed, "%d functions are declared and %d have a body", len(s.funcs)-s.nImpFunc, len(s.bodies))
	}
	if s.ok() && s.dataN >= 0 && s.dataN != s.report.Segments {
		s.fail(RuleMalformed, "%d data segments are declared and %d are there", s.dataN, s.report.Segments)
	}
}

func (s *scanner) section(sec section) {
	switch sec.id {
	case secCustom:
		s.custom()
	case secType:
		s.typeSection()
	case secImport:
		s.importSection()
	case secFunc:
		s.funcSection()
	case secTable:
		s.tableSection()
	case secMemory:
		s.memorySection()
	case secGlobal:
		s.globalSection()
	case secExport:
		s.exportSection()
	case secStart:
		s.funcIndex()
		s.report.HasStart = true
	case secElem:
		s.limit(RuleElements, "bytes of elements", int64(sec.end-sec.start), int64(s.l.Elements))
		s.elemSection()
	case secDataCount:
		n := s.u32()
		s.limit(RuleSegments, "data segments", int64(n), int64(s.l.Segments))
		s.dataN = int(n)
	case secCode:
		s.codeSection()
	case secData:
		s.dataSection()
	}
}

// customNames bounds how many names of custom sections a report keeps.
const customNames = 64

func (s *scanner) custom() {
	size := s.left()
	name := s.name(s.l.Name)
	if !s.ok() {
		return
	}
	if name == "name" && s.nameAt == 0 {
		s.nameAt, s.nameEnd = s.off, s.end
	}
	if s.report.Customs == nil {
		s.report.Customs = map[string]int{}
	}
	if _, seen := s.report.Customs[name]; !seen && len(s.report.Customs) >= customNames {
		name = "…"
	}
	s.report.Customs[name] += size
	s.off = s.end
}

func (s *scanner) typeSection() {
	n := s.count(RuleTypes, "types", s.l.Types)
	for i := 0; i < n && s.ok(); i++ {
		switch form := s.byte(); form {
		case 0x60:
		case 0x5f, 0x5e, 0x50, 0x4f, 0x4e:
			s.fail(RuleFeature, "types of garbage-collected languages are not supported (build without gc)")
		default:
			s.fail(RuleMalformed, "type %d has the unknown form %#x", i, form)
		}
		s.types = append(s.types, funcType{params: s.valueTypes(), results: s.valueTypes()})
	}
	s.report.Types = len(s.types)
}

func (s *scanner) valueTypes() []byte {
	n := s.count(RuleValues, "parameters or results", s.l.Values)
	start := s.off
	for i := 0; i < n && s.ok(); i++ {
		s.valueType()
	}
	if !s.ok() {
		return nil
	}
	return s.b[start:s.off:s.off]
}

func (s *scanner) typeIndex() uint32 {
	i := s.u32()
	if s.ok() && int64(i) >= int64(len(s.types)) {
		s.fail(RuleMalformed, "type %d does not exist", i)
	}
	if !s.ok() {
		return 0
	}
	return i
}

func (s *scanner) funcIndex() uint32 {
	i := s.u32()
	if s.ok() && int64(i) >= int64(len(s.funcs)) {
		s.fail(RuleMalformed, "function %d does not exist", i)
	}
	return i
}

func (s *scanner) importSection() {
	n := s.count(RuleImports, "imports", s.l.Imports)
	for i := 0; i < n && s.ok(); i++ {
		imp := Import{Module: s.name(s.l.Name), Name: s.name(s.l.Name)}
		switch kind := s.byte(); kind {
		case 0:
			t := s.typeIndex()
			if s.ok() {
				imp.Kind, imp.Type = KindFunc, s.types[t].String()
				s.funcs = append(s.funcs, t)
				s.nImpFunc++
			}
		case 1:
			s.fail(RuleFeature, "import %s.%s is a table and no host offers one", quote(imp.Module), quote(imp.Name))
		case 2:
			s.fail(RuleFeature, "import %s.%s is a memory and no host offers one (build without --import-memory)", quote(imp.Module), quote(imp.Name))
		case 3:
			imp.Kind, imp.Type = KindGlobal, s.globalType()
			s.globals = append(s.globals, imp.Type)
			s.nImpGlob++
			s.limit(RuleGlobals, "globals", int64(len(s.globals)), int64(s.l.Globals))
		case 4:
			s.fail(RuleFeature, "exception handling is not supported (build without it)")
		default:
			s.fail(RuleMalformed, "import %d has the unknown kind %#x", i, kind)
		}
		s.report.Imports = append(s.report.Imports, imp)
	}
}

// quote bounds and quotes a name of the module for an error.
func quote(s string) string {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return fmt.Sprintf("%q", s)
}

func (s *scanner) funcSection() {
	n := s.count(RuleFuncs, "functions", s.l.Funcs-s.nImpFunc)
	for i := 0; i < n && s.ok(); i++ {
		s.funcs = append(s.funcs, s.typeIndex())
	}
	s.report.Funcs = n
}

var valueTypeNames = map[byte]string{0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128", 0x70: "funcref", 0x6f: "externref"}

// String prints the type as "(i32, i64) -> i32".
func (t funcType) String() string {
	var b strings.Builder
	b.WriteString("(")
	list(&b, t.params)
	b.WriteString(") -> ")
	if len(t.results) != 1 {
		b.WriteString("(")
	}
	list(&b, t.results)
	if len(t.results) != 1 {
		b.WriteString(")")
	}
	return b.String()
}

// listed bounds how many value types are printed.
const listed = 16

func list(b *strings.Builder, types []byte) {
	for i, t := range types {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == listed {
			fmt.Fprintf(b, "and %d more", len(types)-i)
			return
		}
		b.WriteString(valueTypeNames[t])
	}
}
