package host

import (
	"context"
	"errors"
	"slices"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
)

// Outfit is what one agent of a configuration may call and reach.
type Outfit struct {
	Agent  abi.AgentID
	Tools  []agent.Spec // without what runs them
	Rights map[abi.SkillName]abi.Rights
	Rules  agent.Rules // the operator's
	Start  gate.State  // of each of its sessions
}

// Outfits tells what the agents of a daemon with this configuration would have. Like
// ListSkills it opens no module.
func Outfits(ctx context.Context, cfg Config) (_ []Outfit, err error) {
	log := cfg.logger()
	s := newSurveyor(cfg, log, globalPolicy(cfg.Settings, &openOrigins{state: cfg.State}, log))
	defer func() { err = errors.Join(err, s.trust.Close()) }()
	list := s.survey(ctx)
	var all []Outfit
	for _, a := range cfg.Settings.Agents {
		o := Outfit{Agent: abi.AgentID(a.Name), Rights: map[abi.SkillName]abi.Rights{}, Rules: rulesOf(cfg.Settings.Approvals), Start: startOf(a)}
		for _, st := range list {
			if st.State != skillReady || !slices.Contains(st.Agents, o.Agent) {
				continue
			}
			grant, _, err := s.grants.Lookup(st.Bundle.Name())
			if err != nil {
				return nil, err
			}
			rights, _, err := abi.Effective(&st.Bundle.Manifest.Manifest, grant, s.policy(st.Bundle.Name()), o.Agent, st.Admission.Proof(), s.now())
			if err != nil {
				return nil, err
			}
			o.Tools, o.Rights[st.Bundle.Name()] = append(o.Tools, specs(st.Bundle)...), rights
		}
		all = append(all, o)
	}
	return all, nil
}
