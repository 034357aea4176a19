package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// dnsAddr is where programs in the box ask for names (/etc/resolv.conf).
const dnsAddr = "127.0.0.1:53"

// answerTime bounds the wait for the answer to a CONNECT: who dials would wait no longer.
const answerTime = 30 * time.Second

// relay copies bytes to the socket.
type relay struct{ socket string }

// listen opens everything that the program may ask for, so that it is there when the
// program starts.
func (r *relay) listen(proxy string, names []name) error {
	l, err := net.Listen("tcp", proxy)
	if err != nil {
		return fmt.Errorf("listen for programs that know of proxies: %w", err)
	}
	go r.accept(l, "")
	if len(names) == 0 {
		return nil
	}
	hosts, err := addresses(names)
	if err != nil {
		return err
	}
	for _, n := range names {
		l, err := net.Listen("tcp", netip.AddrPortFrom(hosts[n.host], n.port).String())
		if err != nil {
			return fmt.Errorf("listen for %s: %w", n.host, err)
		}
		go r.accept(l, net.JoinHostPort(n.host, strconv.Itoa(int(n.port))))
	}
	udp, err := net.ListenPacket("udp", dnsAddr)
	if err != nil {
		return fmt.Errorf("listen for questions about names: %w", err)
	}
	go answerDNS(udp, hosts)
	return nil
}

// accept serves one listener. to is what a tunnel is asked for, empty for programs that
// ask themselves.
func (r *relay) accept(l net.Listener, to string) {
	for {
		c, err := l.Accept()
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors, for instance
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		go func() {
			defer func() { _ = c.Close() }()
			if err := r.carry(c, to); err != nil {
				reset(c)
			}
		}()
	}
}

// carry copies both ways until both sides have ended.
func (r *relay) carry(c net.Conn, to string) error {
	var d net.Dialer
	up, err := d.Dial("unix", r.socket)
	if err != nil {
		return err
	}
	defer func() { _ = up.Close() }()
	var from io.Reader = up
	if to != "" {
		in := bufio.NewReader(up)
		if err := tunnel(up, in, to); err != nil {
			return err
		}
		from = in
	}
	var both sync.WaitGroup
	both.Go(func() { copyAll(up, c) })
	both.Go(func() { copyAll(c, from) })
	both.Wait()
	return nil
}

// copyAll copies to the end and says so to the other side.
func copyAll(dst net.Conn, src io.Reader) {
	_, err := io.Copy(dst, src)
	if half, ok := dst.(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	_ = dst.Close()
}

// tunnel asks for a tunnel and reads the answer (RFC 9110 section 9.3.6).
func tunnel(w net.Conn, r *bufio.Reader, to string) error {
	_ = w.SetDeadline(time.Now().Add(answerTime))
	if _, err := fmt.Fprintf(w, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", to, to); err != nil {
		return err
	}
	first, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(first, []byte("HTTP/1.1 200 ")) {
		return errors.New("refused")
	}
	for line := first; len(bytes.TrimSpace(line)) > 0; {
		if line, err = r.ReadSlice('\n'); err != nil {
			return err
		}
	}
	return w.SetDeadline(time.Time{})
}

// reset ends a connection as if nobody had listened.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
}
