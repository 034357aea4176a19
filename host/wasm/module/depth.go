package module

import "encoding/binary"

// code returns the contents of the code section with the depth counter in every
// function that calls others.
func (w *rewriter) code() ([]byte, error) {
	out := binary.AppendUvarint(make([]byte, 0, w.codeSize()), uint64(len(w.bodies)))
	var buf []byte
	for i, b := range w.bodies {
		if !b.calls {
			out = binary.AppendUvarint(out, uint64(b.end-b.start))
			out = append(out, w.b[b.start:b.end]...)
			continue
		}
		var err error
		if buf, err = w.counted(buf[:0], w.nImpFunc+i, b); err != nil {
			return nil, err
		}
		out = binary.AppendUvarint(out, uint64(len(buf)))
		out = append(out, buf...)
	}
	return out, nil
}

func (w *rewriter) codeSize() int {
	n := 16
	for _, b := range w.bodies {
		n += b.end - b.start + 5
		if b.calls {
			n += 48
		}
	}
	return n
}

// weight is what one activation of the function adds to the depth. The engine
// gives every value that it spills a slot of its own, up to 16 bytes for about 4
// bytes of code, so that the worst code fills some 8 KiB of stack for each unit.
func (b body) weight() int64 {
	return 1 + int64(b.end-b.code)/1024 + int64(b.slots)/64
}

// counted appends the body with its counter to buf:
//
//	depth += weight; if depth > limit { unreachable }
//	block (results)
//	  … the original code, in which return becomes a branch to this block …
//	end
//	depth -= weight
//
// A branch to the function's own label lands at the end of the block by itself,
// because the block takes that label's place.
func (w *rewriter) counted(buf []byte, fn int, b body) ([]byte, error) {
	buf = append(buf, w.b[b.start:b.code]...) // locals
	buf = w.add(buf, b.weight(), 0x6a)
	buf = append(buf, 0x23)
	buf = binary.AppendUvarint(buf, uint64(w.depth))
	buf = append(buf, 0x41)
	buf = appendSigned(buf, int64(w.l.Stack))
	buf = append(buf, 0x4b, opIf, 0x40, 0x00, opEnd) // i32.gt_u if unreachable end
	buf = append(buf, opBlock)
	buf = w.blockType(buf, w.types[w.funcs[fn]].results)

	copied := b.code
	walk := walker{scanner: &scanner{
		reader: reader{b: w.b, off: b.code, end: b.end, fn: fn, what: "function body"},
		l:      w.scanner.l, types: w.types, funcs: w.funcs, globals: w.globals, tables: w.tables,
		memory: w.memory, nImpFunc: w.nImpFunc, nImpGlob: w.nImpGlob, dataN: w.dataN,
	}, slots: b.slots}
	walk.onReturn = func(off, depth int) {
		buf = append(buf, w.b[copied:off]...)
		buf = append(buf, opBr)
		buf = binary.AppendUvarint(buf, uint64(depth))
		copied = off + 1
	}
	walk.walk()
	if walk.err != nil {
		return nil, walk.err
	}
	buf = append(buf, w.b[copied:b.end]...) // its end closes the block
	buf = w.add(buf, b.weight(), 0x6b)
	return append(buf, opEnd), nil
}

// add appends: depth = depth op n.
func (w *rewriter) add(buf []byte, n int64, op byte) []byte {
	buf = append(buf, 0x23)
	buf = binary.AppendUvarint(buf, uint64(w.depth))
	buf = append(buf, 0x41)
	buf = appendSigned(buf, n)
	buf = append(buf, op, 0x24)
	return binary.AppendUvarint(buf, uint64(w.depth))
}

// blockType appends the type of a block that leaves results.
func (w *rewriter) blockType(buf []byte, results []byte) []byte {
	switch len(results) {
	case 0:
		return append(buf, 0x40)
	case 1:
		return append(buf, results[0])
	}
	i, ok := w.blockTypes[string(results)]
	if !ok {
		i = uint32(len(w.types) + len(w.newTypes))
		w.blockTypes[string(results)] = i
		w.newTypes = append(w.newTypes, string(results))
	}
	return appendSigned(buf, int64(i))
}

// appendSigned appends v as signed LEB128.
func appendSigned(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
