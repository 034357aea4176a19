package gate

import "fmt"

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
