package mcp

import (
	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/mcp/reason"
)

// Kind is what happened with a server, as the audit log writes it.
type Kind string

// The kinds of events.
const (
	Connected Kind = "mcp.connected"
	Lost      Kind = "mcp.lost"        // the connection, and why
	Isolated  Kind = "mcp.quarantined" // its tools are withdrawn
	Declined  Kind = "mcp.declined"    // a question of the server's that no person sees
	Rested    Kind = "mcp.resting"     // no call reaches it for a while
)

// Event is one thing that the operator may want to know.
type Event struct {
	Kind   Kind
	Server abi.SkillName
	Reason reason.Reason
	Digest abi.Digest // of the listing, where one was read
	Err    error      // may hold text of the server's
}
