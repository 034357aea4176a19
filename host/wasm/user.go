package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/glovebox-dev/glovebox/abi"
)

// userFuncs are hyper-mcp's functions in extism:host/user. Each exists for every
// module that imports it; what is not granted answers a value that plugins take for
// "no", beside one refusal that is audited.
func userFuncs() map[string]hostFunc {
	one := types(i64)
	answer := func(f func(ctx context.Context, c *call, block []byte) []byte) hostFunc {
		return hostFunc{params: one, results: one, run: func(ctx context.Context, c *call, _ api.Module, s []uint64) {
			s[0] = c.put(f(ctx, c, c.consume(s[0], maxRequest)))
		}}
	}
	notify := func(f func(ctx context.Context, c *call, block []byte)) hostFunc {
		return hostFunc{params: one, run: func(ctx context.Context, c *call, _ api.Module, s []uint64) { f(ctx, c, c.consume(s[0], maxRequest)) }}
	}
	drop := func(context.Context, *call, []byte) {} // a hint that changes nothing here
	changed := hostFunc{run: func(_ context.Context, c *call, _ api.Module, _ []uint64) {
		c.log.add(slog.LevelInfo, "log", "the skill says that its lists changed; the pinned ones stay")
	}}
	return map[string]hostFunc{
		"create_elicitation":               answer(userElicit),
		"create_message":                   answer(userSample),
		"get_keyring_secret":               answer(userKeyring),
		"get_access_token":                 answer(userToken),
		"list_roots":                       {results: one, run: func(_ context.Context, c *call, _ api.Module, s []uint64) { s[0] = c.put(c.rootList()) }},
		"notify_logging_message":           notify(userLog),
		"notify_progress":                  notify(userProgress),
		"notify_tool_list_changed":         changed,
		"notify_prompt_list_changed":       changed,
		"notify_resource_list_changed":     changed,
		"notify_resource_updated":          notify(drop),
		"notify_url_elicitation_completed": notify(drop),
		"config_get":                       {params: one, results: one, run: runConfigGet},
	}
}

// userElicit asks the operator; a refusal reads as a decline.
func userElicit(ctx context.Context, c *call, block []byte) []byte {
	decline := []byte(`{"action":"decline"}`)
	var req struct {
		Mode    string          `json:"mode"`
		Message string          `json:"message"`
		Schema  json.RawMessage `json:"requestedSchema"`
		Timeout float64         `json:"timeout"`
		URL     string          `json:"url"`
	}
	if decodeRequest(block, &req) != nil {
		return decline
	}
	ask := abi.AskRequest{Question: req.Message, Schema: req.Schema}
	if req.Timeout > 0 && req.Timeout < 86400 {
		ask.TimeoutS = int64(req.Timeout)
	}
	if req.Mode == "url" { // shown, never opened
		origin := "an address that cannot be read"
		if u, err := abi.ParseURL(req.URL); err == nil {
			origin = string(u.Origin)
		}
		ask.Question, ask.Schema, ask.Choices = req.Message+"\n\nThe skill wants you to open a page of "+origin, nil, []string{"done"}
	}
	res, p := c.ask(ctx, ask)
	if p != nil {
		c.refuse(ctx, p)
		return decline
	}
	out := struct {
		Action  string          `json:"action"`
		Content json.RawMessage `json:"content,omitempty"`
	}{res.Action, res.Content}
	if res.Action == "timeout" {
		out.Action = "cancel"
	}
	b, err := json.Marshal(out)
	if err != nil {
		return decline
	}
	return b
}

// userSample would run a model for the guest. No such capability can be granted, and
// text of a model is never made up.
func userSample(ctx context.Context, c *call, _ []byte) []byte {
	c.refuse(ctx, &abi.Problem{Code: abi.CodeDenied, Capability: "sampling", Rule: "sampling/never",
		Message: "skills cannot use the agent's model"})
	return nil
}

// userKeyring answers the placeholder of the secret service/user, or service, or user.
func userKeyring(ctx context.Context, c *call, block []byte) []byte {
	var req struct{ Service, User string }
	if decodeRequest(block, &req) != nil {
		return nil
	}
	for _, name := range []string{req.Service + "/" + req.User, req.Service} {
		if r := c.secret(abi.SecretName(name)); r != nil && c.phase == phaseCall {
			return []byte(r.Name.Placeholder())
		}
	}
	c.refuse(ctx, &abi.Problem{Code: abi.CodeDenied, Capability: "secrets", Rule: "grant/none",
		Message: "the secret of the keyring is not granted to skill " + string(c.caller.Skill)})
	return nil
}

// userToken would start an OAuth flow with addresses that the guest chose.
func userToken(ctx context.Context, c *call, _ []byte) []byte {
	c.refuse(ctx, &abi.Problem{Code: abi.CodeDenied, Capability: "secrets", Rule: "oauth/none",
		Message: "no OAuth provider is configured for skill " + string(c.caller.Skill)})
	return []byte("null")
}

// rootList lists the granted mounts as the guest sees them.
func (c *call) rootList() []byte {
	type root struct {
		URI  string `json:"uri"`
		Name string `json:"name"`
	}
	v := struct {
		Roots []root `json:"roots"`
	}{[]root{}}
	for _, r := range c.rights.Files {
		v.Roots = append(v.Roots, root{"file://" + r.Mount, strings.TrimPrefix(r.Mount, "/")})
	}
	b, _ := json.Marshal(v) // strings only: cannot fail
	return b
}

func userLog(_ context.Context, c *call, block []byte) {
	var req struct {
		Level  string          `json:"level"`
		Logger string          `json:"logger"`
		Data   json.RawMessage `json:"data"`
	}
	if decodeRequest(block, &req) != nil {
		return
	}
	var text string
	if json.Unmarshal(req.Data, &text) != nil {
		text = string(bytes.TrimSpace(req.Data))
	}
	if req.Logger != "" {
		text = req.Logger + ": " + text
	}
	c.log.add(levelOf(req.Level), "log", text)
}

// userProgress takes a progressToken of any type and does not use it: the call is
// known anyway.
func userProgress(ctx context.Context, c *call, block []byte) {
	var req abi.ProgressRequest
	if decodeRequest(block, &req) == nil {
		c.progress(ctx, req)
	}
}
