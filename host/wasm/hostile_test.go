package wasm

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

// late is how long after its limit a stopped call may come back on a loaded machine.
const late = 5 * time.Second

// TestHostileGuests runs one attack after the other in one engine: each ends with its
// own clear error, and an honest call works right after.
func TestHostileGuests(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{Running: 2})
	short := func(l *abi.Limits) { l.Wall = 300 * time.Millisecond }
	small := func(l *abi.Limits) { l.Memory = 4 * abi.MiB }
	for _, tc := range []struct {
		export, input string
		limits        func(l *abi.Limits)
		limit         string // expected LimitError
		trap          string // or the beginning of a TrapError
		guest         string // or of a GuestError
	}{
		{export: "spin", limits: short, limit: "wall"},
		{export: "sleep", limits: short, limit: "wall"},
		{export: "clock_poll", limits: short, limit: "wall"},
		{export: "recurse", limit: "stack"},
		{export: "mutual", limit: "stack"},
		{export: "grow", limits: small, limit: "memory"},
		{export: "grow_jump", limits: small, limit: "memory"},
		{export: "kernel_alloc", limits: small, limit: "memory"},
		{export: "kernel_alloc_tiny", limits: small, limit: "memory"},
		{export: "kernel_alloc_huge", limit: "memory"},
		{export: "both", limits: small, limit: "memory"},
		{export: "host_calls", limit: "host_calls"},
		{export: "trap", trap: "unreachable"},
		{export: "output_outside", trap: "access outside the kernel's memory"},
		{export: "handle_bad", trap: "bad kernel handle"},
		{export: "handle_inside", trap: "bad kernel handle"},
		{export: "fail_code", guest: ""},
		{export: "fail_text", guest: `bad \x1b[31mthing\u202e end`},
		{export: "exit_3", guest: ""},
		{export: "exit_cancelled", guest: ""},
	} {
		t.Run(tc.export, func(t *testing.T) {
			change := []func(*Invocation){}
			if tc.limits != nil {
				change = append(change, withLimits(tc.limits))
			}
			start := time.Now()
			out, err := e.Call(t.Context(), raw(abitest.Hostile(), tc.export, tc.input, change...))
			if d := time.Since(start); d > late {
				t.Errorf("it took %v", d)
			}
			if out == nil || err == nil {
				t.Fatalf("outcome %v, error %v", out, err)
			}
			switch {
			case tc.limit != "":
				wantLimit(t, err, tc.limit)
			case tc.trap != "":
				trap, ok := errors.AsType[*TrapError](err)
				if !ok || !strings.HasPrefix(trap.Message, tc.trap) {
					t.Fatalf("error %v (%T), want trap %q", err, err, tc.trap)
				}
			default:
				if g, ok := errors.AsType[*GuestError](err); !ok || g.Message != tc.guest {
					t.Fatalf("error %v (%T), want the guest's own %q", err, err, tc.guest)
				}
			}
			if text := err.Error(); strings.Contains(text, "goroutine") || strings.Contains(text, ".go:") || strings.ContainsAny(text, "\n\x1b") {
				t.Errorf("the error shows what it should not: %q", text)
			}
			if out, err := e.Call(t.Context(), raw(abitest.Hostile(), "ok", "")); err != nil || string(out.Raw) != "fine" {
				t.Errorf("an honest call afterwards: %v", err)
			}
		})
	}
}

// TestHonestGuestsBelowTheLimits is the other side of TestHostileGuests.
func TestHonestGuestsBelowTheLimits(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	for _, export := range []string{"ok", "exit_0", "nap", "log_flood", "print_flood", "wasi_files", "wasi_pointers", "remember"} {
		if out, err := e.Call(t.Context(), raw(abitest.Hostile(), export, "")); err != nil || len(out.Raw) == 0 {
			t.Errorf("%s: %v", export, err)
		}
	}
	if out, err := e.Call(t.Context(), raw(abitest.Hostile(), "grow_politely", "")); err != nil || out.Usage.Memory < 60*abi.MiB || out.Usage.Memory > 64*abi.MiB {
		t.Errorf("a guest that takes no for an answer: %v", err)
	}
}

// TestRSSAfterHostileGuests runs the memory attacks in parallel and looks at what the
// process holds afterwards.
func TestRSSAfterHostileGuests(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector's memory cannot be told apart")
	}
	e := newTest(t, Config{Running: 4})
	run := func() {
		var wg sync.WaitGroup
		for _, export := range []string{"grow", "both", "kernel_alloc", "kernel_alloc_tiny", "recurse", "mutual", "log_flood", "trap"} {
			for range 3 {
				wg.Go(func() {
					_, _ = e.Call(context.Background(), raw(abitest.Hostile(), export, "", withLimits(func(l *abi.Limits) { l.Memory = 16 * abi.MiB })))
				})
			}
		}
		wg.Wait()
		runtime.GC()
		debug.FreeOSMemory()
	}
	run() // loads the module and warms pools up
	before := testenv.Resident(t)
	run()
	if grown := testenv.Resident(t) - before; grown > 10*abi.MiB {
		t.Errorf("the process grew by %d KiB", grown>>10)
	}
}

// TestMemoryOfOneAgentAndOfAll: the instances that are alive at once share bounds.
func TestMemoryOfOneAgentAndOfAll(t *testing.T) {
	t.Parallel()
	b := &budget{max: 100, parents: []*pool{{max: 150}}}
	c := &budget{max: 100, parents: b.parents}
	if !b.take(100) || c.take(51) || c.refused != "memory_shared" || !c.take(50) || b.take(1) || b.refused != "memory" {
		t.Error("the shared bound does not hold")
	}
	b.close()
	c.close()
	if b.parents[0].used.Load() != 0 {
		t.Error("bytes were lost")
	}
	// A pool smaller than one call's limit does not make that call impossible.
	d := &budget{max: 100, parents: []*pool{{max: 10}}}
	if !d.take(100) {
		t.Error("a single call cannot use its own limit")
	}
}

// TestMemoryIsSharedByAnAgentsCalls: while one call holds memory, another of the same
// agent gets what is left, and another agent's gets its own.
func TestMemoryIsSharedByAnAgentsCalls(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{AgentMemory: 1, TotalMemory: abi.GiB, Running: 2})
	small := withLimits(func(l *abi.Limits) { l.Memory = 4 * abi.MiB })
	var mine, other error
	hold := fetcher(func(ctx context.Context, c abi.Caller, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error) {
		_, mine = e.Call(ctx, raw(abitest.Hostile(), "grow", "", small))
		_, other = e.Call(ctx, raw(abitest.Hostile(), "grow", "", small, func(inv *Invocation) { inv.Caller.Agent = "b" }))
		return hello(ctx, c, req, body)
	})
	_, err := e.Call(t.Context(), raw(abitest.Probe(), "probe", abitest.Line("fetch", `{"url":"https://api.example/"}`, ""), small, func(inv *Invocation) {
		inv.Rights.HTTP, inv.Services.Fetch = httpRight(), hold
	}))
	if err != nil {
		t.Fatal(err)
	}
	wantLimit(t, mine, "memory_shared")
	wantLimit(t, other, "memory")
}

// module guests that no compiler makes.
func start(code ...[]byte) []byte {
	zero := 0
	return abitest.Module{Funcs: []abitest.Func{
		{Code: abitest.Code(code...)},
		{Export: "run", Type: abitest.Type{Results: []byte{abitest.I32}}, Code: abitest.Const32(0)},
	}, Start: &zero, Memory: 1}.Bytes()
}

func initialiser(name string, typ abitest.Type, code ...[]byte) []byte {
	return abitest.Module{Funcs: []abitest.Func{
		{Export: name, Type: typ, Code: abitest.Code(code...)},
		{Export: "run", Type: abitest.Type{Results: []byte{abitest.I32}}, Code: abitest.Const32(0)},
	}, Memory: 1}.Bytes()
}

// TestInitialisersAreBounded (INIT-1): endless loops before the call proper.
func TestInitialisersAreBounded(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{Running: 4})
	i32 := abitest.Type{Results: []byte{abitest.I32}}
	for name, guest := range map[string][]byte{
		"start section":     start(abitest.Loop),
		"_initialize":       initialiser("_initialize", abitest.Type{}, abitest.Loop),
		"__wasm_call_ctors": initialiser("__wasm_call_ctors", abitest.Type{}, abitest.Loop),
		"glovebox_init":     initialiser("glovebox_init", i32, abitest.Loop, abitest.Unreachable),
		"hs_init":           initialiser("hs_init", abitest.Type{Params: []byte{abitest.I32, abitest.I32}}, abitest.Loop),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			_, err := e.Call(t.Context(), raw(guest, "run", "", withLimits(func(l *abi.Limits) { l.InitWall = 200 * time.Millisecond })))
			wantLimit(t, err, "init_wall")
			if d := time.Since(begin); d > late {
				t.Errorf("it took %v", d)
			}
			_, err = e.Call(t.Context(), raw(guest, "run", "", withLimits(func(l *abi.Limits) { l.Wall = 100 * time.Millisecond })))
			wantLimit(t, err, "wall")
		})
	}
}

// word is eight bytes of text as store_u64 takes them.
func word(s string) int64 { return int64(binary.LittleEndian.Uint64([]byte(s))) }

// TestNothingEffectfulWhileInitialising (INIT-2), and _start is not run (INIT-3).
func TestNothingEffectfulWhileInitialising(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	// _initialize sends a request, sets a variable and traps if it can see the input.
	h := abitest.Type{Params: []byte{abitest.I64}, Results: []byte{abitest.I64}}
	hh := abitest.Type{Params: []byte{abitest.I64, abitest.I64}, Results: []byte{abitest.I64}}
	guest := abitest.Module{
		Imports: []abitest.Import{
			{Module: abi.NamespaceEnv, Name: "alloc", Type: h},
			{Module: abi.NamespaceEnv, Name: "store_u64", Type: abitest.Type{Params: []byte{abitest.I64, abitest.I64}}},
			{Module: abi.NamespaceEnv, Name: "http_request", Type: hh},
			{Module: abi.NamespaceEnv, Name: "var_set", Type: abitest.Type{Params: []byte{abitest.I64, abitest.I64}}},
			{Module: abi.NamespaceEnv, Name: "input_length", Type: abitest.Type{Results: []byte{abitest.I64}}},
		},
		Memory:  1,
		Globals: []int64{0},
		Funcs: []abitest.Func{
			{Export: "_initialize", Code: abitest.Code(
				abitest.Const64(16), abitest.Call(0), []byte{0x24, 0}, // global = alloc(16)
				[]byte{0x23, 0}, abitest.Const64(word(`{"url":"`)), abitest.Call(1),
				[]byte{0x23, 0}, abitest.Const64(8), []byte{0x7c}, abitest.Const64(word(`x"}     `)), abitest.Call(1),
				[]byte{0x23, 0}, abitest.Const64(0), abitest.Call(2), abitest.Drop, // http_request
				[]byte{0x23, 0}, []byte{0x23, 0}, abitest.Call(3), // var_set
				abitest.Call(4), []byte{0x50, 0x45, 0x04, 0x40, 0x00, 0x0b}, // if input_length() != 0 unreachable
			)},
			{Export: "run", Type: abitest.Type{Results: []byte{abitest.I32}}, Code: abitest.Const32(0)},
			{Export: "_start", Code: abitest.Unreachable},
		},
	}.Bytes()
	fetched := false
	o := &observer{}
	out, err := e.Call(t.Context(), raw(guest, "run", "input", func(inv *Invocation) {
		inv.Rights.HTTP = httpRight()
		inv.Services = Services{Observer: o, Fetch: fetcher(func(context.Context, abi.Caller, abi.FetchRequest, []byte) (abi.FetchResponse, []byte, error) {
			fetched = true
			return abi.FetchResponse{}, nil, nil
		})}
	}))
	if err != nil {
		t.Fatal(err) // also when _start ran: it traps
	}
	if fetched {
		t.Error("a request left while the guest initialised")
	}
	var codes []string
	for _, d := range out.Denials {
		codes = append(codes, string(d.Code)+" "+d.Capability)
	}
	if got := strings.Join(codes, ", "); got != "phase http, phase vars" {
		t.Errorf("refusals %q", got)
	}
}

// TestTableCannotGrow (MEM-1): growing past the limit answers -1.
func TestTableCannotGrow(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	i32 := abitest.Type{Results: []byte{abitest.I32}}
	guest := abitest.Module{Table: 1, Funcs: []abitest.Func{
		{Export: "fits", Type: i32, Code: abitest.TableGrow(99)},
		{Export: "over", Type: i32, Code: abitest.TableGrow(100)},
		{Export: "huge", Type: i32, Code: abitest.TableGrow(2_000_000_000)},
	}}.Bytes()
	for export, want := range map[string]int{"fits": 1, "over": -1, "huge": -1} {
		out, _ := e.Call(t.Context(), raw(guest, export, "", withLimits(func(l *abi.Limits) { l.Table = 100 })))
		if out == nil || out.Code != want {
			t.Errorf("%s: %+v, want %d", export, out, want)
		}
	}
}

// TestBulkOperationsEnd (CPU-1): a loop over the largest memory.fill there is.
func TestBulkOperationsEnd(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	guest := abitest.Module{Memory: 1000, Funcs: []abitest.Func{{Export: "run", Type: abitest.Type{Results: []byte{abitest.I32}}, Code: abitest.Code(
		[]byte{0x03, 0x40}, abitest.Const32(0), abitest.Const32(1), abitest.Const32(1000*wasmPage), []byte{0xfc, 0x0b, 0x00}, []byte{0x0c, 0x00, 0x0b}, abitest.Unreachable,
	)}}}.Bytes()
	begin := time.Now()
	_, err := e.Call(t.Context(), raw(guest, "run", "", withLimits(func(l *abi.Limits) { l.Wall = 200 * time.Millisecond })))
	wantLimit(t, err, "wall")
	if d := time.Since(begin); d > late {
		t.Errorf("it took %v", d)
	}
}
