package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/install"
)

// watchTime is how often the daemon looks for revocations, advisories and versions. A
// revocation stops what runs within two seconds.
const watchTime = 500 * time.Millisecond

// run is one call of a skill that is in the chamber.
type run struct {
	bundle   *skills.Bundle
	artifact abi.Digest
	caller   abi.Caller
	stop     context.CancelCauseFunc
}

// begin registers a call, so that a revocation finds it.
func (h *Host) begin(ctx context.Context, b *skills.Bundle, artifact abi.Digest, caller abi.Caller) (context.Context, func()) {
	ctx, stop := context.WithCancelCause(ctx)
	r := &run{b, artifact, caller, stop}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running == nil {
		h.running = map[*run]bool{}
	}
	h.running[r] = true
	return ctx, func() {
		stop(nil)
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.running, r)
	}
}

// stopped returns the refusal that ended a call, nil if another thing did.
func stopped(ctx context.Context) error {
	var why *install.Refusal
	if errors.As(context.Cause(ctx), &why) {
		return why
	}
	return nil
}

// watch looks at what judgements rest on until ctx ends.
func (h *Host) watch(ctx context.Context) {
	tick := time.NewTicker(watchTime)
	defer tick.Stop()
	seen, lock := h.trust.Refresh(ctx), statOf(h.catalog.store.LockFile())
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := h.catalog.store.Recover(); err != nil {
			h.log.Error("an installation cannot be finished", "err", err)
		}
		epoch, now := h.trust.Refresh(ctx), statOf(h.catalog.store.LockFile())
		if epoch == seen && sameFile(lock, now) {
			continue // what lies in folders is looked at with the next message
		}
		if epoch != seen {
			h.stopRefused(ctx)
		}
		seen, lock = epoch, now
		if _, err := h.current(ctx); err != nil {
			h.log.Error("skills cannot be looked at", "err", err)
		}
	}
}

// stopRefused ends the calls of skills that have been withdrawn, or whose parts are
// known to be bad since. Calls of a version that was merely replaced go on.
func (h *Host) stopRefused(ctx context.Context) {
	h.mu.Lock()
	var all []*run
	for r := range h.running {
		all = append(all, r)
	}
	h.mu.Unlock()
	for _, r := range all {
		_, err := h.trust.Look(ctx, r.bundle, r.artifact)
		switch install.ReasonOf(err) {
		case install.ReasonRevoked, install.ReasonMalicious, install.ReasonBlocked:
		default:
			continue
		}
		r.stop(err)
		e := entryOf(r.caller, "skill.stopped")
		e.Verdict, e.Rule, e.Outcome, e.Durable = "deny", string(install.ReasonOf(err)), "cancelled", true
		e.Detail["why"] = err.Error()
		observer{h.ledger, h.log}.append(ctx, e)
		h.log.Warn("a running skill was stopped", "skill", r.caller.Skill, "reason", install.ReasonOf(err))
	}
}

// recordVerdicts writes an admission record for each skill whose judgement is new.
func (h *Host) recordVerdicts(ctx context.Context, list []standing) {
	for _, s := range list {
		e := audit.Entry{Event: "skill.admitted", Actor: "host", Verdict: "allow", Detail: map[string]string{"dir": s.Dir}}
		switch {
		case s.Admission != nil && s.Err == nil:
			describe(&e, s.Admission)
		case s.Bundle == nil && install.ReasonOf(s.Err) == "" && s.Err != nil:
			e.Event, e.Verdict, e.Detail["why"] = "skill.refused", "deny", s.Err.Error()
		case s.Err != nil:
			e.Event, e.Verdict, e.Rule, e.Detail["why"] = "skill.refused", "deny", string(install.ReasonOf(s.Err)), s.Err.Error()
		}
		if s.Bundle != nil {
			e.ToolDigest, e.Detail["skill"] = s.Bundle.Digest, string(s.Bundle.Name())
		}
		key := string(e.Event) + string(e.ToolDigest) + fmt.Sprint(e.Detail)
		h.mu.Lock()
		if h.verdicts == nil {
			h.verdicts = map[string]string{}
		}
		known := h.verdicts[s.Dir] == key
		h.verdicts[s.Dir] = key
		h.mu.Unlock()
		if !known {
			observer{h.ledger, h.log}.append(ctx, e)
		}
	}
}

// describe puts the facts of an admission into its record.
func describe(e *audit.Entry, a *install.Admission) {
	e.Detail["artifact"], e.Detail["publisher"], e.Detail["signer"], e.Detail["version"] = string(a.Artifact), a.Publisher, a.Signer.String(), a.Version
	if !a.Signed.IsZero() {
		e.Detail["signed"] = a.Signed.Format(time.RFC3339)
	}
	var data []string
	for _, s := range a.Data {
		data = append(data, fmt.Sprintf("%s %s as of %s", s.Ecosystem, s.SHA256, s.Newest.Format(time.DateOnly)))
	}
	for _, f := range a.Findings {
		if f.Waiver != nil {
			data = append(data, fmt.Sprintf("%s waived until %s: %s", f.ID, f.Waiver.Expires.Format(time.DateOnly), f.Waiver.Why))
		}
	}
	if a.Open != "" {
		data = append(data, "not asked: "+a.Open)
	}
	if len(data) > 0 {
		e.Detail["advisories"] = strings.Join(data, "; ")
	}
}

// trustWarnings names what runs although less is known of it than could be.
func (h *Host) trustWarnings() []string {
	var all []string
	if w := h.trust.warning(context.Background()); w != "" {
		all = append(all, w)
	}
	h.mu.Lock()
	w := h.world
	h.mu.Unlock()
	if w == nil {
		return all
	}
	open := 0
	fix := ""
	for _, s := range w.skills {
		if s.Admission != nil && s.Admission.Open != "" {
			open++
			fix = string(s.Admission.Packages[0].Ecosystem)
		}
	}
	if open == 0 {
		return all
	}
	return append(all, fmt.Sprintf("%d skills of this machine are not checked against advisories: glovebox osv update --ecosystem %s --from FILE", open, fix))
}
