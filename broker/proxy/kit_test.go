package proxy

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/sandbox"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Verb { // a step on the way into a box
		cell, _, err := sandbox.Inside(os.Args[2:])
		if err == nil && cell.Probe {
			err = sandbox.Probe(cell, os.Stdout)
		}
		if err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const planted = "ghp_9Xk2LmQ7vRt4ZsB1nWc8YdF3"

// world is a broker with a vault, a resolver and upstream servers of its own.
type world struct {
	t      testing.TB
	broker *broker.Broker
	vault  *broker.Vault
	cert   tls.Certificate
	mu     sync.Mutex // guards all below
	events []broker.Event
	hosts  map[string][]netip.Addr
	opened []abi.Origin
	listen []netip.AddrPort
}

var upstreams = []string{"api.example", "other.example", "git.example"}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, hosts: map[string][]netip.Addr{}}
	for _, h := range upstreams {
		w.hosts[h] = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	}
	pool := x509.NewCertPool()
	w.cert = upstreamCert(t, pool)
	dir := t.TempDir()
	v, err := broker.OpenVault(context.Background(), filepath.Join(dir, "s.db"), filepath.Join(dir, "s.key"))
	if err != nil {
		t.Fatal(err)
	}
	w.vault = v
	if err := v.Set(context.Background(), "gh-store", []byte(planted)); err != nil {
		t.Fatal(err)
	}
	w.broker, err = broker.New(broker.Config{
		Vault: v, Resolver: w, Roots: pool, Observer: w, Version: "1.2.3",
		Private:   func(abi.SkillName) []abi.Origin { w.mu.Lock(); defer w.mu.Unlock(); return w.opened },
		Listeners: func() []netip.AddrPort { w.mu.Lock(); defer w.mu.Unlock(); return w.listen },
		Own:       func() []netip.Addr { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.broker.Close(); _ = v.Close() })
	return w
}

func (w *world) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.hosts[host]; len(a) > 0 {
		return a, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (w *world) Egress(_ context.Context, e broker.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// last returns the event of the last request that came to its end.
func (w *world) last() broker.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) == 0 {
		return broker.Event{}
	}
	return w.events[len(w.events)-1]
}

// eventually waits for an event that is told after the answer was read.
func (w *world) eventually(is func(broker.Event) bool) broker.Event {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		w.mu.Lock()
		for _, e := range w.events {
			if is(e) {
				w.mu.Unlock()
				return e
			}
		}
		w.mu.Unlock()
	}
	w.t.Fatalf("no such event among %+v", w.events)
	return broker.Event{}
}

// serve starts an upstream server for host and returns its origin, opened.
func (w *world) serve(host string, h http.HandlerFunc) abi.Origin {
	w.t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{w.cert}}
	s.Config.ErrorLog = nil
	s.StartTLS()
	w.t.Cleanup(s.Close)
	o := abi.Origin(fmt.Sprintf("https://%s:%d", host, s.Listener.Addr().(*net.TCPAddr).Port))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened = append(w.opened, o)
	return o
}

func right(o abi.Origin) abi.HTTPRight {
	return abi.HTTPRight{Origin: abi.OriginPattern(o), Methods: []string{"GET", "POST", "PUT", "HEAD"}, Paths: []string{"/**"}}
}

// bearer lets gh be sent as a bearer token to origins.
func bearer(only ...abi.Origin) abi.SecretRight {
	return abi.SecretRight{Name: "gh", Store: "gh-store", Inject: abi.Injection{Kind: abi.InjectBearer}, Only: only}
}

// box is a proxy and a client of it.
type box struct {
	*Proxy
	t *testing.T
	w *world
}

func (w *world) box(t *testing.T, rights abi.Rights, change ...func(*Config)) *box {
	t.Helper()
	cfg := Config{
		Broker: w.broker, Box: "box-1", Caller: abi.Caller{Agent: "main", Skill: "exec", Call: "c1"},
		Rights: func() abi.Rights { return rights }, Permits: map[abi.Origin]broker.Permit{},
		Dir: filepath.Join(shortDir(t), "e"), UID: os.Geteuid(), Limits: DefaultLimits(),
	}
	for _, f := range change {
		f(&cfg)
	}
	p, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return &box{p, t, w}
}

// shortDir is a directory whose path leaves room for the name of a socket.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// raw sends text on the socket and returns the connection.
func (b *box) raw(text string) net.Conn {
	b.t.Helper()
	c, err := net.Dial("unix", b.Socket())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, text) // the proxy may have hung up
	return c
}

func authorityOf(o abi.Origin) string { return strings.TrimPrefix(string(o), "https://") }

// tunnelTo opens a tunnel and speaks TLS in it.
func (b *box) tunnelTo(o abi.Origin, protocols ...string) *tls.Conn {
	b.t.Helper()
	c := b.raw("CONNECT " + authorityOf(o) + " HTTP/1.1\r\nHost: " + authorityOf(o) + "\r\n\r\n")
	line, err := readLine(c)
	if err != nil || !strings.Contains(line, " 200 ") {
		b.t.Fatalf("CONNECT: %q, %v", line, err)
	}
	for line != "" {
		if line, err = readLine(c); err != nil {
			b.t.Fatal(err)
		}
	}
	secure := tls.Client(c, &tls.Config{RootCAs: b.pool(), ServerName: hostOf(o), NextProtos: protocols})
	if err := secure.Handshake(); err != nil {
		b.t.Fatalf("handshake in the tunnel: %v", err)
	}
	return secure
}

// readLine reads a line byte by byte, so that nothing behind it is lost.
func readLine(r io.Reader) (string, error) {
	var line []byte
	one := make([]byte, 1)
	for {
		if _, err := io.ReadFull(r, one); err != nil {
			return string(line), err
		}
		if one[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, one[0])
	}
}

func (b *box) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b.CA())
	return pool
}

// client is an ordinary HTTP client that knows of the proxy.
func (b *box) client() *http.Client {
	t := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: b.pool()}, DisableCompression: true,
		DialTLSContext: func(_ context.Context, _, addr string) (net.Conn, error) {
			return b.tunnelTo(abi.Origin("https://" + strings.TrimSuffix(addr, ":443"))), nil
		},
	}
	b.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: 20 * time.Second}
}

// ask sends raw text through a tunnel and reads one answer.
func (b *box) ask(o abi.Origin, text string) (int, string) {
	b.t.Helper()
	c := b.tunnelTo(o)
	_, _ = io.WriteString(c, text) // the answer may be there before all of it is sent
	return b.answer(bufio.NewReader(c))
}

func (b *box) answer(r *bufio.Reader) (int, string) {
	b.t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, string(text) + " " + err.Error()
	}
	return resp.StatusCode, string(text)
}

// get is a request without anything odd.
func get(o abi.Origin, path string, fields ...string) string {
	return strings.Join(append([]string{"GET " + path + " HTTP/1.1", "Host: " + authorityOf(o)}, fields...), "\r\n") + "\r\n\r\n"
}

func upstreamCert(t testing.TB, pool *x509.CertPool) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: upstreams, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// all returns the events so far.
func (w *world) all() []broker.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}
