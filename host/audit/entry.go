package audit

import (
	"errors"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// Errors of the log.
var (
	ErrClosed     = errors.New("audit log is closed")
	ErrWrite      = errors.New("audit log cannot be written")
	ErrTooLarge   = errors.New("audit entry is too large")
	ErrRolledBack = errors.New("audit log is older than its anchor")
	ErrKey        = errors.New("audit key file")
)

// Event says what a record is about.
type Event string

// The events of a tool call. Others name their subject in the same way.
const (
	EventAsked   Event = "tool.asked"   // a person is asked
	EventIntent  Event = "tool.intent"  // admitted; written before the effect
	EventOutcome Event = "tool.outcome" // how it ended
	EventDenied  Event = "tool.denied"  // refused: nothing ran
)

// Limits of one entry, after redaction.
const (
	MaxField  = 2 << 10 // bytes of a text field or detail value; longer is cut and marked
	MaxDetail = 32      // entries of Detail
	MaxArgs   = 1 << 26 // bytes that enter the MAC
)

// Entry is what a caller says about one event. The log adds number, time and chain.
// Every text passes the Redactor before it is hashed or stored.
type Entry struct {
	Event      Event
	Actor      string // principal, such as operator:cli or agent:home
	Agent      abi.AgentID
	Session    abi.SessionID
	Call       abi.CallID
	Tool       string // SKILL.TOOL as asked for; may be text of a model
	ToolDigest abi.Digest
	Args       []byte // canonical arguments; only their keyed MAC is stored
	Verdict    string
	Rule       string
	Approval   string
	Outcome    string // ok, error, denied, panic, timeout, cancelled
	Duration   time.Duration
	Detail     map[string]string
	Durable    bool // Append returns only when the record is on disk: set it for what precedes an effect
}

// Record is one stored line of the log, in the form of its canonical JSON.
type Record struct {
	Seq        uint64            `json:"seq"`
	Time       time.Time         `json:"time"` // UTC; never decreases
	Prev       string            `json:"prev"` // SHA-256 of the previous record's canonical JSON, hex
	Event      Event             `json:"event"`
	Actor      string            `json:"actor,omitempty"`
	Agent      abi.AgentID       `json:"agent,omitempty"`
	Session    abi.SessionID     `json:"session,omitempty"`
	Call       abi.CallID        `json:"call,omitempty"`
	Tool       string            `json:"tool,omitempty"`
	ToolDigest abi.Digest        `json:"toolDigest,omitempty"`
	ArgsMAC    string            `json:"argsMAC,omitempty"` // HMAC-SHA-256 under the audit key, hex
	ArgsLen    int               `json:"argsLen,omitempty"`
	Verdict    string            `json:"verdict,omitempty"`
	Rule       string            `json:"rule,omitempty"`
	Approval   string            `json:"approval,omitempty"`
	Outcome    string            `json:"outcome,omitempty"`
	Micros     int64             `json:"micros,omitempty"` // duration in microseconds
	Detail     map[string]string `json:"detail,omitempty"`
}

// Redactor removes secrets from text. A nil Redactor changes nothing.
type Redactor interface {
	Redact(text string) string
}

// Query selects records, newest last.
type Query struct {
	After   uint64 // only seq > After; 0 and no After gives the last Limit records
	Limit   int    // at most 1000; 0 = 50
	Agent   abi.AgentID
	Session abi.SessionID
	Call    abi.CallID
	Event   Event
}
