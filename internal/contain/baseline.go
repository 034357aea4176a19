package contain

import (
	"slices"
	"strings"
	"unicode"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
)

func isLetter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// Session is what a policy is told when a run begins.
type Session struct {
	Suite     *Suite
	Name      string // of the suite
	Prompt    string
	Mandate   []string
	Directory []string
	Owner     []string
}

// Policy decides about the calls of one session after another.
type Policy interface {
	Name() string
	Begin(Session) Judge
}

// Judge is a policy in one session. Ask comes before a call and tells whether a
// human would be asked; Observe comes after it, with the result.
type Judge interface {
	Ask(Call) bool
	Observe(Call)
}

// history is the state that the baselines share.
type history struct {
	s          Session
	prompt     string
	tainted    bool
	private    bool     // a private result was read
	beyond     bool     // a private tool outside the mandate was called
	before     []string // results of reads before taint, folded
	trusted    []string // results of trusted reads, folded
	directory  []string
	owner      []string
	rawTrusted []string
}

func newHistory(s Session) *history {
	h := &history{s: s, prompt: fold(s.Prompt)}
	for _, d := range s.Directory {
		h.directory = append(h.directory, fold(d))
	}
	for _, o := range s.Owner {
		h.owner = append(h.owner, fold(o))
	}
	return h
}

func (h *history) tool(c Call) Tool { return h.s.Suite.Tools[h.s.Name+"/"+c.Tool] }

func (h *history) Observe(c Call) {
	t := h.tool(c)
	untrusted, private := t.ResultUntrusted, t.ResultPrivate
	if c.Label != nil {
		untrusted, private = c.Label.Integrity == label.Tainted, !c.Label.Readers.IsPublic()
	}
	if !t.Consequential {
		text := fold(c.Result)
		if !h.tainted && !untrusted {
			h.before = append(h.before, text)
		}
		if !untrusted {
			h.trusted = append(h.trusted, text)
			h.rawTrusted = append(h.rawTrusted, c.Result)
		}
	}
	h.tainted = h.tainted || untrusted
	h.private = h.private || private
	h.beyond = h.beyond || private && !slices.Contains(h.s.Mandate, c.Tool)
}

// local tells whether the effect of c stays in the owner's own store.
func (h *history) local(c Call) bool {
	t := h.tool(c)
	if t.Descriptor.Effect == abi.EffectLocal {
		return true
	}
	if !t.Alone {
		return false
	}
	for _, p := range atoms(c.Args, pointers(t.Descriptor.Recipients)) {
		if s, ok := p.(string); !ok || !slices.Contains(h.owner, fold(s)) {
			return false
		}
	}
	return true
}

// pointers returns the arguments that recipients point to.
func pointers(recipients []string) []string {
	var names []string
	for _, r := range recipients {
		names = append(names, strings.Trim(strings.TrimPrefix(r, "host("), "/)"))
	}
	return names
}

func (h *history) endorsed(c Call, directory bool) bool {
	t := h.tool(c)
	pool := []string{h.prompt}
	pool = append(pool, h.owner...)
	if t.Irreversible {
		pool = append(pool, h.before...)
	} else {
		pool = append(pool, h.trusted...)
	}
	if directory && !t.Irreversible {
		pool = append(pool, h.directory...)
	}
	for _, atom := range atoms(c.Args, t.ControlArgs) {
		if !occurs(atom, pool...) {
			return false
		}
	}
	return true
}

// linked tells whether content carries a link that neither the owner nor a trusted
// result wrote.
func (h *history) linked(c Call) bool {
	known := strings.ToLower(h.s.Prompt + "\n" + strings.Join(h.rawTrusted, "\n"))
	for _, atom := range atoms(c.Args, h.tool(c).Content) {
		text, ok := atom.(string)
		if !ok {
			continue
		}
		for _, link := range linkRE.FindAllString(text, -1) {
			if !strings.Contains(known, strings.ToLower(strings.TrimRight(link, ".,;:!?"))) {
				return true
			}
		}
	}
	return false
}

// baseline is a policy given by the condition under which it asks.
type baseline struct {
	name string
	ask  func(h *history, t Tool, c Call) bool
}

type baselineJudge struct {
	*history
	ask func(h *history, t Tool, c Call) bool
}

func (b baseline) Name() string { return b.name }

func (b baseline) Begin(s Session) Judge { return baselineJudge{newHistory(s), b.ask} }

func (j baselineJudge) Ask(c Call) bool {
	t := j.tool(c)
	return t.Consequential && j.ask(j.history, t, c)
}

// Baselines returns the policies that the gate is compared with, and the published
// rows of the gate itself in their untyped form.
func Baselines() []Policy {
	outside := func(h *history, c Call) bool { return !slices.Contains(h.s.Mandate, c.Tool) }
	noMandate := func(h *history, c Call) bool {
		return h.tainted && !h.local(c) && (!h.endorsed(c, true) || h.linked(c))
	}
	mandate := func(h *history, c Call) bool {
		return noMandate(h, c) || h.tainted && !h.local(c) && outside(h, c)
	}
	full := func(h *history, c Call) bool {
		return mandate(h, c) || h.tainted && !h.local(c) && len(h.tool(c).Descriptor.Recipients) > 0 && h.beyond
	}
	return []Policy{
		baseline{"documented three-class table", func(_ *history, t Tool, _ Call) bool { return t.Class == "destructive" }},
		baseline{"rule of two", func(h *history, _ Tool, _ Call) bool { return h.tainted && h.private }},
		baseline{"strict taint", func(h *history, _ Tool, _ Call) bool { return h.tainted }},
		baseline{"plan-then-execute", func(h *history, _ Tool, c Call) bool { return h.tainted && !h.local(c) && outside(h, c) }},
		baseline{"argument provenance, two tiers", func(h *history, _ Tool, c Call) bool { return h.tainted && !h.local(c) && !h.endorsed(c, false) }},
		baseline{"+ directory + links, no mandate", func(h *history, _ Tool, c Call) bool { return noMandate(h, c) }},
		baseline{"+ mandate", func(h *history, _ Tool, c Call) bool { return mandate(h, c) }},
		baseline{"full gate, untyped", func(h *history, _ Tool, c Call) bool { return full(h, c) }},
		baseline{"full gate, untyped, confirm destructive", func(h *history, t Tool, c Call) bool { return full(h, c) || t.Irreversible }},
	}
}
