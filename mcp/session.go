package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/mcp/listing"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// How long a listing holds before it is fetched again, whatever the server says of it.
const (
	minFresh = 5 * time.Second
	maxFresh = time.Hour
	fresh    = time.Minute // where it says nothing
)

// Facts are what a server says about itself, in its own words, bounded. They are shown to
// a person who asks, and never to a model.
type Facts struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Protocol     string `json:"protocol"`
	Instructions string `json:"instructions,omitempty"`
}

// maxInstructions bounds the instructions, in characters.
const maxInstructions = 4096

// session is one connection.
type session struct {
	client *sdk.ClientSession
	fault  *fault
	hangUp func() error
	dirty  atomic.Bool     // the server said that its tools changed, or nobody has looked yet
	wake   chan struct{}   // holds a token when dirty was set
	life   context.Context //nolint:containedctx // of questions that the server asks: ends with the connection
	end    context.CancelFunc

	until time.Time // that the listing holds
}

// peer is what a connection needs to know.
type peer struct {
	name    abi.SkillName
	link    Link
	others  []abi.SkillName
	human   Human
	noted   func(context.Context, Event)
	version string
}

// dial opens a connection and agrees on the protocol.
func (p *peer) dial(ctx context.Context) (*session, error) {
	s := &session{fault: &fault{}, wake: make(chan struct{}, 1)}
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	options := &sdk.ClientOptions{
		Capabilities: &sdk.ClientCapabilities{}, // no roots, no sampling
		ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) {
			s.dirty.Store(true)
			select {
			case s.wake <- struct{}{}:
			default: // one is enough
			}
		},
	}
	if p.human != nil {
		options.ElicitationHandler = func(ctx context.Context, req *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(s.life, cancel)()
			return p.elicit(ctx, req)
		}
		options.Capabilities.Elicitation = &sdk.ElicitationCapabilities{Form: &sdk.FormElicitationCapabilities{}, URL: &sdk.URLElicitationCapabilities{}}
	}
	transport, hangUp, err := p.link.open(ctx, s.fault)
	if err != nil {
		s.end()
		return nil, err
	}
	s.hangUp = hangUp
	s.client, err = sdk.NewClient(&sdk.Implementation{Name: "glovebox", Version: p.version}, options).Connect(ctx, transport, nil)
	if err != nil {
		s.end()
		return nil, errors.Join(p.failed(ctx, s, "connect to", err), hangUp())
	}
	return s, nil
}

// close ends the connection and what stands behind it: the process first, since a server
// that does not answer would keep the rest waiting.
func (s *session) close() error {
	s.end()
	err := s.hangUp()
	_ = s.client.Close() // of a connection that is gone, there is nothing to say
	return err
}

// failed gives an error its reason: that of the connection's end, before what followed.
func (p *peer) failed(ctx context.Context, s *session, verb string, err error) error {
	if why := s.fault.get(); why != nil {
		err = why
	}
	var known *reason.Refusal
	if errors.As(err, &known) {
		known := *known
		known.What, known.Fix = fmt.Sprintf("could not %s MCP server %q", verb, p.name), "glovebox mcp test "+string(p.name)
		return &known
	}
	why := reason.Down
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		why = reason.Timeout
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &reason.Refusal{Reason: why, What: fmt.Sprintf("could not %s MCP server %q", verb, p.name), Fix: "glovebox mcp test " + string(p.name), Err: err}
}

// list fetches what the server offers, page by page.
func (p *peer) list(ctx context.Context, s *session) (listing.Listing, time.Duration, error) {
	refuse := func(why reason.Reason, err error) (listing.Listing, time.Duration, error) {
		return listing.Listing{}, 0, &reason.Refusal{Reason: why, What: fmt.Sprintf("the tools of MCP server %q are refused", p.name), Fix: "glovebox mcp rm " + string(p.name), Err: err}
	}
	var tools []json.RawMessage
	size, ttl, cursor, seen := 0, 0, "", map[string]bool{}
	for page := 0; ; page++ {
		if page == listing.MaxPages {
			return refuse(reason.Oversize, fmt.Errorf("more than %d pages", listing.MaxPages))
		}
		res, err := s.client.ListTools(ctx, &sdk.ListToolsParams{Cursor: cursor})
		if err != nil {
			return listing.Listing{}, 0, p.failed(ctx, s, "list the tools of", err)
		}
		if ttl = res.GetTTLMs(); len(tools)+len(res.Tools) > listing.MaxTools {
			return refuse(reason.Oversize, fmt.Errorf("more than %d tools", listing.MaxTools))
		}
		for _, t := range res.Tools {
			raw, err := json.Marshal(t)
			if err != nil {
				return refuse(reason.Malformed, err)
			}
			if size += len(raw); size > listing.MaxBytes {
				return refuse(reason.Oversize, fmt.Errorf("the tools exceed the limit of %d bytes", listing.MaxBytes))
			}
			tools = append(tools, raw)
		}
		if cursor = res.NextCursor; cursor == "" {
			break
		}
		if seen[cursor] {
			return refuse(reason.Malformed, errors.New("a page leads to itself"))
		}
		seen[cursor] = true
	}
	l, err := listing.Read(p.name, tools, p.others)
	hold := fresh
	if ttl > 0 {
		hold = min(max(time.Duration(ttl)*time.Millisecond, minFresh), maxFresh)
	}
	return l, hold, err
}

// facts are what the server said when the connection was made.
func (s *session) facts() Facts {
	r := s.client.InitializeResult()
	if r == nil {
		return Facts{}
	}
	f := Facts{Protocol: cut(r.ProtocolVersion, 32), Instructions: cut(r.Instructions, maxInstructions)}
	if r.ServerInfo != nil {
		f.Name, f.Version = cut(r.ServerInfo.Name, 128), cut(r.ServerInfo.Version, 64)
	}
	return f
}

// cut shortens text to n characters.
func cut(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}

// elicit puts a question to a person.
func (p *peer) elicit(ctx context.Context, req *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
	decline := &sdk.ElicitResult{Action: "decline"}
	q, err := question(p.name, req.Params)
	var refusal *reason.Refusal
	if errors.As(err, &refusal) {
		p.note(ctx, Event{Kind: Declined, Reason: refusal.Reason, Err: err})
		return decline, nil
	}
	reply, err := p.human.Elicit(ctx, q)
	if err != nil || !reply.Accepted {
		return decline, nil //nolint:nilerr // whatever kept the person from answering is not the server's to know
	}
	return &sdk.ElicitResult{Action: "accept", Content: reply.Content}, nil
}

func (p *peer) note(ctx context.Context, e Event) {
	e.Server = p.name
	if p.noted != nil {
		p.noted(ctx, e)
	}
}
