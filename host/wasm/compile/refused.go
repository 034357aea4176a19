package compile

import (
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/host/wasm/module"
)

// Bounds of what is remembered of modules that the compiler refused.
const (
	refusedMax = 256
	refusedFor = 10 * time.Minute
)

// refusals remembers which modules were refused in the jail, so that a module which
// burns its whole budget there does so once and not at each call. The zero value is
// ready.
type refusals struct {
	mu sync.Mutex // guards m
	m  map[string]refusal
}

type refusal struct {
	why   *module.Refusal
	until time.Time
}

// get returns the refusal that still holds for key, or nil.
func (r *refusals) get(key string, now time.Time) *module.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.m[key]
	if !ok {
		return nil
	}
	if !now.Before(e.until) {
		delete(r.m, key)
		return nil
	}
	return e.why
}

// put remembers why key is refused. Full, it forgets what expires first.
func (r *refusals) put(key string, why *module.Refusal, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m == nil {
		r.m = map[string]refusal{}
	}
	if _, ok := r.m[key]; !ok && len(r.m) >= refusedMax {
		first := ""
		for k, e := range r.m {
			if first == "" || e.until.Before(r.m[first].until) {
				first = k
			}
		}
		delete(r.m, first)
	}
	r.m[key] = refusal{why, now.Add(refusedFor)}
}
