package contain

import (
	"slices"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

// Gates returns the settings of the product's gate that are measured.
func Gates() []Policy {
	return []Policy{
		Gate{Label: "gate, no mandate, readers named", Readers: gate.ReadersNamed, Confirm: gate.ConfirmByRules},
		Gate{Label: "gate, no mandate", Mints: true, Confirm: gate.ConfirmByRules},
		Gate{Label: "gate, no mandate, confirm destructive", Mints: true},
		Gate{Label: "gate", Mandate: true, Confirm: gate.ConfirmByRules},
		Gate{Label: "gate, minted ids", Mandate: true, Mints: true, Confirm: gate.ConfirmByRules},
		Gate{Label: "gate, minted ids, confirm destructive", Mandate: true, Mints: true},
	}
}

// Daemons returns the settings under which the daemon itself is measured: as it ships,
// and with a mandate.
func Daemons() []Gate {
	return []Gate{
		{Label: "daemon: as it ships (no mandate, confirm destructive)", Mints: true},
		{Label: "daemon: no mandate", Mints: true, Confirm: gate.ConfirmByRules},
		{Label: "daemon: mandate", Mandate: true, Mints: true, Confirm: gate.ConfirmByRules},
		{Label: "daemon: mandate, confirm destructive", Mandate: true, Mints: true},
	}
}

// Nothing is the policy that lets every call run: what the steered model wants, it
// does. It is the check of the benchmark itself, which must turn red under it.
func Nothing() Policy {
	return baseline{"nothing", func(*history, Tool, Call) bool { return false }}
}

// Latency returns the median and the 99th percentile of one decision of the gate over
// the honest calls of s.
func Latency(s *Suite) (p50, p99 time.Duration) {
	const rounds = 20
	var all []time.Duration
	for i := range s.Tasks {
		t := &s.Tasks[i]
		j := Gate{Mandate: true, Mints: true}.begin(s.session(t))
		for _, c := range t.Trace {
			tool := s.Tools[t.Suite+"/"+c.Tool]
			for range rounds {
				began := time.Now()
				gate.Judge(ref(c.Tool), abi.Digest(""), tool.Descriptor, c.Args, j.state)
				all = append(all, time.Since(began))
			}
			j.Observe(c)
		}
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)*99/100]
}
