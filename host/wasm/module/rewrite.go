package module

import (
	"encoding/binary"
	"strings"
)

// DepthGlobal is the export under which a rewritten module shows its call depth,
// a mutable i32. After a trap, a value above RewriteLimits.Stack says that the
// trap was the stack limit; after anything else the value is at most the limit.
const DepthGlobal = "__glovebox_depth"

// reserved begins the names that belong to the rewriter.
const reserved = "__glovebox"

// MaxStack is the largest RewriteLimits.Stack.
const MaxStack = 100_000

// RewriteLimits is what Rewrite bakes into a module.
type RewriteLimits struct {
	TableMax    uint32 // entries that each table may grow to
	MemoryPages uint32 // pages of 64 KiB that the memory may grow to
	Stack       uint32 // call depth; see Rewrite for its unit
}

// Rewritten returns the limits with room for what Rewrite adds, for a scan of its
// output.
func (l Limits) Rewritten() Limits {
	l.Size = 3 * l.Size
	l.Types *= 2
	l.Globals++
	l.Exports++
	l.Body = 4*l.Body + 64
	l.Nesting++
	l.Blocks += 2
	l.BlockLocals += 2 * l.Locals
	return l
}

// Rewrite scans b with DefaultLimits and returns a module that behaves the same
// within the limits l:
//
//   - The maximum of every table and of the memory is lowered to the limits, so
//     that growing past them answers −1. A minimum above them is refused.
//   - A counter of the call depth is added, since the engine's own stack grows to
//     400 MB outside every memory limit. A function that calls others adds its
//     weight when it is entered, traps with unreachable if the sum passes
//     l.Stack, and takes the weight off when it returns. The weight is 1, and one
//     more for each KiB of code and each 64 locals, because the engine's frames
//     grow with both. Functions that call only imports or nothing are unchanged.
//   - Custom sections are dropped, but for the names of functions.
//
// Nothing that exists moves: the counter is appended to the globals and its
// export, DepthGlobal, to the exports. The original cannot name it, because Scan
// checks every index. A module that uses names that begin with __glovebox is
// refused. The error is a *Refusal.
func Rewrite(b []byte, l RewriteLimits) ([]byte, error) {
	return rewrite(b, DefaultLimits(), l)
}

func rewrite(b []byte, sl Limits, l RewriteLimits) ([]byte, error) {
	if l.Stack == 0 || l.Stack > MaxStack {
		return nil, &Refusal{Rule: RuleStack, Func: NoFunc, Got: int64(l.Stack), Limit: MaxStack, Detail: "the stack limit must be at least 1"}
	}
	s, err := decode(b, sl)
	if err != nil {
		return nil, err
	}
	if err := s.refuseReserved(); err != nil {
		return nil, err
	}
	if err := s.refuseMinimums(l); err != nil {
		return nil, err
	}
	w := &rewriter{scanner: s, l: l, depth: uint32(len(s.globals)), blockTypes: map[string]uint32{}}
	return w.module()
}

func (s *scanner) refuseReserved() error {
	for _, i := range s.report.Imports {
		if strings.HasPrefix(i.Module, reserved) || strings.HasPrefix(i.Name, reserved) {
			return &Refusal{Rule: RuleReserved, Func: NoFunc, Detail: "import " + quote(i.Module) + "." + quote(i.Name) + " uses a reserved name"}
		}
	}
	for _, e := range s.report.Exports {
		if strings.HasPrefix(e.Name, reserved) {
			return &Refusal{Rule: RuleReserved, Func: NoFunc, Detail: "export " + quote(e.Name) + " uses a reserved name"}
		}
	}
	return nil
}

func (s *scanner) refuseMinimums(l RewriteLimits) error {
	for _, t := range s.tables {
		if t.min > l.TableMax {
			return &Refusal{Rule: RuleTableMin, Func: NoFunc, Got: int64(t.min), Limit: int64(l.TableMax), Detail: "too many table entries"}
		}
	}
	if s.memory != nil && s.memory.min > l.MemoryPages {
		return &Refusal{Rule: RuleMemoryMin, Func: NoFunc, Got: int64(s.memory.min), Limit: int64(l.MemoryPages), Detail: "the memory starts with too many pages"}
	}
	return nil
}

// rewriter emits the changed module.
type rewriter struct {
	*scanner
	l          RewriteLimits
	depth      uint32            // index of the counter
	blockTypes map[string]uint32 // results → appended type () → results
	newTypes   []string          // in order of their indices
	out        []byte
}

func (w *rewriter) module() ([]byte, error) {
	code, err := w.code() // first, because it decides which types are appended
	if err != nil {
		return nil, err
	}
	w.out = append(make([]byte, 0, len(w.b)+len(code)/8), w.b[:8]...)
	have := map[byte]section{}
	for _, s := range w.sections {
		have[s.id] = s
	}
	for _, id := range []byte{secType, secImport, secFunc, secTable, secMemory, secGlobal, secExport, secStart, secElem, secDataCount, secCode, secData} {
		s, ok := have[id]
		switch id {
		case secType:
			w.emitTypes(s, ok)
		case secTable:
			w.emitTables()
		case secMemory:
			w.emitMemory()
		case secGlobal:
			w.appendTo(id, s, ok, []byte{0x7f, 1, 0x41, 0, opEnd})
		case secExport:
			w.appendTo(id, s, ok, append(appendName(nil, DepthGlobal), binary.AppendUvarint([]byte{3}, uint64(w.depth))...))
		case secCode:
			if ok {
				w.section(id, code)
			}
		default:
			if ok {
				w.section(id, w.b[s.start:s.end])
			}
		}
	}
	if names := w.names(); names != nil {
		w.section(secCustom, names)
	}
	return w.out, nil
}

// section appends one section to the output.
func (w *rewriter) section(id byte, content []byte) {
	w.out = append(w.out, id)
	w.out = binary.AppendUvarint(w.out, uint64(len(content)))
	w.out = append(w.out, content...)
}

// appendTo appends one entry to the vector that is the section s.
func (w *rewriter) appendTo(id byte, s section, ok bool, entry []byte) {
	n, rest := uint64(0), []byte(nil)
	if ok {
		r := reader{b: w.b, off: s.start, end: s.end}
		n, rest = uint64(r.u32()), w.b[r.off:s.end]
	}
	content := binary.AppendUvarint(nil, n+1)
	content = append(content, rest...)
	w.section(id, append(content, entry...))
}

func (w *rewriter) emitTypes(s section, ok bool) {
	if !ok {
		return
	}
	r := reader{b: w.b, off: s.start, end: s.end}
	n := uint64(r.u32())
	content := binary.AppendUvarint(nil, n+uint64(len(w.newTypes)))
	content = append(content, w.b[r.off:s.end]...)
	for _, t := range w.newTypes {
		content = append(content, 0x60, 0)
		content = binary.AppendUvarint(content, uint64(len(t)))
		content = append(content, t...)
	}
	w.section(secType, content)
}

func (w *rewriter) emitTables() {
	if len(w.tables) == 0 {
		return
	}
	content := binary.AppendUvarint(nil, uint64(len(w.tables)))
	for _, t := range w.tables {
		content = append(content, t.elem)
		content = t.clamp(w.l.TableMax).append(content)
	}
	w.section(secTable, content)
}

func (w *rewriter) emitMemory() {
	if w.memory == nil {
		return
	}
	w.section(secMemory, w.memory.clamp(w.l.MemoryPages).append([]byte{1}))
}

func (l limits) clamp(most uint32) limits {
	if !l.hasMax || l.max > most {
		l.hasMax, l.max = true, most
	}
	return l
}

func (l limits) append(b []byte) []byte {
	b = append(b, 1)
	b = binary.AppendUvarint(b, uint64(l.min))
	return binary.AppendUvarint(b, uint64(l.max))
}

func appendName(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
