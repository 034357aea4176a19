package wasm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

const wasmPage = 64 << 10

// instances gives a call its instance, initialised and as clean as a new one.
type instances interface {
	get(ctx context.Context, c *call, l *loaded, p plan) (api.Module, error)
	// put takes the instance back. A dropped one trapped, exited or was cancelled.
	put(m api.Module, dropped bool)
}

// fresh makes a new instance for each call and keeps none.
type fresh struct{}

var _ instances = fresh{}

func (fresh) get(ctx context.Context, c *call, l *loaded, p plan) (api.Module, error) {
	if low := int64(l.report.MemoryMin) * wasmPage; low > c.budget.max {
		return nil, &LimitError{Limit: "memory", Got: low, Max: c.budget.max}
	}
	m, err := instantiate(ctx, c, l)
	if err != nil {
		return nil, c.outcome(ctx, nil, err)
	}
	if err := c.initialise(ctx, m, p); err != nil {
		err = c.outcome(ctx, m, err)
		fresh{}.put(m, true)
		return nil, err
	}
	return m, nil
}

func (fresh) put(m api.Module, _ bool) { _ = m.Close(context.Background()) }

// instantiate runs nothing of the guest but its start section.
func instantiate(ctx context.Context, c *call, l *loaded) (m api.Module, err error) {
	defer func() {
		// wazero panics when the allocator refuses the first pages, which the check in
		// get leaves to the pools that other calls share.
		if r := recover(); r != nil {
			if c.budget.refused == "" {
				panic(r)
			}
			m, err = nil, errStopped
		}
	}()
	// Our own WASI asks for no random source; the engine's default would be seeded anew,
	// and predictably, for each instance.
	cfg := wazero.NewModuleConfig().WithName("").WithStartFunctions().WithRandSource(rand.Reader)
	return l.runtime.InstantiateModule(experimental.WithMemoryAllocator(ctx, c.budget), l.compiled, cfg)
}

// initialise runs the initialiser of the guest's language, exactly one, and then
// glovebox_init.
func (c *call) initialise(ctx context.Context, m api.Module, p plan) error {
	if p.export == "_start" || p.export == "_initialize" {
		return nil
	}
	if err := c.language(ctx, m); err != nil {
		return err
	}
	f := m.ExportedFunction("glovebox_init")
	if f == nil || !c.typed(f, nil, types(i32)) {
		return nil
	}
	res, err := f.Call(ctx)
	if err == nil && int32(uint32(res[0])) != 0 {
		return &GuestError{Code: int(int32(uint32(res[0]))), Message: "glovebox_init failed"}
	}
	return err
}

func (c *call) language(ctx context.Context, m api.Module) error {
	if hs := m.ExportedFunction("hs_init"); hs != nil && slices.Equal(hs.Definition().ParamTypes(), types(i32, i32)) {
		if f := m.ExportedFunction("_initialize"); f != nil && c.typed(f, nil, nil) {
			if _, err := f.Call(ctx); err != nil {
				if c.cause != nil || ctx.Err() != nil {
					return err
				}
				c.log.add(slog.LevelWarn, "log", "_initialize failed: "+firstLine(err))
			}
		}
		_, err := hs.Call(ctx, 0, 0)
		return err
	}
	for _, name := range []string{"_initialize", "__wasm_call_ctors"} {
		if f := m.ExportedFunction(name); f != nil && c.typed(f, nil, nil) {
			_, err := f.Call(ctx)
			return err
		}
	}
	return nil
}

// typed reports whether f has the type that it should have, and says so if not.
func (c *call) typed(f api.Function, params, results []api.ValueType) bool {
	d := f.Definition()
	if slices.Equal(d.ParamTypes(), params) && slices.Equal(d.ResultTypes(), results) {
		return true
	}
	c.log.add(slog.LevelWarn, "log", fmt.Sprintf("skipped %v: it has another type than an initialiser", d.ExportNames()))
	return false
}

// enterGuest gives the guest its input and calls the export.
func (c *call) enterGuest(ctx context.Context, m api.Module, p plan) (int, error) {
	c.phase = phaseCall
	if !p.command {
		off, err := c.kernel.put(p.input)
		if err != nil {
			return 0, err
		}
		c.kernel.in = span{off, uint64(len(p.input))}
		if off == 0 {
			c.kernel.in = span{}
		}
	}
	f := m.ExportedFunction(p.export)
	if f == nil {
		return 0, fmt.Errorf("%w: the module does not export %q", ErrNoTool, p.export)
	}
	res, err := f.Call(ctx)
	if err != nil {
		return 0, c.outcome(ctx, m, err)
	}
	if len(res) == 0 {
		return 0, nil
	}
	return int(int32(uint32(res[0]))), nil
}

var errExit = errors.New("the guest ended itself")
