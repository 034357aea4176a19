package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/spf13/cobra"
)

func (a *app) skillCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "skill", Aliases: []string{"skills"},
		Short: "Make, install, run and grant skills",
		Example: `  glovebox skill new hello
  glovebox skill build hello
  glovebox skill run hello greet '{"name":"Ada"}'`,
	}
	cmd.AddCommand(a.skillNew(), a.skillBuild(), a.skillTest(), a.skillInspect(), a.skillSBOM(), a.skillImport(), a.skillSign(), a.skillVerify(), a.skillPack(), a.skillPublish(), a.skillRun(),
		a.skillInstall(), a.skillUpgrade(), a.skillPin("pin", true), a.skillPin("unpin", false), a.skillRemove(), a.skillWhy(),
		a.skillList(), a.skillGrant(), a.skillRevoke())
	return group(cmd)
}

// hostConfig describes the daemon that runs on the state folder, or the one that
// would, so that verbs which work on files see the same folders.
func (a *app) hostConfig() (host.Config, error) {
	state, err := a.openState()
	if err != nil {
		return host.Config{}, err
	}
	settings, err := a.settings(state)
	if err != nil {
		return host.Config{}, err
	}
	cfg := host.Config{State: state, Settings: settings, Version: version, Log: a.logHandler(slog.LevelError)}
	if a.config != "" {
		return cfg, nil
	}
	info, err := state.Running()
	if errors.Is(err, fs.ErrNotExist) {
		return cfg, nil
	}
	if err != nil {
		return host.Config{}, err
	}
	// These are the whole lists, those of the configuration included.
	cfg.Skills, cfg.Grants = info.Skills, info.Grants
	return cfg, nil
}

func (a *app) logHandler(level slog.Level) slog.Handler {
	return slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level})
}

// open opens the chamber of this run. A daemon on the same state folder may go on.
func (a *app) open(ctx context.Context, state *config.State, private []abi.Origin) (*host.Chamber, error) {
	return host.OpenChamber(ctx, host.ChamberConfig{
		State: state, Private: func(abi.SkillName) []abi.Origin { return private }, Version: version, Log: slog.New(a.logHandler(slog.LevelError)),
	})
}

func (a *app) skillList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the installed skills and what they wait for", Args: exactly(0),
		Example: "  glovebox skill list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.hostConfig()
			if err != nil {
				return err
			}
			list, err := host.ListSkills(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return a.show(map[string]any{"skills": list}, func() {
				for _, s := range list {
					a.showSkill(s)
				}
				a.showUnchecked(list)
				if len(list) == 0 {
					a.say("no skill is installed; hint: glovebox skill install NAME, or name a folder with --skills at up")
				}
			})
		},
	}
}

// showUnchecked tells in one line which skills were held against no advisories.
func (a *app) showUnchecked(list []admin.Skill) {
	var names []string
	for _, s := range list {
		if s.Unchecked != "" {
			names = append(names, s.Name)
		}
	}
	if len(names) > 0 {
		a.say("not checked against advisories: %s", strings.Join(names, ", "))
		a.say("  hint: glovebox osv update --ecosystem Go --from FILE")
	}
}

func (a *app) showSkill(s admin.Skill) {
	name := s.Name
	if name == "" {
		name = filepath.Base(s.Dir)
	}
	fmt.Fprintf(a.out, "%-14s %-8s %-12s %s\n", name, s.Version, s.State, oneLine(s.Description))
	if s.Why != "" {
		a.say("  %s: %s", name, s.Why)
	}
	if s.Hint != "" {
		a.say("  hint: %s", s.Hint)
	}
}

// target is what a path or a name stands for.
type target struct {
	bundle *skills.Bundle // nil for a bare module
	file   string         // of a bare module
	module []byte         // of a bare module
	grant  *abi.Grant     // that is installed; nil if none, or not looked for
	where  string         // its file
	named  bool           // an installed skill, by its name: it runs only if the daemon would load it
	proof  abi.Proof      // of the bundle, where it was verified
}

// find resolves FILE.wasm, a folder of a skill, or the name of an installed one.
func (a *app) find(arg string) (target, error) {
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.Mode().IsRegular():
		b, err := readModule(arg)
		return target{file: arg, module: b}, err
	case err == nil && info.IsDir():
		b, err := skills.Open(arg)
		return target{bundle: b}, err
	case strings.ContainsAny(arg, `/\`) || strings.HasSuffix(arg, ".wasm"):
		if err != nil {
			return target{}, fmt.Errorf("open %s: %w", arg, err)
		}
		return target{}, failed(arg+" is neither a file nor a folder", "")
	}
	name := abi.SkillName(arg)
	if err := name.Check(); err != nil {
		return target{}, usage(err.Error(), "give FILE.wasm, the folder of a skill, or the name of an installed one")
	}
	cfg, err := a.hostConfig()
	if err != nil {
		return target{}, err
	}
	bundle, grant, file, err := host.FindSkill(cfg, name)
	if errors.Is(err, host.ErrNoSkill) {
		return target{}, failed(fmt.Sprintf("no skill %q is installed, and there is no such folder", arg), "glovebox skill list")
	}
	return target{bundle: bundle, grant: grant, where: file, named: true}, err
}

// readModule reads a module, bounded before anything looks at it.
func readModule(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	if info.Size() > skills.MaxModule {
		return nil, refused(fmt.Sprintf("%s has %d bytes, more than the limit of %d", path, info.Size(), skills.MaxModule), "module/size", "")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	return b, nil
}
