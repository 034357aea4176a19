package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

// sdkModule reads a module that go-sdk carries in its own source.
func sdkModule(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testenv.ModuleDir(t, "github.com/extism/go-sdk"), "wasm", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// oracleCase is one call that go-sdk and this host must answer alike, unless differs
// says why not.
type oracleCase struct {
	file, export, input string
	config              map[string]string
	allow               string // host that may be reached
	ours                string // expected of us; "" = whatever the oracle says
	differs             string // why we deliberately differ
}

// oracleCases are the modules that go-sdk ships. Every difference is deliberate and
// has its reason here; any other fails the test.
func oracleCases(server string) []oracleCase {
	thing := map[string]string{"thing": "hello"}
	return []oracleCase{
		{file: "alloc", export: "run_test"},
		{file: "config", export: "run_test", config: thing},
		{file: "count_vowels", export: "count_vowels", input: "hello world"},
		{file: "count_vowels_std", export: "_start", input: "hello world", config: thing},
		{file: "exit", export: "_start", config: map[string]string{"code": "0"}},
		{file: "exit", export: "_start", config: map[string]string{"code": "7"}},
		{file: "exit", export: "_start"},
		{file: "fail", export: "run_test"},
		{file: "fs", export: "run_test"},
		{file: "fs_std", export: "run_test"},
		{file: "hello", export: "run_test"},
		{file: "hello_haskell", export: "testing", input: "John", config: map[string]string{"greeting": "Howdy"}},
		{file: "host", export: "run_test"}, // both fail: theirs when it loads, ours when it calls mult
		{file: "host_memory", export: "run_test", input: "Frodo"},
		{file: "host_multiple", export: "say_green"},
		{file: "host_multiple", export: "say_purple"},
		{file: "http", export: "run_test", differs: "a refusal is an answer, not a trap", ours: `{"title":"denied"`},
		{file: "http_headers", export: "http_get", input: `{"url":"` + server + `"}`, allow: "127.0.0.1"},
		{file: "input_offset", export: "input_offset_length", input: "hello world"},
		{file: "log", export: "run_test"},
		{file: "main", export: "run_test", input: "benjamin"}, // modules that need another module: both fail
		{file: "lib", export: "run_test", input: "benjamin"},
		{file: "nested.c.instr", export: "_start"}, // unknown functions: theirs fails when it loads, ours when it calls one
		{file: "noop", export: "run_test"},
		{file: "println", export: "run_test"},
		{file: "read_write", export: "try_read", config: map[string]string{"path": "/mnt/test.txt"}},
		{file: "read_write", export: "try_write", config: map[string]string{"path": "/mnt/test.txt"}},
		{file: "replace", export: "run_test", input: "brown fox"},
		{file: "sleep", export: "run_test", config: map[string]string{"duration": "0"}},
		{file: "std_command", export: "_start", input: "benjamin"},
		{file: "var", export: "run_test"},
	}
}

// serve answers as a small web server, for the oracle over loopback and for us
// directly.
func serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Test", "one")
	w.Header().Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte("body"))
}

var served = fetcher(func(ctx context.Context, _ abi.Caller, req abi.FetchRequest, _ []byte) (abi.FetchResponse, []byte, error) {
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(ctx, req.Method, req.URL, nil)
	serve(rec, r)
	rec.Header().Set("Content-Length", "4")
	rec.Header().Set("Content-Type", "text/plain; charset=utf-8")
	return abi.FetchResponse{Status: rec.Code, Headers: rec.Header(), URL: req.URL}, rec.Body.Bytes(), nil
})

// TestOracle: the same plugins, the same inputs, the same answers as go-sdk, each
// time in a fresh instance.
func TestOracle(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(serve))
	t.Cleanup(srv.Close)
	e := newTest(t, Config{})
	cache := wazero.NewCompilationCache()
	t.Cleanup(func() { _ = cache.Close(context.Background()) })
	for _, tc := range oracleCases(srv.URL) {
		t.Run(tc.file+" "+tc.export+" "+tc.config["code"], func(t *testing.T) {
			t.Parallel()
			guest := sdkModule(t, tc.file)
			out, err := e.Call(t.Context(), raw(guest, tc.export, tc.input, func(inv *Invocation) {
				inv.Rights.Config = tc.config
				inv.Services.Fetch = served
				if tc.allow != "" {
					inv.Rights.HTTP = []abi.HTTPRight{{Origin: "http://127.0.0.1"}}
				}
			}))
			if out == nil {
				out = &Outcome{}
			}
			if tc.differs != "" {
				if err != nil || !strings.HasPrefix(string(out.Raw), tc.ours) {
					t.Errorf("%s: %q, %v", tc.differs, out.Raw, err)
				}
			}
			code, theirs, theirErr := oracle(t, cache, guest, tc)
			same := (err != nil) == (theirErr != nil || code != 0) && (err != nil || string(out.Raw) == string(theirs))
			if g, ok := errors.AsType[*GuestError](err); ok && uint32(g.Code) != code {
				same = false
			}
			switch {
			case tc.differs == "" && !same:
				t.Errorf("ours: code %d, %q, %v\ntheirs: code %d, %q, %v", out.Code, out.Raw, err, code, theirs, theirErr)
			case tc.differs != "" && same:
				t.Errorf("the difference %q is none any more", tc.differs)
			}
		})
	}
}

// oracle runs a case on go-sdk.
func oracle(t *testing.T, cache wazero.CompilationCache, guest []byte, tc oracleCase) (uint32, []byte, error) {
	t.Helper()
	config := map[string]string{}
	for k, v := range tc.config {
		config[k] = v
	}
	m := extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: guest}}, Config: config, Timeout: 120_000}
	if tc.allow != "" {
		m.AllowedHosts = []string{tc.allow}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	runtime := wazero.NewRuntimeConfigCompiler()
	if len(guest) > 400<<10 {
		runtime = wazero.NewRuntimeConfigInterpreter() // as right, and far sooner there for one call
	}
	p, err := extism.NewPlugin(ctx, m, extism.PluginConfig{
		EnableWasi: true, EnableHttpResponseHeaders: true, RuntimeConfig: runtime.WithCompilationCache(cache),
		ModuleConfig: wazero.NewModuleConfig().WithSysWalltime().WithSysNanotime().WithSysNanosleep(),
	}, nil)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = p.Close(context.Background()) }()
	return p.CallWithContext(ctx, tc.export, []byte(tc.input))
}

// TestOracleRowsWithTheirOwnEnd: what the table above cannot compare.
func TestOracleRowsWithTheirOwnEnd(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	_, err := e.Call(t.Context(), raw(sdkModule(t, "sleep"), "run_test", "", withLimits(func(l *abi.Limits) { l.Wall = 300 * time.Millisecond }),
		func(inv *Invocation) { inv.Rights.Config = map[string]string{"duration": "3"} }))
	wantLimit(t, err, "wall")

	out, err := e.Call(t.Context(), raw(sdkModule(t, "log"), "run_test", ""))
	if err != nil || len(out.Log) != 4 && len(out.Log) != 5 {
		t.Errorf("log: %v, %+v", err, out.Log)
	}
	out, err = e.Call(t.Context(), raw(sdkModule(t, "println"), "run_test", ""))
	if err != nil || len(out.Log) == 0 || out.Log[0].Source != "stdout" {
		t.Errorf("println: %v, %+v", err, out.Log)
	}
	_, err = e.Call(t.Context(), raw(sdkModule(t, "host"), "run_test", ""))
	if trap, ok := errors.AsType[*TrapError](err); !ok || trap.Message != "called extism:host/user:mult, which this host does not offer" {
		t.Errorf("host: %v", err)
	}
	_, err = e.Call(t.Context(), raw(sdkModule(t, "main"), "run_test", "benjamin"))
	if trap, ok := errors.AsType[*TrapError](err); !ok || !strings.Contains(trap.Message, "link them into one") {
		t.Errorf("main: %v", err)
	}
	// State of one call is gone in the next: go-sdk would answer a total of 6.
	for range 2 {
		out, err = e.Call(t.Context(), raw(sdkModule(t, "count_vowels"), "count_vowels", "hello world"))
		var got struct{ Count, Total int }
		if err != nil || json.Unmarshal(out.Raw, &got) != nil || got.Count != 3 || got.Total != 3 {
			t.Errorf("count_vowels: %v, %s", err, out.Raw)
		}
	}
}

// TestOracleKernelSequences compares a sequence of kernel calls with the reference
// kernel that go-sdk carries.
func TestOracleKernelSequences(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	cache := wazero.NewCompilationCache()
	t.Cleanup(func() { _ = cache.Close(context.Background()) })
	guest := kernelSequence()
	for _, seed := range []string{"", "a", "0123456789", strings.Repeat("xyz", 1000)} {
		out, err := e.Call(t.Context(), raw(guest, "run", seed))
		code, theirs, theirErr := oracle(t, cache, guest, oracleCase{export: "run", input: seed})
		if err != nil || theirErr != nil || code != 0 || string(out.Raw) != string(theirs) {
			t.Errorf("input of %d bytes: ours %x %v, theirs %x %v", len(seed), out.Raw, err, theirs, theirErr)
		}
	}
}

// kernelSequence is a guest that stores and loads through blocks it allocates, frees
// and allocates again, and puts what it read into its output.
func kernelSequence() []byte {
	h := abitest.Type{Params: []byte{abitest.I64}, Results: []byte{abitest.I64}}
	hh := abitest.Type{Params: []byte{abitest.I64, abitest.I64}}
	get := func(i byte) []byte { return []byte{0x23, i} }
	set := func(i byte) []byte { return []byte{0x24, i} }
	add := func(n int64) []byte { return abitest.Code(abitest.Const64(n), []byte{0x7c}) }
	const alloc, free, length, load, store, inLen, inLoad, output = 0, 1, 2, 3, 4, 5, 6, 7
	return abitest.Module{
		Imports: []abitest.Import{
			{Module: abi.NamespaceEnv, Name: "alloc", Type: h},
			{Module: abi.NamespaceEnv, Name: "free", Type: abitest.Type{Params: []byte{abitest.I64}}},
			{Module: abi.NamespaceEnv, Name: "length", Type: h},
			{Module: abi.NamespaceEnv, Name: "load_u64", Type: h},
			{Module: abi.NamespaceEnv, Name: "store_u64", Type: hh},
			{Module: abi.NamespaceEnv, Name: "input_length", Type: abitest.Type{Results: []byte{abitest.I64}}},
			{Module: abi.NamespaceEnv, Name: "input_load_u8", Type: abitest.Type{Params: []byte{abitest.I64}, Results: []byte{abitest.I32}}},
			{Module: abi.NamespaceEnv, Name: "output_set", Type: hh},
		},
		Memory: 1, Globals: []int64{0, 0, 0},
		Funcs: []abitest.Func{{Export: "run", Type: abitest.Type{Results: []byte{abitest.I32}}, Code: abitest.Code(
			abitest.Const64(48), abitest.Call(alloc), set(0),
			abitest.Const64(100), abitest.Call(alloc), set(1),
			get(1), abitest.Const64(0x1122334455667788), abitest.Call(store),
			get(0), get(1), abitest.Call(load), abitest.Call(store), // out[0] = what was stored
			get(0), add(8), get(1), abitest.Call(length), abitest.Call(store), // out[1] = 100
			get(1), abitest.Call(free),
			get(0), add(16), get(1), abitest.Call(length), abitest.Call(store), // out[2] = 0 after free
			get(0), add(24), abitest.Call(inLen), abitest.Call(store), // out[3]
			get(0), add(32), abitest.Const64(0), abitest.Call(inLoad), []byte{0xad}, abitest.Call(store), // out[4] = input[0], extended
			get(0), add(40), abitest.Const64(0), abitest.Call(alloc), abitest.Call(store), // out[5] = alloc(0)
			get(0), abitest.Const64(48), abitest.Call(output), abitest.Const32(0),
		)}},
	}.Bytes()
}
