package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/spf13/cobra"
)

func (a *app) trustCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Show whose skills are loaded, and refresh what that rests on",
		Long: `Whose skills are loaded is written in glovebox.yaml under trust. Beside those
publishers, the daemon trusts the key of this machine. Identities hang on trusted
roots, which this program carries or reads from files: nothing but "trust update"
fetches one.`,
		Example: `  glovebox trust show
  glovebox trust update`,
	}
	cmd.AddCommand(a.trustShow(), a.trustUpdate())
	return group(cmd)
}

// publisherView is a publisher as "trust show" prints it.
type publisherView struct {
	Name   string   `json:"name"`
	Skills []string `json:"skills"`
	By     string   `json:"by"` // its key or its identity
	Root   string   `json:"root,omitempty"`
}

// rootView is a trusted root as "trust show" prints it.
type rootView struct {
	Name   string          `json:"name"`
	Class  signature.Class `json:"class"`
	SHA256 abi.Digest      `json:"sha256"`
	From   string          `json:"from"`
}

func (a *app) trustShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "List the publishers and the roots", Args: exactly(0),
		Example: "  glovebox trust show",
		RunE: func(*cobra.Command, []string) error {
			state, err := a.openState()
			if err != nil {
				return err
			}
			settings, err := a.settings(state)
			if err != nil {
				return err
			}
			cfg, err := signature.Trusted(state, settings.Trust)
			if err == nil {
				_, err = signature.New(cfg)
			}
			if err != nil {
				return failed(err.Error(), "correct trust in the configuration")
			}
			publishers, roots := publishersOf(cfg), rootsOf(cfg, state, settings.Trust)
			return a.show(map[string]any{"publishers": publishers, "roots": roots}, func() {
				for _, p := range publishers {
					fmt.Fprintf(a.out, "%-14s %-20v %s\n", p.Name, p.Skills, oneLine(p.By))
				}
				for _, r := range roots {
					fmt.Fprintf(a.out, "root %-9s %-20s %s (%s)\n", r.Name, r.Class, r.SHA256, r.From)
				}
			})
		},
	}
}

func publishersOf(cfg signature.Config) []publisherView {
	out := []publisherView{}
	for _, p := range cfg.Publishers {
		v := publisherView{Name: p.Name, Skills: notNil(p.Skills), Root: p.TrustedRoot}
		if p.Key != nil {
			v.By = "key " + p.Key.Hint
		} else {
			v.By = p.Identity.SAN + p.Identity.SANPattern + ", vouched for by " + p.Identity.Issuer
		}
		out = append(out, v)
	}
	return out
}

func rootsOf(cfg signature.Config, state *config.State, t config.Trust) []rootView {
	public, from := signature.PublicGoodRoot(), "in this program"
	if r, ok := cfg.Roots[""]; ok {
		public, from = r, signature.PinnedRoot(state)
	}
	out := []rootView{{"public good", public.Class, abi.DigestOf(public.JSON), from}}
	for _, r := range t.Roots {
		got := cfg.Roots[string(r.Name)]
		out = append(out, rootView{string(r.Name), got.Class, abi.DigestOf(got.JSON), r.File})
	}
	return out
}

func (a *app) trustUpdate() *cobra.Command {
	var mirror, root string
	cmd := &cobra.Command{
		Use: "update", Short: "Fetch the public-good root by TUF and pin it", Args: exactly(0),
		Long: `Fetch the newest trusted root of Sigstore's public good, verify it by TUF, and pin it
in the state folder. An older one than was seen before is refused. The daemon uses it
from its next start on. --mirror with --tuf-root does the same with another repository.`,
		Example: `  glovebox trust update
  glovebox trust update --mirror https://tuf.example --tuf-root root.json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := a.openState()
			if err != nil {
				return err
			}
			pinned := signature.PinnedRoot(state)
			if err := os.Mkdir(filepath.Dir(pinned), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			src := signature.Source{Mirror: mirror, Cache: filepath.Join(filepath.Dir(pinned), "tuf")}
			if root != "" {
				if src.TUFRoot, err = readSmall(root); err != nil {
					return err
				}
			}
			reach := signature.Mirror
			if mirror != "" {
				reach = mirror
			}
			if src.Transport, err = transport(reach); err != nil {
				return err
			}
			r, err := signature.Update(cmd.Context(), src)
			if err != nil {
				return failed(err.Error(), "the root that is pinned or carried stays in use: glovebox trust show")
			}
			if err := config.WriteFile(pinned, r.JSON); err != nil {
				return err
			}
			digest := abi.DigestOf(r.JSON)
			return a.show(map[string]any{"file": pinned, "sha256": digest, "mirror": reach}, func() {
				fmt.Fprintf(a.out, "pinned %s\n", digest)
				a.say("in %s; the daemon uses it from its next start on", pinned)
			})
		},
	}
	cmd.Flags().StringVar(&mirror, "mirror", "", "`URL` of another TUF repository")
	cmd.Flags().StringVar(&root, "tuf-root", "", "root.json `FILE` that --mirror is verified from")
	return cmd
}
