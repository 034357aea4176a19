package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/skills/registry"
	"github.com/spf13/cobra"
)

func (a *app) registryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "Use signed indexes of skills, or run one",
		Long: `A registry is a folder of static files, signed by The Update Framework: what is in it,
what is current, what was revoked. Its root is pinned when it is added, from a file that
you got from those who run it; everything else is verified from there, and an older
state than was seen before is refused. Who built a skill is still judged by its own
signature: see "glovebox trust show".`,
		Example: `  glovebox registry add acme https://skills.example/ --root acme-root.json
  glovebox registry search weather`,
	}
	cmd.AddCommand(a.registryAdd(), a.registryList(), a.registryRefresh(), a.registrySearch(), a.registryShow(), a.registryRemove(),
		a.registryInit(), a.registryAddSkill(), a.registryYank(), a.registryRevoke(), a.registryDelegate(), a.registryPut(), a.registryRotate(), a.registrySign())
	return group(cmd)
}

// registries opens the registries of the state folder.
func (a *app) registries(ctx context.Context) (*registry.Client, error) {
	state, err := a.openState()
	if err != nil {
		return nil, err
	}
	return registry.Open(ctx, registry.Config{
		DB: state.Registries(), Dir: filepath.Join(state.Cache(), "registries"),
		HTTP: func(source abi.Origin) (registry.Doer, error) {
			return broker.OperatorClient(broker.OperatorConfig{Origins: []abi.Origin{source}})
		},
	})
}

// withRegistries runs f with the registries of the state folder.
func (a *app) withRegistries(ctx context.Context, f func(*registry.Client) error) (err error) {
	c, err := a.registries(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return unknownRegistry(f(c))
}

func unknownRegistry(err error) error {
	if errors.Is(err, registry.ErrUnknown) {
		return failed(err.Error(), "glovebox registry list")
	}
	return err
}

func (a *app) registryAdd() *cobra.Command {
	var root string
	var maxAge time.Duration
	cmd := &cobra.Command{
		Use: "add NAME SOURCE [MIRROR]...", Short: "Pin the root of a registry and fetch its index", Args: between(2, 9),
		Long: `Pin the root of a registry and fetch its index. A source is https://HOST/PATH, http://
on a loopback address, oci://HOST/REPOSITORY:TAG (its files as layers, as "oras push"
makes them), or a folder with a copy of its files. Further sources are mirrors, tried in
order. Compare the SHA-256 of the root with the one that its owners publish.`,
		Example: `  glovebox registry add acme https://skills.example/ --root acme-root.json
  glovebox registry add acme /media/usb/acme --root acme-root.json --max-age 168h`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if root == "" {
				return usage("which root? It is the root.json that those who run the registry gave you", "glovebox registry add "+args[0]+" "+args[1]+" --root FILE")
			}
			text, err := readUpTo(root, 512_000)
			if err != nil {
				return err
			}
			q := registry.Request{Name: registry.Name(args[0]), Root: text, MaxAge: maxAge}
			for _, s := range args[1:] {
				if !strings.Contains(s, "://") {
					if s, err = filepath.Abs(s); err != nil {
						return err
					}
				}
				q.Sources = append(q.Sources, s)
			}
			return a.withRegistries(cmd.Context(), func(c *registry.Client) error {
				st, err := c.Add(cmd.Context(), q)
				if err != nil {
					return err
				}
				return a.show(st, func() {
					fmt.Fprintf(a.out, "added %s: %d skills, root %s, signed by %s keys\n", st.Name, st.Skills, st.Root, st.Threshold)
					a.sayLost(st)
				})
			})
		},
	}
	cmd.Flags().StringVar(&root, "root", "", "root.json `FILE` to pin")
	cmd.Flags().DurationVar(&maxAge, "max-age", 0, "accept what has expired for so `LONG`, such as 48h (each use is logged)")
	return cmd
}

// sayLost names the publishers that are not believed, and a database put back.
func (a *app) sayLost(st registry.Status) {
	for _, l := range st.Lost {
		a.say("warning: publisher %s of %s is left out: %s (%s)", l.Publisher, st.Name, l.What, l.Reason)
	}
	if st.Restored {
		a.say("warning: the database of registries was older than what this machine had seen of %s: it was put back from a backup", st.Name)
	}
}

func (a *app) registryList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the registries, and what is wrong with them", Args: exactly(0),
		Example: "  glovebox registry list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withRegistries(cmd.Context(), func(c *registry.Client) error {
				list, err := c.List(cmd.Context())
				if err != nil {
					return err
				}
				return a.show(map[string]any{"registries": list}, func() {
					for _, st := range list {
						what := fmt.Sprintf("%d skills, valid until %s", st.Skills, st.Expires.Format(time.DateTime))
						if st.Problem != nil {
							what = fmt.Sprintf("not used: %s (%s)", st.Problem.What, st.Problem.Reason)
						}
						fmt.Fprintf(a.out, "%s\t%s\t%s\troot %s\n", st.Name, strings.Join(st.Sources, " "), oneLine(what), st.Root)
						a.sayLost(st)
					}
				})
			})
		},
	}
}

func (a *app) registryRefresh() *cobra.Command {
	return &cobra.Command{
		Use: "refresh [NAME]", Short: "Fetch what is current, of one registry or of all", Args: between(0, 1),
		Example: "  glovebox registry refresh\n  glovebox registry refresh acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withRegistries(cmd.Context(), func(c *registry.Client) error {
				var names []registry.Name
				for _, n := range args {
					names = append(names, registry.Name(n))
				}
				if len(args) == 0 {
					list, err := c.List(cmd.Context())
					if err != nil {
						return err
					}
					for _, st := range list {
						names = append(names, st.Name)
					}
				}
				done, problems := []registry.Status{}, []error{}
				for _, n := range names {
					st, err := c.Refresh(cmd.Context(), n)
					if err != nil {
						problems = append(problems, err)
						continue
					}
					done = append(done, st)
				}
				if err := a.show(map[string]any{"registries": done}, func() {
					for _, st := range done {
						fmt.Fprintf(a.out, "%s: %d skills, valid until %s\n", st.Name, st.Skills, st.Expires.Format(time.DateTime))
						a.sayLost(st)
					}
				}); err != nil {
					return err
				}
				return errors.Join(problems...)
			})
		},
	}
}

func (a *app) registrySearch() *cobra.Command {
	return &cobra.Command{
		Use: "search TEXT", Short: "Find skills by name or signer", Args: exactly(1),
		Example: "  glovebox registry search weather",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withRegistries(cmd.Context(), func(c *registry.Client) error {
				found, err := c.Search(cmd.Context(), args[0])
				if err := a.show(map[string]any{"skills": notNil(found)}, func() {
					for _, f := range found {
						fmt.Fprintf(a.out, "%s\t%s\t%s\tsigned by %s\n", f.Name, f.Version, f.Registry, oneLine(signerOf(f.Identity)))
					}
				}); err != nil {
					return err
				}
				return err
			})
		},
	}
}

// signerOf is for people: what an index claims about who signed.
func signerOf(i registry.Identity) string {
	if i.Key != "" {
		return "key " + i.Key
	}
	return i.SAN + " (" + i.Issuer + ")"
}

func (a *app) registryShow() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use: "show SKILL", Short: "Show the versions of a skill, and what they ask for", Args: exactly(1),
		Example: "  glovebox registry show acme/weather",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withRegistries(cmd.Context(), func(c *registry.Client) error {
				found, err := c.Show(cmd.Context(), registry.Name(from), registry.SkillID(args[0]))
				if err == nil && len(found) == 0 {
					return failed("no registry has a skill "+quote(args[0]), "glovebox registry search "+args[0])
				}
				if err := a.show(map[string]any{"versions": notNil(found)}, func() {
					for _, f := range found {
						a.printVersion(f)
					}
				}); err != nil {
					return err
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&from, "registry", "", "`NAME` of the only registry to look in")
	return cmd
}

func (a *app) printVersion(f registry.Found) {
	fmt.Fprintf(a.out, "%s %s from %s\n  digest %s\n  signed by %s\n", f.Name, f.Version, f.Registry, f.Digest, oneLine(signerOf(f.Identity)))
	for _, kind := range sortedKeys(f.Capabilities) {
		fmt.Fprintf(a.out, "  asks for %s: %s\n", kind, oneLine(strings.Join(f.Capabilities[kind], "; ")))
	}
	if f.Yanked != nil {
		fmt.Fprintf(a.out, "  withdrawn since %s: %s\n", f.Yanked.Since.Format(time.DateOnly), oneLine(f.Yanked.Reason))
	}
}

func (a *app) registryRemove() *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Short: "Forget a registry; its revocations do not count any more", Args: exactly(1),
		Example: "  glovebox registry rm acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withRegistries(cmd.Context(), func(c *registry.Client) error {
				if err := c.Remove(cmd.Context(), registry.Name(args[0])); err != nil {
					return err
				}
				return a.show(map[string]any{"removed": args[0]}, func() { fmt.Fprintf(a.out, "removed %s\n", args[0]) })
			})
		},
	}
}
