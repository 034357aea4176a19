//go:build !wasip1

package guest

// Outside a chamber the host's functions go through the Wire of the context, and the
// exports have nobody to serve.

func readInput() []byte  { return nil }
func writeOutput([]byte) {}
func writeError(string)  {}

// unavailable is what a context without a wire answers.
const unavailable = `{"error":{"code":"unavailable","message":"there is no host: test with guest.Fake"}}`

func call(w Wire, function string, req, bulk []byte) []byte {
	if w == nil {
		return []byte(unavailable)
	}
	return w.Call(function, req, bulk)
}

func hostBlock(w Wire, handle uint64) []byte {
	if w == nil || handle == 0 {
		return nil
	}
	return w.Block(handle)
}

func hostNow(w Wire) int64 {
	if w == nil {
		return 0
	}
	return w.Now()
}

func hostConfig(w Wire, key []byte) []byte {
	if w == nil {
		return nil
	}
	return w.Call("config_get", key, nil)
}

func hostLog(w Wire, req []byte)             { call(w, "log", req, nil) }
func hostProgress(w Wire, req []byte)        { call(w, "progress", req, nil) }
func hostCapabilities(w Wire) []byte         { return call(w, "capabilities", nil, nil) }
func hostAsk(w Wire, req []byte) []byte      { return call(w, "ask", req, nil) }
func hostSecret(w Wire, req []byte) []byte   { return call(w, "secret_handle", req, nil) }
func hostFsRead(w Wire, req []byte) []byte   { return call(w, "fs_read", req, nil) }
func hostFsList(w Wire, req []byte) []byte   { return call(w, "fs_list", req, nil) }
func hostFsStat(w Wire, req []byte) []byte   { return call(w, "fs_stat", req, nil) }
func hostFsMkdir(w Wire, req []byte) []byte  { return call(w, "fs_mkdir", req, nil) }
func hostFsRemove(w Wire, req []byte) []byte { return call(w, "fs_remove", req, nil) }
func hostFsRename(w Wire, req []byte) []byte { return call(w, "fs_rename", req, nil) }
func hostKVGet(w Wire, req []byte) []byte    { return call(w, "kv_get", req, nil) }
func hostKVDelete(w Wire, req []byte) []byte { return call(w, "kv_delete", req, nil) }
func hostKVList(w Wire, req []byte) []byte   { return call(w, "kv_list", req, nil) }

func hostFetch(w Wire, req, body []byte) []byte   { return call(w, "fetch", req, body) }
func hostFsWrite(w Wire, req, data []byte) []byte { return call(w, "fs_write", req, data) }
func hostKVSet(w Wire, req, value []byte) []byte  { return call(w, "kv_set", req, value) }
