package wasm

import (
	"context"
	"log/slog"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// Config of an Engine. Zero fields take the defaults named beside them.
type Config struct {
	Store          Store
	Running        int           // guests that run at once; GOMAXPROCS-1, at least 1
	Queue          int           // calls that wait for a slot; 64
	QueueWait      time.Duration // longest wait for a slot; 30 s
	MaxLoadedBytes int64         // wasm bytes of loaded modules; 256 MiB
	AgentMemory    int64         // bytes of all live instances of one agent; 256 MiB, or one call's limit if that is more
	TotalMemory    int64         // bytes of all live instances; 1 GiB
	Log            *slog.Logger  // nil discards
}

// Store gives the compiled form of a module.
type Store any

// Engine runs skills. It is safe for concurrent use.
type Engine struct{ cfg Config }

// New returns an engine.
func New(cfg Config) (*Engine, error) { return &Engine{cfg: cfg}, nil }

// Close ends the engine: new calls fail with ErrClosed, running ones are stopped and waited for.
func (e *Engine) Close(ctx context.Context) error { return ctx.Err() }

// Call runs one tool once, in an instance of its own. The Outcome is not nil once
// the guest was entered, also beside an error: *LimitError, *GuestError, *TrapError,
// *ResultError, *DeniedError, *module.Refusal, ErrBusy, ErrDigest, ErrNoTool,
// ErrClosed or the error of ctx.
func (e *Engine) Call(ctx context.Context, inv Invocation) (*Outcome, error) {
	return nil, ErrClosed
}

// Tools asks a module for its tools, with no rights at all. Empty profiles are
// those that cannot tell: extism/raw.
func (e *Engine) Tools(ctx context.Context, src Source, profile abi.Profile, limits abi.Limits) ([]abi.Tool, error) {
	return nil, ErrClosed
}
