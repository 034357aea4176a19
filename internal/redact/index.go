package redact

import (
	"encoding/binary"
)

// needle is one spelling of a value. A run of at least need bytes of it is a match.
type needle struct {
	text []byte
	need int // 8 to len(text)
	name string
}

// maxStride is how many positions of a text share one look, where all needles are
// long enough for that.
const maxStride = 4

const hashMul = 0x9E3779B97F4A7C15 // 2^64 / golden ratio: spreads the windows over the filter

// index finds needles in one pass. It looks at eight bytes at every stride-th position
// of a text: a bit set tells almost always that no needle has them, so that the cost
// does not depend on the number of needles. It is immutable.
//
// Not every eight bytes of a needle are in the set, only enough anchors for each run of
// need bytes to hold one of them at a position that is looked at.
type index struct {
	stride  int
	needles []needle
	filter  []uint64 // bit set over the hash of a window
	shift   uint     // 64 − log2(bits of filter)
	table   []slot   // open addressing over the hash; a power of two, half empty
	anchors []anchor
	longest int // bytes of the longest needle
}

// slot maps eight bytes to the first of their anchors.
type slot struct {
	window uint64
	first  int32 // index into anchors + 1; 0 = free
}

// anchor says that eight bytes stand in a needle at an offset.
type anchor struct {
	needle int32
	at     int32
	next   int32 // another anchor of the same bytes + 1
}

// newIndex returns the index of needles, nil of none.
func newIndex(needles []needle) *index {
	if len(needles) == 0 {
		return nil
	}
	x := &index{stride: maxStride, needles: needles}
	for _, n := range needles {
		x.stride = min(x.stride, n.need-7)
		x.longest = max(x.longest, len(n.text))
	}
	for i, n := range needles {
		for _, at := range offsets(len(n.text), n.need, x.stride) {
			x.anchors = append(x.anchors, anchor{needle: int32(i), at: int32(at)}) //nolint:gosec // bounded by MaxLength and the number of secrets
		}
	}
	bits := uint(10)
	for 1<<bits < 32*len(x.anchors) && bits < 24 {
		bits++
	}
	x.filter, x.shift = make([]uint64, 1<<(bits-6)), 64-bits
	size := 16
	for size < 2*len(x.anchors) {
		size *= 2
	}
	x.table = make([]slot, size)
	for i := range x.anchors {
		x.enter(i)
	}
	return x
}

// offsets returns where a needle of length n has its anchors: groups of stride
// neighbours, so near that each run of need bytes holds one whole group.
func offsets(n, need, stride int) []int {
	last := n - 8 // the last window of the needle
	step := max(need-6-stride, 1)
	var out []int
	next := 0 // not registered yet
	for group := 0; ; group += step {
		group = min(group, last-(stride-1))
		for at := max(group, next); at < group+stride; at++ {
			out = append(out, at)
		}
		next = group + stride
		if group == last-(stride-1) || need == n {
			return out
		}
	}
}

func (x *index) enter(i int) {
	a := &x.anchors[i]
	w := binary.LittleEndian.Uint64(x.needles[a.needle].text[a.at:])
	h := (w * hashMul) >> x.shift
	x.filter[h/64] |= 1 << (h % 64)
	s := x.slot(w)
	s.window, a.next = w, s.first
	s.first = int32(i) + 1 //nolint:gosec // see newIndex
}

// slot returns the slot of w, or the free one where it would stand.
func (x *index) slot(w uint64) *slot {
	mask := uint64(len(x.table) - 1)
	for at := (w * hashMul >> 20) & mask; ; at = (at + 1) & mask {
		if s := &x.table[at]; s.first == 0 || s.window == w {
			return s
		}
	}
}

// span is one stretch of bytes that holds a value, or enough of one.
type span struct {
	from, to int
	name     string
}

// find returns the first match at or after the look at position from, which must be a
// multiple of the stride, and the position of the next look. With several matches at
// one look it returns the widest. The end is reached when ok is false.
func (x *index) find(b []byte, from int) (hit span, next int, ok bool) {
	if x == nil {
		return span{}, len(b), false
	}
	filter, shift, stride := x.filter, x.shift, x.stride
	for i := from; i+8 <= len(b); i += stride {
		w := binary.LittleEndian.Uint64(b[i:])
		h := (w * hashMul) >> shift
		if filter[h/64]&(1<<(h%64)) == 0 {
			continue
		}
		if hit, ok = x.match(b, i, w); ok {
			return hit, i + stride, true
		}
	}
	return span{}, len(b), false
}

// match compares the needles that have w with b around position i.
func (x *index) match(b []byte, i int, w uint64) (widest span, ok bool) {
	for at := x.slot(w).first; at != 0; {
		a := x.anchors[at-1]
		at = a.next
		n := &x.needles[a.needle]
		from, to := i, i+8
		for off := int(a.at); off > 0 && from > 0 && b[from-1] == n.text[off-1]; off-- {
			from--
		}
		for off := int(a.at) + 8; off < len(n.text) && to < len(b) && b[to] == n.text[off]; off++ {
			to++
		}
		if to-from >= n.need && to-from > widest.to-widest.from {
			widest, ok = span{from, to, n.name}, true
		}
	}
	return widest, ok
}

// all appends the spans of every match in b to out.
func (x *index) all(out []span, b []byte) []span {
	for at := 0; ; {
		hit, next, ok := x.find(b, at)
		if !ok {
			return out
		}
		if last := len(out) - 1; last < 0 || out[last] != hit {
			out = append(out, hit)
		}
		at = next
	}
}
