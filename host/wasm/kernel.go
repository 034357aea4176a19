package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// Geometry of the kernel's arena.
const (
	kernelBase   = 64   // offsets below are never handed out: 0 is null
	kernelSlack  = 64   // readable bytes behind the last block; some plugins run past theirs
	kernelFirst  = 4096 // bytes committed at first
	kernelRecord = 64   // bytes of budget that the record of one block costs
)

// errBadHandle and errOutside are violations by a broken or hostile guest.
var (
	errBadHandle = errors.New("bad kernel handle")
	errOutside   = errors.New("access outside the kernel's memory")
)

// span is a range of the arena.
type span struct{ off, len uint64 }

// block is one live block. A consumed block has been handed to a host function: it
// stays readable and becomes reusable when the guest frees it as well, or when space
// runs out.
type block struct {
	len, cap uint64
	consumed bool
}

// kernel is the exchange arena of one instance. Its records live outside the arena,
// so a guest that scribbles over it can only harm its own data.
type kernel struct {
	budget     *budget
	buf        []byte // committed; len is the end of what a guest may touch
	top        uint64 // end of the last block ever made
	blocks     map[uint64]block
	free       map[uint64][]uint64 // capacity -> offsets of blocks that the guest freed
	quarantine []uint64            // consumed blocks, oldest first; may name blocks freed since
	in, out    span
	err        uint64 // handle of the error text; 0 = none
}

func newKernel(b *budget) *kernel {
	return &kernel{budget: b, top: kernelBase, blocks: map[uint64]block{}, free: map[uint64][]uint64{}}
}

// class rounds a length up to a block's capacity: exact multiples of 8 up to 1 KiB,
// then four steps to each doubling, so that freed blocks fit again.
func class(n uint64) uint64 {
	if n <= 1024 {
		return (n + 7) &^ 7
	}
	step := uint64(1) << (bits.Len64(n-1) - 3)
	return (n + step - 1) &^ (step - 1)
}

// alloc makes a zeroed block of n bytes. n = 0 gives 0, which is no failure.
func (k *kernel) alloc(n uint64) (uint64, error) {
	if n == 0 {
		return 0, nil
	}
	if k.budget.max < 0 || n > uint64(k.budget.max) {
		return 0, &LimitError{Limit: "memory", Got: clamp(n), Max: k.budget.max}
	}
	size := class(n)
	if !k.budget.take(kernelRecord) {
		return 0, k.full(n)
	}
	off, ok := k.reuse(size)
	if !ok {
		off, ok = k.bump(size)
	}
	for !ok && len(k.quarantine) > 0 {
		k.reclaim()
		off, ok = k.reuse(size)
	}
	if !ok {
		off, size, ok = k.larger(size)
	}
	if !ok {
		k.budget.give(kernelRecord)
		return 0, k.full(n)
	}
	k.blocks[off] = block{len: n, cap: size}
	return off, nil
}

func (k *kernel) full(n uint64) error {
	return &LimitError{Limit: k.budget.refused, Got: clamp(n), Max: k.budget.max}
}

// reuse takes a freed block of exactly the capacity size.
func (k *kernel) reuse(size uint64) (uint64, bool) {
	list := k.free[size]
	if len(list) == 0 {
		return 0, false
	}
	off := list[len(list)-1]
	k.free[size] = list[:len(list)-1]
	clear(k.buf[off : off+size])
	return off, true
}

// larger takes any freed block that is big enough; the last resort.
func (k *kernel) larger(size uint64) (uint64, uint64, bool) {
	for have, list := range k.free {
		if have >= size && len(list) > 0 {
			off, ok := k.reuse(have)
			return off, have, ok
		}
	}
	return 0, 0, false
}

// reclaim gives the oldest quarantined block back.
func (k *kernel) reclaim() {
	off := k.quarantine[0]
	k.quarantine = k.quarantine[1:]
	if b, ok := k.blocks[off]; ok && b.consumed {
		k.drop(off, b)
	}
}

// bump takes fresh bytes behind the last block, committing more if needed.
func (k *kernel) bump(size uint64) (uint64, bool) {
	off := k.top
	need := off + size + kernelSlack
	if need > uint64(len(k.buf)) && !k.commit(need) {
		return 0, false
	}
	k.top = off + size
	return off, true
}

// commit grows the arena to at least need bytes: geometrically, also towards the end
// of the budget, so that copying stays cheap however small the steps of the guest are.
func (k *kernel) commit(need uint64) bool {
	have, refused := uint64(len(k.buf)), k.budget.refused
	rest := uint64(max(k.budget.max-k.budget.used, 0))
	for _, want := range []uint64{2 * have, have + rest/2, need} {
		want = (max(want, need, kernelFirst) + 7) &^ 7
		if !k.budget.take(int64(want - have)) {
			continue
		}
		k.budget.refused = refused
		next := make([]byte, want)
		copy(next, k.buf)
		k.buf = next
		return true
	}
	return false
}

func (k *kernel) drop(off uint64, b block) {
	delete(k.blocks, off)
	k.free[b.cap] = append(k.free[b.cap], off)
	k.budget.give(kernelRecord)
	if k.in.off == off {
		k.in = span{}
	}
	if k.err == off {
		k.err = 0
	}
}

// release is the guest's free: unknown, interior, null and freed offsets are no-ops.
func (k *kernel) release(off uint64) {
	if b, ok := k.blocks[off]; ok {
		k.drop(off, b)
	}
}

// length of the live block that starts at off; 0 if there is none.
func (k *kernel) length(off uint64) uint64 { return k.blocks[off].len }

// bytes returns the block at the handle h: a view that is valid until the next
// allocation. 0 is the empty block.
func (k *kernel) bytes(h uint64) ([]byte, error) {
	if h == 0 {
		return nil, nil
	}
	b, ok := k.blocks[h]
	if !ok {
		return nil, fmt.Errorf("%w %d", errBadHandle, h)
	}
	return k.buf[h : h+b.len : h+b.len], nil
}

// consume returns the block at h, as bytes does, and puts it into quarantine: guests
// free what they handed over, and may do so before they read the answer.
func (k *kernel) consume(h uint64) ([]byte, error) {
	view, err := k.bytes(h)
	if err != nil || h == 0 {
		return nil, err
	}
	if b := k.blocks[h]; !b.consumed {
		b.consumed = true
		k.blocks[h] = b
		k.quarantine = append(k.quarantine, h)
	}
	return view, nil
}

// put makes a block that holds p; 0 if p is empty.
func (k *kernel) put(p []byte) (uint64, error) {
	off, err := k.alloc(uint64(len(p)))
	if err != nil || off == 0 {
		return 0, err
	}
	copy(k.buf[off:], p)
	return off, nil
}

// within reports whether [off, off+n) lies in the part that a guest may touch.
func (k *kernel) within(off, n uint64) bool {
	size := uint64(len(k.buf))
	return off >= kernelBase && n <= size && off <= size-n
}

func (k *kernel) load8(off uint64) (byte, error) {
	if !k.within(off, 1) {
		return 0, fmt.Errorf("%w: load of 1 byte at %d", errOutside, off)
	}
	return k.buf[off], nil
}

func (k *kernel) load64(off uint64) (uint64, error) {
	if !k.within(off, 8) {
		return 0, fmt.Errorf("%w: load of 8 bytes at %d", errOutside, off)
	}
	return binary.LittleEndian.Uint64(k.buf[off:]), nil
}

func (k *kernel) store8(off uint64, v byte) error {
	if !k.within(off, 1) {
		return fmt.Errorf("%w: store of 1 byte at %d", errOutside, off)
	}
	k.buf[off] = v
	return nil
}

func (k *kernel) store64(off, v uint64) error {
	if !k.within(off, 8) {
		return fmt.Errorf("%w: store of 8 bytes at %d", errOutside, off)
	}
	binary.LittleEndian.PutUint64(k.buf[off:], v)
	return nil
}

// input8 and input64 read the input; bytes past its end are 0.
func (k *kernel) input8(i uint64) byte {
	if i >= k.in.len {
		return 0
	}
	return k.buf[k.in.off+i]
}

func (k *kernel) input64(i uint64) uint64 {
	if i >= k.in.len {
		return 0
	}
	var word [8]byte
	copy(word[:], k.buf[k.in.off+i:k.in.off+k.in.len])
	return binary.LittleEndian.Uint64(word[:])
}

// setInput and setOutput take any range of the arena; an empty one clears.
func (k *kernel) setInput(off, n uint64) error {
	return k.setSpan(&k.in, "input", off, n)
}

func (k *kernel) setOutput(off, n uint64) error {
	return k.setSpan(&k.out, "output", off, n)
}

func (k *kernel) setSpan(s *span, what string, off, n uint64) error {
	if n == 0 {
		*s = span{}
		return nil
	}
	if !k.within(off, n) {
		return fmt.Errorf("%w: %s of %d bytes at %d", errOutside, what, n, off)
	}
	*s = span{off, n}
	return nil
}

// output copies the output; the caller has checked its length.
func (k *kernel) output() []byte {
	return append([]byte(nil), k.buf[k.out.off:k.out.off+k.out.len]...)
}

// errorText is the block of error_set, as far as anybody is shown it, and whether one
// was set.
func (k *kernel) errorText() (string, bool) {
	if k.err == 0 {
		return "", false
	}
	b, err := k.bytes(k.err)
	if err != nil {
		return "", true
	}
	return string(b[:min(len(b), maxErrorText+utf8.UTFMax)]), true
}

// reset drops every block, input, output and error; what was committed stays, zeroed.
func (k *kernel) reset() {
	k.budget.give(int64(len(k.blocks)) * kernelRecord)
	clear(k.buf)
	clear(k.blocks)
	clear(k.free)
	k.quarantine, k.in, k.out, k.err, k.top = nil, span{}, span{}, 0, kernelBase
}

// clamp makes a guest's number fit for a message.
func clamp(n uint64) int64 { return int64(min(n, 1<<62)) }
