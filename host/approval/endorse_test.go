package approval

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/atom"
	"github.com/glovebox-dev/glovebox/internal/canon"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// doubted is a request whose findings are those of the gate about a tainted session.
func doubted(t *testing.T, args string, endorsed []Endorsement) (Request, gate.Judgement) {
	t.Helper()
	v, err := canon.Parse([]byte(args), canon.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	r := request(string(v.Canonical()))
	state := gate.State{Context: label.Label{}, Confirm: gate.ConfirmByRules}
	for _, e := range endorsed {
		state.Endorsed = append(state.Endorsed, e.For())
	}
	j := gate.Judge(tool, r.Pin, abi.Descriptor{Name: tool.Tool, Effect: abi.EffectIrreversible}, v.Any().(map[string]any), state)
	r.Findings, r.Flows, r.Links = j.Findings, j.Flows, j.Links
	return r, j
}

func (b *bench) endorse(r Request, v Value) error {
	b.t.Helper()
	got := b.ask(r)
	err := b.Endorse(b.t.Context(), byAPI, b.waiting(1)[0].ID, v)
	if err == nil {
		want(b.t, "the call that waited", (<-got).err, ErrEndorsed)
	} else if end := b.EndSession(b.t.Context(), r.Agent, r.Session); end != nil {
		b.t.Error(end)
	}
	return err
}

// Endorsing the payee for the session leaves the amount to ask about, and the payee
// stays endorsed for the next call; no other value, argument or version is.
func TestEndorsedValueSatisfiesItsArgumentOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	r, j := doubted(t, args, nil)
	if j.Verdict != gate.VerdictAsk || len(j.Findings) != 2 {
		t.Fatalf("%+v", j)
	}
	if err := b.endorse(r, Value{Argument: "recipient", Scope: ScopeSession}); err != nil {
		t.Fatal(err)
	}
	list, err := b.Endorsed(t.Context(), "home", "s1")
	if err != nil || len(list) != 1 || list[0].By != operator || list[0].Scope != ScopeSession || list[0].Digest != r.Pin {
		t.Fatalf("%+v, %v", list, err)
	}
	for range 2 {
		if _, j := doubted(t, args, list); len(j.Findings) != 1 || j.Findings[0].Argument != "amount" {
			t.Errorf("after the endorsement: %+v", j)
		}
	}
	if _, j := doubted(t, `{"amount":"98.7","recipient":"US133000000121212121212"}`, list); len(j.Findings) != 2 {
		t.Errorf("another payee: %+v", j)
	}
	if _, j := doubted(t, `{"amount":"98.7","sender":"GB29NWBK60161331926819"}`, list); len(j.Findings) != 2 {
		t.Errorf("another argument: %+v", j)
	}
	j = gate.Judge(tool, abi.DigestOf([]byte("next version")), abi.Descriptor{Effect: abi.EffectIrreversible},
		map[string]any{"recipient": "GB29NWBK60161331926819"}, gate.State{Endorsed: []gate.Endorsement{list[0].For()}})
	if len(j.Findings) != 1 {
		t.Errorf("another version of the tool: %+v", j)
	}
	for _, other := range [][2]string{{"home", "s2"}, {"work", "s1"}} {
		if l, err := b.Endorsed(t.Context(), abi.AgentID(other[0]), abi.SessionID(other[1])); err != nil || len(l) != 0 {
			t.Errorf("endorsed for %v: %+v, %v", other, l, err)
		}
	}
	if err := b.EndSession(t.Context(), "home", "s1"); err != nil {
		t.Fatal(err)
	}
	if l, _ := b.Endorsed(t.Context(), "home", "s1"); len(l) != 0 {
		t.Errorf("after the session: %+v", l)
	}
}

// An endorsement for one use admits one call, also when two race for it.
func TestEndorsementForOneUse(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	r, _ := doubted(t, args, nil)
	if err := b.endorse(r, Value{Argument: "amount", Text: "98.7", Scope: ScopeOnce}); err != nil {
		t.Fatal(err)
	}
	list, err := b.Endorsed(t.Context(), "home", "s1")
	if err != nil {
		t.Fatal(err)
	}
	ids := Relied(list, tool, r.Pin, map[string]any{"amount": "98.70"})
	if len(ids) != 1 || len(Relied(list, tool, r.Pin, map[string]any{"amount": "98.71"})) != 0 || len(Relied(list, tool, module, map[string]any{"amount": "98.7"})) != 0 {
		t.Fatalf("relied on %v", ids)
	}
	var ran atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := b.Use(t.Context(), ids); err == nil {
				ran.Add(1)
			} else if !errors.Is(err, ErrNotHeld) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if l, _ := b.Endorsed(t.Context(), "home", "s1"); ran.Load() != 1 || len(l) != 0 {
		t.Errorf("%d calls ran, %d endorsements are left", ran.Load(), len(l))
	}
	if err := b.Use(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// Amounts, commands and free text serve once; what is not in question cannot be
// endorsed at all.
func TestWhatCannotBeEndorsed(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for _, x := range []struct {
		name, args string
		v          Value
		want       error
	}{
		{"an amount for the session", args, Value{"amount", "", ScopeSession}, ErrScope},
		{"an amount once", args, Value{"amount", "", ScopeOnce}, nil},
		{"a command for the session", `{"command":"reboot"}`, Value{"command", "", ScopeSession}, ErrScope},
		{"a command by another name", `{"shell_cmd":"reboot"}`, Value{"shell_cmd", "", ScopeSession}, ErrScope},
		{"a command once", `{"argv":["reboot"]}`, Value{"argv", "", ScopeOnce}, nil},
		{"several words for the session", `{"line":"sh -c reboot"}`, Value{"line", "", ScopeSession}, ErrScope},
		{"a day for the session", `{"day":"2026-11-24"}`, Value{"day", "", ScopeSession}, ErrScope},
		{"an address for the session", `{"to":["bob@corp.example"]}`, Value{"to", "", ScopeSession}, nil},
		{"one of two addresses", `{"to":["a@b.example","c@d.example"]}`, Value{"to", "c@d.example", ScopeSession}, nil},
		{"which of two addresses", `{"to":["a@b.example","c@d.example"]}`, Value{"to", "", ScopeSession}, ErrWhich},
		{"a value that is not in the call", args, Value{"recipient", "US133000000121212121212", ScopeOnce}, ErrNoValue},
		{"an argument that is not in the call", args, Value{"cc", "", ScopeOnce}, ErrNoValue},
		{"no scope", args, Value{"recipient", "", ""}, errBadScope},
		{"a wider scope", args, Value{"recipient", "", "always"}, errBadScope},
	} {
		r, j := doubted(t, x.args, nil)
		if j.Verdict != gate.VerdictAsk {
			t.Fatalf("%s: %+v", x.name, j)
		}
		before, _ := b.Endorsements(t.Context())
		if x.want != nil {
			before = nil // the session was ended
		}
		want(t, x.name, b.endorse(r, x.v), x.want)
		after, _ := b.Endorsements(t.Context())
		if made := len(after) - len(before); x.want == nil && made != 1 || x.want != nil && len(after) != 0 {
			t.Errorf("%s: %d endorsements, had %d", x.name, len(after), len(before))
		}
	}
}

func TestEndorsementExpiresAndIsRevoked(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Now()}
	b := newBench(t, func(cfg *Config) { cfg.Now = c.Now })
	for i, scope := range []Scope{ScopeOnce, ScopeSession, ScopeSession} {
		r, _ := doubted(t, fmt.Sprintf(`{"to":"a%d@b.example"}`, i), nil)
		if err := b.endorse(r, Value{Argument: "to", Scope: scope}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := b.Endorsements(t.Context())
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	last := list[2].ID
	want(t, "revoked by the owner in a chat", b.Revoke(t.Context(), Approver{Principal: "owner:emma", Surface: "ops"}, last), ErrNotApprover)
	want(t, "revoked", b.Revoke(t.Context(), byAPI, last), nil)
	want(t, "revoked again", b.Revoke(t.Context(), byAPI, last), ErrNotHeld)
	c.add(OnceTime)
	if list, _ = b.Endorsements(t.Context()); len(list) != 1 || list[0].Scope != ScopeSession {
		t.Errorf("after %v: %+v", OnceTime, list)
	}
	c.add(SessionTime)
	if list, _ = b.Endorsements(t.Context()); len(list) != 0 {
		t.Errorf("after %v: %+v", SessionTime, list)
	}
}

// A value that cannot be recorded as endorsed is not.
func TestEndorsementIsOnRecord(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.log.fail = "approval.endorsed"
	r, _ := doubted(t, args, nil)
	want(t, "unrecorded", b.endorse(r, Value{Argument: "recipient", Scope: ScopeSession}), errDisk)
	if list, _ := b.Endorsements(t.Context()); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	b.log.fail = ""
	if err := b.endorse(r, Value{Argument: "recipient", Scope: ScopeSession}); err != nil || b.log.count("approval.endorsed") != 1 {
		t.Error("an endorsement is not on record", err)
	}
	for name, end := range map[string]func(ID) error{
		"approval.endorsement-used":    func(id ID) error { return b.Use(t.Context(), []ID{id}) },
		"approval.endorsement-revoked": func(id ID) error { return b.Revoke(t.Context(), byAPI, id) },
	} {
		r, _ := doubted(t, `{"to":"bob@corp.example"}`, nil)
		if err := b.endorse(r, Value{Argument: "to", Scope: ScopeOnce}); err != nil {
			t.Fatal(err)
		}
		list, _ := b.Endorsements(t.Context())
		if err := end(list[len(list)-1].ID); err != nil {
			t.Fatal(err)
		}
		last := b.log.last(name)
		if q := last.Request; q.Agent != r.Agent || q.Session != r.Session || q.Tool != r.Tool || q.Pin != r.Pin {
			t.Errorf("%s is on record without whose it was: %+v", name, last)
		}
	}
	var seq atom.Seq
	if seq = mustOne(t, b).Value; len(seq) != 1 || seq[0].Kind != atom.Account {
		t.Errorf("stored as %v", seq)
	}
}

func mustOne(t *testing.T, b *bench) Endorsement {
	t.Helper()
	list, err := b.Endorsements(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	return list[0]
}
