package host

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
)

// world is what the daemon offers at one moment: which skills there are, which agent
// may use which, and the dispatcher whose registry is sealed with exactly that. A
// change of skills or grants makes a new world; a message keeps the one it began in.
// Nothing changes a world.
type world struct {
	key        string
	skills     []standing
	dispatcher *agent.Dispatcher
}

// current returns the world of this moment, and makes a new one only if something
// has changed.
func (h *Host) current(ctx context.Context) (*world, error) {
	h.looking.Lock()
	list := h.surveyor.survey(ctx)
	h.looking.Unlock()
	h.recordVerdicts(ctx, list)
	key := keyOf(list)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.world != nil && h.world.key == key {
		h.world = &world{key: key, skills: list, dispatcher: h.world.dispatcher}
		return h.world, nil
	}
	d, err := h.door(list)
	if err != nil {
		return nil, fmt.Errorf("register skills: %w", err)
	}
	if h.world != nil {
		h.log.Info("skills or grants have changed", "skills", len(list))
	}
	h.world = &world{key: key, skills: list, dispatcher: d}
	return h.world, nil
}

// door seals a dispatcher over the usable skills.
func (h *Host) door(list []standing) (*agent.Dispatcher, error) {
	cfg := agent.Config{Approver: h.approvals, Recorder: h.ledger, Guard: h.guard, Meter: h.budgets, ApprovalTimeout: h.approvals.limit, Rules: rulesOf(h.settings.Approvals), Grants: map[abi.AgentID][]abi.ToolRef{}}
	for _, s := range list {
		if s.State == skillRefused {
			continue
		}
		for _, spec := range specs(s.Bundle) {
			spec.Impl = &skillTool{host: h, bundle: s.Bundle, artifact: s.Artifact, ref: spec.Ref}
			cfg.Tools = append(cfg.Tools, spec)
			for _, a := range s.Agents {
				cfg.Grants[a] = append(cfg.Grants[a], spec.Ref)
			}
		}
	}
	for _, spec := range h.memories.specs() {
		cfg.Tools = append(cfg.Tools, spec)
		for _, a := range h.settings.Agents {
			if id := abi.AgentID(a.Name); h.memories.granted(id) {
				cfg.Grants[id] = append(cfg.Grants[id], spec.Ref)
			}
		}
	}
	return agent.NewDispatcher(cfg)
}

// keyOf is equal for two lists that lead to the same registry.
func keyOf(list []standing) string {
	var b strings.Builder
	for _, s := range list {
		if s.State == skillRefused {
			continue
		}
		agents := slices.Clone(s.Agents)
		slices.Sort(agents)
		fmt.Fprintf(&b, "%q %s %q\n", s.Dir, s.Bundle.Digest, agents)
	}
	return b.String()
}
