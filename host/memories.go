package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/host/memory"
)

// memories keeps what each agent remembers, in a database in the agent's own folder.
type memories struct {
	stores  map[abi.AgentID]*memory.Store
	agents  []config.Agent
	missing error // why no agent has a memory; nil if all have
	record  agent.Recorder
	log     *slog.Logger

	mu   sync.Mutex              // guards said
	said map[conversation]string // the owner's own words in the message that is handled
}

// hear keeps the owner's words of a message until the returned function is called.
func (m *memories) hear(c conversation, words string) (end func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said[c] = strings.TrimSpace(words)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.said, c)
	}
}

// turn reports whether text is, word for word, the message that led to the call.
func (m *memories) turn(c abi.Caller, text string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	said := m.said[conversation{c.Agent, c.Session}]
	return said != "" && said == strings.TrimSpace(text)
}

// openMemory opens one database; memory.Open is one.
type openMemory func(ctx context.Context, path string, guard memory.Guard, now func() time.Time) (*memory.Store, error)

// openMemories opens the memory of every agent. A build without full-text search has
// none, and says so; any other failure is an error.
func openMemories(ctx context.Context, open openMemory, state *config.State, agents []config.Agent, guard memory.Guard, record agent.Recorder, log *slog.Logger) (*memories, error) {
	m := &memories{stores: map[abi.AgentID]*memory.Store{}, agents: agents, record: record, log: log, said: map[conversation]string{}}
	for _, a := range agents {
		dir, err := state.AgentDir(a.Name)
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		store, err := open(ctx, filepath.Join(dir, "memory.db"), guard, time.Now)
		if errors.Is(err, memory.ErrNoSearch) {
			m.missing = memory.ErrNoSearch
			break
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("agent %s: %w", a.Name, err), m.Close())
		}
		m.stores[abi.AgentID(a.Name)] = store
	}
	return m, nil
}

// Close closes every store.
func (m *memories) Close() error {
	var all error
	for _, s := range m.stores {
		all = errors.Join(all, s.Close())
	}
	return all
}

// note records what became of a row.
func (m *memories) note(ctx context.Context, e audit.Entry, id memory.ID, detail map[string]string) {
	e.Detail = map[string]string{"row": strconv.FormatInt(int64(id), 10)}
	for k, v := range detail {
		e.Detail[k] = v
	}
	observer{m.record, m.log}.append(ctx, e)
}

// of returns the memory of an agent that the operator names; "" is the first agent.
func (m *memories) of(name string) (abi.AgentID, *memory.Store, error) {
	if name == "" {
		name = string(m.agents[0].Name)
	}
	id := abi.AgentID(name)
	switch s := m.stores[id]; {
	case s != nil:
		return id, s, nil
	case m.missing != nil:
		return "", nil, admin.NewError(http.StatusNotImplemented, "agents have no memory: "+m.missing.Error(), "memory/build", "make build")
	}
	return "", nil, admin.NewError(http.StatusNotFound, fmt.Sprintf("there is no agent %q", name), "api/agent", "glovebox status")
}

// Memories implements admin.Archive.
func (h *Host) Memories(ctx context.Context, q admin.MemoryQuery) ([]admin.MemoryRow, error) {
	id, store, err := h.memories.of(q.Agent)
	if err != nil {
		return nil, err
	}
	var rows []memory.Row
	if q.Text != "" {
		rows, err = store.Find(ctx, id, q.Text, q.Limit)
	} else {
		rows, err = store.List(ctx, id, memory.ID(q.Before), q.Limit)
	}
	if err != nil {
		return nil, err
	}
	list := make([]admin.MemoryRow, 0, len(rows))
	for _, r := range rows {
		list = append(list, rowView(id, r))
	}
	return list, nil
}

// Memory implements admin.Archive.
func (h *Host) Memory(ctx context.Context, name string, row int64) (admin.MemoryRow, error) {
	id, store, err := h.memories.of(name)
	if err != nil {
		return admin.MemoryRow{}, err
	}
	r, err := store.Get(ctx, id, memory.ID(row))
	if err != nil {
		return admin.MemoryRow{}, memoryProblem(err)
	}
	return rowView(id, r), nil
}

// Forget implements admin.Archive.
func (h *Host) Forget(ctx context.Context, name string, row int64) error {
	return h.changeRow(ctx, name, row, "memory.forgotten", func(id abi.AgentID, s *memory.Store) error {
		return s.Delete(ctx, id, memory.ID(row))
	})
}

// Promote implements admin.Archive.
func (h *Host) Promote(ctx context.Context, name string, row int64, shown string) error {
	digest, err := abi.ParseDigest(shown)
	if err != nil {
		return admin.NewError(http.StatusBadRequest, "digest: "+err.Error(), "memory/digest", "it is part of what \"glovebox memory show ID --json\" prints")
	}
	return h.changeRow(ctx, name, row, "memory.promoted", func(id abi.AgentID, s *memory.Store) error {
		return s.Promote(ctx, id, memory.ID(row), digest)
	})
}

// changeRow does what the operator wants with one row. It is on record before it
// happens, with how the row was; if that cannot be recorded, nothing happens.
func (h *Host) changeRow(ctx context.Context, name string, row int64, event audit.Event, do func(abi.AgentID, *memory.Store) error) error {
	id, store, err := h.memories.of(name)
	if err != nil {
		return err
	}
	r, err := store.Get(ctx, id, memory.ID(row))
	if err != nil {
		return memoryProblem(err)
	}
	e := audit.Entry{Event: event + ".intent", Actor: string(principalApprover), Agent: id, Verdict: "allow", Durable: true, Detail: map[string]string{
		"row": strconv.FormatInt(row, 10), "label": r.Label.String(), "kind": string(r.Kind), "origin": r.Origin, "digest": string(r.Digest()),
	}}
	if _, err := h.ledger.Append(ctx, e); err != nil {
		return fmt.Errorf("record the change: %w", err)
	}
	err = do(id, store)
	if e.Event, e.Outcome = event, "ok"; err != nil {
		e.Outcome = "error"
	}
	observer{h.ledger, h.log}.append(ctx, e)
	return memoryProblem(err)
}

func memoryProblem(err error) error {
	switch {
	case errors.Is(err, memory.ErrNoRow):
		return admin.NewError(http.StatusNotFound, "there is no such row", "memory/row", "glovebox memory list")
	case errors.Is(err, memory.ErrChanged):
		return admin.NewError(http.StatusConflict, "the row is not the one that was shown", "memory/digest", "look at it again with \"glovebox memory show ID\"")
	}
	return err
}

func rowView(id abi.AgentID, r memory.Row) admin.MemoryRow {
	return admin.MemoryRow{
		ID: int64(r.ID), Agent: string(id), Kind: string(r.Kind), Trust: r.Label.Integrity.String(), Label: r.Label.String(),
		Text: r.Text, Origin: r.Origin, At: r.At, Digest: string(r.Digest()),
	}
}
