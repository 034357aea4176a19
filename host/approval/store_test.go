package approval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/internal/label"
)

const args = `{"amount":"98.7","recipient":"GB29NWBK60161331926819"}`

func TestGrantIsUsedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	a := b.grant(request(args))
	if a.By != operator {
		t.Errorf("approved by %q", a.By)
	}
	if err := b.run(callOf(args), a); err != nil {
		t.Fatal(err)
	}
	want(t, "second use", b.Claim(t.Context(), a), ErrUsed)
	card, err := b.Show(t.Context(), ID(a.ID))
	if err != nil || card.State != Consumed || card.Outcome != "ok" || len(card.Arguments) != 0 || len(card.Fields) != 0 {
		t.Errorf("after the effect: %+v, %v", card, err)
	}
	for _, e := range []string{"approval.asked", "approval.decided", "approval.consumed", "approval.settled"} {
		if n := b.log.count(e); n != 1 {
			t.Errorf("%s is on record %d times", e, n)
		}
	}
	if got := b.ask(request(args)); len(b.waiting(1)) != 1 {
		t.Errorf("the same call did not ask again: %+v", got)
	}
}

// What is not a yes in time is a no.
func TestEverythingButAYesDenies(t *testing.T) {
	t.Parallel()
	t.Run("a no", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		got := b.ask(request(args))
		if err := b.Decide(t.Context(), byAPI, b.waiting(1)[0].ID, false); err != nil {
			t.Fatal(err)
		}
		want(t, "denied", (<-got).err, ErrNotApproved)
	})
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		r := requestOf(callOf(args), time.Now().Add(30*time.Millisecond))
		want(t, "timeout", (<-b.ask(r)).err, ErrNotApproved)
		if b.log.count("approval.expired") != 1 {
			t.Error("the timeout is not on record")
		}
		id := b.api.shown()[0].ID
		var decided *DecidedError
		if err := b.Decide(t.Context(), byAPI, id, true); !errors.As(err, &decided) || decided.By != byTimeout {
			t.Errorf("a yes after the timeout: %v", err)
		}
	})
	t.Run("the caller gone", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		got := b.askIn(ctx, request(args))
		b.waiting(1)
		cancel()
		want(t, "cancelled", (<-got).err, context.Canceled)
	})
	t.Run("the daemon stopping", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		got := b.ask(request(args))
		b.waiting(1)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		want(t, "stopped", (<-got).err, ErrClosed)
		want(t, "asked after the end", (<-b.ask(request(args))).err, ErrClosed)
	})
	t.Run("no surface", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(c *Config) { c.Surfaces = nil })
		want(t, "headless", (<-b.ask(request(args))).err, ErrHeadless)
		if b.log.count("approval.decided") != 1 {
			t.Error("the denial is not on record")
		}
	})
	t.Run("no surface that works", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		b.api.fail, b.chat.fail = errDisk, errDisk
		want(t, "unseen", (<-b.ask(request(args))).err, ErrHeadless)
		b.waiting(0)
		b.api.fail = nil
		b.ask(request(args)) // that nobody saw it is no person's denial
		b.waiting(1)
	})
	t.Run("a surface that panics", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		b.api.onShow, b.chat.fail = func(Card) { panic("x") }, errDisk
		want(t, "unseen", (<-b.ask(request(args))).err, ErrHeadless)
	})
	t.Run("a log that cannot be written", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		b.log.fail = "approval.asked"
		want(t, "asked", (<-b.ask(request(args))).err, errDisk)
		b.log.fail = "approval.decided"
		ctx, cancel := context.WithCancel(t.Context())
		got := b.askIn(ctx, request(args))
		want(t, "decided", b.Decide(t.Context(), byAPI, b.waiting(1)[0].ID, true), errDisk)
		cancel()
		if a := <-got; a.approval.Granted {
			t.Error("granted without a record")
		}
	})
	t.Run("an unrecorded use", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		a := b.grant(request(args))
		b.log.fail = "approval.consumed"
		want(t, "claim", b.Claim(t.Context(), a), errDisk)
	})
}

func TestFullQueueAndPausedSession(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.MaxPending, c.MaxSession = 3, 2 })
	ctx, cancel := context.WithCancel(t.Context())
	var all []<-chan answer
	for i := range 2 {
		all = append(all, b.askIn(ctx, request(fmt.Sprintf(`{"n":%d}`, i))))
	}
	b.waiting(2)
	want(t, "third of the session", (<-b.ask(request(`{"n":2}`))).err, ErrPaused)
	other := callOf(`{"n":2}`)
	other.Session = "s2"
	all = append(all, b.askIn(ctx, requestOf(other, time.Now().Add(soon))))
	b.waiting(3)
	other.Session = "s3"
	want(t, "fourth of all", (<-b.ask(requestOf(other, time.Now().Add(soon)))).err, ErrFull)
	// One that waits already is not one more.
	all = append(all, b.askIn(ctx, request(`{"n":0}`)))
	cancel()
	for _, got := range all {
		<-got
	}
}

func TestDenialAnswersRepeatsUntilTheSessionEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	got := b.ask(request(args))
	id := b.waiting(1)[0].ID
	if err := b.Decide(t.Context(), byAPI, id, false); err != nil {
		t.Fatal(err)
	}
	<-got
	for range 3 {
		if a := <-b.ask(request(args)); !errors.Is(a.err, ErrDenied) {
			t.Fatalf("repeat: %+v", a)
		}
	}
	if card, err := b.Show(t.Context(), id); err != nil || card.Repeats != 3 || len(b.api.shown()) != 1 {
		t.Errorf("%d cards were shown, %d repeats, %v", len(b.api.shown()), card.Repeats, err)
	}
	for name, change := range map[string]func(*proposed){
		"other arguments":  func(c *proposed) { c.Args = []byte(`{"amount":"1"}`) },
		"another session":  func(c *proposed) { c.Session = "s2" },
		"another agent":    func(c *proposed) { c.Agent = "work" },
		"another context":  func(c *proposed) { c.Context = label1(label.Peer) },
		"another tool":     func(c *proposed) { c.Tool.Tool = "odd" },
		"another sender":   func(c *proposed) { c.Requester = "owner:bob" },
		"a session's next": nil,
	} {
		c := callOf(args)
		if change != nil {
			change(&c)
		} else if err := b.EndSession(t.Context(), c.Agent, c.Session); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		got := b.askIn(ctx, requestOf(c, time.Now().Add(soon)))
		card := b.waiting(1)[0]
		if err := b.Decide(t.Context(), byAPI, card.ID, true); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		<-got
		cancel()
	}
}

func TestTimeoutIsNotRememberedAsADenial(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Now()}
	b := newBench(t, func(cfg *Config) { cfg.Now = c.Now })
	got := b.ask(requestOf(callOf(args), c.Now().Add(time.Minute)))
	b.waiting(1)
	c.add(2 * time.Minute)
	b.waiting(0)
	want(t, "timeout", (<-got).err, ErrNotApproved)
	b.ask(requestOf(callOf(args), c.Now().Add(time.Minute)))
	b.waiting(1)
}

func TestSessionEndClosesWhatIsOpen(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	unused := b.grant(request(`{"n":1}`))
	got := b.ask(request(`{"n":2}`))
	b.waiting(1)
	if err := b.EndSession(t.Context(), "home", "s1"); err != nil {
		t.Fatal(err)
	}
	want(t, "pending", (<-got).err, ErrNotApproved)
	want(t, "granted", b.Claim(t.Context(), unused), ErrUsed)
}

// P5: a grant for x admits no y that differs in any part of what was bound.
func TestGrantAdmitsNothingElse(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	a := b.grant(request(args))
	now := time.Now()
	for name, change := range map[string]func(*proposed, *policy.Approval){
		"agent":     func(c *proposed, _ *policy.Approval) { c.Agent = "work" },
		"session":   func(c *proposed, _ *policy.Approval) { c.Session = "s2" },
		"requester": func(c *proposed, _ *policy.Approval) { c.Requester = "owner:bob" },
		"tool":      func(c *proposed, _ *policy.Approval) { c.Tool.Tool = "odd" },
		"arguments": func(c *proposed, _ *policy.Approval) {
			c.Args = []byte(`{"amount":"98.71","recipient":"GB29NWBK60161331926819"}`)
		},
		"context":     func(c *proposed, _ *policy.Approval) { c.Context = label1(label.Peer) },
		"readers":     func(c *proposed, _ *policy.Approval) { c.Context.Readers = label.ReadBy("email:a@b.example") },
		"expiry":      func(_ *proposed, a *policy.Approval) { a.Expires = a.Expires.Add(time.Hour) },
		"the binding": func(_ *proposed, a *policy.Approval) { a.Binding[9] ^= 1 },
	} {
		c, x := callOf(args), a
		change(&c, &x)
		if _, err := policy.Approve(decide(c), x, now); !errors.Is(err, policy.ErrOtherCall) {
			t.Errorf("%s: %v", name, err)
		}
	}
	x := a
	x.Binding[9] ^= 1
	want(t, "claim with another binding", b.Claim(t.Context(), x), ErrUsed)
	if err := b.run(callOf(args), a); err != nil {
		t.Error(err)
	}
}

func TestRacingAnswersHaveOneWinner(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for range 10 {
		got := b.ask(request(args))
		id := b.waiting(1)[0].ID
		var won atomic.Int32
		var yes atomic.Bool
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				err := b.Decide(t.Context(), byAPI, id, i%2 == 0)
				var decided *DecidedError
				switch {
				case err == nil:
					won.Add(1)
					yes.Store(i%2 == 0)
				case !errors.As(err, &decided):
					t.Errorf("a late answer: %v", err)
				}
			})
		}
		wg.Wait()
		a := <-got
		if won.Load() != 1 || a.approval.Granted != yes.Load() {
			t.Fatalf("%d winners, yes %v, granted %v", won.Load(), yes.Load(), a.approval.Granted)
		}
		if a.approval.Granted {
			if err := b.run(callOf(args), a.approval); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.EndSession(t.Context(), "home", "s1"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRacingUsesOfOneGrantHaveOneEffect(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	a := b.grant(request(args))
	var effects atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := b.Claim(t.Context(), a); err == nil {
				effects.Add(1)
			} else if !errors.Is(err, ErrUsed) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if effects.Load() != 1 {
		t.Errorf("%d effects", effects.Load())
	}
}

// A restart keeps what a person said and what waits, and never runs anything again.
func TestRestart(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	granted := b.grant(request(`{"n":"granted"}`))
	used := b.grant(request(`{"n":"used"}`))
	if err := b.Claim(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	denied := b.ask(request(`{"n":"denied"}`))
	if err := b.Decide(t.Context(), byAPI, b.waiting(1)[0].ID, false); err != nil {
		t.Fatal(err)
	}
	<-denied
	pending := b.ask(request(`{"n":"pending"}`))
	id := b.waiting(1)[0].ID
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	want(t, "asked before", (<-pending).err, ErrClosed)
	b.open()
	if c := b.waiting(1)[0]; c.ID != id {
		t.Errorf("another ask waits: %+v", c)
	}
	if err := b.Decide(t.Context(), byAPI, id, true); err != nil {
		t.Fatal(err)
	}
	if a := <-b.ask(request(`{"n":"pending"}`)); a.err != nil || a.approval.ID != string(id) || b.run(callOf(`{"n":"pending"}`), a.approval) != nil {
		t.Errorf("approved after the restart: %+v", a)
	}
	if a := <-b.ask(request(`{"n":"granted"}`)); a.err != nil || a.approval.ID != granted.ID || b.run(callOf(`{"n":"granted"}`), a.approval) != nil {
		t.Errorf("granted before the restart: %+v", a)
	}
	want(t, "denied before", (<-b.ask(request(`{"n":"denied"}`))).err, ErrDenied)
	want(t, "used before", b.Claim(t.Context(), used), ErrUsed)
	if c, err := b.Show(t.Context(), ID(used.ID)); err != nil || c.Outcome != OutcomeUnknown || len(c.Fields) == 0 {
		t.Errorf("interrupted: %+v, %v", c, err)
	}
	want(t, "settled afterwards", b.Settle(t.Context(), ID(used.ID), "ok"), ErrUnknown)
}

func TestGrantExpires(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Now()}
	b := newBench(t, func(cfg *Config) { cfg.Now = c.Now })
	a := b.grant(requestOf(callOf(args), c.Now().Add(time.Minute)))
	c.add(time.Minute)
	want(t, "claim", b.Claim(t.Context(), a), ErrUsed)
	b.ask(requestOf(callOf(args), c.Now().Add(time.Minute)))
	if b.waiting(1)[0].ID == ID(a.ID) {
		t.Error("an expired grant was asked about")
	}
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for name, change := range map[string]func(*Request){
		"no agent":          func(r *Request) { r.Agent = "" },
		"no session":        func(r *Request) { r.Session = "" },
		"no requester":      func(r *Request) { r.Requester = "" },
		"no subject":        func(r *Request) { r.Subject = policy.Binding{} },
		"no binding":        func(r *Request) { r.Binding = policy.Binding{} },
		"expired":           func(r *Request) { r.Expires = time.Now() },
		"no arguments":      func(r *Request) { r.Args = nil },
		"a list":            func(r *Request) { r.Args = []byte(`[]`) },
		"another spelling":  func(r *Request) { r.Args = []byte(`{"a": 1}`) },
		"a duplicate name":  func(r *Request) { r.Args = []byte(`{"a":1,"a":2}`) },
		"invalid UTF-8":     func(r *Request) { r.Args = []byte("{\"a\":\"\xff\"}") },
		"more than fits":    func(r *Request) { r.Args = []byte(`{"a":"` + strings.Repeat("x", MaxArgs-8+1) + `"}`) },
		"more values":       func(r *Request) { r.Args = []byte(`{"a":[` + strings.Repeat("0,", MaxValues) + `0]}`) },
		"an unknown effect": func(r *Request) { r.Effect = 77 },
	} {
		r := request(args)
		change(&r)
		want(t, name, (<-b.ask(r)).err, ErrRequest)
	}
	most := request(`{"a":"` + strings.Repeat("x", MaxArgs-8) + `"}`)
	ctx, cancel := context.WithCancel(t.Context())
	got := b.askIn(ctx, most)
	if c := b.waiting(1)[0]; !strings.Contains(strings.ReplaceAll(c.Text, "\n    … ", ""), strings.Repeat("x", MaxArgs-8)) {
		t.Error("the largest value was cut")
	}
	cancel()
	<-got
	if err := b.EndSession(t.Context(), "home", "s1"); err != nil {
		t.Fatal(err)
	}
	r := request(`{"html":"<a>&\u2028</a>"}`)
	r.Args = []byte("{\"html\":\"<a>&\u2028</a>\"}")
	r.Roles = map[string]abi.Role{"html": abi.RoleUnknown}
	b.ask(r)
	if c := b.waiting(1)[0]; string(c.Arguments) != string(r.Args) || c.Fields[0].Role != "control" {
		t.Errorf("stored as %s", c.Arguments)
	}
}

func TestOpenNeedsARecorderAndAPrivateFile(t *testing.T) {
	t.Parallel()
	if _, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "a.db")}); err == nil {
		t.Error("opened without a recorder")
	}
	p := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(p, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Path: p, Record: &log{}}); err == nil {
		t.Error("opened a file that others may read")
	}
}
