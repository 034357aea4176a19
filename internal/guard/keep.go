package guard

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

// Keeper keeps what the guard knows of a conversation, so that a restart forgets
// neither a mark nor a value of which the first piece went out already.
type Keeper interface {
	// Guarded returns what Guard was given last for the conversation; nil: nothing.
	Guarded(ctx context.Context, agent abi.AgentID, session abi.SessionID) ([]byte, error)
	// Guard keeps state, and whether the conversation is compromised.
	Guard(ctx context.Context, agent abi.AgentID, session abi.SessionID, state []byte, marked bool) error
}

// Lost stands for a secret's name where what a conversation has met cannot be read: it
// counts as compromised.
const Lost = "(lost)"

// maxKeptTails bounds the recipients of one conversation that are kept, the latest.
const maxKeptTails = 256

// keptState is the stored form of a session. A canary is not kept: the next process
// puts a new one into the prompt.
type keptState struct {
	Met   *Hit       `json:"met,omitempty"`
	Tails []keptTail `json:"tails,omitempty"`
}

type keptTail struct {
	Sink      Sink   `json:"sink"`
	Recipient string `json:"recipient"`
	Last      []byte `json:"last"`
}

// KeepIn has the guard keep its conversations in k; to be called before it is used.
func (g *Guard) KeepIn(k Keeper) { g.keeper = k }

// Load reads what was kept of a conversation, so that Marked lists it.
func (g *Guard) Load(agent abi.AgentID, id abi.SessionID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.session(key{agent, id})
}

// restore fills s with what was kept of k. g.mu is held.
func (g *Guard) restore(k key, s *session) {
	if g.keeper == nil || k.session == "" {
		return
	}
	// The look at a text must not end with the caller: half a state is none.
	data, err := g.keeper.Guarded(context.Background(), k.agent, k.session)
	var kept keptState
	if err == nil && len(data) > 0 {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil {
		s.met = &Hit{Place: Place{Agent: k.agent, Session: k.session, Sink: Audit}, Secret: Lost, Action: Block}
		return
	}
	s.met = kept.Met
	for _, t := range kept.Tails {
		g.clock++
		s.tails[Place{Sink: t.Sink, Agent: k.agent, Session: k.session, Recipient: t.Recipient}] = &tail{redact.TailOf(t.Last), g.clock}
	}
}

// Save keeps what changed in a conversation since it was kept last: after each message,
// and where it is marked at once.
func (g *Guard) Save(ctx context.Context, agent abi.AgentID, id abi.SessionID) error {
	if g == nil || g.keeper == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.sessions[key{agent, id}]; s != nil {
		return g.keep(ctx, key{agent, id}, s)
	}
	return nil
}

// keep is Save of s. g.mu is held: what is kept never runs behind what is known.
func (g *Guard) keep(ctx context.Context, k key, s *session) error {
	if g.keeper == nil || !s.changed {
		return nil
	}
	state := s.kept()
	known := g.known()
	state.Tails = slices.DeleteFunc(state.Tails, func(t keptTail) bool { return known.Find(t.Last) != "" })
	data, err := json.Marshal(state)
	if err == nil && known.Find(data) != "" { // no store holds what a secret can be read from
		state.Tails = nil
		data, err = json.Marshal(state)
	}
	if err == nil {
		err = g.keeper.Guard(ctx, k.agent, k.session, data, s.met != nil)
	}
	if err != nil {
		return fmt.Errorf("keep what conversation %s has met: %w", k.session, err)
	}
	s.changed = false
	return nil
}

// SaveAll is Save of each conversation.
func (g *Guard) SaveAll(ctx context.Context) error {
	g.mu.Lock()
	keys := make([]key, 0, len(g.sessions))
	for k := range g.sessions {
		keys = append(keys, k)
	}
	g.mu.Unlock()
	var all error
	for _, k := range keys {
		all = errors.Join(all, g.Save(ctx, k.agent, k.session))
	}
	return all
}

func (s *session) kept() keptState {
	out := keptState{Met: s.met}
	places := make([]Place, 0, len(s.tails))
	for p := range s.tails {
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b Place) int { return cmp.Compare(s.tails[a].touched, s.tails[b].touched) })
	for _, p := range places[max(0, len(places)-maxKeptTails):] {
		if last := s.tails[p].Last(); len(last) > 0 {
			out.Tails = append(out.Tails, keptTail{p.Sink, p.Recipient, last})
		}
	}
	return out
}
