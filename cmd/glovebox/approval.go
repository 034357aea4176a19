package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/approval"
	"github.com/spf13/cobra"
)

func (a *app) approvalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "approval", Aliases: []string{"approvals"}, Short: "See and answer the calls that wait for a person",
		Example: "  glovebox approval list\n  glovebox approval show k3f7qxw2m5abcdeh\n  glovebox approval approve k3f7qxw2m5abcdeh",
	}
	cmd.AddCommand(a.approvalListCommand(), a.approvalShowCommand(), a.approveCommand(), a.denyCommand(), a.approvalEndorseCommand(), a.endorsementsCommand(), a.revokeCommand(), a.markedCommand(), a.clearCommand())
	return group(cmd)
}

// approveCommand and denyCommand are the same verbs at the top, where daily ones are.
func (a *app) approveCommand() *cobra.Command {
	return a.decideCommand("approve", "Let a waiting call run, once and exactly as shown")
}

func (a *app) denyCommand() *cobra.Command {
	return a.decideCommand("deny", "Refuse a waiting call")
}

func (a *app) decideCommand(verb, short string) *cobra.Command {
	var answer string
	cmd := &cobra.Command{
		Use: verb + " [ID]", Short: short, Args: between(0, 1),
		Long: short + ".\nWithout an ID the calls and questions that wait are listed.",
		Example: "  glovebox " + verb + "                     # list what waits\n" +
			"  glovebox " + verb + " k3f7qxw2m5abcdeh    # answer one",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return a.waiting(cmd.Context(), c, 0)
			}
			return a.decide(cmd.Context(), c, args[0], admin.Decision{Decision: verb, Answer: answer})
		},
	}
	if verb == admin.Approve {
		cmd.Flags().StringVar(&answer, "answer", "", "`TEXT` that answers a skill's question")
	}
	return cmd
}

// decide sends one answer.
func (a *app) decide(ctx context.Context, c *client, id string, d admin.Decision) error {
	if err := checkID(id); err != nil {
		return err
	}
	var done map[string]string
	if err := c.call(ctx, http.MethodPost, "/api/approvals/"+id, d, &done); err != nil {
		return err
	}
	return a.show(done, func() {
		fmt.Fprintln(a.out, id, map[string]string{admin.Approve: "approved", admin.Deny: "denied", admin.Endorse: "endorsed: the gate judges the call again"}[d.Decision])
	})
}

func checkID(id string) error {
	if id == "" || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return usage("approval "+quote(id)+" is not an id", "list them with \"glovebox approval list\"")
	}
	return nil
}

func (a *app) approvalListCommand() *cobra.Command {
	var past int
	cmd := &cobra.Command{
		Use: "list", Short: "List what waits for an answer", Args: exactly(0),
		Example: "  glovebox approval list\n  glovebox approval list --past 20    # and the last that were decided",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			return a.waiting(cmd.Context(), c, past)
		},
	}
	cmd.Flags().IntVar(&past, "past", 0, "also the last `N` that were decided")
	return cmd
}

func (a *app) waiting(ctx context.Context, c *client, past int) error {
	var list struct {
		Approvals []admin.Approval `json:"approvals"`
	}
	path := "/api/approvals"
	if past > 0 {
		path += "?past=" + strconv.Itoa(past)
	}
	if err := c.call(ctx, http.MethodGet, path, nil, &list); err != nil {
		return err
	}
	return a.show(list, func() {
		for _, p := range list.Approvals {
			state := ""
			if p.Card != nil && p.Card.State != approval.Pending {
				state = string(p.Card.State) + "  "
			}
			fmt.Fprintln(a.out, oneLine(fmt.Sprintf("%s  %s%s  %s  %s %s %s  until %s", p.ID, state, p.Agent, p.Kind, p.Tool, p.Arguments, p.Question, p.Expires.Local().Format("15:04:05"))))
		}
		if len(list.Approvals) == 0 {
			a.say("no call waits for an answer")
		} else {
			a.say("hint: glovebox approval show %s", list.Approvals[0].ID)
		}
	})
}

func (a *app) approvalShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show all of one call: what would run, why it asks, what would flow to whom", Args: exactly(1),
		Example: "  glovebox approval show k3f7qxw2m5abcdeh",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkID(args[0]); err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			var ask admin.Approval
			if err := c.call(cmd.Context(), http.MethodGet, "/api/approvals/"+args[0], nil, &ask); err != nil {
				return err
			}
			return a.show(ask, func() {
				if ask.Card == nil {
					fmt.Fprintln(a.out, oneLine(fmt.Sprintf("question of %s: %s %s", ask.Tool, ask.Question, strings.Join(ask.Choices, " | "))))
					a.say("hint: glovebox approve %s --answer TEXT", ask.ID)
				}
				a.card(a.out, ask)
			})
		},
	}
}

// card prints the whole card of a call, line by line.
func (a *app) card(w io.Writer, ask admin.Approval) {
	if ask.Card == nil {
		return
	}
	for l := range strings.Lines(ask.Card.Text) {
		fmt.Fprintln(w, oneLine(strings.TrimSuffix(l, "\n")))
	}
}

func (a *app) approvalEndorseCommand() *cobra.Command {
	d := admin.Decision{Decision: admin.Endorse}
	cmd := &cobra.Command{
		Use: "endorse ID", Short: "Vouch for one value of a waiting call, instead of the call", Args: exactly(1),
		Long: `Vouch for one value of a waiting call: the gate judges the call again with it, and
applies all its other rules. For a session the value holds for that argument of that
version of the tool until the session ends; amounts and commands hold once only.`,
		Example: "  glovebox approval endorse k3f7qxw2m5abcdeh --argument recipient --for session",
		RunE: func(cmd *cobra.Command, args []string) error {
			if d.Argument == "" || d.For == "" {
				return usage("endorse needs --argument and --for", "usage: "+cmd.UseLine()+" --argument NAME --for once|session")
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			return a.decide(cmd.Context(), c, args[0], d)
		},
	}
	cmd.Flags().StringVar(&d.Argument, "argument", "", "`NAME` of the argument")
	cmd.Flags().StringVar(&d.Value, "value", "", "`TEXT` of the value, where the argument holds several")
	cmd.Flags().StringVar(&d.For, "for", "", "`once` or session")
	return cmd
}

func (a *app) endorsementsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "endorsements", Short: "List the values that are vouched for", Args: exactly(0),
		Example: "  glovebox approval endorsements",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			var list struct {
				Endorsements []approval.Endorsement `json:"endorsements"`
			}
			if err := c.call(cmd.Context(), http.MethodGet, "/api/endorsements", nil, &list); err != nil {
				return err
			}
			return a.show(list, func() {
				for _, e := range list.Endorsements {
					fmt.Fprintln(a.out, oneLine(fmt.Sprintf("%s  %s  %s %s=%s  %s, session %s, by %s, until %s", e.ID, e.Agent, e.Tool, e.Arg, e.Shown, e.Scope, e.Session, e.By, e.Expires.Local().Format("2006-01-02 15:04"))))
				}
				if len(list.Endorsements) == 0 {
					a.say("no value is vouched for")
				}
			})
		},
	}
}

func (a *app) revokeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "End an endorsement before its time", Args: exactly(1),
		Example: "  glovebox approval revoke k3f7qxw2m5abcdeh",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkID(args[0]); err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			var done map[string]string
			if err := c.call(cmd.Context(), http.MethodDelete, "/api/endorsements/"+args[0], nil, &done); err != nil {
				return err
			}
			return a.show(done, func() { fmt.Fprintln(a.out, args[0], "revoked") })
		},
	}
}
