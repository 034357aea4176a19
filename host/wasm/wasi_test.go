package wasm

import (
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
)

// TestWASICallsEndAtTheDeadline (CPU-1): one call of a host function that is given the
// whole memory, many times over, is stopped like a loop of the guest.
func TestWASICallsEndAtTheDeadline(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	const pages, buffers, table = 900, 64, 16 << 10
	i32 := abitest.Type{Results: []byte{abitest.I32}}
	four := abitest.Type{Params: []byte{abitest.I32, abitest.I32, abitest.I32, abitest.I32}, Results: []byte{abitest.I32}}
	store := []byte{0x36, 0x02, 0x00}
	// The memory is nothing but line ends; each buffer is all of it behind the list.
	code := [][]byte{abitest.Const32(0), abitest.Const32('\n'), abitest.Const32(pages * wasmPage), {0xfc, 0x0b, 0x00}}
	for i := range int32(buffers) {
		code = append(code, abitest.Const32(8*i), abitest.Const32(table), store,
			abitest.Const32(8*i+4), abitest.Const32(pages*wasmPage-table), store)
	}
	write := func(fd int32) []byte {
		return abitest.Code(append(code, abitest.Const32(fd), abitest.Const32(0), abitest.Const32(buffers), abitest.Const32(8*buffers), abitest.Call(0))...)
	}
	guest := abitest.Module{
		Memory:  pages,
		Imports: []abitest.Import{{Module: namespaceWASI, Name: "fd_write", Type: four}},
		Funcs:   []abitest.Func{{Export: "stdout", Type: i32, Code: write(1)}, {Export: "stderr", Type: i32, Code: write(2)}},
	}.Bytes()
	for _, export := range []string{"stdout", "stderr"} {
		begin := time.Now()
		_, err := e.Call(t.Context(), raw(guest, export, "", withLimits(func(l *abi.Limits) { l.Wall = 300 * time.Millisecond })))
		wantLimit(t, err, "wall")
		if d := time.Since(begin); d > late {
			t.Errorf("%s: it took %v", export, d)
		}
	}
}
