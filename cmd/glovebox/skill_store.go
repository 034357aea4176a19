package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/install"
	"github.com/spf13/cobra"
)

// withStore runs f on the store of the state folder, for the skill that args name.
func (a *app) withStore(args []string, f func(*install.Store, abi.SkillName) error) error {
	name := abi.SkillName(args[0])
	if err := name.Check(); err != nil {
		return usage(err.Error(), "glovebox skill list")
	}
	state, err := a.openState()
	if err != nil {
		return err
	}
	store := install.OpenStore(state)
	if err := store.Recover(); err != nil {
		return err
	}
	if _, err := installed(store, name); err != nil {
		return err
	}
	return f(store, name)
}

func (a *app) skillPin(use string, pinned bool) *cobra.Command {
	short, done := "Keep an installed skill at its version", "%s stays at version %s\n"
	if !pinned {
		short, done = "Let a pinned skill be upgraded again", "%s is at version %s and can be upgraded\n"
	}
	return &cobra.Command{
		Use: use + " NAME", Short: short, Args: exactly(1), Example: "  glovebox skill " + use + " weather",
		RunE: func(_ *cobra.Command, args []string) error {
			return a.withStore(args, func(s *install.Store, name abi.SkillName) error {
				e, err := s.Pin(name, pinned)
				if err != nil {
					return err
				}
				return a.show(map[string]any{"skill": name, "version": e.Version, "pinned": pinned}, func() {
					fmt.Fprintf(a.out, done, name, e.Version)
				})
			})
		},
	}
}

func (a *app) skillRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Take an installed skill out of use", Args: exactly(1),
		Long: `Take an installed skill out of use, from the next message on; calls that run finish.
Its highest version is remembered, so that an older one does not come back as a new
one. Its grant stays, and holds for what was removed alone.`,
		Example: "  glovebox skill remove weather",
		RunE: func(_ *cobra.Command, args []string) error {
			return a.withStore(args, func(s *install.Store, name abi.SkillName) error {
				e, err := s.Remove(name)
				if err != nil {
					return err
				}
				return a.show(map[string]any{"skill": name, "version": e.Version, "removed": true}, func() {
					fmt.Fprintf(a.out, "removed %s %s\n", name, e.Version)
				})
			})
		},
	}
}

// whyView is what skill why --json prints.
type whyView struct {
	Entry     *install.Entry     `json:"installed"`
	Admission *install.Admission `json:"admission"`
	Refused   string             `json:"refused,omitempty"`
	Rights    []abi.Explanation  `json:"rights"`
	Grant     string             `json:"grant"`
}

func (a *app) skillWhy() *cobra.Command {
	return &cobra.Command{
		Use: "why NAME", Short: "Tell how an installed skill came to be, and what lets it run", Args: exactly(1),
		Long: `Tell how an installed skill came to be, and what lets it run: where it came from, who
signed it, what is known against it, and each right with the line of the grant.`,
		Example: "  glovebox skill why weather",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(args, func(s *install.Store, name abi.SkillName) error { return a.why(cmd.Context(), s, name) })
		},
	}
}

func (a *app) why(ctx context.Context, s *install.Store, name abi.SkillName) (err error) {
	cfg, err := a.hostConfig()
	if err != nil {
		return err
	}
	judge := host.OpenJudge(ctx, cfg)
	defer func() { err = errors.Join(err, judge.Close()) }()
	gate, known, err := judge.Gate()
	if err != nil {
		return err
	}
	e, err := installed(s, name)
	if err != nil {
		return err
	}
	b, err := skills.Open(s.Dir(e))
	if err != nil {
		return err
	}
	v := whyView{Entry: e, Rights: []abi.Explanation{}, Grant: s.GrantFile(name)}
	if _, v.Admission, err = gate.Load(ctx, b, e.Artifact, known); err != nil {
		v.Refused = err.Error()
	} else if v.Rights, err = a.explainRights(cfg, b, v.Admission); err != nil {
		return err
	}
	return a.show(v, func() { a.showWhy(v) })
}

func (a *app) explainRights(cfg host.Config, b *skills.Bundle, ad *install.Admission) ([]abi.Explanation, error) {
	_, grant, _, err := host.FindSkill(cfg, b.Name())
	if err != nil {
		return nil, err
	}
	agent := abi.AgentID(cfg.Settings.Agents[0].Name)
	if grant != nil && len(grant.Agents) > 0 {
		agent = grant.Agents[0]
	}
	_, why, err := abi.Effective(&b.Manifest.Manifest, grant, abi.GlobalPolicy{}, agent, ad.Proof(), time.Now())
	return why, err
}

func (a *app) showWhy(v whyView) {
	e := v.Entry
	fmt.Fprintf(a.out, "%s %s, installed %s from %s\n", e.Name, e.Version, e.Installed.Format(time.DateOnly), oneLine(e.Source))
	fmt.Fprintf(a.out, "artifact  %s\nmanifest  %s\n", e.Artifact, e.Manifest)
	if e.Pinned {
		fmt.Fprintf(a.out, "pinned    %s\n", "glovebox skill unpin "+string(e.Name)+" lets it be upgraded")
	}
	if v.Admission == nil {
		fmt.Fprintf(a.out, "refused   %s\n", oneLine(v.Refused))
		return
	}
	fmt.Fprintf(a.out, "signed by %s: %s, %s\n", v.Admission.Publisher, oneLine(v.Admission.Signer.String()), signedWhen(v.Admission.Signed))
	a.showContents(v.Admission)
	fmt.Fprintf(a.out, "grant     %s\n", v.Grant)
	for _, r := range v.Rights {
		word := map[bool]string{true: "granted", false: "not granted"}[r.Granted]
		fmt.Fprintln(a.out, "  "+oneLine(strings.TrimSpace(word+": "+r.Right+" "+r.Why+" "+r.Grant)))
	}
}
