package admin

import (
	"net"
	"sync"
)

// maxConns bounds the connections that are open at once. Any program of this machine
// can open one, and each takes a descriptor that the daemon needs for its files.
const maxConns = 256

// limited is a listener that leaves connections beyond a number to the kernel's
// queue. Those that say nothing are closed soon, which makes room.
type limited struct {
	net.Listener
	slots chan struct{}
	once  sync.Once
	done  chan struct{} // closed by Close
}

func limit(l net.Listener, conns int) *limited {
	return &limited{Listener: l, slots: make(chan struct{}, conns), done: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &counted{Conn: c, leave: func() { <-l.slots }}, nil
}

// Close implements net.Listener.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// counted gives its place up when it is closed first.
type counted struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}
