// Package proxy is the way out of a box without a network: a CONNECT proxy on a unix
// socket, one for each box, that ends the TLS of the programs in it, so that the broker
// can judge each request, put secrets into their places, and take them out of answers.
//
// The socket is the identity: who can open it is that box, there is no token to steal or
// to bring into another one. The programs trust an authority of their box, made when it
// starts, whose certificate names the hosts that it is good for.
//
// What may be asked is decided by the broker (broker.Lane), request by request, against
// the rights as they are then. This package reads what the box sends, strictly, and
// bounds it.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
)

// Config describes the way out of one box. The zero value has none.
type Config struct {
	Broker  *broker.Broker
	Box     string                       // its name in the record
	Caller  abi.Caller                   // for whom it works
	Rights  func() abi.Rights            // as they are now: asked at each request
	Permits map[abi.Origin]broker.Permit // beside the rights
	Dir     string                       // made for the socket, and removed with it; nothing may be there
	UID     int                          // whose processes may open the socket
	Limits  Limits
	Log     *slog.Logger // nil: discarded
}

// Proxy is the way out of one box. It is safe for concurrent use.
type Proxy struct {
	cfg    Config
	ca     *authority
	meter  *meter
	listen *net.UnixListener
	cease  context.CancelFunc
	done   sync.WaitGroup
	hits   atomic.Int32 // answers and requests that held a stored value
	cut    atomic.Bool
	lanes  map[abi.Origin]*broker.Lane
}

// Errors of Listen.
var (
	ErrConfig = errors.New("a box cannot have this way out")
	ErrSystem = errors.New("this system cannot tell who opens a socket")
)

// Listen makes the authority and the socket of a box and serves it until Close. The
// hosts are those of the rights as they are now: each an https origin without a
// wildcard. A right that is added later needs another box, one that is taken back counts
// at once.
func Listen(cfg Config) (*Proxy, error) {
	if cfg.Broker == nil || cfg.Rights == nil || cfg.Box == "" || cfg.Dir == "" {
		return nil, fmt.Errorf("%w: broker, rights, box or dir is missing", ErrConfig)
	}
	if err := cfg.Limits.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if !canIdentify {
		return nil, ErrSystem
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{cfg: cfg, meter: newMeter(cfg.Limits), lanes: map[abi.Origin]*broker.Lane{}}
	var hosts []string
	for _, r := range cfg.Rights().HTTP {
		origin := abi.Origin(r.Origin)
		lane, err := cfg.Broker.Lane(broker.LaneConfig{Box: cfg.Box, Caller: cfg.Caller, Origin: origin, Time: cfg.Limits.Request, Ended: p.ended})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		p.lanes[origin] = lane
		if host := hostOf(origin); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	if len(hosts) == 0 {
		return nil, fmt.Errorf("%w: no origin is granted, so it needs none", ErrConfig)
	}
	var err error
	if p.ca, err = newAuthority(hosts, time.Now()); err != nil {
		return nil, err
	}
	if p.listen, err = listen(cfg.Dir, cfg.UID); err != nil {
		return nil, err
	}
	ctx, cease := context.WithCancel(context.Background())
	p.cease = cease
	p.done.Go(func() { p.accept(ctx) })
	return p, nil
}

// listen makes the socket: in a directory that only uid can enter, and open to uid only.
func listen(dir string, uid int) (_ *net.UnixListener, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the socket: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	path := filepath.Join(dir, socketName)
	if len(path) > 107 {
		return nil, fmt.Errorf("%w: the path of the socket is longer than the 107 bytes that unix sockets take: %s", ErrConfig, path)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open the socket: %w", err)
	}
	err = os.Chmod(path, 0o600)
	if uid != os.Geteuid() {
		err = errors.Join(err, os.Chown(path, uid, -1), os.Chown(dir, uid, -1))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("close the socket to others: %w", err), l.Close())
	}
	return l, nil
}

const socketName = "egress.sock"

// acceptPause is how long a connection that could not be taken is left alone.
const acceptPause = 50 * time.Millisecond

// Socket returns the path of the socket, to be bound into the box.
func (p *Proxy) Socket() string { return filepath.Join(p.cfg.Dir, socketName) }

// CA returns the certificate that the programs in the box have to trust, as PEM.
func (p *Proxy) CA() []byte { return p.ca.pem() }

// Expires returns when the box loses its egress.
func (p *Proxy) Expires() time.Time { return p.ca.cert.NotAfter }

// Hosts returns the names that the relay in the box may answer for.
func (p *Proxy) Hosts() []string { return slices.Clone(p.ca.hosts) }

// Status is what the egress of a box has come to.
type Status struct {
	Requests, Sent, Received int64
	Cut                      bool // stored values were met twice
}

// Status returns what was used so far.
func (p *Proxy) Status() Status {
	return Status{p.meter.requests.Load(), p.meter.sent.Load(), p.meter.received.Load(), p.cut.Load()}
}

// Close ends all connections and removes the socket.
func (p *Proxy) Close() error {
	p.cease()
	err := p.listen.Close()
	p.done.Wait()
	for _, l := range p.lanes {
		l.Close()
	}
	return errors.Join(err, os.RemoveAll(p.cfg.Dir))
}

// accept takes connections, no more than the box may have at once.
func (p *Proxy) accept(ctx context.Context) {
	slots := make(chan struct{}, p.cfg.Limits.Connections)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		c, err := p.listen.AcceptUnix()
		if ctx.Err() != nil {
			return
		}
		if err != nil { // out of descriptors, for instance
			p.cfg.Log.Error("a box cannot connect", "box", p.cfg.Box, "err", err)
			<-slots
			time.Sleep(acceptPause)
			continue
		}
		p.done.Go(func() {
			defer func() { <-slots }()
			stop := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer stop()
			defer func() { _ = c.Close() }()
			p.serve(ctx, c)
		})
	}
}

// ended is told of each request. A stored value that comes back, or that the box sends,
// may be an accident once.
func (p *Proxy) ended(ev broker.Event) {
	if len(ev.Redacted) == 0 && (ev.Problem == nil || ev.Problem.Rule != "secret/leak") {
		return
	}
	if p.hits.Add(1) >= 2 && !p.cut.Swap(true) {
		p.cfg.Log.Warn("egress of a box is cut: stored values were met twice; rotate them",
			"box", p.cfg.Box, "origin", ev.Origin, "secrets", strings.Join(ev.Redacted, " "))
	}
}

// refuse tells the observer of what does not come to a lane.
func (p *Proxy) refuse(ctx context.Context, origin abi.Origin, method string, problem *abi.Problem, detail string) {
	p.cfg.Broker.Refuse(ctx, broker.Event{
		Time: time.Now(), Caller: p.cfg.Caller, Box: p.cfg.Box, Method: method, Origin: origin, Problem: problem, Detail: detail,
	})
}

// lane returns the way to origin, nil if the rights name it no more or never did.
func (p *Proxy) lane(origin abi.Origin) *broker.Lane {
	for _, r := range p.cfg.Rights().HTTP {
		if abi.Origin(r.Origin) == origin {
			return p.lanes[origin]
		}
	}
	return nil
}

func hostOf(o abi.Origin) string {
	u, err := abi.ParseURL(string(o) + "/")
	if err != nil {
		return ""
	}
	return u.Host
}
