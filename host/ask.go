package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/wasm"
)

// maxAnswer bounds what a person answers to a skill's question.
const maxAnswer = 4 * abi.KiB

var _ wasm.Asker = (*approvals)(nil)

// Ask implements wasm.Asker: the question waits beside the approvals, as text of the
// named skill, and an answer reaches that skill only.
func (a *approvals) Ask(ctx context.Context, c abi.Caller, req abi.AskRequest) (abi.AskResult, error) {
	limit := approvalTime
	if req.TimeoutS > 0 && req.TimeoutS < int64(approvalTime/time.Second) {
		limit = time.Duration(req.TimeoutS) * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	id, tool := newID(), abi.ToolRef{Skill: c.Skill, Tool: c.Tool}.String()
	w := &waiting{
		of: conversation{c.Agent, c.Session}, answer: make(chan admin.Decision, 1),
		check: func(text string) error { return checkAnswer(req, text) },
		show: admin.Approval{
			ID: id, Kind: "question", Agent: string(c.Agent), Session: string(c.Session), Tool: tool, Class: "question",
			Question: req.Question, Choices: req.Choices, Expires: time.Now().Add(limit).UTC(),
		},
		entry: audit.Entry{
			Event: "question.answered", Actor: string(principalApprover), Agent: c.Agent, Session: c.Session, Call: c.Call, Tool: tool, Approval: id,
		},
	}
	d, err := a.wait(ctx, w)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return abi.AskResult{Action: "timeout"}, nil
	case err != nil:
		return abi.AskResult{}, &abi.Problem{Code: abi.CodeNeedsHuman, Capability: "human", Message: "nobody can be asked now"}
	case d.Decision != admin.Approve:
		return abi.AskResult{Action: "decline"}, nil
	}
	return abi.AskResult{Action: "accept", Content: answerContent(req, d.Answer)}, nil
}

// checkAnswer reports whether text answers the question.
func checkAnswer(req abi.AskRequest, text string) error {
	switch {
	case len(text) > maxAnswer:
		return fmt.Errorf("the answer has %d bytes, more than %d", len(text), maxAnswer)
	case len(req.Choices) > 0 && !slices.Contains(req.Choices, text):
		return fmt.Errorf("the answer must be one of: %s", strings.Join(req.Choices, ", "))
	case len(req.Schema) > 0:
		if err := abi.CheckJSON([]byte(text), 16); err != nil {
			return fmt.Errorf("the answer must be JSON: %w", err)
		}
	}
	return nil
}

// answerContent is the person's text as JSON: as it is where the skill asked for a
// document, as a string otherwise.
func answerContent(req abi.AskRequest, text string) json.RawMessage {
	if len(req.Schema) > 0 {
		return json.RawMessage(text)
	}
	b, _ := json.Marshal(text) // a string always encodes
	return b
}
