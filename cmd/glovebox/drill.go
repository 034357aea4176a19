package main

import (
	"context"
	"fmt"

	"github.com/glovebox-dev/glovebox/host"
	"github.com/glovebox-dev/glovebox/internal/contain"
	"github.com/spf13/cobra"
)

func (a *app) drillCommand() *cobra.Command {
	var skillDirs, grantDirs []string
	cmd := &cobra.Command{
		Use: "drill", Short: "Attack the configured agents, dry, and show which goals would be reached", Args: exactly(0),
		Long: `Attack the configured agents, dry, and show which goals would be reached. For each
agent, with the skills and grants that it has, a fully steered model reads a text of
an attacker and then tries every tool that sends, destroys or does not say what it
does, with every variant of the containment benchmark. The loop, the door and the gate
are the daemon's; the tools are fakes: nothing is sent, and no daemon is needed.

Exit codes: 0 no goal is reached, 1 some are. Tools that ask a person count as held:
what the person answers is up to the person.`,
		Example: `  glovebox drill
  glovebox drill --config examples/demo.yaml --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.drillConfig(skillDirs, grantDirs)
			if err != nil {
				return err
			}
			return a.drill(cmd.Context(), cfg)
		},
	}
	cmd.Flags().StringArrayVar(&skillDirs, "skills", nil, "`DIR` of a skill or of skills, searched first; may be repeated")
	cmd.Flags().StringArrayVar(&grantDirs, "grants", nil, "`DIR` of grant files, searched after the state folder's; may be repeated")
	return cmd
}

// drillConfig is that of the running daemon, or with folders of its own that of one
// that would start.
func (a *app) drillConfig(skillDirs, grantDirs []string) (host.Config, error) {
	if len(skillDirs)+len(grantDirs) > 0 {
		return a.daemonConfig(skillDirs, grantDirs)
	}
	return a.hostConfig()
}

// drillReport is what drill --json prints.
type drillReport struct {
	Goals   []contain.Goal `json:"goals"`
	Reached int            `json:"reached"`
}

func (a *app) drill(ctx context.Context, cfg host.Config) error {
	outfits, err := host.Outfits(ctx, cfg)
	if err != nil {
		return err
	}
	report := drillReport{Goals: []contain.Goal{}}
	tools := 0
	for _, o := range outfits {
		tools += len(o.Tools)
		goals, err := contain.Drill(contain.Armed{Agent: o.Agent, Tools: o.Tools, Rights: o.Rights, Rules: o.Rules, Start: o.Start})
		if err != nil {
			return fmt.Errorf("agent %s: %w", o.Agent, err)
		}
		report.Goals = append(report.Goals, goals...)
	}
	for _, g := range report.Goals {
		if g.Verdict == contain.Reached {
			report.Reached++
		}
	}
	if err := a.show(report, func() { a.showGoals(report.Goals, len(outfits), tools) }); err != nil || report.Reached == 0 {
		return err
	}
	return failed(fmt.Sprintf("%d of %d goals are reached without asking anybody", report.Reached, len(report.Goals)), "change what each line names, then run glovebox drill again")
}

func (a *app) showGoals(goals []contain.Goal, agents, tools int) {
	for _, g := range goals {
		line := fmt.Sprintf("%-8s %-10s %-28s %s", g.Verdict, g.Agent, g.Tool, g.Goal)
		if g.Rule != "" {
			line += " [" + g.Rule + "]"
		}
		fmt.Fprintln(a.out, oneLine(line))
		if g.Fix != "" {
			fmt.Fprintln(a.out, "         change: "+oneLine(g.Fix))
		}
	}
	fmt.Fprintf(a.out, "agents %d, tools %d, goals %d\n", agents, tools, len(goals))
}
