package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// ErrOrigin is wrapped by the error of a request that would go where the operator did
// not send it.
var ErrOrigin = errors.New("the operator did not name this origin")

// Times of a request of the operator's.
const (
	operatorTime = 10 * time.Minute // with its body, when OperatorConfig leaves it open
	answerTime   = time.Minute      // until the header of an answer is there
)

// OperatorConfig says where the requests of OperatorClient may go.
type OperatorConfig struct {
	Origins   []abi.Origin            // that the operator named on the command line or in the configuration; only these receive credentials
	Private   []abi.Origin            // those of them whose names may stand for private addresses
	Timeout   time.Duration           // of one request with its redirects and body; 0: 10 minutes
	Listeners func() []netip.AddrPort // where the daemon itself listens: never reached; nil: nowhere
	Resolver  Resolver                // nil: the system's, without cgo
	Roots     *x509.CertPool          // nil: the system's
}

// OperatorClient returns the client with which registries, advisories and trust roots
// are fetched. Their hosts come from the operator, and what they answer, redirects and
// the URLs of other hosts included, comes from anybody:
//
//   - names are resolved once, and each address is judged as for a guest, and again by
//     the dialer; a private one is for the origins in Private, and for those in Origins
//     that are written as an address;
//   - everything goes over https, except to a loopback address in Origins (http://127.0.0.1:5000);
//   - credentials go to Origins only, and a redirect to another origin takes them away,
//     carries no body and leads to public https only, whatever the operator named;
//   - proxy variables and netrc are not read, cookies and connections are not kept,
//     headers and time are bounded. Whoever reads a body bounds it.
func OperatorClient(c OperatorConfig) (*http.Client, error) {
	o := &operator{
		named: slices.Clone(c.Origins), private: slices.Clone(c.Private),
		guard: &guard{resolver: c.Resolver, own: interfaceAddrs, listeners: c.Listeners},
		tls:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
	}
	if o.guard.resolver == nil {
		o.guard.resolver = absolute{&net.Resolver{PreferGo: true}}
	}
	if o.guard.listeners == nil {
		o.guard.listeners = func() []netip.AddrPort { return nil }
	}
	for _, origin := range c.Private {
		if !slices.Contains(c.Origins, origin) {
			return nil, fmt.Errorf("private origin %s: %w", origin, ErrOrigin)
		}
	}
	for _, origin := range c.Origins {
		u, err := abi.ParseURL(string(origin) + "/")
		if err != nil {
			return nil, err
		}
		if err := CheckOpen(origin); err != nil {
			return nil, err
		}
		a, err := netip.ParseAddr(u.Host)
		literal := err == nil
		if u.Scheme != "https" && !(literal && a.IsLoopback()) {
			return nil, fmt.Errorf("origin %s: plain http is for a loopback address such as http://127.0.0.1:5000: use https", origin)
		}
		if literal {
			o.private = append(o.private, origin)
		}
	}
	if c.Timeout <= 0 {
		c.Timeout = operatorTime
	}
	return &http.Client{Transport: o, CheckRedirect: o.redirect, Timeout: c.Timeout}, nil
}

// Operator is the client of OperatorClient for packages that are to have no other:
// nobody outside can make one.
type Operator struct{ client *http.Client }

// NewOperator returns the client of OperatorClient.
func NewOperator(c OperatorConfig) (*Operator, error) {
	client, err := OperatorClient(c)
	if err != nil {
		return nil, err
	}
	return &Operator{client}, nil
}

// HTTP returns the client.
func (o *Operator) HTTP() *http.Client { return o.client }

// operator is the transport of OperatorClient: a connection for each request, over a
// route that was judged for it.
type operator struct {
	named   []abi.Origin
	private []abi.Origin
	guard   *guard
	tls     *tls.Config
}

// RoundTrip implements http.RoundTripper.
func (o *operator) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.trip(req)
	if err != nil && req.Body != nil {
		err = errors.Join(err, req.Body.Close())
	}
	return resp, err
}

func (o *operator) trip(req *http.Request) (*http.Response, error) {
	u, err := o.judge(req)
	if err != nil {
		return nil, err
	}
	r := &route{origin: u.Origin, opened: o.opened(req, u.Origin), port: u.Port}
	if err := o.guard.resolve(req.Context(), u, r); err != nil {
		return nil, fmt.Errorf("%s: %w", u.Origin, err)
	}
	t := o.guard.transport(r, o.tls)
	t.ResponseHeaderTimeout = answerTime
	resp, err := t.RoundTrip(req)
	if err != nil {
		t.CloseIdleConnections()
		return nil, err
	}
	resp.Body = &tripBody{resp.Body, t}
	return resp, nil
}

// judge decides about a request before anything is resolved.
func (o *operator) judge(req *http.Request) (abi.URL, error) {
	u, err := abi.ParseURL(req.URL.Scheme + "://" + req.URL.Host + "/")
	if err != nil {
		return u, err
	}
	opened := o.opened(req, u.Origin)
	a, err := netip.ParseAddr(u.Host)
	switch loopback := err == nil && a.IsLoopback(); {
	case req.URL.User != nil || req.Host != "" && req.Host != req.URL.Host:
		return u, fmt.Errorf("%s: user name or host header in the request: %w", u.Origin, ErrOrigin)
	case u.Scheme != "https" && !(loopback && opened):
		return u, fmt.Errorf("%s: plain http: %w", u.Origin, ErrOrigin)
	case localName(u.Host) && !opened:
		return u, fmt.Errorf("%s: a name of this network: %w", u.Origin, ErrOrigin)
	case (req.Header.Get("Authorization") != "" || req.Header.Get("Cookie") != "") && !slices.Contains(o.named, u.Origin):
		return u, fmt.Errorf("%s asks for credentials: %w", u.Origin, ErrOrigin)
	}
	return u, nil
}

// opened reports whether a request may go to a private address. One that came over
// another origin may not: who wrote that redirect is not the operator.
func (o *operator) opened(req *http.Request, to abi.Origin) bool {
	for at := req; at.Response != nil; at = at.Response.Request {
		if originOf(at.Response.Request) != to {
			return false
		}
	}
	return slices.Contains(o.private, to)
}

// redirect implements the CheckRedirect of http.Client. The headers that it sees are
// those of the first request again, so where that one went counts too.
func (o *operator) redirect(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer")
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	from, to := originOf(via[len(via)-1]), originOf(req)
	if to != "" && to == from && to == originOf(via[0]) {
		return nil
	}
	if req.Body != nil && req.Body != http.NoBody {
		return fmt.Errorf("redirect from %s to %s would carry the body: %w", from, to, ErrOrigin)
	}
	req.Header = crossOrigin(req.Header)
	return nil
}

// originOf returns the canonical origin of a request, "" if it has none.
func originOf(req *http.Request) abi.Origin {
	u, err := abi.ParseURL(strings.ToLower(req.URL.Scheme) + "://" + req.URL.Host + "/")
	if err != nil {
		return ""
	}
	return u.Origin
}
