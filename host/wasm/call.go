package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Call runs one tool once, in an instance of its own. The Outcome is not nil once
// the guest was entered, also beside an error: *LimitError, *GuestError, *TrapError,
// *ResultError, *DeniedError, *module.Refusal, ErrBusy, ErrDigest, ErrNoTool,
// ErrClosed or the error of ctx.
func (e *Engine) Call(ctx context.Context, inv Invocation) (*Outcome, error) {
	p, err := planCall(inv)
	if err != nil {
		return nil, err
	}
	out, err := e.run(ctx, inv, p)
	if err != nil {
		return out, err
	}
	return out, p.read(out, inv.Rights.Limits.Output)
}

// run is one call from the queue to the raw output.
func (e *Engine) run(ctx context.Context, inv Invocation, p plan) (*Outcome, error) {
	limits := inv.Rights.Limits
	if n := int64(len(p.input)); n > limits.Input {
		return nil, &LimitError{Limit: "input", Got: n, Max: limits.Input}
	}
	if err := e.begin(); err != nil {
		return nil, err
	}
	defer e.calls.Done()
	l, err := e.modules.get(ctx, inv.Source, limits)
	if err != nil {
		return nil, err
	}
	defer e.modules.release(l)
	if err := p.check(l.report); err != nil {
		return nil, err
	}
	if err := e.slots.enter(ctx, inv.Caller.Agent, e.cfg.QueueWait); err != nil {
		return nil, err
	}
	guestCtx, clock := newClock(ctx, "init_wall", limits.InitWall)
	if limits.Wall < limits.InitWall {
		clock.limit, clock.max, clock.left = "wall", limits.Wall, limits.Wall
	}
	c := &call{
		engine: e, caller: inv.Caller, rights: inv.Rights, limits: limits, services: inv.Services,
		holding: true, clock: clock, budget: e.memory(inv.Caller.Agent, limits.Memory), began: time.Now(),
		context: inv.Context, seen: label.Trusted(),
		stdio: stdio{args: p.args, capture: p.command}, trace: e.hooks.trace,
	}
	if p.command {
		c.stdio.stdin = p.input
	}
	c.kernel = newKernel(c.budget)
	c.log = c.newLog(ctx)
	stop := context.AfterFunc(e.ctx, func() { clock.cancel(ErrClosed) })
	defer stop()
	defer clock.close()
	defer c.close()
	return c.guest(context.WithValue(guestCtx, callKey{}, c), l, p)
}

// guest runs the guest within its slot and collects what came out.
func (c *call) guest(ctx context.Context, l *loaded, p plan) (*Outcome, error) {
	defer func() {
		if c.holding {
			c.engine.slots.leave()
		}
	}()
	c.clock.start()
	m, err := c.engine.instances.get(ctx, c, l, p)
	c.usage.Init = c.clock.elapsed()
	code := 0
	if err == nil {
		c.clock.rebase("wall", c.limits.Wall)
		code, err = c.enterGuest(ctx, m, p)
		dropped := err != nil
		if c.engine.hooks.after != nil {
			c.engine.hooks.after(c, m)
		}
		c.budget.clean = !dropped
		c.engine.instances.put(m, dropped)
	}
	c.clock.pause()
	if errors.Is(err, errExit) {
		code, err = c.exit, nil
		if m == nil {
			err = &GuestError{Code: code, Message: "the skill ended itself while it initialised"}
		}
	}
	c.auditRest(ctx)
	return c.collect(p, code, err)
}

// collect applies the outcome table and copies the output out of the kernel.
func (c *call) collect(p plan, code int, err error) (*Outcome, error) {
	c.flushAll()
	c.log.close()
	c.usage.Wall, c.usage.Memory, c.usage.LogLines = c.clock.elapsed(), c.budget.peak, c.log.seen
	out := &Outcome{Code: code, Log: c.log.lines, Denials: c.denials, Usage: c.usage, Label: c.seen}
	if err != nil {
		c.report(err)
		return out, err
	}
	if p.command {
		out.Raw = c.stdio.out
		if code != 0 {
			return out, &GuestError{Code: code, Message: prose(strings.TrimSpace(string(c.stdio.tail)), maxErrorText)}
		}
		return out, nil
	}
	if text, failed := c.kernel.errorText(); failed {
		return out, &GuestError{Code: code, Message: prose(text, maxErrorText)}
	}
	if n := int64(c.kernel.out.len); n > c.limits.Output {
		return out, &LimitError{Limit: "output", Got: n, Max: c.limits.Output}
	}
	out.Raw = c.kernel.output()
	if code != 0 {
		return out, &GuestError{Code: code}
	}
	return out, nil
}

// report writes what operators need to find a crash; guest text is cleaned before.
func (c *call) report(err error) {
	if trap, ok := errors.AsType[*TrapError](err); ok {
		c.engine.log.LogAttrs(context.Background(), slog.LevelWarn, "skill crashed", slog.String("skill", string(c.caller.Skill)),
			slog.String("tool", string(c.caller.Tool)), slog.String("call", string(c.caller.Call)),
			slog.String("message", trap.Message), slog.Any("frames", trap.Frames))
	}
}

// outcome turns what the engine returned into the typed error of a call. The order
// is part of the contract: what the host decided, the limits, the guest's own exit,
// any other crash.
func (c *call) outcome(ctx context.Context, m api.Module, err error) error {
	if c.cause != nil {
		return c.ended(ctx, c.cause)
	}
	if ctx.Err() != nil {
		return c.ended(ctx, context.Cause(ctx))
	}
	if guest, ok := errors.AsType[*GuestError](err); ok {
		return guest
	}
	exit, exited := errors.AsType[*sys.ExitError](err)
	if exited && exit.ExitCode() == 0 {
		c.exit = 0
		return errExit
	}
	if m != nil && compile.StackExceeded(m, CompileOptions(c.limits)) || strings.Contains(firstLine(err), "stack overflow") {
		return &LimitError{Limit: "stack", Max: int64(c.limits.Stack)}
	}
	if c.budget.refused != "" {
		return &LimitError{Limit: c.budget.refused, Got: c.budget.peak, Max: c.budget.max}
	}
	if exited {
		c.exit = int(int32(exit.ExitCode()))
		return errExit
	}
	if strings.Contains(err.Error(), "(recovered by wazero)") && !errors.Is(err, errStopped) {
		// A host function failed in a way that it should not: a defect of ours, whose
		// stack is for our log alone.
		c.engine.log.Error("host function panicked", "skill", string(c.caller.Skill), "err", err)
		return &TrapError{Message: "the host could not serve the skill"}
	}
	return trapError(err)
}

// ended prefers the caller's own error to the cause that carries it.
func (c *call) ended(ctx context.Context, cause error) error {
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return fmt.Errorf("the call was given up: %w", cause)
	}
	return cause
}

// trapError keeps the first line of a crash and its wasm frames, never a stack of ours.
func trapError(err error) *TrapError {
	message, rest, _ := strings.Cut(err.Error(), "\nwasm stack trace:")
	message = strings.TrimPrefix(message, "wasm error: ")
	if i := strings.Index(message, "wasm error: "); i >= 0 {
		message = message[i+len("wasm error: "):]
	}
	t := &TrapError{Message: oneLine(message, maxErrorText)}
	for line := range strings.SplitSeq(strings.TrimSpace(rest), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || len(t.Frames) == maxFrames {
			break
		}
		t.Frames = append(t.Frames, oneLine(line, maxFrameText))
	}
	return t
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return oneLine(line, maxErrorText)
}

// memory is the budget of one call of an agent.
func (e *Engine) memory(agent abi.AgentID, limit int64) *budget {
	return &budget{max: limit, parents: []*pool{e.agentPool(agent), &e.total}, spare: &e.spares}
}
