package host

import (
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// contextOf returns the label of all that led to a call.
func contextOf(auth policy.Authorized) label.Label { return auth.Context() }

// labelled gives a result its label.
func labelled(out agent.Outcome, l label.Label) agent.Outcome {
	out.Label = l
	return out
}
