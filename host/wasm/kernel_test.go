package wasm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
)

func testKernel(limit int64) *kernel { return newKernel(&budget{max: limit}) }

func mustAlloc(t *testing.T, k *kernel, n uint64) uint64 {
	t.Helper()
	h, err := k.alloc(n)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestKernelEdges (KRN-1) through a guest: what must trap traps, what real plugins do
// works.
func TestKernelEdges(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	for input, traps := range map[string]bool{
		"0": true, "1": true, "2": true, "3": true, "4": true, "5": true, "6": true, "7": true, "8": true, "9": true,
		"a": false, "b": false, "c": false,
	} {
		out, err := e.Call(t.Context(), raw(abitest.Hostile(), "kernel_edges", input))
		_, trapped := errors.AsType[*TrapError](err)
		if trapped != traps || !traps && (err != nil || string(out.Raw) != "fine") {
			t.Errorf("case %s: %v, want a trap: %v", input, err, traps)
		}
	}
}

func TestKernelBounds(t *testing.T) {
	t.Parallel()
	k := testKernel(abi.MiB)
	h := mustAlloc(t, k, 8)
	end := uint64(len(k.buf))
	for _, off := range []uint64{0, 1, 63, 57, end, end - 7, end + 8, 1 << 32, 1<<32 + h, 1 << 63, math.MaxUint64, math.MaxUint64 - 7} {
		if _, err := k.load64(off); err == nil {
			t.Errorf("load of 8 bytes at %d", off)
		}
		if err := k.store64(off, 1); err == nil {
			t.Errorf("store of 8 bytes at %d", off)
		}
		if off != end-7 {
			if _, err := k.load8(off); err == nil {
				t.Errorf("load at %d", off)
			}
			if err := k.store8(off, 1); err == nil {
				t.Errorf("store at %d", off)
			}
		}
	}
	for _, off := range []uint64{64, h, h + 8 + kernelSlack - 8, end - 8} {
		if _, err := k.load64(off); err != nil {
			t.Error(err)
		}
	}
	for _, s := range []span{{h, end}, {0, 1}, {h, math.MaxUint64}, {math.MaxUint64, 2}, {1 << 63, 1 << 63}, {end, 1}} {
		if k.setOutput(s.off, s.len) == nil || k.setInput(s.off, s.len) == nil {
			t.Errorf("output or input %+v was taken", s)
		}
	}
	if k.setOutput(math.MaxUint64, 0) != nil || k.out.len != 0 {
		t.Error("an empty output is empty wherever it lies")
	}
}

// TestKernelFree (KRN-2).
func TestKernelFree(t *testing.T) {
	t.Parallel()
	k := testKernel(abi.MiB)
	h := mustAlloc(t, k, 100)
	copy(k.buf[h:], bytes.Repeat([]byte{9}, 100))
	k.in = span{h, 100}
	for _, off := range []uint64{h + 1, 0, 7777, math.MaxUint64} {
		k.release(off)
	}
	if k.length(h) != 100 || k.in.len != 100 {
		t.Fatal("a free of what is no block freed one")
	}
	k.release(h)
	k.release(h)
	if k.length(h) != 0 || k.in.len != 0 {
		t.Error("a freed block, or input, has a length")
	}
	again := mustAlloc(t, k, 97)
	if again != h || !bytes.Equal(k.buf[h:h+104], make([]byte, 104)) {
		t.Error("the block was not reused, or not zeroed")
	}
	if other := mustAlloc(t, k, 97); other == again {
		t.Error("one block was given out twice")
	}
}

// TestKernelQuarantine (KRN-3): a guest frees its request after the call that
// consumed it and after the answer was made, then reads the answer.
func TestKernelQuarantine(t *testing.T) {
	t.Parallel()
	k := testKernel(abi.MiB)
	request := mustAlloc(t, k, 64)
	if _, err := k.consume(request); err != nil {
		t.Fatal(err)
	}
	answer, err := k.put(bytes.Repeat([]byte("a"), 64))
	if err != nil || answer == request {
		t.Fatalf("the answer took the request's place: %v", err)
	}
	k.release(request)
	second := mustAlloc(t, k, 64)
	copy(k.buf[second:], bytes.Repeat([]byte("b"), 64))
	if got, _ := k.bytes(answer); !bytes.Equal(got, bytes.Repeat([]byte("a"), 64)) {
		t.Errorf("the answer reads %q", got)
	}
	// When space runs out, quarantined blocks come back, oldest first.
	k = testKernel(kernelFirst + 20*kernelRecord)
	first := mustAlloc(t, k, 1000)
	if _, err := k.consume(first); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		h := mustAlloc(t, k, 1000)
		if _, err := k.consume(h); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKernelMemory (KRN-4): a failed allocation is an error, metadata counts, and
// everything is given back.
func TestKernelMemory(t *testing.T) {
	t.Parallel()
	b := &budget{max: abi.MiB, parents: []*pool{{max: 2 * abi.MiB}}}
	k := newKernel(b)
	var n int
	for {
		if _, err := k.alloc(1); err != nil {
			if l, ok := errors.AsType[*LimitError](err); !ok || l.Limit != "memory" {
				t.Fatal(err)
			}
			break
		}
		n++
	}
	if n > abi.MiB/(8+kernelRecord) {
		t.Errorf("%d blocks of one byte in 1 MiB", n)
	}
	k.reset()
	if _, err := k.alloc(1000); err != nil {
		t.Errorf("after a reset: %v", err)
	}
	for _, n := range []uint64{abi.MiB + 1, 1 << 32, 1 << 63, math.MaxUint64} {
		if _, err := k.alloc(n); err == nil {
			t.Errorf("allocated %d bytes", n)
		}
	}
	b.close()
	if b.used != 0 || b.parents[0].used.Load() != 0 {
		t.Error("bytes were lost")
	}
}

func TestKernelInput(t *testing.T) {
	t.Parallel()
	k := testKernel(abi.MiB)
	h, err := k.put([]byte("hello world"))
	if err != nil {
		t.Fatal(err)
	}
	k.in = span{h, 11}
	if got := k.input64(8); got != uint64('r')|uint64('l')<<8|uint64('d')<<16 {
		t.Errorf("the end of the input reads %x", got)
	}
	for _, i := range []uint64{11, 12, 1 << 32, 1 << 63, math.MaxUint64} {
		if k.input8(i) != 0 || k.input64(i) != 0 {
			t.Errorf("the input at %d is not 0", i)
		}
	}
}

// FuzzKernel runs random sequences of kernel calls against a model: live blocks never
// overlap, keep their bytes, and the budget is exact.
func FuzzKernel(f *testing.F) {
	f.Add([]byte{0, 10, 0, 20, 1, 0, 2, 1, 0, 10, 3, 0, 4, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		b := &budget{max: 1 << 16}
		k := newKernel(b)
		type live struct{ off, len uint64 }
		var blocks []live
		pick := func(i byte) (int, bool) { return int(i) % max(len(blocks), 1), len(blocks) > 0 }
		for i := 0; i+1 < len(ops); i += 2 {
			arg := ops[i+1]
			switch ops[i] % 8 {
			case 0:
				n := uint64(arg) * uint64(arg)
				off, err := k.alloc(n)
				if err != nil || off == 0 {
					continue
				}
				for _, o := range blocks {
					if off < o.off+o.len && o.off < off+n {
						if k.blocks[o.off].consumed {
							continue
						}
						t.Fatalf("blocks %+v and %d+%d overlap", o, off, n)
					}
				}
				for _, c := range k.buf[off : off+n] {
					if c != 0 {
						t.Fatal("a new block is not zeroed")
					}
				}
				k.buf[off] = byte(len(blocks) + 1)
				blocks = append(blocks, live{off, n})
			case 1:
				if j, ok := pick(arg); ok {
					k.release(blocks[j].off)
					blocks = append(blocks[:j], blocks[j+1:]...)
				}
			case 2:
				if j, ok := pick(arg); ok {
					if _, err := k.consume(blocks[j].off); err != nil {
						t.Fatal(err)
					}
					blocks = append(blocks[:j], blocks[j+1:]...)
				}
			case 3:
				k.release(uint64(arg))
			case 4:
				_ = k.store64(uint64(arg)<<(arg%60), math.MaxUint64)
				return // bytes are the guest's from here: only crashes count
			case 5:
				_ = k.setOutput(uint64(arg), uint64(arg)<<(arg%60))
				_ = k.output()
			case 6:
				_, _ = k.load64(binary.LittleEndian.Uint64(append(bytes.Clone(ops[i:]), make([]byte, 8)...)))
			case 7:
				_ = k.setInput(uint64(arg), uint64(arg))
				k.input64(uint64(arg))
				k.input8(math.MaxUint64)
			}
		}
		if want := int64(len(k.buf) + len(k.blocks)*kernelRecord); b.used != want {
			t.Fatalf("the budget counts %d bytes, there are %d", b.used, want)
		}
	})
}
