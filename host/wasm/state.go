package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// callKey finds the call in the context of a host function.
type callKey struct{}

// phase says how far a call has come. Nothing effectful works while the guest
// initialises.
type phase uint8

const (
	phaseInit phase = iota
	phaseCall
)

// call is the state of one call: what its guest may do, has done and is owed. It is
// used on the goroutine that runs the guest, except for its clock and its cancel.
type call struct {
	engine   *Engine
	caller   abi.Caller
	rights   abi.Rights
	limits   abi.Limits
	services Services
	phase    phase
	holding  bool // a slot
	exit     int  // of proc_exit
	clock    *clock
	budget   *budget
	kernel   *kernel
	log      *logSink
	began    time.Time

	cause    error // why the guest was stopped by the host; the first one counts
	denials  []abi.Problem
	unlisted int // refusals beyond maxDenials
	usage    Usage
	trace    func(line string) // tests only

	context label.Label            // of what led to the call
	seen    label.Label            // of what the guest has read so far
	private map[string]label.Label // of what of that is not for everybody, by where it is from
	told    []label.Principal      // servers that were asked something
	hashes  map[version]string     // of files, once they were read

	vars      map[string][]byte
	varBytes  int64
	response  lastResponse
	roots     map[string]*os.Root
	quotas    map[string]*quota
	progressT time.Time
	stdio     stdio
}

// maxDenials bounds the distinct refusals that are kept for one call.
const maxDenials = 32

// from returns the call that ctx belongs to. A missing one is a defect of the host:
// no guest can bring it about.
func from(ctx context.Context) *call {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		panic(errNoCall)
	}
	return c
}

var errNoCall = errors.New("host function outside of a call")

// trap stops the guest for the given cause. It does not return: a panic is the one
// way that wazero offers to leave a guest, and the caller maps the cause, not the text.
func (c *call) trap(cause error) {
	if c.cause == nil {
		c.cause = cause
	}
	panic(errStopped)
}

var errStopped = errors.New("stopped by the host")

// check traps if err is not nil: what is no limit is a crash of the guest.
func (c *call) check(err error) {
	if err == nil {
		return
	}
	if _, ok := errors.AsType[*LimitError](err); ok {
		c.trap(err)
	}
	c.trap(&TrapError{Message: err.Error()})
}

// enter accounts for one call of a host function and ends the guest when its time
// or its number of calls is up.
func (c *call) enter(ctx context.Context) {
	c.usage.HostCalls++
	if c.usage.HostCalls > c.limits.HostCalls {
		c.trap(&LimitError{Limit: "host_calls", Got: int64(c.usage.HostCalls), Max: int64(c.limits.HostCalls)})
	}
	if ctx.Err() != nil {
		c.trap(context.Cause(ctx))
	}
}

// outside runs f without the slot, since f waits for something that is not this
// guest: the network, a human, time. With stopped, the wall clock stands still.
func (c *call) outside(ctx context.Context, stopped bool, f func()) {
	if stopped {
		c.clock.pause()
	}
	c.engine.slots.leave()
	c.holding = false
	func() {
		defer c.rejoin(ctx)
		f()
	}()
	if ctx.Err() != nil {
		c.trap(context.Cause(ctx))
	}
}

// rejoin takes the slot again; waiting for it is not the guest's time. A call that
// has ended meanwhile stays without: its guest is not entered any more.
func (c *call) rejoin(ctx context.Context) {
	c.clock.pause()
	c.holding = c.engine.slots.again(ctx, c.caller.Agent) == nil
	c.clock.start()
}

// refuse records a refusal for the model and the audit. It traps when the rights are
// strict.
func (c *call) refuse(ctx context.Context, p *abi.Problem) *abi.Problem {
	switch p.Code {
	case abi.CodeDenied, abi.CodePhase, abi.CodeQuota, abi.CodeTooLarge, abi.CodeNeedsHuman, abi.CodeUnavailable:
	default: // a failure, not a refusal
		return p
	}
	known := false
	for i := range c.denials {
		known = known || c.denials[i] == *p
	}
	switch {
	case known:
	case len(c.denials) < maxDenials:
		c.denials = append(c.denials, *p)
		c.audit(ctx, p)
	default:
		c.unlisted++
	}
	if c.rights.Strict && p.Code == abi.CodeDenied {
		c.trap(&DeniedError{Problem: p})
	}
	return p
}

// audit tells the observer of a refusal; that the call is ending does not matter.
func (c *call) audit(ctx context.Context, p *abi.Problem) {
	if c.services.Observer != nil {
		c.services.Observer.Denied(context.WithoutCancel(ctx), c.caller, p)
	}
}

// auditRest tells how many refusals were not listed, so that a flood of them hides
// nothing.
func (c *call) auditRest(ctx context.Context) {
	if c.unlisted == 0 {
		return
	}
	p := &abi.Problem{Code: abi.CodeQuota, Rule: "denials/call", Message: fmt.Sprintf("%d more refusals of this call are not listed", c.unlisted)}
	c.denials = append(c.denials, *p)
	c.audit(ctx, p)
}

// grantHint is the command that would grant what was refused.
func (c *call) grantHint(flags string) string {
	return "glovebox skill grant " + string(c.caller.Skill) + flags
}

// problemOf turns an error of a service into what the guest may see. Only
// *abi.Problem has a text for guests.
func (c *call) problemOf(ctx context.Context, what string, err error) *abi.Problem {
	if p, ok := errors.AsType[*abi.Problem](err); ok {
		return p
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &abi.Problem{Code: abi.CodeTimeout, Message: what + " did not finish in time"}
	}
	c.engine.log.LogAttrs(ctx, slog.LevelError, "service failed", slog.String("service", what),
		slog.String("skill", string(c.caller.Skill)), slog.Any("err", err))
	return &abi.Problem{Code: abi.CodeInternal, Message: what + " failed"}
}

// view takes the block at handle h from the guest, as it lies in the kernel: it is
// valid until the next allocation.
func (c *call) view(h uint64) []byte {
	b, err := c.kernel.consume(h)
	c.check(err)
	return b
}

// consume copies the block at handle h from the guest, and of a longer one than most
// no more than what shows that it is longer: copies are outside of the guest's
// budget, and a guest can name one large block in call after call.
func (c *call) consume(h uint64, most int64) []byte {
	b := c.view(h)
	return slices.Clone(b[:min(int64(len(b)), max(most, 0)+1)])
}

// put hands p to the guest.
func (c *call) put(p []byte) uint64 {
	h, err := c.kernel.put(p)
	c.check(err)
	return h
}

// close releases what the call holds.
func (c *call) close() {
	for _, r := range c.roots {
		_ = r.Close()
	}
	for _, q := range c.quotas {
		c.engine.quotas.release(q)
	}
	c.budget.close()
}

// hostFunc is one function that this host offers to guests.
type hostFunc struct {
	params, results []api.ValueType
	kernel          bool // moves bytes within the kernel: bounded by memory and time, not counted as a host call
	run             func(ctx context.Context, c *call, m api.Module, stack []uint64)
}

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

func types(t ...api.ValueType) []api.ValueType { return t }
