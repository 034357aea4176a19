package wasm

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"

	"github.com/glovebox-dev/glovebox/abi"
)

const (
	maxRandom      = 65536
	progressPeriod = 200 * time.Millisecond
	maxFields      = 32 // of log
)

// hostFuncs are the functions of glovebox:host/v1.
func hostFuncs() map[string]hostFunc {
	one, two := types(i64), types(i64, i64)
	m := map[string]hostFunc{
		"log":          {params: one, run: runLog},
		"progress":     {params: one, run: runProgress},
		"now":          {results: one, run: func(_ context.Context, _ *call, _ api.Module, s []uint64) { s[0] = uint64(time.Now().UnixMilli()) }},
		"monotonic":    {results: one, run: func(_ context.Context, c *call, _ api.Module, s []uint64) { s[0] = uint64(time.Since(c.began)) }},
		"random":       {params: one, results: one, run: runRandom},
		"capabilities": {results: one, run: runCapabilities},
	}
	for name, f := range map[string]answerer{
		"secret_handle": doSecretHandle, "ask": doAsk,
		"kv_get": doKVGet, "kv_delete": doKVDelete, "kv_list": doKVList,
		"fs_read": doRead, "fs_list": doList, "fs_stat": doStat, "fs_mkdir": doMkdir, "fs_remove": doRemove, "fs_rename": doRename,
	} {
		m[name] = hostFunc{params: one, results: one, run: func(ctx context.Context, c *call, _ api.Module, s []uint64) {
			s[0] = c.answer(ctx, name, f, c.consume(s[0], maxRequest), nil)
		}}
	}
	for name, f := range map[string]struct {
		do   answerer
		data func(c *call, h uint64) []byte
	}{
		"fetch":    {doFetch, func(c *call, h uint64) []byte { return c.consume(h, c.limits.HTTPSent) }},
		"kv_set":   {doKVSet, func(c *call, h uint64) []byte { return c.consume(h, maxKVValue) }},
		"fs_write": {doWrite, (*call).view}, // written before the guest goes on
	} {
		m[name] = hostFunc{params: two, results: one, run: func(ctx context.Context, c *call, _ api.Module, s []uint64) {
			block, data := c.consume(s[0], maxRequest), f.data(c, s[1])
			s[0] = c.answer(ctx, name, f.do, block, data)
		}}
	}
	return m
}

// answerer does what a request block asks; data is the second block, if the function
// has one.
type answerer func(ctx context.Context, c *call, block, data []byte) (any, *abi.Problem)

// answer runs f and writes the envelope.
func (c *call) answer(ctx context.Context, name string, f answerer, block, data []byte) uint64 {
	c.traceCall(name, string(block))
	ok, p := f(ctx, c, block, data)
	if p != nil {
		p = c.refuse(ctx, p)
	}
	c.traceResult(p)
	b, err := json.Marshal(abi.Answer{OK: ok, Error: p})
	if err != nil { // only numbers, strings and checked JSON are answered
		b, _ = json.Marshal(abi.Answer{Error: &abi.Problem{Code: abi.CodeInternal, Message: "the answer could not be written"}})
	}
	return c.put(b)
}

func (c *call) traceCall(name, arg string) {
	if c.trace != nil {
		c.trace("==> " + name + "(" + arg + ")")
	}
}

func (c *call) traceResult(p *abi.Problem) {
	if c.trace == nil {
		return
	}
	if p == nil {
		c.trace("<== ok")
		return
	}
	c.trace(strings.TrimSpace("<== " + string(p.Code) + " " + p.Rule))
}

// decodeRequest reads a request block: bounded, one JSON object, unknown fields
// ignored, wrong types named.
func decodeRequest(block []byte, into any) *abi.Problem {
	if len(block) > maxRequest {
		return invalid("the request is larger than %d bytes", maxRequest)
	}
	if !utf8.Valid(block) {
		return invalid("the request is not UTF-8")
	}
	if nesting(block) > maxRequestJSON {
		return invalid("the request is nested deeper than %d", maxRequestJSON)
	}
	if err := json.Unmarshal(block, into); err != nil {
		return invalid("the request is not the JSON that this function takes: %s", oneLine(err.Error(), 200))
	}
	return nil
}

// nesting is the depth of brackets outside of strings.
func nesting(b []byte) int {
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch ch := b[i]; {
		case inString && ch == '\\':
			i++
		case ch == '"':
			inString = !inString
		case inString:
		case ch == '{' || ch == '[':
			depth++
			deepest = max(deepest, depth)
		case ch == '}' || ch == ']':
			depth--
		}
	}
	return deepest
}

func doFetch(ctx context.Context, c *call, block, data []byte) (any, *abi.Problem) {
	req, p := decodeFetch(block)
	if p != nil {
		return nil, p
	}
	resp, body, p := c.exchange(ctx, req, data)
	if p != nil {
		return nil, p
	}
	resp.Body = c.put(body)
	return resp, nil
}

// secret returns the right to a secret under the author's name for it.
func (c *call) secret(name abi.SecretName) *abi.SecretRight {
	for i := range c.rights.Secrets {
		if c.rights.Secrets[i].Name == name {
			return &c.rights.Secrets[i]
		}
	}
	return nil
}

func doSecretHandle(_ context.Context, c *call, block, _ []byte) (any, *abi.Problem) {
	var req struct {
		Name abi.SecretName `json:"name"`
	}
	if p := decodeRequest(block, &req); p != nil {
		return nil, p
	}
	if err := req.Name.Check(); err != nil {
		return nil, invalid("name: not a name of a secret")
	}
	if c.phase == phaseInit {
		return nil, phaseProblem("secret_handle", "secrets")
	}
	r := c.secret(req.Name)
	if r == nil {
		return nil, &abi.Problem{Code: abi.CodeDenied, Capability: "secrets", Rule: "grant/none",
			Message: "secret " + string(req.Name) + " is not granted to skill " + string(c.caller.Skill),
			Hint:    c.grantHint(" --secret " + string(req.Name))}
	}
	h := abi.SecretHandle{Placeholder: r.Name.Placeholder(), Audience: []string{}, Positions: []string{}}
	for _, o := range r.Only {
		h.Audience = append(h.Audience, string(o))
	}
	switch r.Inject.Kind {
	case abi.InjectBearer, abi.InjectBasic:
		h.Positions = append(h.Positions, "header:authorization")
	case abi.InjectHeader:
		h.Positions = append(h.Positions, "header:"+strings.ToLower(r.Inject.Name))
	case abi.InjectQuery:
		h.Positions = append(h.Positions, "query:"+r.Inject.Name)
	case abi.InjectNone:
	}
	if d := c.services.Secrets; d != nil {
		h.Present = d.Present(c.caller.Agent, r.Store)
	}
	return h, nil
}

func runLog(_ context.Context, c *call, _ api.Module, s []uint64) {
	var req abi.LogRequest
	block := c.consume(s[0], maxRequest)
	if p := decodeRequest(block, &req); p != nil {
		c.log.add(slog.LevelWarn, "log", "a log line could not be read: "+p.Message)
		return
	}
	c.log.add(levelOf(req.Level), "log", withFields(req.Message, req.Fields))
}

func levelOf(name string) slog.Level {
	switch name {
	case "trace":
		return levelTrace
	case "debug":
		return slog.LevelDebug
	case "warn", "warning":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

func withFields(message string, fields map[string]string) string {
	var b strings.Builder
	b.WriteString(message)
	for i, k := range slices.Sorted(maps.Keys(fields)) {
		if i == maxFields {
			break
		}
		b.WriteString(" " + k + "=" + fields[k])
	}
	return b.String()
}

func runProgress(ctx context.Context, c *call, _ api.Module, s []uint64) {
	var req abi.ProgressRequest
	if decodeRequest(c.consume(s[0], maxRequest), &req) != nil {
		return
	}
	c.progress(ctx, req)
}

// progress passes on at most five reports a second; the others are dropped.
func (c *call) progress(ctx context.Context, req abi.ProgressRequest) {
	if c.phase == phaseInit || c.services.Observer == nil {
		return
	}
	if now := time.Now(); now.Sub(c.progressT) >= progressPeriod {
		c.progressT = now
		req.Message = oneLine(req.Message, 200)
		c.services.Observer.Progress(ctx, c.caller, req)
	}
}

func runRandom(_ context.Context, c *call, _ api.Module, s []uint64) {
	if s[0] > maxRandom {
		c.trap(&TrapError{Message: "random: want at most 65536 bytes"})
	}
	b := make([]byte, s[0])
	_, _ = rand.Read(b) // never fails since Go 1.24: it ends the program instead
	s[0] = c.put(b)
}

func runCapabilities(_ context.Context, c *call, _ api.Module, s []uint64) {
	type http struct {
		Origins []abi.OriginPattern `json:"origins"`
	}
	type mount struct {
		Mount  string `json:"mount"`
		Access string `json:"access"`
	}
	v := struct {
		ABI     string           `json:"abi"`
		HTTP    *http            `json:"http,omitempty"`
		Files   []mount          `json:"files,omitempty"`
		Secrets []abi.SecretName `json:"secrets,omitempty"`
		KV      *struct {
			MaxBytes int64 `json:"max_bytes"`
		} `json:"kv,omitempty"`
		Ask bool `json:"ask"`
	}{ABI: abi.NamespaceHost, Ask: c.rights.Human}
	if len(c.rights.HTTP) > 0 {
		v.HTTP = &http{Origins: []abi.OriginPattern{}}
		for _, r := range c.rights.HTTP {
			if r.Origin != "" {
				v.HTTP.Origins = append(v.HTTP.Origins, r.Origin)
			}
		}
	}
	for _, r := range c.rights.Files {
		access := "ro"
		if r.Write {
			access = "rw"
		}
		v.Files = append(v.Files, mount{r.Mount, access})
	}
	for _, r := range c.rights.Secrets {
		v.Secrets = append(v.Secrets, r.Name)
	}
	if c.rights.KV != nil {
		v.KV = &struct {
			MaxBytes int64 `json:"max_bytes"`
		}{min(c.rights.KV.MaxBytes, c.limits.KVBytes)}
	}
	b, _ := json.Marshal(v) // strings and numbers only: cannot fail
	s[0] = c.put(b)
}
