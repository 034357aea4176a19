package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/host/wasm/kv"
	"github.com/glovebox-dev/glovebox/skills"
)

var (
	_ skills.Lister = (*Chamber)(nil)
	_ skills.Runner = (*Chamber)(nil)
)

// ListTools implements skills.Lister.
func (c *Chamber) ListTools(ctx context.Context, m skills.Module, limits abi.Limits) ([]abi.Tool, error) {
	return c.Engine.Tools(ctx, wasm.Source{Digest: m.Digest, Read: m.Read}, m.Profile, limits)
}

// RunTool implements skills.Runner: a call of a test, with the recorded network and
// the store of its case instead of the real ones.
func (c *Chamber) RunTool(ctx context.Context, call skills.Call) (_ skills.Outcome, err error) {
	services := wasm.Services{Fetch: call.Fetch, Ask: &answers{left: call.Answers}, Secrets: allPresent{}}
	if call.Folder != "" {
		store, err := kv.Open(ctx, filepath.Join(call.Folder, "kv.db"))
		if err != nil {
			return skills.Outcome{}, fmt.Errorf("open key-value store: %w", err)
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		services.KV = store
	}
	out, err := c.Engine.Call(ctx, wasm.Invocation{
		Caller: call.Caller, Source: wasm.Source{Digest: call.Module.Digest, Read: call.Module.Read}, Profile: call.Module.Profile,
		Tool: call.Tool, Arguments: call.Arguments, Rights: call.Rights, Services: services,
	})
	var result skills.Outcome
	if out != nil {
		result.Result, result.Denials = out.Result, out.Denials
		for _, l := range out.Log {
			result.Log = append(result.Log, l.Message)
		}
	}
	return result, err
}

// answers plays a person who was told beforehand what to say.
type answers struct {
	mu   sync.Mutex // guards left
	left []abi.AskResult
}

// Ask implements wasm.Asker.
func (a *answers) Ask(context.Context, abi.Caller, abi.AskRequest) (abi.AskResult, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.left) == 0 {
		return abi.AskResult{}, &abi.Problem{Code: abi.CodeNeedsHuman, Capability: "human", Message: "nobody is there to answer"}
	}
	next := a.left[0]
	a.left = a.left[1:]
	return next, nil
}

// allPresent has every secret that is granted: a test's requests carry placeholders.
type allPresent struct{}

// Present implements wasm.SecretDirectory.
func (allPresent) Present(abi.AgentID, abi.SecretName) bool { return true }
