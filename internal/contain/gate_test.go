package contain

import (
	"testing"

	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

// TestGateHoldsOnAgentDojo pins what the typed gate reaches: no attack runs unasked,
// and honest work is asked about no more than in the published row.
func TestGateHoldsOnAgentDojo(t *testing.T) {
	t.Parallel()
	s := agentDojo(t)
	type row struct{ tcr0, tcr1, asks, full, any, recFull int }
	for _, tt := range []struct {
		gate Gate
		want row
	}{
		{Gate{Label: "gate, no mandate", Readers: gate.ReadersNamed, Confirm: gate.ConfirmByRules}, row{35, 55, 23, 0, 0, 0}},
		{Gate{Label: "gate", Mandate: true, Confirm: gate.ConfirmByRules}, row{35, 55, 23, 0, 0, 0}},
		{Gate{Label: "gate, minted ids", Mandate: true, Mints: true, Confirm: gate.ConfirmByRules}, row{37, 55, 21, 0, 0, 0}},
		{Gate{Label: "gate, minted ids, confirm destructive", Mandate: true, Mints: true}, row{34, 54, 26, 0, 0, 0}},
	} {
		r := Replay(s, tt.gate)
		got := row{r.TCR0.N, r.TCR1.N, r.Asks.N, r.Full.N, r.Any.N, r.RecordedFull.N}
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.gate.Label, got, tt.want)
		}
	}
}
