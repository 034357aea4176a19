package wasm

import (
	"context"
	"sync"
	"time"
)

// clock measures the time that a call may still run and ends it when that is used
// up. It stands still while the call waits for a slot or for a human.
type clock struct {
	mu      sync.Mutex // guards everything below
	limit   string     // which limit ends the call: init_wall or wall
	max     time.Duration
	left    time.Duration
	used    time.Duration
	since   time.Time // when it was started; zero while it stands still
	timer   *time.Timer
	expired bool
	cancel  context.CancelCauseFunc
}

// newClock returns a clock that stands still. The context that it returns ends with
// the parent, or with a *LimitError as its cause.
func newClock(parent context.Context, limit string, max time.Duration) (context.Context, *clock) {
	ctx, cancel := context.WithCancelCause(parent)
	return ctx, &clock{limit: limit, max: max, left: max, cancel: cancel}
}

// start lets the clock run.
func (c *clock) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.since.IsZero() || c.expired {
		return
	}
	c.since = time.Now()
	c.timer = time.AfterFunc(c.left, c.expire)
}

// pause stops the clock.
func (c *clock) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.halt()
}

func (c *clock) halt() {
	if c.since.IsZero() {
		return
	}
	spent := time.Since(c.since)
	c.timer.Stop()
	c.since = time.Time{}
	c.used += spent
	c.left -= spent
}

// rebase makes limit the one that ends the call, with max less what was used already.
func (c *clock) rebase(limit string, max time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	running := !c.since.IsZero()
	c.halt()
	c.limit, c.max, c.left = limit, max, max-c.used
	if running && !c.expired {
		c.since = time.Now()
		c.timer = time.AfterFunc(c.left, c.expire)
	}
}

func (c *clock) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since.IsZero() || time.Since(c.since) < c.left {
		return // paused or rebased while the timer fired
	}
	c.expired = true
	c.cancel(&LimitError{Limit: c.limit, Max: c.max.Milliseconds()})
}

// remaining is what is left; never negative.
func (c *clock) remaining() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.left
	if !c.since.IsZero() {
		left -= time.Since(c.since)
	}
	return max(left, 0)
}

// elapsed is the time that the clock ran.
func (c *clock) elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	used := c.used
	if !c.since.IsZero() {
		used += time.Since(c.since)
	}
	return used
}

// close releases the timer and ends the context.
func (c *clock) close() {
	c.mu.Lock()
	c.halt()
	c.mu.Unlock()
	c.cancel(context.Canceled)
}
