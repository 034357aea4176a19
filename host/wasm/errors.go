package wasm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// ErrBusy means that too many calls wait for a slot already; nothing was run.
var ErrBusy = errors.New("too many skills are running: try again later")

// ErrDigest means that the bytes of a module are not those that were pinned.
var ErrDigest = errors.New("the module does not match its digest")

// ErrNoTool means that the module does not export what was called.
var ErrNoTool = errors.New("no such tool")

// ErrClosed means that the engine is shut down.
var ErrClosed = errors.New("the engine is closed")

// LimitError means that a call was ended because it passed one of its limits.
type LimitError struct {
	Limit string // the json name of the field of abi.Limits, such as wall, memory or output; memory_shared for what all guests hold together
	Got   int64  // what was asked for or used; 0 if not known. Times are milliseconds
	Max   int64
}

// Error implements error.
func (e *LimitError) Error() string {
	switch {
	case e.Limit == "memory_shared":
		return "the skills that run hold all the memory there is for them: try again later"
	case e.Limit == "wall" || e.Limit == "init_wall":
		return fmt.Sprintf("stopped after %d ms: limits.%s reached", e.Max, e.Limit)
	case e.Got > e.Max:
		return fmt.Sprintf("%s %d exceeds limits.%s %d", strings.ReplaceAll(e.Limit, "_", " "), e.Got, e.Limit, e.Max)
	}
	return fmt.Sprintf("limits.%s %d reached", e.Limit, e.Max)
}

// GuestError means that the skill itself reported a failure. Message is the guest's
// text: untrusted, bounded, without control characters.
type GuestError struct {
	Code    int
	Message string
}

// Error implements error.
func (e *GuestError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("the skill failed with code %d and no message", e.Code)
	}
	return "the skill failed: " + oneLine(e.Message, maxErrorText)
}

// TrapError means that the guest crashed. Frames are wasm frames, innermost first;
// their names come from the module and are untrusted.
type TrapError struct {
	Message string
	Frames  []string
}

// Error implements error. Frames are left out: they are for the log.
func (e *TrapError) Error() string { return "the skill crashed: " + e.Message }

// ResultError means that the guest returned something that is no result.
type ResultError struct {
	Err error
}

// Error implements error.
func (e *ResultError) Error() string { return "the skill returned an invalid result: " + e.Err.Error() }

// Unwrap gives the decoder's error.
func (e *ResultError) Unwrap() error { return e.Err }

// DeniedError means that a skill whose rights are strict was stopped at its first
// refusal.
type DeniedError struct {
	Problem *abi.Problem
}

// Error implements error.
func (e *DeniedError) Error() string {
	return "stopped, since denials are strict: " + e.Problem.Error()
}

// Unwrap gives the refusal.
func (e *DeniedError) Unwrap() error { return e.Problem }
