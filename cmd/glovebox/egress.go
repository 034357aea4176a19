package main

import (
	"fmt"
	"slices"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/spf13/cobra"
)

func (a *app) egressCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "egress",
		Short: "Open private addresses to skills whose grants name them",
		Long: `Private and loopback addresses are closed to all skills. An origin that is opened
here can be reached by the skills whose grants admit it, from the next call on; it
grants nothing by itself. Link-local addresses and cloud metadata stay closed.`,
		Example: `  glovebox egress allow http://127.0.0.1:8080`,
	}
	cmd.AddCommand(a.egressSet("allow", "Open one origin", true), a.egressSet("rm", "Close one origin again", false), a.egressList())
	return group(cmd)
}

func (a *app) egressSet(verb, short string, allow bool) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ORIGIN", Short: short, Args: exactly(1),
		Example: "  glovebox egress " + verb + " http://127.0.0.1:8080",
		RunE: func(_ *cobra.Command, args []string) error {
			origin, err := abi.ParseOrigin(args[0])
			if err != nil {
				return usage(err.Error(), "an origin is scheme://host[:port], such as http://127.0.0.1:8080")
			}
			if err := broker.CheckOpen(origin); allow && err != nil {
				return refused(err.Error(), "egress/special-purpose", "")
			}
			state, err := a.openState()
			if err != nil {
				return err
			}
			changed, err := state.SetPrivateOrigin(origin, allow)
			if err != nil {
				return err
			}
			return a.show(map[string]any{"origin": origin, "allowed": allow, "changed": changed}, func() {
				word := map[bool]string{true: "open", false: "closed"}[allow]
				if !changed {
					word = "already " + word
				}
				fmt.Fprintf(a.out, "%s %s\n", origin, word)
			})
		},
	}
}

// egressOrigin is one line of egress list.
type egressOrigin struct {
	Origin abi.Origin `json:"origin"`
	From   string     `json:"from"` // the file that opens it
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
					fmt.Fprintf(a.out, "%s\t%s\n", o.Origin, o.From)
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
		if !slices.ContainsFunc(list, func(e egressOrigin) bool { return e.Origin == o }) {
			list = append(list, egressOrigin{o, state.EgressFile()})
		}
	}
	return list, nil
}
