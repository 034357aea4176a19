package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/mcp"
	"github.com/glovebox-dev/glovebox/mcp/listing"
	"github.com/glovebox-dev/glovebox/mcp/source"
	"github.com/glovebox-dev/glovebox/sandbox"
	"github.com/spf13/cobra"
)

func (a *app) mcpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Add MCP servers, look at their tools, approve them",
		Long: `A server is the operator's choice and stays a stranger. To add one trusts nothing: its
tools are there once you have approved them, each as it was when you saw it. When a
server changes one of them, all of its tools are withdrawn until you have seen the
difference. Local servers run in a box, without network.`,
		Example: `  glovebox mcp add files -- /usr/local/bin/files-mcp /data
  glovebox mcp test files
  glovebox mcp approve files`,
	}
	cmd.AddCommand(a.mcpAdd(), a.mcpList(), a.mcpTest(), a.mcpApprove(), a.mcpRemove())
	return group(cmd)
}

func bookOf(state *config.State) *mcp.Book {
	return mcp.OpenBook(filepath.Join(state.Dir(), "mcp.json"), nil)
}

func (a *app) book() (*mcp.Book, error) {
	state, err := a.openState()
	if err != nil {
		return nil, err
	}
	return bookOf(state), nil
}

func (a *app) mcpAdd() *cobra.Command {
	var url, file, as string
	cmd := &cobra.Command{
		Use: "add [NAME] [-- COMMAND [ARG]...]", Short: "Add a server, or those of a file", Args: between(0, 66),
		Long: `Add a server: a program on this machine, an address over streamable HTTP, or what a
file says (server.json, or mcpServers of another client). Nothing is started. A command
is never given to a shell, and a version that floats is refused.`,
		Example: `  glovebox mcp add files -- /usr/local/bin/files-mcp /data
  glovebox mcp add search --url https://mcp.search.example/mcp
  glovebox mcp add --file ~/.config/editor/mcp.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := addition(args, url, file, abi.SkillName(as))
			if err != nil {
				return err
			}
			book, err := a.book()
			if err != nil {
				return err
			}
			names := []abi.SkillName{}
			for _, s := range list {
				var installed *mcp.Installed
				if s.Binary != "" {
					if s.Binary, err = filepath.EvalSymlinks(s.Binary); err != nil {
						return failed(err.Error(), "name a program that is there")
					}
					digest, err := mcp.ProgramDigest(s.Binary)
					if err != nil {
						return failed(err.Error(), "name a program that is there")
					}
					installed = &mcp.Installed{Tree: digest, Entry: s.Binary}
				}
				if err := book.Add(s, installed); err != nil {
					return err
				}
				names = append(names, s.Name)
			}
			return a.show(map[string]any{"added": names}, func() {
				for _, n := range names {
					fmt.Fprintf(a.out, "added %s, with no tools yet: glovebox mcp approve %s\n", n, n)
				}
			})
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "`URL` of a server over streamable HTTP")
	cmd.Flags().StringVar(&file, "file", "", "server.json, or a JSON `FILE` with mcpServers")
	cmd.Flags().StringVar(&as, "as", "", "`NAME` for the one server of the file")
	return cmd
}

// addition reads what is to be added.
func addition(args []string, url, file string, as abi.SkillName) ([]source.Server, error) {
	const how = "glovebox mcp add NAME -- /PATH/PROGRAM, or NAME --url URL, or --file FILE"
	switch {
	case file != "" && len(args) == 0 && url == "":
		text, err := readUpTo(file, source.MaxFile+1)
		if err != nil {
			return nil, err
		}
		return source.Read(text, as)
	case file != "" || as != "" || len(args) == 0 || (url != "") == (len(args) > 1):
		return nil, usage("a server is a program, an address, or one of a file", how)
	}
	s := source.Server{Name: abi.SkillName(args[0])}
	if url != "" {
		s.Remote = &source.Remote{URL: url}
	} else {
		var err error
		if s.Package, s.Binary, s.Args, err = source.Command(args[1:]); err != nil {
			return nil, err
		}
	}
	return []source.Server{s}, s.Check()
}

// mcpServer is one line of mcp list.
type mcpServer struct {
	Name       abi.SkillName   `json:"name"`
	State      string          `json:"state"` // approved, quarantined or new
	Tools      int             `json:"tools"` // that a model may be told of
	Digest     abi.Digest      `json:"digest,omitempty"`
	Quarantine *mcp.Quarantine `json:"quarantine,omitempty"`
	Source     source.Server   `json:"source"`
}

func (a *app) mcpList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the servers and what became of them", Args: exactly(0),
		Example: "  glovebox mcp list",
		RunE: func(*cobra.Command, []string) error {
			book, err := a.book()
			if err != nil {
				return err
			}
			all, err := book.Servers()
			if err != nil {
				return err
			}
			list := []mcpServer{}
			for _, name := range slices.Sorted(maps.Keys(all)) {
				r := all[name]
				live, _ := r.Live()
				line := mcpServer{Name: name, State: "new", Tools: len(live.Entries), Quarantine: r.Quarantine, Source: r.Source}
				if r.Approved != nil {
					line.State, line.Digest = "approved", r.Approved.Digest
				}
				if r.Quarantine != nil {
					line.State = "quarantined"
				}
				list = append(list, line)
			}
			return a.show(map[string]any{"servers": list}, func() {
				for _, s := range list {
					fmt.Fprintf(a.out, "%s\t%s\t%d tools\n", s.Name, s.State, s.Tools)
					if s.Quarantine != nil {
						a.say("warning: the tools of %s are withdrawn: %s", s.Name, oneLine(s.Quarantine.Why))
						a.say("hint: glovebox mcp approve %s", s.Name)
					}
				}
			})
		},
	}
}

// looked is what a server offers at this moment.
type looked struct {
	Listing listing.Listing  `json:"listing"`
	Digest  abi.Digest       `json:"digest"`
	Facts   mcp.Facts        `json:"server"`
	Changes []listing.Change `json:"changes"` // against what was approved
}

// look connects to a server without trusting it.
func (a *app) look(ctx context.Context, book *mcp.Book, name abi.SkillName) (looked, error) {
	all, err := book.Servers()
	if err != nil {
		return looked{}, err
	}
	record, err := book.Get(name)
	if err != nil {
		return looked{}, err
	}
	var boxer *sandbox.Boxer
	if record.Source.Remote == nil {
		boxer = sandbox.NewBoxer(ctx)
	}
	link, err := mcp.Reach(record, boxer)
	if err != nil {
		return looked{}, err
	}
	l, facts, err := mcp.Probe(ctx, mcp.Config{Name: name, Book: book, Link: link, Others: slices.Sorted(maps.Keys(all)), Version: version})
	if err != nil {
		return looked{}, err
	}
	var before listing.Listing
	if record.Approved != nil {
		before = record.Approved.Listing
	}
	return looked{Listing: l, Digest: l.Digest(), Facts: facts, Changes: notNil(listing.Changes(before, l))}, nil
}

func (a *app) mcpTest() *cobra.Command {
	return &cobra.Command{
		Use: "test NAME", Short: "Connect, list the tools, disconnect; nothing is trusted or kept", Args: exactly(1),
		Example: "  glovebox mcp test files",
		RunE: func(cmd *cobra.Command, args []string) error {
			book, err := a.book()
			if err != nil {
				return err
			}
			seen, err := a.look(cmd.Context(), book, abi.SkillName(args[0]))
			if err != nil {
				return err
			}
			return a.show(seen, func() {
				fmt.Fprintf(a.out, "it calls itself %q %q and speaks %s\n", seen.Facts.Name, seen.Facts.Version, oneLine(seen.Facts.Protocol))
				for _, e := range seen.Listing.Entries {
					fmt.Fprintln(a.out, e.Name)
				}
				for _, s := range seen.Listing.Skipped {
					a.say("warning: tool %s is left out: %s", s.Name, oneLine(s.Why))
				}
			})
		},
	}
}

func (a *app) mcpApprove() *cobra.Command {
	return &cobra.Command{
		Use: "approve NAME [DIGEST]", Short: "See what a server offers, and approve exactly that", Args: between(1, 2),
		Long: `Without a digest, the difference to what was approved is shown, every character of it,
and nothing is changed. With the digest that was shown, exactly that is approved.`,
		Example: "  glovebox mcp approve files\n  glovebox mcp approve files sha256:9f2c…",
		RunE: func(cmd *cobra.Command, args []string) error {
			name := abi.SkillName(args[0])
			book, err := a.book()
			if err != nil {
				return err
			}
			seen, err := a.look(cmd.Context(), book, name)
			if err != nil {
				return err
			}
			how := fmt.Sprintf("glovebox mcp approve %s %s", name, seen.Digest)
			if len(args) == 1 {
				return a.show(seen, func() { a.showChanges(seen, how) })
			}
			if args[1] != string(seen.Digest) {
				return refused(fmt.Sprintf("MCP server %s offers something else by now", name), "mcp.changed", "glovebox mcp approve "+string(name))
			}
			if err := book.Approve(name, seen.Listing); err != nil {
				return err
			}
			return a.show(map[string]any{"approved": name, "digest": seen.Digest, "tools": len(seen.Listing.Entries)}, func() {
				fmt.Fprintf(a.out, "approved %d tools of %s\n", len(seen.Listing.Entries), name)
			})
		},
	}
}

// showChanges writes the difference as JSON, in which nothing hides.
func (a *app) showChanges(seen looked, how string) {
	for _, c := range seen.Changes {
		fmt.Fprintf(a.out, "%s %s\n", c.Kind, c.Tool)
		for _, f := range c.Fields {
			if f.Before != nil {
				fmt.Fprintf(a.out, "  - %s: %s\n", oneLine(f.Key), oneLine(string(f.Before)))
			}
			if f.After != nil {
				fmt.Fprintf(a.out, "  + %s: %s\n", oneLine(f.Key), oneLine(string(f.After)))
			}
		}
	}
	if len(seen.Changes) == 0 {
		a.say("nothing differs from what was approved")
	}
	a.say("hint: %s", how)
}

func (a *app) mcpRemove() *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Short: "Remove a server and what was approved of it", Args: exactly(1),
		Example: "  glovebox mcp rm files",
		RunE: func(_ *cobra.Command, args []string) error {
			book, err := a.book()
			if err != nil {
				return err
			}
			if err := book.Remove(abi.SkillName(args[0])); err != nil {
				return err
			}
			return a.show(map[string]any{"removed": args[0]}, func() { fmt.Fprintf(a.out, "removed %s\n", args[0]) })
		},
	}
}
