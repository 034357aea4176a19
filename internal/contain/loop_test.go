package contain

import (
	"reflect"
	"slices"
	"testing"

	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

// TestDaemonIsWhatIsSimulated: the daemon's loop, door and gate come to the same end as
// the gate behind the simulated door, call by call.
func TestDaemonIsWhatIsSimulated(t *testing.T) {
	t.Parallel()
	s := some(ownCases(t))
	s.Tasks = slices.DeleteFunc(s.Tasks, func(t Task) bool {
		return !slices.Contains([]string{"mail-forward", "web-form-named", "team-mail-news"}, t.Name)
	})
	for _, g := range append(Daemons(), Gate{Label: "readers named", Readers: gate.ReadersNamed}) {
		l, err := NewLoop(g, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		built, err := Play(s, l)
		if err != nil {
			t.Fatal(err)
		}
		if simulated := play(t, s, g); !reflect.DeepEqual(built, simulated) {
			t.Errorf("%s:\ndaemon    %+v\nsimulated %+v", g.Label, built, simulated)
		}
	}
}
