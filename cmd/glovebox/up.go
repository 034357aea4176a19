package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/glovebox-dev/glovebox/host"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/spf13/cobra"
)

// gcPercent trades a little processor time for a smaller idle daemon.
const gcPercent = 50

func (a *app) upCommand() *cobra.Command {
	var listen string
	var skillDirs, grantDirs []string
	cmd := &cobra.Command{
		Use: "up", Short: "Start the daemon in the foreground", Args: exactly(0),
		Long: `Start the daemon in the foreground. The state folder, its keys and the token are
made at the first start. The ready line and STATE/run/address tell the address.
SIGINT, SIGTERM and "glovebox down" end it gracefully.`,
		Example: `  glovebox up
  glovebox up --config examples/demo.yaml --listen 127.0.0.1:0`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.daemonConfig(skillDirs, grantDirs)
			if err != nil {
				return err
			}
			if listen != "" {
				if err := cfg.Settings.Listen.UnmarshalText([]byte(listen)); err != nil {
					return usage(err.Error(), "glovebox up --listen 127.0.0.1:0")
				}
			}
			return a.serve(cmd.Context(), cfg)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "loopback `ADDRESS:PORT`; port 0 takes any (default 127.0.0.1:4766)")
	cmd.Flags().StringArrayVar(&skillDirs, "skills", nil, "`DIR` of a skill or of skills, searched first; may be repeated")
	cmd.Flags().StringArrayVar(&grantDirs, "grants", nil, "`DIR` of grant files, searched after the state folder's; may be repeated")
	return cmd
}

// daemonConfig reads the configuration of a daemon that is about to start.
func (a *app) daemonConfig(skillDirs, grantDirs []string) (host.Config, error) {
	state, err := a.openState()
	if err != nil {
		return host.Config{}, err
	}
	settings, err := a.ownSettings(state)
	if err != nil {
		return host.Config{}, err
	}
	cfg := host.Config{State: state, Settings: settings, Version: version, Log: a.logHandler(settings.Log.Level.Level)}
	for _, list := range []struct {
		from []string
		to   *[]string
	}{{skillDirs, &cfg.Skills}, {grantDirs, &cfg.Grants}} {
		for _, dir := range list.from {
			abs, err := filepath.Abs(dir)
			if err != nil {
				return host.Config{}, fmt.Errorf("folder %s: %w", dir, err)
			}
			if info, err := os.Stat(abs); err != nil || !info.IsDir() {
				return host.Config{}, usage(dir+" is not a folder", "")
			}
			*list.to = append(*list.to, abs)
		}
	}
	return cfg, nil
}

// serve runs the daemon until ctx ends or somebody stops it.
func (a *app) serve(ctx context.Context, cfg host.Config) (err error) {
	debug.SetGCPercent(gcPercent)
	h, err := host.New(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := h.Start(ctx, string(cfg.Settings.Listen)); err != nil {
		return err
	}
	return h.Run(ctx, func() { a.ready(h.Address(), cfg.State) })
}

// ready prints the one line that says where, one curl and the next step.
func (a *app) ready(address string, state *config.State) {
	flag := ""
	if a.state != "" {
		flag = " --state " + config.ShellQuote(state.Dir())
	}
	next := "glovebox chat" + flag + ` "what is 3*(4+5)?"`
	curl := fmt.Sprintf(`curl -s -H "Authorization: Bearer $(cat %s)" -H "Content-Type: application/json" -d '{"message":"what is 3*(4+5)?"}' %s/api/chat`,
		config.ShellQuote(state.TokenFile()), address)
	_ = a.show(map[string]string{"address": address, "state": state.Dir(), "token_file": state.TokenFile(), "curl": curl, "next": next}, func() {
		fmt.Fprintf(a.out, "ready: %s (state %s)\n  %s\n  %s\n", address, state.Dir(), next, curl)
	})
}
