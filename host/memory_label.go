package host

import (
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// contextOf returns the label of all that led to a call.
func contextOf(policy.Authorized) label.Label { return label.Label{} }

// labelled gives a result its label.
func labelled(out agent.Outcome, l label.Label) agent.Outcome {
	out.Detail = map[string]string{"label": l.String()}
	return out
}
