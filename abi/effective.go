package abi

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// DefaultMountBytes bounds what is stored below a writable mount when neither
// manifest nor grant says otherwise.
const DefaultMountBytes = 64 * MiB

// ErrStaleGrant is the cause when an entry of a grant matches nothing that the skill
// asks for: a typing mistake, or a grant for another version.
var ErrStaleGrant = errors.New("the grant matches nothing that the skill asks for")

// Explanation says why one right is held or not.
type Explanation struct {
	Right   string `json:"right"` // such as "http GET https://api.github.com /repos/**"
	Granted bool   `json:"granted"`
	Why     string `json:"why,omitempty"`
	Grant   string `json:"grant,omitempty"`   // file:line of the grant
	Request string `json:"request,omitempty"` // file:line, or file and key, of the request
}

// Effective computes request ∩ grant ∩ global policy for one agent. It is pure:
// proof is what was verified about the bundle, now the present time.
//
// Sets intersect, numbers take the minimum, booleans are ANDed, access ro wins, and
// what the grant does not mention is not granted. A limit, a response size or a mount
// size above the default needs both sides to name it. Without a grant that holds (nil,
// draft, expired, pinned to something else, for another publisher, or not for this agent) the result has
// Granted false and no right, only the defaults of the configuration. An entry of the
// grant that matches nothing in the request is an ErrStaleGrant that names the
// closest request.
func Effective(m *Manifest, g *Grant, p GlobalPolicy, agent AgentID, proof Proof, now time.Time) (Rights, []Explanation, error) {
	e := effective{m: m, g: g, p: p}
	none := Rights{Config: m.configDefaults(), asked: m.askedArgument()}
	if g == nil {
		e.refuse("skill "+string(m.Name), "no grant (run: glovebox skill grant "+string(m.Name)+")", "", "")
		return none, e.why, nil
	}
	if g.Skill != m.Name {
		return Rights{}, nil, g.pos.Error("skill", fmt.Errorf("the grant is for %q, not for %q", g.Skill, m.Name))
	}
	if path, why := e.void(proof, now); why != "" {
		e.refuse("skill "+string(m.Name), why, g.pos.At(path), "")
		return none, e.why, nil
	}
	r := Rights{Granted: true, asked: none.asked, Strict: m.Strict, Limits: effectiveLimits(m.Limits, g.Limits, p.Limits)}
	for _, part := range []func(*Rights) error{e.config, e.secrets, e.http, e.files, e.kv, e.human, e.flows} {
		if err := part(&r); err != nil {
			return Rights{}, nil, err
		}
	}
	e.limits(r.Limits)
	if !slices.Contains(g.Agents, agent) || agent == "" {
		e.why = nil
		e.refuse("skill "+string(m.Name), fmt.Sprintf("the grant does not name agent %q", agent), g.pos.At("agents"), "")
		return none, e.why, nil
	}
	if e.missing != "" {
		return none, e.why, nil
	}
	return r, e.why, nil
}

// askedArgument returns the argument whose URL a skill asks to reach, if that is all
// that it asks of the network.
func (m *Manifest) askedArgument() string {
	asked := ""
	for _, n := range m.Needs.HTTP {
		if n.Argument == "" {
			return ""
		}
		asked = n.Argument
	}
	return asked
}

// effective holds the operands of one computation and its explanations.
type effective struct {
	m       *Manifest
	g       *Grant
	p       GlobalPolicy
	why     []Explanation
	missing string // a required config key without a value
}

func (e *effective) allow(right, grant, request string) {
	e.why = append(e.why, Explanation{Right: right, Granted: true, Grant: grant, Request: request})
}

func (e *effective) refuse(right, why, grant, request string) {
	e.why = append(e.why, Explanation{Right: right, Why: why, Grant: grant, Request: request})
}

// void returns why the whole grant does not hold, and the key that says so.
func (e *effective) void(proof Proof, now time.Time) (path, why string) {
	switch g := e.g; {
	case g.Draft:
		return "draft", "the grant is a draft (confirm it, then remove the key draft)"
	case !g.Expires.IsZero() && !now.Before(g.Expires.End()):
		return "expires", "the grant expired at the end of " + g.Expires.String()
	case g.Publisher != nil && !g.Publisher.admits(proof.Signer):
		return "publisher", fmt.Sprintf("the grant is for skills of another publisher; this one is signed by %s", clip(proof.Signer.String()))
	case g.Pin != nil && !g.Pin.holds(e.m.Version, proof.Digest):
		return "pin", fmt.Sprintf("the grant is pinned to another skill than version %s, %s", e.m.Version, proof.Digest)
	}
	return "", ""
}

// stale is the error of a grant entry that matches nothing.
func (e *effective) stale(path, got string, asked []string) error {
	hint := "; it asks for none"
	if len(asked) > 0 {
		hint = "; the closest it asks for is " + nearest(got, asked)
	}
	return e.g.pos.Error(path, fmt.Errorf("%s: %w%s", got, ErrStaleGrant, hint))
}

func nearest(got string, asked []string) string {
	if best := closest(got, asked, 1<<20); best != "" {
		return best
	}
	return clip(asked[0])
}

func (e *effective) http(r *Rights) error {
	used := make([]bool, len(e.m.Needs.HTTP))
	for i, grant := range e.g.Allow.HTTP {
		matched := false
		at := fmt.Sprintf("allow.http[%d]", i)
		var asked []string
		for j, need := range e.m.Needs.HTTP {
			asked = append(asked, need.String())
			right, ok := meetHTTP(need, grant)
			if !ok {
				continue
			}
			matched, used[j] = true, true
			right.Rule = e.g.pos.At(at)
			e.addHTTP(r, right, need, e.m.pos.At(fmt.Sprintf("needs.http[%d]", j)))
		}
		if !matched {
			return e.stale(at, HTTPNeed{Origin: grant.Origin, Argument: grant.Argument, Methods: grant.Methods, Paths: grant.Paths}.String(), asked)
		}
	}
	for j, need := range e.m.Needs.HTTP {
		if !used[j] {
			e.refuse(need.String(), "not granted", "", e.m.pos.At(fmt.Sprintf("needs.http[%d]", j)))
		}
	}
	return nil
}

// addHTTP adds right unless the global policy keeps it out.
func (e *effective) addHTTP(r *Rights, right HTTPRight, need HTTPNeed, request string) {
	if o := Origin(right.Origin); o.Special() && !slices.Contains(e.p.PrivateOrigins, o) {
		e.refuse(right.String(), "a private or loopback address that the global policy does not open (add it to private_origins)", right.Rule, request)
		return
	}
	if slices.ContainsFunc(r.Secrets, func(s SecretRight) bool { return s.Name == need.Auth }) {
		right.Auth = need.Auth
	}
	right.MaxResponse = min(sizeOr(need.MaxResponse, DefaultLimits().HTTPResponse), right.MaxResponse, MaxLimits().HTTPResponse)
	e.allow(right.String(), right.Rule, request)
	r.HTTP = append(r.HTTP, right)
	r.Limits.HTTPResponse = max(r.Limits.HTTPResponse, right.MaxResponse)
}

func sizeOr(s Size, silent int64) int64 {
	if s == 0 {
		return silent
	}
	return int64(s)
}

// meetHTTP intersects one request with one entry of the grant.
func meetHTTP(need HTTPNeed, grant HTTPGrant) (HTTPRight, bool) {
	right := HTTPRight{MaxResponse: sizeOr(grant.MaxResponse, DefaultLimits().HTTPResponse)}
	if need.Argument != "" || grant.Argument != "" {
		if need.Argument != grant.Argument || need.Origin != "" || grant.Origin != "" {
			return HTTPRight{}, false
		}
		right.Argument = need.Argument
	} else {
		origin, ok := need.Origin.meet(grant.Origin)
		if !ok {
			return HTTPRight{}, false
		}
		right.Origin = origin
	}
	for _, method := range need.Methods {
		if slices.Contains(grant.Methods, method) && !slices.Contains(right.Methods, method) {
			right.Methods = append(right.Methods, method)
		}
	}
	for _, a := range need.Paths {
		for _, b := range grant.Paths {
			if both, ok := meetPath(a, b); ok && !slices.Contains(right.Paths, both) {
				right.Paths = append(right.Paths, both)
			}
		}
	}
	return right, len(right.Methods) > 0 && len(right.Paths) > 0
}

// String returns one line for people.
func (h HTTPNeed) String() string {
	return HTTPRight{Origin: h.Origin, Argument: h.Argument, Methods: h.Methods, Paths: h.Paths}.String()
}

// String returns one line for people.
func (h HTTPRight) String() string {
	where := string(h.Origin)
	if h.Argument != "" {
		where = "the origin of argument " + h.Argument
	}
	return "http " + strings.Join(h.Methods, ",") + " " + where + " " + strings.Join(h.Paths, " ")
}

func (e *effective) secrets(r *Rights) error {
	for i, grant := range e.g.Allow.Secrets {
		at := fmt.Sprintf("allow.secrets[%d]", i)
		j := slices.IndexFunc(e.m.Needs.Secrets, func(s SecretNeed) bool { return s.Name == grant.Name })
		if j < 0 {
			return e.stale(at, "secret "+string(grant.Name), prefixed("secret ", e.m.secretNames()))
		}
		need := e.m.Needs.Secrets[j]
		right := SecretRight{Name: need.Name, Store: grant.Store(), Inject: need.Inject.Injection(), Only: slices.Clone(need.Only), Rule: e.g.pos.At(at)}
		r.Secrets = append(r.Secrets, right)
		e.allow(fmt.Sprintf("secret %s from %s for %v", right.Name, grant.From, right.Only), right.Rule, e.m.pos.At(fmt.Sprintf("needs.secrets[%d]", j)))
	}
	for j, need := range e.m.Needs.Secrets {
		if !slices.ContainsFunc(r.Secrets, func(s SecretRight) bool { return s.Name == need.Name }) {
			e.refuse("secret "+string(need.Name), "not granted", "", e.m.pos.At(fmt.Sprintf("needs.secrets[%d]", j)))
		}
	}
	return nil
}

func prefixed(prefix string, names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + n
	}
	return out
}

func (e *effective) files(r *Rights) error {
	var mounts []string
	for _, need := range e.m.Needs.Files {
		mounts = append(mounts, "files "+need.Mount)
	}
	for i, grant := range e.g.Allow.Files {
		at := fmt.Sprintf("allow.files[%d]", i)
		j := slices.IndexFunc(e.m.Needs.Files, func(f FileNeed) bool { return f.Mount == grant.Mount })
		if j < 0 {
			return e.stale(at, "files "+grant.Mount, mounts)
		}
		need := e.m.Needs.Files[j]
		right := FileRight{Mount: need.Mount, Host: grant.Host, Rule: e.g.pos.At(at)}
		access := AccessRead
		if need.Access == AccessWrite && grant.Access == AccessWrite {
			access, right.Write = AccessWrite, true
			right.MaxBytes = min(sizeOr(need.MaxBytes, DefaultMountBytes), sizeOr(grant.MaxBytes, DefaultMountBytes))
		}
		r.Files = append(r.Files, right)
		e.allow("files "+right.Mount+" "+string(access), right.Rule, e.m.pos.At(fmt.Sprintf("needs.files[%d]", j)))
	}
	for j, need := range e.m.Needs.Files {
		if !slices.ContainsFunc(r.Files, func(f FileRight) bool { return f.Mount == need.Mount }) {
			e.refuse(mounts[j]+" "+string(need.Access), "not granted", "", e.m.pos.At(fmt.Sprintf("needs.files[%d]", j)))
		}
	}
	return nil
}

func (e *effective) kv(r *Rights) error {
	need, grant := e.m.Needs.KV, e.g.Allow.KV
	switch {
	case need == nil && grant == nil:
	case need == nil:
		return e.stale("allow.kv", "kv", nil)
	case grant == nil:
		e.refuse("kv "+need.MaxBytes.String(), "not granted", "", e.m.pos.At("needs.kv"))
		r.Limits.KVBytes = 0
	default:
		most := min(int64(need.MaxBytes), int64(grant.MaxBytes), MaxLimits().KVBytes)
		r.KV = &KVRight{MaxBytes: most, Rule: e.g.pos.At("allow.kv")}
		r.Limits.KVBytes = most
		e.allow("kv "+Size(most).String(), r.KV.Rule, e.m.pos.At("needs.kv"))
	}
	if r.KV == nil {
		r.Limits.KVBytes = 0
	}
	return nil
}

func (e *effective) human(r *Rights) error {
	asked := e.m.Needs.Human != nil && e.m.Needs.Human.Ask
	switch {
	case !asked && e.g.Allow.Human:
		return e.stale("allow.human", "human", nil)
	case asked && e.g.Allow.Human:
		r.Human = true
		e.allow("human ask", e.g.pos.At("allow.human"), e.m.pos.At("needs.human"))
	case asked:
		e.refuse("human ask", "not granted", "", e.m.pos.At("needs.human"))
	}
	return nil
}

func (m *Manifest) configDefaults() map[string]string {
	var c map[string]string
	for _, need := range m.Needs.Config {
		if need.Default != nil {
			if c == nil {
				c = map[string]string{}
			}
			c[need.Key] = *need.Default
		}
	}
	return c
}

func (e *effective) config(r *Rights) error {
	r.Config = e.m.configDefaults()
	var keys []string
	for _, need := range e.m.Needs.Config {
		keys = append(keys, "config "+need.Key)
	}
	for _, key := range slices.Sorted(maps.Keys(e.g.Config)) {
		j := slices.IndexFunc(e.m.Needs.Config, func(c ConfigNeed) bool { return c.Key == key })
		if j < 0 {
			return e.stale("config."+key, "config "+key, keys)
		}
		if err := e.m.Needs.Config[j].accepts(e.g.Config[key]); err != nil {
			return e.g.pos.Error("config."+key, err)
		}
		if r.Config == nil {
			r.Config = map[string]string{}
		}
		r.Config[key] = e.g.Config[key]
	}
	for j, need := range e.m.Needs.Config {
		if _, ok := r.Config[need.Key]; need.Required && !ok {
			e.missing = need.Key
			e.refuse("config "+need.Key, "required, but the grant gives no value (add it under config)", e.g.pos.At("config"), e.m.pos.At(fmt.Sprintf("needs.config[%d]", j)))
		}
	}
	return nil
}

// limits explains those that somebody named.
func (e *effective) limits(l Limits) {
	for _, k := range limitKeys() {
		_, asked := k.get(&e.m.Limits)
		_, granted := k.get(&e.g.Limits)
		_, policed := k.get(&e.p.Limits)
		if !asked && !granted && !policed {
			continue
		}
		x := Explanation{Right: "limit " + k.name + " " + k.text(k.of(l)), Granted: true}
		if asked {
			x.Request = e.m.pos.At("limits." + k.name)
		}
		if granted {
			x.Grant = e.g.pos.At("limits." + k.name)
		}
		if policed && said(k, e.p.Limits, 0) == k.of(l) {
			x.Why = "global policy"
		}
		e.why = append(e.why, x)
	}
}
