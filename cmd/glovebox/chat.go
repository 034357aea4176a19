package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/approval"
	"github.com/spf13/cobra"
)

func (a *app) chatCommand() *cobra.Command {
	var req admin.ChatRequest
	cmd := &cobra.Command{
		Use:   "chat [MESSAGE | -]",
		Short: "Say something to an agent, or talk to it line by line",
		Long: `Say something to an agent. The reply goes to stdout; the tool calls, what was
denied and the numbers of the audit records go to stderr. With - the message is
read from stdin; without a message, lines are read until the end of the input.`,
		Example: `  glovebox chat "what is 3*(4+5)?"
  echo "what is 2^10?" | glovebox chat -`,
		Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			switch {
			case len(args) == 0:
				return a.repl(cmd.Context(), c, req)
			case args[0] == "-":
				b, err := io.ReadAll(io.LimitReader(a.in, abi.MiB))
				if err != nil {
					return fmt.Errorf("read the message: %w", err)
				}
				req.Message = string(b)
			default:
				req.Message = args[0]
			}
			_, err = a.message(cmd.Context(), c, req, bufio.NewScanner(a.in))
			return err
		},
	}
	cmd.Flags().StringVar(&req.Agent, "agent", "", "agent (default: the first of the configuration)")
	cmd.Flags().StringVar(&req.Session, "session", "", "conversation to continue (default: a new one)")
	return cmd
}

// repl reads one message per line; the session continues.
func (a *app) repl(ctx context.Context, c *client, req admin.ChatRequest) error {
	lines := bufio.NewScanner(a.in)
	lines.Buffer(nil, abi.MiB)
	prompt := func() {
		if a.terminal {
			fmt.Fprint(a.err, "> ")
		}
	}
	for prompt(); lines.Scan(); prompt() {
		req.Message = strings.TrimSpace(lines.Text())
		if req.Message == "" {
			continue
		}
		if req.Message == "/quit" || req.Message == "/exit" {
			return nil
		}
		reply, err := a.message(ctx, c, req, lines)
		var f *failure
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &f) && f.code == exitUnreachable:
			return err
		case err != nil:
			a.report(err) // the conversation goes on
		default:
			req.Session = reply.Session
		}
	}
	return lines.Err()
}

// message sends one message and shows what comes back. A person's answers come from
// lines.
func (a *app) message(ctx context.Context, c *client, req admin.ChatRequest, lines *bufio.Scanner) (admin.ChatReply, error) {
	reply, err := c.chat(ctx, req, func(event string, data []byte) {
		switch event {
		case "call":
			var call admin.Call
			if json.Unmarshal(data, &call) == nil {
				a.showCall(call)
			}
		case "approval":
			var ask admin.Approval
			if json.Unmarshal(data, &ask) == nil {
				a.answer(ctx, c, ask, lines)
			}
		}
	})
	if err != nil {
		return reply, err
	}
	return reply, a.show(reply, func() {
		for _, note := range reply.Notes {
			a.say("note: %s", note)
		}
		if reply.Audit.To > 0 {
			a.say("audit: records %d to %d, session %s", reply.Audit.From, reply.Audit.To, reply.Session)
		}
		fmt.Fprintln(a.out, printable(reply.Reply))
	})
}

func (a *app) showCall(call admin.Call) {
	if a.json {
		return // all of it is in the reply
	}
	a.say("call: %s %s (%s) → %s, %.1f ms", call.Tool, clip(string(call.Arguments), 200), call.Class, call.Outcome, call.DurationMS)
	for _, d := range call.Denials {
		rule := ""
		if d.Rule != "" {
			rule = " (rule " + d.Rule + ")"
		}
		a.say("denied: %s%s", d.Message, rule)
		if d.Hint != "" {
			a.say("hint: %s", d.Hint)
		}
	}
}

// answer puts an approval to the person at the terminal; elsewhere it says which
// command answers it.
func (a *app) answer(ctx context.Context, c *client, ask admin.Approval, lines *bufio.Scanner) {
	d := admin.Decision{Decision: admin.Deny}
	if ask.Kind == "question" {
		a.say("question %s of %s: %s %s", ask.ID, ask.Tool, ask.Question, strings.Join(ask.Choices, " | "))
		if !a.terminal {
			a.say("hint: glovebox approve %s --answer TEXT", ask.ID)
			return
		}
		fmt.Fprint(a.err, "answer (empty declines): ")
		if lines.Scan() && strings.TrimSpace(lines.Text()) != "" {
			d = admin.Decision{Decision: admin.Approve, Answer: strings.TrimSpace(lines.Text())}
		}
	} else {
		a.say("approval %s: agent %s asks to run %s (%s) with %s", ask.ID, ask.Agent, ask.Tool, ask.Class, string(ask.Arguments))
		a.card(a.err, ask)
		if !a.terminal {
			a.say("hint: glovebox approve %s", ask.ID)
			return
		}
		fmt.Fprint(a.err, "approve exactly this call once? [y/N] ")
		if lines.Scan() {
			if approval.ReadWord(lines.Text()) == approval.Yes {
				d.Decision = admin.Approve
			}
		}
	}
	if err := c.call(ctx, http.MethodPost, "/api/approvals/"+ask.ID, d, nil); err != nil {
		a.report(err)
	}
}

func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
