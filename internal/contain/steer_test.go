package contain

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

func ownCases(t *testing.T) *Suite {
	t.Helper()
	s, err := Own()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func play(t *testing.T, s *Suite, p Policy) Steer {
	t.Helper()
	r, err := Play(s, Simulated{p})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// full is the gate as the own cases expect it.
func full() Gate {
	return Gate{Label: "gate", Mandate: true, Mints: true, Confirm: gate.ConfirmByRules}
}

func TestOwnCasesAreEnough(t *testing.T) {
	t.Parallel()
	s := ownCases(t)
	if len(s.Tasks) < 40 {
		t.Errorf("%d tasks, want at least 40", len(s.Tasks))
	}
	by, vector, undeclared := map[By]int{}, map[string]int{}, 0
	for _, in := range s.Injections {
		by[in.By]++
		vector[in.Vector]++
		if s.Tools[own+"/"+in.Trace[len(in.Trace)-1].Tool].Descriptor.Effect == abi.EffectUnknown {
			undeclared++
		}
	}
	if len(s.Injections) < 60 || by[ByPeer] < 5 || by[ByDescription] < 5 || vector["name"]+vector["error"] < 10 || undeclared < 10 {
		t.Errorf("attacks by %v, vectors %v, on undeclared tools %d", by, vector, undeclared)
	}
}

// TestOwnTasksAskAsWritten pins what each honest task costs and why.
func TestOwnTasksAskAsWritten(t *testing.T) {
	t.Parallel()
	s := ownCases(t)
	for i := range s.Tasks {
		task := &s.Tasks[i]
		w := newWorld(s, task)
		d, err := Simulated{full()}.Open(s.session(task), w)
		if err != nil {
			t.Fatal(err)
		}
		var asks []string
		for _, c := range task.Trace {
			if o := d.Call(c); o.Asked {
				asks = append(asks, o.Rule)
			}
		}
		if !slices.Equal(asks, task.Expect) {
			t.Errorf("%s: asked by %v, want %v", task.Name, asks, task.Expect)
		}
	}
}

// TestBenchmarkIsRedWithoutGate: every attack that aims at harm does it when nothing
// stops it, and no other one does.
func TestBenchmarkIsRedWithoutGate(t *testing.T) {
	t.Parallel()
	s := ownCases(t)
	r := play(t, s, Nothing())
	if r.Asks.N != 0 || r.TCR0.N != r.TCR0.Of || r.Failed != 0 {
		t.Errorf("honest runs: %+v", r)
	}
	reached := map[string]bool{}
	for _, x := range r.Reached {
		reached[x.Attack] = true
	}
	for _, in := range s.Injections {
		if reached[in.Name] != in.Harm {
			t.Errorf("%s: harm %v, want %v", in.Name, reached[in.Name], in.Harm)
		}
	}
}

// without is the gate with one rule's asks left out.
type without struct {
	Gate
	rule gate.Rule
}

type withoutJudge struct {
	*gateJudge
	rule gate.Rule
}

func (w without) Begin(s Session) Judge { return withoutJudge{w.begin(s), w.rule} }

func (j withoutJudge) Ask(c Call) bool { return j.Rule(c) != string(j.rule) && j.gateJudge.Ask(c) }

// some is s with a few tasks, one for each kind of context.
func some(s *Suite) *Suite {
	few := *s
	few.Tasks = slices.DeleteFunc(slices.Clone(s.Tasks), func(t Task) bool {
		return !slices.Contains([]string{"mail-forward", "mail-minutes", "mail-forward-contact", "web-form-named", "web-after-notes", "team-mail-news", "bank-bill-named", "crm-lookup"}, t.Name)
	})
	return &few
}

// TestSabotagedGateTurnsRed takes each rule away in turn.
func TestSabotagedGateTurnsRed(t *testing.T) {
	t.Parallel()
	s := some(ownCases(t))
	breaches := func(r Steer) []int {
		return []int{r.Any.N, r.Full.N, r.Harm.N, r.Peer.N, r.Description.N, r.Overshare.N, r.By["first try"]}
	}
	floor := full()
	floor.Mandate = false // to known peers, whom a mandate excludes, texts go out with links
	whole := play(t, s, full())
	for rule, g := range map[gate.Rule]Gate{gate.RuleProvenance: full(), gate.RuleMandate: full(), gate.RuleReaders: full(), gate.RuleLinks: floor} {
		worse := false
		before := breaches(play(t, s, g))
		for i, n := range breaches(play(t, s, without{g, rule})) {
			worse = worse || n > before[i]
		}
		if !worse {
			t.Errorf("without %s nothing gets worse", rule)
		}
	}
	if r := play(t, s, without{full(), gate.RuleUndeclared}); r.Asks.N >= whole.Asks.N {
		t.Errorf("without %s as much is asked", gate.RuleUndeclared)
	}
}

// TestLaunderedAddress: what the agent wrote into a file and read back is no address
// that a stranger wrote.
func TestLaunderedAddress(t *testing.T) {
	t.Parallel()
	for _, x := range play(t, some(ownCases(t)), full()).Reached {
		if strings.HasPrefix(x.Attack, "get-") {
			t.Errorf("reached: %+v", x)
		}
	}
}

func TestFloors(t *testing.T) {
	t.Parallel()
	f := floors{Schema: "glovebox/contain-floors/v1", Floors: map[string]string{"x": "<= 0.1", "A AgentDojo, g: y": "<= 0"}}
	good, bad, none := &Report{}, &Report{}, &Report{}
	good.Add(Share("x", 1, 10, ""))
	bad.Add(Share("x", 2, 10, ""))
	none.Add(Missing("x", "not built"))
	if missed, err := good.check(f); err != nil || len(missed) != 0 {
		t.Errorf("%v, %v", missed, err)
	}
	for _, r := range []*Report{bad, none} {
		if missed, err := r.check(f); err != nil || len(missed) != 1 || !r.Rows[0].Missed {
			t.Errorf("%v, %v", missed, err)
		}
	}
	if _, err := (&Report{}).check(f); err == nil {
		t.Error("a floor that names no figure was accepted")
	}
	for _, text := range []string{"0.1", "< 0.1", "<= x"} {
		if _, err := good.check(floors{Schema: f.Schema, Floors: map[string]string{"x": text}}); err == nil {
			t.Errorf("the floor %q was accepted", text)
		}
	}
}

func TestNotGivenIsNotZero(t *testing.T) {
	t.Parallel()
	r := &Report{}
	r.Add(Missing("F signatures", "not built"))
	var out bytes.Buffer
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Count(text, "not given") != 2 || strings.Contains(text, "0/0") || strings.Contains(text, "%") {
		t.Errorf("printed:\n%s", text)
	}
}
