// Package reason names why something of an MCP server is refused. The words are stable:
// they stand in the audit log, on the command line and in the documentation.
package reason

import "strings"

// Reason is a stable word for a refusal.
type Reason string

// What a server says about its tools.
const (
	Hidden    Reason = "mcp.hidden-text"    // text that a person would not see, or not where it stands
	Duplicate Reason = "mcp.duplicate"      // two tools of one name
	LookAlike Reason = "mcp.look-alike"     // two names that a person takes for one
	Foreign   Reason = "mcp.foreign-prefix" // a name that claims to be of another server or skill
	Oversize  Reason = "mcp.oversize"       // more tools, pages or bytes than one server may have
	Malformed Reason = "mcp.malformed"      // not what the protocol says
	Changed   Reason = "mcp.changed"        // not what was approved
)

// How a server behaves.
const (
	Flood     Reason = "mcp.flood"       // more messages than were asked for
	Redirect  Reason = "mcp.redirect"    // an answer that leads to another origin
	Timeout   Reason = "mcp.timeout"     // no answer in time
	Down      Reason = "mcp.unreachable" // no connection, or it broke
	Resting   Reason = "mcp.resting"     // failed too often, and is left alone for a while
	Reauth    Reason = "mcp.reauth"      // it wants other credentials
	Answer    Reason = "mcp.answer"      // the result of a call is too large, or none
	Secret    Reason = "mcp.asks-secret" // a question for something that no server may ask for
	Protocol  Reason = "mcp.error"       // it answered with an error of its own
	NoPerson  Reason = "mcp.no-person"   // it asks a question, and nobody is there
	Elsewhere Reason = "mcp.url"         // a URL that is not shown: no https, or no host
)

// What is run, and whether it may be.
const (
	NotApproved  Reason = "mcp.not-approved"  // nobody has approved its tools yet
	Quarantined  Reason = "mcp.quarantined"   // they changed since, and nobody has looked
	Unknown      Reason = "mcp.unknown"       // no such server or tool
	Unpinned     Reason = "mcp.unpinned"      // no exact version
	Shell        Reason = "mcp.shell"         // a command for a shell
	Launcher     Reason = "mcp.launcher"      // a command that fetches what it runs, or is not known
	Config       Reason = "mcp.config"        // a configuration that says less or more than can be kept
	NoSandbox    Reason = "mcp.no-sandbox"    // no box to run it in
	NotInstalled Reason = "mcp.not-installed" // a package that nobody has verified
	Lock         Reason = "mcp.lockfile"      // a package without a registry and an integrity
	Integrity    Reason = "mcp.integrity"     // not the bytes that were named
	Advisory     Reason = "mcp.advisory"      // a package with a known advisory, or none can be looked up
	Provenance   Reason = "mcp.provenance-regression"
	Tree         Reason = "mcp.tree" // the files changed since they were sealed
	Export       Reason = "mcp.not-exported"
	Rate         Reason = "mcp.rate"
)

// Refusal is a refusal with its reason. What happened, why, and a command or a setting
// that fixes it; Err is the cause, which may hold text of the server's.
type Refusal struct {
	Reason Reason
	What   string
	Fix    string
	Err    error
}

// Error implements error.
func (r *Refusal) Error() string {
	var b strings.Builder
	b.WriteString(r.What)
	if r.Err != nil {
		b.WriteString(": ")
		b.WriteString(r.Err.Error())
	}
	b.WriteString(" (" + string(r.Reason) + ")")
	return b.String()
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }
