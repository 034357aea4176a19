package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/install"
)

// TestPersonIsAskedByCapability types answers to an installation: each capability is one
// question, only a plain yes grants, and the end of the input installs nothing.
func TestPersonIsAskedByCapability(t *testing.T) {
	t.Parallel()
	m := abi.Manifest{Schema: abi.SchemaSkill, Name: "web", Version: "1.0.0", Description: "Reads\x1b[2J pages", Needs: abi.Needs{
		HTTP: []abi.HTTPNeed{{Origin: "https://a.example", Methods: []string{"GET"}, Paths: []string{"/**"}, Why: "trust me\x1b[31m"}},
		KV:   &abi.KVNeed{MaxBytes: 1024},
	}}
	plan := func() *install.Plan {
		return &install.Plan{Admission: &install.Admission{Skill: "web", Version: "1.0.0", Publisher: "acme"}, Bundle: &skills.Bundle{Manifest: &abi.Compiled{Manifest: m}}, Asks: install.Asks(&m)}
	}
	for name, c := range map[string]struct {
		typed, consent string
		yes            []string
		terminal       bool
		want           string // ids, "-" for nothing installed
	}{
		"yes to all":                {"y\nyes\ny\n", "", nil, true, "http:https://a.example kv"},
		"yes to one":                {"n\ny\nY\n", "", nil, true, "kv"},
		"no to each, yes to it":     {"\n\ny\n", "", nil, true, ""},
		"no to the whole":           {"y\ny\nn\n", "", nil, true, "-"},
		"yesterday":                 {"yesterday\nyep\nyeah\n", "", nil, true, "-"},
		"the end of the input":      {"y\ny\n", "", nil, true, "-"},
		"a program says all":        {"", "all", nil, false, "http:https://a.example kv"},
		"a program says none":       {"", "none", nil, false, ""},
		"a program names one":       {"", "", []string{"kv"}, false, "kv"},
		"a program names another":   {"", "", []string{"human"}, false, "-"},
		"a program says nothing":    {"y\ny\ny\n", "", nil, false, "-"},
		"flags go before questions": {"", "none", []string{"kv"}, true, "kv"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var errs bytes.Buffer
			a := &app{in: strings.NewReader(c.typed), err: &errs, out: &errs, terminal: c.terminal}
			p := plan()
			a.showPlan(p)
			yes, err := a.consents(p, installing{consent: c.consent, yes: c.yes})
			got := strings.Join(yes, " ")
			if err != nil {
				got = "-"
			}
			if got != c.want {
				t.Errorf("consented to %q, want %q; %v", got, c.want, err)
			}
			if strings.Contains(errs.String(), "\x1b") || !strings.Contains(errs.String(), "keep up to 1KiB of its own notes between calls [low risk: kv]") || !strings.Contains(errs.String(), "signed by acme") {
				t.Errorf("what the person saw: %q", &errs)
			}
			if !c.terminal && strings.Contains(errs.String(), "[y/N]") {
				t.Errorf("asked where nobody can answer: %q", &errs)
			}
		})
	}
	if !slices.ContainsFunc(install.Asks(&m), func(k install.Ask) bool { return k.Risk == install.RiskMedium }) {
		t.Error("the risks are not told apart")
	}
}
