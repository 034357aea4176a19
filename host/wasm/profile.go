package wasm

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
)

// plan is how one call looks to the module: which export, which bytes.
type plan struct {
	profile abi.Profile
	export  string
	input   []byte
	command bool     // input is standard input, the result standard output
	args    []string // command
	absent  error    // what it means that the module has no such export; nil = ErrNoTool
}

// wireContext is the context object of the second ABI. Its id is a string: some
// plugins reject a number.
type wireContext struct {
	ID   string   `json:"id"`
	Meta struct{} `json:"_meta"`
}

type wireCall struct {
	Name      abi.ToolName    `json:"name"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
}

// errNoList means that a module of the second ABI lists no tools, which it may.
var errNoList = errors.New("the module lists no tools")

// maxArgumentDepth bounds the nesting of a call's arguments.
const maxArgumentDepth = 64

// planCall builds the call of one tool for its profile.
func planCall(inv Invocation) (plan, error) {
	p := plan{profile: inv.Profile}
	args := inv.Arguments
	if len(args) == 0 {
		args = json.RawMessage("{}")
	}
	if inv.Profile != abi.ProfileRaw || inv.Input == nil {
		if !json.Valid(args) || nesting(args) > maxArgumentDepth {
			return p, fmt.Errorf("arguments of %q: want JSON nested at most %d deep", inv.Tool, maxArgumentDepth)
		}
	}
	id := string(inv.Caller.Call)
	if id == "" {
		id = "call"
	}
	request := wireCall{inv.Tool, args}
	var err error
	switch inv.Profile {
	case abi.ProfileMCPv2:
		p.export = "call_tool"
		p.input, err = json.Marshal(map[string]any{"request": request, "context": wireContext{ID: id}})
	case abi.ProfileMCPv1:
		p.export = "call"
		p.input, err = json.Marshal(map[string]any{"params": request})
	case abi.ProfileRaw:
		p.export, p.input = inv.Export, inv.Input
		if p.export == "" {
			p.export = string(inv.Tool)
		}
		if p.input == nil {
			p.input = args
		}
	case abi.ProfileCommand:
		p.export, p.command, p.args = "_start", true, []string{programName(inv.Caller)}
		p.input, err = json.Marshal(map[string]any{"request": request, "context": wireContext{ID: id}})
	default:
		return p, fmt.Errorf("profile %q: want %s, %s, %s or %s", inv.Profile, abi.ProfileMCPv2, abi.ProfileMCPv1, abi.ProfileRaw, abi.ProfileCommand)
	}
	if err != nil {
		return p, fmt.Errorf("call %q: %w", inv.Tool, err)
	}
	return p, nil
}

func programName(c abi.Caller) string {
	if c.Skill == "" {
		return "skill"
	}
	return string(c.Skill)
}

// planList builds the call that lists the tools; ok is false for a profile that has
// none.
func planList(profile abi.Profile) (p plan, ok bool, err error) {
	p.profile = profile
	switch profile {
	case abi.ProfileMCPv2:
		p.export, p.absent = "list_tools", errNoList
		p.input, err = json.Marshal(map[string]any{"context": wireContext{ID: "list"}})
	case abi.ProfileMCPv1:
		p.export = "describe"
	case abi.ProfileCommand:
		p.export, p.command, p.args = "_start", true, []string{"skill", "--describe"}
	case abi.ProfileRaw:
		return p, false, nil
	default:
		return p, false, fmt.Errorf("profile %q cannot list tools", profile)
	}
	return p, true, err
}

// check refuses a call that the module cannot take, before a slot is used.
func (p plan) check(r *module.Report) error {
	if p.absent != nil && !slices.ContainsFunc(r.Exports, func(e module.Export) bool { return e.Name == p.export }) {
		return p.absent
	}
	if err := r.Callable(p.export); err != nil {
		return fmt.Errorf("%w: %w", ErrNoTool, err)
	}
	return nil
}

// read turns the raw output into the tool's result.
func (p plan) read(out *Outcome, limit int64) error {
	if p.profile == abi.ProfileRaw {
		out.Result = rawResult(out.Raw)
		return nil
	}
	res, err := abi.DecodeCallResult(out.Raw, limit)
	if err != nil {
		return &ResultError{Err: err}
	}
	out.Result = shown(res)
	return nil
}

// rawResult wraps bytes that have no form of their own.
func rawResult(b []byte) abi.CallResult {
	if utf8.Valid(b) {
		return abi.CallResult{Content: []abi.Content{{Type: "text", Text: result(string(b))}}}
	}
	return abi.CallResult{Content: []abi.Content{{Type: "resource", Resource: &abi.ResourceContent{
		URI: "skill:output", Blob: base64.StdEncoding.EncodeToString(b), MIMEType: "application/octet-stream"}}}}
}

// shown takes hidden characters out of the texts of a result.
func shown(r abi.CallResult) abi.CallResult {
	for i := range r.Content {
		c := &r.Content[i]
		c.Text = result(c.Text)
		c.MIMEType, c.URI, c.Name = oneLine(c.MIMEType, 256), oneLine(c.URI, maxURL), oneLine(c.Name, 256)
		if c.Resource != nil {
			res := *c.Resource
			res.Text, res.URI, res.MIMEType = result(res.Text), oneLine(res.URI, maxURL), oneLine(res.MIMEType, 256)
			c.Resource = &res
		}
	}
	return r
}
