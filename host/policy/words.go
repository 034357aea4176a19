package policy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

// book says of each rule why it decides and what changes that. {skill} and {agent}
// stand for the names of the call.
var book = map[gate.Rule][2]string{
	gate.RuleNone:        {"the tool declares an effect that this build does not know", "update glovebox"},
	gate.RuleNoIdentity:  {"the call names no agent, session or requester", "report this: the host sets them"},
	gate.RuleUnknownTool: {"there is no such tool", "glovebox skill list"},
	gate.RuleDigest:      {"the skill changed since it was loaded", "glovebox skill inspect {skill}"},
	gate.RuleNotGranted:  {"the tool is not granted to this agent", "glovebox skill grant {skill} --agent {agent}"},
	gate.RuleArguments:   {"the arguments are not a JSON object", "pass one JSON object"},
	gate.RuleHidden:      {"a value that decides what the call does cannot be read", "pass the value without hidden characters"},
	gate.RuleLocal:       {"nothing leaves the agent's own workspace", ""},
	gate.RuleClean:       {"the conversation holds nothing that a stranger wrote", ""},
	gate.RuleMandate:     {"the agent was not set up to use this tool once strangers' text is in the conversation", "approve this call, or add the tool to the agent's mandate: in glovebox.yaml"},
	gate.RuleProvenance:  {"a value that decides what the call does was named by nobody whom you trust", "approve this call, or name the value in your own words"},
	gate.RuleReaders:     {"private content would reach somebody who may not see it", "approve this call, or do it in a new session that has not read the private content"},
	gate.RuleLinks:       {"the text that would leave holds addresses that nobody whom you trust named", "approve this call, or have the text sent without the addresses"},
	gate.RuleEndorsed:    {"you or a source that you trust named every value that decides what the call does", ""},
	gate.RuleUndeclared:  {"the tool does not declare its effect, so a person must approve it", "approve exactly this call when asked"},
	gate.RuleDestructive: {"the tool does what cannot be undone, so a person must approve it", "approve exactly this call when asked"},
}

// Why returns in one sentence why the rule decides; empty for a rule of others.
func Why(r gate.Rule) string { return book[r][0] }

// Fix returns what changes the rule's verdict about a call, for the operator.
func Fix(r gate.Rule, tool abi.ToolRef, agent abi.AgentID) string {
	return strings.NewReplacer("{skill}", string(tool.Skill), "{agent}", string(agent)).Replace(book[r][1])
}

// maxNamed bounds the values that Decision.Why repeats, and maxLink the bytes of an address.
const (
	maxNamed = 3
	maxLink  = 120
)

// Why returns the reason in one sentence, without host detail: a model may see it.
func (d Decision) Why() string {
	if d.why != "" {
		return d.why
	}
	var parts []string
	for _, f := range d.judgement.Findings {
		parts = append(parts, f.String())
	}
	for _, f := range d.judgement.Flows {
		parts = append(parts, f.String())
	}
	for _, l := range d.judgement.Links {
		parts = append(parts, strconv.QuoteToASCII(l[:min(len(l), maxLink)]))
	}
	why := Why(d.Rule())
	if len(parts) > 0 {
		why += ": " + strings.Join(parts[:min(len(parts), maxNamed)], "; ")
	}
	if more := len(parts) - maxNamed; more > 0 {
		why += fmt.Sprintf("; and %d more", more)
	}
	return why
}

// Fix returns what changes the verdict, for the operator: a command or what to do.
func (d Decision) Fix() string {
	if d.why != "" || d.Verdict() == gate.VerdictAllow {
		return d.fix
	}
	return Fix(d.Rule(), d.call.Tool, d.call.Agent)
}
