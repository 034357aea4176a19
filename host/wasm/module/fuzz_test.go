package module_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

// FuzzScan feeds arbitrary bytes. Scan must not panic nor allocate beyond what it
// was given; what it accepts must be as valid after Rewrite as it was before, by
// the judgement of the engine.
func FuzzScan(f *testing.F) {
	for _, c := range modtest.Corpus() {
		if len(c.Wasm) < 4096 {
			f.Add(c.Wasm)
		}
	}
	f.Add(countdown(nil))
	plugins := filepath.Join(testenv.ModuleDir(f, "github.com/extism/go-sdk"), "wasm")
	for _, name := range []string{"alloc.wasm", "hello.wasm", "fail.wasm"} {
		b, err := os.ReadFile(filepath.Join(plugins, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	specs := filepath.Join(spectests(f), "v2", "testdata")
	for _, name := range []string{"br_table.0", "bulk.0", "call.0", "elem.0", "global.0", "simd_const.0", "simd_lane.0", "table_grow.0", "names.0", "binary.0", "data.0", "custom.0"} {
		b, err := os.ReadFile(filepath.Join(specs, name+".wasm"))
		if err == nil {
			f.Add(b)
		}
	}
	l := module.RewriteLimits{TableMax: 65_536, MemoryPages: 65_536, Stack: 10_000}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 {
			t.Skip()
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, scan := module.Scan(b, module.DefaultLimits())
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20+uint64(len(b))*200 {
			t.Errorf("%d bytes allocated for %d", got, len(b))
		}
		out, err := module.Rewrite(b, l)
		if scan != nil {
			if err == nil {
				t.Fatalf("rewritten although the scan says %v", scan)
			}
			return
		}
		if err != nil {
			if r := ruleOf(err); r != module.RuleReserved && r != module.RuleTableMin && r != module.RuleMemoryMin {
				t.Fatalf("accepted by the scan, then %v", err)
			}
			return
		}
		if _, err := module.Scan(out, module.DefaultLimits().Rewritten()); err != nil {
			t.Fatalf("the rewritten module: %v", err)
		}
		r := wazero.NewRuntimeWithConfig(t.Context(), interpreter())
		defer r.Close(context.Background())
		// The engine refuses modules for their custom sections, which are dropped.
		was, is := valid(r, b), valid(r, out)
		if was == nil && is != nil {
			t.Fatalf("valid, and after rewriting: %v", is)
		}
		if was != nil && is == nil && len(scanCustoms(b)) == 0 {
			t.Fatalf("%v, and after rewriting valid", was)
		}
	})
}

func scanCustoms(b []byte) map[string]int {
	r, err := module.Scan(b, module.DefaultLimits())
	if err != nil {
		return nil
	}
	return r.Customs
}
