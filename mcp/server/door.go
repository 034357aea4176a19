package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/time/rate"
)

// labelKey is the key of a result's label in its _meta.
const labelKey = "dev.glovebox/label"

// door is what one client gets.
type door struct {
	client   ClientID
	cfg      Config
	server   *sdk.Server
	legacy   http.Handler
	modern   http.Handler
	requests *rate.Limiter

	mu    sync.Mutex // guards what follows; held while the server's tools are changed
	shown map[string]abi.Digest
	calls map[string]*rate.Limiter
}

func newDoor(client ClientID, cfg Config) (*door, error) {
	d := &door{
		client: client, cfg: cfg, requests: rate.NewLimiter(perSecond, burst),
		shown: map[string]abi.Digest{}, calls: map[string]*rate.Limiter{},
	}
	options := &sdk.ServerOptions{
		Capabilities: &sdk.ServerCapabilities{Tools: &sdk.ToolCapabilities{ListChanged: true}}, // and no more than there is
		Instructions: "Each call passes the gate of this host: it may be refused, or wait for a person.",
		SetCacheable: func(_ context.Context, _ sdk.Request, c *sdk.Cacheable) { c.CacheScope = "private" }, // what one client may see is not for another
	}
	if cfg.Skills != nil {
		declareSkills(options.Capabilities)
	}
	if f := cfg.FixturesForTest; f != nil {
		f.Options(options)
	}
	d.server = sdk.NewServer(&sdk.Implementation{Name: "glovebox", Version: cfg.Version}, options)
	if cfg.Skills != nil {
		if err := d.serveSkills(); err != nil {
			return nil, err
		}
	}
	if f := cfg.FixturesForTest; f != nil {
		f.Server(d.server)
	}
	d.server.AddReceivingMiddleware(d.watch)
	get := func(*http.Request) *sdk.Server { return d.server }
	d.legacy = sdk.NewStreamableHTTPHandler(get, &sdk.StreamableHTTPOptions{SessionTimeout: sessionTime, MaxRequestBodyBytes: MaxBody})
	d.modern = sdk.NewStreamableHTTPHandler(get, &sdk.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true, MaxRequestBodyBytes: MaxBody})
	return d, nil
}

// ServeHTTP implements http.Handler: a handler with sessions refuses the new revision, and
// one without cannot serve the old one.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Mcp-Protocol-Version") >= modern {
		d.modern.ServeHTTP(w, r)
		return
	}
	d.legacy.ServeHTTP(w, r)
}

// watch comes before each request of the client.
func (d *door) watch(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, req sdk.Request) (sdk.Result, error) {
		switch method {
		case "initialize":
			n := 0
			for range d.server.Sessions() {
				n++
			}
			if n > maxSessions {
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "too many sessions of this client"}
			}
		case "tools/list", "server/discover":
			if err := d.refresh(ctx); err != nil {
				return nil, d.internal("list tools", err)
			}
		case "tools/call":
			if err := d.refresh(ctx); err != nil {
				return nil, d.internal("list tools", err)
			}
			if err := d.admit(req); err != nil {
				return nil, err
			}
		}
		res, err := next(ctx, method, req)
		if list, ok := res.(*sdk.ListResourcesResult); ok && err == nil && d.cfg.Skills != nil && list.NextCursor == "" {
			err = d.addSkills(ctx, list)
		}
		return res, err
	}
}

// internal hides an error of the host's.
func (d *door) internal(what string, err error) error {
	d.cfg.Log.Error("MCP request failed", "client", string(d.client), "what", what, "err", err)
	return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "the host could not " + what}
}

// admit counts a call of a tool that is exported.
func (d *door) admit(req sdk.Request) error {
	p, ok := req.GetParams().(*sdk.CallToolParamsRaw)
	if !ok {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "no tool is named"}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, exported := d.shown[p.Name]; !exported {
		return nil // the SDK knows the fixtures, and no other tool
	}
	l := d.calls[p.Name]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(callsPerMinute)/60, callsPerMinute)
		d.calls[p.Name] = l
	}
	if !l.AllowN(d.cfg.Now(), 1) {
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: fmt.Sprintf("more than %d calls of %s in a minute", callsPerMinute, p.Name)}
	}
	return nil
}

// refresh makes the server's tools those that the gate exports now. Sessions that listen
// are told of a difference.
func (d *door) refresh(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	tools, err := d.cfg.Gate.Tools(ctx, d.client)
	if err != nil {
		tools = nil // what cannot be known is not exported
	}
	now := make(map[string]abi.Digest, len(tools))
	for _, t := range tools {
		wire, digest, bad := t.wire()
		if bad != nil {
			d.cfg.Log.Error("tool is not exported", "tool", t.Name, "err", bad)
			continue
		}
		if now[t.Name] = digest; d.shown[t.Name] != digest {
			d.server.AddTool(wire, d.call)
		}
	}
	for name := range d.shown {
		if _, still := now[name]; !still {
			d.server.RemoveTools(name)
			delete(d.calls, name)
		}
	}
	d.shown = now
	return err
}

// wire is the tool in the words of the protocol. Its annotations are the host's.
func (t Tool) wire() (*sdk.Tool, abi.Digest, error) {
	var schema map[string]any
	if json.Unmarshal(t.InputSchema, &schema) != nil || schema["type"] != "object" {
		return nil, "", errors.New("its input schema is not of type object")
	}
	destructive := t.Class == abi.ClassDestructive
	tool := &sdk.Tool{
		Name: t.Name, Title: t.Title, Description: t.Description, InputSchema: t.InputSchema,
		Annotations: &sdk.ToolAnnotations{ReadOnlyHint: t.Class == abi.ClassRead, DestructiveHint: &destructive},
	}
	if len(t.OutputSchema) > 0 {
		tool.OutputSchema = t.OutputSchema
	}
	text, err := json.Marshal(tool)
	return tool, abi.DigestOf(text), err
}

// call takes one call to the gate.
func (d *door) call(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
	args := req.Params.Arguments
	if len(args) == 0 || string(args) == "null" {
		args = json.RawMessage(`{}`)
	}
	out, err := d.cfg.Gate.Call(ctx, Call{Client: d.client, Session: req.Session.ID(), Tool: req.Params.Name, Args: args})
	if err != nil {
		return nil, d.internal("make the call", err)
	}
	res, err := out.wire()
	if err != nil {
		return nil, d.internal("make the call", err)
	}
	return res, nil
}

// wire is the result in the words of the protocol, with its label.
func (r Result) wire() (*sdk.CallToolResult, error) {
	text, err := json.Marshal(r.CallResult)
	if err != nil {
		return nil, err
	}
	res := &sdk.CallToolResult{}
	if err := json.Unmarshal(text, res); err != nil {
		return nil, err
	}
	if res.Content == nil {
		res.Content = []sdk.Content{}
	}
	if len(r.StructuredContent) > 0 {
		res.StructuredContent = r.StructuredContent
	}
	res.Meta = sdk.Meta{labelKey: r.Label}
	return res, nil
}
