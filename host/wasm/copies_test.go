package wasm

import (
	"runtime"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
)

// TestNoCopiesOutsideOfTheBudget (MEM-1): a guest with one large block names it in call
// after call; what the host copies of it is no more than the function can use.
func TestNoCopiesOutsideOfTheBudget(t *testing.T) {
	e := newTest(t, Config{})
	one := abitest.Type{Params: []byte{abitest.I64}, Results: []byte{abitest.I64}}
	two := abitest.Type{Params: []byte{abitest.I64, abitest.I64}, Results: []byte{abitest.I64}}
	log := abitest.Type{Params: []byte{abitest.I64}}
	set := abitest.Type{Params: []byte{abitest.I64, abitest.I64}}
	const size, times = 50 * abi.MiB, 20
	guest := func(imp abitest.Import) []byte {
		code := [][]byte{abitest.Const64(size), abitest.Call(0), {0x1a}} // the first block lies at kernelBase
		for range times {
			for range imp.Type.Params {
				code = append(code, abitest.Const64(kernelBase))
			}
			code = append(code, abitest.Call(1))
			for range imp.Type.Results {
				code = append(code, []byte{0x1a})
			}
		}
		return abitest.Module{
			Imports: []abitest.Import{{Module: abi.NamespaceEnv, Name: "alloc", Type: one}, imp},
			Funcs:   []abitest.Func{{Export: "run", Type: abitest.Type{Results: []byte{abitest.I32}}, Code: abitest.Code(append(code, abitest.Const32(0))...)}},
		}.Bytes()
	}
	for _, imp := range []abitest.Import{
		{Module: abi.NamespaceEnv, Name: "log_info", Type: log}, {Module: abi.NamespaceEnv, Name: "config_get", Type: one},
		{Module: abi.NamespaceEnv, Name: "var_get", Type: one}, {Module: abi.NamespaceEnv, Name: "var_set", Type: set},
		{Module: abi.NamespaceEnv, Name: "http_request", Type: two}, {Module: abi.NamespaceEnv, Name: "error_set", Type: log},
		{Module: abi.NamespaceHost, Name: "log", Type: log}, {Module: abi.NamespaceHost, Name: "progress", Type: log},
		{Module: abi.NamespaceHost, Name: "fetch", Type: two}, {Module: abi.NamespaceHost, Name: "kv_set", Type: two},
		{Module: abi.NamespaceHost, Name: "fs_write", Type: two}, {Module: abi.NamespaceHost, Name: "fs_read", Type: one},
		{Module: abi.NamespaceUser, Name: "create_elicitation", Type: one}, {Module: abi.NamespaceUser, Name: "notify_progress", Type: log},
	} {
		b := guest(imp)
		_, _ = e.Call(t.Context(), raw(b, "run", "", withLimits(func(l *abi.Limits) { l.Memory = abi.MiB }))) // loads it
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		out, _ := e.Call(t.Context(), raw(b, "run", ""))
		runtime.ReadMemStats(&after)
		if out == nil || out.Usage.Memory < size {
			t.Fatalf("%s: the guest did not run: %+v", imp.Name, out)
		}
		// The block itself, growing it, and twenty bounded copies.
		if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 3*size {
			t.Errorf("%s: the host allocated %d MiB for a guest of %d MiB", imp.Name, grown>>20, int64(size)>>20)
		}
	}
}
