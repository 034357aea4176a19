package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/host/wasm/kv"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// Bounds of compiled modules: on disk, and those that stay loaded, counted by their
// wasm bytes. Loaded, a module takes about four times as much.
const (
	cacheBytes  = 1 * abi.GiB
	loadedBytes = 64 * abi.MiB
)

// ChamberConfig is what a Chamber is opened with.
type ChamberConfig struct {
	State     *config.State
	Private   func(abi.SkillName) []abi.Origin // origins that the operator opened to a skill; nil opens none
	Listeners func() []netip.AddrPort
	Egress    broker.Observer // nil: nobody is told
	Version   string
	Log       *slog.Logger
}

// Chamber is everything that runs skills: the engine with its compiler and cache, the
// broker with its vault, the key-value store. The daemon has one, and so has each
// "glovebox skill run".
type Chamber struct {
	Engine *wasm.Engine
	Broker *broker.Broker
	Vault  *broker.Vault
	KV     *kv.Store
	store  *compile.Store
	jail   *lazyJail
}

// OpenChamber opens a chamber on a state folder. It loads no module.
func OpenChamber(ctx context.Context, cfg ChamberConfig) (_ *Chamber, err error) {
	c := &Chamber{jail: newLazyJail(ctx)}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close(context.WithoutCancel(ctx)))
		}
	}()
	if c.Vault, err = broker.OpenVault(ctx, cfg.State.Secrets(), cfg.State.Key("vault")); err != nil {
		return nil, fmt.Errorf("open secrets: %w", err)
	}
	c.Broker, err = broker.New(broker.Config{
		Vault: c.Vault, Private: cfg.Private, Listeners: cfg.Listeners, Observer: cfg.Egress, Log: cfg.Log, Version: cfg.Version,
	})
	if err != nil {
		return nil, fmt.Errorf("open broker: %w", err)
	}
	if c.KV, err = kv.Open(ctx, cfg.State.KV()); err != nil {
		return nil, fmt.Errorf("open key-value store: %w", err)
	}
	key, err := cfg.State.LoadKey("cache")
	if err != nil {
		return nil, err
	}
	c.store, err = compile.Open(compile.Config{Dir: cfg.State.Cache(), Key: key, Confine: c.jail, MaxBytes: cacheBytes, Log: cfg.Log})
	if err != nil {
		return nil, fmt.Errorf("open cache of modules: %w", err)
	}
	if c.Engine, err = wasm.New(wasm.Config{Store: c.store, MaxLoadedBytes: loadedBytes, Log: cfg.Log}); err != nil {
		return nil, fmt.Errorf("open engine: %w", err)
	}
	return c, nil
}

// Prepare reads and compiles a module ahead of its first call, unless that has been
// done. It does not load the result, and gives back the memory that it took.
func (c *Chamber) Prepare(ctx context.Context, src wasm.Source, limits abi.Limits) error {
	options := wasm.CompileOptions(limits)
	if c.store.Cached(src.Digest, options) {
		return nil
	}
	module, err := src.Read()
	if err != nil {
		return err
	}
	defer debug.FreeOSMemory()
	_, err = c.store.Get(ctx, module, options)
	return err
}

// Close stops what runs and releases everything, in the reverse order of opening.
func (c *Chamber) Close(ctx context.Context) error {
	var all error
	if c.Engine != nil {
		all = errors.Join(all, c.Engine.Close(ctx))
	}
	c.jail.close() // so that the store need not wait for a compiler
	if c.store != nil {
		c.store.Close()
	}
	if c.KV != nil {
		all = errors.Join(all, c.KV.Close())
	}
	if c.Broker != nil {
		all = errors.Join(all, c.Broker.Close())
	}
	if c.Vault != nil {
		all = errors.Join(all, c.Vault.Close())
	}
	return all
}

// Confinement tells how the compiler's child is confined; the first call may take as
// long as starting a process does.
func (c *Chamber) Confinement() sandbox.Status { return c.jail.probe().Status() }

// lazyJail finds out how children can be confined when the first one is needed: a
// daemon whose modules are all compiled starts no process at all.
type lazyJail struct {
	ended <-chan struct{} // closed by close: ends all children
	close func()
	probe func() *sandbox.Spawner
}

func newLazyJail(ctx context.Context) *lazyJail {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	return &lazyJail{ended: ctx.Done(), close: cancel, probe: sync.OnceValue(func() *sandbox.Spawner { return sandbox.New(ctx) })}
}

var _ compile.Confiner = (*lazyJail)(nil)

// Confined implements compile.Confiner.
func (l *lazyJail) Confined(ctx context.Context, j sandbox.Job) (sandbox.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	finished := make(chan struct{})
	defer close(finished)
	go func() {
		select {
		case <-l.ended:
			cancel()
		case <-finished:
		}
	}()
	return l.probe().Confined(ctx, j)
}
