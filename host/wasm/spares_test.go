package wasm

import (
	"bytes"
	"testing"

	"github.com/glovebox-dev/glovebox/abi/abitest"
)

func TestSparesAreZeroedAndBounded(t *testing.T) {
	t.Parallel()
	var s spares
	a := s.take(64<<10, 128<<10)
	for i := range a[:cap(a)] {
		a[:cap(a)][i] = 0xAA
	}
	s.put(a)
	b := s.take(64<<10, 128<<10)
	if &b[0] != &a[0] {
		t.Fatal("the memory was not kept")
	}
	if !bytes.Equal(b[:cap(b)], make([]byte, cap(b))) {
		t.Error("bytes of one call are in the memory of the next, or in what it grows into")
	}
	for range 100 {
		s.put(make([]byte, maxSpare))
	}
	s.put(make([]byte, maxSpare+1))
	if s.held > maxSpares || len(s.free[maxSpare+1]) > 0 {
		t.Errorf("%d bytes are kept, at most %d", s.held, maxSpares)
	}
	var none *spares
	none.put(a)
	if got := none.take(8, 8); len(got) != 8 {
		t.Errorf("%d bytes without spares", len(got))
	}
}

// TestRecycledMemoryIsEmpty has a guest leave a mark for its next call, in memory that
// is handed on.
func TestRecycledMemoryIsEmpty(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	guest := abitest.Module{Memory: 1, Funcs: []abitest.Func{{
		Export: "run", Type: abitest.Type{Results: []byte{abitest.I32}},
		Code: abitest.Code(
			abitest.Const32(1000), []byte{0x28, 2, 0}, // i32.load: the return code
			abitest.Const32(1000), abitest.Const32(7), []byte{0x36, 2, 0}, // i32.store
		),
	}}}.Bytes()
	for range 3 {
		if _, err := e.Call(t.Context(), raw(guest, "run", "")); err != nil {
			t.Fatalf("the mark of an earlier call is there: %v", err)
		}
		if e.spares.held == 0 {
			t.Fatal("nothing was kept: the test proves nothing")
		}
	}
}
