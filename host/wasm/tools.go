package wasm

import (
	"context"
	"errors"

	"github.com/glovebox-dev/glovebox/abi"
)

// Bounds of what a tool says about itself.
const (
	maxTitle       = 256
	maxDescription = 2 << 10
)

// Tools asks a module for its tools, with no rights at all. The answer is empty for
// extism/raw, which has no list, and for a module of the second ABI without
// list_tools.
func (e *Engine) Tools(ctx context.Context, src Source, profile abi.Profile, limits abi.Limits) ([]abi.Tool, error) {
	p, ok, err := planList(profile)
	if err != nil || !ok {
		return nil, err
	}
	out, err := e.run(ctx, Invocation{
		Caller: abi.Caller{Skill: "list"}, Source: src, Profile: profile, Rights: abi.Rights{Limits: limits},
	}, p)
	if errors.Is(err, errNoList) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tools, err := abi.DecodeTools(out.Raw)
	if err != nil {
		return nil, &ResultError{Err: err}
	}
	for i := range tools {
		tools[i].Title = oneLine(tools[i].Title, maxTitle)
		tools[i].Description = prose(tools[i].Description, maxDescription)
	}
	return tools, nil
}
