package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/install"
)

// The states of a skill.
const (
	skillReady     = "ready"
	skillUngranted = "needs grant"
	skillRefused   = "refused"
)

// standing is one skill in a world.
type standing struct {
	Found
	State     string
	Why       string
	Hint      string
	GrantFile string
	Agents    []abi.AgentID // that may call it
	Admission *install.Admission
}

// surveyor looks at skills and grants as they lie in their folders.
type surveyor struct {
	catalog  *catalog
	trust    *trust
	grants   *grantBook
	settings config.Config
	policy   func(abi.SkillName) abi.GlobalPolicy
	now      func() time.Time
}

// newSurveyor looks at the folders and databases of a configuration. The caller closes
// its trust.
func newSurveyor(cfg Config, log *slog.Logger, policy func(abi.SkillName) abi.GlobalPolicy) surveyor {
	store := install.OpenStore(cfg.State)
	return surveyor{
		catalog: newCatalog(cfg.skillDirs(), store, log), trust: newTrust(cfg.State, cfg.Settings.Trust, log),
		grants: newGrantBook(cfg.grantDirs(), store), settings: cfg.Settings, now: time.Now, policy: policy,
	}
}

// ListSkills tells what a daemon with this configuration would offer. It opens no
// module.
func ListSkills(ctx context.Context, cfg Config) (_ []admin.Skill, err error) {
	log := cfg.logger()
	s := newSurveyor(cfg, log, globalPolicy(cfg.Settings, &openOrigins{state: cfg.State}, log))
	defer func() { err = errors.Join(err, s.trust.Close()) }()
	list := []admin.Skill{}
	for _, st := range s.survey(ctx) {
		list = append(list, skillView(st))
	}
	return list, nil
}

// FindSkill returns the bundle of an installed skill by its name, its grant if there
// is one, and the file of that.
func FindSkill(cfg Config, name abi.SkillName) (*skills.Bundle, *abi.Grant, string, error) {
	for _, f := range newCatalog(cfg.skillDirs(), install.OpenStore(cfg.State), cfg.logger()).Scan() {
		if f.Err != nil || f.Bundle.Name() != name {
			continue
		}
		bundle, err := skills.Open(f.Dir)
		if err != nil {
			return nil, nil, "", err
		}
		grant, file, err := newGrantBook(cfg.grantDirs(), install.OpenStore(cfg.State)).Lookup(name)
		return bundle, grant, file, err
	}
	return nil, nil, "", ErrNoSkill
}

// FindGrant returns the grant of a skill, installed or not, nil if there is none, and
// its file.
func FindGrant(cfg Config, name abi.SkillName) (*abi.Grant, string, error) {
	return newGrantBook(cfg.grantDirs(), install.OpenStore(cfg.State)).Lookup(name)
}

// Sharing is a folder that a grant gives to a skill, and that another skill's grant
// gives to that one.
type Sharing struct {
	Mount string        `json:"mount"`
	Host  string        `json:"host"`
	With  abi.SkillName `json:"with"`
}

// Shared lists the folders of grant that installed skills have too. A mount of the
// workspace is named by the author, so that two skills meet in one folder without
// anybody having meant it.
func Shared(cfg Config, grant *abi.Grant) []Sharing {
	list := []Sharing{}
	store := install.OpenStore(cfg.State)
	book := newGrantBook(cfg.grantDirs(), store)
	for _, f := range newCatalog(cfg.skillDirs(), store, cfg.logger()).Scan() {
		if f.Err != nil || f.Bundle.Name() == grant.Skill {
			continue
		}
		other, _, err := book.Lookup(f.Bundle.Name())
		if err != nil || other == nil {
			continue
		}
		for _, mine := range grant.Allow.Files {
			if slices.ContainsFunc(other.Allow.Files, func(theirs abi.FileGrant) bool { return theirs.Host == mine.Host }) {
				list = append(list, Sharing{mine.Mount, mine.Host, f.Bundle.Name()})
			}
		}
	}
	return list
}

// survey looks at all skills and their grants, and judges who signed them.
func (v *surveyor) survey(ctx context.Context) []standing {
	var list []standing
	v.trust.Refresh(ctx)
	names, own := ownNames()
	for _, f := range v.catalog.Scan() {
		s := standing{Found: f}
		switch {
		case f.Err != nil:
		case own != nil:
			s.Err = own
		case f.Bundle.Name() == memorySkill:
			s.Err = fmt.Errorf("skill %q: %w", memorySkill, errReserved)
		default:
			if s.Admission, s.Err = v.trust.Look(ctx, f.Bundle, f.Artifact); s.Err == nil {
				s.Err = register(&names, f)
			}
		}
		if s.Err != nil {
			s.State, s.Why, s.Hint = skillRefused, s.Err.Error(), hintOf(s.Err, "glovebox skill inspect "+config.ShellQuote(f.Dir))
		} else {
			v.grade(&s)
		}
		list = append(list, s)
	}
	return list
}

// hintOf returns the command that a refusal names, else otherwise.
func hintOf(err error, otherwise string) string {
	var r *install.Refusal
	if errors.As(err, &r) {
		return r.Fix
	}
	return otherwise
}

// ownNames returns a builder that finds tools whose names are taken, or look like one
// that is; the host's own are there first.
func ownNames() (policy.Builder, error) {
	var names policy.Builder
	for _, spec := range memoryTools() {
		if err := names.Add(entryOfSpec(spec)); err != nil {
			return names, err
		}
	}
	return names, nil
}

func entryOfSpec(s agent.Spec) policy.Entry {
	return policy.Entry{Ref: s.Ref, Digest: s.Digest, Descriptor: s.Descriptor, Schema: s.Tool.InputSchema}
}

func register(names *policy.Builder, f Found) error {
	if f.unfit != nil {
		return f.unfit
	}
	for _, spec := range f.tools {
		if err := names.Add(entryOfSpec(spec)); err != nil {
			return err
		}
	}
	return nil
}

// grade finds out which agents may use a skill.
func (v *surveyor) grade(s *standing) {
	name := s.Bundle.Name()
	grant, file, err := v.grants.Lookup(name)
	s.GrantFile, s.State, s.Hint = file, skillUngranted, "glovebox skill grant "+string(name)
	if err != nil {
		s.Why, s.Hint = err.Error(), "mend "+file
		return
	}
	if grant == nil {
		s.Why = "no grant file"
		return
	}
	for _, a := range v.settings.Agents {
		if !a.May(name) {
			s.note("agent " + string(a.Name) + " does not list this skill in the configuration")
			continue
		}
		rights, why, err := abi.Effective(&s.Bundle.Manifest.Manifest, grant, v.policy(name), abi.AgentID(a.Name), s.Admission.Proof(), v.now())
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

// specs describes the tools of a bundle to the dispatcher, without what runs them.
func specs(b *skills.Bundle) []agent.Spec {
	list := make([]agent.Spec, 0, len(b.Manifest.Tools))
	for _, t := range b.Manifest.Tools {
		ref := abi.ToolRef{Skill: b.Name(), Tool: t.Name}
		list = append(list, agent.Spec{Ref: ref, Digest: b.Digest, Descriptor: observed(b.Descriptor(t.Name), t, &b.Manifest.Manifest), Tool: t, About: b.Manifest.Manifest.Description})
	}
	return list
}
