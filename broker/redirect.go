package broker

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// redirects reports whether status sends the client elsewhere (RFC 9110 section 15.4).
func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// follow changes x into the request that a redirect to location asks for. It grants
// nothing: the next hop is judged like a request of its own.
func (x *exchange) follow(status int, location string, ev *Event) *abi.Problem {
	if x.hops++; x.hops > maxRedirects {
		return denied(ruleRedirect, "more than %d redirects", maxRedirects)
	}
	to, p := x.resolveLocation(location, ev)
	if p != nil {
		return p
	}
	if p := x.carried(to, ev); p != nil {
		return p
	}
	switch {
	case status == http.StatusSeeOther && x.method != http.MethodHead,
		(status == http.StatusMovedPermanently || status == http.StatusFound) && x.method == http.MethodPost:
		x.method, x.body, x.headers = http.MethodGet, nil, withoutContent(x.headers)
	}
	if to.Origin != x.url.Origin {
		if len(x.body) > 0 {
			return denied(ruleRedirect, "redirect from %s to %s would send the body to another origin", x.url.Origin, to.Origin)
		}
		x.headers, x.auth = crossOrigin(x.headers), ""
	}
	x.url = to
	return nil
}

// resolveLocation finds the target of a Location header. net/url joins it; what it
// makes of odd text does not matter, because only the canonical result is judged,
// dialled and sent.
func (x *exchange) resolveLocation(location string, ev *Event) (abi.URL, *abi.Problem) {
	bad := func(err error) (abi.URL, *abi.Problem) {
		if err != nil {
			ev.Detail = err.Error()
		}
		return abi.URL{}, denied(ruleRedirect, "%s redirects to a URL that cannot be judged", x.url.Origin)
	}
	if len(location) > maxURL {
		return bad(nil)
	}
	base, err := url.Parse(x.url.String())
	if err != nil {
		return bad(err)
	}
	ref, err := base.Parse(location)
	if err != nil {
		return bad(err)
	}
	ref.Fragment, ref.RawFragment = "", ""
	to, err := abi.ParseURL(ref.String())
	if err != nil {
		return bad(err)
	}
	return to, nil
}

// carried refuses a redirect whose target holds the value of a secret that is not
// bound to it, and one that holds a placeholder: a server does not get to place one.
func (x *exchange) carried(to abi.URL, ev *Event) *abi.Problem {
	text := to.String()
	if strings.Contains(allDecoded(text), placeholderStart) {
		return &abi.Problem{Code: abi.CodeDenied, Capability: capSecrets, Rule: ruleMisuse, Message: string(x.url.Origin) + " redirects to a URL with a placeholder in it"}
	}
	names := x.set.known().Names([]byte(text))
	for _, store := range names {
		ok := slices.ContainsFunc(x.rights.Secrets, func(r abi.SecretRight) bool {
			return string(r.Store) == store && slices.Contains(r.Only, to.Origin)
		})
		if secure := to.Scheme == "https" || x.guard.opened(x.caller.Skill, to.Origin); !ok || !secure {
			ev.Detail = "value of " + store + " in the target of a redirect"
			return &abi.Problem{Code: abi.CodeDenied, Capability: capSecrets, Rule: ruleMisuse, Message: string(x.url.Origin) + " redirects to " + string(to.Origin) + " with a secret in the URL"}
		}
	}
	return nil
}
