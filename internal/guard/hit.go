package guard

import (
	"fmt"

	"github.com/glovebox-dev/glovebox/internal/redact"
)

// Hit is one value that was met. It holds no part of the value.
type Hit struct {
	Place  Place
	Secret string // name; CanaryName for the canary, redact.Unscanned for what asks for too much work
	Form   string // plain, condensed, coded, or pieces
	Action Action
}

// CanaryName stands for a secret's name where the canary was met.
const CanaryName = "(canary)"

// tooMany stands for a secret's name where there are more than maxTails recipients.
const tooMany = "(recipients)"

// The rules that a refusal names.
const (
	RuleSecret      = "guard/secret"
	RuleCanary      = "guard/canary"
	RuleWork        = "guard/unscanned"
	RuleCompromised = "guard/compromised" // the conversation met a value before
	RuleRecipients  = "guard/recipients"  // more recipients than pieces can be joined for
	RuleLost        = "guard/lost"        // what the conversation met before cannot be read
)

// Rule returns the rule of the hit.
func (h Hit) Rule() string {
	switch h.Secret {
	case CanaryName:
		return RuleCanary
	case redact.Unscanned:
		return RuleWork
	case tooMany:
		return RuleRecipients
	case Lost:
		return RuleLost
	}
	return RuleSecret
}

// Error implements error. It tells neither the name nor the form: whoever tries values
// learns from it only what it knew before.
func (h Hit) Error() string {
	switch h.Rule() {
	case RuleCanary:
		return fmt.Sprintf("the %s would give away the conversation's system prompt", h.Place.Sink)
	case RuleWork:
		return fmt.Sprintf("the %s is packed too deeply to be looked through for secrets", h.Place.Sink)
	case RuleRecipients:
		return fmt.Sprintf("this conversation has sent something to %d different places; start a new one", maxTails)
	case RuleLost:
		return "what this conversation met before cannot be read"
	}
	return fmt.Sprintf("the %s holds the value of a stored secret", h.Place.Sink)
}
