package policy

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Errors of the mint and of Authorized.
var (
	ErrDenied        = errors.New("the gate did not admit the call")
	ErrNotApproved   = errors.New("the call was not approved")
	ErrSelfApproval  = errors.New("whoever asked for a call cannot approve it")
	ErrExpired       = errors.New("the approval has expired")
	ErrOtherCall     = errors.New("the authorization is for another call")
	ErrAlreadyUsed   = errors.New("the authorization has been used")
	ErrNotAuthorized = errors.New("no authorization")
)

// Approval is a person's answer to one ask. The zero value refuses.
type Approval struct {
	ID      string    // of the approval in the audit log
	Binding Binding   // of the ask and Expires; for any other call the answer is worthless
	By      Principal // an authenticated operator; never the requester
	Granted bool
	Expires time.Time // the zero time has passed
}

// Authorized is the right to run one exact call once. Only Allow and Approve make
// one; the zero value opens nothing.
type Authorized struct {
	caller   abi.Caller
	context  label.Label
	digest   abi.Digest
	args     string
	redeemed *atomic.Bool
}

// Allow mints the authorization of a call that the gate admitted unasked.
func Allow(d Decision) (Authorized, error) {
	if d.Verdict() != gate.VerdictAllow {
		return Authorized{}, fmt.Errorf("%w (rule %s)", ErrDenied, d.Rule())
	}
	return mint(d), nil
}

// Approve mints the authorization of a call that the gate wants approved, if a
// granted, unexpired approval by somebody other than the requester is bound to
// exactly that call.
func Approve(d Decision, a Approval, now time.Time) (Authorized, error) {
	switch {
	case d.Verdict() != gate.VerdictAsk:
		return Authorized{}, fmt.Errorf("%w (rule %s)", ErrDenied, d.Rule())
	case !a.Granted || a.By == "":
		return Authorized{}, ErrNotApproved
	case a.By == d.call.Requester:
		return Authorized{}, ErrSelfApproval
	case !now.Before(a.Expires):
		return Authorized{}, ErrExpired
	case !d.bound(a):
		return Authorized{}, ErrOtherCall
	}
	return mint(d), nil
}

// bound reports whether a is for exactly d's call and its own expiry.
func (d Decision) bound(a Approval) bool {
	want := d.Bind(a.Expires)
	return want != (Binding{}) && subtle.ConstantTimeCompare(a.Binding[:], want[:]) == 1
}

func mint(d Decision) Authorized {
	c := d.call
	return Authorized{
		caller:  abi.Caller{Agent: c.Agent, Session: c.Session, Skill: c.Tool.Skill, Tool: c.Tool.Tool, Call: c.ID},
		context: d.carried, digest: c.Digest, args: d.args, redeemed: new(atomic.Bool),
	}
}

// Redeem uses up a and says on whose behalf the tool runs: a tool learns its caller
// in no other way. It fails if a was not minted for exactly this tool, digest and
// arguments, or was used before; of two racing uses one wins.
func (a Authorized) Redeem(tool abi.ToolRef, digest abi.Digest, args json.RawMessage) (abi.Caller, error) {
	switch {
	case a.redeemed == nil:
		return abi.Caller{}, ErrNotAuthorized
	case tool != (abi.ToolRef{Skill: a.caller.Skill, Tool: a.caller.Tool}), digest != a.digest, string(args) != a.args:
		return abi.Caller{}, ErrOtherCall
	case !a.redeemed.CompareAndSwap(false, true):
		return abi.Caller{}, ErrAlreadyUsed
	}
	return a.caller, nil
}

// Context returns the label of all that the call was made of: of what it writes, too.
// Of the zero Authorized that is the zero label, tainted and private.
func (a Authorized) Context() label.Label { return a.context }

// Redeemed reports whether a was used.
func (a Authorized) Redeemed() bool { return a.redeemed != nil && a.redeemed.Load() }
