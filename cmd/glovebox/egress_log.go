package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/spf13/cobra"
)

// egressEvent is what the record calls a request of a skill or a box.
const egressEvent audit.Event = "egress.request"

// pageSize is how many records are read at once.
const pageSize = 1000

func (a *app) egressLog() *cobra.Command {
	var n int
	var box, skill string
	var denied bool
	cmd := &cobra.Command{
		Use: "log", Short: "Show what skills and boxes asked for outside", Args: exactly(0),
		Long: `Show the last requests of skills and boxes, oldest first, from the audit log: what was
asked for, whether it went, which secrets the broker put in, and which it took out of
the answer. No value is shown, because none is recorded.`,
		Example: `  glovebox egress log
  glovebox egress log --denied --skill webpage`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 1 || n > pageSize {
				return usage(fmt.Sprintf("%d requests cannot be shown at once", n), "-n takes 1 to 1000")
			}
			return a.auditLog(cmd.Context(), func(r *audit.Reader) error {
				records, err := r.Tail(cmd.Context(), audit.Query{Limit: pageSize, Event: egressEvent})
				if err != nil {
					return err
				}
				records = slices.DeleteFunc(records, func(rec audit.Record) bool {
					return denied && rec.Verdict != "deny" || box != "" && rec.Detail["box"] != box ||
						skill != "" && rec.Actor != "skill:"+skill
				})
				records = records[max(0, len(records)-n):]
				if records == nil {
					records = []audit.Record{}
				}
				return a.show(map[string]any{"records": records}, func() {
					for _, rec := range records {
						fmt.Fprintln(a.out, egressLine(rec))
					}
				})
			})
		},
	}
	cmd.Flags().IntVarP(&n, "number", "n", 50, "how many `REQUESTS`, at most 1000")
	cmd.Flags().StringVar(&box, "box", "", "only those of the box with this `NAME`")
	cmd.Flags().StringVar(&skill, "skill", "", "only those of the skill with this `NAME`")
	cmd.Flags().BoolVar(&denied, "denied", false, "only those that were refused")
	return cmd
}

// egressLine shows one request on one line: who asked for what, and what came of it.
func egressLine(r audit.Record) string {
	d := r.Detail
	who := strings.TrimPrefix(r.Actor, "skill:")
	if d["box"] != "" {
		who += " (box " + d["box"] + ")"
	}
	parts := []string{r.Time.Local().Format("2006-01-02 15:04:05"), r.Verdict, who, d["method"], d["origin"] + d["path"]}
	add := func(name, value string) {
		if value != "" && value != "0" {
			parts = append(parts, name+"="+value)
		}
	}
	add("status", d["status"])
	add("sent", d["sent"])
	add("received", d["received"])
	var secrets []string
	for i := 0; d[fmt.Sprintf("secret.%d", i)] != ""; i++ {
		secrets = append(secrets, d[fmt.Sprintf("secret.%d", i)])
	}
	add("secrets", strings.Join(secrets, ","))
	add("taken-out", strings.ReplaceAll(d["redacted"], " ", ","))
	add("rule", r.Rule)
	add("why", d["problem"])
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return oneLine(strings.Join(parts, " "))
}
