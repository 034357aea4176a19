package compile

import (
	"context"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// WazeroVersion is the version that keys carry; Slowdown stretches time limits.
const (
	WazeroVersion = wazeroVersion
	Slowdown      = slowdown
)

// FileOf returns the path of the file of a module.
func (s *Store) FileOf(d abi.Digest, o Options) string { return s.path(keyOf(d, o)) }

type (
	Platform = platform
	Record   = record
)

// Unseal opens a file as the store does.
func Unseal(key, file []byte, want string) error {
	_, _, _, err := unseal(key, file, want)
	return err
}

// Seal makes a file.
var Seal = seal

// ThisPlatform and KeyOf are what records are compared with.
var (
	ThisPlatform = thisPlatform
	KeyOf        = keyOf
	ReadNative   = readNative
	CPULimit     = cpuLimit
	Outcome      = outcome
)

// Mount loads an artifact whose record was changed.
func (a *Artifact) Mount(ctx context.Context, change func(r *Record)) error {
	rewritten, native, err := a.take()
	if err != nil {
		return err
	}
	r := a.record
	change(&r)
	rt, _, err := a.store.mount(ctx, r, rewritten, native)
	if err == nil {
		err = rt.Close(ctx)
	}
	return err
}

var _ Confiner = (*sandbox.Spawner)(nil)

// Refusals is what a store remembers; RefusedMax its bound.
type Refusals struct{ refusals }

const RefusedMax = refusedMax

func (r *Refusals) Put(key string, why *module.Refusal, now time.Time) { r.put(key, why, now) }
func (r *Refusals) Get(key string, now time.Time) *module.Refusal      { return r.get(key, now) }
func (r *Refusals) Len() int                                           { return len(r.m) }
