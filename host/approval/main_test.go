package approval

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// TestMain is the process that a crash test kills when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == crashVerb {
		os.Exit(crashChild(os.Args[2], os.Args[3]))
	}
	goleak.VerifyTestMain(m)
}

// log is a recorder in memory that can be made to fail.
type log struct {
	mu     sync.Mutex
	events []Event
	fail   string // name of the event that cannot be recorded; "*" = all
}

var errDisk = errors.New("disk full")

func (l *log) Record(_ context.Context, e Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail == "*" || l.fail == e.Name {
		return errDisk
	}
	l.events = append(l.events, e)
	return nil
}

func (l *log) last(name string) (found Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Name == name {
			found = e
		}
	}
	return found
}

func (l *log) count(name string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Name == name {
			n++
		}
	}
	return n
}

// chat is a surface in memory, as a channel adapter would be one.
type chat struct {
	name string

	mu      sync.Mutex
	cards   []Card
	settled []Outcome
	fail    error
	onShow  func(Card)
}

func (c *chat) Name() string { return c.name }

func (c *chat) Show(_ context.Context, card Card) error {
	c.mu.Lock()
	if c.fail != nil {
		defer c.mu.Unlock()
		return c.fail
	}
	c.cards = append(c.cards, card)
	on := c.onShow
	c.mu.Unlock()
	if on != nil {
		on(card)
	}
	return nil
}

func (c *chat) Settled(o Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled = append(c.settled, o)
}

func (c *chat) shown() []Card {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Card(nil), c.cards...)
}

const (
	operator policy.Principal = "operator:api"
	paired   policy.Principal = "operator:chat:ops"
)

var (
	byAPI  = Approver{Principal: operator, Surface: "api"}
	tool   = abi.ToolRef{Skill: "bank", Tool: "send"}
	module = abi.DigestOf([]byte("bank"))
	soon   = 5 * time.Minute
)

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is a store with an API, a chat and a log.
type bench struct {
	*Store
	t    *testing.T
	log  *log
	api  *chat
	chat *chat
	cfg  Config
}

func newBench(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, log: &log{}, api: &chat{name: "api"}, chat: &chat{name: "ops"}}
	b.cfg = Config{
		Path: filepath.Join(t.TempDir(), "approvals.db"), Record: b.log,
		Approvers: []policy.Principal{operator, paired}, Surfaces: []Surface{b.api, b.chat},
	}
	if change != nil {
		change(&b.cfg)
	}
	b.open()
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) open() {
	b.t.Helper()
	s, err := Open(b.t.Context(), b.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Store = s
}

// registry knows bank.send, destructive, and bank.list, which reads.
func registry() *policy.Registry {
	var b policy.Builder
	for name, effect := range map[string]abi.Effect{"send": abi.EffectIrreversible, "list": abi.EffectRead, "odd": abi.EffectUnknown} {
		ref := abi.ToolRef{Skill: "bank", Tool: abi.ToolName(name)}
		if err := errors.Join(b.Add(policy.Entry{Ref: ref, Digest: module, Descriptor: abi.Descriptor{Name: ref.Tool, Effect: effect}}), b.Grant("home", ref), b.Grant("work", ref)); err != nil {
			panic(err)
		}
	}
	r, err := b.Registry()
	if err != nil {
		panic(err)
	}
	return r
}

// proposed is a call in a session that has seen something.
type proposed struct {
	policy.Call
	Context label.Label
}

func callOf(args string) proposed {
	return proposed{Call: policy.Call{Agent: "home", Session: "s1", ID: "c1", Requester: "owner:emma", Tool: tool, Digest: module, Args: json.RawMessage(args)}}
}

// state is a session in which the context has the label l.
func state(l label.Label) gate.State { return gate.State{Context: l} }

// decide is the gate's decision about a call.
func decide(c proposed) policy.Decision { return registry().Decide(c.Call, state(c.Context)) }

// requestOf is what the dispatcher would ask about a call.
func requestOf(c proposed, expires time.Time) Request {
	d := decide(c)
	if d.Verdict() == gate.VerdictDeny { // the gate would not let it get here; the store must bear it all the same
		d = decide(callOf(`{}`))
	}
	return Request{
		Agent: c.Agent, Session: c.Session, Call: c.ID, Requester: c.Requester, Conversation: "chat:emma", Tool: c.Tool, Pin: d.Pin(),
		Effect: abi.EffectIrreversible, Rule: gate.RuleDestructive, Why: "the tool does what cannot be undone, so a person must approve it", Context: c.Context, Args: c.Args,
		Subject: d.Subject(), Binding: d.Bind(expires), Expires: expires,
	}
}

func request(args string) Request { return requestOf(callOf(args), time.Now().Add(soon)) }

// answer is what Ask returns.
type answer struct {
	approval policy.Approval
	err      error
}

// ask starts to wait for r.
func (b *bench) ask(r Request) <-chan answer { return b.askIn(b.t.Context(), r) }

func (b *bench) askIn(ctx context.Context, r Request) <-chan answer {
	got := make(chan answer, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // does it end?
		defer cancel()
		a, err := b.Ask(ctx, r)
		got <- answer{a, err}
	}()
	return got
}

// waiting waits until n asks wait, and returns their cards.
func (b *bench) waiting(n int) []Card {
	b.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		cards, err := b.Waiting(b.t.Context())
		if err != nil {
			b.t.Fatal(err)
		}
		if len(cards) == n {
			return cards
		}
		if time.Now().After(end) {
			b.t.Fatalf("%d asks wait, want %d", len(cards), n)
		}
	}
}

// grant asks about r, approves it and returns the grant.
func (b *bench) grant(r Request) policy.Approval {
	b.t.Helper()
	got := b.ask(r)
	if err := b.Decide(b.t.Context(), byAPI, b.waiting(1)[0].ID, true); err != nil {
		b.t.Fatal(err)
	}
	a := <-got
	if a.err != nil || !a.approval.Granted {
		b.t.Fatalf("%+v", a)
	}
	return a.approval
}

// run is what the dispatcher does with a grant: mint, claim, effect, settle. It
// reports whether there was an effect.
func (b *bench) run(c proposed, a policy.Approval) error {
	if _, err := policy.Approve(decide(c), a, b.Store.cfg.Now()); err != nil {
		return err
	}
	if err := b.Claim(b.t.Context(), a); err != nil {
		return err
	}
	return b.Settle(b.t.Context(), ID(a.ID), "ok")
}

func want(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got %v, want %v", what, err, target)
	}
}

func label1(i label.Integrity) label.Label { return label.Label{Integrity: i} }
