package label

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func labels() *rapid.Generator[Label] {
	return rapid.Custom(func(t *rapid.T) Label {
		readers := Public()
		if rapid.Bool().Draw(t, "private") {
			readers = ReadBy(rapid.SliceOfN(rapid.SampledFrom([]Principal{"a", "b", "c", "owner"}), 0, 3).Draw(t, "readers")...)
		}
		return Label{Integrity(rapid.IntRange(0, 2).Draw(t, "integrity")), readers}
	})
}

func TestJoinIsASemilattice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := labels().Draw(t, "a"), labels().Draw(t, "b"), labels().Draw(t, "c")
		if a.Join(b) != b.Join(a) {
			t.Fatal("join is not commutative")
		}
		if a.Join(b).Join(c) != a.Join(b.Join(c)) {
			t.Fatal("join is not associative")
		}
		if a.Join(a) != a {
			t.Fatal("join is not idempotent")
		}
		if a.Join(Trusted()) != a {
			t.Fatal("trusted is not the unit")
		}
		if j := a.Join(b); j.Integrity > a.Integrity || !j.AtMost(a) || !j.AtMost(b) {
			t.Fatal("join rose")
		}
	})
}

func TestZeroLabelIsTheLowest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		if a := labels().Draw(t, "a"); a.Join(Label{}) != (Label{}) {
			t.Fatalf("%v joined with the zero label is %v", a, a.Join(Label{}))
		}
	})
	var l Label
	if l.Integrity != Tainted || l.Readers.IsPublic() || l.Readers.Contains("a") || !l.Readers.Contains(OwnerPrincipal) {
		t.Errorf("the zero label is %v", l)
	}
}

func TestStoredLabels(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := labels().Draw(t, "a")
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var back Label
		if err := json.Unmarshal(b, &back); err != nil || back != a {
			t.Fatalf("%s read as %v, %v", b, back, err)
		}
	})
	for _, bad := range []string{`{}`, `{"integrity":"root"}`, `{"integrity":"OWNER","public":true}`, `null`, `[]`, `7`} {
		l := Trusted()
		if err := json.Unmarshal([]byte(bad), &l); err == nil && l != (Label{}) {
			t.Errorf("%s read as %v", bad, l)
		}
		if l != (Label{}) && bad != "null" {
			t.Errorf("%s left %v, want the zero label", bad, l)
		}
	}
}

func TestReaders(t *testing.T) {
	t.Parallel()
	r := ReadBy("b", "a", "b", "owner", "", "x\ny")
	if got := r.List(); len(got) != 2 || got[0] != "a" || got[1] != "b" {
		t.Errorf("readers %v", got)
	}
	if r.Contains("") || r.Contains("x") || !r.Contains("a") {
		t.Error("membership is wrong")
	}
	if s := (Label{Peer, r}).String(); s != "peer, owner+a+b" {
		t.Error(s)
	}
}
