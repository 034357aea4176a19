package broker

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/glovebox-dev/glovebox/abi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kit is a broker with a resolver, servers and an observer of its own. Its servers are
// on loopback, so their origins are opened, as an operator would.
type kit struct {
	*Broker
	t       *testing.T
	vault   *Vault
	cert    tls.Certificate
	pool    *x509.CertPool
	mu      sync.Mutex // guards all below
	hosts   map[string][]netip.Addr
	lookups []string
	private []abi.Origin
	listen  []netip.AddrPort
	events  []Event
	rights  abi.Rights
}

var testHosts = []string{"a.example", "www.a.example", "b.example", "c.example"}

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{t: t, hosts: map[string][]netip.Addr{}}
	k.rights.Limits = abi.DefaultLimits()
	k.cert, k.pool = testCert(t)
	for _, h := range testHosts {
		k.hosts[h] = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	}
	dir := t.TempDir()
	v, err := OpenVault(t.Context(), filepath.Join(dir, "secrets.db"), filepath.Join(dir, "secrets.key"))
	if err != nil {
		t.Fatal(err)
	}
	k.vault = v
	k.Broker, err = New(Config{
		Vault: v, Resolver: k, Roots: k.pool, Observer: k, Version: "1.2.3",
		Private:   k.opened,
		Listeners: func() []netip.AddrPort { k.mu.Lock(); defer k.mu.Unlock(); return k.listen },
		Own:       func() []netip.Addr { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Broker.Close(); _ = v.Close() })
	return k
}

func (k *kit) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lookups = append(k.lookups, host)
	a, ok := k.hosts[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return a, nil
}

// opened are the origins that are open to the kit's skill, and to no other.
func (k *kit) opened(skill abi.SkillName) []abi.Origin {
	k.mu.Lock()
	defer k.mu.Unlock()
	if skill != testCaller.Skill {
		return nil
	}
	return append([]abi.Origin(nil), k.private...)
}

func (k *kit) Egress(_ context.Context, e Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, e)
}

func (k *kit) lastEvent() Event {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.events) == 0 {
		k.t.Fatal("no event was observed")
	}
	return k.events[len(k.events)-1]
}

// serve starts an https server (http when plain) and returns its port.
func (k *kit) serve(plain bool, h http.HandlerFunc) uint16 {
	k.t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = nil
	s.TLS = &tls.Config{Certificates: []tls.Certificate{k.cert}}
	s.EnableHTTP2 = true
	if plain {
		s.Start()
	} else {
		s.StartTLS()
	}
	k.t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).AddrPort().Port()
}

// open opens origin for the kit's tests and grants all of it.
func (k *kit) open(origin string) abi.Origin {
	k.t.Helper()
	o, err := abi.ParseOrigin(origin)
	if err != nil {
		k.t.Fatal(err)
	}
	k.mu.Lock()
	k.private = append(k.private, o)
	k.mu.Unlock()
	k.grant(string(o))
	return o
}

func (k *kit) grant(origin string) {
	k.rights.HTTP = append(k.rights.HTTP, abi.HTTPRight{
		Origin: abi.OriginPattern(origin), Methods: []string{"GET", "POST", "PUT", "HEAD"}, Paths: []string{"/**"},
	})
}

// secret stores value and grants it for the origins.
func (k *kit) secret(name, value string, inject abi.Injection, only ...abi.Origin) {
	k.t.Helper()
	store := abi.SecretName("store-" + name)
	if err := k.vault.Set(k.t.Context(), store, []byte(value)); err != nil {
		k.t.Fatal(err)
	}
	k.rights.Secrets = append(k.rights.Secrets, abi.SecretRight{Name: abi.SecretName(name), Store: store, Inject: inject, Only: only})
}

var testCaller = abi.Caller{Agent: "agent", Skill: "web", Tool: "get", Call: "c1"}

func (k *kit) fetch(req abi.FetchRequest, body string) (abi.FetchResponse, string, *abi.Problem) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 20*time.Second)
	defer cancel()
	resp, b, err := k.Fetch(ctx, testCaller, k.rights, req, []byte(body))
	return resp, string(b), asProblem(k.t, err)
}

func asProblem(t *testing.T, err error) *abi.Problem {
	t.Helper()
	if err == nil {
		return nil
	}
	var p *abi.Problem
	if !errors.As(err, &p) {
		t.Fatalf("error %v is not a Problem", err)
	}
	return p
}

func wantProblem(t *testing.T, p *abi.Problem, code abi.Code, rule string) {
	t.Helper()
	if p == nil || p.Code != code || p.Rule != rule {
		t.Errorf("got %+v; want code %s and rule %s", p, code, rule)
	}
}

func (k *kit) get(url string) (string, *abi.Problem) {
	k.t.Helper()
	_, body, p := k.fetch(abi.FetchRequest{URL: url}, "")
	return body, p
}

func at(scheme, host string, port uint16) string {
	return fmt.Sprintf("%s://%s:%d", scheme, host, port)
}

// canary is a listener that counts who connects.
type canary struct {
	addr netip.AddrPort
	mu   sync.Mutex // guards hits
	hits int
}

func newCanary(t *testing.T) *canary {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &canary{addr: l.Addr().(*net.TCPAddr).AddrPort()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.hits++
			c.mu.Unlock()
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return c
}

func (c *canary) untouched(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hits > 0 {
		t.Errorf("%d connections reached the canary", c.hits)
	}
}

func testCert(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: testHosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
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
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// silent fails t when text holds value in any claimed form.
func silent(t *testing.T, where, text string, values ...string) {
	t.Helper()
	for _, v := range values {
		if strings.Contains(text, v) {
			t.Errorf("%s holds a secret: %q", where, text)
		}
	}
}
