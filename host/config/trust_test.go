package config

import (
	"strings"
	"testing"
	"time"
)

func TestTrustSettings(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("/x/glovebox.yaml", []byte(header))
	if err != nil || len(cfg.Trust.Publishers) != 0 || time.Duration(cfg.Trust.Advisories.MaxAge) != MaxAdvisoryAge || cfg.Trust.Advisories.Required {
		t.Errorf("defaults: %+v, %v", cfg.Trust, err)
	}
	digest := "sha256:" + strings.Repeat("0", 64)
	cfg, err = Parse("/x/glovebox.yaml", []byte(header+`trust:
  publishers:
    - {name: acme, skills: ["acme-*"], key: keys/acme.pub, from: 2026-01-01, until: 2026-12-31, root: ours}
    - {name: ci, skills: [weather], identity: {issuer: "https://i.example", san_pattern: "https://x/.*", source_repository: "https://x", runner_environment: github-hosted}}
  roots: [{name: ours, file: roots/ours.json, class: private}]
  advisories:
    max_age: 48h
    severity: high
    required: true
    waivers: [{id: GO-2026-1, ecosystem: Go, package: stdlib, version: 1.26.8, expires: 2026-12-01, why: not reached}]
  deny: [{digest: "`+digest+`", why: bad}]
`))
	if err != nil {
		t.Fatal(err)
	}
	tr := cfg.Trust
	if p := tr.Publishers[0]; p.Key != "/x/keys/acme.pub" || p.From.String() != "2026-01-01" || p.Until.String() != "2026-12-31" || p.Root != "ours" || p.Skills[0] != "acme-*" {
		t.Errorf("publisher %+v", p)
	}
	if id := tr.Publishers[1].Identity; id.Issuer != "https://i.example" || id.SANPattern != "https://x/.*" || id.SourceRepository != "https://x" || id.RunnerEnvironment != "github-hosted" {
		t.Errorf("identity %+v", id)
	}
	if tr.Roots[0].File != "/x/roots/ours.json" || tr.Roots[0].Class != "private" || tr.Deny[0].Why != "bad" {
		t.Errorf("roots %+v, denied %+v", tr.Roots, tr.Deny)
	}
	if a := tr.Advisories; time.Duration(a.MaxAge) != 48*time.Hour || a.Severity != "high" || !a.Required || a.Waivers[0].Why != "not reached" {
		t.Errorf("advisories %+v", a)
	}
	const key = "key: k.pub"
	for name, c := range map[string]struct{ text, want string }{
		"a publisher without a name":        {"publishers: [{skills: [a], " + key + "}]", "name is missing"},
		"a publisher that takes our name":   {"publishers: [{name: local, skills: [a], " + key + "}]", "own key"},
		"two of one name":                   {"publishers: [{name: a, skills: [a], " + key + "}, {name: a, skills: [b], " + key + "}]", "twice"},
		"neither key nor identity":          {"publishers: [{name: a, skills: [a]}]", "exactly one of key and identity"},
		"both":                              {"publishers: [{name: a, skills: [a], " + key + ", identity: {issuer: i, san: s}}]", "exactly one of key and identity"},
		"an identity without issuer":        {"publishers: [{name: a, skills: [a], identity: {san: s}}]", "want issuer"},
		"an identity of two names":          {"publishers: [{name: a, skills: [a], identity: {issuer: i, san: s, san_pattern: s}}]", "exactly one of san"},
		"an identity with days":             {"publishers: [{name: a, skills: [a], from: 2026-01-01, identity: {issuer: i, san: s}}]", "days of a key"},
		"days in the wrong order":           {"publishers: [{name: a, skills: [a], from: 2026-01-02, until: 2026-01-01, " + key + "}]", "not after"},
		"a publisher of nothing":            {"publishers: [{name: a, " + key + "}]", "skills is missing"},
		"a root that is not there":          {"publishers: [{name: a, skills: [a], root: r, " + key + "}]", "no root"},
		"a root of no class":                {"roots: [{name: a, file: f}]", "a class"},
		"a root of a class that is none":    {"roots: [{name: a, file: f, class: any}]", "public-good or private"},
		"two roots of one name":             {"roots: [{name: a, file: f, class: private}, {name: a, file: f, class: private}]", "name of its own"},
		"a denied thing that is none":       {"deny: [{digest: abc}]", "deny[0]"},
		"data of any age":                   {"advisories: {max_age: 8760h}", "max_age"},
		"data of no age":                    {"advisories: {max_age: 0s}", "max_age"},
		"a severity that is none":           {"advisories: {severity: none}", "severity"},
		"registries asked all the time":     {"refresh: 1s", "trust.refresh"},
		"registries asked once a year":      {"refresh: 8760h", "trust.refresh"},
		"a waiver for ever":                 {"advisories: {waivers: [{id: A, ecosystem: Go, package: p, version: 1.0.0, why: w}]}", "expires"},
		"a waiver without a reason":         {"advisories: {waivers: [{id: A, ecosystem: Go, package: p, version: 1.0.0, expires: 2026-12-01}]}", "why"},
		"a waiver of a malicious package":   {"advisories: {waivers: [{id: MAL-1, ecosystem: Go, package: p, version: 1.0.0, expires: 2026-12-01, why: w}]}", "for one bundle only"},
		"a waiver of a bundle that is none": {"advisories: {waivers: [{id: MAL-1, ecosystem: Go, package: p, version: 1.0.0, expires: 2026-12-01, why: w, bundle: x}]}", "bundle"},
		"a switch that turns it off":        {"verify: false", "verify"},
	} {
		if _, err := Parse("/x/glovebox.yaml", []byte(header+"trust: {"+c.text+"}\n")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
