package wasm

import (
	"context"
	"log/slog"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"

	"github.com/glovebox-dev/glovebox/abi"
)

// levelTrace is the level of log_trace.
const levelTrace = slog.LevelDebug - 4

// maxKey bounds the names that guests give to variables and configuration.
const maxKey = 1 << 10

// kernelFunc is a function that only moves bytes within the kernel.
func kernelFunc(params, results []api.ValueType, run func(c *call, stack []uint64)) hostFunc {
	return hostFunc{params, results, true, func(_ context.Context, c *call, _ api.Module, stack []uint64) { run(c, stack) }}
}

// envFuncs are the functions of extism:host/env. Each call makes a new table: there
// is no state in it and nothing that could be changed for everybody.
func envFuncs() map[string]hostFunc {
	none, one := types(), types(i64)
	length := kernelFunc(one, one, func(c *call, s []uint64) { s[0] = c.kernel.length(s[0]) })
	m := map[string]hostFunc{
		"alloc": kernelFunc(one, one, func(c *call, s []uint64) {
			h, err := c.kernel.alloc(s[0])
			c.check(err)
			s[0] = h
		}),
		"free":          kernelFunc(one, none, func(c *call, s []uint64) { c.kernel.release(s[0]) }),
		"length":        length,
		"length_unsafe": length,
		"load_u8": kernelFunc(one, types(i32), func(c *call, s []uint64) {
			v, err := c.kernel.load8(s[0])
			c.check(err)
			s[0] = uint64(v)
		}),
		"load_u64": kernelFunc(one, one, func(c *call, s []uint64) {
			v, err := c.kernel.load64(s[0])
			c.check(err)
			s[0] = v
		}),
		"store_u8":       kernelFunc(types(i64, i32), none, func(c *call, s []uint64) { c.check(c.kernel.store8(s[0], byte(s[1]))) }),
		"store_u64":      kernelFunc(types(i64, i64), none, func(c *call, s []uint64) { c.check(c.kernel.store64(s[0], s[1])) }),
		"input_length":   kernelFunc(none, one, func(c *call, s []uint64) { s[0] = c.kernel.in.len }),
		"input_offset":   kernelFunc(none, one, func(c *call, s []uint64) { s[0] = c.kernel.in.off }),
		"input_load_u8":  kernelFunc(one, types(i32), func(c *call, s []uint64) { s[0] = uint64(c.kernel.input8(s[0])) }),
		"input_load_u64": kernelFunc(one, one, func(c *call, s []uint64) { s[0] = c.kernel.input64(s[0]) }),
		"input_set":      kernelFunc(types(i64, i64), none, func(c *call, s []uint64) { c.check(c.kernel.setInput(s[0], s[1])) }),
		"output_set":     kernelFunc(types(i64, i64), none, func(c *call, s []uint64) { c.check(c.kernel.setOutput(s[0], s[1])) }),
		"output_length":  kernelFunc(none, one, func(c *call, s []uint64) { s[0] = c.kernel.out.len }),
		"output_offset":  kernelFunc(none, one, func(c *call, s []uint64) { s[0] = c.kernel.out.off }),
		"error_set":      kernelFunc(one, none, func(c *call, s []uint64) { c.kernel.err = s[0] }),
		"error_get":      kernelFunc(none, one, func(c *call, s []uint64) { s[0] = c.kernel.err }),
		"reset":          kernelFunc(none, none, func(c *call, _ []uint64) { c.kernel.reset() }),
		"memory_bytes":   kernelFunc(none, one, func(c *call, s []uint64) { s[0] = uint64(len(c.kernel.buf)) }),

		"config_get":       {params: one, results: one, run: runConfigGet},
		"var_get":          {params: one, results: one, run: runVarGet},
		"var_set":          {params: types(i64, i64), run: runVarSet},
		"http_request":     {params: types(i64, i64), results: one, run: runHTTPRequest},
		"http_status_code": {results: types(i32), run: func(_ context.Context, c *call, _ api.Module, s []uint64) { s[0] = uint64(c.response.status) }},
		"http_headers":     {results: one, run: func(_ context.Context, c *call, _ api.Module, s []uint64) { s[0] = c.put(c.response.headers) }},
		"get_log_level":    {results: types(i32), run: func(_ context.Context, _ *call, _ api.Module, s []uint64) { s[0] = 0 }},
	}
	for name, level := range map[string]slog.Level{
		"log_trace": levelTrace, "log_debug": slog.LevelDebug, "log_info": slog.LevelInfo,
		"log_warn": slog.LevelWarn, "log_error": slog.LevelError,
	} {
		m[name] = hostFunc{params: one, run: func(_ context.Context, c *call, _ api.Module, s []uint64) {
			c.log.add(level, "log", string(c.consume(s[0], int64(c.limits.LogLine)+utf8.UTFMax)))
		}}
	}
	return m
}

// config returns the setting key. A name of a granted secret reads as its
// placeholder, so that a plugin that knows nothing of secrets works unmodified.
func (c *call) config(key string) (string, bool) {
	if v, ok := c.rights.Config[key]; ok {
		return v, true
	}
	if r := c.secret(abi.SecretName(key)); r != nil {
		return r.Name.Placeholder(), true
	}
	return "", false
}

func runConfigGet(_ context.Context, c *call, _ api.Module, s []uint64) {
	v, ok := c.config(string(c.consume(s[0], maxKey)))
	s[0] = 0
	if ok {
		s[0] = c.put([]byte(v))
	}
}

func runVarGet(_ context.Context, c *call, _ api.Module, s []uint64) {
	s[0] = c.put(c.vars[string(c.consume(s[0], maxKey))])
}

// runVarSet keeps a scratch variable for the rest of the call.
func runVarSet(ctx context.Context, c *call, _ api.Module, s []uint64) {
	key, value := string(c.consume(s[0], maxKey)), c.consume(s[1], c.limits.Vars)
	if c.phase == phaseInit {
		c.refuse(ctx, phaseProblem("var_set", "vars"))
		return
	}
	size := func(v []byte) int64 { return int64(len(key) + len(v)) }
	total := c.varBytes
	old, had := c.vars[key]
	if had {
		total -= size(old)
	}
	if s[1] == 0 {
		delete(c.vars, key)
		c.varBytes = total
		return
	}
	total += size(value)
	if total > c.limits.Vars || len(key) > maxKey {
		c.trap(&LimitError{Limit: "vars", Got: total, Max: c.limits.Vars})
	}
	if c.vars == nil {
		c.vars = map[string][]byte{}
	}
	c.vars[key] = value
	c.varBytes = total
}

func phaseProblem(function, capability string) *abi.Problem {
	return &abi.Problem{Code: abi.CodePhase, Capability: capability, Rule: "phase/init",
		Message: function + " does not work while the skill initialises"}
}
