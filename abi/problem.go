package abi

// Code is the closed list of reasons that a host function gives a guest.
type Code string

// The codes of glovebox:host/v1.
const (
	CodeDenied      Code = "denied"      // not granted
	CodePhase       Code = "phase"       // not now: the guest is initialising
	CodeInvalid     Code = "invalid"     // a bad argument
	CodeNotFound    Code = "not_found"   //
	CodeConflict    Code = "conflict"    // a condition such as if_match does not hold
	CodeTooLarge    Code = "too_large"   // over a size limit
	CodeQuota       Code = "quota"       // over a count or storage limit
	CodeTimeout     Code = "timeout"     //
	CodeNetwork     Code = "network"     // the peer could not be reached or broke off
	CodeUnavailable Code = "unavailable" // this host does not offer it
	CodeNeedsHuman  Code = "needs_human" // nobody is there to answer
	CodeInternal    Code = "internal"    //
)

// Problem is a soft refusal or failure that guest, model, audit and operator all
// see. Its text comes from a fixed vocabulary: no secret, no host path, no resolved
// address, nothing of another skill's grant.
type Problem struct {
	Code        Code   `json:"code"`
	Message     string `json:"message"`
	Capability  string `json:"capability,omitempty"` // http, files, secrets, kv, human
	Rule        string `json:"rule,omitempty"`       // file:line of the grant, or the name of a fixed rule such as egress/special-purpose
	Hint        string `json:"hint,omitempty"`       // a command that can be pasted
	RequestSent bool   `json:"request_sent,omitempty"`
	Public      bool   `json:"-"` // of a request that was sent: to servers on the public network alone
}

// Error implements error.
func (p *Problem) Error() string {
	s := string(p.Code) + ": " + p.Message
	if p.Rule != "" {
		s += " (rule " + p.Rule + ")"
	}
	return s
}
