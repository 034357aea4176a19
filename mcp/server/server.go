package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Bounds of the endpoint.
const (
	MaxBody        = 1 << 20 // bytes of a request
	maxNesting     = 64
	maxClients     = 64
	maxSessions    = 32               // of one client, of the older revision
	sessionTime    = 10 * time.Minute // without a request
	requestTime    = 10 * time.Minute // of one call, with the time an approval may take
	streamTime     = time.Hour        // of a stream of notifications
	callsPerMinute = 30               // of one tool by one client
	perSecond      = 50               // requests of one client, sustained
	burst          = 500              // at once
)

// modern is the first revision without sessions.
const modern = "2026-07-28"

// Config is what a Server is made of.
type Config struct {
	Gate    Gate
	Skills  Shelf // nil: no skills are served
	Version string
	Log     *slog.Logger     // nil discards
	Now     func() time.Time // nil = time.Now

	// FixturesForTest adds what a conformance suite calls. Its tools are not asked of the
	// gate; everything else applies.
	FixturesForTest *FixturesForTest
}

// FixturesForTest are features beside those of the gate.
type FixturesForTest struct {
	Options func(*sdk.ServerOptions)
	Server  func(*sdk.Server)
}

// Server serves MCP to the clients of one host.
type Server struct {
	cfg Config

	mu    sync.Mutex // guards doors
	doors map[ClientID]*door
}

// New returns a server. It serves nothing before its Handler is mounted behind
// authentication.
func New(cfg Config) (*Server, error) {
	if cfg.Gate == nil {
		return nil, errors.New("an MCP server needs a gate")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Server{cfg: cfg, doors: map[ClientID]*door{}}, nil
}

// Handler returns the endpoint. Requests without WithClient are refused, as are those of
// a page of another origin; the Host header is judged by whoever owns the listener, and
// on loopback once more here.
func (s *Server) Handler() http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.serve))
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	client := clientOf(r.Context())
	if client == "" {
		http.Error(w, "no client", http.StatusUnauthorized)
		return
	}
	d, err := s.door(client)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if !d.requests.AllowN(s.cfg.Now(), 1) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "more requests than the limit of this client", http.StatusTooManyRequests)
		return
	}
	if r.Method == http.MethodPost && !readBody(w, r) {
		return
	}
	until := requestTime
	if r.Method == http.MethodGet {
		until = streamTime
	}
	// The listener's own limits are those of short requests.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(until))
	d.ServeHTTP(w, r)
}

// readBody looks at a message before anybody parses it, and reports whether it may pass.
func readBody(w http.ResponseWriter, r *http.Request) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		http.Error(w, fmt.Sprintf("a message exceeds the limit of %d bytes", MaxBody), http.StatusRequestEntityTooLarge)
		return false
	}
	if err == nil {
		err = abi.CheckJSON(bytes.TrimSpace(body), maxNesting)
	}
	if err != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"the message is not plain JSON"}}`)
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return true
}

// door returns what serves one client: its sessions are in no other's reach.
func (s *Server) door(client ClientID) (*door, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.doors[client]; ok {
		return d, nil
	}
	if len(s.doors) == maxClients {
		return nil, errors.New("too many clients")
	}
	d, err := newDoor(client, s.cfg)
	if err != nil {
		return nil, err
	}
	s.doors[client] = d
	return d, nil
}
