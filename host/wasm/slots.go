package wasm

import (
	"context"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// slots lets a bounded number of guests run at once. Who waits is served in the
// order of agents, one each in turn, so that no agent starves another.
type slots struct {
	mu      sync.Mutex // guards everything below
	free    int
	queued  int // waiting to start; those that come back from a wait are not counted
	max     int // of queued
	waiting map[abi.AgentID][]*waiter
	ring    []abi.AgentID // agents with waiters, next first
}

type waiter struct {
	ready chan struct{} // closed when the slot is handed over
	start bool          // counts in queued
}

func newSlots(running, queue int) *slots {
	return &slots{free: running, max: queue, waiting: map[abi.AgentID][]*waiter{}}
}

// enter takes a slot for a new call; ErrBusy if the queue is full or the wait longer than limit.
func (s *slots) enter(ctx context.Context, agent abi.AgentID, limit time.Duration) error {
	w, err := s.join(agent, true)
	if w == nil {
		return err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		s.abandon(agent, w)
		return ctx.Err()
	case <-timer.C:
		s.abandon(agent, w)
		return ErrBusy
	}
}

// again takes a slot for a call that gave its own up while it waited. It is not
// refused: the call holds memory, and ends by its own limits.
func (s *slots) again(ctx context.Context, agent abi.AgentID) error {
	w, _ := s.join(agent, false)
	if w == nil {
		return nil
	}
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		s.abandon(agent, w)
		return ctx.Err()
	}
}

// join takes a slot at once (nil, nil), queues, or refuses (nil, ErrBusy).
func (s *slots) join(agent abi.AgentID, start bool) (*waiter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free > 0 {
		s.free--
		return nil, nil
	}
	if start && s.queued >= s.max {
		return nil, ErrBusy
	}
	w := &waiter{ready: make(chan struct{}), start: start}
	if start {
		s.queued++
	}
	if len(s.waiting[agent]) == 0 {
		s.ring = append(s.ring, agent)
	}
	if start {
		s.waiting[agent] = append(s.waiting[agent], w)
	} else { // a call in progress goes before the agent's new ones
		s.waiting[agent] = append([]*waiter{w}, s.waiting[agent]...)
	}
	return w, nil
}

// leave gives a slot up: to the next agent's first waiter, if there is one.
func (s *slots) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass()
}

func (s *slots) pass() {
	if len(s.ring) == 0 {
		s.free++
		return
	}
	agent := s.ring[0]
	s.ring = s.ring[1:]
	list := s.waiting[agent]
	w := list[0]
	if list = list[1:]; len(list) == 0 {
		delete(s.waiting, agent)
	} else {
		s.waiting[agent] = list
		s.ring = append(s.ring, agent)
	}
	if w.start {
		s.queued--
	}
	close(w.ready)
}

// abandon takes w out of the queue; a slot that it was just handed goes on to the next.
func (s *slots) abandon(agent abi.AgentID, w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.ready:
		s.pass()
		return
	default:
	}
	list := s.waiting[agent]
	for i := range list {
		if list[i] == w {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if w.start {
		s.queued--
	}
	if len(list) > 0 {
		s.waiting[agent] = list
		return
	}
	delete(s.waiting, agent)
	for i := range s.ring {
		if s.ring[i] == agent {
			s.ring = append(s.ring[:i:i], s.ring[i+1:]...)
			break
		}
	}
}
