//go:build linux

package walls

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func sockets() []attempt {
	family := func(id, what string, domain, typ, proto int) attempt {
		return attempt{id: id, group: "sockets", what: what, try: func(Expect) (Verdict, string) {
			fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC, proto)
			if err == nil {
				_ = unix.Close(fd)
			}
			return refused(err, unix.EAFNOSUPPORT)
		}}
	}
	return []attempt{
		family("af_netlink", "talk to the kernel's network part", unix.AF_NETLINK, unix.SOCK_RAW, 0),
		family("af_packet", "see packets", unix.AF_PACKET, unix.SOCK_RAW, 0),
		family("af_vsock", "talk to the hypervisor", unix.AF_VSOCK, unix.SOCK_STREAM, 0),
		family("af_alg", "use ciphers in the kernel", unix.AF_ALG, unix.SOCK_SEQPACKET, 0),
		family("af_xdp", "see packets before the kernel does", unix.AF_XDP, unix.SOCK_RAW, 0),
		family("af_bluetooth", "use the radio", unix.AF_BLUETOOTH, unix.SOCK_RAW, 0),
		family("af_can", "use a car's bus", unix.AF_CAN, unix.SOCK_RAW, 0),
		family("af_tipc", "use a cluster's sockets", unix.AF_TIPC, unix.SOCK_STREAM, 0),
		family("af_rds", "use reliable datagrams", unix.AF_RDS, unix.SOCK_SEQPACKET, 0),
		{"socketpair-tipc", "sockets", "a pair of sockets of another family", false, func(Expect) (Verdict, string) {
			fds, err := unix.Socketpair(unix.AF_TIPC, unix.SOCK_STREAM, 0)
			if err == nil {
				_, _ = unix.Close(fds[0]), unix.Close(fds[1])
			}
			return refused(err, unix.EAFNOSUPPORT)
		}},
		{"raw-socket", "sockets", "make packets by hand", false, func(Expect) (Verdict, string) {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
			if err == nil {
				_ = unix.Close(fd)
			}
			return refused(err, unix.EPERM)
		}},
	}
}

// connect tries a connection and waits for its end no longer than a second.
func connect(typ int, at string) error {
	ap, err := netip.ParseAddrPort(at)
	if err != nil {
		return err
	}
	domain, sa := unix.AF_INET, unix.Sockaddr(nil)
	if ap.Addr().Is4() {
		sa = &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	} else {
		domain, sa = unix.AF_INET6, &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
	}
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	tv := unix.NsecToTimeval(int64(time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv); err != nil {
		return err
	}
	return unix.Connect(fd, sa)
}

func network() []attempt {
	reach := func(id, what, at string, typ int, wanted ...syscall.Errno) attempt {
		return attempt{id: id, group: "network", what: what, try: func(Expect) (Verdict, string) {
			return refused(connect(typ, at), wanted...)
		}}
	}
	return []attempt{
		reach("tcp-v4", "reach an address of the internet", "192.0.2.1:80", unix.SOCK_STREAM, unix.ENETUNREACH),
		reach("tcp-v4-2", "reach another", "198.51.100.1:443", unix.SOCK_STREAM, unix.ENETUNREACH),
		reach("tcp-v6", "reach an address of IPv6", "[2001:db8::1]:80", unix.SOCK_STREAM, unix.ENETUNREACH, unix.EADDRNOTAVAIL, unix.EAFNOSUPPORT),
		reach("udp-v4", "send a datagram, as QUIC and DNS do", "192.0.2.1:53", unix.SOCK_DGRAM, unix.ENETUNREACH),
		reach("metadata", "reach a cloud's metadata", "169.254.169.254:80", unix.SOCK_STREAM, unix.ENETUNREACH),
		reach("private", "reach a private network", "10.0.0.1:80", unix.SOCK_STREAM, unix.ENETUNREACH),
		reach("daemon", "reach the daemon's usual port", "127.0.0.1:4766", unix.SOCK_STREAM, unix.ECONNREFUSED),
		{"loopback", "network", "reach a listener on the host's loopback", false, func(e Expect) (Verdict, string) {
			if e.Loopback == "" {
				return Unobserved, "no listener is known"
			}
			return refused(connect(unix.SOCK_STREAM, e.Loopback), unix.ECONNREFUSED)
		}},
		{"abstract", "network", "reach an abstract socket of the host", false, func(e Expect) (Verdict, string) {
			if e.Abstract == "" {
				return Unobserved, "no socket is known"
			}
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return Unobserved, err.Error()
			}
			defer unix.Close(fd) //nolint:errcheck // nothing was written
			return refused(unix.Connect(fd, &unix.SockaddrUnix{Name: "@" + e.Abstract}), unix.ECONNREFUSED, unix.EPERM)
		}},
		{"interfaces", "network", "see a network interface", false, func(Expect) (Verdict, string) {
			b, err := os.ReadFile("/proc/self/net/dev")
			if err != nil {
				return Unobserved, err.Error()
			}
			var names []string
			for line := range strings.Lines(string(b)) {
				if name, _, ok := strings.Cut(line, ":"); ok {
					names = append(names, strings.TrimSpace(name))
				}
			}
			if saw := strings.Join(names, " "); saw != "lo" {
				return Fail, saw
			}
			return Pass, "lo"
		}},
		{"dns", "network", "resolve a name", false, resolve},
	}
}

// resolve asks the name servers that the system names and the ones that libraries
// ask when it names none.
func resolve(Expect) (Verdict, string) {
	servers := []string{"127.0.0.1:53", "127.0.0.53:53", "192.0.2.53:53"}
	if b, err := os.ReadFile("/etc/resolv.conf"); err == nil {
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) == 2 && f[0] == "nameserver" {
				if a, err := netip.ParseAddr(f[1]); err == nil {
					servers = append(servers, netip.AddrPortFrom(a, 53).String())
				}
			}
		}
	}
	for _, at := range servers {
		err := ask(at)
		if v, saw := refused(err, unix.ECONNREFUSED, unix.ENETUNREACH); v != Pass {
			return Fail, at + ": " + saw
		}
	}
	return Pass, fmt.Sprint(len(servers), " servers out of reach")
}

// ask sends a question for a name to a server; an answer is no error.
func ask(at string) error {
	ap, err := netip.ParseAddrPort(at)
	if err != nil {
		return err
	}
	if !ap.Addr().Is4() {
		return connect(unix.SOCK_DGRAM, at)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing is lost
	tv := unix.NsecToTimeval(int64(200 * time.Millisecond))
	if err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
		unix.Connect(fd, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()})); err != nil {
		return err
	}
	question := []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x00\x00\x01\x00\x01")
	if _, err := unix.Write(fd, question); err != nil {
		return err
	}
	_, err = unix.Read(fd, make([]byte, 512))
	return err
}
