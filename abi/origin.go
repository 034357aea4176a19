package abi

import (
	"net/netip"
	"strings"
)

// ParseOrigin accepts scheme://host[:port] and returns its canonical form.
func ParseOrigin(s string) (Origin, error) {
	u, err := ParseURL(s)
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(strings.TrimPrefix(asciiLower(s), u.Scheme+"://"), "/?#") {
		return "", urlErrorf(s, "an origin has no path; write %s", u.Origin)
	}
	return u.Origin, nil
}

// UnmarshalText implements encoding.TextUnmarshaler by ParseOrigin.
func (o *Origin) UnmarshalText(b []byte) error {
	v, err := ParseOrigin(string(b))
	if err == nil {
		*o = v
	}
	return err
}

// Scheme returns http or https.
func (o Origin) Scheme() string {
	scheme, _, _ := strings.Cut(string(o), "://")
	return scheme
}

// Host returns the name, or the IP address without brackets.
func (o Origin) Host() string {
	_, rest, _ := strings.Cut(string(o), "://")
	host, _ := splitHostPort(rest)
	return strings.Trim(host, "[]")
}

// splitHostPort splits a canonical host[:port].
func splitHostPort(s string) (host, port string) {
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// Special reports whether o is an IP literal outside the public unicast space, or the
// name localhost: what a skill reaches only if the operator opens that very origin.
// Names are judged again by their addresses when the broker dials.
func (o Origin) Special() bool {
	host := o.Host()
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && !publicAddr(addr)
}

// loopback reports whether o is a literal loopback address.
func (o Origin) loopback() bool {
	addr, err := netip.ParseAddr(o.Host())
	return err == nil && addr.IsLoopback()
}

// publicAddr is deliberately narrow: a literal address in a manifest is unusual, and
// everything that is not plainly public needs the operator's word.
func publicAddr(a netip.Addr) bool {
	if a.Is4In6() {
		return false
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	if a.Is6() {
		return netip.MustParsePrefix("2000::/3").Contains(a) &&
			!netip.MustParsePrefix("2001::/23").Contains(a) && // Teredo, benchmarking, ORCHID
			!netip.MustParsePrefix("2001:db8::/32").Contains(a) && !netip.MustParsePrefix("2002::/16").Contains(a) &&
			!netip.MustParsePrefix("3fff::/20").Contains(a)
	}
	for _, block := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"} {
		if netip.MustParsePrefix(block).Contains(a) {
			return false
		}
	}
	return true
}

// ParseOriginPattern accepts an origin whose host may begin with "*."; the rest of
// such a host has at least two labels.
func ParseOriginPattern(s string) (OriginPattern, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	suffix, wild := strings.CutPrefix(rest, "*.")
	if !ok || !wild {
		if strings.Contains(rest, "*") {
			return "", urlErrorf(s, "a wildcard stands for the whole first label: https://*.example.com")
		}
		o, err := ParseOrigin(s)
		return OriginPattern(o), err
	}
	o, err := ParseOrigin(scheme + "://" + suffix)
	if err != nil {
		return "", err
	}
	if _, err := netip.ParseAddr(o.Host()); err == nil || !strings.Contains(o.Host(), ".") {
		return "", urlErrorf(s, "a wildcard needs a name of at least two labels behind it")
	}
	return OriginPattern(o.Scheme() + "://*." + strings.TrimPrefix(string(o), o.Scheme()+"://")), nil
}

// UnmarshalText implements encoding.TextUnmarshaler by ParseOriginPattern.
func (p *OriginPattern) UnmarshalText(b []byte) error {
	v, err := ParseOriginPattern(string(b))
	if err == nil {
		*p = v
	}
	return err
}

// wildcard returns the scheme and what follows "*.", if p begins with a wildcard.
func (p OriginPattern) wildcard() (scheme, suffix string, ok bool) {
	scheme, rest, _ := strings.Cut(string(p), "://")
	suffix, ok = strings.CutPrefix(rest, "*.")
	return scheme, suffix, ok
}

// Matches reports whether o is one of p's origins. The zero pattern matches nothing.
func (p OriginPattern) Matches(o Origin) bool {
	scheme, suffix, wild := p.wildcard()
	if !wild {
		return p != "" && string(p) == string(o)
	}
	oScheme, rest, _ := strings.Cut(string(o), "://")
	label, ok := strings.CutSuffix(rest, "."+suffix)
	return ok && suffix != "" && scheme == oScheme && label != "" && !strings.ContainsAny(label, ".*:[]")
}

// meet returns the pattern of the origins that both p and q match.
func (p OriginPattern) meet(q OriginPattern) (OriginPattern, bool) {
	switch {
	case p == "" || q == "":
		return "", false
	case p == q:
		return p, true
	case p.Matches(Origin(q)):
		return q, true
	case q.Matches(Origin(p)):
		return p, true
	}
	return "", false
}
