package wasm

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
)

// Config of an Engine. Zero fields take the defaults named beside them.
type Config struct {
	Store          *compile.Store // compiles and keeps modules; needed
	Running        int            // guests that run at once; GOMAXPROCS-1, at least 1
	Queue          int            // calls that wait for a slot; 64
	QueueWait      time.Duration  // longest wait for a slot; 30 s
	MaxLoadedBytes int64          // bytes of the code of loaded modules; 256 MiB
	AgentMemory    int64          // bytes of all live instances of one agent; 256 MiB, or one call's limit if that is more
	TotalMemory    int64          // bytes of all live instances; 1 GiB
	Log            *slog.Logger   // nil discards
}

// Engine runs skills. It is safe for concurrent use.
type Engine struct {
	cfg       Config
	log       *slog.Logger
	modules   *modules
	instances instances
	slots     *slots
	quotas    quotas
	daily     dailyAsks
	total     pool
	spares    spares
	hooks     hooks

	ctx   context.Context // ends with Close; it is no caller's
	stop  context.CancelFunc
	calls sync.WaitGroup

	mu     sync.Mutex // guards agents and closed
	agents map[abi.AgentID]*pool
	closed bool
}

// hooks are for the tests of this package.
type hooks struct {
	sync  func(f *os.File) error // instead of a file's own
	trace func(line string)
	after func(c *call, m api.Module) // before the instance is put back
}

// maxAgents bounds the pools that are kept; idle ones are dropped beyond it.
const maxAgents = 1024

// New returns an engine over the store of cfg.
func New(cfg Config) (*Engine, error) {
	if cfg.Store == nil {
		return nil, errors.New("the engine needs a store of compiled modules")
	}
	return newEngine(cfg, storeLoader{cfg.Store}), nil
}

func newEngine(cfg Config, l loader) *Engine {
	if cfg.Running <= 0 {
		cfg.Running = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if cfg.Queue <= 0 {
		cfg.Queue = 64
	}
	if cfg.QueueWait <= 0 {
		cfg.QueueWait = 30 * time.Second
	}
	if cfg.MaxLoadedBytes <= 0 {
		cfg.MaxLoadedBytes = 256 * abi.MiB
	}
	if cfg.AgentMemory <= 0 {
		cfg.AgentMemory = 256 * abi.MiB
	}
	if cfg.TotalMemory <= 0 {
		cfg.TotalMemory = abi.GiB
	}
	e := &Engine{
		cfg: cfg, log: cfg.Log, modules: newModules(l, cfg.MaxLoadedBytes), instances: fresh{},
		slots: newSlots(cfg.Running, cfg.Queue), quotas: quotas{by: map[string]*quota{}},
		total: pool{max: cfg.TotalMemory}, agents: map[abi.AgentID]*pool{},
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.ctx, e.stop = context.WithCancel(context.Background())
	return e
}

// begin counts a call in, so that Close waits for it.
func (e *Engine) begin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.calls.Add(1)
	return nil
}

// Close ends the engine: new calls fail with ErrClosed, running ones are stopped
// with it as their error and waited for, until ctx ends.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.calls.Wait()
		e.modules.close()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// agentPool is the memory of one agent.
func (e *Engine) agentPool(agent abi.AgentID) *pool {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.agents[agent]
	if p == nil {
		if len(e.agents) >= maxAgents {
			for id, old := range e.agents {
				if old.used.Load() == 0 {
					delete(e.agents, id)
				}
			}
		}
		p = &pool{max: e.cfg.AgentMemory}
		e.agents[agent] = p
	}
	return p
}
