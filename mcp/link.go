package mcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/time/rate"
)

// Link opens connections to one server.
type Link interface {
	// open returns the transport of a new connection. hangUp ends what stands behind it and
	// is called once, after the connection was closed.
	open(ctx context.Context, f *fault) (t sdk.Transport, hangUp func() error, err error)
	// calls is how many calls may run at once.
	calls() int
}

// Child is a process in a box.
type Child interface {
	Stdin() io.WriteCloser
	Stdout() io.ReadCloser
	// Stop closes stdin, lets the process end, then kills its whole tree, and returns when
	// none of it is left.
	Stop() error
}

// Spawner starts the process of one server in its box. There is none where there is no
// sandbox, and then no local server runs.
type Spawner interface {
	// Spawn verifies what is installed and starts it. ctx bounds the start, not the life.
	Spawn(ctx context.Context) (Child, error)
}

// Local reaches a server that s starts. A nil Spawner refuses.
func Local(s Spawner) Link { return local{s} }

type local struct{ spawner Spawner }

func (l local) calls() int { return 1 }

func (l local) open(ctx context.Context, f *fault) (sdk.Transport, func() error, error) {
	if l.spawner == nil {
		return nil, nil, &reason.Refusal{
			Reason: reason.NoSandbox, What: "a local MCP server runs in a box only, and there is no sandbox here", Fix: "glovebox status",
		}
	}
	child, err := l.spawner.Spawn(ctx)
	if err != nil {
		return nil, nil, err
	}
	return &sdk.IOTransport{
		Reader: newFrames(child.Stdout(), false, newMeter(), f), Writer: child.Stdin(), MaxLineLength: MaxFrame + 1,
	}, child.Stop, nil
}

// Authorizer adds a server's credentials to a request to its own origin. It gets no
// other request.
type Authorizer func(ctx context.Context, req *http.Request) error

// Remote reaches a server over streamable HTTP at endpoint, with a client of the broker
// that was made for the endpoint's origin. auth may be nil.
//
// Redirects stay on that origin: each hop is resolved, judged and pinned again by the
// broker, and one that leads elsewhere is refused, whoever wrote it.
func Remote(endpoint string, client *broker.Operator, auth Authorizer) (Link, error) {
	u, err := abi.ParseURL(endpoint)
	if err != nil {
		return nil, &reason.Refusal{Reason: reason.Config, What: fmt.Sprintf("%.200q is no address of an MCP server", endpoint), Err: err}
	}
	if client == nil {
		return nil, errors.New("a remote MCP server needs a client of the broker")
	}
	return &remote{endpoint, u.Origin, client, auth}, nil
}

type remote struct {
	endpoint string
	origin   abi.Origin
	client   *broker.Operator
	auth     Authorizer
}

func (r *remote) calls() int { return 4 }

func (r *remote) open(_ context.Context, f *fault) (sdk.Transport, func() error, error) {
	client := *r.client.HTTP()
	within := client.CheckRedirect
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if originOf(req) != r.origin {
			return f.set(reason.Redirect, fmt.Errorf("a redirect leads from %s to %.200q", r.origin, req.URL.Scheme+"://"+req.URL.Host))
		}
		return within(req, via)
	}
	client.Transport = &watched{next: client.Transport, remote: r, fault: f, meter: newMeter()}
	return &sdk.StreamableClientTransport{Endpoint: r.endpoint, HTTPClient: &client, MaxEventSize: MaxFrame + 1}, func() error { return nil }, nil
}

func originOf(req *http.Request) abi.Origin {
	u, err := abi.ParseURL(req.URL.Scheme + "://" + req.URL.Host + "/")
	if err != nil {
		return ""
	}
	return u.Origin
}

// maxOther bounds the body of an answer that is no message, such as an error's page.
const maxOther = 64 << 10

// watched is the transport of one connection.
type watched struct {
	next   http.RoundTripper
	remote *remote
	fault  *fault
	meter  *rate.Limiter
}

// RoundTrip implements http.RoundTripper: credentials in, answers under watch out.
func (w *watched) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.remote.auth != nil {
		if originOf(req) != w.remote.origin {
			return nil, w.fault.set(reason.Redirect, fmt.Errorf("a request to %.200q", req.URL.Host))
		}
		req = req.Clone(req.Context())
		if err := w.remote.auth(req.Context(), req); err != nil {
			return nil, w.fault.set(reason.Reauth, err)
		}
	}
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		_ = w.fault.set(reason.Reauth, fmt.Errorf("it answered %d", resp.StatusCode))
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch kind {
	case "text/event-stream":
		resp.Body = newFrames(resp.Body, true, w.meter, w.fault)
	case "application/json":
		if err := w.whole(resp); err != nil {
			return nil, err
		}
	default:
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxOther), resp.Body}
	}
	return resp, nil
}

// whole reads the one message of an answer and looks at it.
func (w *watched) whole(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, MaxFrame+1))
	err = errors.Join(err, resp.Body.Close())
	resp.Body = io.NopCloser(bytes.NewReader(text))
	switch {
	case err != nil:
		return err
	case len(text) > MaxFrame:
		return w.fault.set(reason.Oversize, fmt.Errorf("a message exceeds the limit of %d bytes", MaxFrame))
	case !w.meter.Allow():
		return w.fault.set(reason.Flood, fmt.Errorf("more than %d messages at once and %d a second", burst, perSecond))
	case len(bytes.TrimSpace(text)) == 0:
		return nil
	}
	if err := checkMessage(bytes.TrimSpace(text)); err != nil {
		return w.fault.set(reason.Malformed, err)
	}
	return nil
}
