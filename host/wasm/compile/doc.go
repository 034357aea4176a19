// Package compile turns the bytes of a module into native code without ever
// compiling in the daemon. A module is scanned and rewritten, compiled by a
// confined child, and kept on disk in one file whose every byte is covered by a
// MAC, because the engine maps its cache files as code and checks no more of them
// than a CRC. What does not verify is treated as absent, logged and compiled
// again in the jail.
package compile

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// Options are the limits that are baked into a module when it is rewritten. They
// are part of the key under which it is kept.
type Options = module.RewriteLimits

// Confiner runs the program's own binary in a jail; *sandbox.Spawner does.
type Confiner interface {
	Confined(ctx context.Context, j sandbox.Job) (sandbox.Result, error)
}

// Config describes a Store.
type Config struct {
	Dir      string       // made with mode 0700 if it is missing; refused if it is wider or not ours
	Key      []byte       // 32 bytes that only the daemon knows
	Confine  Confiner     // required
	MaxBytes int64        // bytes on disk; 0 = DefaultMaxBytes
	Log      *slog.Logger // nil discards
}

// DefaultMaxBytes is the size on disk that a store keeps to unless told otherwise.
const DefaultMaxBytes = 1 << 30

// Errors that callers branch on. A module that is refused for what it is gives a
// *module.Refusal instead.
var (
	ErrDir    = errors.New("the directory of compiled modules is not private")
	ErrSeal   = errors.New("the compiled module does not verify")
	ErrAbsent = errors.New("the compiled module is not there")
	ErrCrash  = errors.New("the compiler ended without an answer")
)

// wazeroVersion is the version of the engine in go.mod; a test compares them. It
// is part of every key, because native code of one version means nothing to
// another.
const wazeroVersion = "v1.12.0"

// Limits of the confined compiler.
const (
	cpuBase      = time.Second // and two more for each megabyte of module; a Go guest of 3 MB needs 1.1 in all
	cpuMax       = 60 * time.Second
	wallBase     = 30 * time.Second // and five times the processor time: other work may hold the machine
	addressSpace = min(4, slowdown) * 2 << 30
	childOutput  = 64 << 10
	nativeBase   = 16 << 20 // bytes of native code, and 16 for each byte of module
	nativeMax    = 512 << 20
)

// RuntimeConfig is the configuration with which modules are compiled and run. The
// child and the daemon must share it: the engine's cache key covers parts of it.
func RuntimeConfig(memoryPages uint32) wazero.RuntimeConfig {
	return wazero.NewRuntimeConfigCompiler().
		WithCoreFeatures(api.CoreFeaturesV2).
		WithMemoryLimitPages(memoryPages).
		WithCloseOnContextDone(true).
		WithDebugInfoEnabled(false)
}

// StackExceeded reports whether m, an instance of a module compiled with o, was
// ended by its stack limit. Ask after a trap and before closing the instance.
func StackExceeded(m api.Module, o Options) bool {
	g := m.ExportedGlobal(module.DepthGlobal)
	return g != nil && uint32(g.Get()) > o.Stack
}

// cpuLimit is the processor time that a module of size bytes may take to compile.
func cpuLimit(size int) time.Duration {
	return slowdown * min(cpuMax, cpuBase+time.Duration(size)*2*time.Microsecond)
}

// nativeLimit is how many bytes of native code a module of size bytes may become.
func nativeLimit(size int) int64 {
	return min(nativeMax, nativeBase+16*int64(size))
}
