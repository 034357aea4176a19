package admin

import (
	"context"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
)

// maxPast is how many decided asks one answer holds.
const maxPast = 1000

func (s *Server) approvals(c echo.Context) error {
	past, err := number(c, "past", 0, maxPast)
	if err != nil {
		return err
	}
	return answer(c, func(ctx context.Context) (any, error) {
		list, err := s.backend.Approvals(ctx, past)
		return map[string]any{"approvals": notNil(list)}, err
	})
}

func (s *Server) approval(c echo.Context) error {
	return answer(c, func(ctx context.Context) (any, error) { return s.backend.Approval(ctx, c.Param("id")) })
}

func (s *Server) decide(c echo.Context) error {
	var d Decision
	if err := decode(c, &d); err != nil {
		return err
	}
	switch {
	case d.Decision != Approve && d.Decision != Deny && d.Decision != Endorse:
		return NewError(http.StatusBadRequest, fmt.Sprintf("decision is %q, want approve, deny or endorse", d.Decision), "api/approvals", "")
	case d.Decision != Endorse && d.Argument+d.Value+d.For != "":
		return NewError(http.StatusBadRequest, "argument, value and for are of endorse only", "api/approvals", "")
	case d.Decision == Endorse && (d.Argument == "" || d.For == ""):
		return NewError(http.StatusBadRequest, "endorse needs argument, and for: once or session", "api/approvals", "")
	}
	return answer(c, func(ctx context.Context) (any, error) {
		id := c.Param("id")
		return map[string]string{"id": id, "decision": d.Decision}, s.backend.Decide(ctx, id, d)
	})
}

func (s *Server) endorsements(c echo.Context) error {
	return answer(c, func(ctx context.Context) (any, error) {
		list, err := s.backend.Endorsements(ctx)
		return map[string]any{"endorsements": notNil(list)}, err
	})
}

func (s *Server) revoke(c echo.Context) error {
	return answer(c, func(ctx context.Context) (any, error) {
		id := c.Param("id")
		return map[string]string{"id": id, "status": "revoked"}, s.backend.Revoke(ctx, id)
	})
}

func (s *Server) marked(c echo.Context) error {
	return answer(c, func(ctx context.Context) (any, error) {
		list, err := s.backend.Marked(ctx)
		return map[string]any{"conversations": notNil(list)}, err
	})
}

func (s *Server) clear(c echo.Context) error {
	var which Conversation
	if err := decode(c, &which); err != nil {
		return err
	}
	if which.Agent == "" || which.Session == "" {
		return NewError(http.StatusBadRequest, "agent and session say which conversation is cleared", "api/conversations", "glovebox approval marked")
	}
	return answer(c, func(ctx context.Context) (any, error) {
		return map[string]string{"agent": which.Agent, "session": which.Session, "status": "cleared"}, s.backend.Clear(ctx, which)
	})
}
