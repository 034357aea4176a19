package guest

import (
	"errors"
	"strings"
)

// Codes that the host gives for a refusal or a failure: the closed list of
// glovebox:host/v1.
const (
	CodeDenied      = "denied"      // not granted
	CodePhase       = "phase"       // not now: the guest is initialising
	CodeInvalid     = "invalid"     // a bad argument
	CodeNotFound    = "not_found"   //
	CodeConflict    = "conflict"    // a condition such as IfMatch does not hold
	CodeTooLarge    = "too_large"   // over a size limit
	CodeQuota       = "quota"       // over a count or storage limit
	CodeTimeout     = "timeout"     //
	CodeNetwork     = "network"     // the peer could not be reached or broke off
	CodeUnavailable = "unavailable" // this host does not offer it
	CodeNeedsHuman  = "needs_human" // nobody is there to answer
	CodeInternal    = "internal"    //
)

// Problem is an answer of the host that is not the one that was asked for.
type Problem struct {
	Code        string `json:"code"`
	Message     string `json:"message"`
	Capability  string `json:"capability,omitempty"` // http, files, secrets, kv, human
	Rule        string `json:"rule,omitempty"`       // what refused: a line of the grant or a fixed rule
	Hint        string `json:"hint,omitempty"`       // a command for the operator
	RequestSent bool   `json:"request_sent,omitempty"`
}

// Error implements error.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Code + ": " + p.Message)
	if p.Rule != "" {
		b.WriteString(" (rule " + p.Rule + ")")
	}
	if p.Hint != "" {
		b.WriteString("; hint: " + p.Hint)
	}
	return b.String()
}

// Denied is the problem of something that is not granted, or not in this phase.
//
//	var d *guest.Denied
//	if errors.As(err, &d) {
//		return guest.Error("I may not read that page: " + d.Hint), nil
//	}
type Denied struct{ Problem }

// Unwrap returns the problem, so that errors.As finds it under either type.
func (d *Denied) Unwrap() error { return &d.Problem }

// HasCode reports whether err is a problem of the host with this code.
func HasCode(err error, code string) bool {
	var p *Problem
	return errors.As(err, &p) && p.Code == code
}

func (p *Problem) asError() error {
	if p.Code == CodeDenied || p.Code == CodePhase {
		return &Denied{*p}
	}
	return p
}
