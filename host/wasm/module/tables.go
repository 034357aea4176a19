package module

import "slices"

func (s *scanner) tableSection() {
	n := s.count(RuleTables, "tables", s.l.Tables)
	for i := 0; i < n && s.ok(); i++ {
		if s.left() > 0 && s.b[s.off] == 0x40 {
			s.fail(RuleFeature, "tables with an initial value are not supported (build without function-references)")
			return
		}
		elem := s.refType()
		t := s.limits(RuleTableMin, "table entries", s.l.TableMin)
		t.elem = elem
		s.tables = append(s.tables, t)
		s.report.TableMin = max(s.report.TableMin, int(t.min))
	}
	s.report.Tables = n
}

func (s *scanner) memorySection() {
	n := s.count(RuleMemories, "memories (this host runs modules with one)", 1)
	if n == 0 || !s.ok() {
		return
	}
	m := s.limits(RuleMemoryMin, "memory pages", s.l.MemoryMin)
	if s.ok() && m.hasMax && m.max > 65536 {
		s.fail(RuleMalformed, "the memory's maximum of %d pages passes 65536", m.max)
	}
	s.memory = &m
	s.report.HasMemory, s.report.MemoryMin = true, m.min
	if m.hasMax {
		s.report.MemoryMax = m.max
	}
}

func (s *scanner) limits(rule Rule, what string, most int) limits {
	var l limits
	switch flags := s.byte(); flags {
	case 0, 1:
		l.hasMax = flags == 1
	case 2, 3:
		s.fail(RuleFeature, "shared memories are not supported (build without threads)")
	case 4, 5, 6, 7:
		s.fail(RuleFeature, "64-bit memories are not supported (build for wasm32)")
	default:
		s.fail(RuleMalformed, "unknown limits %#x", flags)
	}
	l.min = s.u32()
	s.limit(rule, what, int64(l.min), int64(most))
	if l.hasMax {
		l.max = s.u32()
		if s.ok() && l.max < l.min {
			s.fail(RuleMalformed, "a maximum of %d is below the minimum of %d", l.max, l.min)
		}
	}
	return l
}

func (s *scanner) globalType() string {
	t := valueTypeNames[s.valueType()]
	switch m := s.byte(); m {
	case 0:
	case 1:
		t = "mut " + t
	case 2, 3:
		s.fail(RuleFeature, "shared globals are not supported (build without threads)")
	default:
		s.fail(RuleMalformed, "a global has the unknown mutability %#x", m)
	}
	return t
}

func (s *scanner) globalSection() {
	n := s.count(RuleGlobals, "globals", s.l.Globals-s.nImpGlob)
	for i := 0; i < n && s.ok(); i++ {
		t := s.globalType()
		s.constExpr()
		s.globals = append(s.globals, t)
	}
	s.report.Globals = len(s.globals)
}

func (s *scanner) globalIndex(n int) {
	i := s.u32()
	// The rewriter appends a global. That nothing in the module can name it rests
	// on this check.
	if s.ok() && int64(i) >= int64(n) {
		s.fail(RuleMalformed, "global %d does not exist here", i)
	}
}

// constExpr reads a constant expression: one instruction and end.
func (s *scanner) constExpr() {
	switch op := s.byte(); op {
	case 0x41:
		s.signed(32)
	case 0x42:
		s.signed(64)
	case 0x43:
		s.skip(4)
	case 0x44:
		s.skip(8)
	case 0x23:
		s.globalIndex(s.nImpGlob)
	case 0xd0:
		s.refType()
	case 0xd2:
		s.funcIndex()
	case 0xfd:
		if sub := s.byte(); s.ok() && sub != 0x0c {
			s.fail(RuleMalformed, "instruction 0xfd %#x stands in a constant expression", sub)
		}
		s.skip(16)
	case 0xfb:
		s.fail(RuleFeature, "garbage collection is not supported (build without gc)")
	default:
		s.fail(RuleMalformed, "instruction %#x stands in a constant expression", op)
	}
	switch op := s.byte(); {
	case !s.ok() || op == opEnd:
	case op == 0x6a || op == 0x6b || op == 0x6c || op == 0x7c || op == 0x7d || op == 0x7e || op == 0x41 || op == 0x42 || op == 0x23:
		s.fail(RuleFeature, "extended constant expressions are not supported (build without extended-const)")
	default:
		s.fail(RuleMalformed, "instruction %#x stands in a constant expression", op)
	}
}

func (s *scanner) exportSection() {
	n := s.count(RuleExports, "exports", s.l.Exports)
	for i := 0; i < n && s.ok(); i++ {
		e := Export{Name: s.name(s.l.Name)}
		kind := s.byte()
		switch kind {
		case 0:
			f := s.funcIndex()
			if s.ok() {
				e.Kind, e.Type = KindFunc, s.types[s.funcs[f]].String()
			}
		case 1:
			e.Kind = KindTable
			s.tableIndex()
		case 2:
			e.Kind = KindMemory
			if m := s.u32(); s.ok() && (m != 0 || s.memory == nil) {
				s.fail(RuleMalformed, "memory %d does not exist", m)
			}
		case 3:
			e.Kind = KindGlobal
			if g := s.u32(); s.ok() {
				if int64(g) >= int64(len(s.globals)) {
					s.fail(RuleMalformed, "global %d does not exist", g)
				} else {
					e.Type = s.globals[g]
				}
			}
		case 4:
			s.fail(RuleFeature, "exception handling is not supported (build without it)")
		default:
			s.fail(RuleMalformed, "export %d has the unknown kind %#x", i, kind)
		}
		s.report.Exports = append(s.report.Exports, e)
	}
	names := make([]string, 0, len(s.report.Exports))
	for _, e := range s.report.Exports {
		names = append(names, e.Name)
	}
	slices.Sort(names)
	if s.ok() && len(slices.Compact(names)) != len(s.report.Exports) {
		s.fail(RuleMalformed, "two exports have the same name")
	}
}

func (s *scanner) tableIndex() {
	if t := s.u32(); s.ok() && int64(t) >= int64(len(s.tables)) {
		s.fail(RuleMalformed, "table %d does not exist", t)
	}
}

func (s *scanner) elemSection() {
	n := s.count(RuleElements, "element segments", s.l.Elements)
	for i := 0; i < n && s.ok(); i++ {
		s.segment()
	}
	s.report.Elements = n
}

// segment reads one element segment; its flags are three bits: passive or
// declarative, an explicit table index, expressions in place of indices.
func (s *scanner) segment() {
	flags := s.u32()
	if s.ok() && flags > 7 {
		s.fail(RuleMalformed, "an element segment has the unknown form %d", flags)
	}
	active := flags&1 == 0
	if active && flags&2 != 0 {
		s.tableIndex()
	} else if active && s.ok() && len(s.tables) == 0 {
		s.fail(RuleMalformed, "an element segment needs a table")
	}
	if active {
		s.constExpr()
	}
	exprs := flags&4 != 0
	if flags&3 != 0 {
		if exprs {
			s.refType()
		} else if k := s.byte(); s.ok() && k != 0 {
			s.fail(RuleMalformed, "an element segment has the unknown kind %d", k)
		}
	}
	n := s.count(RuleElements, "elements", s.l.Elements)
	for i := 0; i < n && s.ok(); i++ {
		if exprs {
			s.constExpr()
		} else {
			s.funcIndex()
		}
	}
}

func (s *scanner) dataSection() {
	n := s.count(RuleSegments, "data segments", s.l.Segments)
	for i := 0; i < n && s.ok(); i++ {
		switch flags := s.u32(); flags {
		case 0, 1, 2:
			if flags == 2 {
				if m := s.u32(); s.ok() && m != 0 {
					s.fail(RuleFeature, "several memories are not supported")
				}
			}
			if flags != 1 {
				if s.ok() && s.memory == nil {
					s.fail(RuleMalformed, "a data segment needs a memory")
				}
				s.constExpr()
			}
		default:
			s.fail(RuleMalformed, "a data segment has the unknown form %d", flags)
		}
		s.skip(int(s.u32()))
	}
	s.report.Segments = n
}
