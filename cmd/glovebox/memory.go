package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/approval"
	"github.com/spf13/cobra"
)

// memoryFlags say whose memory.
type memoryFlags struct {
	agent string
	n     int
}

func (a *app) memoryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "memory", Short: "See, forget and promote what an agent remembers",
		Long: `See, forget and promote what an agent remembers. A row has the trust of the
conversation that it was written in: of one that had seen text of strangers, it is
external, is recalled only on request and endorses nothing.`,
		Example: "  glovebox memory list\n  glovebox memory search dentist\n  glovebox memory show 12",
	}
	cmd.AddCommand(a.memoryList(), a.memorySearch(), a.memoryShow(), a.memoryForget(), a.memoryPromote())
	return group(cmd)
}

func (f *memoryFlags) register(cmd *cobra.Command, rows bool) *cobra.Command {
	cmd.Flags().StringVar(&f.agent, "agent", "", "`NAME` of the agent (default: the first of the configuration)")
	if rows {
		cmd.Flags().IntVarP(&f.n, "number", "n", 50, "how many `ROWS`, at most 1000")
	}
	return cmd
}

func (a *app) memoryList() *cobra.Command {
	var f memoryFlags
	var before int64
	cmd := f.register(&cobra.Command{
		Use: "list", Short: "List what was remembered, the newest first", Args: exactly(0),
		Example: "  glovebox memory list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			if before > 0 {
				q.Set("before", strconv.FormatInt(before, 10))
			}
			return a.memoryRows(cmd.Context(), f, q)
		},
	}, true)
	cmd.Flags().Int64Var(&before, "before", 0, "only rows older than the one with this `NUMBER`")
	return cmd
}

func (a *app) memorySearch() *cobra.Command {
	var f memoryFlags
	return f.register(&cobra.Command{
		Use: "search WORDS", Short: "Find rows by words, whoever wrote them", Args: between(1, 64),
		Example: "  glovebox memory search dentist",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.memoryRows(cmd.Context(), f, url.Values{"q": {strings.Join(args, " ")}})
		},
	}, true)
}

func (a *app) memoryRows(ctx context.Context, f memoryFlags, q url.Values) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	q.Set("agent", f.agent)
	q.Set("n", strconv.Itoa(f.n))
	var list struct {
		Rows []admin.MemoryRow `json:"rows"`
	}
	if err := c.call(ctx, http.MethodGet, "/api/memory?"+q.Encode(), nil, &list); err != nil {
		return err
	}
	return a.show(list, func() {
		for _, r := range list.Rows {
			fmt.Fprintln(a.out, oneLine(fmt.Sprintf("%d  %s  %s  %s", r.ID, r.At.Local().Format("2006-01-02 15:04"), r.Trust, r.Text)))
		}
		if len(list.Rows) == 0 {
			a.say("nothing is remembered")
		}
	})
}

// rowPath is the address of one row.
func rowPath(id, agent string) (string, error) {
	if n, err := strconv.ParseInt(id, 10, 64); err != nil || n < 1 {
		return "", usage(quote(id)+" is not the number of a row", "glovebox memory list")
	}
	return "/api/memory/" + id + "?agent=" + url.QueryEscape(agent), nil
}

func (a *app) memoryShow() *cobra.Command {
	var f memoryFlags
	return f.register(&cobra.Command{
		Use: "show ID", Short: "Show one row in full: its text, its trust and where it comes from", Args: exactly(1),
		Example: "  glovebox memory show 12",
		RunE: func(cmd *cobra.Command, args []string) error {
			_, _, row, err := a.row(cmd.Context(), args[0], f.agent)
			if err != nil {
				return err
			}
			return a.show(row, func() { fmt.Fprint(a.out, rowText(row)) })
		},
	}, false)
}

// row fetches one row.
func (a *app) row(ctx context.Context, id, agent string) (*client, string, admin.MemoryRow, error) {
	var row admin.MemoryRow
	path, err := rowPath(id, agent)
	if err != nil {
		return nil, "", row, err
	}
	c, err := a.connect()
	if err != nil {
		return nil, "", row, err
	}
	return c, path, row, c.call(ctx, http.MethodGet, path, nil, &row)
}

// rowText shows all of a row, hidden characters too; nothing is cut.
func rowText(r admin.MemoryRow) string {
	return fmt.Sprintf("row     %d of agent %s, %s\ntrust   %s\nfrom    %s, %s\ndigest  %s\ntext    %s\n", r.ID, oneLine(r.Agent), oneLine(r.Kind),
		oneLine(r.Label), oneLine(r.Origin), r.At.Local().Format("2006-01-02 15:04:05"), oneLine(r.Digest), approval.Visible(r.Text))
}

func (a *app) memoryForget() *cobra.Command {
	var f memoryFlags
	return f.register(&cobra.Command{
		Use: "forget ID", Short: "Remove one row for good", Args: exactly(1),
		Example: "  glovebox memory forget 12",
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := rowPath(args[0], f.agent)
			if err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			var done map[string]any
			if err := c.call(cmd.Context(), http.MethodDelete, path, nil, &done); err != nil {
				return err
			}
			return a.show(done, func() { fmt.Fprintln(a.out, args[0], "forgotten") })
		},
	}, false)
}

func (a *app) memoryPromote() *cobra.Command {
	var f memoryFlags
	var digest string
	cmd := f.register(&cobra.Command{
		Use: "promote ID", Short: "Trust one row as the owner's own word, after seeing it in full", Args: exactly(1),
		Long: `Trust one row as the owner's own word, after seeing it in full. It is then recalled
by default, and what it names may be endorsed by it. At a terminal the row is shown
and asked about; elsewhere --digest names what "memory show" has shown.`,
		Example: "  glovebox memory promote 12",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, path, row, err := a.row(cmd.Context(), args[0], f.agent)
			if err != nil {
				return err
			}
			if digest == "" {
				if err := a.confirm(row); err != nil {
					return err
				}
				digest = row.Digest
			}
			var done map[string]any
			if err := c.call(cmd.Context(), http.MethodPost, path, admin.Promotion{Digest: digest}, &done); err != nil {
				return err
			}
			return a.show(done, func() { fmt.Fprintln(a.out, args[0], "promoted") })
		},
	}, false)
	cmd.Flags().StringVar(&digest, "digest", "", "`DIGEST` of the row as it was shown")
	return cmd
}

// confirm shows the row to the person at the terminal and asks for a yes.
func (a *app) confirm(row admin.MemoryRow) error {
	if !a.terminal {
		return usage("nobody can be asked here", fmt.Sprintf("glovebox memory show %d, then glovebox memory promote %d --digest %s", row.ID, row.ID, row.Digest))
	}
	fmt.Fprint(a.err, rowText(row))
	fmt.Fprint(a.err, "trust this as the owner's own word? [y/N] ")
	lines := bufio.NewScanner(a.in)
	if lines.Scan() {
		switch strings.ToLower(strings.TrimSpace(lines.Text())) {
		case "y", "yes":
			return nil
		}
	}
	return failed("nothing was promoted", "")
}
