package wasm

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Source names a module. Read is called only when the module is not loaded yet, and
// what it returns must have the digest.
type Source struct {
	Digest abi.Digest
	Read   func() (abi.Blob, error)
}

// SourceOf returns the source of a module that was read already.
func SourceOf(b abi.Blob) Source {
	return Source{Digest: b.Digest(), Read: func() (abi.Blob, error) { return b, nil }}
}

// Invocation is one call of one tool.
type Invocation struct {
	Caller    abi.Caller
	Source    Source
	Profile   abi.Profile
	Tool      abi.ToolName
	Arguments json.RawMessage // a JSON object; empty means {}
	Export    string          // raw profile: the exported function; Tool if empty
	Input     []byte          // raw profile: the input block; Arguments if nil
	Rights    abi.Rights      // what this call may do; the zero value grants nothing and has no limit above zero
	Services  Services
	Context   label.Label // of the arguments and of what led to the call: what the guest writes gets it, at best
}

// Outcome is what came out of a call. Every text in it was written by the guest and
// is untrusted: bounded and free of control characters, nothing more.
type Outcome struct {
	Result  abi.CallResult
	Raw     []byte // the output block, at most Limits.Output bytes
	Code    int    // what the export returned, or the exit code
	Denials []abi.Problem
	Log     []LogLine
	Usage   Usage
	Label   label.Label // of what the guest has read: the unit, trusted and public, if that is nothing
}

// LogLine is one line that the guest logged or printed.
type LogLine struct {
	Level   slog.Level
	Source  string // log, stdout or stderr
	Message string
}

// Usage is what one call consumed.
type Usage struct {
	Wall         time.Duration // running, without queueing and without waiting for a human
	Init         time.Duration // the part of Wall before the export was entered
	Memory       int64         // most bytes held at once, guest memory and kernel
	HostCalls    int
	HTTPCalls    int
	HTTPSent     int64
	HTTPReceived int64
	FileRead     int64
	FileWritten  int64
	Asks         int
	LogLines     int // including those that were suppressed
}

// Services are the parts of the host that act for guests. A capability whose
// service is nil answers "unavailable", even when it is granted.
type Services struct {
	Fetch    Fetcher
	KV       KV
	Ask      Asker
	Labels   Labels // of files; nil: each reads as tainted and private
	Secrets  SecretDirectory
	Observer Observer
	Screen   Screen // nil: no file holds what must not pass
}

// Screen looks at the content of files on its way from or to a guest. A problem
// refuses: nothing is written, or read, then.
type Screen interface {
	Wrote(ctx context.Context, caller abi.Caller, path string, data []byte) *abi.Problem
	Read(ctx context.Context, caller abi.Caller, path string, data []byte) *abi.Problem
}

// Fetcher performs one HTTP exchange, redirects included, for a caller; broker.Broker
// is the implementation. The request's MaxBytes and TimeoutMS are already lowered to
// what the call has left. An error is an *abi.Problem; any other error reaches the
// guest as "internal" without its text.
type Fetcher interface {
	Fetch(ctx context.Context, caller abi.Caller, rights abi.Rights, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error)
}

// KV is the store of (skill, agent). Errors are *abi.Problem. The quotas are counted
// in the transaction that writes. Each value has the label with which it was written;
// a list, or that there is no value, has that of what was deleted, too.
type KV interface {
	Get(ctx context.Context, caller abi.Caller, req abi.KVRequest) (value []byte, version uint64, l label.Label, err error)
	Set(ctx context.Context, caller abi.Caller, maxBytes int64, maxKeys int, req abi.KVRequest, value []byte, l label.Label) (version uint64, told label.Label, err error)
	Delete(ctx context.Context, caller abi.Caller, req abi.KVRequest, l label.Label) (told label.Label, err error)
	List(ctx context.Context, caller abi.Caller, req abi.KVRequest) (abi.KVListResult, label.Label, error)
}

// Asker shows a question to the operator, on the operator's channel, as untrusted
// text of the named skill. It never asks the model.
type Asker interface {
	Ask(ctx context.Context, caller abi.Caller, req abi.AskRequest) (abi.AskResult, error)
}

// SecretDirectory tells whether a secret has a value. It has no way to give one.
type SecretDirectory interface {
	Present(agent abi.AgentID, store abi.SecretName) bool
}

// Observer is told what a guest did. Denied is called once for each refusal that a
// guest met, the Fetcher's included. Methods must not block for long.
type Observer interface {
	Denied(ctx context.Context, caller abi.Caller, p *abi.Problem)
	Log(ctx context.Context, caller abi.Caller, level slog.Level, message string)
	Progress(ctx context.Context, caller abi.Caller, p abi.ProgressRequest)
}
