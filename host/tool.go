package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/internal/label"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/install"
)

// errFailed is what a model is told of a failure inside the host, whose details are
// for the operator's log only.
var errFailed = errors.New("the skill could not be run; the daemon's log has the details")

// skillTool is one tool of a skill behind the dispatcher.
type skillTool struct {
	host     *Host
	bundle   *skills.Bundle // as it was when the registry was made
	artifact abi.Digest     // that the lock file named then; "" for a folder of the configuration
	ref      abi.ToolRef
}

var _ agent.Tool = (*skillTool)(nil)

// Digest implements agent.Tool: that of the manifest which lies in the folder now.
// The manifest holds the digest of the module, which is checked at each load.
func (t *skillTool) Digest() abi.Digest {
	now, err := t.host.catalog.open(t.bundle.Dir)
	if err != nil {
		return "" // denied by the gate
	}
	return now.Digest
}

// Invoke implements agent.Tool: request ∩ grant ∩ policy of this moment, bound to
// these arguments, then one call in an instance of its own.
func (t *skillTool) Invoke(ctx context.Context, auth policy.Authorized, args json.RawMessage) (agent.Outcome, error) {
	caller, err := auth.Redeem(t.ref, t.bundle.Digest, args)
	if err != nil {
		return agent.Outcome{}, err
	}
	// First known to whoever stops calls, then judged: what is withdrawn in between is
	// found by one of the two.
	ctx, ended := t.host.begin(ctx, t.bundle, t.artifact, caller)
	defer ended()
	admitted, err := t.host.trust.Look(ctx, t.bundle, t.artifact)
	if err != nil {
		return agent.Outcome{}, t.shown(err)
	}
	rights, err := t.host.rights(t.bundle, admitted.Proof(), caller.Agent)
	if err != nil {
		t.host.log.Warn("call refused", "skill", caller.Skill, "agent", caller.Agent, "err", err)
		return agent.Outcome{}, fmt.Errorf("the operator's grant for this skill cannot be used; ask the operator to run \"glovebox skill list\"")
	}
	if rights, err = rights.Bind(args); err != nil {
		return agent.Outcome{}, fmt.Errorf("bind the arguments: %w", err)
	}
	out, err := t.host.chamber.Engine.Call(ctx, wasm.Invocation{
		Caller: caller, Source: t.source(ctx), Profile: t.bundle.Manifest.Manifest.ABI,
		Tool: t.ref.Tool, Arguments: args, Rights: rights, Services: t.host.services(caller.Agent),
		Context: auth.Context(),
	})
	result := agent.Outcome{Label: label.Trusted()} // no guest was entered: the words are the host's
	if out != nil {
		result = agent.Outcome{Result: out.Result, Denials: out.Denials, Detail: usageDetail(out.Usage), Label: out.Label}
	}
	if err != nil {
		if why := stopped(ctx); why != nil {
			err = why
		}
		return result, t.shown(err)
	}
	return result, nil
}

// source reads the module through the gate: whenever it is loaded, from the compiler's
// cache too, everything about the skill is judged again. A load outlives the call that
// began it.
func (t *skillTool) source(ctx context.Context) wasm.Source {
	ctx = context.WithoutCancel(ctx)
	return wasm.Source{Digest: t.bundle.Manifest.Module, Read: func() (abi.Blob, error) {
		return t.host.trust.Load(ctx, t.bundle, t.artifact)
	}}
}

// shown returns err if its text is fit for a model, and a plain sentence otherwise.
func (t *skillTool) shown(err error) error {
	var limit *wasm.LimitError
	var guest *wasm.GuestError
	var trap *wasm.TrapError // the engine has logged it
	var result *wasm.ResultError
	var strict *wasm.DeniedError
	var refusal *module.Refusal
	var untrusted *install.Refusal
	switch {
	case errors.As(err, &limit), errors.As(err, &guest), errors.As(err, &trap), errors.As(err, &result), errors.As(err, &strict),
		errors.Is(err, wasm.ErrBusy), errors.Is(err, wasm.ErrNoTool), errors.Is(err, wasm.ErrClosed),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &refusal):
		t.host.log.Warn("module refused", "skill", t.ref.Skill, "err", err)
		return fmt.Errorf("the module of skill %q was refused (rule %s)", t.ref.Skill, refusal.Rule)
	case errors.As(err, &untrusted):
		t.host.log.Error("skill refused", "skill", t.ref.Skill, "reason", untrusted.Reason, "err", err)
		if untrusted.Reason == install.ReasonModule || untrusted.Reason == install.ReasonFile {
			return fmt.Errorf("skill %q was changed after it was built and is not run (%s); the operator can rebuild it with \"glovebox skill build\" and sign it", t.ref.Skill, untrusted.Reason)
		}
		return fmt.Errorf("skill %q is not run (%s); the operator sees why with \"glovebox skill list\"", t.ref.Skill, untrusted.Reason)
	case errors.Is(err, wasm.ErrDigest), errors.Is(err, skills.ErrDigest):
		t.host.log.Error("skill refused", "skill", t.ref.Skill, "err", err)
		return fmt.Errorf("skill %q was changed after it was built and is not run; the operator can rebuild it with \"glovebox skill build\"", t.ref.Skill)
	}
	t.host.log.Error("call failed", slog.String("tool", t.ref.String()), slog.Any("err", err))
	return errFailed
}

// usageDetail is what the audit log keeps of what a call consumed.
func usageDetail(u wasm.Usage) map[string]string {
	return map[string]string{
		"wall": u.Wall.Round(time.Microsecond).String(), "memory": fmt.Sprint(u.Memory),
		"host_calls": fmt.Sprint(u.HostCalls), "http_calls": fmt.Sprint(u.HTTPCalls),
		"http_received": fmt.Sprint(u.HTTPReceived), "file_read": fmt.Sprint(u.FileRead),
	}
}
