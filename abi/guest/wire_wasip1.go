package guest

import "github.com/extism/go-pdk"

// Request and bulk blocks become the host's when it is called. Answers are the
// guest's and are freed once copied.

//go:wasmimport glovebox:host/v1 fetch
func importFetch(req, body uint64) uint64

//go:wasmimport glovebox:host/v1 fs_read
func importFsRead(req uint64) uint64

//go:wasmimport glovebox:host/v1 fs_write
func importFsWrite(req, data uint64) uint64

//go:wasmimport glovebox:host/v1 fs_list
func importFsList(req uint64) uint64

//go:wasmimport glovebox:host/v1 fs_stat
func importFsStat(req uint64) uint64

//go:wasmimport glovebox:host/v1 fs_mkdir
func importFsMkdir(req uint64) uint64

//go:wasmimport glovebox:host/v1 fs_remove
func importFsRemove(req uint64) uint64

//go:wasmimport glovebox:host/v1 fs_rename
func importFsRename(req uint64) uint64

//go:wasmimport glovebox:host/v1 secret_handle
func importSecret(req uint64) uint64

//go:wasmimport glovebox:host/v1 kv_get
func importKVGet(req uint64) uint64

//go:wasmimport glovebox:host/v1 kv_set
func importKVSet(req, value uint64) uint64

//go:wasmimport glovebox:host/v1 kv_delete
func importKVDelete(req uint64) uint64

//go:wasmimport glovebox:host/v1 kv_list
func importKVList(req uint64) uint64

//go:wasmimport glovebox:host/v1 log
func importLog(req uint64)

//go:wasmimport glovebox:host/v1 progress
func importProgress(req uint64)

//go:wasmimport glovebox:host/v1 now
func importNow() int64

//go:wasmimport glovebox:host/v1 capabilities
func importCapabilities() uint64

//go:wasmimport glovebox:host/v1 ask
func importAsk(req uint64) uint64

func readInput() []byte    { return pdk.Input() }
func writeOutput(b []byte) { pdk.Output(b) }
func writeError(s string)  { pdk.SetErrorString(s) }

func give(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	m := pdk.AllocateBytes(b)
	return m.Offset()
}

func take(handle uint64) []byte {
	if handle == 0 {
		return nil
	}
	m := pdk.FindMemory(handle)
	b := m.ReadBytes()
	m.Free()
	return b
}

func hostBlock(_ Wire, handle uint64) []byte { return take(handle) }
func hostNow(Wire) int64                     { return importNow() }
func hostLog(_ Wire, req []byte)             { importLog(give(req)) }
func hostProgress(_ Wire, req []byte)        { importProgress(give(req)) }
func hostCapabilities(Wire) []byte           { return take(importCapabilities()) }
func hostAsk(_ Wire, req []byte) []byte      { return take(importAsk(give(req))) }
func hostSecret(_ Wire, req []byte) []byte   { return take(importSecret(give(req))) }
func hostFsRead(_ Wire, req []byte) []byte   { return take(importFsRead(give(req))) }
func hostFsList(_ Wire, req []byte) []byte   { return take(importFsList(give(req))) }
func hostFsStat(_ Wire, req []byte) []byte   { return take(importFsStat(give(req))) }
func hostFsMkdir(_ Wire, req []byte) []byte  { return take(importFsMkdir(give(req))) }
func hostFsRemove(_ Wire, req []byte) []byte { return take(importFsRemove(give(req))) }
func hostFsRename(_ Wire, req []byte) []byte { return take(importFsRename(give(req))) }
func hostKVGet(_ Wire, req []byte) []byte    { return take(importKVGet(give(req))) }
func hostKVDelete(_ Wire, req []byte) []byte { return take(importKVDelete(give(req))) }
func hostKVList(_ Wire, req []byte) []byte   { return take(importKVList(give(req))) }

func hostFetch(_ Wire, req, body []byte) []byte   { return take(importFetch(give(req), give(body))) }
func hostFsWrite(_ Wire, req, data []byte) []byte { return take(importFsWrite(give(req), give(data))) }
func hostKVSet(_ Wire, req, value []byte) []byte  { return take(importKVSet(give(req), give(value))) }

func hostConfig(_ Wire, key []byte) []byte {
	v, ok := pdk.GetConfig(string(key))
	if !ok {
		return nil
	}
	return append([]byte{}, v...)
}
