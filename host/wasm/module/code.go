package module

import "fmt"

const (
	opBlock, opLoop, opIf, opElse, opEnd = 0x02, 0x03, 0x04, 0x05, 0x0b
	opBr, opReturn, opCall               = 0x0c, 0x0f, 0x10
)

func (s *scanner) codeSection() {
	n := s.count(RuleFuncs, "function bodies", s.l.Funcs)
	if s.ok() && n != len(s.funcs)-s.nImpFunc {
		s.fail(RuleMalformed, "%d functions are declared and %d have a body", len(s.funcs)-s.nImpFunc, n)
	}
	sectionEnd := s.end
	for i := 0; i < n && s.ok(); i++ {
		s.fn, s.what = s.nImpFunc+i, "function body"
		size := s.u32()
		s.limit(RuleBody, "bytes in a body", int64(size), int64(s.l.Body))
		if s.ok() && int(size) > s.left() {
			s.truncated()
		}
		if !s.ok() {
			return
		}
		s.end = s.off + int(size)
		s.body()
		s.end = sectionEnd
	}
	s.fn = NoFunc
}

func (s *scanner) body() {
	b := body{start: s.off, end: s.end}
	b.slots = s.bodyLocals(len(s.types[s.funcs[s.fn]].params))
	b.code = s.off
	w := walker{scanner: s, slots: b.slots}
	w.walk()
	if !s.ok() {
		return
	}
	b.calls = w.calls
	r := &s.report
	r.MaxBody = max(r.MaxBody, b.end-b.start)
	r.MaxLocals = max(r.MaxLocals, b.slots)
	r.MaxNesting = max(r.MaxNesting, w.deepest)
	r.MaxBlocks = max(r.MaxBlocks, w.blocks)
	r.MaxTargets = max(r.MaxTargets, w.targets)
	s.bodies = append(s.bodies, b)
}

// bodyLocals reads the declarations of locals and returns how many slots the
// function has together with its parameters. Nothing is allocated for them.
func (s *scanner) bodyLocals(params int) int {
	sum := int64(params)
	n := s.count(RuleLocals, "groups of locals", s.l.Locals)
	for i := 0; i < n && s.ok(); i++ {
		sum += int64(s.u32())
		s.valueType()
		s.limit(RuleLocals, "locals", sum, int64(s.l.Locals))
	}
	s.limit(RuleLocals, "locals", sum, int64(s.l.Locals))
	s.locals += sum - int64(params)
	s.limit(RuleLocalsTotal, "locals in all functions", s.locals, int64(s.l.LocalsTotal))
	return int(sum)
}

// walker goes through the instructions of one body.
type walker struct {
	*scanner
	slots    int
	depth    int // open blocks, without the body itself
	deepest  int
	blocks   int
	targets  int // of the largest br_table
	sum      int // of all br_tables
	calls    bool
	onReturn func(off, depth int) // called at each return, if set
}

// walk reads instructions up to the end that closes the body, which must be the
// body's last byte.
func (w *walker) walk() {
	for w.ok() {
		at := w.off
		op := w.byte()
		if !w.ok() {
			return
		}
		switch op {
		case opEnd:
			if w.depth == 0 {
				if w.off != w.end {
					w.fail(RuleMalformed, "%d bytes follow the end", w.end-w.off)
				}
				return
			}
			w.depth--
		case opReturn:
			if w.onReturn != nil {
				w.onReturn(at, w.depth)
			}
		default:
			w.instruction(op)
		}
	}
}

func (w *walker) instruction(op byte) {
	switch {
	case op <= 0x11:
		w.control(op)
	case op == 0x1a || op == 0x1b: // drop, select
	case op == 0x1c:
		if n := w.u32(); w.ok() && n != 1 {
			w.fail(RuleMalformed, "select has %d types, want 1", n)
		}
		w.valueType()
	case op >= 0x20 && op <= 0x22:
		if i := w.u32(); w.ok() && int64(i) >= int64(w.slots) {
			w.fail(RuleMalformed, "local %d does not exist", i)
		}
	case op == 0x23 || op == 0x24:
		w.globalIndex(len(w.globals))
	case op == 0x25 || op == 0x26:
		w.tableIndex()
	case op >= 0x28 && op <= 0x3e:
		w.memarg()
	case op == 0x3f || op == 0x40:
		w.zero("memory")
	case op == 0x41:
		w.signed(32)
	case op == 0x42:
		w.signed(64)
	case op == 0x43:
		w.skip(4)
	case op == 0x44:
		w.skip(8)
	case op >= 0x45 && op <= 0xc4: // comparisons, arithmetic, conversions, sign extension
	case op == 0xd0:
		w.refType()
	case op == 0xd1: // ref.is_null
	case op == 0xd2:
		w.funcIndex()
	case op == 0xfc:
		w.bulk()
	case op == 0xfd:
		w.vector()
	default:
		w.unknown(op)
	}
}

func (w *walker) control(op byte) {
	switch op {
	case 0x00, 0x01, opElse: // unreachable, nop
	case opBlock, opLoop, opIf:
		w.blockType()
		w.depth++
		w.blocks++
		w.deepest = max(w.deepest, w.depth)
		w.limit(RuleNesting, "nested blocks", int64(w.depth), int64(w.l.Nesting))
		w.limit(RuleBlocks, "blocks", int64(w.blocks), int64(w.l.Blocks))
		w.limit(RuleBlockLocals, "blocks times locals", int64(w.blocks)*int64(w.slots), int64(w.l.BlockLocals))
	case opBr, 0x0d:
		w.label()
	case 0x0e:
		n := w.u32()
		w.limit(RuleTargets, "br_table targets", int64(n), int64(w.l.Targets))
		w.targets = max(w.targets, int(n))
		w.sum += int(n)
		w.limit(RuleTargetsSum, "br_table targets in all", int64(w.sum), int64(w.l.TargetsSum))
		for i := 0; i <= int(n) && w.ok(); i++ {
			w.label()
		}
	case opCall:
		if f := w.funcIndex(); w.ok() && int(f) >= w.nImpFunc {
			w.calls = true
		}
	case 0x11:
		w.typeIndex()
		w.tableIndex()
		w.calls = true
	default:
		w.unknown(op)
	}
}

func (w *walker) label() {
	if l := w.u32(); w.ok() && int64(l) > int64(w.depth) {
		w.fail(RuleMalformed, "label %d does not exist", l)
	}
}

func (w *walker) blockType() {
	switch t := w.signed(33); {
	case !w.ok() || t == -64:
	case t >= 0:
		if t >= int64(len(w.types)) {
			w.fail(RuleMalformed, "type %d does not exist", t)
		}
	case t == -1 || t == -2 || t == -3 || t == -4 || t == -5 || t == -16 || t == -17:
	default:
		w.fail(RuleFeature, "block type %d is not supported", t)
	}
}

func (w *walker) memarg() {
	if align := w.u32(); w.ok() && align >= 32 {
		if align&0x40 != 0 {
			w.fail(RuleFeature, "several memories are not supported")
			return
		}
		w.fail(RuleMalformed, "an alignment of 2^%d", align)
	}
	w.u32()
}

// zero reads an index that must be 0 in one byte.
func (w *walker) zero(what string) {
	if b := w.byte(); w.ok() && b != 0 {
		w.fail(RuleFeature, "%s %d: only one is supported", what, b)
	}
}

// bulk reads what follows 0xfc: saturating conversions, memory and table
// operations. The engine reads the operation as one byte, so a longer spelling of
// the same number is refused.
func (w *walker) bulk() {
	switch op := w.byte(); {
	case !w.ok() || op <= 7:
	case op == 8: // memory.init
		w.dataIndex()
		w.zero("memory")
	case op == 9: // data.drop
		w.dataIndex()
	case op == 10: // memory.copy
		w.zero("memory")
		w.zero("memory")
	case op == 11: // memory.fill
		w.zero("memory")
	case op == 12: // table.init
		w.u32()
		w.tableIndex()
	case op == 13: // elem.drop
		w.u32()
	case op == 14: // table.copy
		w.tableIndex()
		w.tableIndex()
	case op <= 17: // table.grow, table.size, table.fill
		w.tableIndex()
	default:
		w.fail(RuleFeature, "unknown instruction 0xfc %#x", op)
	}
}

func (w *walker) dataIndex() {
	if i := w.u32(); w.ok() && int64(i) >= int64(w.dataN) {
		w.fail(RuleMalformed, "data segment %d is not counted", i)
	}
}

func (w *walker) unknown(op byte) {
	name := fmt.Sprintf("unknown instruction %#x", op)
	switch op {
	case 0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f:
		name = "exception handling is not supported (build without it)"
	case 0x12, 0x13:
		name = "tail calls are not supported (build without tail-call)"
	case 0x14, 0x15, 0xd4, 0xd5, 0xd6:
		name = "typed function references are not supported (build without function-references)"
	case 0xd3, 0xfb:
		name = "garbage collection is not supported (build without gc)"
	case 0xfe:
		name = "atomic operations are not supported (build without threads)"
	}
	w.fail(RuleFeature, "%s", name)
}
