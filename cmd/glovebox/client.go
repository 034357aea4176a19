package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/config"
)

// maxAnswer bounds what the command line reads from the daemon.
const maxAnswer = 64 * abi.MiB

type doer interface {
	Do(*http.Request) (*http.Response, error)
}

// client talks to the daemon of one state folder.
type client struct {
	http    doer
	base    string
	token   string
	approve string // answers approvals; the other token cannot
}

func unreachable(err error) error {
	return &failure{code: exitUnreachable, what: "the daemon is not reachable: " + err.Error(), hint: "glovebox up", err: err}
}

// connect finds the daemon through the state folder.
func (a *app) connect() (*client, error) {
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	state, err := config.FindState(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, unreachable(fmt.Errorf("no state folder at %s", dir))
	}
	if err != nil {
		return nil, err
	}
	// Only a daemon that runs may learn the token: of one that was killed the address
	// stays, and another user's program may listen there by now.
	if running, err := state.Locked(); err != nil {
		return nil, err
	} else if !running {
		return nil, unreachable(fmt.Errorf("none runs on %s", dir))
	}
	address, err := config.ReadOwned(state.AddressFile(), 1024)
	if errors.Is(err, os.ErrNotExist) {
		return nil, unreachable(fmt.Errorf("none runs on %s", dir))
	}
	if err != nil {
		return nil, fmt.Errorf("find the daemon: %w", err)
	}
	token, err := config.ReadOwned(state.TokenFile(), 1024)
	if err != nil {
		return nil, fmt.Errorf("read the token: %w", err)
	}
	approve, err := config.ReadOwned(state.ApprovalTokenFile(), 1024)
	if err != nil && !errors.Is(err, os.ErrNotExist) { // who only operates needs none
		return nil, fmt.Errorf("read the token for approvals: %w", err)
	}
	base := strings.TrimSpace(string(address))
	httpClient, err := broker.LoopbackClient(strings.TrimPrefix(base, "http://"))
	if err != nil {
		return nil, fmt.Errorf("find the daemon: %w", err)
	}
	return &client{http: httpClient, base: base, token: strings.TrimSpace(string(token)), approve: strings.TrimSpace(string(approve))}, nil
}

// decided are the paths below which a person decides: that takes the other token.
var decided = []string{"/api/approvals/", "/api/endorsements/", "/api/conversations/", "/api/memory/"}

func (c *client) send(ctx context.Context, method, path, accept string, body any) (*http.Response, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	token := c.token
	if method != http.MethodGet && slices.ContainsFunc(decided, func(p string) bool { return strings.HasPrefix(path, p) }) {
		token = c.approve
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", accept)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unreachable(err)
	}
	if resp.StatusCode >= 400 {
		defer func() { _ = resp.Body.Close() }()
		return nil, problemOf(resp)
	}
	return resp, nil
}

func problemOf(resp *http.Response) error {
	var p admin.Error
	b, err := io.ReadAll(io.LimitReader(resp.Body, abi.MiB))
	if err != nil || json.Unmarshal(b, &p) != nil || p.Detail == "" {
		return failed(fmt.Sprintf("the daemon answered %s", resp.Status), "")
	}
	return &p
}

// call does one exchange and decodes the answer.
func (c *client) call(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	resp, err := c.send(ctx, method, path, "application/json", body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return nil
}

// chat sends a message and calls on for each event until the reply.
func (c *client) chat(ctx context.Context, req admin.ChatRequest, on func(event string, data []byte)) (admin.ChatReply, error) {
	resp, err := c.send(ctx, http.MethodPost, "/api/chat", "text/event-stream", req)
	if err != nil {
		return admin.ChatReply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(io.LimitReader(resp.Body, maxAnswer))
	lines.Buffer(nil, maxAnswer)
	event := ""
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
			continue
		}
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		switch event {
		case "reply":
			var reply admin.ChatReply
			if err := json.Unmarshal(data, &reply); err != nil {
				return reply, fmt.Errorf("read the reply: %w", err)
			}
			return reply, nil
		case "problem":
			var p admin.Error
			if err := json.Unmarshal(data, &p); err != nil {
				return admin.ChatReply{}, fmt.Errorf("read the problem: %w", err)
			}
			return admin.ChatReply{}, &p
		}
		on(event, data)
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		return admin.ChatReply{}, unreachable(err)
	}
	if err := ctx.Err(); err != nil {
		return admin.ChatReply{}, err
	}
	return admin.ChatReply{}, unreachable(errors.New("it ended before the reply"))
}
