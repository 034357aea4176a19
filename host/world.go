package host

import (
	"fmt"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/skills"
)

// The states of a skill.
const (
	skillReady   = "ready"
	skillUnasked = "needs grant"
	skillRefused = "refused"
)

// world is what the daemon offers at one moment: which skills there are, which agent
// may use which, and the dispatcher whose registry is sealed with exactly that. A
// change of skills or grants makes a new world; a message keeps the one it began in.
type world struct {
	key        string
	skills     []standing
	dispatcher *agent.Dispatcher
}

// standing is one skill in a world.
type standing struct {
	Found
	State     string
	Why       string
	Hint      string
	GrantFile string
	Agents    []abi.AgentID // that may call it
}

// current returns the world of this moment, and makes a new one only if something
// has changed.
func (h *Host) current() (*world, error) {
	list := h.survey()
	key := keyOf(list)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.world != nil && h.world.key == key {
		h.world.skills = list
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

// survey looks at all skills and their grants.
func (h *Host) survey() []standing {
	var list []standing
	var names policy.Builder // finds tools whose names are taken or look alike
	for _, f := range h.catalog.Scan() {
		s := standing{Found: f}
		if f.Err == nil {
			s.Err = h.register(&names, f.Bundle)
		}
		if s.Err != nil {
			s.State, s.Why, s.Hint = skillRefused, s.Err.Error(), "glovebox skill inspect "+f.Dir
		} else {
			h.grade(&s)
		}
		list = append(list, s)
	}
	return list
}

func (h *Host) register(names *policy.Builder, b *skills.Bundle) error {
	for _, spec := range h.specs(b) {
		if err := agent.CheckSpec(spec); err != nil {
			return err
		}
		if err := names.Add(policy.Entry{Ref: spec.Ref, Digest: spec.Digest, Descriptor: spec.Descriptor, Schema: spec.Tool.InputSchema}); err != nil {
			return err
		}
	}
	return nil
}

// grade finds out which agents may use a skill.
func (h *Host) grade(s *standing) {
	name := s.Bundle.Name()
	grant, file, err := h.grants.Lookup(name)
	s.GrantFile, s.State, s.Hint = file, skillUnasked, "glovebox skill grant "+string(name)
	if err != nil {
		s.Why, s.Hint = err.Error(), "mend "+file
		return
	}
	if grant == nil {
		s.Why = "no grant file"
		return
	}
	for _, a := range h.settings.Agents {
		if !a.May(name) {
			s.note("agent " + string(a.Name) + " does not list this skill in the configuration")
			continue
		}
		rights, why, err := abi.Effective(&s.Bundle.Manifest.Manifest, grant, h.policy(), abi.AgentID(a.Name), s.Bundle.Digest, h.now())
		switch {
		case err != nil:
			s.note(err.Error())
		case rights.Granted:
			s.Agents = append(s.Agents, abi.AgentID(a.Name))
		default:
			for _, e := range why {
				if !e.Granted {
					s.note(strings.TrimSpace(e.Why + " " + e.Grant))
				}
			}
		}
	}
	if len(s.Agents) > 0 {
		s.State, s.Why, s.Hint = skillReady, "", ""
	}
}

func (s *standing) note(why string) {
	if s.Why == "" {
		s.Why = why
	}
}

// specs describes the tools of a bundle to the dispatcher.
func (h *Host) specs(b *skills.Bundle) []agent.Spec {
	list := make([]agent.Spec, 0, len(b.Manifest.Tools))
	for _, t := range b.Manifest.Tools {
		ref := abi.ToolRef{Skill: b.Name(), Tool: t.Name}
		list = append(list, agent.Spec{
			Ref: ref, Digest: b.Digest, Descriptor: b.Descriptor(t.Name), Tool: t, About: b.Manifest.Manifest.Description,
			Impl: &skillTool{host: h, bundle: b, ref: ref},
		})
	}
	return list
}

// door seals a dispatcher over the usable skills.
func (h *Host) door(list []standing) (*agent.Dispatcher, error) {
	cfg := agent.Config{Approver: h.approvals, Recorder: h.ledger, ApprovalTimeout: approvalTime, Grants: map[abi.AgentID][]abi.ToolRef{}}
	for _, s := range list {
		if s.State == skillRefused {
			continue
		}
		for _, spec := range h.specs(s.Bundle) {
			cfg.Tools = append(cfg.Tools, spec)
			for _, a := range s.Agents {
				cfg.Grants[a] = append(cfg.Grants[a], spec.Ref)
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
