// Package broker is the only way out of the daemon and the only holder of secrets: it
// judges each request of a guest against its rights, dials only vetted addresses,
// writes secrets into granted positions of requests to their bound origins, and takes
// reflected values out of what comes back.
//
// A request is canonicalised once (abi.ParseURL) and what was judged is what is
// dialled and sent. Names are resolved once; every answer is judged, the vetted
// addresses are dialled directly, and the connected address is judged again by the
// dialer. Connections are never kept: each request, and each hop of a redirect, has a
// transport and a connection of its own, so that no pooled connection can skip the
// judgement or carry one agent's credentials for another. That costs a handshake per
// request and leaves nothing to prove about reuse. Proxy variables are not read.
package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

// Config says what a Broker may reach. The zero value, with its nil functions, opens
// no private address and knows no secret.
type Config struct {
	Vault     *Vault                           // nil: no secret is present
	Private   func(abi.SkillName) []abi.Origin // origins that the operator opened to this skill although their addresses are private or loopback
	Own       func() []netip.Addr              // addresses of this host; nil: those of its interfaces, read at each request
	Listeners func() []netip.AddrPort          // where the daemon itself listens: never reachable, opened or not
	Resolver  Resolver                         // nil: the system's, without cgo
	Roots     *x509.CertPool                   // nil: the system's
	Observer  Observer                         // nil: nobody is told
	Log       *slog.Logger                     // nil: discarded
	Version   string                           // of glovebox, for the User-Agent that a guest does not set
}

// Resolver answers with the addresses of a name. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Observer receives every request that a guest tried, with the details that the guest
// is not told. Egress is called from the goroutine of the request, once per hop.
type Observer interface {
	Egress(ctx context.Context, e Event)
}

// Event is one hop of one request. No field holds a secret's value.
type Event struct {
	Time     time.Time
	Duration time.Duration
	Caller   abi.Caller
	Box      string // of the program that asked; empty for a guest
	Hop      int    // 0, then one per redirect
	Method   string
	Origin   abi.Origin       // empty when the URL could not be read
	Path     string           // escaped, without query
	Resolved []netip.Addr     // what the resolver answered
	Dialled  netip.AddrPort   // the connected address; zero when there was no connection
	Status   int              // 0 without an answer
	Sent     int64            // bytes of the request body
	Received int64            // bytes of the response body, decompressed
	Secrets  []abi.SecretName // the operator's names of the secrets that were injected
	Redacted []string         // names of the secrets that were taken out of the response
	Problem  *abi.Problem     // what the guest was told instead of a response
	Detail   string           // the underlying error, for the operator only
}

// Broker makes the requests of guests. It is safe for concurrent use.
type Broker struct {
	engine engine
	vault  *Vault
	log    *slog.Logger

	tls     *tls.Config
	closing context.Context //nolint:containedctx // the life of the broker, not of a request
	cease   context.CancelFunc
	mu      sync.Mutex // guards closed, and orders busy.Add before busy.Wait
	closed  bool
	busy    sync.WaitGroup
}

// New returns a broker. It does not touch the network.
func New(cfg Config) (*Broker, error) {
	if cfg.Version == "" || !token(cfg.Version) {
		return nil, fmt.Errorf("broker: version %q is not a word", cfg.Version)
	}
	if cfg.Resolver == nil {
		cfg.Resolver = absolute{&net.Resolver{PreferGo: true}}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Private == nil {
		cfg.Private = func(abi.SkillName) []abi.Origin { return nil }
	}
	if cfg.Listeners == nil {
		cfg.Listeners = func() []netip.AddrPort { return nil }
	}
	own := interfaceAddrs
	if cfg.Own != nil {
		own = func() ([]netip.Addr, error) { return cfg.Own(), nil }
	}
	g := &guard{resolver: cfg.Resolver, private: cfg.Private, own: own, listeners: cfg.Listeners}
	closing, cease := context.WithCancel(context.Background())
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.Roots}
	return &Broker{
		vault: cfg.Vault, log: cfg.Log, tls: config, closing: closing, cease: cease,
		engine: engine{
			guard:    g,
			trip:     &network{guard: g, tls: config},
			secrets:  vaultSource{cfg.Vault},
			observer: cfg.Observer,
			agent:    "glovebox/" + cfg.Version,
		},
	}, nil
}

// Fetch makes one request for caller within rights and returns the answer and its
// body. The error is always an *abi.Problem that may be shown to the guest.
//
// Limits.HTTPTime, HTTPSent, HTTPReceived and HTTPResponse bound this one request,
// zero admitting nothing: a caller that counts over a whole call lowers them to what
// the call has left.
func (b *Broker) Fetch(ctx context.Context, caller abi.Caller, rights abi.Rights, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error) {
	ctx, leave, p := b.enter(ctx)
	if p != nil {
		return abi.FetchResponse{}, nil, p
	}
	defer leave()
	return b.engine.fetch(ctx, caller, rights, req, body)
}

// enter begins a request, which Close cancels and waits for until leave is called.
func (b *Broker) enter(ctx context.Context) (_ context.Context, leave func(), p *abi.Problem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ctx, nil, &abi.Problem{Code: abi.CodeUnavailable, Capability: capHTTP, Message: "glovebox is shutting down"}
	}
	b.busy.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.closing, cancel)
	return ctx, func() {
		stop()
		cancel()
		b.busy.Done()
	}, nil
}

// Close cancels the requests that are under way and returns when they have ended. It
// does not close the vault. Later requests are answered with a problem.
func (b *Broker) Close() error {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		b.cease()
	}
	b.mu.Unlock()
	b.busy.Wait()
	return nil
}

// Present reports whether a value is stored under the operator's name store. Which
// secrets an agent may use is in its rights; what is stored is the same for all.
func (b *Broker) Present(_ abi.AgentID, store abi.SecretName) bool {
	if b.vault == nil {
		return false
	}
	ok, err := b.vault.Present(context.Background(), store)
	if err != nil {
		b.log.Error("vault cannot be read", "err", err)
		return false
	}
	return ok
}

// absolute asks for names as they stand: without its final dot, a name that does not
// exist would be tried again below each search domain of the host, and answered by
// somebody who was never granted. A single label, which only an operator can open, is
// left to the host's own rules.
type absolute struct{ r Resolver }

// LookupNetIP implements Resolver.
func (a absolute) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if strings.Contains(host, ".") {
		host += "."
	}
	return a.r.LookupNetIP(ctx, network, host)
}

// vaultSource adapts a vault, or none, to the engine.
type vaultSource struct{ v *Vault }

func (s vaultSource) current(ctx context.Context) (secretSet, error) {
	if s.v == nil {
		return &opened{}, nil
	}
	return s.v.current(ctx)
}

func (o *opened) get(r abi.SecretRight) (Secret, bool) {
	s, ok := o.values[r.Store]
	return s, ok
}

func (o *opened) known() *redact.Matcher { return o.matcher }
