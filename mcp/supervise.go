package mcp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/glovebox-dev/glovebox/mcp/listing"
	"github.com/glovebox-dev/glovebox/mcp/reason"
)

// Verify connects if need be and compares what the server offers with what was approved.
// It is what each call does first; a daemon may do it at any time.
func (c *Client) Verify(ctx context.Context) error {
	_, err := c.verified(ctx)
	return c.screened(ctx, err)
}

// verified returns a connection whose listing is known to be the approved one, now.
func (c *Client) verified(ctx context.Context) (*session, error) {
	if _, err := c.pinned(); err != nil {
		return nil, err // nothing to compare with: it is not even started
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case c.closed:
		return nil, &reason.Refusal{Reason: reason.Down, What: fmt.Sprintf("MCP server %q is no longer used", c.cfg.Name), Fix: "glovebox mcp list"}
	}
	if c.session == nil {
		if err := c.connect(ctx); err != nil {
			return nil, err
		}
	}
	s := c.session
	if !s.dirty.Swap(false) && s.fault.get() == nil && time.Now().Before(s.until) {
		return s, nil
	}
	if err := c.compare(ctx, s); err != nil {
		s.dirty.Store(true)
		if s.fault.get() != nil || broken(err) || isolates(err) {
			c.leave(s, err)
		}
		return nil, err
	}
	return s, nil
}

// connect opens a connection, unless the last failure was just now.
func (c *Client) connect(ctx context.Context) error {
	if time.Now().Before(c.rest) {
		return c.resting(fmt.Errorf("the last %d connections failed", c.failed))
	}
	s, err := c.peer.dial(ctx)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return err // the caller's doing
		}
		c.failed++
		c.rest = time.Now().Add(min(minRest<<min(c.failed-1, 10), maxRest))
		return err
	}
	c.session = s
	s.dirty.Store(true)
	c.watch.Go(func() { c.attend(s) })
	c.peer.note(ctx, Event{Kind: Connected})
	return nil
}

// compare lists the tools and holds them against the approved ones. Any difference, and
// any listing that is refused, withdraws all tools of the server.
func (c *Client) compare(ctx context.Context, s *session) error {
	approved, err := c.pinned()
	if err != nil {
		return err
	}
	l, hold, err := c.peer.list(ctx, s)
	switch {
	case err != nil && isolates(err):
		return errors.Join(err, c.isolate(ctx, err, nil))
	case err != nil:
		return err
	case l.Digest() != approved.Digest():
		err := &reason.Refusal{
			Reason: reason.Changed, What: fmt.Sprintf("the tools of MCP server %q changed", c.cfg.Name), Fix: "glovebox mcp approve " + string(c.cfg.Name),
			Err: fmt.Errorf("%d of them differ from what was approved", len(listing.Changes(approved, l))),
		}
		return errors.Join(err, c.isolate(ctx, err, &l))
	}
	c.failed, c.rest, s.until = 0, time.Time{}, time.Now().Add(hold)
	return nil
}

// isolates reports whether a refusal is about what the server says of its tools.
func isolates(err error) bool {
	var r *reason.Refusal
	if !errors.As(err, &r) {
		return false
	}
	switch r.Reason {
	case reason.Hidden, reason.Duplicate, reason.LookAlike, reason.Foreign, reason.Oversize, reason.Malformed, reason.Changed:
		return true
	}
	return false
}

func (c *Client) isolate(ctx context.Context, why error, seen *listing.Listing) error {
	var r *reason.Refusal
	errors.As(why, &r)
	e := Event{Kind: Isolated, Reason: r.Reason, Err: c.screened(ctx, why)}
	if seen != nil {
		e.Digest = seen.Digest()
	}
	c.peer.note(ctx, e)
	return c.cfg.Book.Isolate(c.cfg.Name, r.Reason, visible(c.screened(ctx, why).Error()), seen)
}

// attend looks at the listing again when the server says that it changed, so that its
// tools are withdrawn soon, and not only before the next call. It ends with the
// connection.
func (c *Client) attend(s *session) {
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.wake:
		}
		if err := c.Verify(s.life); err != nil && s.life.Err() == nil {
			c.peer.note(s.life, Event{Kind: Lost, Reason: reasonOf(err), Err: err})
		}
		select { // a server that cries all the time is not listed all the time
		case <-s.life.Done():
			return
		case <-time.After(minFresh):
		}
	}
}

func reasonOf(err error) reason.Reason {
	var r *reason.Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	return ""
}

// drop gives up a connection on which a call failed.
func (c *Client) drop(s *session, why error) {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	c.leave(s, why)
}

// leave closes s and forgets it, if it is still the one in use. The caller has the turn.
func (c *Client) leave(s *session, why error) {
	if c.session != s {
		return
	}
	c.session = nil
	err := s.close()
	c.peer.note(context.Background(), Event{Kind: Lost, Reason: reasonOf(why), Err: errors.Join(why, err)})
}

// Close ends the connection and waits for what was started with it.
func (c *Client) Close() error {
	c.turn <- struct{}{}
	s := c.session
	c.session, c.closed = nil, true
	<-c.turn
	var err error
	if s != nil {
		err = s.close()
	}
	c.watch.Wait()
	return err
}

// visible replaces what cannot be seen in text of a server's, for logs and messages.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
