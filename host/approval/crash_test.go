package approval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/host/policy"
)

const crashVerb = "approval-crash"

// crashChild goes through the life of one call up to a step, says so, and waits to be
// killed.
func crashChild(dir, step string) int {
	ctx := context.Background()
	shown := make(chan Card, 1)
	api := &chat{name: "api", onShow: func(c Card) { shown <- c }}
	s, err := Open(ctx, Config{Path: filepath.Join(dir, "a.db"), Record: &log{}, Approvers: []policy.Principal{operator}, Surfaces: []Surface{api}})
	reached := func(name string) {
		if name == step {
			fmt.Println("reached")
			select {}
		}
	}
	got := make(chan answer, 1)
	if err == nil {
		go func() {
			a, err := s.Ask(ctx, request(args))
			got <- answer{a, err}
		}()
		card := <-shown
		reached("pending")
		err = s.Decide(ctx, byAPI, card.ID, true)
		reached("granted")
	}
	if err == nil {
		a := <-got
		err = errors.Join(a.err, s.Claim(ctx, a.approval))
		reached("consumed")
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, "effect"), []byte("x"), 0o600))
		reached("effect")
		err = errors.Join(err, s.Settle(ctx, ID(a.approval.ID), "ok"))
		reached("settled")
	}
	fmt.Println("failed:", err)
	return 1
}

// TestKilledBetweenSteps kills a process between grant, use and effect, and looks at
// what the next one finds: the call runs at most once, and only after a yes.
func TestKilledBetweenSteps(t *testing.T) {
	t.Parallel()
	for step, x := range map[string]struct {
		state   State
		outcome string
		again   bool // the old yes still admits the call
		effect  bool // it happened before the kill
	}{
		"pending":  {state: Pending},
		"granted":  {state: Granted, again: true},
		"consumed": {state: Consumed, outcome: OutcomeUnknown},
		"effect":   {state: Consumed, outcome: OutcomeUnknown, effect: true},
		"settled":  {state: Consumed, outcome: "ok", effect: true},
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.Command(os.Args[0], crashVerb, dir, step)
			out, err := cmd.StdoutPipe()
			if err != nil || cmd.Start() != nil {
				t.Fatal(err)
			}
			line := make([]byte, 64)
			n, _ := out.Read(line)
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if !strings.HasPrefix(string(line[:n]), "reached") {
				t.Fatalf("the process said %q", line[:n])
			}
			b := newBench(t, func(c *Config) { c.Path = filepath.Join(dir, "a.db") })
			cards, err := b.History(t.Context(), 10)
			if err != nil || len(cards) != 1 || cards[0].State != x.state || cards[0].Outcome != x.outcome {
				t.Fatalf("found %+v, %v", cards, err)
			}
			if _, err := os.Stat(filepath.Join(dir, "effect")); (err == nil) != x.effect {
				t.Errorf("effect: %v", err)
			}
			got := b.ask(request(args))
			if !x.again {
				waits := b.waiting(1)[0]
				if (waits.ID == cards[0].ID) != (x.state == Pending) {
					t.Errorf("%s waits, found was %s", waits.ID, cards[0].ID)
				}
				if err := b.Decide(t.Context(), byAPI, waits.ID, false); err != nil {
					t.Fatal(err)
				}
				if a := <-got; !errors.Is(a.err, ErrNotApproved) && !errors.Is(a.err, ErrDenied) {
					t.Errorf("the call made again: %+v", a)
				}
				return
			}
			a := <-got
			if a.err != nil || b.run(callOf(args), a.approval) != nil {
				t.Errorf("the yes did not survive: %+v", a)
			}
			want(t, "a second run", b.Claim(t.Context(), a.approval), ErrUsed)
		})
	}
}
