// Package policy decides whether a tool call may run: descriptors, a grant and what
// the session has seen in, a decision out.
//
// It is pure: no I/O, no clock, no global state. Every zero value denies: a zero
// Registry knows no tool, a zero Decision is a denial, a zero State is tainted, a
// zero Authorized opens nothing. A Registry has no method that changes it, so
// "sealed after start" is a property of its type.
//
// The order of a call is Decide, then Allow or Approve, which mint an Authorized
// bound to exactly one agent, session, tool version, context and arguments; the tool
// redeems it once and learns from it on whose behalf it runs.
package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
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
func (d *Decision) bind(domain, until string) Binding {
	c := &d.call
	buf := make([]byte, 0, 512)
	part := func(parts ...string) {
		at := len(buf)
		buf = append(buf, 0, 0, 0, 0, 0, 0, 0, 0)
		for _, s := range parts {
			buf = append(buf, s...)
		}
		binary.BigEndian.PutUint64(buf[at:], uint64(len(buf)-at-8))
	}
	part(domain)
	part(string(c.Agent))
	part(string(c.Session))
	part(string(c.Requester))
	part(string(c.Tool.Skill), ".", string(c.Tool.Tool))
	part(string(d.pin))
	part(d.args)
	part(lines(d.context))
	part(until)
	return sha256.Sum256(buf)
}

// lines spells a label out; no principal holds a line break, and they are sorted.
func lines(l label.Label) string {
	s := l.Integrity.String() + "\n" + strconv.FormatBool(l.Readers.IsPublic())
	for _, p := range l.Readers.List() {
		s += "\n" + string(p)
	}
	return s
}

// Decision is what Decide says about one call. Its fields cannot be set outside
// this package, so a decision cannot be edited into another one.
type Decision struct {
	judgement gate.Judgement
	why, fix  string // of an operator's rule; the gate's own are looked up
	effect    abi.Effect
	call      Call
	args      string // of call, which keeps no way in
	context   label.Label
	carried   label.Label // context and what the call takes along by handle
	pin       abi.Digest
	subject   Binding
}

// Verdict returns the verdict.
func (d Decision) Verdict() gate.Verdict { return d.judgement.Verdict }

// Rule returns the id of the rule that decided.
func (d Decision) Rule() gate.Rule { return d.Judgement().Rule }

// Judgement returns the verdict with what led to it.
func (d Decision) Judgement() gate.Judgement {
	j := d.judgement
	if j.Rule == "" {
		j.Rule = gate.RuleNone
	}
	return j
}

// Class returns the class that people see.
func (d Decision) Class() abi.Class { return d.effect.Class() }

// Effect returns the effect that the tool was registered with.
func (d Decision) Effect() abi.Effect { return d.effect }

// Pin returns the digest of the tool's version; empty if the tool is unknown.
func (d Decision) Pin() abi.Digest { return d.pin }

// Subject returns the digest of the exact call, whenever it is made: what a denial is
// remembered for. Zero if the call was denied.
func (d Decision) Subject() Binding { return d.subject }

// Bind returns the digest of the exact call and the moment until which an approval of
// it holds. Zero if the call was denied.
func (d Decision) Bind(expires time.Time) Binding {
	if d.subject == (Binding{}) {
		return Binding{}
	}
	return d.bind(domainApproval, strconv.FormatInt(expires.UnixNano(), 10))
}

// Stricter returns d with the verdict v of an operator's rule, if that is stricter
// than what the gate said; a rule never loosens.
func (d Decision) Stricter(v gate.Verdict, rule gate.Rule, why, fix string) Decision {
	if v >= d.Verdict() {
		return d
	}
	d.judgement.Verdict, d.judgement.Rule, d.why, d.fix = v, rule, why, fix
	if v == gate.VerdictDeny {
		d.subject = Binding{}
	}
	return d
}
