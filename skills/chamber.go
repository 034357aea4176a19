package skills

import (
	"context"
	"encoding/json"
	"io"

	"github.com/glovebox-dev/glovebox/abi"
)

// Module is a module to be loaded: its digest and how to read it.
type Module struct {
	Digest  abi.Digest
	Read    func() (abi.Blob, error)
	Profile abi.Profile
}

// Module returns the bundle's module for a chamber.
func (b *Bundle) Module() Module {
	return Module{Digest: b.Manifest.Module, Read: b.Read, Profile: b.Manifest.Manifest.ABI}
}

// Lister asks a module for its tools, in a chamber without rights. The host offers
// it over host/wasm.
type Lister interface {
	ListTools(ctx context.Context, m Module, limits abi.Limits) ([]abi.Tool, error)
}

// Fetcher answers the fetches of a call; broker.Broker and its recorded form do.
// A refusal is an *abi.Problem.
type Fetcher interface {
	Fetch(ctx context.Context, c abi.Caller, r abi.Rights, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error)
}

// Call is one tool call of a test.
type Call struct {
	Caller    abi.Caller
	Module    Module
	Tool      abi.ToolName
	Arguments json.RawMessage
	Rights    abi.Rights      // bound to the arguments; file rights name folders of the host
	Fetch     Fetcher         // recorded: it reaches no network
	Answers   []abi.AskResult // to questions, in order; then nobody is there
	Folder    string          // private to the case: for the key-value store
}

// Outcome is what became of a call that reached the guest.
type Outcome struct {
	Result  abi.CallResult
	Denials []abi.Problem
	Log     []string
}

// Runner runs one call in a chamber. The error of a call that the guest failed is
// the text of its failure.
type Runner interface {
	RunTool(ctx context.Context, c Call) (Outcome, error)
}

// Toolchain runs the author's compiler on the author's machine with exactly the
// environment env; sandbox.RunToolchain is one.
type Toolchain func(ctx context.Context, dir string, argv, env []string, out io.Writer) error
