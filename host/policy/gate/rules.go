package gate

import (
	"fmt"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// Rule is the stable id of the rule that made a decision.
type Rule string

// The rules, in the order in which they are tried; the first match decides. The
// numbers are those of the provenance gate.
const (
	RuleNone        Rule = "gate/none"         // the zero Decision, or an effect that this build does not know
	RuleNoIdentity  Rule = "gate/no-identity"  // agent, session or requester is missing
	RuleUnknownTool Rule = "gate/unknown-tool" // 1: the registry does not know the tool
	RuleDigest      Rule = "gate/digest"       // 1: what would run is not what was pinned
	RuleNotGranted  Rule = "gate/not-granted"  // 1: the operator has not granted the tool to the agent
	RuleArguments   Rule = "gate/arguments"    // the arguments are not one JSON object
	RuleHidden      Rule = "gate/hidden"       // a control value cannot be read: denied
	RuleLocal       Rule = "gate/local"        // 2: nobody else receives anything
	RuleClean       Rule = "gate/clean"        // 3: nothing tainted was seen
	RuleMandate     Rule = "gate/mandate"      // 4: not what the session was opened for
	RuleProvenance  Rule = "gate/provenance"   // 5: a control value that nobody trusted named
	RuleReaders     Rule = "gate/readers"      // 6: private bytes would reach who may not see them
	RuleLinks       Rule = "gate/links"        // 7: outbound text holds a link that nobody trusted named
	RuleEndorsed    Rule = "gate/endorsed"     // 8: every control value is endorsed
	RuleUndeclared  Rule = "gate/undeclared"   // no effect declared: asks, whatever the rules say
	RuleDestructive Rule = "gate/destructive"  // irreversible: asks, unless confirm is rules
)

// book says of each rule why it decides and what changes that. {skill} and {agent}
// stand for the names of the call.
var book = map[Rule][2]string{
	RuleNone:        {"the tool declares an effect that this build does not know", "update glovebox"},
	RuleNoIdentity:  {"the call names no agent, session or requester", "report this: the host sets them"},
	RuleUnknownTool: {"there is no such tool", "glovebox skill list"},
	RuleDigest:      {"the skill changed since it was loaded", "glovebox skill inspect {skill}"},
	RuleNotGranted:  {"the tool is not granted to this agent", "glovebox skill grant {skill} --agent {agent}"},
	RuleArguments:   {"the arguments are not a JSON object", "pass one JSON object"},
	RuleHidden:      {"a value that decides what the call does cannot be read", "pass the value without hidden characters"},
	RuleLocal:       {"nothing leaves the agent's own workspace", ""},
	RuleClean:       {"the conversation holds nothing that a stranger wrote", ""},
	RuleMandate:     {"the agent was not set up to use this tool once strangers' text is in the conversation", "approve this call, or add the tool to the agent's mandate: in glovebox.yaml"},
	RuleProvenance:  {"a value that decides what the call does was named by nobody whom you trust", "approve this call, or name the value in your own words"},
	RuleReaders:     {"private content would reach somebody who may not see it", "approve this call, or do it in a new session that has not read the private content"},
	RuleLinks:       {"the text that would leave holds addresses that nobody whom you trust named", "approve this call, or have the text sent without the addresses"},
	RuleEndorsed:    {"you or a source that you trust named every value that decides what the call does", ""},
	RuleUndeclared:  {"the tool does not declare its effect, so a person must approve it", "approve exactly this call when asked"},
	RuleDestructive: {"the tool does what cannot be undone, so a person must approve it", "approve exactly this call when asked"},
}

// Why returns in one sentence why the rule decides; empty for a rule of others.
func (r Rule) Why() string { return book[r][0] }

// Fix returns what changes the rule's verdict about a call, for the operator.
func (r Rule) Fix(tool abi.ToolRef, agent abi.AgentID) string {
	return strings.NewReplacer("{skill}", string(tool.Skill), "{agent}", string(agent)).Replace(book[r][1])
}

// Finding is a control value that nobody trusted named.
type Finding struct {
	Argument string `json:"argument"`
	Value    string `json:"value"` // quoted, every hidden character visible
	Why      string `json:"why"`   // where it comes from, as far as that is known
}

// String returns the finding in words.
func (f Finding) String() string { return fmt.Sprintf("%s %s: %s", f.Argument, f.Value, f.Why) }

// Judgement is the gate's answer for one call: a value that explains itself. The zero
// value denies.
type Judgement struct {
	Verdict  Verdict   `json:"verdict"`
	Rule     Rule      `json:"rule"`
	Findings []Finding `json:"findings,omitempty"`
	Flows    []Flow    `json:"flows,omitempty"`
	Links    []string  `json:"links,omitempty"`
}

// maxNamed bounds the values that Why repeats, and maxShown the bytes of each.
const (
	maxNamed = 3
	maxShown = 120
)

// Why returns the reason in one sentence, without host detail: a model may see it.
func (j Judgement) Why() string {
	var parts []string
	for _, f := range j.Findings {
		parts = append(parts, f.String())
	}
	for _, f := range j.Flows {
		parts = append(parts, f.String())
	}
	for _, l := range j.Links {
		parts = append(parts, show(l))
	}
	rule := j.Rule
	if rule == "" {
		rule = RuleNone
	}
	if len(parts) == 0 {
		return book[rule][0]
	}
	more := ""
	if len(parts) > maxNamed {
		more = fmt.Sprintf("; and %d more", len(parts)-maxNamed)
	}
	return book[rule][0] + ": " + strings.Join(parts[:min(len(parts), maxNamed)], "; ") + more
}
