package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"
)

// Error is an RFC 9457 problem with the rule that refused and the command that
// mends it.
type Error struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Rule   string `json:"rule,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// Error implements error.
func (e *Error) Error() string { return e.Detail }

// NewError returns a problem; rule and hint may be empty.
func NewError(status int, detail, rule, hint string) *Error {
	return &Error{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Rule: rule, Hint: hint}
}

// writeError is the only place that turns an error into bytes for a client.
func (s *Server) writeError(err error, c echo.Context) {
	problem := s.problem(err)
	if c.Response().Committed {
		return // a stream reports its own failure as an event
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "application/problem+json")
	switch problem.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="glovebox"`)
	case http.StatusTooManyRequests:
		h.Set("Retry-After", "1")
	}
	c.Response().WriteHeader(problem.Status)
	if c.Request().Method == http.MethodHead {
		return
	}
	doc, err := s.encode(problem)
	if err != nil {
		doc, _ = json.Marshal(errWithheld) // a constant of this program
	}
	if _, err := c.Response().Write(append(doc, '\n')); err != nil {
		s.log.Debug("client went away", "err", err)
	}
}

func (s *Server) problem(err error) *Error {
	var p *Error
	if errors.As(err, &p) {
		return p
	}
	var he *echo.HTTPError
	if errors.As(err, &he) {
		switch he.Code {
		case http.StatusNotFound:
			return NewError(he.Code, "there is no such resource", "api/route", "the routes are /health, /api/chat, /api/status, /api/skills, /api/audit, /api/approvals, /api/endorsements, /api/conversations, /api/budgets, /api/memory")
		case http.StatusMethodNotAllowed:
			return NewError(he.Code, "this resource does not answer that method", "api/method", "")
		case http.StatusRequestEntityTooLarge:
			return NewError(he.Code, "the body exceeds 1 MiB", "api/body", "")
		}
		return NewError(he.Code, fmt.Sprint(he.Message), "", "")
	}
	s.log.Error("request failed", slog.Any("err", err))
	return NewError(http.StatusInternalServerError, "internal error; the daemon's log has the details", "", "")
}
