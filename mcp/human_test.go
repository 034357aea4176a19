package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/mcp"
	"github.com/glovebox-dev/glovebox/mcp/reason"
)

// person answers everything with yes.
type person struct{ asked []mcp.Question }

func (p *person) Elicit(_ context.Context, q mcp.Question) (mcp.Reply, error) {
	p.asked = append(p.asked, q)
	return mcp.Reply{Accepted: true, Content: map[string]any{"name": "Ana"}}, nil
}

// asking is a server that asks something in each call and returns what it was told.
func asking(method, params string) *script {
	s := &script{}
	var call frame
	s.answer = func(m frame, send func(string)) bool {
		switch {
		case m.Method == "tools/call":
			call = m
			send(fmt.Sprintf(`{"jsonrpc":"2.0","id":"q","method":%q,"params":%s}`, method, params))
			return true
		case string(m.ID) == `"q"`:
			told := string(m.Result) + string(m.Error)
			text, _ := json.Marshal(told)
			send(result(call, `{"content":[{"type":"text","text":`+string(text)+`}]}`))
			return true
		}
		return false
	}
	return s
}

func TestQuestionsGoToAPerson(t *testing.T) {
	t.Parallel()
	form := func(message, property string) string {
		return fmt.Sprintf(`{"mode":"form","message":%q,"requestedSchema":{"type":"object","properties":{%q:{"type":"string"}}}}`, message, property)
	}
	cases := []struct {
		name, method, params string
		asked                bool
		want                 reason.Reason // of a question that no person sees
	}{
		{"a name", "elicitation/create", form("What is your name?", "name"), true, ""},
		{"an address to visit", "elicitation/create", `{"mode":"url","message":"Sign in there","url":"https://id.example/login","elicitationId":"1"}`, true, ""},
		{"a password", "elicitation/create", form("Please confirm", "account_password"), false, reason.Secret},
		{"a token, in the text alone", "elicitation/create", form("Paste your API key", "value"), false, reason.Secret},
		{"a PIN", "elicitation/create", form("Your card's PIN?", "value"), false, reason.Secret},
		{"a question of a book's length", "elicitation/create", form(strings.Repeat("why ", 2000), "x"), false, reason.Oversize},
		{"plain http", "elicitation/create", `{"mode":"url","message":"m","url":"http://id.example/","elicitationId":"1"}`, false, reason.Elsewhere},
		{"a program", "elicitation/create", `{"mode":"url","message":"m","url":"file:///bin/sh","elicitationId":"1"}`, false, reason.Elsewhere},
		{"a host that is another", "elicitation/create", `{"mode":"url","message":"m","url":"https://bank.example@evil.example/","elicitationId":"1"}`, false, reason.Elsewhere},
		{"an address without a name", "elicitation/create", `{"mode":"url","message":"m","url":"https://169.254.169.254/","elicitationId":"1"}`, false, reason.Elsewhere},
		{"a model", "sampling/createMessage", `{"messages":[{"role":"user","content":{"type":"text","text":"hi"}}],"maxTokens":10}`, false, ""},
		{"roots", "roots/list", `{}`, false, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			someone := &person{}
			b := newBench(t, mcp.Local(asking(c.method, c.params)), func(cfg *mcp.Config) { cfg.Human = someone })
			b.approve(t)
			out, err := b.echo(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			told := out.Content[0].Text
			if (len(someone.asked) == 1) != c.asked || strings.Contains(told, "accept") != c.asked {
				t.Errorf("asked %d times; the server was told %s", len(someone.asked), told)
			}
			if c.asked && someone.asked[0].Server != serverName {
				t.Errorf("the person was not told who asks: %+v", someone.asked[0])
			}
			if declined := b.noted(mcp.Declined); c.want != "" && (len(declined) != 1 || declined[0].Reason != c.want) {
				t.Errorf("got %+v, want %s", declined, c.want)
			}
			if c.method == "roots/list" && strings.Contains(told, "file:") {
				t.Errorf("roots: %s", told)
			}
		})
	}
}

func TestNobodyToAsk(t *testing.T) {
	t.Parallel()
	b := newBench(t, mcp.Local(asking("elicitation/create", `{"mode":"form","message":"m","requestedSchema":{"type":"object","properties":{}}}`)), nil)
	b.approve(t)
	out, err := b.echo(t.Context())
	if err != nil || strings.Contains(out.Content[0].Text, "accept") {
		t.Errorf("got %+v, %v", out, err)
	}
}
