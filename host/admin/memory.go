package admin

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
)

// maxMemoryOut bounds the rows of one answer.
const maxMemoryOut = 1000

// Archive is the part of a Backend that shows and changes what agents remember. An
// empty agent is the first of the configuration.
type Archive interface {
	Memories(ctx context.Context, q MemoryQuery) ([]MemoryRow, error)
	Memory(ctx context.Context, agent string, id int64) (MemoryRow, error)
	// Forget removes a row for good.
	Forget(ctx context.Context, agent string, id int64) error
	// Promote gives a row the owner's trust, if it is still the one whose digest is shown.
	Promote(ctx context.Context, agent string, id int64, shown string) error
}

// MemoryQuery asks for rows: those that match Text, or the newest.
type MemoryQuery struct {
	Agent  string
	Text   string
	Before int64 // only rows older than this one; 0 = from the newest
	Limit  int
}

// MemoryRow is one thing that an agent remembers. Text is untrusted unless Trust is owner.
type MemoryRow struct {
	ID     int64     `json:"id"`
	Agent  string    `json:"agent"`
	Kind   string    `json:"kind"`  // fact, summary, turn, external
	Trust  string    `json:"trust"` // owner, peer, tainted
	Label  string    `json:"label"` // trust, and who may read it
	Text   string    `json:"text"`
	Origin string    `json:"origin,omitempty"`
	At     time.Time `json:"at"`
	Digest string    `json:"digest"` // of all of this: what a promotion names
}

// Promotion is the body of POST /api/memory/{id}.
type Promotion struct {
	Digest string `json:"digest"` // of the row as it was shown
}

func (s *Server) memories(c echo.Context) error {
	n, err := number(c, "n", 50, maxMemoryOut)
	if err != nil {
		return err
	}
	before := int64(0)
	if q := c.QueryParam("before"); q != "" {
		if before, err = rowID(q); err != nil {
			return err
		}
	}
	q := MemoryQuery{Agent: c.QueryParam("agent"), Text: c.QueryParam("q"), Before: before, Limit: n}
	return answer(c, func(ctx context.Context) (any, error) {
		list, err := s.backend.Memories(ctx, q)
		return map[string]any{"rows": notNil(list)}, err
	})
}

func (s *Server) memory(c echo.Context) error {
	return s.row(c, func(ctx context.Context, agent string, id int64) (any, error) {
		return s.backend.Memory(ctx, agent, id)
	})
}

func (s *Server) forget(c echo.Context) error {
	return s.row(c, func(ctx context.Context, agent string, id int64) (any, error) {
		return map[string]any{"id": id, "forgotten": true}, s.backend.Forget(ctx, agent, id)
	})
}

func (s *Server) promote(c echo.Context) error {
	var p Promotion
	if err := decode(c, &p); err != nil {
		return err
	}
	return s.row(c, func(ctx context.Context, agent string, id int64) (any, error) {
		return map[string]any{"id": id, "promoted": true}, s.backend.Promote(ctx, agent, id, p.Digest)
	})
}

func (s *Server) row(c echo.Context, f func(ctx context.Context, agent string, id int64) (any, error)) error {
	id, err := rowID(c.Param("id"))
	if err != nil {
		return err
	}
	return answer(c, func(ctx context.Context) (any, error) { return f(ctx, c.QueryParam("agent"), id) })
}

func rowID(s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 1 {
		return 0, NewError(http.StatusBadRequest, fmt.Sprintf("%.40q is not the number of a row", s), "api/query", "glovebox memory list")
	}
	return id, nil
}
