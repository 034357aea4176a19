package wasm

import (
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"
)

// pool counts the bytes that a group of instances holds: one agent's, or all.
type pool struct {
	max  int64
	used atomic.Int64
}

// budget is the memory of one instance: linear memory and kernel share it. It is
// used on the goroutine of the call only; the pools above it are shared.
type budget struct {
	max     int64
	used    int64
	peak    int64
	parents []*pool
	refused string // the limit that refused last; empty if none did
	spare   *spares
	clean   bool // the call ended well: nothing can still hold its memory
}

// take charges n bytes and reports whether they fit everywhere.
func (b *budget) take(n int64) bool {
	if n < 0 || b.used > b.max-n {
		b.refused = "memory"
		return false
	}
	for i, p := range b.parents {
		if p.used.Add(n) > max(p.max, b.max) { // a single call may always use its own limit
			for _, q := range b.parents[:i+1] {
				q.used.Add(-n)
			}
			b.refused = "memory_shared"
			return false
		}
	}
	b.used += n
	b.peak = max(b.peak, b.used)
	return true
}

// give returns n bytes.
func (b *budget) give(n int64) {
	b.used -= n
	for _, p := range b.parents {
		p.used.Add(-n)
	}
}

// close returns what is left.
func (b *budget) close() { b.give(b.used) }

// Allocate implements experimental.MemoryAllocator for the one memory of an instance.
func (b *budget) Allocate(_, _ uint64) experimental.LinearMemory { return &linear{budget: b} }

// linear is the linear memory of one instance, charged to its budget by size.
type linear struct {
	budget *budget
	buf    []byte
}

// Reallocate implements experimental.LinearMemory; nil means that the budget is spent,
// and the guest's memory.grow answers -1.
func (l *linear) Reallocate(size uint64) []byte {
	if size > 1<<32 {
		l.budget.refused = "memory"
		return nil
	}
	if !l.budget.take(int64(size) - int64(len(l.buf))) {
		return nil
	}
	if size <= uint64(cap(l.buf)) {
		l.buf = l.buf[:size]
		return l.buf
	}
	room := size
	if len(l.buf) > 0 { // growing: leave room, but never beyond what the budget could ever admit
		room = max(size, min(2*size, uint64(max(l.budget.max, 0))))
	}
	next := l.budget.spare.take(size, room)
	copy(next, l.buf)
	l.buf = next
	return l.buf
}

// Free implements experimental.LinearMemory.
func (l *linear) Free() {
	l.budget.give(int64(len(l.buf)))
	if l.budget.clean {
		l.budget.spare.put(l.buf)
	}
	l.buf = nil
}
