// Package memory keeps what an agent remembers, each row with the label of the
// context that it was written in.
//
// The boundary is the label: who wrote and what was in the context decide the verdict
// of a write, and trust ranks before relevance in a recall, so that poisoned rows
// never displace the owner's. There is one way to write for every writer.
package memory

import (
	"errors"
	"fmt"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// ID names one row.
type ID int64

// Writer says which part of the host writes. The zero value may not.
type Writer string

// The writers.
const (
	ByTool       Writer = "tool"       // the agent, through its tool
	ByTurn       Writer = "turn"       // a conversation pair
	ByCompaction Writer = "compaction" // a summary
	ByReview     Writer = "review"     // a background job
	ByImport     Writer = "import"     // a restore or an import: always external
)

// Kind says what a row is.
type Kind string

// The kinds. A row whose context was not the owner's is external, whatever was asked.
const (
	KindFact     Kind = "fact"
	KindSummary  Kind = "summary"
	KindTurn     Kind = "turn"
	KindExternal Kind = "external"
)

// Verdict is what became of a write. The zero value blocks.
type Verdict uint8

// The verdicts.
const (
	Blocked    Verdict = iota
	Downgraded         // stored as external
	Stored
)

// String returns block, downgrade or store.
func (v Verdict) String() string {
	switch v {
	case Downgraded:
		return "downgrade"
	case Stored:
		return "store"
	case Blocked:
	}
	return "block"
}

// Write is one request to remember something.
type Write struct {
	Agent   abi.AgentID
	Writer  Writer
	Kind    Kind
	Text    string
	Context *label.Label // of the session; nil blocks
	Origin  string       // where the text comes from, for people
	Turn    bool         // the text is verbatim a turn of the owner
}

// Row is one remembered text.
type Row struct {
	ID     ID          `json:"id"`
	Kind   Kind        `json:"kind"`
	Text   string      `json:"text"`
	Label  label.Label `json:"label"`
	Origin string      `json:"origin,omitempty"`
	Turn   bool        `json:"turn,omitempty"` // verbatim the owner's own words
	At     time.Time   `json:"at"`
}

// Digest identifies what a row says and how it is trusted: whoever promotes a row
// names by it what they saw.
func (r Row) Digest() abi.Digest {
	return abi.DigestOf(fmt.Appendf(nil, "glovebox/memory-row/v1\n%d %s %q %q", r.ID, r.Kind, r.Label.String(), r.Text))
}

// Query asks for rows.
type Query struct {
	Agent    abi.AgentID
	Text     string
	K        int             // at most; 1 to MaxRecall
	Reader   label.Principal // who will see the rows
	Context  label.Label     // of the session that asks
	External bool            // the owner asked for external rows as well
}

// Limits of one row and one agent.
const (
	MaxText   = 8 << 10 // bytes
	MaxRows   = 100_000
	MaxRecall = 100
)

// Errors of a write that is blocked.
var (
	ErrSecret   = errors.New("memory: the text holds a known secret")
	ErrWriter   = errors.New("memory: the writer may not write")
	ErrContext  = errors.New("memory: the context has no label")
	ErrTooLarge = errors.New("memory: the text is too large")
	ErrFull     = errors.New("memory: the agent's memory is full")
	ErrNoRow    = errors.New("memory: there is no such row")
	ErrChanged  = errors.New("memory: the row is not the one that was shown")
	ErrNoSearch = errors.New("this build has no full-text search: build it with \"make build\" or -tags sqlite_fts5")
)

// Guard finds known secrets and canaries in any form; the host's redactor is one.
type Guard interface {
	// Find returns the name of a known value that text holds, or "".
	Find(text string) string
}

// judge returns the verdict on w and the kind and label that its row gets. Content
// can only make it stricter.
func judge(w Write, g Guard) (Verdict, Kind, label.Label, error) {
	switch w.Writer {
	case ByTool, ByTurn, ByCompaction, ByReview, ByImport:
	default:
		return Blocked, "", label.Label{}, ErrWriter
	}
	switch {
	case w.Agent == "":
		return Blocked, "", label.Label{}, ErrWriter
	case w.Context == nil:
		return Blocked, "", label.Label{}, ErrContext
	case len(w.Text) == 0 || len(w.Text) > MaxText:
		return Blocked, "", label.Label{}, ErrTooLarge
	case g == nil || g.Find(w.Text) != "":
		return Blocked, "", label.Label{}, ErrSecret // without a guard nothing is known to be clean
	}
	l := *w.Context
	if w.Writer == ByImport {
		l = l.Join(label.Label{Integrity: label.Tainted, Readers: label.Public()})
	}
	if l.Integrity < label.Owner {
		return Downgraded, KindExternal, l, nil
	}
	return Stored, w.Kind, l, nil
}
