package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/spf13/cobra"
)

func (a *app) auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "audit", Short: "Read and verify the audit log",
		Example: `  glovebox audit tail
  glovebox audit verify`,
	}
	cmd.AddCommand(a.auditTail(), a.auditVerify())
	return group(cmd)
}

// auditLog opens the log for reading; a daemon may be writing it.
func (a *app) auditLog(ctx context.Context, use func(*audit.Reader) error) error {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	state, err := config.FindState(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		_, err = os.Stat(state.Audit())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &failure{code: exitUsage, what: "there is no audit log in " + dir, hint: "glovebox up"}
	}
	if err != nil {
		return fmt.Errorf("open the audit log: %w", err)
	}
	r, err := audit.OpenReader(ctx, audit.Config{Path: state.Audit(), KeyPath: state.Key("audit")})
	if err != nil {
		return err
	}
	return errors.Join(use(r), r.Close())
}

func (a *app) auditTail() *cobra.Command {
	var n int
	var after uint64
	cmd := &cobra.Command{
		Use: "tail", Short: "Print the last records, oldest first", Args: exactly(0),
		Example: "  glovebox audit tail -n 20",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 1 || n > 1000 {
				return usage(fmt.Sprintf("%d records cannot be shown at once", n), "-n takes 1 to 1000")
			}
			return a.auditLog(cmd.Context(), func(r *audit.Reader) error {
				records, err := r.Tail(cmd.Context(), audit.Query{After: after, Limit: n})
				if err != nil {
					return err
				}
				if records == nil {
					records = []audit.Record{}
				}
				return a.show(map[string]any{"records": records}, func() {
					for _, rec := range records {
						fmt.Fprintln(a.out, recordLine(rec))
					}
				})
			})
		},
	}
	cmd.Flags().IntVarP(&n, "number", "n", 20, "how many `RECORDS`, at most 1000")
	cmd.Flags().Uint64Var(&after, "after", 0, "only records after the one with this `NUMBER`")
	return cmd
}

// recordLine shows one record on one line.
func recordLine(r audit.Record) string {
	parts := []string{fmt.Sprint(r.Seq), r.Time.Local().Format("2006-01-02 15:04:05"), string(r.Event)}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	add("agent", string(r.Agent))
	add("tool", r.Tool)
	add("verdict", r.Verdict)
	add("rule", r.Rule)
	add("outcome", r.Outcome)
	add("approval", r.Approval)
	if len(r.Detail) > 0 {
		if b, err := json.Marshal(r.Detail); err == nil {
			add("detail", string(b))
		}
	}
	return oneLine(strings.Join(parts, " "))
}

func (a *app) auditVerify() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use: "verify", Short: "Walk the chain and check every signature", Args: exactly(0),
		Long: `Walk the chain and check every signature. Exit codes: 0 intact, 1 broken, 2 not
verifiable (no checkpoint yet, or signed with a key that is not known). A checkpoint
that was kept elsewhere (the field checkpoint of --json) shows with --from that the
log was not exchanged for another.`,
		Example: "  glovebox audit verify",
		RunE: func(cmd *cobra.Command, _ []string) error {
			start, err := a.checkpoint(from)
			if err != nil {
				return err
			}
			return a.auditLog(cmd.Context(), func(r *audit.Reader) error {
				report, err := r.Verify(cmd.Context(), start)
				if err != nil {
					return err
				}
				if err := a.show(report, func() {
					fmt.Fprintf(a.out, "%s: %d records, %d checkpoints, %d records after the last one\n", report.State, report.Count, report.Checkpoints, report.Unsigned)
				}); err != nil || report.State == audit.Intact {
					return err
				}
				what := "the audit log is " + report.State.String() + ": " + report.Why
				if report.FirstBad > 0 {
					what += fmt.Sprintf(" (first bad record: %d)", report.FirstBad)
				}
				return &failure{code: report.State.ExitCode(), what: what, rule: "audit/" + report.State.String()}
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "`FILE` with a checkpoint to start from")
	return cmd
}

func (a *app) checkpoint(file string) (*audit.Checkpoint, error) {
	if file == "" {
		return nil, nil
	}
	b, err := config.ReadOwned(file, 1<<20)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	var c audit.Checkpoint
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, usage("checkpoint "+quote(file)+": "+err.Error(), "")
	}
	return &c, nil
}
