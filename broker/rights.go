package broker

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// admit finds the right that admits method on u, or says what is missing: the origin,
// the method or the path, in this order.
func admit(skill abi.SkillName, rights abi.Rights, method string, u abi.URL, opened bool) (abi.HTTPRight, *abi.Problem) {
	problem := notGranted(skill, rights, u.Origin)
	rank := 0
	worse := func(r int, p *abi.Problem) {
		if r > rank {
			rank, problem = r, p
		}
	}
	for _, r := range rights.HTTP {
		if r.Origin == "" || !r.Origin.Matches(u.Origin) {
			continue
		}
		switch {
		case r.Bound && !opened && u.Port != 80 && u.Port != 443:
			p := denied(rulePort, "port %d of %s: a URL in an argument is fetched from ports 80 and 443 only", u.Port, u.Origin)
			p.Hint = allowHint(skill, u.Origin) // an opened origin may have any port
			worse(1, p)
		case !slices.Contains(r.Methods, method):
			worse(2, denied(cite(r, ruleMethod), "method %s on %s is not granted to skill %s", method, u.Origin, skill))
		case !slices.ContainsFunc(r.Paths, func(p string) bool { return abi.MatchPath(p, u.Path) }):
			worse(3, denied(cite(r, rulePath), "this path of %s is not granted to skill %s", u.Origin, skill))
		default:
			return r, nil
		}
	}
	return abi.HTTPRight{}, problem
}

// cite prefers the place in the grant to the name of the rule.
func cite(r abi.HTTPRight, rule string) string {
	if r.Rule != "" {
		return r.Rule
	}
	return rule
}

// boundHop returns the right for a redirect of a request that a Bound right admitted,
// when the hop only changes http to https or puts "www." on or takes it off: what
// nearly every web site does, and never another site.
func boundHop(r abi.HTTPRight, to abi.URL) (abi.HTTPRight, bool) {
	if !r.Bound {
		return r, false
	}
	from, err := abi.ParseURL(string(r.Origin) + "/")
	if err != nil {
		return r, false
	}
	samePort := from.Scheme == to.Scheme && from.Port == to.Port
	upgrade := from.Scheme == "http" && to.Scheme == "https" && from.Port == 80 && to.Port == 443
	if !(samePort || upgrade) || bare(from.Host) != bare(to.Host) {
		return r, false
	}
	r.Origin = abi.OriginPattern(to.Origin)
	return r, true
}

// bare takes one "www." off a name.
func bare(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	return strings.TrimPrefix(host, "www.")
}

// secretRight finds the right to the author's name.
func secretRight(rights abi.Rights, name abi.SecretName) (abi.SecretRight, bool) {
	for _, r := range rights.Secrets {
		if r.Name == name && r.Inject.Kind != abi.InjectNone {
			return r, true
		}
	}
	return abi.SecretRight{}, false
}
