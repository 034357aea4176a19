package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/mcp/listing"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/sony/gobreaker/v2"
)

// Times and numbers of one server.
const (
	connectTime = 30 * time.Second // from the start of the process to its listing
	callTime    = 60 * time.Second // of one call, when Config leaves it open
	maxCallTime = 30 * time.Minute
	minRest     = time.Second // after a first failed connection; doubled with each
	maxRest     = 30 * time.Second
	maxFailures = 5       // in a row, until it is left alone
	maxResult   = 1 << 20 // bytes of one result
)

// Config is what a Client is made of. Book and Link are required.
type Config struct {
	Name     abi.SkillName
	Book     *Book
	Link     Link
	Others   []abi.SkillName                               // names whose tools belong to somebody else
	Human    Human                                         // nil: the server is told that it cannot ask
	Scan     func(ctx context.Context, text string) string // takes known values out of what the server wrote; nil = nothing is known
	Observe  func(context.Context, Event)                  // nil: nobody is told
	CallTime time.Duration                                 // 0 = 60 s
	Version  string
}

// Client is one server: connected when it is called, connected again when that broke, and
// left alone when it keeps failing. It is safe for concurrent use.
type Client struct {
	cfg     Config
	peer    peer
	breaker *gobreaker.CircuitBreaker[abi.CallResult]
	slots   chan struct{} // one for each call that may run

	turn    chan struct{} // held by whoever looks at or changes what follows
	session *session
	failed  int       // connections in a row
	rest    time.Time // no connection before
	closed  bool

	watch sync.WaitGroup // goroutines of sessions
}

// New returns the client of one server. It connects to nothing.
func New(cfg Config) (*Client, error) {
	if cfg.Book == nil || cfg.Link == nil {
		return nil, errors.New("an MCP client needs a book and a link")
	}
	if err := cfg.Name.Check(); err != nil {
		return nil, err
	}
	if cfg.CallTime <= 0 {
		cfg.CallTime = callTime
	}
	cfg.CallTime = min(cfg.CallTime, maxCallTime)
	if cfg.Scan == nil {
		cfg.Scan = func(_ context.Context, text string) string { return text }
	}
	c := &Client{cfg: cfg, peer: cfg.peer(), slots: make(chan struct{}, cfg.Link.calls()), turn: make(chan struct{}, 1)}
	c.breaker = gobreaker.NewCircuitBreaker[abi.CallResult](gobreaker.Settings{
		Name: string(cfg.Name), Timeout: maxRest,
		ReadyToTrip:  func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= maxFailures },
		IsSuccessful: func(err error) bool { return !broken(err) },
		IsExcluded: func(err error) bool { // the caller gave up, or nothing was tried
			return err != nil && !broken(err) && (reasonOf(err) == "" || reasonOf(err) == reason.Resting)
		},
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				c.peer.note(context.Background(), Event{Kind: Rested, Reason: reason.Resting})
			}
		},
	})
	return c, nil
}

func (c Config) peer() peer {
	return peer{name: c.Name, link: c.Link, others: c.Others, human: c.Human, noted: c.Observe, version: c.Version}
}

// Probe connects to a server, lists its tools and disconnects, without trust: the book is
// neither read nor written.
func Probe(ctx context.Context, cfg Config) (_ listing.Listing, _ Facts, err error) {
	if cfg.Link == nil {
		return listing.Listing{}, Facts{}, errors.New("a probe needs a link")
	}
	cfg.Human = nil
	p := cfg.peer()
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	s, err := p.dial(ctx)
	if err != nil {
		return listing.Listing{}, Facts{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	l, _, err := p.list(ctx, s)
	return l, s.facts(), err
}

// broken reports whether an error says that the server does not work, rather than that it
// says no.
func broken(err error) bool {
	var r *reason.Refusal
	if !errors.As(err, &r) {
		return err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	}
	switch r.Reason {
	case reason.Down, reason.Timeout, reason.Flood, reason.Malformed, reason.Oversize, reason.Redirect, reason.Answer:
		return true
	}
	return false
}

// Tools returns what a model may be told of: the entries that a person approved, and none
// of a server in quarantine.
func (c *Client) Tools() ([]listing.Entry, error) {
	r, err := c.cfg.Book.Get(c.cfg.Name)
	if err != nil {
		return nil, err
	}
	l, _ := r.Live()
	return l.Entries, nil
}

// pinned returns the live listing, or why there is none.
func (c *Client) pinned() (listing.Listing, error) {
	r, err := c.cfg.Book.Get(c.cfg.Name)
	if err != nil {
		return listing.Listing{}, err
	}
	name := string(c.cfg.Name)
	switch l, ok := r.Live(); {
	case ok:
		return l, nil
	case r.Quarantine != nil:
		return listing.Listing{}, &reason.Refusal{
			Reason: reason.Quarantined, What: fmt.Sprintf("MCP server %q is in quarantine", name), Fix: "glovebox mcp approve " + name,
			Err: fmt.Errorf("it went there for %s", r.Quarantine.Reason),
		}
	}
	return listing.Listing{}, &reason.Refusal{Reason: reason.NotApproved, What: fmt.Sprintf("nobody has approved the tools of MCP server %q", name), Fix: "glovebox mcp approve " + name}
}

// Digest returns what the tool is pinned as now; "" if it cannot be called.
func (c *Client) Digest(tool abi.ToolName) abi.Digest {
	l, err := c.pinned()
	if err != nil {
		return ""
	}
	e, _ := l.Find(tool)
	return e.Digest
}

// Call runs one tool as it was pinned: digest is that of the entry that the caller's
// decision was about. The arguments are one JSON object. The result is bounded and
// scanned; whatever it says, its label is the zero one.
//
// # Errors
//
// A *reason.Refusal, or the error of ctx. After Timeout and Down the call may have had its
// effect.
func (c *Client) Call(ctx context.Context, tool abi.ToolName, digest abi.Digest, args json.RawMessage) (abi.CallResult, error) {
	if err := c.admits(tool, digest); err != nil {
		return abi.CallResult{}, err
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return abi.CallResult{}, ctx.Err()
	}
	result, err := c.breaker.Execute(func() (abi.CallResult, error) {
		s, err := c.verified(ctx)
		if err != nil {
			return abi.CallResult{}, err
		}
		// What was approved may have changed while the server was started or asked.
		if err := c.admits(tool, digest); err != nil {
			return abi.CallResult{}, err
		}
		return c.call(ctx, s, tool, args)
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		err = c.resting(fmt.Errorf("it failed %d times in a row", maxFailures))
	}
	return result, c.screened(ctx, err)
}

func (c *Client) resting(why error) error {
	return &reason.Refusal{Reason: reason.Resting, What: fmt.Sprintf("MCP server %q is left alone for up to %s", c.cfg.Name, maxRest), Fix: "glovebox mcp test " + string(c.cfg.Name), Err: why}
}

// screened takes known values out of what an error repeats of the server's words.
func (c *Client) screened(ctx context.Context, err error) error {
	var r *reason.Refusal
	if !errors.As(err, &r) || r.Err == nil {
		return err
	}
	clean := *r
	clean.Err = errors.New(cut(c.cfg.Scan(ctx, visible(r.Err.Error())), 1024))
	return &clean
}

// admits reports whether the tool is pinned as digest.
func (c *Client) admits(tool abi.ToolName, digest abi.Digest) error {
	l, err := c.pinned()
	if err != nil {
		return err
	}
	switch e, ok := l.Find(tool); {
	case !ok:
		return &reason.Refusal{Reason: reason.Unknown, What: fmt.Sprintf("MCP server %q has no tool %q", c.cfg.Name, tool), Fix: "glovebox mcp list"}
	case e.Digest != digest:
		return &reason.Refusal{Reason: reason.Changed, What: fmt.Sprintf("tool %q of MCP server %q is not the one that was asked for", tool, c.cfg.Name), Fix: "glovebox mcp list"}
	}
	return nil
}

func (c *Client) call(ctx context.Context, s *session, tool abi.ToolName, args json.RawMessage) (abi.CallResult, error) {
	within, cancel := context.WithTimeout(ctx, c.cfg.CallTime)
	defer cancel()
	res, err := s.client.CallTool(within, &sdk.CallToolParams{Name: string(tool), Arguments: args})
	var says *jsonrpc.Error
	switch {
	case errors.As(err, &says) && s.fault.get() == nil && !errors.Is(err, sdk.ErrConnectionClosed):
		return abi.CallResult{}, &reason.Refusal{
			Reason: reason.Protocol, What: fmt.Sprintf("MCP server %q answered with error %d", c.cfg.Name, says.Code), Err: errors.New(says.Message),
			Fix: "glovebox mcp test " + string(c.cfg.Name),
		}
	case err != nil && ctx.Err() != nil:
		return abi.CallResult{}, ctx.Err() // the server is told
	case err != nil: // what it does now is not known
		err = c.peer.failed(within, s, "call", err)
		c.drop(s, err)
		return abi.CallResult{}, err
	}
	result, err := c.take(ctx, res)
	if err != nil {
		return abi.CallResult{}, &reason.Refusal{Reason: reason.Answer, What: fmt.Sprintf("the result of MCP server %q is refused", c.cfg.Name), Fix: "glovebox mcp test " + string(c.cfg.Name), Err: err}
	}
	return result, nil
}

// take reads a result under our bounds and scans all text in it.
func (c *Client) take(ctx context.Context, res *sdk.CallToolResult) (abi.CallResult, error) {
	if res.NeedsInput() {
		return abi.CallResult{}, errors.New("it still asks for input")
	}
	raw, err := json.Marshal(struct {
		Content    []sdk.Content `json:"content"`
		IsError    bool          `json:"isError,omitempty"`
		Structured any           `json:"structuredContent,omitempty"`
	}{res.Content, res.IsError, structured(res.StructuredContent)})
	if err != nil {
		return abi.CallResult{}, err
	}
	out, err := abi.DecodeCallResult(raw, maxResult)
	if err != nil {
		return abi.CallResult{}, err
	}
	scan := func(text *string) { *text = c.cfg.Scan(ctx, *text) }
	for i := range out.Content {
		item := &out.Content[i]
		scan(&item.Text)
		scan(&item.URI)
		scan(&item.Name)
		if item.Resource != nil {
			scan(&item.Resource.Text)
			scan(&item.Resource.URI)
		}
	}
	if out.StructuredContent != nil {
		if clean := c.cfg.Scan(ctx, string(out.StructuredContent)); clean != string(out.StructuredContent) {
			out.StructuredContent = nil // what was taken out may have been half of a token
		}
	}
	return out, nil
}

// structured wraps what the newer protocol admits beside objects.
func structured(v any) any {
	if _, object := v.(map[string]any); object || v == nil {
		return v
	}
	return map[string]any{"value": v}
}
