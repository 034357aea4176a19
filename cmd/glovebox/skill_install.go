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
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/install"
	"github.com/spf13/cobra"
)

// installing are the flags of "skill install" and "skill upgrade".
type installing struct {
	consent   string   // all or none
	yes       []string // capabilities
	agents    []string
	downgrade bool
	publisher string // that may take the skill over
	private   bool   // the place is in the operator's own network
}

func (f *installing) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.consent, "consent", "", "without a terminal: `all` grants what it asks for, none grants nothing")
	flags.StringArrayVar(&f.yes, "yes-to", nil, "grant this `CAPABILITY`, as the question names it, such as http:https://api.example.com; may be repeated")
	flags.StringArrayVar(&f.agents, "agent", nil, "`NAME` of the agent that may use it (default: the first of the configuration)")
	flags.BoolVar(&f.downgrade, "allow-downgrade", false, "let an older version, or other content of the same, replace what is there")
	flags.BoolVar(&f.private, "private", false, "the place that was named may have a private address")
	flags.StringVar(&f.publisher, "allow-publisher", "", "let this `PUBLISHER` take over a skill that another one signed before")
}

func (a *app) skillInstall() *cobra.Command {
	var f installing
	cmd := &cobra.Command{
		Use: "install NAME[@VERSION]|FILE.tar|DIR|oci://…|https://…", Short: "Look at a signed skill, consent to it, and put it into use", Args: exactly(1),
		Long: `Look at a signed skill, consent to it, and put it into use: its signature and the
digests are verified first; then it shows who signed it and since when, what is known
against its dependencies, what is different from the version that is there, and what it
asks for, one capability after the other. What is consented to becomes its grant, which
holds for this version and signer alone. A version counts from one moment to the next;
calls that run finish on the old one.

NAME is a skill of a registry (glovebox registry search), PUBLISHER/SKILL with
@VERSION or @sha256:DIGEST where another than the newest is wanted.`,
		Example: `  glovebox skill install acme/weather
  glovebox skill install ./weather-1.4.0.skill.tar --yes-to http:https://api.weather.example
  glovebox skill install oci://registry.example/weather:1.4.0 --consent all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.install(cmd.Context(), args[0], "", f)
		},
	}
	f.register(cmd)
	return cmd
}

func (a *app) skillUpgrade() *cobra.Command {
	var f installing
	cmd := &cobra.Command{
		Use: "upgrade NAME", Short: "Install the newest version from where a skill came from", Args: exactly(1),
		Long: `Install the newest version from where a skill came from, with the same questions as
"skill install", as far as they are new. A pinned skill stays as it is.`,
		Example: "  glovebox skill upgrade weather",
		RunE: func(cmd *cobra.Command, args []string) error {
			name := abi.SkillName(args[0])
			if err := name.Check(); err != nil {
				return usage(err.Error(), "glovebox skill list")
			}
			state, err := a.openState()
			if err != nil {
				return err
			}
			e, err := installed(install.OpenStore(state), name)
			if err != nil {
				return err
			}
			if e.Pinned {
				return failed(fmt.Sprintf("skill %q is pinned to version %s", name, e.Version), "glovebox skill unpin "+string(name))
			}
			return a.install(cmd.Context(), unversioned(e.Source), name, f)
		},
	}
	f.register(cmd)
	return cmd
}

// installed returns the entry of a skill in the store.
func installed(s *install.Store, name abi.SkillName) (*install.Entry, error) {
	lock, err := s.Lock()
	if err != nil {
		return nil, err
	}
	if e := lock.Installed(name); e != nil {
		return e, nil
	}
	return nil, failed(fmt.Sprintf("skill %q was not installed", name), "glovebox skill install "+string(name))
}

// install fetches, shows, asks and commits. name is what must come, "" for anything.
func (a *app) install(ctx context.Context, source string, name abi.SkillName, f installing) (err error) {
	if !slices.Contains([]string{"", "all", "none"}, f.consent) {
		return usage("--consent "+quote(f.consent)+": want all or none", "glovebox skill install --help")
	}
	cfg, err := a.hostConfig()
	if err != nil {
		return err
	}
	for _, agent := range f.agents {
		if _, ok := cfg.Settings.Agent(agent); !ok {
			return usage(fmt.Sprintf("there is no agent %q", agent), "glovebox status")
		}
	}
	judge := host.OpenJudge(ctx, cfg)
	defer func() { err = errors.Join(err, judge.Close()) }()
	gate, known, err := judge.Gate()
	if err != nil {
		return err
	}
	offer, opt, err := a.fetch(ctx, source, f.private)
	if err != nil {
		return err
	}
	if name != "" {
		opt.Name = name
	}
	opt.Downgrade, opt.OtherOwner = f.downgrade, f.publisher != ""
	store := install.OpenStore(cfg.State)
	if err := store.Recover(); err != nil {
		return err
	}
	bundle, _, _, _ := host.FindSkill(cfg, offer.Artifact.Name) // a damaged one is replaced
	grant, _, err := host.FindGrant(cfg, offer.Artifact.Name)
	if err != nil {
		return err
	}
	if bundle != nil && !strings.HasPrefix(bundle.Dir, filepath.Join(cfg.State.Skills(), string(bundle.Name()))+string(filepath.Separator)) {
		return refused(fmt.Sprintf("skill %q lies in %s, a folder of the configuration, which comes first", bundle.Name(), bundle.Dir), string(install.ReasonFolder), "take the folder out of skills.dirs, or rename the skill")
	}
	p, err := store.Prepare(ctx, gate, *offer, grant, known, opt)
	if err != nil {
		return err
	}
	defer p.Release()
	if f.publisher != "" && p.Admission.Publisher != f.publisher {
		return refused(fmt.Sprintf("%s signed it, not %s", p.Admission.Publisher, f.publisher), string(install.ReasonPublisher), "")
	}
	return a.settle(cfg, store, p, f)
}

// settle shows a plan, asks what it leaves open, and puts it into use.
func (a *app) settle(cfg host.Config, store *install.Store, p *install.Plan, f installing) error {
	if !a.json {
		a.showPlan(p)
	}
	yes, err := a.consents(p, f)
	if err != nil {
		return err
	}
	var agents []abi.AgentID
	for _, name := range f.agents {
		agents = append(agents, abi.AgentID(name))
	}
	if p.Was == nil && len(agents) == 0 {
		agents = []abi.AgentID{abi.AgentID(cfg.Settings.Agents[0].Name)}
	}
	grant, err := p.Grant(yes, agents)
	if err != nil {
		return err
	}
	present := func() (*abi.Grant, error) {
		grant, _, err := host.FindGrant(cfg, p.Admission.Skill)
		return grant, err
	}
	if err := p.Commit(store, grant, present); err != nil {
		return err
	}
	return a.show(map[string]any{"plan": p, "consented": yes, "agents": grant.Agents, "grant": store.GrantFile(p.Admission.Skill)}, func() {
		for _, d := range p.Dropped {
			a.say("no longer asked for, and taken out of the grant: %s", d)
		}
		fmt.Fprintf(a.out, "installed %s %s, for %s, with %d of %d capabilities\n", p.Admission.Skill, p.Admission.Version, joinAgents(grant.Agents), len(yes)+len(p.Asks)-len(p.Pending()), len(p.Asks))
		a.say("it holds from the next message on; glovebox skill why %s tells how it came to be", p.Admission.Skill)
	})
}

func joinAgents(list []abi.AgentID) string {
	if len(list) == 0 {
		return "no agent"
	}
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

// showPlan says who, what is known, what is different and what is asked.
func (a *app) showPlan(p *install.Plan) {
	m, ad := &p.Bundle.Manifest.Manifest, p.Admission
	a.say("%s %s: %s", m.Name, m.Version, oneLine(m.Description))
	a.say("signed by %s: %s, %s", ad.Publisher, ad.Signer, signedWhen(ad.Signed))
	a.say("artifact  %s", ad.Artifact)
	a.showContents(ad)
	if p.Was != nil {
		a.say("replaces  version %s, installed %s", p.Was.Version, p.Was.Installed.Format(time.DateOnly))
		for _, change := range p.Changes {
			a.say("  %s", oneLine(change.String()))
		}
		if len(p.Changes) == 0 {
			a.say("  it asks for what it asked for before, with the same tools")
		}
	}
	if len(p.Asks) == 0 {
		a.say("asks for  nothing but to compute")
		return
	}
	a.say("asks to")
	for _, ask := range p.Asks {
		state := ""
		if slices.Contains(p.Granted, ask.ID) {
			state = ", granted already"
		}
		a.say("  %s", oneLine(fmt.Sprintf("%s [%s risk%s: %s]", ask.Text, ask.Risk, state, ask.ID)))
		if ask.Why != "" {
			a.say("    its author says: %s", oneLine(quote(ask.Why)))
		}
	}
}

func signedWhen(t time.Time) string {
	if t.IsZero() {
		return "at a time that nobody vouches for"
	}
	return t.Format("2006-01-02 15:04 MST")
}

// showContents says what is known against the dependencies.
func (a *app) showContents(ad *install.Admission) {
	switch {
	case len(ad.Packages) == 0:
		a.say("contains  no packages of others, says its author")
	case ad.Open != "":
		a.say("contains  %d packages, not checked against advisories: %s", len(ad.Packages), oneLine(ad.Open))
	default:
		a.say("contains  %d packages; known against them: %d advisories that your policy lets pass", len(ad.Packages), len(ad.Findings))
	}
	for _, f := range ad.Findings {
		word := "below your threshold"
		if f.Waiver != nil {
			word = "waived until " + f.Waiver.Expires.Format(time.DateOnly)
		}
		a.say("  %s", oneLine(fmt.Sprintf("%s in %s, severity %s, %s: %s", f.ID, f.Package, f.Severity, word, clipSummary(f))))
	}
}

func clipSummary(f advisory.Finding) string {
	if len(f.Summary) > 120 {
		return f.Summary[:120] + "…"
	}
	return f.Summary
}

// consents returns the capabilities that are consented to: by flags, else one answer
// each. Nothing is taken for granted where nobody can be asked.
func (a *app) consents(p *install.Plan, f installing) ([]string, error) {
	pending := p.Pending()
	for _, id := range f.yes {
		if !slices.ContainsFunc(p.Asks, func(k install.Ask) bool { return k.ID == id }) {
			var asked []string
			for _, k := range p.Asks {
				asked = append(asked, k.ID)
			}
			return nil, notAsked(&p.Bundle.Manifest.Manifest, id, asked)
		}
	}
	yes := slices.Clone(f.yes)
	if yes == nil {
		yes = []string{}
	}
	switch {
	case f.consent == "all":
		for _, k := range pending {
			if !slices.Contains(yes, k.ID) {
				yes = append(yes, k.ID)
			}
		}
		return yes, nil
	case f.consent == "none" || len(f.yes) > 0:
		return yes, nil
	case !a.terminal && (len(pending) > 0 || install.Worst(p.Changes) == install.RiskHigh || p.Was == nil):
		var list []string
		for _, k := range pending {
			list = append(list, "--yes-to "+config.ShellQuote(k.ID))
		}
		return nil, &failure{code: exitRefused, what: "nobody can be asked for consent here", rule: string(install.ReasonConsent), hint: "add --consent all, --consent none, or some of " + strings.Join(list, " ")}
	case !a.terminal:
		return yes, nil
	}
	return a.ask(p, pending, yes)
}

// ask puts one question for each capability, then one for the whole.
func (a *app) ask(p *install.Plan, pending []install.Ask, yes []string) ([]string, error) {
	lines := bufio.NewScanner(a.in)
	answer := func(question string) bool {
		fmt.Fprint(a.err, question+" [y/N] ")
		return lines.Scan() && slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(lines.Text())))
	}
	for _, k := range pending {
		if answer(oneLine(fmt.Sprintf("let it %s (%s risk)?", k.Text, k.Risk))) {
			yes = append(yes, k.ID)
		}
	}
	if !answer(fmt.Sprintf("install %s %s with %d of these capabilities?", p.Admission.Skill, p.Admission.Version, len(yes))) {
		return nil, failed("nothing was installed", "")
	}
	return yes, nil
}
