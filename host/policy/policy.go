// Package policy decides whether a tool call may run: descriptors and a grant in, a
// decision out.
//
// It is pure: no I/O, no clock, no global state. Every zero value denies: a zero
// Registry knows no tool, a zero Decision is a denial, a zero Authorized opens
// nothing. A Registry has no method that changes it, so "sealed after start" is a
// property of its type.
//
// The order of a call is Decide, then Allow or Approve, which mint an Authorized
// bound to exactly one agent, session, tool version and arguments; the tool redeems
// it once and learns from it on whose behalf it runs.
package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Verdict is the outcome of a decision. The zero value denies.
type Verdict uint8

// The verdicts, strictest first.
const (
	VerdictDeny Verdict = iota
	VerdictAsk
	VerdictAllow
)

// String returns deny, ask or allow.
func (v Verdict) String() string {
	switch v {
	case VerdictAsk:
		return "ask"
	case VerdictAllow:
		return "allow"
	case VerdictDeny:
	}
	return "deny"
}

// MarshalText implements encoding.TextMarshaler.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Rule is the stable id of the rule that made a decision.
type Rule string

// The rules, in the order in which Decide tries them; the first match decides.
const (
	RuleNone        Rule = "gate/none"         // the zero Decision
	RuleNoIdentity  Rule = "gate/no-identity"  // agent, session or requester is missing
	RuleUnknownTool Rule = "gate/unknown-tool" // the registry does not know the tool
	RuleDigest      Rule = "gate/digest"       // what would run is not what was pinned
	RuleNotGranted  Rule = "gate/not-granted"  // the operator has not granted the tool to the agent
	RuleArguments   Rule = "gate/arguments"    // the arguments are not one JSON object
	RuleUndeclared  Rule = "gate/undeclared"   // no effect declared: asks
	RuleDestructive Rule = "gate/destructive"  // irreversible: asks
	RuleMutate      Rule = "gate/mutate"       // runs, logged as a change
	RuleRead        Rule = "gate/read"         // runs
)

// Principal names who speaks or answers, such as operator:cli. It is set by the
// host from an authenticated connection, never from a message.
type Principal string

// Call is one proposed call. Identity comes from the host, arguments from a model.
type Call struct {
	Agent     abi.AgentID
	Session   abi.SessionID
	ID        abi.CallID
	Requester Principal // whose message led to the call; can never approve it
	Tool      abi.ToolRef
	Digest    abi.Digest      // of what would run now
	Context   label.Label     // of everything that the model has seen; zero is tainted and private
	Args      json.RawMessage // canonical JSON (RFC 8785); another spelling is another call
}

// Binding is the digest that ties a decision and an approval to one exact call. The
// zero value matches nothing.
type Binding [sha256.Size]byte

// String returns the binding as 64 hex digits.
func (b Binding) String() string { return hex.EncodeToString(b[:]) }

// What bind digests: the call alone, or the call until a moment.
const (
	domainSubject  = "glovebox/approval-subject/v1"
	domainApproval = "glovebox/approval/v1"
)

// bind digests everything that an approval is about. Each part carries its length,
// so no two different calls give the same input.
func bind(domain string, c Call, pin abi.Digest, until string) Binding {
	context, err := json.Marshal(c.Context) // readers are sorted: deterministic
	if err != nil {
		return Binding{}
	}
	h := sha256.New()
	h.Write([]byte(domain))
	for _, part := range []string{
		string(c.Agent), string(c.Session), string(c.Requester), c.Tool.String(), string(pin), string(c.Args), string(context), until,
	} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return Binding(h.Sum(nil))
}

// Decision is what Decide says about one call. Its fields cannot be set outside
// this package, so a decision cannot be edited into another one.
type Decision struct {
	verdict Verdict
	rule    Rule
	why     string
	fix     string
	effect  abi.Effect
	call    Call
	pin     abi.Digest
	subject Binding
}

// Verdict returns the verdict.
func (d Decision) Verdict() Verdict { return d.verdict }

// Rule returns the id of the rule that decided.
func (d Decision) Rule() Rule {
	if d.rule == "" {
		return RuleNone
	}
	return d.rule
}

// Why returns the reason in one sentence, without host detail: a model may see it.
func (d Decision) Why() string { return d.why }

// Fix returns what changes the verdict, for the operator: a command or what to do.
func (d Decision) Fix() string { return d.fix }

// Class returns the class that people see.
func (d Decision) Class() abi.Class { return d.effect.Class() }

// Subject returns the digest of the exact call, whenever it is made: what a denial is
// remembered for. Zero if the call was denied.
func (d Decision) Subject() Binding { return d.subject }

// Bind returns the digest of the exact call and the moment until which an approval of
// it holds. Zero if the call was denied.
func (d Decision) Bind(expires time.Time) Binding {
	if d.subject == (Binding{}) {
		return Binding{}
	}
	return bind(domainApproval, d.call, d.pin, strconv.FormatInt(expires.UnixNano(), 10))
}

// Stricter returns d with the verdict v of an operator's rule, if that is stricter
// than what the gate said; a rule never loosens.
func (d Decision) Stricter(v Verdict, rule Rule, why, fix string) Decision {
	if v >= d.verdict {
		return d
	}
	d.verdict, d.rule, d.why, d.fix = v, rule, why, fix
	if v == VerdictDeny {
		d.subject = Binding{}
	}
	return d
}

// Effect returns the effect that the tool was registered with.
func (d Decision) Effect() abi.Effect { return d.effect }

// Pin returns the digest of the tool's version; empty if the tool is unknown.
func (d Decision) Pin() abi.Digest { return d.pin }
