package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Human puts the question of a server to a person. No model answers it.
type Human interface {
	// Elicit shows q as the question of the server that q names, in the words of a
	// stranger. An error, and the zero Reply, decline.
	Elicit(ctx context.Context, q Question) (Reply, error)
}

// Question is what a server asks while it works on a call. Everything but Server is its
// own text.
type Question struct {
	Server  abi.SkillName
	Message string
	Schema  json.RawMessage // of a form: a flat object; nil for a URL
	URL     string          // to be shown and never opened by us: https, with a host that has a name
}

// Reply is a person's answer.
type Reply struct {
	Accepted bool
	Content  map[string]any // of a form
}

// Bounds of a question.
const (
	maxQuestion = 4 << 10 // bytes of its text
	maxForm     = 32 << 10
)

// secretRE finds questions for what nobody types into a form of a stranger's.
var secretRE = regexp.MustCompile(`(?i)pass ?(word|phrase|code|wd)|secret|\btoken\b|api.?key|private.?key|credential|mnemonic|seed phrase|recovery (code|phrase)|one.?time|\botp\b|\bpin\b|\bcvv\b|card.?number|\biban\b|\bssn\b`)

var wordsOf = strings.NewReplacer("_", " ", "-", " ", ".", " ")

// question reads what a server asks, or says why no person sees it.
func question(server abi.SkillName, p *sdk.ElicitParams) (Question, error) {
	q := Question{Server: server, Message: p.Message}
	refuse := func(why reason.Reason, err error) (Question, error) {
		return Question{}, &reason.Refusal{Reason: why, What: fmt.Sprintf("a question of MCP server %q was declined", server), Err: err}
	}
	if len(q.Message) > maxQuestion {
		return refuse(reason.Oversize, fmt.Errorf("%d bytes exceed the limit of %d", len(q.Message), maxQuestion))
	}
	if p.URL != "" || p.Mode == "url" {
		u, err := url.Parse(p.URL)
		if err != nil || u.Scheme != "https" || u.User != nil || !strings.Contains(u.Hostname(), ".") || len(p.URL) > 2048 {
			return refuse(reason.Elsewhere, fmt.Errorf("%.200q is no https address of a named host", p.URL))
		}
		if _, err := netip.ParseAddr(u.Hostname()); err == nil {
			return refuse(reason.Elsewhere, fmt.Errorf("%.200q has an address for a name", p.URL))
		}
		q.URL = u.String()
		return q, nil
	}
	schema, err := json.Marshal(p.RequestedSchema)
	if err != nil || len(schema) > maxForm {
		return refuse(reason.Oversize, fmt.Errorf("a form of %d bytes exceeds the limit of %d", len(schema), maxForm))
	}
	if word := secretRE.FindString(wordsOf.Replace(q.Message + " " + string(schema))); word != "" {
		return refuse(reason.Secret, fmt.Errorf("it asks for a %q", word))
	}
	q.Schema = schema
	return q, nil
}
