// Package agent runs the loop of an agent: message, model, tool calls through one
// door, reply.
//
// The model is taken for an adversary: whatever it returns, a call runs only if the
// Dispatcher finds the tool, its schema admits the arguments, the gate admits the
// call (or a person approves exactly it) and the intent is on record. The package
// declares what it needs from others: Model, Tool, Approver and Recorder; it knows
// no sandbox, engine or network.
package agent

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Model proposes the next step of a conversation. It decides nothing.
type Model interface {
	// Name is shown to people: "offline", "scripted", a provider's model.
	Name() string
	// Next returns text, or calls, or both. It must not keep p.
	Next(ctx context.Context, p Prompt) (Turn, error)
}

// Turn is what a model answers. Everything in it is untrusted.
type Turn struct {
	Text  string
	Calls []ToolCall
	Usage *Usage // what the step cost, by the provider's own count; nil: all that was reserved
}

// ToolCall is a call that a model asks for.
type ToolCall struct {
	ID   string          // the model's own name for the call; only echoed
	Tool string          // SKILL.TOOL
	Args json.RawMessage // one JSON object

	// AsHandle has the host keep the result: the model gets a handle, a type and a
	// rough length, and the bytes do not enter its context. See ToolInfo.Handles.
	AsHandle bool
}

// Tool is one installed tool behind the door.
type Tool interface {
	// Digest identifies what Invoke would run now; the gate denies what is not pinned.
	Digest() abi.Digest
	// Invoke runs the tool. An implementation must call auth.Redeem first: that is
	// how it learns its caller. An error means that no result exists; a result that
	// reports failure is an Outcome whose Result.IsError is set.
	Invoke(ctx context.Context, auth policy.Authorized, args json.RawMessage) (Outcome, error)
}

// Outcome is what a tool gives back.
type Outcome struct {
	Result  abi.CallResult
	Denials []abi.Problem     // soft denials that the guest met
	Detail  map[string]string // facts for the audit log, such as bytes and host calls
	Label   label.Label       // of what the tool read; the zero value is tainted and private
	Minted  []string          // identifiers that it made for new objects; counts of a Native tool only
}

// Approver asks a person about one call. Approve blocks until an answer, or until
// ctx ends; both an error and the zero Approval refuse.
type Approver interface {
	Approve(ctx context.Context, ask Ask) (policy.Approval, error)
}

// Claimer is an Approver whose grants are kept outside of the process. A grant that
// cannot be claimed does not run; of two claims of one grant one wins.
type Claimer interface {
	// Claim uses up a grant, right before the effect.
	Claim(ctx context.Context, a policy.Approval) error
	// Settle notes how the call that claimed the grant id ended.
	Settle(ctx context.Context, id string, outcome string) error
}

// ErrAgain is returned by an Approver when a person endorsed a value instead of the
// call: the gate judges the call again.
var ErrAgain = errors.New("the gate must judge the call again")

// Endorser is an Approver that knows which values a person has endorsed.
type Endorser interface {
	// Endorsed lists the live endorsements of a session.
	Endorsed(ctx context.Context, agent abi.AgentID, session abi.SessionID) ([]gate.Endorsement, error)
	// Spend uses up the endorsements that serve once and that the call relies on, right
	// before the effect: of two calls that rely on one, one runs.
	Spend(ctx context.Context, call policy.Call, pin abi.Digest, args map[string]any) error
}

// Ask is what a person sees of a call that needs approval. It is rendered by the
// host from what would run, never from a model's description of it.
type Ask struct {
	Agent     abi.AgentID         `json:"agent"`
	Session   abi.SessionID       `json:"session"`
	Call      abi.CallID          `json:"call"`
	Requester policy.Principal    `json:"requester"` // cannot approve
	Tool      string              `json:"tool"`
	Pin       abi.Digest          `json:"pin"` // of the tool's version
	Effect    abi.Effect          `json:"effect"`
	Class     abi.Class           `json:"class"`
	Rule      gate.Rule           `json:"rule"`
	Why       string              `json:"why"`
	Context   label.Label         `json:"context"`         // of everything that the model has seen
	Args      json.RawMessage     `json:"args"`            // canonical, complete
	Roles     map[string]abi.Role `json:"roles,omitempty"` // of the arguments that the descriptor lists
	Judgement gate.Judgement      `json:"judgement"`       // what is not endorsed, and what would flow to whom
	Subject   policy.Binding      `json:"subject"`         // the call, whenever it is made
	Binding   policy.Binding      `json:"binding"`         // the call until Expires
	Expires   time.Time           `json:"expires"`
}

// Recorder writes the audit log; *audit.Log is one. If it cannot write the intent of
// a call, the call does not run.
type Recorder interface {
	Append(ctx context.Context, e audit.Entry) (audit.Record, error)
}

// Spec describes one installed tool to the Dispatcher.
type Spec struct {
	Ref        abi.ToolRef
	Digest     abi.Digest     // pinned at install
	Descriptor abi.Descriptor // zero = undeclared
	Tool       abi.Tool       // the module's own words: name, description, schema
	About      string         // the skill's description in its manifest
	Impl       Tool
	Native     bool // a part of the host itself: no skill, no server
}

// ToolInfo is what a model is told about a tool that it may call.
type ToolInfo struct {
	Name        string          `json:"name"` // SKILL.TOOL
	Class       abi.Class       `json:"class"`
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"` // the author's claim
	About       string          `json:"about,omitempty"`       // of the skill; the author's claim
	Schema      json.RawMessage `json:"inputSchema"`
	Handles     bool            `json:"handles,omitempty"` // the result can be kept by the host: ToolCall.AsHandle
}

// CallReport tells what became of one call.
type CallReport struct {
	ID         abi.CallID      `json:"id"`
	Tool       string          `json:"tool"`
	Class      abi.Class       `json:"class"`
	Args       json.RawMessage `json:"args,omitempty"` // canonical; left out above 4 KiB
	Verdict    gate.Verdict    `json:"verdict"`        // of the whole door: allow = it ran
	Rule       string          `json:"rule"`
	Why        string          `json:"why,omitempty"`
	Fix        string          `json:"fix,omitempty"`
	Approval   string          `json:"approval,omitempty"`
	Outcome    string          `json:"outcome,omitempty"` // ok, error, denied, panic, timeout, cancelled
	IsError    bool            `json:"isError,omitempty"`
	Text       string          `json:"text,omitempty"` // the result's text: untrusted, bounded
	Truncated  bool            `json:"truncated,omitempty"`
	Structured json.RawMessage `json:"structured,omitempty"`
	Denials    []abi.Problem   `json:"denials,omitempty"`
	Seq        uint64          `json:"seq,omitempty"`        // of the intent or denial in the audit log
	OutcomeSeq uint64          `json:"outcomeSeq,omitempty"` // of the outcome
	Duration   time.Duration   `json:"duration,omitempty"`

	Judgement gate.Judgement `json:"judgement"`       // of the gate, with what led to it
	Label     label.Label    `json:"label"`           // of Text and Denials
	Effect    abi.Effect     `json:"effect,omitzero"` // that the tool was registered with

	minted  []string // identifiers that a part of the host made for new objects
	fetched bool     // the gate let it fetch what its control values name, and nothing else went out
}

// Inbound is one message to an agent. Identity comes from the connection.
type Inbound struct {
	Session abi.SessionID
	From    policy.Principal
	Text    string
	Label   label.Label // of Text, by who was verified to have sent it; zero is tainted and private
	Events  func(Event) // optional; called in order, from the goroutine of Handle

	// Dispatcher, if not nil, is the door for this message instead of the one in
	// Options: so a conversation goes on when skills or grants have changed.
	Dispatcher *Dispatcher
}

// Reply answers an Inbound.
type Reply struct {
	Session abi.SessionID `json:"session"`
	Model   string        `json:"model"`
	Text    string        `json:"text"`
	Calls   []CallReport  `json:"calls,omitempty"`
	Steps   int           `json:"steps"`
	Stopped string        `json:"stopped,omitempty"` // why the loop ended early: steps, output
}

// EventKind says what happened while a message is handled.
type EventKind string

// The kinds of events.
const (
	EventToolStarted  EventKind = "tool.started"
	EventToolDenied   EventKind = "tool.denied"
	EventToolFinished EventKind = "tool.finished"
	EventText         EventKind = "text"
)

// Event is one step of handling a message.
type Event struct {
	Kind EventKind   `json:"kind"`
	Text string      `json:"text,omitempty"`
	Call *CallReport `json:"call,omitempty"` // of a started call only ID, Tool, Class, Verdict and Rule are set
}
