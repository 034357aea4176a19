package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync"
	"time"
)

// caLife is how long the authority of a box lasts, and what it certifies: a box that runs
// longer than that loses its egress.
const caLife = 24 * time.Hour

// authority is the certificate authority of one box. Its key never leaves the process,
// and what it may sign is written into its certificate: the hosts of that box, and no
// authority below it.
type authority struct {
	hosts []string
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	leaf  *ecdsa.PrivateKey // of all leaves

	mu     sync.Mutex // guards leaves
	leaves map[string]*tls.Certificate
}

func newAuthority(hosts []string, now time.Time) (*authority, error) {
	a := &authority{hosts: hosts, leaves: map[string]*tls.Certificate{}}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("make the authority of the box: %w", err)
	}
	if a.leaf, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("make the authority of the box: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "glovebox egress of one box"},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: hosts,
		ExcludedIPRanges: everyIP(),
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("make the authority of the box: %w", err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("make the authority of the box: %w", err)
	}
	return a, nil
}

// certificate returns the leaf of one of the hosts.
func (a *authority) certificate(host string, now time.Time) (*tls.Certificate, error) {
	if !slices.Contains(a.hosts, host) {
		return nil, fmt.Errorf("the authority of this box does not certify %s", host)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.leaves[host]; c != nil {
		return c, nil
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: clip(host, 64)}, DNSNames: []string{host},
		NotBefore: now.Add(-time.Minute), NotAfter: a.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &a.leaf.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("certify %s: %w", host, err)
	}
	c := &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: a.leaf}
	a.leaves[host] = c
	return c, nil
}

// pem returns what the programs in the box have to trust.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

func clip(s string, n int) string { return s[:min(len(s), n)] }

// everyIP excludes all addresses: no name constraint of DNS touches them.
func everyIP() []*net.IPNet {
	return []*net.IPNet{
		{IP: make(net.IP, 4), Mask: make(net.IPMask, 4)},
		{IP: make(net.IP, 16), Mask: make(net.IPMask, 16)},
	}
}
