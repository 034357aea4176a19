package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/sandbox"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/spf13/cobra"
)

func (a *app) skillNew() *cobra.Command {
	var lang, dir string
	cmd := &cobra.Command{
		Use: "new NAME", Short: "Start a skill: source, manifest, tests", Args: exactly(1),
		Example: `  glovebox skill new hello
  glovebox skill new hello --lang c`,
		RunE: func(_ *cobra.Command, args []string) error {
			name := abi.SkillName(args[0])
			if err := name.Check(); err != nil {
				return usage(err.Error(), "glovebox skill new hello")
			}
			if dir == "" {
				dir = args[0]
			}
			files, err := skills.New(dir, name, skills.Language(lang))
			if err != nil {
				return err
			}
			return a.show(map[string]any{"skill": name, "dir": dir, "language": lang, "files": files}, func() {
				a.say("made %s", dir)
				a.say("next: glovebox skill build %s && glovebox skill test %s", config.ShellQuote(dir), config.ShellQuote(dir))
			})
		},
	}
	cmd.Flags().StringVar(&lang, "lang", string(skills.Go), "`LANGUAGE`: go or c")
	cmd.Flags().StringVar(&dir, "dir", "", "`FOLDER` to make (default: NAME)")
	return cmd
}

func (a *app) skillBuild() *cobra.Command {
	var prebuilt, verify bool
	cmd := &cobra.Command{
		Use: "build DIR", Short: "Compile a skill and write its manifest", Args: exactly(1),
		Long: `Compile a skill, ask its module for its tools in a chamber without rights, and
write sbom.cdx.json and skill.manifest.json. The compiler runs on your machine, as you.

With --verify nothing is written: the skill is built once more in a copy, and what
comes out differently is named.`,
		Example: `  glovebox skill build hello
  glovebox skill build hello --verify`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if prebuilt && verify {
				return usage("--verify compiles, and --prebuilt compiles nothing", "glovebox skill build "+config.ShellQuote(args[0])+" --verify")
			}
			state, err := a.openState()
			if err != nil {
				return err
			}
			chamber, err := a.open(cmd.Context(), state, nil)
			if err != nil {
				return err
			}
			opts := skills.BuildOptions{UseModule: prebuilt, Env: os.Environ(), Out: a.err}
			if verify {
				bundle, differ, err := skills.Rebuild(cmd.Context(), args[0], opts, chamber, sandbox.RunToolchain)
				if err = errors.Join(err, chamber.Close(cmd.Context())); err != nil {
					return err
				}
				return a.showRebuilt(bundle, differ)
			}
			built, err := skills.Build(cmd.Context(), args[0], opts, chamber, sandbox.RunToolchain)
			if err = errors.Join(err, chamber.Close(cmd.Context())); err != nil {
				return err
			}
			return a.showBuilt(built)
		},
	}
	cmd.Flags().BoolVar(&prebuilt, "prebuilt", false, "take the module that lies in the folder and compile nothing")
	cmd.Flags().BoolVar(&verify, "verify", false, "build again in a copy and compare; write nothing")
	return cmd
}

func (a *app) showBuilt(built *skills.Built) error {
	c := built.Bundle.Manifest
	result := map[string]any{
		"skill": built.Bundle.Name(), "version": c.Manifest.Version, "dir": built.Bundle.Dir, "digest": built.Bundle.Digest,
		"module": c.Module, "module_size": c.ModuleSize, "tools": c.Tools, "packages": notNil(built.Packages.Packages), "warnings": notNil(built.Warnings),
	}
	return a.show(result, func() {
		for _, w := range built.Warnings {
			a.say("warning: %s", w)
		}
		fmt.Fprintf(a.out, "built %s %s: %d tools, %d packages, %d bytes, %s\n",
			built.Bundle.Name(), c.Manifest.Version, len(c.Tools), len(built.Packages.Packages), c.ModuleSize, c.Module)
		dir := config.ShellQuote(built.Bundle.Dir)
		a.say("next: glovebox skill test %s, then glovebox skill sign %s: the daemon loads nothing that is not signed", dir, dir)
	})
}

// showRebuilt tells what a second build made otherwise; anything is a failure.
func (a *app) showRebuilt(b *skills.Bundle, differ []skills.Difference) error {
	if len(differ) == 0 {
		return a.show(map[string]any{"skill": b.Name(), "digest": b.Digest, "differ": []skills.Difference{}}, func() {
			fmt.Fprintf(a.out, "%s %s came out the same: %s\n", b.Name(), b.Manifest.Manifest.Version, b.Digest)
		})
	}
	var what []string
	for _, d := range differ {
		what = append(what, fmt.Sprintf("%s is %s, and the build makes %s", d.File, d.Have, d.Built))
	}
	return failed("the build is not reproducible here: "+strings.Join(what, "; "),
		"build with the compiler that the author names, or take the new build: glovebox skill build "+config.ShellQuote(b.Dir))
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (a *app) skillTest() *cobra.Command {
	return &cobra.Command{
		Use: "test DIR", Short: "Run a skill's tests on the real chamber, without a network", Args: exactly(1),
		Example: "  glovebox skill test hello",
		RunE: func(cmd *cobra.Command, args []string) error {
			state, err := a.openState()
			if err != nil {
				return err
			}
			chamber, err := a.open(cmd.Context(), state, nil)
			if err != nil {
				return err
			}
			report, err := skills.Test(cmd.Context(), args[0], chamber)
			if err = errors.Join(err, chamber.Close(cmd.Context())); err != nil {
				return err
			}
			if err := a.show(report, func() { fmt.Fprint(a.out, printable(report.String())) }); err != nil {
				return err
			}
			if n := report.Failed(); n > 0 {
				return failed(fmt.Sprintf("%d of %d tests of %s failed", n, len(report.Cases), filepath.Base(args[0])), "")
			}
			return nil
		},
	}
}

func (a *app) skillInspect() *cobra.Command {
	return &cobra.Command{
		Use: "inspect FILE.wasm|DIR|NAME", Short: "Show what a module or a skill can reach at most", Args: exactly(1),
		Long: `Show what a module or a skill can reach at most, without running it. A module that
no host should run is refused (exit 3).`,
		Example: "  glovebox skill inspect plugin.wasm",
		RunE: func(_ *cobra.Command, args []string) error {
			path := args[0]
			if _, err := os.Stat(path); err != nil {
				t, err := a.find(path)
				if err != nil {
					return err
				}
				path = t.bundle.Dir
			}
			seen, err := skills.Inspect(path)
			if err != nil {
				return err
			}
			if err := a.show(seen, func() { fmt.Fprint(a.out, printable(seen.String())) }); err != nil {
				return err
			}
			if seen.Refused != "" {
				return refused("the module is refused: "+seen.Refused, "module/refused", "")
			}
			return nil
		},
	}
}
