package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/spf13/cobra"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the running daemon and what weakens it", Args: exactly(0),
		Example: "  glovebox status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			var s admin.Status
			if err := c.call(cmd.Context(), http.MethodGet, "/api/status", nil, &s); err != nil {
				return err
			}
			return a.show(s, func() {
				row := func(name, format string, args ...any) {
					fmt.Fprintf(a.out, "%-13s %s\n", name, oneLine(fmt.Sprintf(format, args...)))
				}
				row("address", "%s", s.Address)
				row("version", "%s, pid %d, up %s", s.Version, s.PID, time.Duration(s.UptimeS*float64(time.Second)).Round(time.Second))
				row("state", "%s", s.State)
				if s.Config != "" {
					row("config", "%s", s.Config)
				}
				for _, g := range s.Agents {
					row("agent", "%s, model %s, %d tools: %s", g.Name, g.Model, len(g.Tools), strings.Join(g.Tools, " "))
				}
				row("skills", "%d", s.Skills)
				row("approvals", "%d waiting", s.Pending)
				row("private", "%d open: %s", len(s.Private), strings.Join(s.Private, " "))
				row("audit", "%d records", s.Audit.Records)
				row("confinement", "%s", s.Confined)
				hints := "at none of your secrets but those stored; this build has no rules (make build TAGS=gitleaks)"
				if s.Hints {
					hints = "at what looks like a secret in messages, by the rules of gitleaks"
				}
				row("hints", "%s", hints)
				row("memory", "%.1f MB", float64(s.RSSBytes)/1e6)
				for _, w := range s.Warnings {
					row("warning", "%s", w)
				}
			})
		},
	}
}

func (a *app) downCommand() *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "Stop the daemon gracefully", Args: exactly(0),
		Example: "  glovebox down",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			if err := c.call(cmd.Context(), http.MethodPost, "/api/stop", nil, nil); err != nil {
				return err
			}
			if err := a.gone(cmd.Context()); err != nil {
				return err
			}
			return a.show(map[string]string{"status": "stopped"}, func() { fmt.Fprintln(a.out, "stopped") })
		},
	}
}

// gone waits until the daemon has given up its lock, the last thing that it does.
func (a *app) gone(ctx context.Context) error {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	state, err := config.FindState(dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		release, err := state.Lock()
		if err == nil {
			return release()
		}
		if !errors.Is(err, config.ErrLocked) {
			return err
		}
		select {
		case <-ctx.Done():
			return failed("the daemon has not ended after 15 s", "look at its log")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// version is set by the release build.
var version = "0.1.0-dev"

// versionInfo is what version --json prints.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: exactly(0),
		Example: "  glovebox version --json",
		RunE: func(*cobra.Command, []string) error {
			v := versionInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						v.Revision = s.Value
					}
				}
			}
			return a.show(v, func() { fmt.Fprintln(a.out, "glovebox", v.Version, v.Go, v.Platform) })
		},
	}
}
