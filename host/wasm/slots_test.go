package wasm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
)

// TestSlotsServeAgentsInTurn: an agent with many waiting calls does not keep another
// from the next slot.
func TestSlotsServeAgentsInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1, 100)
		if err := s.enter(t.Context(), "x", time.Hour); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		for _, agent := range []abi.AgentID{"greedy", "greedy", "greedy", "modest"} {
			wg.Go(func() {
				if err := s.enter(t.Context(), agent, time.Hour); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, string(agent))
				mu.Unlock()
				s.leave()
			})
			synctest.Wait()
		}
		s.leave()
		wg.Wait()
		if want := []string{"greedy", "modest", "greedy", "greedy"}; !slices.Equal(order, want) {
			t.Errorf("served %v, want %v", order, want)
		}
	})
}

// TestSlotsRefuseBeyondTheQueue: n wait, n+1 is refused, and waiting ends.
func TestSlotsRefuseBeyondTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1, 2)
		if err := s.enter(t.Context(), "a", time.Second); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := s.enter(t.Context(), "a", time.Minute); !errors.Is(err, ErrBusy) {
					t.Errorf("waited for ever and got %v", err)
				}
			})
		}
		synctest.Wait()
		begin := time.Now()
		if err := s.enter(t.Context(), "b", time.Minute); !errors.Is(err, ErrBusy) || time.Since(begin) != 0 {
			t.Errorf("one more than the queue holds: %v after %v", err, time.Since(begin))
		}
		wg.Wait() // their minute passes
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if err := s.enter(ctx, "a", time.Minute); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		s.leave()
		if s.free != 1 || s.queued != 0 || len(s.ring) != 0 || len(s.waiting) != 0 {
			t.Errorf("left behind: %+v", s)
		}
	})
}

// TestSlotIsFreeWhileTheGuestWaits: with one slot, a guest that sleeps, fetches or
// asks lets another run; and the wall clock stands still for the human only.
func TestSlotIsFreeWhileTheGuestWaits(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{Running: 1})
	inside, resume := make(chan string), make(chan struct{})
	wait := func(what string) { inside <- what; <-resume }
	services := Services{
		Fetch: fetcher(func(ctx context.Context, c abi.Caller, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error) {
			wait("fetch")
			return hello(ctx, c, req, body)
		}),
		Ask: asker(func(ctx context.Context, req abi.AskRequest) (abi.AskResult, error) {
			wait("ask")
			time.Sleep(400 * time.Millisecond) // longer than the wall limit below
			return yes(ctx, req)
		}),
	}
	for _, line := range []string{
		abitest.Line("fetch", `{"url":"https://api.example/"}`, ""),
		abitest.Line("ask", `{"question":"really?"}`, ""),
	} {
		done := make(chan error, 1)
		go func() {
			_, err := e.Call(context.Background(), raw(abitest.Probe(), "probe", line, func(inv *Invocation) {
				inv.Services = services
				inv.Rights.HTTP, inv.Rights.Human = httpRight(), true
				if line[0] == 'a' {
					inv.Rights.Limits.Wall = 300 * time.Millisecond
				}
			}))
			done <- err
		}()
		what := <-inside
		if _, err := e.Call(t.Context(), raw(abitest.Hostile(), "ok", "")); err != nil {
			t.Errorf("during %s: %v", what, err)
		}
		resume <- struct{}{}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Sleeping holds no slot either.
	slept := make(chan error, 1)
	go func() {
		_, err := e.Call(context.Background(), raw(abitest.Hostile(), "sleep", "", withLimits(func(l *abi.Limits) { l.Wall = time.Second })))
		slept <- err
	}()
	for range 20 {
		if _, err := e.Call(t.Context(), raw(abitest.Hostile(), "ok", "")); err != nil {
			t.Error(err)
		}
	}
	wantLimit(t, <-slept, "wall")
}

// TestManySpinningGuests (CPU-2): 40 of them on fewer slots than processors, and the
// process goes on living.
func TestManySpinningGuests(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{Running: 1, Queue: 64})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			_, err := e.Call(context.Background(), raw(abitest.Hostile(), "spin", "", withLimits(func(l *abi.Limits) { l.Wall = 20 * time.Millisecond }),
				func(inv *Invocation) { inv.Caller.Agent = abi.AgentID(fmt.Sprint(i % 4)) }))
			if l, ok := errors.AsType[*LimitError](err); !ok || l.Limit != "wall" {
				t.Errorf("error %v", err)
			}
		})
	}
	wg.Wait()
}

// TestCloseStopsWhatRuns, and the caller's own context does.
func TestCloseStopsWhatRuns(t *testing.T) {
	t.Parallel()
	e, err := New(Config{Store: store(t)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Call(t.Context(), raw(abitest.Hostile(), "ok", "")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := e.Call(ctx, raw(abitest.Hostile(), "spin", "")); !errors.Is(err, context.Canceled) {
		t.Errorf("after the caller went away: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := e.Call(context.Background(), raw(abitest.Hostile(), "spin", ""))
		done <- err
	}()
	time.Sleep(50 * time.Millisecond)
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("a running call: %v", err)
	}
	if _, err := e.Call(t.Context(), raw(abitest.Hostile(), "ok", "")); !errors.Is(err, ErrClosed) {
		t.Errorf("a new call: %v", err)
	}
}
