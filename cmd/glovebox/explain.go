package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/glovebox-dev/glovebox/host"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/spf13/cobra"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain AUDIT-SEQ", Short: "Tell which rule decided about a call, why, and what would change it", Args: exactly(1),
		Example: "  glovebox explain 42",
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, err := strconv.ParseUint(args[0], 10, 63)
			if err != nil || seq == 0 {
				return usage(quote(args[0])+" is not the number of a record", "glovebox audit tail")
			}
			return a.auditLog(cmd.Context(), func(r *audit.Reader) error {
				x, err := host.Explain(cmd.Context(), r, seq)
				if errors.Is(err, host.ErrNoDecision) {
					return usage(err.Error(), "pick a record tool.intent, tool.asked or tool.denied: glovebox audit tail")
				}
				if err != nil {
					return err
				}
				return a.show(x, func() { a.explain(x) })
			})
		},
	}
}

// explain prints an explanation for people.
func (a *app) explain(x admin.Explanation) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(a.out, "%-9s %s\n", name, oneLine(fmt.Sprintf(format, args...)))
	}
	line("call", "%s by agent %s in session %q", x.Tool, x.Agent, x.Session)
	line("has seen", "%s", x.Context)
	if x.GateRule != "" {
		line("gate", "%s by %s: %s", x.Gate, x.GateRule, x.GateWhy)
	}
	for _, f := range x.Findings {
		line("value", "%s", f)
	}
	for _, f := range x.Flows {
		line("flow", "%s", f)
	}
	for _, l := range x.Links {
		line("link", "%s", l)
	}
	line("verdict", "%s by %s", x.Verdict, x.Rule)
	if x.Why != "" {
		line("why", "%s", x.Why)
	}
	if x.Outcome != "" {
		line("outcome", "%s", x.Outcome)
	}
	for _, c := range x.Changes {
		line("changes", "%s", c)
	}
	for _, r := range x.Records {
		line("record", "%d %s", r.Seq, r.Event)
	}
}
