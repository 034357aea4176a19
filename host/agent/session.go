package agent

import (
	"context"
	"fmt"
	"sync"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/atom"
)

// session is one conversation. Whoever holds its lane may touch items.
type session struct {
	id      abi.SessionID
	lane    chan struct{} // holds one token: the right to handle a message
	users   int           // inside or waiting; guarded by sessions.mu
	touched uint64        // guarded by sessions.mu
	items   []Item

	state *gate.State // what the session has seen; nil: not loaded
	bytes int         // of text in state; as of the last leave, guarded by sessions.mu
	held  held        // results behind handles
}

// sessions is the table of conversations in memory. The zero value with a limit and
// waiting set is ready.
type sessions struct {
	limit   int
	waiting int
	room    int // bytes of state; 0 = any

	mu    sync.Mutex // guards what follows, and users and touched of each session
	byID  map[abi.SessionID]*session
	bytes int // of all states
	clock uint64
}

// enter waits for the lane of the session id, in order of arrival as far as the
// runtime keeps it.
func (t *sessions) enter(ctx context.Context, id abi.SessionID) (*session, error) {
	s, err := t.join(id)
	if err != nil {
		return nil, err
	}
	select {
	case s.lane <- struct{}{}:
		return s, nil
	case <-ctx.Done():
		t.mu.Lock()
		s.users--
		t.mu.Unlock()
		return nil, ctx.Err()
	}
}

func (t *sessions) join(id abi.SessionID) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byID[id]
	if s == nil {
		if len(t.byID) >= t.limit && !t.evict() {
			return nil, fmt.Errorf("%w: all %d sessions are in use", ErrBusy, t.limit)
		}
		if t.byID == nil {
			t.byID = map[abi.SessionID]*session{}
		}
		s = &session{id: id, lane: make(chan struct{}, 1)}
		t.byID[id] = s
	}
	if s.users > t.waiting {
		return nil, ErrBusy
	}
	s.users++
	t.clock++
	s.touched = t.clock
	return s, nil
}

// evict forgets the idle session that was used longest ago.
func (t *sessions) evict() bool {
	oldest := t.idle(func(*session) bool { return true })
	if oldest == nil {
		return false
	}
	t.bytes -= oldest.bytes
	delete(t.byID, oldest.id)
	return true
}

func (t *sessions) leave(s *session) {
	n := stateSize(s.state)
	t.mu.Lock()
	defer t.mu.Unlock()
	<-s.lane
	s.users--
	t.bytes += n - s.bytes
	s.bytes = n
	for t.room > 0 && t.bytes > t.room && t.unload() {
	}
}

// unload forgets the state of the idle session that was used longest ago; it is read
// again when the session goes on. t.mu is held.
func (t *sessions) unload() bool {
	s := t.idle(func(s *session) bool { return s.bytes > 0 })
	if s == nil {
		return false
	}
	t.bytes -= s.bytes
	s.state, s.bytes = nil, 0
	return true
}

// idle returns the session that was used longest ago, of those that nobody uses and that
// fit. t.mu is held.
func (t *sessions) idle(fits func(*session) bool) *session {
	var oldest *session
	for _, s := range t.byID {
		if s.users == 0 && fits(s) && (oldest == nil || s.touched < oldest.touched) {
			oldest = s
		}
	}
	return oldest
}

// stateSize returns the bytes of text that a state holds.
func stateSize(s *gate.State) (n int) {
	if s == nil {
		return 0
	}
	for _, texts := range [][]atom.Text{s.Owner, s.Before, s.Vouched} {
		for _, text := range texts {
			for _, a := range text.Atoms() {
				n += len(a.Value)
			}
		}
	}
	for _, h := range s.Heard {
		for _, a := range h.Values {
			n += len(a.Value)
		}
	}
	for _, u := range s.URLs {
		n += len(u)
	}
	return n
}

// trim forgets the oldest messages, each with all that followed from it, until the
// session fits; the last message stays.
func (s *session) trim(items, bytes int) {
	for start := 0; ; {
		tooBig := len(s.items)-start > items || size(s.items[start:]) > bytes
		next := nextMessage(s.items, start+1)
		if !tooBig || next < 0 {
			s.items = append([]Item(nil), s.items[start:]...)
			return
		}
		start = next
	}
}

func nextMessage(items []Item, from int) int {
	for i := from; i < len(items); i++ {
		if items[i].Role == RoleUser {
			return i
		}
	}
	return -1
}

func size(items []Item) int {
	n := 0
	for _, it := range items {
		n += len(it.Text)
		for _, c := range it.Calls {
			n += len(c.Args) + len(c.Tool)
		}
		if it.Result != nil {
			n += len(it.Result.Args) + len(it.Result.Data.Untrusted()) + len(it.Result.Denied)
		}
	}
	return n
}
