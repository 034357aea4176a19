package admin

import (
	"context"
	"encoding/json"
	"time"

	"github.com/glovebox-dev/glovebox/host/approval"
)

// Backend is what the API serves; host implements it. An error that is an *Error
// reaches the client as it is; any other is logged and shown as internal.
type Backend interface {
	// Chat handles one message. It calls emit, if not nil, for each event in order,
	// from one goroutine at a time.
	Chat(ctx context.Context, req ChatRequest, emit func(Event)) (ChatReply, error)
	Status(ctx context.Context) (Status, error)
	Skills(ctx context.Context) ([]Skill, error)
	Audit(ctx context.Context, n int) ([]AuditRecord, error)
	// Explain tells what the record seq decided about a call of a tool.
	Explain(ctx context.Context, seq uint64) (Explanation, error)
	// Approvals lists what waits; with past, also the last asks that were decided.
	Approvals(ctx context.Context, past int) ([]Approval, error)
	Approval(ctx context.Context, id string) (Approval, error)
	// Decide answers a pending approval once; a second answer is a conflict.
	Decide(ctx context.Context, id string, d Decision) error
	// Endorsements lists the values that persons endorsed and that still hold.
	Endorsements(ctx context.Context) ([]approval.Endorsement, error)
	// Revoke ends an endorsement before its time.
	Revoke(ctx context.Context, id string) error
	// Marked lists the conversations in which a known value came to a place where none
	// should be: every call of them asks.
	Marked(ctx context.Context) ([]Conversation, error)
	// Clear takes the mark from one.
	Clear(ctx context.Context, c Conversation) error
	Treasury
	Archive
	// Stop asks the daemon to end gracefully.
	Stop(ctx context.Context) error
}

// ChatRequest is the body of POST /api/chat.
type ChatRequest struct {
	Message string `json:"message"`
	Session string `json:"session,omitempty"` // default: a new one
	Agent   string `json:"agent,omitempty"`   // default: the first of the configuration
}

// ChatReply answers POST /api/chat.
type ChatReply struct {
	Reply   string     `json:"reply"`
	Session string     `json:"session"`
	Agent   string     `json:"agent"`
	Calls   []Call     `json:"calls"`
	Notes   []string   `json:"notes,omitempty"` // about the message, for whoever wrote it
	Audit   AuditRange `json:"audit"`
}

// AuditRange names the records that a message wrote, both ends included; other
// messages may have records in between.
type AuditRange struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Call tells of one tool call.
type Call struct {
	ID         string          `json:"id"`
	Tool       string          `json:"tool"` // skill.tool
	Class      string          `json:"class"`
	Arguments  json.RawMessage `json:"arguments,omitempty"`
	Verdict    string          `json:"verdict"`       // allow, ask or deny
	Rule       string          `json:"rule"`          // of the gate
	Outcome    string          `json:"outcome"`       // ok, error, denied, panic, timeout, cancelled
	Why        string          `json:"why,omitempty"` // of an outcome other than ok
	Text       string          `json:"text,omitempty"`
	Denials    []Denial        `json:"denials"`
	DurationMS float64         `json:"duration_ms"`
}

// Denial is one refusal of the gate or of a capability.
type Denial struct {
	Code       string `json:"code"`
	Message    string `json:"message"`
	Capability string `json:"capability,omitempty"`
	Rule       string `json:"rule,omitempty"`
	Hint       string `json:"hint,omitempty"`
}

// Event is one server-sent event of POST /api/chat: call, approval, progress,
// reply or problem.
type Event struct {
	Name string
	Data any
}

// Status answers GET /api/status.
type Status struct {
	Version   string    `json:"version"`
	Started   time.Time `json:"started"`
	UptimeS   float64   `json:"uptime_s"`
	PID       int       `json:"pid"`
	Address   string    `json:"address"`
	State     string    `json:"state"`
	Config    string    `json:"config,omitempty"`
	Agents    []Agent   `json:"agents"`
	Skills    int       `json:"skills"`
	Pending   int       `json:"approvals_pending"`
	Private   []string  `json:"private_origins"`
	Audit     AuditHead `json:"audit"`
	Confined  string    `json:"confinement"`          // how the compiler child is confined
	Hints     bool      `json:"unknown_secret_hints"` // this build has rules for secrets that nobody stored
	Warnings  []string  `json:"warnings"`
	RSSBytes  int64     `json:"rss_bytes,omitempty"`
	Goroutine int       `json:"goroutines"`
}

// AuditHead tells how far the audit log has come.
type AuditHead struct {
	Records uint64 `json:"records"`
	OK      bool   `json:"writable"`
}

// Agent is one agent in Status.
type Agent struct {
	Name  string   `json:"name"`
	Model string   `json:"model"`
	Tools []string `json:"tools"`
}

// Skill is one entry of GET /api/skills.
type Skill struct {
	Name        string   `json:"name"`
	Version     string   `json:"version,omitempty"`
	Description string   `json:"description,omitempty"`
	Dir         string   `json:"dir"`
	Digest      string   `json:"digest,omitempty"`
	State       string   `json:"state"` // ready, needs grant, refused
	Why         string   `json:"why,omitempty"`
	Hint        string   `json:"hint,omitempty"`
	Grant       string   `json:"grant,omitempty"` // file
	Tools       []Tool   `json:"tools"`
	Agents      []string `json:"agents"`
	Publisher   string   `json:"publisher,omitempty"` // who signed it, by the configuration's name; local is this machine
	Unchecked   string   `json:"unchecked,omitempty"` // why its dependencies were not held against advisories
}

// Tool is one tool of a Skill.
type Tool struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Class       string `json:"class"`
}

// AuditRecord is one record of the log, as stored.
type AuditRecord struct {
	Seq   uint64    `json:"seq"`
	Time  time.Time `json:"time"`
	Event string    `json:"event"`
	// Record is the whole canonical record.
	Record json.RawMessage `json:"record"`
}

// Approval is a call that waits for the operator's yes, or a question of a skill.
type Approval struct {
	ID        string          `json:"id"`
	Kind      string          `json:"kind"` // call or question
	Agent     string          `json:"agent"`
	Session   string          `json:"session"`
	Tool      string          `json:"tool"`
	Class     string          `json:"class"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
	Question  string          `json:"question"`          // of a question: text of the skill, untrusted
	Choices   []string        `json:"choices,omitempty"` // of a question
	Expires   time.Time       `json:"expires"`
	Card      *approval.Card  `json:"card,omitempty"` // of a call: all that a person must see
}

// The words of a Decision.
const (
	Approve = "approve"
	Deny    = "deny"
	Endorse = "endorse" // one value of the call, instead of the call
)

// Decision is the body of POST /api/approvals/{id}.
type Decision struct {
	Decision string `json:"decision"`           // approve, deny or endorse
	Answer   string `json:"answer,omitempty"`   // to a question
	Argument string `json:"argument,omitempty"` // of endorse
	Value    string `json:"value,omitempty"`    // of endorse, where the argument holds several
	For      string `json:"for,omitempty"`      // of endorse: once or session
}

// Conversation is one that the guard has marked. To clear it, Agent and Session are
// enough.
type Conversation struct {
	Agent   string `json:"agent"`
	Session string `json:"session"`
	Sink    string `json:"sink,omitempty"`   // where the value was met
	Secret  string `json:"secret,omitempty"` // its name
	Form    string `json:"form,omitempty"`   // plain, condensed, coded or pieces
	Rule    string `json:"rule,omitempty"`
}
