package admin

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"
)

// Treasury is the part of a Backend that tells what agents have spent.
type Treasury interface {
	// Budgets lists the budgets of the agent, or of all where agent is empty.
	Budgets(ctx context.Context, agent string) ([]Budget, error)
}

// Budget is what one agent may spend and has spent, in the current hour and day.
type Budget struct {
	Agent  string        `json:"agent"`
	Parent string        `json:"parent,omitempty"` // for whom it works
	Limits []BudgetLimit `json:"limits"`
}

// BudgetLimit is one resource in one window. Money is in millionths.
type BudgetLimit struct {
	Resource string    `json:"resource"` // tokens, money, calls, egress, asks
	Window   string    `json:"window"`   // hour, day; UTC
	Max      int64     `json:"max"`
	Spent    int64     `json:"spent"`
	Reserved int64     `json:"reserved"` // by what runs now
	Left     int64     `json:"left"`
	Resets   time.Time `json:"resets"`
	Key      string    `json:"key"` // of the configuration
}

func (s *Server) budgets(c echo.Context) error {
	return answer(c, func(ctx context.Context) (any, error) {
		list, err := s.backend.Budgets(ctx, c.QueryParam("agent"))
		return map[string]any{"budgets": notNil(list)}, err
	})
}
