package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/spf13/cobra"
)

func (a *app) egressCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "egress",
		Short: "Open private addresses to skills, and see what went out",
		Long: `Private and loopback addresses are closed to all skills. An origin that is opened
here can be reached by the skills that --skill names and whose grants admit it, from
the next call on; it grants nothing by itself. --any-skill opens it to all of them,
those of tomorrow too. Link-local addresses and cloud metadata stay closed.`,
		Example: `  glovebox egress allow http://127.0.0.1:8080 --skill webpage
  glovebox egress rm http://127.0.0.1:8080
  glovebox egress log`,
	}
	cmd.AddCommand(a.egressSet("allow", "Open one origin", true), a.egressSet("rm", "Close one origin again", false), a.egressList(), a.egressLog())
	return group(cmd)
}

func (a *app) egressSet(verb, short string, allow bool) *cobra.Command {
	var names []string
	var anySkill bool
	cmd := &cobra.Command{
		Use: verb + " ORIGIN", Short: short, Args: exactly(1),
		Example: "  glovebox egress " + verb + " http://127.0.0.1:8080 --skill webpage",
		RunE: func(_ *cobra.Command, args []string) error {
			origin, err := abi.ParseOrigin(args[0])
			if err != nil {
				return usage(err.Error(), "an origin is scheme://host[:port], such as http://127.0.0.1:8080")
			}
			if err := broker.CheckOpen(origin); allow && err != nil {
				return refused(err.Error(), "egress/special-purpose", "")
			}
			refs, err := consumers(origin, names, anySkill, allow)
			if err != nil {
				return err
			}
			state, err := a.openState()
			if err != nil {
				return err
			}
			changed, err := state.SetPrivateOrigin(origin, allow, refs...)
			if err != nil {
				return err
			}
			return a.show(map[string]any{"origin": origin, "skills": refs, "allowed": allow, "changed": changed}, func() {
				word := map[bool]string{true: "open", false: "closed"}[allow]
				if !changed {
					word = "already " + word
				}
				fmt.Fprintf(a.out, "%s %s to %s\n", origin, word, skillList(refs))
			})
		},
	}
	cmd.Flags().StringArrayVar(&names, "skill", nil, "`NAME` of a skill that may reach it; may be repeated")
	if allow {
		cmd.Flags().BoolVar(&anySkill, "any-skill", false, "open it to each skill whose grant admits it")
	}
	return cmd
}

// consumers are the skills that the flags name. Nothing is opened to all by leaving
// them out.
func consumers(origin abi.Origin, names []string, anySkill, allow bool) ([]config.SkillRef, error) {
	refs := []config.SkillRef{}
	for _, n := range names {
		if err := abi.SkillName(n).Check(); err != nil {
			return nil, usage(err.Error(), "")
		}
		refs = append(refs, config.SkillRef(n))
	}
	how := "glovebox egress allow " + config.ShellQuote(string(origin)) + " --skill NAME"
	switch {
	case anySkill && len(refs) > 0:
		return nil, usage("--skill and --any-skill do not go together", how)
	case anySkill:
		return []config.SkillRef{config.AllSkills}, nil
	case allow && len(refs) == 0:
		return nil, usage("which skill may reach "+string(origin)+"? The refusal names it; --any-skill means all of them", how)
	}
	return refs, nil
}

// skillList is for people.
func skillList(refs []config.SkillRef) string {
	if len(refs) == 0 || slices.Contains(refs, config.AllSkills) {
		return "any skill"
	}
	var b strings.Builder
	for i, r := range refs {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(r))
	}
	return b.String()
}

// egressOrigin is one line of egress list.
type egressOrigin struct {
	config.PrivateOrigin
	From string `json:"from"` // the file that opens it
}

func (a *app) egressList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the open private origins", Args: exactly(0),
		Example: "  glovebox egress list",
		RunE: func(*cobra.Command, []string) error {
			state, err := a.openState()
			if err != nil {
				return err
			}
			list, err := a.openOrigins(state)
			if err != nil {
				return err
			}
			return a.show(map[string]any{"private": list}, func() {
				for _, o := range list {
					fmt.Fprintf(a.out, "%s\t%s\t%s\n", o.Origin, skillList(o.Skills), o.From)
				}
			})
		},
	}
}

func (a *app) openOrigins(state *config.State) ([]egressOrigin, error) {
	cfg, err := a.settings(state)
	if err != nil {
		return nil, err
	}
	list := []egressOrigin{}
	for _, o := range cfg.Egress.Private {
		list = append(list, egressOrigin{o, cfg.File})
	}
	own, err := state.PrivateOrigins()
	if err != nil {
		return nil, err
	}
	for _, o := range own {
		list = append(list, egressOrigin{o, state.EgressFile()})
	}
	return list, nil
}
