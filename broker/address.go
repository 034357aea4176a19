package broker

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// verdict says how an address may be reached. The zero value is the strictest.
type verdict uint8

const (
	never   verdict = iota // no setting opens it
	private                // only as an origin that the operator opened
	public                 // anyone with a grant
)

// block is one special-purpose block of addresses.
type block struct {
	prefix  netip.Prefix
	verdict verdict
	what    string
}

// metadata lists addresses of cloud metadata and control services that lie inside
// blocks which an operator may open. It is consulted first.
var metadata = []block{
	{netip.MustParsePrefix("100.100.100.200/32"), never, "Alibaba metadata"},
	{netip.MustParsePrefix("168.63.129.16/32"), never, "Azure wire server"},
	{netip.MustParsePrefix("192.0.0.192/32"), never, "Oracle metadata"},
	{netip.MustParsePrefix("fd00:ec2::/32"), never, "AWS metadata"},
	{netip.MustParsePrefix("fd20:ce::/32"), never, "Google metadata"},
}

// blocks lists what is not public (IANA IPv4 and IPv6 Special-Purpose Address
// Registries, RFC 6890, and what those leave out). IPv6 outside 2000::/3 is refused as
// a whole besides.
var blocks = []block{
	{netip.MustParsePrefix("0.0.0.0/8"), never, "this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), private, "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), private, "shared address space"},
	{netip.MustParsePrefix("127.0.0.0/8"), private, "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), never, "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), private, "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), never, "protocol assignments"},
	{netip.MustParsePrefix("192.0.2.0/24"), never, "documentation"},
	{netip.MustParsePrefix("192.31.196.0/24"), never, "AS112"},
	{netip.MustParsePrefix("192.52.193.0/24"), never, "AMT"},
	{netip.MustParsePrefix("192.88.99.0/24"), never, "6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), private, "private"},
	{netip.MustParsePrefix("192.175.48.0/24"), never, "AS112"},
	{netip.MustParsePrefix("198.18.0.0/15"), never, "benchmarking"},
	{netip.MustParsePrefix("198.51.100.0/24"), never, "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), never, "documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), never, "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), never, "reserved"},

	{netip.MustParsePrefix("::1/128"), private, "loopback"},
	{netip.MustParsePrefix("::/128"), never, "unspecified"},
	{netip.MustParsePrefix("::/96"), never, "IPv4-compatible"},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), never, "IPv4-translated"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), never, "local NAT64"},
	{netip.MustParsePrefix("100::/64"), never, "discard"},
	{netip.MustParsePrefix("100:0:0:1::/64"), never, "dummy"},
	{netip.MustParsePrefix("5f00::/16"), never, "segment routing"},
	{netip.MustParsePrefix("fc00::/7"), private, "unique local"},
	{netip.MustParsePrefix("fe80::/10"), never, "link-local"},
	{netip.MustParsePrefix("fec0::/10"), never, "site-local"},
	{netip.MustParsePrefix("ff00::/8"), never, "multicast"},
	{netip.MustParsePrefix("2001::/23"), never, "protocol assignments"},
	{netip.MustParsePrefix("2001:db8::/32"), never, "documentation"},
	{netip.MustParsePrefix("2002::/16"), never, "6to4"},
	{netip.MustParsePrefix("2620:4f:8000::/48"), never, "AS112"},
	{netip.MustParsePrefix("3fff::/20"), never, "documentation"},
}

var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: the last four bytes are the IPv4 address
	global = netip.MustParsePrefix("2000::/3")
)

// judge returns how a may be reached and the name of the block that decided.
func judge(a netip.Addr) (verdict, string) {
	if !a.IsValid() || a.Zone() != "" {
		return never, "not an address"
	}
	a = a.Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	for _, list := range [][]block{metadata, blocks} {
		for _, b := range list {
			if b.prefix.Contains(a) {
				return b.verdict, b.what
			}
		}
	}
	if a.Is4() {
		return public, ""
	}
	if !global.Contains(a) {
		return never, "outside 2000::/3"
	}
	if isatap(a) {
		return never, "ISATAP"
	}
	return public, ""
}

// ErrNeverOpen is wrapped by the error of CheckOpen.
var ErrNeverOpen = errors.New("no setting opens this address")

// CheckOpen reports whether an operator can open the origin o: an address of a cloud's
// metadata, a link-local one or another that is never reached cannot be. What a name
// stands for is judged when it is dialled.
func CheckOpen(o abi.Origin) error {
	host, _ := splitOrigin(o)
	if at, err := netip.ParseAddrPort(host); err == nil {
		host = at.Addr().String()
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return nil
	}
	if v, what := judge(a); v == never {
		return fmt.Errorf("%s is refused (%s): %w", o, what, ErrNeverOpen)
	}
	return nil
}

// isatap reports whether the interface identifier of a is ::0:5efe:a.b.c.d or
// ::200:5efe:a.b.c.d (RFC 5214 section 6.1): packets to it may be sent to a.b.c.d.
func isatap(a netip.Addr) bool {
	b := a.As16()
	return (b[8] == 0 || b[8] == 2) && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

// interfaceAddrs returns the addresses of this host's interfaces.
func interfaceAddrs() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("read the addresses of this host: %w", err)
	}
	var out []netip.Addr
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out, nil
}

// listens reports whether the daemon itself answers at a: a listener on exactly that
// address, or on all addresses while a is one of this host's.
func listens(a netip.AddrPort, listeners []netip.AddrPort, own []netip.Addr) bool {
	ip := a.Addr().Unmap()
	for _, l := range listeners {
		if l.Port() != a.Port() {
			continue
		}
		lip := l.Addr().Unmap()
		if lip == ip || lip.IsUnspecified() && (ip.IsLoopback() || slices.Contains(own, ip)) {
			return true
		}
	}
	return false
}

// localName reports whether host is a name that only this machine or this network
// answers for (RFC 6761, RFC 6762, RFC 8375, ICANN's .internal), or a single label.
// host is canonical: lower case, without a trailing dot.
func localName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false // judged by the table
	}
	if !strings.Contains(host, ".") {
		return true
	}
	for _, suffix := range []string{".localhost", ".local", ".internal", ".home.arpa"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}
