package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/internal/contain"
)

// network is a broker between an opened server that answers, and a canary listener
// that nothing may reach.
type network struct {
	broker *broker.Broker
	open   *listener
	canary *listener
	mu     sync.Mutex // guards names
	names  func(host string) []netip.Addr
}

// listener is a server on loopback that remembers what it was sent.
type listener struct {
	http *http.Server
	at   netip.AddrPort

	mu     sync.Mutex // guards what follows
	seen   []string
	answer func(w http.ResponseWriter)
}

func listen() (*listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s := &listener{at: at}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.http.Serve(l) }()
	return s, nil
}

// ServeHTTP implements http.Handler.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var b strings.Builder
	b.WriteString(r.Method + " " + r.URL.String() + "\n")
	_ = r.Header.Write(&b)
	l.mu.Lock()
	l.seen = append(l.seen, b.String()+string(body))
	answer := l.answer
	l.mu.Unlock()
	if answer != nil {
		answer(w)
	}
}

// take returns what arrived since the last call, and sets the next answers.
func (l *listener) take(answer func(w http.ResponseWriter)) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := strings.Join(l.seen, "\n")
	l.seen, l.answer = nil, answer
	return all
}

func newNetwork(vault *broker.Vault) (*network, error) {
	n := &network{}
	var err error
	if n.open, err = listen(); err != nil {
		return nil, err
	}
	if n.canary, err = listen(); err != nil {
		return nil, err
	}
	n.broker, err = broker.New(broker.Config{
		Vault: vault, Resolver: n, Version: "contain",
		Private:   func(abi.SkillName) []abi.Origin { return []abi.Origin{n.origin(), n.daemon()} },
		Listeners: func() []netip.AddrPort { return []netip.AddrPort{n.canary.at} },
	})
	return n, err
}

func (n *network) close() {
	_ = n.broker.Close()
	_ = n.open.http.Close()
	_ = n.canary.http.Close()
}

// origin is opened by the operator; daemon, too, but there the daemon itself listens.
func (n *network) origin() abi.Origin { return abi.Origin("http://open.example:" + port(n.open.at)) }
func (n *network) daemon() abi.Origin {
	return abi.Origin("http://daemon.example:" + port(n.canary.at))
}

func port(at netip.AddrPort) string { return at.String()[strings.LastIndexByte(at.String(), ':')+1:] }

// LookupNetIP implements broker.Resolver: unless told otherwise, every name is here.
func (n *network) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names != nil {
		return n.names(strings.TrimSuffix(host, ".")), nil
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

func (n *network) resolve(names func(host string) []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names = names
}

// fetch asks for a URL under the widest right that a grant can give for it.
func (n *network) fetch(ctx context.Context, url string, req abi.FetchRequest, body string) (abi.FetchResponse, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	rights := abi.Rights{Granted: true, Limits: abi.DefaultLimits()}
	methods := []string{"GET", "POST"}
	if u, err := abi.ParseURL(url); err == nil {
		rights.HTTP = append(rights.HTTP, abi.HTTPRight{Origin: abi.OriginPattern(u.Origin), Methods: methods, Paths: []string{"/**"}, Rule: "probe"})
	}
	for _, o := range []abi.Origin{n.origin(), n.daemon(), abi.Origin("http://" + n.canary.at.String())} {
		rights.HTTP = append(rights.HTTP, abi.HTTPRight{Origin: abi.OriginPattern(o), Methods: methods, Paths: []string{"/**"}, Auth: req.Auth, Rule: "probe"})
	}
	for name := range secrets() {
		rights.Secrets = append(rights.Secrets, abi.SecretRight{
			Name: abi.SecretName(name), Store: abi.SecretName(name), Inject: abi.Injection{Kind: abi.InjectHeader, Name: "x-key", Format: "{}"},
			Only: []abi.Origin{n.origin()}, Rule: "probe",
		})
	}
	req.URL = url
	res, b, err := n.broker.Fetch(ctx, abi.Caller{Agent: "a", Session: "s", Skill: "probe", Tool: "t", Call: "c"}, rights, req, []byte(body))
	return res, string(b), err
}

// sinks are the ways of a guest to show a secret to the world, and to itself.
func (n *network) sinks() []sink {
	at := string(n.origin()) + "/"
	reflect := func(write func(w http.ResponseWriter, text string)) func(context.Context, string) (string, error) {
		return func(ctx context.Context, text string) (string, error) {
			n.open.take(func(w http.ResponseWriter) { write(w, text) })
			res, body, err := n.fetch(ctx, at, abi.FetchRequest{}, "")
			if p := (*abi.Problem)(nil); errors.As(err, &p) {
				return "", nil // refused: nothing is shown
			}
			var all strings.Builder
			for _, values := range res.Headers {
				all.WriteString(strings.Join(values, "\n") + "\n")
			}
			return all.String() + body, err
		}
	}
	send := func(request func(text string) (abi.FetchRequest, string)) func(context.Context, string) (string, error) {
		return func(ctx context.Context, text string) (string, error) {
			req, body := request(text)
			n.open.take(nil)
			_, _, _ = n.fetch(ctx, at, req, body)
			return n.open.take(nil), nil
		}
	}
	oneLine := strings.NewReplacer("\n", " ", "\r", " ")
	return []sink{
		{"response body into a guest", reflect(func(w http.ResponseWriter, text string) { _, _ = io.WriteString(w, "you sent "+text+".") })},
		{"response header into a guest", reflect(func(w http.ResponseWriter, text string) { w.Header().Set("X-Echo", oneLine.Replace(text)) })},
		{"request body of a guest", send(func(text string) (abi.FetchRequest, string) {
			return abi.FetchRequest{Method: "POST"}, "a=1&b=" + text
		})},
		{"request header of a guest", send(func(text string) (abi.FetchRequest, string) {
			return abi.FetchRequest{Headers: map[string][]string{"x-note": {oneLine.Replace(text)}}}, ""
		})},
	}
}

// placeholders tells for how many secrets the broker still puts the value where the
// operator granted it: a guard that breaks this protects nothing.
func (n *network) placeholders(ctx context.Context) contain.Figure {
	works := 0
	for name, value := range secrets() {
		n.open.take(nil)
		_, _, err := n.fetch(ctx, string(n.origin())+"/", abi.FetchRequest{Headers: map[string][]string{"x-key": {abi.SecretName(name).Placeholder()}}}, "")
		if err == nil && strings.Contains(n.open.take(nil), value) {
			works++
		}
	}
	return contain.Share("C placeholders that still work", works, len(secrets()), "")
}
