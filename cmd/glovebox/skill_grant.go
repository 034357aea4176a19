package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/install"
	"github.com/spf13/cobra"
)

// grantFlags are the capabilities that can be named at the command line.
type grantFlags struct {
	all     bool
	http    []string // origin, or argument:NAME
	files   []string // MOUNT[:rw]
	mounts  []string // MOUNT=DIR[:rw]
	secrets []string // NAME[=STORE]
	config  []string // key=value
	flows   []string // SOURCE=ORIGIN
	kv      bool
	human   bool
}

func (g *grantFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&g.all, "all", false, "grant exactly what the skill asks for")
	f.StringArrayVar(&g.http, "http", nil, "grant requests to this `ORIGIN`, or to the origin of an argument with argument:NAME")
	f.StringArrayVar(&g.mounts, "mount", nil, "give a mount its folder: `/data=DIR[:rw]`")
	f.StringArrayVar(&g.secrets, "secret", nil, "let the broker use a stored secret: `NAME[=STORED]`")
	f.StringArrayVar(&g.config, "config", nil, "give the skill a setting: `KEY=VALUE` (without = it names the configuration file, as elsewhere)")
	f.StringArrayVar(&g.flows, "flow", nil, "let what a call has read of a source go to a server: `SOURCE=ORIGIN`, SOURCE a mount, kv, human or an origin")
	f.BoolVar(&g.kv, "kv", false, "grant the key-value store")
	f.BoolVar(&g.human, "human", false, "let the skill ask the operator questions")
}

// split leaves the settings in g.config and returns the configuration file, if one
// was named: here --config stands for both.
func (g *grantFlags) split() (file string) {
	g.config = slices.DeleteFunc(g.config, func(v string) bool {
		if strings.Contains(v, "=") {
			return false
		}
		file = v
		return true
	})
	return file
}

func (g *grantFlags) any() bool {
	return g.all || g.kv || g.human || len(g.http)+len(g.files)+len(g.mounts)+len(g.secrets)+len(g.config)+len(g.flows) > 0
}

// apply adds what the flags name to grant, as far as the manifest asks for it.
func (g *grantFlags) apply(m *abi.Manifest, grant *abi.Grant) error {
	if g.all {
		asked := m.AsGrant()
		asked.Agents, asked.Pin, asked.Config = grant.Agents, grant.Pin, grant.Config
		*grant = *asked
	}
	for _, step := range []func(*abi.Manifest, *abi.Grant) error{g.applyHTTP, g.applyFiles, g.applySecrets, g.applyFlows, g.applyRest} {
		if err := step(m, grant); err != nil {
			return err
		}
	}
	return nil
}

func notAsked(m *abi.Manifest, what string, asked []string) error {
	list := "nothing of the kind"
	if len(asked) > 0 {
		list = strings.Join(asked, "; ")
	}
	return usage(fmt.Sprintf("skill %q does not ask for %s", m.Name, what), "it asks for "+list)
}

func (g *grantFlags) applyHTTP(m *abi.Manifest, grant *abi.Grant) error {
	for _, flag := range g.http {
		argument, isArgument := strings.CutPrefix(flag, "argument:")
		origin, err := abi.ParseOriginPattern(flag)
		if !isArgument && err != nil {
			return usage(err.Error(), "an origin is scheme://host[:port], such as https://api.example.com")
		}
		found := false
		var asked []string
		for _, need := range m.Needs.HTTP {
			asked = append(asked, need.String())
			covered := need.Origin == origin || need.Origin != "" && need.Origin.Matches(abi.Origin(origin))
			if isArgument && need.Argument != argument || !isArgument && !covered {
				continue
			}
			found = true
			entry := abi.HTTPGrant{Methods: slices.Clone(need.Methods), Paths: slices.Clone(need.Paths), MaxResponse: need.MaxResponse}
			if entry.Argument = argument; !isArgument {
				entry.Argument, entry.Origin = "", origin
			}
			grant.Allow.HTTP = append(grant.Allow.HTTP, entry)
		}
		if !found {
			return notAsked(m, flag, asked)
		}
	}
	return nil
}

func (g *grantFlags) applyFiles(m *abi.Manifest, grant *abi.Grant) error {
	set := func(mount, folder, mode string) error {
		access := abi.AccessRead
		if mode == "rw" {
			access = abi.AccessWrite
		}
		i := slices.IndexFunc(m.Needs.Files, func(f abi.FileNeed) bool { return f.Mount == mount })
		if i < 0 {
			var asked []string
			for _, f := range m.Needs.Files {
				asked = append(asked, f.Mount+":"+string(f.Access))
			}
			return notAsked(m, "files "+mount, asked)
		}
		grant.Allow.Files = slices.DeleteFunc(grant.Allow.Files, func(f abi.FileGrant) bool { return f.Mount == mount })
		grant.Allow.Files = append(grant.Allow.Files, abi.FileGrant{Mount: mount, Host: folder, Access: access, MaxBytes: m.Needs.Files[i].MaxBytes})
		return nil
	}
	for _, flag := range g.files {
		mount, mode := cutMode(flag)
		if err := set(mount, abi.WorkspacePrefix+strings.TrimPrefix(mount, "/"), mode); err != nil {
			return err
		}
	}
	for _, flag := range g.mounts {
		mount, dir, ok := strings.Cut(flag, "=")
		if !ok {
			return usage("mount "+quote(flag)+" has no folder", "--mount /data=DIR or --mount /data=DIR:rw")
		}
		dir, mode := cutMode(dir)
		abs, err := filepath.Abs(dir)
		if err != nil {
			return fmt.Errorf("mount %s: %w", flag, err)
		}
		if err := set(mount, abs, mode); err != nil {
			return err
		}
	}
	return nil
}

func cutMode(s string) (rest, mode string) {
	for _, mode := range []string{"ro", "rw"} {
		if rest, ok := strings.CutSuffix(s, ":"+mode); ok {
			return rest, mode
		}
	}
	return s, "ro"
}

func (g *grantFlags) applySecrets(m *abi.Manifest, grant *abi.Grant) error {
	for _, flag := range g.secrets {
		name, stored, ok := strings.Cut(flag, "=")
		if !ok {
			stored = name
		}
		var asked []string
		for _, s := range m.Needs.Secrets {
			asked = append(asked, string(s.Name))
		}
		if !slices.Contains(asked, name) {
			return notAsked(m, "secret "+name, asked)
		}
		grant.Allow.Secrets = slices.DeleteFunc(grant.Allow.Secrets, func(s abi.SecretGrant) bool { return string(s.Name) == name })
		grant.Allow.Secrets = append(grant.Allow.Secrets, abi.SecretGrant{Name: abi.SecretName(name), From: "store:" + stored})
	}
	return nil
}

func (g *grantFlags) applyFlows(m *abi.Manifest, grant *abi.Grant) error {
	for _, flag := range g.flows {
		from, origin, _ := strings.Cut(flag, "=")
		to, err := abi.ParseOriginPattern(origin)
		if err != nil {
			return usage(err.Error(), "--flow /data=https://api.example.com")
		}
		var asked []string
		found := false
		for _, need := range m.Needs.Flows {
			asked = append(asked, need.String())
			found = found || need.From == from && (need.To == to || need.To.Matches(abi.Origin(to)))
		}
		if !found {
			return notAsked(m, flag, asked)
		}
		if entry := (abi.FlowGrant{From: from, To: to}); !slices.Contains(grant.Allow.Flows, entry) {
			grant.Allow.Flows = append(slices.Clone(grant.Allow.Flows), entry)
		}
	}
	return nil
}

func (g *grantFlags) applyRest(m *abi.Manifest, grant *abi.Grant) error {
	for _, flag := range g.config {
		key, value, _ := strings.Cut(flag, "=")
		if grant.Config == nil {
			grant.Config = map[string]string{}
		}
		grant.Config[key] = value
	}
	if g.kv {
		if m.Needs.KV == nil {
			return notAsked(m, "the key-value store", nil)
		}
		grant.Allow.KV = &abi.KVGrant{MaxBytes: m.Needs.KV.MaxBytes}
	}
	if g.human {
		if m.Needs.Human == nil {
			return notAsked(m, "questions to the operator", nil)
		}
		grant.Allow.Human = true
	}
	return nil
}

func (a *app) skillGrant() *cobra.Command {
	var flags grantFlags
	var agents []string
	var unpinned bool
	cmd := &cobra.Command{
		Use: "grant NAME", Short: "Decide what an installed skill may do", Args: exactly(1),
		Long: `Decide what an installed skill may do, from its next call on. Without a flag that
names a capability the skill's whole request is shown and granted after a yes; not
at a terminal, --all says that yes. The grant holds for exactly the bundle that lies
there now, unless --unpinned.`,
		Example: `  glovebox skill grant webpage --all
  glovebox skill grant issues --http https://api.github.com --secret gh=github`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.config = flags.split()
			t, err := a.find(args[0])
			if err != nil {
				return err
			}
			if t.bundle == nil {
				return usage("a bare module cannot be granted anything", "glovebox skill run "+args[0]+" TOOL JSON --http ORIGIN")
			}
			cfg, err := a.hostConfig()
			if err != nil {
				return err
			}
			if t.proof, err = admitted(cmd.Context(), cfg, t.bundle); err != nil {
				return err
			}
			m := &t.bundle.Manifest.Manifest
			if !flags.any() {
				if err := a.consent(m, host.Shared(cfg, m.AsGrant())); err != nil {
					return err
				}
				flags.all = true
			}
			return a.writeGrant(cfg, t, flags, agents, unpinned)
		},
	}
	flags.register(cmd)
	cmd.Flags().StringArrayVar(&flags.files, "files", nil, "grant a mount, in the agent's workspace: `MOUNT[:rw]`")
	cmd.Flags().StringArrayVar(&agents, "agent", nil, "`NAME` of the agent that may use it (default: the first of the configuration)")
	cmd.Flags().BoolVar(&unpinned, "unpinned", false, "keep the grant when the skill is rebuilt")
	return cmd
}

// admitted judges a skill as the daemon does: what would not be loaded is granted
// nothing.
func admitted(ctx context.Context, cfg host.Config, b *skills.Bundle) (_ abi.Proof, err error) {
	judge := host.OpenJudge(ctx, cfg)
	defer func() { err = errors.Join(err, judge.Close()) }()
	gate, known, err := judge.Gate()
	if err != nil {
		return abi.Proof{}, err
	}
	ad, err := gate.Look(ctx, b, "", known)
	if err != nil {
		return abi.Proof{}, err
	}
	return ad.Proof(), nil
}

// consent shows the request and asks a person for a yes.
func (a *app) consent(m *abi.Manifest, shared []host.Sharing) error {
	asked := m.AsGrant()
	asked.Agents = []abi.AgentID{"x"}
	_, why, err := abi.Effective(m, asked, abi.GlobalPolicy{}, "x", abi.Proof{}, time.Now())
	if err != nil {
		return err
	}
	a.say("skill %s %s asks for:", m.Name, m.Version)
	for _, e := range why {
		a.say("  %s", e.Right)
	}
	if len(why) == 0 {
		a.say("  nothing but to compute")
	}
	a.warnShared(shared)
	if !a.terminal {
		return usage("nobody can be asked for consent here", "glovebox skill grant "+string(m.Name)+" --all")
	}
	fmt.Fprint(a.err, "grant all of it? [y/N] ")
	lines := bufio.NewScanner(a.in)
	if lines.Scan() {
		switch strings.ToLower(strings.TrimSpace(lines.Text())) {
		case "y", "yes":
			return nil
		}
	}
	return failed("nothing was granted", "")
}

// warnShared tells which folders another skill has too.
func (a *app) warnShared(list []host.Sharing) {
	for _, s := range list {
		a.say("warning: %s is the folder %s, which skill %s has too", s.Mount, s.Host, s.With)
	}
}

func (a *app) writeGrant(cfg host.Config, t target, flags grantFlags, agents []string, unpinned bool) error {
	m := &t.bundle.Manifest.Manifest
	grant := &abi.Grant{Schema: abi.SchemaGrant, Skill: m.Name}
	if t.grant != nil {
		copied := *t.grant
		grant = &copied
	}
	for _, name := range agents {
		if _, ok := cfg.Settings.Agent(name); !ok {
			return usage(fmt.Sprintf("there is no agent %q", name), "glovebox status")
		}
		if !slices.Contains(grant.Agents, abi.AgentID(name)) {
			grant.Agents = append(slices.Clone(grant.Agents), abi.AgentID(name))
		}
	}
	if len(grant.Agents) == 0 {
		grant.Agents = []abi.AgentID{abi.AgentID(cfg.Settings.Agents[0].Name)}
	}
	if err := flags.apply(m, grant); err != nil {
		return err
	}
	grant.Pin = &abi.Pin{SHA256: t.bundle.Digest.Hex()}
	if unpinned {
		grant.Pin = nil
	}
	return a.saveGrant(cfg, m, grant, t.proof)
}

// saveGrant writes a grant that would hold, and shows what it comes to.
func (a *app) saveGrant(cfg host.Config, m *abi.Manifest, grant *abi.Grant, proof abi.Proof) error {
	data, err := abi.EncodeGrant(grant)
	if err != nil {
		return err
	}
	name := "grants/" + string(m.Name) + ".yaml"
	decoded, err := abi.DecodeGrant(name, data)
	if err != nil {
		return err
	}
	var agent abi.AgentID
	if len(grant.Agents) > 0 {
		agent = grant.Agents[0]
	}
	// Private origins are a decision of their own: they do not void the grant.
	_, why, err := abi.Effective(m, decoded, abi.GlobalPolicy{}, agent, proof, time.Now())
	if err != nil && !errors.Is(err, abi.ErrStaleGrant) {
		return err
	}
	if err != nil {
		return usage(err.Error(), "glovebox skill inspect "+string(m.Name))
	}
	path, err := install.OpenStore(cfg.State).WriteGrant(m.Name, data)
	if err != nil {
		return err
	}
	shared := host.Shared(cfg, decoded)
	if why == nil {
		why = []abi.Explanation{}
	}
	return a.show(map[string]any{"skill": m.Name, "file": path, "agents": grant.Agents, "rights": why, "shared": shared}, func() {
		a.warnShared(shared)
		for _, e := range why {
			word := map[bool]string{true: "granted", false: "not granted"}[e.Granted]
			fmt.Fprintln(a.out, oneLine(word+": "+e.Right+" "+e.Why))
		}
		a.say("written to %s; it holds from the next call on", path)
	})
}

func (a *app) skillRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "Take back all that a skill may do", Args: exactly(1),
		Long: `Take back all that a skill may do. A grant that names no agent is written into the
state folder; it goes before the grant files of the configuration.`,
		Example: "  glovebox skill revoke webpage",
		RunE: func(_ *cobra.Command, args []string) error {
			name := abi.SkillName(args[0])
			if err := name.Check(); err != nil {
				return usage(err.Error(), "")
			}
			state, err := a.openState()
			if err != nil {
				return err
			}
			data, err := abi.EncodeGrant(&abi.Grant{Schema: abi.SchemaGrant, Skill: name})
			if err != nil {
				return err
			}
			path, err := install.OpenStore(state).WriteGrant(name, data)
			if err != nil {
				return err
			}
			return a.show(map[string]any{"skill": name, "file": path, "revoked": true}, func() {
				a.say("revoked; %s grants nothing", path)
			})
		},
	}
}
