package wasm

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
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

// TestImportOfAGlobal: the error names the import, not what the engine misses.
func TestImportOfAGlobal(t *testing.T) {
	t.Parallel()
	var b modtest.Builder
	typ := b.Type(nil, []byte{modtest.I32})
	b.Import(abi.NamespaceEnv, "base\x1b", 3, modtest.I32, 0)
	b.Export("run", 0, b.Func(typ, nil, 0x41, 0))
	_, err := newTest(t, Config{}).Call(t.Context(), raw(b.Bytes(), "run", ""))
	if r, ok := errors.AsType[*module.Refusal](err); !ok || !strings.Contains(r.Detail, `is a global and no host offers one`) || strings.ContainsRune(err.Error(), 0x1b) {
		t.Errorf("%v (%T)", err, err)
	}
}
