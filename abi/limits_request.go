package abi

import (
	"fmt"
	"time"
)

// limitKey ties one key of a LimitsRequest to the field of Limits that it sets.
type limitKey struct {
	name string
	get  func(*LimitsRequest) (int64, bool)
	put  func(*Limits, int64)
	of   func(Limits) int64
	text func(int64) string
}

// limitKeys is the one list of the limits that manifests, grants and the global
// policy can set.
func limitKeys() []limitKey {
	return []limitKey{
		durationKey("wall", func(r *LimitsRequest) *Duration { return r.Wall }, func(l *Limits) *time.Duration { return &l.Wall }),
		sizeKey("memory", func(r *LimitsRequest) *Size { return r.Memory }, func(l *Limits) *int64 { return &l.Memory }),
		countKey("stack", func(r *LimitsRequest) *int { return r.Stack }, func(l *Limits) *int { return &l.Stack }),
		countKey("table", func(r *LimitsRequest) *int { return r.Table }, func(l *Limits) *int { return &l.Table }),
		sizeKey("input", func(r *LimitsRequest) *Size { return r.Input }, func(l *Limits) *int64 { return &l.Input }),
		sizeKey("output", func(r *LimitsRequest) *Size { return r.Output }, func(l *Limits) *int64 { return &l.Output }),
		countKey("host_calls", func(r *LimitsRequest) *int { return r.HostCalls }, func(l *Limits) *int { return &l.HostCalls }),
		countKey("http_calls", func(r *LimitsRequest) *int { return r.HTTPCalls }, func(l *Limits) *int { return &l.HTTPCalls }),
		sizeKey("http_sent", func(r *LimitsRequest) *Size { return r.HTTPSent }, func(l *Limits) *int64 { return &l.HTTPSent }),
		sizeKey("http_received", func(r *LimitsRequest) *Size { return r.HTTPReceived }, func(l *Limits) *int64 { return &l.HTTPReceived }),
		durationKey("http_time", func(r *LimitsRequest) *Duration { return r.HTTPTime }, func(l *Limits) *time.Duration { return &l.HTTPTime }),
		sizeKey("file_read", func(r *LimitsRequest) *Size { return r.FileRead }, func(l *Limits) *int64 { return &l.FileRead }),
		countKey("log_lines", func(r *LimitsRequest) *int { return r.LogLines }, func(l *Limits) *int { return &l.LogLines }),
		sizeKey("vars", func(r *LimitsRequest) *Size { return r.Vars }, func(l *Limits) *int64 { return &l.Vars }),
		countKey("asks", func(r *LimitsRequest) *int { return r.Asks }, func(l *Limits) *int { return &l.Asks }),
	}
}

func durationKey(name string, get func(*LimitsRequest) *Duration, field func(*Limits) *time.Duration) limitKey {
	return limitKey{
		name: name,
		get:  func(r *LimitsRequest) (int64, bool) { return deref(get(r)) },
		put:  func(l *Limits, v int64) { *field(l) = time.Duration(v) },
		of:   func(l Limits) int64 { return int64(*field(&l)) },
		text: func(v int64) string { return time.Duration(v).String() },
	}
}

func sizeKey(name string, get func(*LimitsRequest) *Size, field func(*Limits) *int64) limitKey {
	return limitKey{
		name: name,
		get:  func(r *LimitsRequest) (int64, bool) { return deref(get(r)) },
		put:  func(l *Limits, v int64) { *field(l) = v },
		of:   func(l Limits) int64 { return *field(&l) },
		text: func(v int64) string { return Size(v).String() },
	}
}

func countKey(name string, get func(*LimitsRequest) *int, field func(*Limits) *int) limitKey {
	return limitKey{
		name: name,
		get:  func(r *LimitsRequest) (int64, bool) { return deref(get(r)) },
		put:  func(l *Limits, v int64) { *field(l) = int(v) },
		of:   func(l Limits) int64 { return int64(*field(&l)) },
		text: func(v int64) string { return fmt.Sprint(v) },
	}
}

func deref[T ~int | ~int64](p *T) (int64, bool) {
	if p == nil {
		return 0, false
	}
	return int64(*p), true
}

// Check refuses what this build cannot enforce, and values outside 0 to MaxLimits.
func (r *LimitsRequest) Check() error {
	if r.Fuel != nil {
		return &FieldError{"fuel", notEnforced("calls are bounded by limits.wall and limits.stack")}
	}
	for _, k := range limitKeys() {
		v, ok := k.get(r)
		if most := k.of(MaxLimits()); ok && (v < 0 || v > most) {
			return fieldErrorf(k.name, "%s is outside 0 to the ceiling of %s", k.text(v), k.text(most))
		}
	}
	return nil
}

// effectiveLimits takes the minimum of what manifest and grant say, each saying the
// default where it is silent: a limit above the default needs both to name it. The
// global policy and MaxLimits cap the result.
func effectiveLimits(request, grant, policy LimitsRequest) Limits {
	l := DefaultLimits()
	for _, k := range limitKeys() {
		standard := k.of(l)
		v := min(said(k, request, standard), said(k, grant, standard), said(k, policy, k.of(MaxLimits())), k.of(MaxLimits()))
		k.put(&l, max(0, v))
	}
	return l
}

func said(k limitKey, r LimitsRequest, silent int64) int64 {
	if v, ok := k.get(&r); ok {
		return v
	}
	return silent
}
