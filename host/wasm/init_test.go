package wasm

import (
	"slices"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
)

// TestEveryCapabilityWaitsForTheCall has an initialiser use each capability of our
// namespace: what it drew in would be in the snapshot of every later call.
func TestEveryCapabilityWaitsForTheCall(t *testing.T) {
	t.Parallel()
	h := abitest.Type{Params: []byte{abitest.I64}, Results: []byte{abitest.I64}}
	for name, of := range map[string]struct{ capability, request string }{
		"fs_list":       {"files", `{"path":"/data"}`},
		"kv_list":       {"kv", `{"prefix":"abc"}`},
		"secret_handle": {"secrets", `{"name":"x"}    `},
		"ask":           {"human", `{"question":"?"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guest := abitest.Module{
				Imports: []abitest.Import{
					{Module: abi.NamespaceEnv, Name: "alloc", Type: h},
					{Module: abi.NamespaceEnv, Name: "store_u64", Type: abitest.Type{Params: []byte{abitest.I64, abitest.I64}}},
					{Module: abi.NamespaceHost, Name: name, Type: h},
				},
				Memory:  1,
				Globals: []int64{0},
				Funcs: []abitest.Func{
					{Export: "_initialize", Code: abitest.Code(
						abitest.Const64(16), abitest.Call(0), []byte{0x24, 0},
						[]byte{0x23, 0}, abitest.Const64(word(of.request[:8])), abitest.Call(1),
						[]byte{0x23, 0}, abitest.Const64(8), []byte{0x7c}, abitest.Const64(word(of.request[8:])), abitest.Call(1),
						[]byte{0x23, 0}, abitest.Call(2), abitest.Drop,
					)},
					{Export: "run", Type: abitest.Type{Results: []byte{abitest.I32}}, Code: abitest.Const32(0)},
				},
			}.Bytes()
			out, err := newTest(t, Config{}).Call(t.Context(), raw(guest, "run", "", func(inv *Invocation) {
				inv.Rights.Human = true
				inv.Rights.KV = &abi.KVRight{MaxBytes: abi.KiB}
				inv.Rights.Files = []abi.FileRight{{Mount: "/data", Host: t.TempDir()}}
			}))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(out.Denials, func(p abi.Problem) bool { return p.Code == abi.CodePhase && p.Capability == of.capability }) {
				t.Errorf("no refusal of %s while initialising: %+v", of.capability, out.Denials)
			}
		})
	}
}
