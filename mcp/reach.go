package mcp

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// Reach returns the link to the server of a record. boxer may be nil, where no server is
// local.
func Reach(r Record, boxer *sandbox.Boxer) (Link, error) {
	if err := r.Source.Check(); err != nil {
		return nil, err
	}
	switch s := r.Source; {
	case s.Remote != nil:
		u, err := abi.ParseURL(s.Remote.URL)
		if err != nil {
			return nil, err
		}
		for _, h := range s.Remote.Headers {
			if strings.Contains(h.Value, "{{secret:") {
				return nil, &reason.Refusal{Reason: reason.Config, What: fmt.Sprintf("header %q of MCP server %q needs a secret, and nothing here puts one into it", h.Name, s.Name), Fix: "glovebox mcp rm " + string(s.Name)}
			}
		}
		client, err := broker.NewOperator(broker.OperatorConfig{Origins: []abi.Origin{u.Origin}})
		if err != nil {
			return nil, err
		}
		return Remote(s.Remote.URL, client, func(_ context.Context, req *http.Request) error {
			for _, h := range s.Remote.Headers {
				req.Header.Set(h.Name, h.Value)
			}
			return nil
		})
	case s.Package != nil:
		return Local(uninstalled(s.Package.PURL())), nil
	}
	if r.Installed == nil {
		return Local(uninstalled(r.Source.Binary)), nil
	}
	profile, err := sandbox.FindProfile(sandbox.MCPBinary)
	if err != nil {
		return nil, err
	}
	box := sandbox.Box{Profile: profile, Limits: profile.Limits, Scratch: profile.Size, Argv: append([]string{r.Source.Binary}, r.Source.Args...)}
	for _, v := range r.Source.Env {
		box.Env = append(box.Env, v.Name+"="+v.Value)
	}
	return Local(Boxed{Box: box, Start: Program(boxer, r.Source.Binary, r.Installed.Tree)}), nil
}

// uninstalled is the spawner of what was never installed and verified.
type uninstalled string

// Spawn implements Spawner.
func (u uninstalled) Spawn(context.Context) (Child, error) {
	return nil, &reason.Refusal{
		Reason: reason.NotInstalled, What: fmt.Sprintf("%s was never installed and verified, and nothing is fetched to be run", string(u)),
		Fix: "add the server as a program on this machine: glovebox mcp add NAME -- /PATH/PROGRAM",
	}
}
