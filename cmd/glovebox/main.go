// Command glovebox is the daemon and its command line in one binary: it runs skills
// sealed in WebAssembly for an agent that is taken for an adversary.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by policy or verification,
// 4 the daemon is not reachable.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/sandbox"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func main() {
	// The compiler child is started for every new module, under tight limits: it
	// must not pay for anything below.
	if len(os.Args) > 1 && os.Args[1] == sandbox.Verb {
		os.Exit(compile.ChildMain(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, terminal: terminal(os.Stdin) && terminal(os.Stderr)}
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// app is one run of the command line. Nothing in it is coloured, so NO_COLOR has
// nothing to switch off.
type app struct {
	in       io.Reader
	out, err io.Writer
	terminal bool // a person can be asked

	state  string // --state
	config string // --config
	json   bool   // --json
}

// run parses args, does what they say, reports an error and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	out := &checked{Writer: a.out}
	a.out = out
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil && out.err != nil {
		err = fmt.Errorf("write the output: %w", out.err)
	}
	if err == nil {
		return exitDone
	}
	// A wrong flag is found before --json is set.
	a.json = a.json || slices.Contains(args, "--json")
	return a.report(err)
}

// checked remembers that a write failed: half a list is not the list, however the
// verb that printed it ended.
type checked struct {
	io.Writer
	err error
}

// Write implements io.Writer.
func (c *checked) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	if err != nil && c.err == nil {
		c.err = err
	}
	return n, err
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "glovebox",
		Short: "Glovebox runs skills sealed in WebAssembly for an agent that is not trusted",
		Example: `  glovebox up                              # start the daemon
  glovebox chat "what is 3*(4+5)?"         # in another shell`,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(err.Error(), "see "+quote(cmd.CommandPath()+" --help"))
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.state, "state", "", "state folder (default $GLOVEBOX_STATE, else the XDG state folder)")
	flags.StringVar(&a.config, "config", "", "configuration file (default STATE/glovebox.yaml, where there is one)")
	flags.BoolVar(&a.json, "json", false, "print JSON; errors are application/problem+json")
	root.AddCommand(a.upCommand(), a.downCommand(), a.statusCommand(), a.chatCommand(),
		a.skillCommand(), a.trustCommand(), a.osvCommand(), a.registryCommand(), a.egressCommand(), a.mcpCommand(), a.approvalCommand(), a.approveCommand(), a.denyCommand(),
		a.secretCommand(), a.budgetCommand(), a.memoryCommand(), a.auditCommand(), a.explainCommand(), a.drillCommand(), a.versionCommand())
	group(root)
	return root
}

const helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{if .HasExample}}Example:
{{.Example}}

{{end}}{{.UsageString}}`

const usageTemplate = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} [command]

Commands:{{range .Commands}}{{if (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Global flags:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
`

// group makes a command that only has sub-commands answer an unknown one with the
// nearest, and nothing with its help.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		hint := "see " + quote(cmd.CommandPath()+" --help")
		if near := nearest(cmd, args[0]); near != "" {
			hint = "did you mean " + quote(cmd.CommandPath()+" "+near) + "?"
		}
		return usage("unknown command "+quote(args[0])+" for "+quote(cmd.CommandPath()), hint)
	}
	return cmd
}

// nearest returns the command whose name takes the fewest edits, "" if none is near.
func nearest(cmd *cobra.Command, word string) string {
	best, least := "", 3
	for _, c := range cmd.Commands() {
		if d := edits(word, c.Name()); c.IsAvailableCommand() && d < least {
			best, least = c.Name(), d
		}
	}
	return best
}

// edits is the Levenshtein distance of two words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j]+1, row[j+1]+1, change)
		}
	}
	return row[len(b)]
}

// exactly admits n arguments.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

// between admits from least to most arguments.
func between(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usage("wrong number of arguments", "usage: "+cmd.UseLine())
		}
		return nil
	}
}

// stateDir returns where the state folder is, without looking at it.
func (a *app) stateDir() (string, error) {
	if a.state != "" {
		return a.state, nil
	}
	env, err := config.FromEnvironment()
	if err != nil {
		return "", usage(err.Error(), "")
	}
	return env.State, nil
}

// openState opens the state folder and makes it where it is missing.
func (a *app) openState() (*config.State, error) {
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	return config.OpenState(dir)
}

// settings returns the configuration of the daemon that runs on the state folder,
// unless --config says otherwise, and of the one that would start where none runs.
func (a *app) settings(state *config.State) (config.Config, error) {
	if a.config == "" {
		if info, err := state.Running(); err == nil && info.Config != "" {
			return config.Load(info.Config)
		}
	}
	return a.ownSettings(state)
}

// ownSettings returns the configuration of --config, else GLOVEBOX_CONFIG, else the
// state folder, else the defaults.
func (a *app) ownSettings(state *config.State) (config.Config, error) {
	file := a.config
	if file == "" {
		if env, err := config.FromEnvironment(); err == nil {
			file = env.Config
		}
	}
	if file == "" {
		if _, err := os.Stat(state.DefaultConfigFile()); err != nil {
			return config.Default(), nil
		}
		file = state.DefaultConfigFile()
	}
	return config.Load(file)
}
