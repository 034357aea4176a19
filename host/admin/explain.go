package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
)

// Explanation answers GET /api/explain/{seq}: what was decided about one call.
type Explanation struct {
	Seq      uint64            `json:"seq"`
	Call     string            `json:"call"`
	Agent    string            `json:"agent"`
	Session  string            `json:"session"`
	Tool     string            `json:"tool"`
	Context  string            `json:"context"` // label of all that the model had seen
	Gate     string            `json:"gate"`    // verdict of the gate: allow, ask or deny
	GateRule string            `json:"gate_rule"`
	GateWhy  string            `json:"gate_why"`
	Findings []string          `json:"findings,omitempty"` // values that nobody trusted named, and where they come from
	Flows    []string          `json:"flows,omitempty"`    // what would reach whom
	Links    []string          `json:"links,omitempty"`    // addresses in outbound text that nobody trusted named
	Verdict  string            `json:"verdict"`            // of the whole door
	Rule     string            `json:"rule"`
	Why      string            `json:"why,omitempty"`
	Outcome  string            `json:"outcome,omitempty"`
	Changes  []string          `json:"changes"` // what would change the verdict
	Records  []ExplainedRecord `json:"records"` // of the call, in order
}

// ExplainedRecord is one record of the call.
type ExplainedRecord struct {
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`
	Verdict string    `json:"verdict,omitempty"`
	Rule    string    `json:"rule,omitempty"`
	Outcome string    `json:"outcome,omitempty"`
}

func (s *Server) explain(c echo.Context) error {
	seq, err := strconv.ParseUint(c.Param("seq"), 10, 63)
	if err != nil || seq == 0 {
		return NewError(http.StatusBadRequest, "seq: want the number of a record", "api/explain", "glovebox audit tail")
	}
	x, err := s.backend.Explain(c.Request().Context(), seq)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, x)
}
