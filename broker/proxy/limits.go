package proxy

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/glovebox-dev/glovebox/abi"
)

// Limits bound one box. Each must be set.
type Limits struct {
	Connections int           // at once; more wait
	Requests    int64         // in the life of the box, refused ones included
	Rate        float64       // requests in a second, on average; faster ones wait
	Burst       int           // requests that may come at once
	Sent        int64         // bytes of heads and bodies in the life of the box
	Received    int64         // bytes of bodies in the life of the box
	Head        time.Duration // from the first byte of a head, or of a handshake, to its last
	Idle        time.Duration // between requests on one connection
	Stall       time.Duration // without a byte of a body, or without room for one
	Request     time.Duration // of one request with its answer
}

// DefaultLimits is for a program that works for one call.
func DefaultLimits() Limits {
	return Limits{
		Connections: 64, Requests: 100_000, Rate: 100, Burst: 200, Sent: 256 * abi.MiB, Received: 1024 * abi.MiB,
		Head: 10 * time.Second, Idle: 2 * time.Minute, Stall: 30 * time.Second, Request: 10 * time.Minute,
	}
}

func (l Limits) check() error {
	if l.Connections <= 0 || l.Requests <= 0 || l.Rate <= 0 || l.Burst <= 0 || l.Sent <= 0 || l.Received <= 0 ||
		l.Head <= 0 || l.Idle <= 0 || l.Stall <= 0 || l.Request <= 0 {
		return errors.New("a box needs every limit: connections, requests, rate, burst, sent, received, head, idle, stall, request")
	}
	return nil
}

// meter counts what a box uses up.
type meter struct {
	limits                   Limits
	pace                     *rate.Limiter
	requests, sent, received atomic.Int64
}

func newMeter(l Limits) *meter {
	return &meter{limits: l, pace: rate.NewLimiter(rate.Limit(l.Rate), l.Burst)}
}

// request admits one request with a head of n bytes, when its time has come. Those that
// are refused wait as well: each of them is a line in the record.
func (m *meter) request(ctx context.Context, n int64) *abi.Problem {
	if err := m.pace.Wait(ctx); err != nil {
		return spent("ask any")
	}
	if m.requests.Add(1) > m.limits.Requests {
		return spent("ask any")
	}
	if m.sent.Add(n) > m.limits.Sent {
		return spent("send any")
	}
	return nil
}

// sending is a body of the box that counts.
type sending struct {
	io.Reader
	m *meter
}

// Read implements io.Reader.
func (s sending) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if s.m.sent.Add(int64(n)) > s.m.limits.Sent {
		return 0, spent("send any")
	}
	return n, err
}

// receiving is the body of an answer that counts.
type receiving struct {
	io.Reader
	m *meter
}

// Read implements io.Reader.
func (r receiving) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.m.received.Add(int64(n)) > r.m.limits.Received {
		return 0, spent("receive any")
	}
	return n, err
}
