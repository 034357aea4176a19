package main

import (
	"fmt"
	"net/http"

	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/spf13/cobra"
)

func (a *app) markedCommand() *cobra.Command {
	return &cobra.Command{
		Use: "marked", Short: "List the conversations in which every call asks, because a secret was met", Args: exactly(0),
		Example: "  glovebox approval marked",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			var list struct {
				Conversations []admin.Conversation `json:"conversations"`
			}
			if err := c.call(cmd.Context(), http.MethodGet, "/api/conversations", nil, &list); err != nil {
				return err
			}
			return a.show(list, func() {
				for _, m := range list.Conversations {
					fmt.Fprintln(a.out, oneLine(fmt.Sprintf("%s  %s  %s in %s (%s, %s)", m.Agent, m.Session, m.Secret, m.Sink, m.Form, m.Rule)))
				}
				if len(list.Conversations) == 0 {
					a.say("no conversation is marked")
				} else {
					a.say("hint: glovebox approval clear %s %s", list.Conversations[0].Agent, list.Conversations[0].Session)
				}
			})
		},
	}
}

func (a *app) clearCommand() *cobra.Command {
	return &cobra.Command{
		Use: "clear AGENT SESSION", Short: "Take the mark of a met secret from a conversation", Args: exactly(2),
		Example: "  glovebox approval clear main 3fk2q",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			var done map[string]string
			if err := c.call(cmd.Context(), http.MethodPost, "/api/conversations/clear", admin.Conversation{Agent: args[0], Session: args[1]}, &done); err != nil {
				return err
			}
			return a.show(done, func() { fmt.Fprintln(a.out, args[0], args[1], "cleared") })
		},
	}
}
