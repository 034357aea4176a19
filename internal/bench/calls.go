package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/host/budget"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/skills"
)

func compileChild(args []string) int {
	return compile.ChildMain(args, os.Stdin, os.Stdout, os.Stderr)
}

type plain struct{}

// Redact leaves text as it is: the bench holds no secret.
func (plain) Redact(s string) string { return s }

// calc is the small guest behind the dispatcher.
type calc struct {
	chamber *host.Chamber
	bundle  *skills.Bundle
	rights  abi.Rights
}

func (c *calc) ref() abi.ToolRef { return abi.ToolRef{Skill: "calc", Tool: "evaluate"} }

// Digest implements agent.Tool.
func (c *calc) Digest() abi.Digest { return c.bundle.Digest }

// Invoke implements agent.Tool.
func (c *calc) Invoke(ctx context.Context, auth policy.Authorized, args json.RawMessage) (agent.Outcome, error) {
	caller, err := auth.Redeem(c.ref(), c.bundle.Digest, args)
	if err != nil {
		return agent.Outcome{}, err
	}
	out, err := c.call(ctx, caller, args)
	if err != nil {
		return agent.Outcome{}, err
	}
	return agent.Outcome{Result: out.Result}, nil
}

func (c *calc) call(ctx context.Context, caller abi.Caller, args json.RawMessage) (*wasm.Outcome, error) {
	return c.chamber.Engine.Call(ctx, wasm.Invocation{
		Caller: caller, Source: wasm.Source{Digest: c.bundle.Manifest.Module, Read: c.bundle.Read},
		Profile: c.bundle.Manifest.Manifest.ABI, Tool: "evaluate", Arguments: args, Rights: c.rights,
	})
}

// meter charges each call to a budget.
type meter struct{ ledger *budget.Ledger }

// Call implements agent.Meter.
func (m meter) Call(ctx context.Context, id abi.AgentID) (agent.Charge, error) {
	end, err := m.ledger.One(ctx, id, budget.Calls)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, happened bool) { _ = end(ctx, happened) }, nil
}

// Ask implements agent.Meter: the bench asks nobody.
func (meter) Ask(context.Context, abi.AgentID) (agent.Charge, error) {
	return nil, errors.New("nobody is asked")
}

// calls measures one call of the small guest against the same sum in a box.
func calls(ctx context.Context, r *Report, _, dir string) (err error) {
	state, err := config.OpenState(filepath.Join(dir, "calls"))
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	chamber, err := host.OpenChamber(ctx, host.ChamberConfig{State: state, Version: "bench", Log: quiet})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chamber.Close(ctx)) }()
	log, err := audit.Open(ctx, audit.Config{Path: state.Audit(), KeyPath: state.Key("audit"), Redactor: plain{}, Log: quiet})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	bundle, err := skills.Open("examples/calc")
	if err != nil {
		return err
	}
	c := &calc{chamber: chamber, bundle: bundle, rights: abi.Rights{Granted: true, Limits: abi.DefaultLimits()}}
	m := bundle.Manifest
	ledger, err := budget.Open(ctx, filepath.Join(dir, "budget.db"), time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ledger.Close()) }()
	if err := ledger.Set("bench", "", []budget.Limit{{Resource: budget.Calls, Window: budget.Hour, Max: 20_000}}); err != nil {
		return err
	}
	door, err := agent.NewDispatcher(agent.Config{
		Recorder: log, Meter: meter{ledger}, Grants: map[abi.AgentID][]abi.ToolRef{"bench": {c.ref()}},
		Tools: []agent.Spec{{Ref: c.ref(), Digest: bundle.Digest, Descriptor: m.Manifest.Tools[0], Tool: m.Tools[0], Impl: c}},
	})
	if err != nil {
		return err
	}
	args := json.RawMessage(`{"expression":"3*(4+5)"}`)
	inside := func() error {
		out, err := c.call(ctx, abi.Caller{Agent: "bench", Session: "s", Skill: "calc", Tool: "evaluate"}, args)
		if err == nil && !strings.Contains(fmt.Sprint(out.Result), "27") {
			err = fmt.Errorf("answer %v", out.Result)
		}
		return err
	}
	through := func() error {
		rep := door.Dispatch(ctx, agent.Request{
			Agent: "bench", Session: "s", From: "owner:bench", Call: agent.ToolCall{Tool: "calc.evaluate", Args: args},
		})
		if !strings.Contains(rep.Text, "27") {
			return fmt.Errorf("answer %q: %s", rep.Text, rep.Why)
		}
		return nil
	}
	if err := through(); err != nil { // compiles
		return err
	}
	inBox := boxed
	if err := boxed(); err != nil {
		r.Skipped = append(r.Skipped, "bwrap: "+err.Error())
		inBox = func() error { return nil }
	}
	// Round by round, so that whatever else the machine does meets all three alike.
	medians, err := interleave(20, variant{200, inside}, variant{200, through}, variant{5, inBox})
	if err != nil {
		return err
	}
	in, all, box := medians[0], medians[1], medians[2]
	if len(r.Skipped) > 0 {
		r.Rows = append(r.Rows, Row{Name: "call/dispatcher/c", Value: all, Unit: "us", Target: "≥ 50x"}, Row{Name: "call/chamber/c", Value: in, Unit: "us"})
		return nil
	}
	r.Rows = append(r.Rows,
		Row{Name: "call/dispatcher/c", Value: all, Unit: "us", Peer: "bwrap awk", PeerIs: box, Ratio: box / all, Target: "≥ 50x", Note: "gate, budget, both audit records, fresh instance"},
		Row{Name: "call/chamber/c", Value: in, Unit: "us", Peer: "bwrap awk", PeerIs: box, Ratio: box / in, Target: "≥ 50x", Note: "fresh instance alone"})
	return nil
}

// boxed has awk compute the same sum in a box of its own, with the profile that is the
// least for code that nobody trusts: no namespace shared, no privilege, read-only root.
func boxed() error {
	cmd := exec.Command("bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--assert-userns-disabled",
		"--uid", "65534", "--gid", "65534", "--hostname", "box", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL",
		"--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
		"--ro-bind", "/etc/alternatives", "/etc/alternatives", "--proc", "/proc", "--dev", "/dev", "--size", "67108864", "--tmpfs", "/tmp",
		"--remount-ro", "/", "--setenv", "PATH", "/usr/bin", "--chdir", "/", "--", "/usr/bin/awk", "BEGIN { print 3*(4+5) }")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if strings.TrimSpace(string(out)) != "27" {
		return fmt.Errorf("answer %q", out)
	}
	return nil
}
