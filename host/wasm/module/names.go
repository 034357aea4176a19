package module

import (
	"encoding/binary"
	"unicode/utf8"
)

// Bounds of the names that are kept for stack traces.
const (
	maxNames     = 2 << 20 // bytes of the section
	maxNameBytes = 1 << 10 // of one name; longer ones are cut
)

// names returns the contents of a name section with nothing but the names of
// functions, made anew from the module's own if that is well formed, or nil. The
// engine allocates by the counts in this section, so it is never copied as it is.
func (w *rewriter) names() []byte {
	var entries []byte
	n := uint64(0)
	next := int64(0)
	for sub := (reader{b: w.b, off: w.nameAt, end: w.nameEnd, fn: NoFunc}); w.nameAt > 0 && sub.left() > 0; {
		id := sub.byte()
		size := sub.u32()
		content := sub.bytes(int(size))
		if !sub.ok() {
			return nil
		}
		if id != 1 {
			continue
		}
		r := reader{b: content, end: len(content), fn: NoFunc}
		for count := r.u32(); count > 0 && r.ok(); count-- {
			i := r.u32()
			name := r.bytes(int(r.u32()))
			if !r.ok() || int64(i) < next || int64(i) >= int64(len(w.funcs)) || !utf8.Valid(name) {
				return nil
			}
			next = int64(i) + 1
			if len(name) > maxNameBytes {
				name = []byte("…")
			}
			entries = binary.AppendUvarint(entries, uint64(i))
			entries = appendName(entries, string(name))
			n++
		}
		if !r.ok() || r.left() != 0 {
			return nil
		}
		break
	}
	if n == 0 || len(entries) > maxNames {
		return nil
	}
	content := append(binary.AppendUvarint(nil, n), entries...)
	out := append(appendName(nil, "name"), 1)
	out = binary.AppendUvarint(out, uint64(len(content)))
	return append(out, content...)
}
