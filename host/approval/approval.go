package approval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// ID names an ask or an endorsement: 16 lower-case letters and digits, 80 random bits.
type ID string

// State is how far an ask has come.
type State string

// The states of an ask. Pending and granted are open; all others are final.
const (
	Pending  State = "pending"  // a person is asked
	Granted  State = "granted"  // usable once, until its expiry
	Consumed State = "consumed" // used; the outcome is a field of its own
	Denied   State = "denied"   // by a person, or by the host where nobody can be asked
	Expired  State = "expired"  // nobody answered, or the grant was not used, in time
	Endorsed State = "endorsed" // a person endorsed a value instead: the gate judges again
	Closed   State = "closed"   // its session ended
)

// The principals that the host itself acts as.
const (
	byTimeout  policy.Principal = "host:timeout"
	byHeadless policy.Principal = "host:no-surface"
	bySession  policy.Principal = "host:session-ended"
)

// OutcomeUnknown is the outcome of a call that was interrupted between the use of its
// grant and the end of its effect. It is never run again.
const OutcomeUnknown = "unknown"

// Errors of a Store. Each refuses.
var (
	ErrUnknown     = errors.New("there is no such approval")
	ErrNotApprover = errors.New("whoever answers may not approve this")
	ErrNotApproved = errors.New("not approved")
	ErrDenied      = errors.New("denied before in this session")
	ErrEndorsed    = errors.New("a value was endorsed; the gate must judge the call again")
	ErrFull        = errors.New("too many calls wait for an answer")
	ErrPaused      = errors.New("too many calls of this session wait for an answer; it is paused")
	ErrHeadless    = errors.New("nobody can be asked")
	ErrUsed        = errors.New("the approval is not usable: used, expired, or for another call")
	ErrClosed      = errors.New("the daemon is stopping")
	ErrRequest     = errors.New("the request cannot be asked")
)

// DecidedError is the answer to an answer that came too late.
type DecidedError struct {
	ID    ID
	State State
	By    policy.Principal
	At    time.Time
}

// Error implements error.
func (e *DecidedError) Error() string {
	return fmt.Sprintf("approval %q has been decided already (%s) by %s at %s", e.ID, e.State, e.By, e.At.Format(time.RFC3339))
}

// Request is a call that the gate wants approved. The host makes it from what would
// run; nothing in it comes from a model's description.
type Request struct {
	Agent        abi.AgentID         `json:"agent"`
	Session      abi.SessionID       `json:"session"`
	Call         abi.CallID          `json:"call"`
	Requester    policy.Principal    `json:"requester"`              // never approves
	Conversation string              `json:"conversation,omitempty"` // whose message led to the call; never answers
	Tool         abi.ToolRef         `json:"tool"`
	Pin          abi.Digest          `json:"pin"` // of the tool's version
	Effect       abi.Effect          `json:"effect,omitzero"`
	Rule         gate.Rule           `json:"rule"`
	Why          string              `json:"why"`
	Context      label.Label         `json:"context"`
	Args         json.RawMessage     `json:"args,omitempty"` // canonical JSON (RFC 8785)
	Roles        map[string]abi.Role `json:"roles,omitempty"`
	About        string              `json:"about,omitempty"` // what an argument stands for, such as the row behind a number
	Findings     []gate.Finding      `json:"findings,omitempty"`
	Flows        []gate.Flow         `json:"flows,omitempty"`
	Links        []string            `json:"links,omitempty"`
	Subject      policy.Binding      `json:"-"` // the call, whenever it is made
	Binding      policy.Binding      `json:"-"` // the call until Expires
	Expires      time.Time           `json:"expires"`
}

// Approver is who answers, as an adapter or the API verified it: never text of a
// message. Agent and Session, where set, are all that it may decide about.
type Approver struct {
	Principal    policy.Principal
	Surface      string // name of the surface through which the answer came
	Conversation string // in which the answer was given, where there is one
	Agent        abi.AgentID
	Session      abi.SessionID
}

// Event is one step for the audit log. It holds no content but the arguments, of
// which the log keeps a keyed hash.
type Event struct {
	Name    string // approval.asked, .decided, .refused, .consumed, .settled, .expired, .endorsed, .closed
	Actor   policy.Principal
	ID      ID
	Request Request
	Verdict string
	Outcome string
	Detail  map[string]string
}

// Recorder writes the audit log. A step that cannot be recorded does not happen.
type Recorder interface {
	Record(ctx context.Context, e Event) error
}

// Config is what a Store is made of. Path and Record are required.
type Config struct {
	Path       string             // of the database
	Record     Recorder           //
	Approvers  []policy.Principal // operators who may answer; others never
	Surfaces   []Surface          // none: whatever asks is denied at once
	MaxPending int                // asks that wait at once; 0 = 100
	MaxSession int                // of them in one session, before it is paused; 0 = 10
	Now        func() time.Time   // nil = time.Now
	Redact     func(string) string
}

// The defaults of Config, and what is kept for how long.
const (
	DefaultPending = 100
	DefaultSession = 10
	MaxArgs        = 256 << 10      // bytes of arguments that a person can be asked about; nothing is cut
	MaxValues      = 2000           // values and names in them
	DenialTime     = 24 * time.Hour // a denial answers repeats until its session ends, at most this long
	keepTime       = 30 * 24 * time.Hour
)
