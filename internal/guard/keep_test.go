package guard

import (
	"context"
	"errors"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

// shelf keeps in memory what a database would.
type shelf struct {
	states map[key][]byte
	fail   error
}

func (s *shelf) Guarded(_ context.Context, a abi.AgentID, id abi.SessionID) ([]byte, error) {
	return s.states[key{a, id}], s.fail
}

func (s *shelf) Guard(_ context.Context, a abi.AgentID, id abi.SessionID, state []byte, _ bool) error {
	if s.fail == nil {
		s.states[key{a, id}] = state
	}
	return s.fail
}

func (k *kit) on(s *shelf) *kit {
	k.KeepIn(s)
	return k
}

// Another process knows the mark, and joins the second half of a value to the first.
func TestAnotherProcessRemembers(t *testing.T) {
	t.Parallel()
	s := &shelf{states: map[key][]byte{}}
	k := newKit(t).on(s)
	if err := k.Check(t.Context(), at(Request), []byte(planted)); err == nil {
		t.Fatal("the value passed")
	}
	p := at(Arguments)
	p.Session, p.Recipient = "pieces", "tool"
	third := len(planted) / 3
	if err := k.Check(t.Context(), p, []byte(planted[:third])); err != nil {
		t.Fatal(err)
	}
	if err := k.Save(t.Context(), "main", "pieces"); err != nil {
		t.Fatal(err)
	}

	k = newKit(t).on(s)
	if met, marked := k.Compromised("main", "s"); !marked || met.Secret != "gh" || met.Place.Sink != Request {
		t.Errorf("marked %t by %+v", marked, met)
	}
	var hit Hit
	if err := k.Check(t.Context(), p, []byte(planted[third:2*third])); !errors.As(err, &hit) || hit.Form != "pieces" {
		t.Errorf("the next piece: %v", err)
	}
	if was, err := k.Clear(t.Context(), "main", "s"); !was || err != nil {
		t.Error(was, err)
	}
	k = newKit(t).on(s)
	if _, marked := k.Compromised("main", "s"); marked {
		t.Error("what the operator cleared is marked again")
	}
}

// A conversation whose state cannot be read asks for everything; a mark that cannot be
// taken off stays.
func TestLostStateIsCompromised(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*shelf{
		"unreadable": {states: map[key][]byte{}, fail: errors.New("disk")},
		"damaged":    {states: map[key][]byte{{"main", "s"}: []byte(`{"met":`)}},
	} {
		k := newKit(t).on(s)
		if met, marked := k.Compromised("main", "s"); !marked || met.Rule() != RuleLost {
			t.Errorf("%s: marked %t by %+v", name, marked, met)
		}
		s.fail = errors.New("disk")
		if was, err := k.Clear(t.Context(), "main", "s"); was || err == nil {
			t.Errorf("%s: cleared %t, %v", name, was, err)
		}
		if _, marked := k.Compromised("main", "s"); !marked {
			t.Errorf("%s: the mark is gone", name)
		}
	}
}

// FuzzKept reads hostile state: whatever it is, the guard works, and damage marks.
func FuzzKept(f *testing.F) {
	f.Add([]byte(`{"met":{"Secret":"gh"},"tails":[{"sink":"arguments","recipient":"t","last":"Z2hwXw=="}]}`))
	f.Add([]byte(`{"tails":[{}]}`))
	m, err := redact.NewMatcher(map[string]string{"gh": planted})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		g := New(func() *redact.Matcher { return m }, nil)
		g.KeepIn(&shelf{states: map[key][]byte{{"main", "s"}: state}})
		p := at(Arguments)
		p.Recipient = "t"
		if err := g.Check(t.Context(), p, []byte(planted)); err == nil {
			t.Error("the value passed")
		}
		if err := g.Save(t.Context(), "main", "s"); err != nil {
			t.Error(err)
		}
	})
}
