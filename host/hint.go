package host

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/internal/leaks"
)

// hintFix makes a known value of one that was guessed.
const hintFix = "glovebox secret set NAME"

// redactor is what the audit log keeps texts from: known secrets, then what looks like
// one. The cards of approvals show the latter: nobody approves what is hidden.
type redactor struct {
	known *knownSecrets
	leaks *leaks.Scanner
}

// Redact implements audit.Redactor.
func (r redactor) Redact(text string) string { return r.leaks.Hide(r.known.Redact(text)) }

// hint records what looks like a secret in a message and returns what its author is
// told. Nothing is decided by it.
func (h *Host) hint(ctx context.Context, c conversation, text string) (notes []string) {
	if !leaks.Available() {
		return nil
	}
	look := h.leaks.Find(h.guard.Redact(text)) // what is stored is no news; places are of this text
	if len(look.Hints) == 0 && look.Unread == 0 {
		return nil
	}
	detail := map[string]string{"fix": hintFix, "found": strconv.Itoa(len(look.Hints))}
	if len(look.Hints) > 0 {
		var rules, where []string
		for _, hint := range look.Hints {
			rules, where = append(rules, hint.Rule), append(where, fmt.Sprintf("%d-%d", hint.Start, hint.End))
		}
		detail["rules"], detail["where"] = strings.Join(rules, " "), strings.Join(where, " ")
		notes = append(notes, fmt.Sprintf("the message holds what looks like a secret (%d: %s), and the model reads it: replace it where it is valid, then store the new one: %s",
			len(rules), strings.Join(slices.Compact(slices.Sorted(slices.Values(rules))), ", "), hintFix))
	}
	if look.Unread > 0 {
		detail["unread"] = strconv.Itoa(look.Unread)
		notes = append(notes, fmt.Sprintf("the last %d bytes of the message were not looked at for secrets", look.Unread))
	}
	observer{h.ledger, h.log}.append(ctx, audit.Entry{Event: "guard.hint", Actor: "host", Agent: c.agent, Session: c.session, Outcome: "hint", Detail: detail})
	return notes
}
