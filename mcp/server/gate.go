package server

import (
	"context"
	"encoding/json"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// ClientID names a program that authenticated with a token of the scope mcp.
type ClientID string

// Gate is the host behind the server. It is asked each time, so that what the operator
// takes back is gone with the next request.
type Gate interface {
	// Tools lists what is exported to a client now; nothing, for one that is not known.
	Tools(ctx context.Context, client ClientID) ([]Tool, error)
	// Call takes one call through the dispatcher. It must check again that the tool is
	// exported. A refusal is a Result with IsError, in words that the client may read; an
	// error means that nothing can be said, and is shown as internal.
	Call(ctx context.Context, call Call) (Result, error)
}

// Tool is one exported tool.
type Tool struct {
	Name         string // SKILL.TOOL
	Title        string
	Description  string // the author's claim, cleaned as for a model
	InputSchema  json.RawMessage
	OutputSchema json.RawMessage
	Class        abi.Class // of the host; the only word about effects that is passed on
}

// Call is one call of a client.
type Call struct {
	Client  ClientID
	Session string // of the transport; "" where it has none
	Tool    string
	Args    json.RawMessage // as the client sent them
}

// Result is what a call gave, bounded and screened.
type Result struct {
	abi.CallResult
	Label label.Label // the zero value is tainted and private
}

type clientKey struct{}

// WithClient returns a context of requests that client has authenticated. Whoever serves
// the handler calls it, and nobody else.
func WithClient(ctx context.Context, client ClientID) context.Context {
	return context.WithValue(ctx, clientKey{}, client)
}

func clientOf(ctx context.Context) ClientID {
	id, _ := ctx.Value(clientKey{}).(ClientID)
	return id
}
