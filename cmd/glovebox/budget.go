package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/spf13/cobra"
)

func (a *app) budgetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "budget [AGENT]", Short: "Show what the agents may spend and have spent", Args: between(0, 1),
		Long: `Show what the agents may spend and have spent in this hour and this day, UTC. The
limits are hard: what does not fit does not happen. The last column is the key of the
configuration that changes a limit.`,
		Example: "  glovebox budget main",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			path := "/api/budgets"
			if len(args) == 1 {
				path += "?agent=" + url.QueryEscape(args[0])
			}
			var answer struct {
				Budgets []admin.Budget `json:"budgets"`
			}
			if err := c.call(cmd.Context(), http.MethodGet, path, nil, &answer); err != nil {
				return err
			}
			return a.show(answer, func() {
				for _, b := range answer.Budgets {
					name := b.Agent
					if b.Parent != "" {
						name += " (works for " + b.Parent + ")"
					}
					fmt.Fprintln(a.out, oneLine(name))
					for _, l := range b.Limits {
						fmt.Fprintf(a.out, "  %-6s per %-4s  %12s of %-12s left, resets %s  %s\n", l.Resource, l.Window,
							spending(l.Resource, l.Left), spending(l.Resource, l.Max), l.Resets.Local().Format("15:04"), oneLine(l.Key))
					}
				}
			})
		},
	}
}

// spending shows an amount as it is written in the configuration.
func spending(resource string, n int64) string {
	switch {
	case resource == "money":
		s := strings.TrimRight(fmt.Sprintf("%d.%06d", n/1_000_000, n%1_000_000), "0")
		return strings.TrimSuffix(s, ".")
	case resource == "egress" && n >= abi.MiB:
		return fmt.Sprintf("%.1fMiB", float64(n)/abi.MiB)
	case resource == "egress":
		return fmt.Sprintf("%dB", n)
	}
	return strconv.FormatInt(n, 10)
}
