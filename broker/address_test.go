package broker

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

func TestJudgeEdgesOfEveryBlock(t *testing.T) {
	t.Parallel()
	// first, inside, last of each block, and a public neighbour just outside where there is one
	cases := []struct {
		what    string
		in      []string
		out     string
		verdict verdict
	}{
		{"this network", []string{"0.0.0.0", "0.1.2.3", "0.255.255.255"}, "1.0.0.0", never},
		{"private 10", []string{"10.0.0.0", "10.1.2.3", "10.255.255.255"}, "11.0.0.0", private},
		{"private 10 from below", nil, "9.255.255.255", private},
		{"CGNAT", []string{"100.64.0.0", "100.100.1.1", "100.127.255.255"}, "100.128.0.0", private},
		{"below CGNAT", nil, "100.63.255.255", private},
		{"loopback", []string{"127.0.0.0", "127.0.0.1", "127.255.255.255"}, "128.0.0.0", private},
		{"below loopback", nil, "126.255.255.255", private},
		{"link-local", []string{"169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.255.255"}, "169.255.0.0", never},
		{"below link-local", nil, "169.253.255.255", never},
		{"private 172.16", []string{"172.16.0.0", "172.20.1.1", "172.31.255.255"}, "172.32.0.0", private},
		{"below 172.16", nil, "172.15.255.255", private},
		{"protocol assignments", []string{"192.0.0.0", "192.0.0.192", "192.0.0.255"}, "192.0.1.0", never},
		{"documentation 1", []string{"192.0.2.0", "192.0.2.7", "192.0.2.255"}, "192.0.3.0", never},
		{"AS112 v4", []string{"192.31.196.0", "192.31.196.9", "192.31.196.255"}, "192.31.197.0", never},
		{"AMT", []string{"192.52.193.0", "192.52.193.9", "192.52.193.255"}, "192.52.194.0", never},
		{"6to4 relay", []string{"192.88.99.0", "192.88.99.1", "192.88.99.255"}, "192.88.100.0", never},
		{"private 192.168", []string{"192.168.0.0", "192.168.1.1", "192.168.255.255"}, "192.169.0.0", private},
		{"AS112 v4 second", []string{"192.175.48.0", "192.175.48.9", "192.175.48.255"}, "192.175.49.0", never},
		{"benchmarking", []string{"198.18.0.0", "198.18.5.5", "198.19.255.255"}, "198.20.0.0", never},
		{"documentation 2", []string{"198.51.100.0", "198.51.100.9", "198.51.100.255"}, "198.51.101.0", never},
		{"documentation 3", []string{"203.0.113.0", "203.0.113.9", "203.0.113.255"}, "203.0.114.0", never},
		{"multicast", []string{"224.0.0.0", "224.0.0.1", "239.255.255.255"}, "223.255.255.255", never},
		{"reserved", []string{"240.0.0.0", "250.1.1.1", "255.255.255.255"}, "", never},
		{"Azure", []string{"168.63.129.16"}, "168.63.129.17", never},
		{"Alibaba metadata", []string{"100.100.100.200"}, "", never},

		{"unspecified", []string{"::"}, "", never},
		{"loopback v6", []string{"::1"}, "", private},
		{"IPv4-compatible", []string{"::2", "::127.0.0.1", "::8.8.8.8", "::ffff:ffff"}, "", never},
		{"IPv4-translated", []string{"::ffff:0:0:0", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"}, "", never},
		{"NAT64 local", []string{"64:ff9b:1::", "64:ff9b:1::1", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"}, "", never},
		{"discard", []string{"100::", "100::1", "100::ffff:ffff:ffff:ffff"}, "", never},
		{"dummy", []string{"100:0:0:1::", "100:0:0:1::1", "100:0:0:1:ffff:ffff:ffff:ffff"}, "", never},
		{"SRv6", []string{"5f00::", "5f00::1", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, "", never},
		{"unique local", []string{"fc00::", "fd12:3456::1", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, "", private},
		{"AWS and Google metadata", []string{"fd00:ec2::254", "fd20:ce::254"}, "", never},
		{"link-local v6", []string{"fe80::", "fe80::1", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, "", never},
		{"site-local", []string{"fec0::", "fec0::1", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, "", never},
		{"multicast v6", []string{"ff00::", "ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, "", never},
		{"outside 2000::/3", []string{"1fff:ffff::1", "4000::1", "8000::1", "e000::1"}, "2000::1", never},
		{"Teredo and ORCHID", []string{"2001::", "2001::1", "2001:2::1", "2001:20::1", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"}, "2001:200::", never},
		{"documentation v6", []string{"2001:db8::", "2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"}, "2001:db9::", never},
		{"below documentation v6", nil, "2001:db7:ffff::1", never},
		{"6to4", []string{"2002::", "2002:7f00:1::", "2002:808:808::1", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, "2003::", never},
		{"AS112 v6", []string{"2620:4f:8000::", "2620:4f:8000::1", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"}, "2620:4f:8001::", never},
		{"documentation v6 second", []string{"3fff::", "3fff:abc::1", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"}, "3fff:1000::", never},
		{"last of 2000::/3", nil, "3ffe:ffff::1", never},
		{"ISATAP", []string{"2a00:1450::5efe:7f00:1", "2a00:1450::200:5efe:10.0.0.1"}, "2a00:1450::5eff:7f00:1", never},

		{"mapped loopback", []string{"::ffff:127.0.0.1"}, "::ffff:8.8.8.8", private},
		{"mapped metadata", []string{"::ffff:169.254.169.254"}, "", never},
		{"NAT64 of loopback", []string{"64:ff9b::7f00:1"}, "64:ff9b::808:808", private},
		{"NAT64 of metadata", []string{"64:ff9b::a9fe:a9fe"}, "", never},
		{"zone", []string{"2a00:1450::1%eth0"}, "2a00:1450::1", never},
	}
	for _, c := range cases {
		for _, s := range c.in {
			if v, what := judge(netip.MustParseAddr(s)); v != c.verdict {
				t.Errorf("%s: %s is %v (%s); want %v", c.what, s, v, what, c.verdict)
			}
		}
		if c.out != "" {
			if v, what := judge(netip.MustParseAddr(c.out)); v != public {
				t.Errorf("%s: neighbour %s is %v (%s); want public", c.what, c.out, v, what)
			}
		}
	}
	if v, _ := judge(netip.Addr{}); v != never {
		t.Error("the zero address is not refused")
	}
}

// Addresses that the checks of other tools let through.
func TestJudgeRefusesWhatOtherValidatorsMiss(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "::127.0.0.1",
		"::ffff:0:127.0.0.1", "fec0::1", "100::1", "100.64.0.1", "224.0.0.1", "ff02::1", "255.255.255.255", "168.63.129.16",
	} {
		if v, _ := judge(netip.MustParseAddr(s)); v == public {
			t.Errorf("%s is public", s)
		}
	}
}

func TestJudgeAdmitsPublicSites(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"1.1.1.1", "8.8.8.8", "93.184.215.14", "140.82.121.6", "151.101.1.69", "104.16.132.229", "172.64.155.209", "192.0.66.2",
		"198.35.26.96", "203.208.41.1", "2606:4700::6810:84e5", "2a00:1450:4001:82a::200e", "2620:1ec:c11::200", "2400:cb00::1", "2001:4860:4860::8888",
	} {
		if v, what := judge(netip.MustParseAddr(s)); v != public {
			t.Errorf("%s is refused: %s", s, what)
		}
	}
}

func TestLocalNames(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "a.localhost": true, "printer.local": true, "metadata.google.internal": true, "x.home.arpa": true,
		"intranet": true, "example.com": false, "localhost.example.com": false, "internal.example": false, "127.0.0.1": false, "::1": false,
	} {
		if localName(host) != want {
			t.Errorf("localName(%q) = %v", host, !want)
		}
	}
}

func FuzzAddress(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add(netip.MustParseAddr("64:ff9b::7f00:1").AsSlice())
	f.Add(netip.MustParseAddr("2a00:1450::5efe:7f00:1").AsSlice())
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		v, what := judge(a)
		if v != public {
			if what == "" {
				t.Errorf("%s is refused without a reason", a)
			}
			return
		}
		if !a.IsGlobalUnicast() || a.Unmap().IsPrivate() || a.IsLoopback() {
			t.Errorf("%s is public", a)
		}
		if a.Is4() { // every way of writing it in IPv6 that reaches it must be judged alike
			m := netip.AddrFrom16(a.As16())
			if mv, _ := judge(m); mv != v {
				t.Errorf("%s and %s are judged differently", a, m)
			}
		}
	})
}

// TestOnlyPrivateAddressesCanBeOpened: what no request reaches is not said to be open.
func TestOnlyPrivateAddressesCanBeOpened(t *testing.T) {
	t.Parallel()
	for o, want := range map[abi.Origin]bool{
		"http://127.0.0.1": true, "http://127.0.0.1:8080": true, "http://[::1]:8080": true, "https://10.1.2.3": true,
		"http://nas.local": true, "http://intranet:8080": true, "http://[fd12::1]": true,
		"http://169.254.169.254": false, "http://169.254.169.254:8080": false, "http://[fe80::1]": false, "http://[fd00:ec2::254]:80": false,
		"http://[::ffff:169.254.169.254]": false, "http://0.0.0.0:4766": false, "http://224.0.0.1": false,
	} {
		if err := CheckOpen(o); (err == nil) != want || err != nil && !errors.Is(err, ErrNeverOpen) {
			t.Errorf("%s: %v, want it to open: %v", o, err, want)
		}
	}
}
