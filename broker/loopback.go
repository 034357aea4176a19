package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// ErrNotLoopback is returned for an address that is not a literal of this machine.
var ErrNotLoopback = errors.New("not a loopback address with a port")

// LoopbackClient returns the client with which the command line talks to its daemon:
// it dials exactly addr, a loopback literal such as 127.0.0.1:7777 or [::1]:7777, for
// whatever URL it is given, refuses URLs of another host, reads no proxy variables,
// follows no redirect and keeps no cookies. An answer may stream for as long as the
// request's context allows; connecting and waiting for its header may not.
func LoopbackClient(addr string) (*http.Client, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil || !at.Addr().IsLoopback() || at.Addr().Zone() != "" || at.Port() == 0 {
		return nil, fmt.Errorf("daemon address %q: %w", addr, ErrNotLoopback)
	}
	d := net.Dialer{Timeout: 3 * time.Second}
	t := &http.Transport{
		Proxy: nil,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", at.String())
		},
		ResponseHeaderTimeout:  15 * time.Minute, // a turn may wait for a human
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           2,
	}
	return &http.Client{
		Transport:     &onlyHost{t, at.String()},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// onlyHost refuses requests for other hosts than the one that is dialled, so that a
// token cannot be put under another name by mistake.
type onlyHost struct {
	*http.Transport
	host string
}

// RoundTrip implements http.RoundTripper.
func (o *onlyHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "http" || r.URL.Host != o.host || (r.Host != "" && r.Host != o.host) {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, fmt.Errorf("request for %q on the connection to %s: %w", r.URL.Host, o.host, ErrNotLoopback)
	}
	return o.Transport.RoundTrip(r)
}
