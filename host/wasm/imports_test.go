package wasm

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero/api"
)

// TestNarrowParameters: the upper half of an i32's slot is not the guest's to set and
// not ours to read.
func TestNarrowParameters(t *testing.T) {
	t.Parallel()
	var got []uint64
	f := hostFunc{params: types(i32, i64), kernel: true, run: func(_ context.Context, _ *call, _ api.Module, s []uint64) { got = append(got, s[0], s[1]) }}
	f.bind()(context.WithValue(t.Context(), callKey{}, &call{}), nil, []uint64{0xdeadbeef_00000001, 0xdeadbeef_00000002})
	if got[0] != 1 || got[1] != 0xdeadbeef_00000002 {
		t.Errorf("got %x", got)
	}
}
