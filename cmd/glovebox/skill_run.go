package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/spf13/cobra"
)

// runAgent is the agent on whose behalf "skill run" acts.
const runAgent abi.AgentID = "cli"

// allMethods and allPaths are what --http grants to a module without a manifest.
var (
	allMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
	allPaths   = []string{"/**"}
)

// runFlags are those of skill run.
type runFlags struct {
	grantFlags
	grantFile string
	verbose   bool
}

func (a *app) skillRun() *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run FILE.wasm|DIR|NAME TOOL [JSON | - | @FILE]",
		Short: "Run one tool of a skill in the chamber, without a daemon",
		Long: `Run one tool of a skill in the chamber, without a daemon. The arguments are a JSON
object, - for stdin or @FILE. Nothing is granted unless a flag says so: what the
skill was denied is shown on stderr with the flag that would have granted it.`,
		Example: `  glovebox skill run plugin.wasm greet '{"name":"Ada"}'
  glovebox skill run examples/webpage read '{"url":"https://example.com/"}' --http argument:url`,
		Args: between(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file := flags.split(); file != "" {
				a.config = file
			}
			input := "{}"
			if len(args) == 3 {
				input = args[2]
			}
			data, err := a.input(input)
			if err != nil {
				return err
			}
			return a.runTool(cmd.Context(), args[0], args[1], data, flags)
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&flags.grantFile, "grant", "", "use the grants of this `FILE`")
	cmd.Flags().BoolVar(&flags.verbose, "verbose", false, "show the log of the skill and what the call used")
	return cmd
}

// input reads an argument, stdin for -, or a file for @FILE.
func (a *app) input(arg string) ([]byte, error) {
	read := func(r io.Reader) ([]byte, error) {
		b, err := io.ReadAll(io.LimitReader(r, abi.MaxLimits().Input+1))
		if err == nil && int64(len(b)) > abi.MaxLimits().Input {
			err = usage(fmt.Sprintf("the input has more than %d bytes", abi.MaxLimits().Input), "")
		}
		return b, err
	}
	if arg == "-" {
		return read(a.in)
	}
	name, ok := strings.CutPrefix(arg, "@")
	if !ok {
		return []byte(arg), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the input: %w", err)
	}
	defer func() { _ = f.Close() }()
	return read(f)
}

// runResult is what skill run --json prints.
type runResult struct {
	Result  abi.CallResult `json:"result"`
	Output  string         `json:"output,omitempty"` // of a module without tools
	Code    int            `json:"code"`
	Denials []abi.Problem  `json:"denials"`
	Log     []string       `json:"log,omitempty"`
	Usage   runUsage       `json:"usage"`
}

// runUsage is what the call consumed.
type runUsage struct {
	WallMS       float64 `json:"wall_ms"`
	Memory       int64   `json:"memory"` // bytes
	HostCalls    int     `json:"host_calls"`
	HTTPCalls    int     `json:"http_calls"`
	HTTPSent     int64   `json:"http_sent"`     // bytes
	HTTPReceived int64   `json:"http_received"` // bytes
	FileRead     int64   `json:"file_read"`     // bytes
	FileWritten  int64   `json:"file_written"`  // bytes
}

func usageOf(u wasm.Usage) runUsage {
	return runUsage{
		WallMS: float64(u.Wall.Microseconds()) / 1000, Memory: u.Memory, HostCalls: u.HostCalls, HTTPCalls: u.HTTPCalls,
		HTTPSent: u.HTTPSent, HTTPReceived: u.HTTPReceived, FileRead: u.FileRead, FileWritten: u.FileWritten,
	}
}

func (a *app) runTool(ctx context.Context, what, tool string, input []byte, flags runFlags) error {
	t, err := a.find(what)
	if err != nil {
		return err
	}
	inv := wasm.Invocation{Tool: abi.ToolName(tool)}
	m, digest, err := a.manifest(t, tool, &flags, &inv)
	if err != nil {
		return err
	}
	if t.named {
		if inv.Source.Read, t.proof, err = a.loaded(ctx, t.bundle); err != nil {
			return err
		}
	}
	if inv.Profile == abi.ProfileRaw {
		inv.Export, inv.Input = tool, input // any bytes: the module's own business
	} else {
		if err := abi.CheckJSON(input, 64); err != nil {
			return usage("the arguments are not JSON: "+err.Error(), `glovebox skill run `+config.ShellQuote(what)+" "+config.ShellQuote(tool)+` '{"key":"value"}'`)
		}
		inv.Arguments = input
	}
	inv.Caller = abi.Caller{Agent: runAgent, Session: "cli", Skill: m.Name, Tool: inv.Tool, Call: "cli"}
	state, err := a.openState()
	if err != nil {
		return err
	}
	private, err := a.runOrigins(state, m.Name, flags.http)
	if err != nil {
		return err
	}
	if inv.Rights, err = runRights(state, m, digest, t, flags, private); err != nil {
		return err
	}
	if inv.Rights, err = inv.Rights.Bind(inv.Arguments); err != nil {
		return usage(err.Error(), "")
	}
	chamber, err := a.open(ctx, state, private)
	if err != nil {
		return err
	}
	watch := &watcher{app: a, verbose: flags.verbose}
	inv.Services = wasm.Services{Fetch: chamber.Broker, KV: chamber.KV, Secrets: chamber.Broker, Observer: watch}
	if a.terminal {
		inv.Services.Ask = watch
	}
	out, err := chamber.Engine.Call(ctx, inv)
	err = errors.Join(err, chamber.Close(context.WithoutCancel(ctx)))
	return a.showRun(out, err, flags.verbose)
}

// loaded judges an installed skill as the daemon does when it loads one, and returns
// the module that was judged. A folder or a file is its author's own to try.
func (a *app) loaded(ctx context.Context, b *skills.Bundle) (_ func() (abi.Blob, error), _ abi.Proof, err error) {
	cfg, err := a.hostConfig()
	if err != nil {
		return nil, abi.Proof{}, err
	}
	judge := host.OpenJudge(ctx, cfg)
	defer func() { err = errors.Join(err, judge.Close()) }()
	gate, known, err := judge.Gate()
	if err != nil {
		return nil, abi.Proof{}, err
	}
	judged, ad, err := gate.Load(ctx, b, "", known)
	if err != nil {
		return nil, abi.Proof{}, err
	}
	return wasm.SourceOf(judged).Read, ad.Proof(), nil
}

// manifest returns the request that bounds the call: that of the bundle, or for a
// bare module one made of the flags themselves, since nobody else asks there.
func (a *app) manifest(t target, tool string, flags *runFlags, inv *wasm.Invocation) (*abi.Manifest, abi.Digest, error) {
	if t.bundle != nil {
		m := &t.bundle.Manifest.Manifest
		inv.Source, inv.Profile = wasm.Source{Digest: t.bundle.Manifest.Module, Read: t.bundle.Read}, m.ABI
		return m, t.bundle.Digest, nil
	}
	report, err := module.Scan(t.module, module.DefaultLimits())
	if err != nil {
		return nil, "", err
	}
	if inv.Profile, err = report.Profile(); err != nil {
		return nil, "", fmt.Errorf("%s: %w", t.file, err)
	}
	inv.Source = wasm.SourceOf(abi.NewBlob(t.module))
	m, err := flags.bareManifest(skillNameOf(t.file), inv.Profile)
	return m, inv.Source.Digest, err
}

// skillNameOf makes a skill's name of a file's.
func skillNameOf(file string) abi.SkillName {
	base := strings.ToLower(strings.TrimSuffix(filepath.Base(file), ".wasm"))
	words := strings.FieldsFunc(base, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	name := abi.SkillName(strings.Join(words, "-"))
	if name.Check() != nil {
		return "module"
	}
	return name
}

func (f *runFlags) bareManifest(name abi.SkillName, profile abi.Profile) (*abi.Manifest, error) {
	m := &abi.Manifest{Schema: abi.SchemaSkill, Name: name, Version: "0.0.0", ABI: profile, Module: "skill.wasm", Description: "a module without a manifest"}
	for _, flag := range f.http {
		need := abi.HTTPNeed{Methods: allMethods, Paths: allPaths}
		if argument, ok := strings.CutPrefix(flag, "argument:"); ok {
			need.Argument = argument
		} else {
			origin, err := abi.ParseOriginPattern(flag)
			if err != nil {
				return nil, usage(err.Error(), "an origin is scheme://host[:port], such as https://api.example.com")
			}
			need.Origin = origin
		}
		m.Needs.HTTP = append(m.Needs.HTTP, need)
	}
	for _, flag := range f.mounts {
		mount, dir, _ := strings.Cut(flag, "=")
		_, mode := cutMode(dir)
		m.Needs.Files = append(m.Needs.Files, abi.FileNeed{Mount: mount, Access: abi.Access(mode)})
	}
	for _, flag := range f.secrets {
		secret, _, _ := strings.Cut(flag, "=")
		need := abi.SecretNeed{Name: abi.SecretName(secret), Inject: abi.InjectSpec{Bearer: true}}
		for _, h := range m.Needs.HTTP {
			if origin, err := abi.ParseOrigin(string(h.Origin)); err == nil {
				need.Only = append(need.Only, origin)
			}
		}
		m.Needs.Secrets = append(m.Needs.Secrets, need)
	}
	for _, flag := range f.config {
		key, _, _ := strings.Cut(flag, "=")
		m.Needs.Config = append(m.Needs.Config, abi.ConfigNeed{Key: key})
	}
	if f.kv {
		m.Needs.KV = &abi.KVNeed{MaxBytes: abi.Size(abi.DefaultLimits().KVBytes)}
	}
	for _, flag := range f.flows {
		from, to, _ := strings.Cut(flag, "=")
		m.Needs.Flows = append(m.Needs.Flows, abi.FlowNeed{From: from, To: abi.OriginPattern(to)})
	}
	if f.human {
		m.Needs.Human = &abi.HumanNeed{Ask: true}
	}
	return m, nil
}

// runOrigins are the private origins of this run: those that are open to the skill, and
// those that the person at the keyboard wrote out.
func (a *app) runOrigins(state *config.State, skill abi.SkillName, flags []string) ([]abi.Origin, error) {
	open, err := a.openOrigins(state)
	if err != nil {
		return nil, err
	}
	var list []abi.Origin
	for _, o := range open {
		if o.Admits(skill) {
			list = append(list, o.Origin)
		}
	}
	for _, flag := range flags {
		if o, err := abi.ParseOrigin(flag); err == nil && !slices.Contains(list, o) {
			list = append(list, o)
		}
	}
	return list, nil
}

// runRights computes what this one call may do.
func runRights(state *config.State, m *abi.Manifest, digest abi.Digest, t target, flags runFlags, private []abi.Origin) (abi.Rights, error) {
	grant := &abi.Grant{Schema: abi.SchemaGrant, Skill: m.Name}
	if flags.grantFile != "" {
		data, err := config.ReadOwned(flags.grantFile, 256*abi.KiB)
		if err != nil {
			return abi.Rights{}, fmt.Errorf("read grant: %w", err)
		}
		if grant, err = abi.DecodeGrant(flags.grantFile, data); err != nil {
			return abi.Rights{}, err
		}
	}
	grant.Agents = []abi.AgentID{runAgent} // who runs the command is who granted it
	if err := flags.apply(m, grant); err != nil {
		return abi.Rights{}, err
	}
	rights, why, err := abi.Effective(m, grant, abi.GlobalPolicy{PrivateOrigins: private}, runAgent, abi.Proof{Digest: digest, Signer: t.proof.Signer}, time.Now())
	if err != nil {
		return abi.Rights{}, err
	}
	if !rights.Granted {
		for _, e := range why {
			if !e.Granted {
				return abi.Rights{}, refused(e.Why, e.Grant, "see \"glovebox skill inspect\" for what the skill asks for")
			}
		}
	}
	err = host.ResolveFiles(&rights, host.Protected{State: state.Dir()}, func() (string, error) {
		dir, err := state.AgentDir(config.AgentName(runAgent))
		return filepath.Join(dir, "workspace"), err
	})
	return rights, err
}

func (a *app) showRun(out *wasm.Outcome, err error, verbose bool) error {
	if out == nil {
		return err
	}
	if out.Denials == nil {
		out.Denials = []abi.Problem{}
	}
	if err == nil && a.json {
		r := runResult{Result: out.Result, Output: string(out.Raw), Code: out.Code, Denials: out.Denials, Usage: usageOf(out.Usage)}
		if len(out.Result.Content) > 0 {
			r.Output = ""
		}
		for _, l := range out.Log {
			r.Log = append(r.Log, l.Message)
		}
		if err := a.show(r, nil); err != nil {
			return err
		}
	} else if err == nil {
		a.showContent(out)
	}
	if verbose {
		u := out.Usage
		a.say("used: %s, memory %d, %d host calls, %d requests", u.Wall.Round(time.Microsecond), u.Memory, u.HostCalls, u.HTTPCalls)
	}
	switch {
	case err != nil:
		return err
	case out.Result.IsError && len(out.Denials) > 0:
		return &failure{code: exitRefused, what: "the skill could not do it without what it was denied", rule: out.Denials[0].Rule, hint: runHint(out.Denials[0].Hint)}
	case out.Result.IsError:
		return failed("the skill reports an error", "")
	}
	return nil
}

func (a *app) showContent(out *wasm.Outcome) {
	if len(out.Result.Content) == 0 {
		fmt.Fprint(a.out, printable(string(out.Raw)))
		if len(out.Raw) > 0 && out.Raw[len(out.Raw)-1] != '\n' {
			fmt.Fprintln(a.out)
		}
	}
	for _, c := range out.Result.Content {
		switch c.Type {
		case "text":
			fmt.Fprintln(a.out, printable(c.Text))
		default:
			a.say("(%s %s, %d bytes in base64: see it with --json)", c.Type, c.MIMEType, len(c.Data))
		}
	}
}

// runHint turns the hint for an installed skill into the flag of this command.
func runHint(hint string) string {
	if rest, ok := strings.CutPrefix(hint, "glovebox skill grant "); ok {
		if _, flag, ok := strings.Cut(rest, " "); ok {
			return "add " + strings.Replace(flag, "--files MOUNT", "--mount /NAME=DIR", 1)
		}
	}
	return hint
}

// watcher shows what a guest does while it runs, and asks the person at the terminal.
type watcher struct {
	app     *app
	verbose bool
	mu      sync.Mutex // guards the terminal
}

// Denied implements wasm.Observer.
func (w *watcher) Denied(_ context.Context, _ abi.Caller, p *abi.Problem) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.app.say("%s", deniedLine(*p))
	if p.Hint != "" {
		w.app.say("hint: %s", runHint(p.Hint))
	}
}

// deniedLine shows one refusal; those that are no denial of a grant name their code.
func deniedLine(p abi.Problem) string {
	line := p.Error()
	if p.Code != abi.CodeDenied {
		line = "refused: " + line
	}
	return line
}

// Log implements wasm.Observer.
func (w *watcher) Log(_ context.Context, _ abi.Caller, _ slog.Level, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.verbose {
		w.app.say("log: %s", message)
	}
}

// Progress implements wasm.Observer.
func (w *watcher) Progress(_ context.Context, _ abi.Caller, p abi.ProgressRequest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.verbose {
		w.app.say("progress: %g of %g %s", p.Progress, p.Total, p.Message)
	}
}

// Ask implements wasm.Asker: an empty answer declines.
func (w *watcher) Ask(_ context.Context, c abi.Caller, req abi.AskRequest) (abi.AskResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.app.say("skill %s asks: %s", c.Skill, req.Question)
	if len(req.Choices) > 0 {
		w.app.say("one of: %s", strings.Join(req.Choices, ", "))
	}
	fmt.Fprint(w.app.err, "answer (empty declines): ")
	lines := bufio.NewScanner(w.app.in)
	if !lines.Scan() || strings.TrimSpace(lines.Text()) == "" {
		return abi.AskResult{Action: "decline"}, nil
	}
	content, err := json.Marshal(strings.TrimSpace(lines.Text()))
	return abi.AskResult{Action: "accept", Content: content}, err
}
