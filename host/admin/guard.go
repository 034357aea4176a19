package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
)

// hosts lists the values of the Host header that reach this listener: anything else
// is a page whose name was rebound to loopback.
func hosts(addr net.Addr) map[string]bool {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return nil
	}
	port := ap.String()[strings.LastIndexByte(ap.String(), ':'):]
	allowed := map[string]bool{ap.String(): true, "localhost" + port: true, "127.0.0.1" + port: true, "[::1]" + port: true}
	return allowed
}

// guard refuses foreign hosts and origins, and tokens in a query, before anything
// else looks at the request.
func (s *Server) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if len(r.TransferEncoding) > 0 {
			// It may have carried a Content-Length as well: whoever stands before us could
			// see another end of this message (RFC 9112 section 6.1).
			c.Response().Header().Set("Connection", "close")
		}
		if !s.hosts[strings.ToLower(r.Host)] {
			return NewError(http.StatusForbidden, "the Host header names another server", "api/host", "call the address that STATE/run/address holds")
		}
		for _, origin := range r.Header.Values("Origin") {
			if u, err := url.Parse(origin); err != nil || u.Scheme != "http" || u.User != nil || !s.hosts[strings.ToLower(u.Host)] || u.Path != "" {
				return NewError(http.StatusForbidden, "requests from another origin are not served", "api/origin", "")
			}
		}
		if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
			return NewError(http.StatusForbidden, "requests from another site are not served", "api/origin", "")
		}
		query := r.URL.Query()
		for _, key := range []string{"token", "access_token", "key", "authorization"} {
			if query.Has(key) {
				return NewError(http.StatusBadRequest, "a token in a URL ends up in logs and histories", "api/token-in-url", "send it as Authorization: Bearer TOKEN")
			}
		}
		h := c.Response().Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		return next(c)
	}
}

// scope is a set of what a token opens. The zero value opens nothing.
type scope uint8

const (
	scopeOperate scope = 1 << iota // everything but answering approvals
	scopeApprove                   // seeing and answering approvals
)

// only admits the tokens of the scopes. There is no token of all scopes.
func only(h echo.HandlerFunc, allowed scope) echo.HandlerFunc {
	return func(c echo.Context) error {
		if have, ok := c.Get("scope").(scope); ok && have&allowed != 0 {
			return h(c)
		}
		return NewError(http.StatusForbidden, "this token does not open that", "api/scope",
			"approvals are answered with the token in STATE/approval-token, everything else with STATE/token")
	}
}

// scopeOf finds the token among the hashes that are kept; each is compared in full.
func (s *Server) scopeOf(token string) scope {
	sum := sha256.Sum256([]byte(token))
	var found scope
	for hash, sc := range s.tokens {
		if subtle.ConstantTimeCompare(sum[:], hash[:]) == 1 {
			found = sc
		}
	}
	return found
}

// authenticate admits requests with one of the tokens. Only their hashes are kept.
func (s *Server) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		values := c.Request().Header.Values(echo.HeaderAuthorization)
		token := ""
		if len(values) == 1 {
			if scheme, rest, ok := strings.Cut(values[0], " "); ok && strings.EqualFold(scheme, "bearer") {
				token = rest
			}
		}
		sc := s.scopeOf(token)
		if sc == 0 {
			if !s.failures.Allow() {
				return NewError(http.StatusTooManyRequests, "too many requests without a valid token", "api/rate", "")
			}
			return NewError(http.StatusUnauthorized, "a valid token is needed", "api/token", "send the content of STATE/token as Authorization: Bearer TOKEN")
		}
		if !s.requests.Allow() {
			return NewError(http.StatusTooManyRequests, "more requests than the limit of this token", "api/rate", "slow down: 10 requests a second are sustained, bursts of 100 admitted")
		}
		c.Set("scope", sc)
		return next(c)
	}
}
