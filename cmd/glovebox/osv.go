package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/spf13/cobra"
)

func (a *app) osvCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "osv", Short: "Keep and ask the database of known vulnerabilities",
		Long: `Keep and ask the database of known vulnerabilities. It lies in the state folder, one
set of OSV records for each ecosystem, and is read without a network. Where it has no
data, old data or data that is damaged, the answer is a refusal.`,
		Example: `  glovebox osv update --ecosystem Go --from all.zip
  glovebox osv status
  glovebox osv check --ecosystem npm left-pad@1.3.0`,
	}
	cmd.AddCommand(a.osvUpdate(), a.osvStatus(), a.osvCheck())
	return group(cmd)
}

// advisories opens the database of the state folder.
func (a *app) advisories(ctx context.Context) (*advisory.Index, *config.State, error) {
	state, err := a.openState()
	if err != nil {
		return nil, nil, err
	}
	x, err := advisory.Open(ctx, state.Advisories())
	return x, state, err
}

// osvData is one line of "osv status".
type osvData struct {
	advisory.Source
	AgeDays int  `json:"age_days"`
	Stale   bool `json:"stale"` // too old for trust.advisories.max_age
}

func (a *app) osvStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say what data is there, how old it is, and whether it is whole", Args: exactly(0),
		Example: "  glovebox osv status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			x, state, err := a.advisories(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = x.Close() }()
			settings, err := a.settings(state)
			if err != nil {
				return err
			}
			sources, err := x.Sources(cmd.Context())
			if err != nil {
				return err
			}
			now, list := time.Now(), []osvData{}
			for _, s := range sources {
				list = append(list, osvData{s, int(s.Age(now).Hours() / 24), !s.Fresh(now, time.Duration(settings.Trust.Advisories.MaxAge))})
			}
			return a.show(map[string]any{"database": state.Advisories(), "data": list}, func() { a.showData(list) })
		},
	}
}

func (a *app) showData(list []osvData) {
	if len(list) == 0 {
		a.say("no data: every check is refused")
		a.say("hint: glovebox osv update --ecosystem Go --from FILE")
	}
	for _, d := range list {
		state := "fresh"
		if d.Stale {
			state = "stale"
		}
		by := "by its newest record"
		if d.Vouched {
			by = "by --as-of"
		}
		fmt.Fprintf(a.out, "%-10s %-6s %7d records  as of %s (%d days, %s)\n", d.Ecosystem, state, d.Records, d.Newest.Format(time.DateOnly), d.AgeDays, by)
	}
}

func (a *app) osvCheck() *cobra.Command {
	var ecosystem, format string
	cmd := &cobra.Command{
		Use: "check DIR|FILE|NAME@VERSION...", Short: "Say what is known against packages", Args: between(1, 10_000),
		Long: `Say what is known against the packages of a skill (its folder or its name), of a
module, of a CycloneDX document, of package-lock.json or of Cargo.lock; or against
packages that you name. What blocks is said by trust.advisories in glovebox.yaml; that
ends with exit code 3, and so do data that is missing, old or damaged and packages
without a pinned version.`,
		Example: `  glovebox osv check hello
  glovebox osv check package-lock.json --format osv-scanner
  glovebox osv check --ecosystem Go golang.org/x/net@v0.1.0 stdlib@1.26.1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "osv-scanner" {
				return usage("--format "+quote(format)+" is not known", "want text or osv-scanner")
			}
			packages, kind, err := a.packages(sbom.Ecosystem(ecosystem), args)
			if err != nil {
				return err
			}
			return a.judge(cmd.Context(), packages, format, args[0], kind)
		},
	}
	cmd.Flags().StringVar(&ecosystem, "ecosystem", "", "`NAME` of the ecosystem of NAME@VERSION: Go, npm, crates.io or PyPI")
	cmd.Flags().StringVar(&format, "format", "text", "text, or osv-scanner for the JSON of that program")
	return cmd
}

// judge prints what is known, and fails if that blocks.
func (a *app) judge(ctx context.Context, packages []sbom.Package, format, source, kind string) error {
	x, state, err := a.advisories(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = x.Close() }()
	settings, err := a.settings(state)
	if err != nil {
		return err
	}
	policy, err := advisory.PolicyOf(settings.Trust.Advisories)
	if err != nil {
		return err
	}
	r, err := x.Check(ctx, packages, policy, time.Now())
	if err != nil {
		return err
	}
	if format == "osv-scanner" {
		out, err := x.OSVScanner(ctx, r, source, kind)
		if err != nil {
			return err
		}
		if err := a.showJSON(out); err != nil {
			return err
		}
	} else if err := a.show(r, func() { a.showKnown(r) }); err != nil {
		return err
	}
	if r.Verdict == advisory.Block {
		return refused(fmt.Sprintf("%d packages, %d known vulnerabilities, and what is known blocks", len(r.Packages), len(r.Findings)), "osv.known",
			"take a version that is not affected, or waive it under trust.advisories.waivers in "+state.DefaultConfigFile())
	}
	return nil
}

func (a *app) showKnown(r advisory.Report) {
	for _, f := range r.Findings {
		word := f.Verdict.String()
		switch {
		case f.Waiver != nil:
			word = "waived"
		case f.Malicious:
			word = "MALICE"
		}
		fmt.Fprintf(a.out, "%-6s %-8s %-22s %s  %s\n", word, f.Severity, oneLine(f.ID), oneLine(f.Package.String()), oneLine(f.Summary))
	}
	for _, w := range r.Expired {
		a.say("the waiver of %s for %s has expired on %s", w.ID, w.Package, w.Expires.Format(time.DateOnly))
	}
	for _, s := range r.Data {
		a.say("%s: %d records as of %s", s.Ecosystem, s.Records, s.Newest.Format(time.DateOnly))
	}
	if len(r.Findings) == 0 {
		a.say("nothing is known against %d packages", len(r.Packages))
	}
}

// packages reads what the arguments name, and what osv-scanner calls such a source.
func (a *app) packages(eco sbom.Ecosystem, args []string) ([]sbom.Package, string, error) {
	if _, err := os.Stat(args[0]); err != nil && strings.LastIndexByte(args[0], '@') > 0 {
		list, err := named(eco, args)
		return list, "unknown", err
	}
	if len(args) > 1 || eco != "" {
		return nil, "", usage("one folder or file at a time, and --ecosystem for NAME@VERSION only", "glovebox osv check "+config.ShellQuote(args[0]))
	}
	one := func(l *sbom.List, err error) ([]sbom.Package, error) {
		if err != nil || l == nil {
			return nil, cmp.Or(err, sbom.Agree(nil, nil))
		}
		return l.Packages, nil
	}
	base := filepath.Base(args[0])
	if read := lockReader(base); read != nil {
		text, err := readDocument(args[0])
		if err != nil {
			return nil, "", err
		}
		list, err := one(read(text))
		kind := "lockfile"
		if base != sbom.SourceNPMLock && base != sbom.SourceCargoLock {
			kind = "sbom"
		}
		return list, kind, err
	}
	t, err := a.find(args[0])
	if err != nil {
		return nil, "", err
	}
	if t.bundle == nil {
		list, err := one(sbom.FromModule(t.module))
		return list, "artifact", err
	}
	module, document, err := t.bundle.Dependencies()
	if err != nil {
		return nil, "", err
	}
	list := slices.Clone(document.Packages)
	if module != nil {
		for _, p := range module.Packages {
			if !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list, "artifact", nil
}

func lockReader(base string) func([]byte) (*sbom.List, error) {
	switch {
	case base == sbom.SourceNPMLock:
		return func(text []byte) (*sbom.List, error) { return sbom.FromPackageLock(text, sbom.All) }
	case base == sbom.SourceCargoLock:
		return sbom.FromCargoLock
	case filepath.Ext(base) == ".json":
		return sbom.Parse
	}
	return nil
}

// named reads NAME@VERSION.
func named(eco sbom.Ecosystem, args []string) ([]sbom.Package, error) {
	if eco == "" {
		return nil, usage("--ecosystem is missing", "glovebox osv check --ecosystem Go "+config.ShellQuote(args[0]))
	}
	var out []sbom.Package
	for _, arg := range args {
		i := strings.LastIndexByte(arg, '@')
		if i <= 0 {
			return nil, usage(quote(arg)+" is not NAME@VERSION", "")
		}
		out = append(out, sbom.Package{Ecosystem: eco, Name: arg[:i], Version: arg[i+1:]})
	}
	return out, nil
}
