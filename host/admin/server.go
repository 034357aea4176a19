package admin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"
)

// Limits of the API, beside the body's.
const (
	MaxBody     = 1 << 20          // bytes of a request body
	MaxDepth    = 32               // nesting of a JSON body
	maxHeader   = 16 << 10         // bytes of all request headers
	readTime    = 15 * time.Second // whole request
	answerTime  = 30 * time.Second // what the backend may take, but for a message
	writeTime   = 30 * time.Second // a client that takes no bytes for so long is gone
	idleTime    = 60 * time.Second // kept-alive connection
	chatTime    = 10 * time.Minute // one message, with the time an approval may take
	burst       = 100              // requests at once
	perSecond   = 10               // requests sustained
	maxMessage  = 256 << 10        // bytes of a message
	maxSession  = 128              // bytes of a session's name
	maxAuditOut = 1000             // records of one answer
)

// Config is what a Server needs.
type Config struct {
	Listen  string // loopback IP:PORT
	Token   string // the operator's, not kept
	Approve string // the token that answers approvals, and opens nothing else; not kept
	Backend Backend
	Redact  Redactor // of every answer; nil where no secret exists
	Log     *slog.Logger
}

// Server serves the API on one loopback listener.
type Server struct {
	backend  Backend
	redact   Redactor
	log      *slog.Logger
	tokens   map[[sha256.Size]byte]scope
	hosts    map[string]bool
	requests *rate.Limiter
	failures *rate.Limiter
	listener net.Listener
	http     *http.Server
	patience time.Duration      // with a client that takes no bytes
	stop     context.CancelFunc // ends the requests that Shutdown would wait for
}

// ErrListen is wrapped by the error of an address that cannot be taken.
var ErrListen = errors.New("cannot listen")

// Listen takes the address. An address that is not loopback is refused: the token
// travels without TLS.
func Listen(ctx context.Context, cfg Config) (*Server, error) {
	ap, err := netip.ParseAddrPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("%w: %q is not an IP address and port", ErrListen, cfg.Listen)
	}
	if !ap.Addr().Unmap().IsLoopback() {
		return nil, fmt.Errorf("%w: %s is not a loopback address, and the token would travel without TLS", ErrListen, cfg.Listen)
	}
	if len(cfg.Token) < 32 {
		return nil, fmt.Errorf("%w: the token is shorter than 32 bytes", ErrListen)
	}
	if len(cfg.Approve) < 32 || cfg.Approve == cfg.Token {
		return nil, fmt.Errorf("%w: approvals need a token of their own, of 32 bytes or more", ErrListen)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", ap.String())
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w: %s is taken by another program: %w", ErrListen, ap, syscall.EADDRINUSE)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrListen, err)
	}
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{
		backend: cfg.Backend, redact: cfg.Redact, log: cfg.Log, tokens: map[[sha256.Size]byte]scope{
			sha256.Sum256([]byte(cfg.Token)): scopeOperate, sha256.Sum256([]byte(cfg.Approve)): scopeApprove,
		}, hosts: hosts(l.Addr()),
		requests: rate.NewLimiter(perSecond, burst), failures: rate.NewLimiter(perSecond, burst),
		listener: limit(l, maxConns), patience: writeTime, stop: stop,
	}
	if s.redact == nil {
		s.redact = func(doc []byte) ([]byte, error) { return doc, nil }
	}
	s.http = &http.Server{
		Handler: s.routes(), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: readTime, WriteTimeout: answerTime + writeTime, IdleTimeout: idleTime,
		ErrorLog:    slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return base },
	}
	return s, nil
}

// Address returns http://HOST:PORT.
func (s *Server) Address() string { return "http://" + s.listener.Addr().String() }

// Serve answers until Shutdown.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// Shutdown takes no more requests, ends streams and waits for the rest until ctx
// ends; then it cuts what is left, such as a connection that never sent a request.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Debug("connections were cut")
		err = s.http.Close()
	}
	if err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

// routes is the whole table. Everything but the two health routes needs the token.
func (s *Server) routes() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.writeError
	e.JSONSerializer = serializer{s}
	e.Logger.SetOutput(logWriter{s.log})
	e.Pre(s.recover, s.guard)
	e.GET("/health", health)
	e.GET("/healthz", health)
	api := e.Group("/api", s.authenticate, s.body)
	api.POST("/chat", only(s.chat, scopeOperate))
	api.GET("/status", only(s.status, scopeOperate))
	api.GET("/skills", only(s.skills, scopeOperate))
	api.GET("/audit", only(s.audit, scopeOperate))
	api.GET("/explain/:seq", only(s.explain, scopeOperate))
	api.POST("/stop", only(s.stopDaemon, scopeOperate))
	api.GET("/budgets", only(s.budgets, scopeOperate))
	api.GET("/memory", only(s.memories, scopeOperate|scopeApprove))
	api.GET("/memory/:id", only(s.memory, scopeOperate|scopeApprove))
	api.GET("/approvals", only(s.approvals, scopeOperate|scopeApprove))
	api.GET("/approvals/:id", only(s.approval, scopeOperate|scopeApprove))
	api.GET("/conversations", only(s.marked, scopeOperate|scopeApprove))
	api.GET("/endorsements", only(s.endorsements, scopeOperate|scopeApprove))
	// Who runs the daemon, or talks to an agent, does not thereby approve.
	api.POST("/approvals/:id", only(s.decide, scopeApprove))
	api.DELETE("/endorsements/:id", only(s.revoke, scopeApprove))
	api.POST("/conversations/clear", only(s.clear, scopeApprove))
	api.POST("/memory/:id", only(s.promote, scopeApprove))
	api.DELETE("/memory/:id", only(s.forget, scopeApprove))
	// Without this, an unknown path below /api would tell strangers which paths exist.
	api.Any("/*", func(echo.Context) error { return echo.ErrNotFound })
	return e
}

// recover answers 500 when a handler panics; net/http would only cut the line.
func (s *Server) recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("handler panicked: %v", r)
			}
		}()
		return next(c)
	}
}

func (s *Server) body(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		r.Body = http.MaxBytesReader(c.Response(), r.Body, MaxBody)
		return next(c)
	}
}

// logWriter hands echo's own messages to slog.
type logWriter struct{ log *slog.Logger }

// Write implements io.Writer.
func (w logWriter) Write(p []byte) (int, error) {
	w.log.Debug("http", "message", string(p))
	return len(p), nil
}
