package sbom

import (
	"net/url"
	"strings"
)

// purlType returns the type of package URLs for an ecosystem, or nothing.
func purlType(e Ecosystem) string {
	switch e {
	case Go:
		return "golang"
	case NPM:
		return "npm"
	case Crates:
		return "cargo"
	case PyPI:
		return "pypi"
	}
	return ""
}

// parsePURL reads a package URL (ECMA-427): pkg:TYPE/NAMESPACE/NAME@VERSION. Qualifiers are
// passed over; a subpath is part of no package that an advisory names. Unlike the purl
// specification it keeps the case of Go modules, which matters to Go and to OSV.
func parsePURL(s string) (Package, *Error) {
	rest, ok := strings.CutPrefix(s, "pkg:")
	if !ok || len(s) > 2*maxName+maxVersion {
		return Package{}, refuse(ReasonMalformed, "%.80q is no package URL", s)
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	typ, rest, _ := strings.Cut(rest, "/")
	var p Package
	for _, e := range []Ecosystem{Go, NPM, Crates, PyPI} {
		if strings.EqualFold(typ, purlType(e)) {
			p.Ecosystem = e
		}
	}
	if p.Ecosystem == "" {
		return Package{}, refuse(ReasonType, "%.80q is of the unknown type %.20q", s, typ)
	}
	name, version := rest, ""
	if i := strings.LastIndexByte(rest, '@'); i > 0 {
		name, version = rest[:i], rest[i+1:]
	}
	var err, err2 error
	p.Name, err = url.PathUnescape(name)
	p.Version, err2 = url.PathUnescape(version)
	if err != nil || err2 != nil {
		return Package{}, refuse(ReasonMalformed, "%.80q is no package URL", s)
	}
	switch p.Ecosystem {
	case Go:
		p.Version = strings.TrimPrefix(p.Version, "v")
	case PyPI: // PEP 503
		p.Name = strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(p.Name))
	}
	if err := p.check(); err != nil {
		return Package{}, err
	}
	return p, nil
}

// purl is the inverse of parsePURL.
func (p Package) purl() string {
	parts := strings.Split(p.Name, "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(url.PathEscape(parts[i]), "@", "%40")
	}
	version := url.PathEscape(p.Version)
	if p.Ecosystem == Go && p.Name != Stdlib {
		version = "v" + version
	}
	return "pkg:" + purlType(p.Ecosystem) + "/" + strings.Join(parts, "/") + "@" + version
}
