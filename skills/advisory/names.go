package advisory

import (
	"regexp"
	"strings"

	"github.com/glovebox-dev/glovebox/skills/sbom"
)

// Bounds of what is handed to the version parsers, whose work grows with the square.
const (
	maxName    = 512
	maxVersion = 256
)

// registry is how one ecosystem spells names and versions.
type registry struct {
	purl   string // the matcher's name for it
	name   func(string) string
	pinned *regexp.Regexp // one version, not a range, a tag or a place
}

var (
	pypiSeparators = regexp.MustCompile(`[-_.]+`) // PEP 503
	semver         = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
	// Go's own releases have two numbers and no dash: 1.27rc1.
	goVersion = regexp.MustCompile(`^\d+(\.\d+){0,2}((rc|beta)\d+)?(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
)

func registryOf(eco sbom.Ecosystem) (registry, bool) {
	asIs := func(s string) string { return s }
	switch eco {
	case sbom.Go:
		return registry{"golang", func(s string) string {
			if s == "go" {
				return "stdlib"
			}
			return s
		}, goVersion}, true
	case sbom.NPM:
		return registry{"npm", asIs, semver}, true
	case sbom.Crates: // the registry takes no two names that differ in this only
		return registry{"cargo", func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "_", "-") }, semver}, true
	case sbom.PyPI:
		return registry{"pypi", func(s string) string { return strings.ToLower(pypiSeparators.ReplaceAllString(s, "-")) }, pep440}, true
	}
	return registry{}, false
}

// normal returns p as the index spells it, or says why nothing can be said about it.
func normal(p sbom.Package) (sbom.Package, registry, *Refusal) {
	reg, ok := registryOf(p.Ecosystem)
	if !ok {
		return p, reg, invalid("package %.80q: ecosystem %.80q is not known; want Go, npm, crates.io or PyPI", p.Name, p.Ecosystem)
	}
	if p.Name = reg.name(p.Name); strings.Trim(p.Name, "-") == "" || len(p.Name) > maxName {
		return p, reg, invalid("%s package with an empty or overlong name %.80q", p.Ecosystem, p.Name)
	}
	if p.Ecosystem == sbom.Go {
		p.Version = strings.TrimPrefix(p.Version, "v")
	}
	if len(p.Version) > maxVersion || !reg.pinned.MatchString(p.Version) {
		return p, reg, invalid("%s package %.80q: %.80q is not a pinned version", p.Ecosystem, p.Name, p.Version)
	}
	return p, reg, nil
}

// canonical is the one spelling of a version among those that its registry takes for
// the same: records list versions as text.
func canonical(eco sbom.Ecosystem, v string) string {
	if eco == sbom.PyPI {
		return canonicalPEP440(v)
	}
	v, _, _ = strings.Cut(v, "+") // build metadata is no part of the version
	return v
}
