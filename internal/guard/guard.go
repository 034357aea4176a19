// Package guard looks at what passes the doors of the host for values that must not
// pass: the known secrets, in the forms that package redact lists, and the canary of
// the conversation, a random token in its system prompt that nobody has a reason to
// repeat.
//
// It is the second line, for the day on which the first errs: no guest, prompt or log
// is ever given a secret. It knows values and guesses none, so what it lets pass is not
// thereby safe to send.
package guard

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

// Sink is a door that text leaves a trust zone by.
type Sink string

// The sinks.
const (
	Prompt    Sink = "prompt"    // to the provider of a model
	Arguments Sink = "arguments" // of a tool call, as the tool would get them
	Result    Sink = "result"    // of a tool, into the conversation
	Reply     Sink = "reply"     // to whoever wrote the message, whole or in pieces
	Request   Sink = "request"   // URL, headers and body of a guest's request
	File      Sink = "file"      // that a guest writes
	KV        Sink = "kv"        // key and value that a guest stores
	Memory    Sink = "memory"    // a row that is remembered
	Question  Sink = "question"  // of a guest to the operator
	Card      Sink = "card"      // that asks a person for approval
	Log       Sink = "log"       // lines, attributes and error chains
	Audit     Sink = "audit"     // records and their export
	API       Sink = "api"       // answers of the admin API, errors included
)

// Action is what happens at a sink when a value is met.
type Action string

// The actions. The zero value blocks.
const (
	Block   Action = "block"
	Replace Action = "replace" // by [secret:NAME]
)

// Policy is how a sink treats what it meets.
type Policy struct {
	Secret      Action
	Canary      Action // "" = not looked for: no conversation, or the canary belongs there
	Compromises bool   // the conversation: a value came where none should be
}

// Policies returns the table of all sinks.
func Policies() map[Sink]Policy {
	egress := Policy{Secret: Block, Canary: Block, Compromises: true}
	shown := Policy{Secret: Replace}
	return map[Sink]Policy{
		Arguments: egress, Request: egress, File: egress, KV: egress, Memory: egress, Question: egress,
		Reply:  {Secret: Replace, Canary: Block, Compromises: true},
		Result: {Secret: Replace, Canary: Replace, Compromises: true},
		Prompt: shown, // a person may have pasted a secret
		Card:   shown, Log: shown, Audit: shown, API: shown,
	}
}

// Place is where something passes.
type Place struct {
	Sink      Sink
	Agent     abi.AgentID
	Session   abi.SessionID
	Call      abi.CallID
	Recipient string // tool, origin, file, …: pieces that go to one are joined
}

// Limits of what is kept of conversations.
const (
	maxSessions = 4096
	maxTails    = 4096    // recipients of one conversation; no further one is sent anything
	maxAllTails = 1 << 16 // of all conversations: the one that was used longest ago goes
)

// Guard is safe for concurrent use. The nil Guard blocks and replaces nothing and makes
// no canary: for programs that hold no secret.
type Guard struct {
	known  redact.Source
	report func(context.Context, Hit)
	table  map[Sink]Policy
	keeper Keeper // nil: only this process remembers

	mu       sync.Mutex // guards what follows
	sessions map[key]*session
	tails    int // of all sessions
	clock    uint64
}

type key struct {
	agent   abi.AgentID
	session abi.SessionID
}

// session is the one object that a canary is put into a prompt from and looked for by.
type session struct {
	canary  string
	matcher *redact.Matcher // of canary
	touched uint64
	met     *Hit // that compromised it
	tails   map[Place]*tail
	changed bool // since it was kept
}

// tail is the end of what went to one recipient.
type tail struct {
	redact.Tail
	touched uint64
}

// New returns a guard for the secrets that known returns at each look. report is told
// of each hit with a conversation, before the text goes on; it may be nil.
func New(known redact.Source, report func(context.Context, Hit)) *Guard {
	return &Guard{known: known, report: report, table: Policies(), sessions: map[key]*session{}}
}

// Canary returns the token of a conversation, made at the first call: 128 random bits
// or more. It belongs into the system prompt and nowhere else.
func (g *Guard) Canary(agent abi.AgentID, id abi.SessionID) (string, error) {
	if g == nil {
		return "", nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.session(key{agent, id})
	if s.canary == "" {
		token := rand.Text()
		m, err := redact.New([]redact.Value{{Name: CanaryName, Text: token}})
		if err != nil {
			return "", fmt.Errorf("canary: %w", err)
		}
		s.canary, s.matcher = token, m
	}
	return s.canary, nil
}

// session returns the session k, which exists from now on. g.mu is held.
func (g *Guard) session(k key) *session {
	s := g.sessions[k]
	if s == nil {
		g.evict()
		s = &session{tails: map[Place]*tail{}}
		g.restore(k, s)
		g.sessions[k] = s
		g.tails += len(s.tails)
	}
	g.clock++
	s.touched = g.clock
	return s
}

// evict makes room for a session: the one that was used longest ago goes, of those that
// are not compromised if there are any. g.mu is held.
func (g *Guard) evict() {
	for len(g.sessions) > 0 && (len(g.sessions) >= maxSessions || g.tails >= maxAllTails) {
		var oldest key
		var victim *session
		for k, s := range g.sessions {
			if victim == nil || s.met == nil && victim.met != nil || (s.met == nil) == (victim.met == nil) && s.touched < victim.touched {
				oldest, victim = k, s
			}
		}
		_ = g.keep(context.Background(), oldest, victim) // if it cannot be kept, there is no room for it either
		g.drop(oldest)
	}
}

// drop forgets the session k. g.mu is held.
func (g *Guard) drop(k key) {
	if s := g.sessions[k]; s != nil {
		g.tails -= len(s.tails)
		delete(g.sessions, k)
	}
}

// Check returns the Hit of the first value in texts, nil if they may pass. It is for
// sinks that block; texts are what would be delivered to p.Recipient now, in order.
func (g *Guard) Check(ctx context.Context, p Place, texts ...[]byte) error {
	if g == nil {
		return nil
	}
	known, canary, tail, err := g.look(ctx, p)
	if err != nil {
		return err
	}
	policy := g.table[p.Sink]
	for _, m := range []*redact.Matcher{known, canary} {
		for _, text := range texts {
			if name := m.Find(text); name != "" {
				return g.hit(ctx, Hit{Place: p, Secret: name, Form: m.Form(text), Action: policy.action(name)})
			}
		}
	}
	for _, text := range texts {
		if err := g.pieces(ctx, p, known, tail, text); err != nil {
			return err
		}
	}
	return nil
}

// pieces returns the Hit of a value that began in what went to p.Recipient before.
func (g *Guard) pieces(ctx context.Context, p Place, known *redact.Matcher, t *tail, text []byte) error {
	if name := g.join(t, known, text); name != "" {
		return g.hit(ctx, Hit{Place: p, Secret: name, Form: "pieces", Action: Block})
	}
	return nil
}

// CheckJSON is Check of a document, and of its string values joined: a value may be spread
// over them, and over those of several documents.
func (g *Guard) CheckJSON(ctx context.Context, p Place, doc []byte) error {
	if g == nil {
		return nil
	}
	known, canary, tail, err := g.look(ctx, p)
	if err != nil {
		return err
	}
	for _, m := range []*redact.Matcher{known, canary} {
		if name := m.Find(doc); name != "" {
			return g.hit(ctx, Hit{Place: p, Secret: name, Form: m.Form(doc), Action: g.table[p.Sink].action(name)})
		}
	}
	joined, n := joinStrings(doc)
	if n < 2 { // it was looked at; what went before was not
		return g.pieces(ctx, p, known, tail, joined)
	}
	return g.Check(ctx, p, joined)
}

// joinStrings returns the strings that are values in doc, without anything between
// them: what a tool that puts its arguments together would get. It takes a string that
// a colon follows for a name, and reads what is no JSON as far as it looks like it. n
// counts them.
func joinStrings(doc []byte) (out []byte, n int) {
	for i := 0; i < len(doc); {
		start := bytes.IndexByte(doc[i:], '"')
		if start < 0 {
			break
		}
		start += i + 1
		end, escaped := start, false
		for end < len(doc) && doc[end] != '"' {
			if doc[end] == '\\' {
				escaped = true
				end++
			}
			end++
		}
		end = min(end, len(doc))
		i = end + 1
		if rest := bytes.TrimLeft(doc[min(i, len(doc)):], " \t\r\n"); len(rest) > 0 && rest[0] == ':' {
			continue
		}
		n++
		var plain string
		if escaped && json.Unmarshal(doc[start-1:min(i, len(doc))], &plain) == nil {
			out = append(out, plain...)
		} else {
			out = append(out, doc[start:end]...)
		}
	}
	return out, n
}

// Clean returns text with values replaced, or the Hit of one that the sink blocks. It
// is for sinks that replace.
func (g *Guard) Clean(ctx context.Context, p Place, text string) (string, error) {
	if g == nil || text == "" {
		return text, nil
	}
	known, canary, tail, err := g.look(ctx, p)
	if err != nil {
		return "", err
	}
	policy := g.table[p.Sink]
	for _, m := range []*redact.Matcher{known, canary} {
		name := m.Find([]byte(text))
		if name == "" {
			continue
		}
		err := g.hit(ctx, Hit{Place: p, Secret: name, Form: m.Form([]byte(text)), Action: policy.action(name)})
		if policy.action(name) != Replace {
			return "", err
		}
		text = m.RedactString(text)
	}
	if err := g.pieces(ctx, p, known, tail, []byte(text)); err != nil {
		return "", err // what went before cannot be taken back
	}
	return text, nil
}

// CleanJSON is Clean of a document, which stays one.
func (g *Guard) CleanJSON(ctx context.Context, p Place, doc []byte) ([]byte, error) {
	if g == nil || len(doc) == 0 {
		return doc, nil
	}
	known, canary, _, err := g.look(ctx, p)
	if err != nil {
		return nil, err
	}
	for _, m := range []*redact.Matcher{known, canary} {
		name := m.Find(doc)
		if name == "" {
			continue
		}
		err := g.hit(ctx, Hit{Place: p, Secret: name, Form: m.Form(doc), Action: g.table[p.Sink].action(name)})
		if g.table[p.Sink].action(name) != Replace {
			return nil, err
		}
		if doc, err = m.RedactJSON(doc); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

func (p Policy) action(name string) Action {
	if name == CanaryName {
		return cmp.Or(p.Canary, Block)
	}
	return cmp.Or(p.Secret, Block)
}

// look returns what is looked for at p, and the end of what went there before, nil
// where nothing is kept. The error is the Hit of one recipient too many.
func (g *Guard) look(ctx context.Context, p Place) (known, canary *redact.Matcher, t *tail, err error) {
	known = g.known()
	if p.Session == "" {
		return known, nil, nil, nil
	}
	g.mu.Lock()
	s := g.session(key{p.Agent, p.Session})
	if g.table[p.Sink].Canary != "" {
		canary = s.matcher
	}
	if p.Recipient == "" || known == nil {
		g.mu.Unlock()
		return known, canary, nil, nil
	}
	call := p.Call
	p.Call = ""
	if t = s.tails[p]; t == nil {
		if len(s.tails) >= maxTails {
			g.mu.Unlock()
			p.Call = call
			return nil, nil, nil, g.tell(ctx, Hit{Place: p, Secret: tooMany, Action: Block})
		}
		t = new(tail)
		s.tails[p] = t
		g.tails++
	}
	g.clock++
	t.touched, s.changed = g.clock, true
	g.mu.Unlock()
	return known, canary, t, nil
}

func (g *Guard) join(t *tail, m *redact.Matcher, text []byte) string {
	if t == nil {
		return ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return t.Add(m, text)
}

// hit notes and reports h and returns it.
func (g *Guard) hit(ctx context.Context, h Hit) error {
	if h.Place.Session != "" && g.table[h.Place.Sink].Compromises {
		g.mu.Lock()
		s := g.session(key{h.Place.Agent, h.Place.Session})
		if s.met == nil {
			s.met, s.changed = &h, true
		}
		g.mu.Unlock()
		// Even if the call that brought it about is gone. What cannot be kept now is tried
		// again after the message.
		_ = g.Save(context.WithoutCancel(ctx), h.Place.Agent, h.Place.Session)
	}
	return g.tell(ctx, h)
}

// tell reports h and returns it.
func (g *Guard) tell(ctx context.Context, h Hit) error {
	if g.report != nil {
		g.report(ctx, h)
	}
	return h
}

// Compromised returns the hit that compromised a conversation, if one has.
func (g *Guard) Compromised(agent abi.AgentID, id abi.SessionID) (Hit, bool) {
	if g == nil {
		return Hit{}, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.session(key{agent, id})
	if s.met == nil {
		return Hit{}, false
	}
	return *s.met, true
}

// Clear takes the mark from a conversation, for its operator. It gets a new canary and
// reports whether it was marked; what is kept of it is changed first.
func (g *Guard) Clear(ctx context.Context, agent abi.AgentID, id abi.SessionID) (bool, error) {
	if _, marked := g.Compromised(agent, id); !marked {
		return false, nil
	}
	if g.keeper != nil {
		if err := g.keeper.Guard(ctx, agent, id, nil, false); err != nil {
			return false, fmt.Errorf("clear the conversation: %w", err)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(key{agent, id})
	return true, nil
}

// Marked returns the hits of the conversations that are compromised.
func (g *Guard) Marked() []Hit {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Hit
	for _, s := range g.sessions {
		if s.met != nil {
			out = append(out, *s.met)
		}
	}
	slices.SortFunc(out, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(a.Place.Agent, b.Place.Agent), cmp.Compare(a.Place.Session, b.Place.Session))
	})
	return out
}

// Redact returns text with known secrets replaced, for what is shown or stored outside
// of a conversation: logs, audit records, cards. It reports nothing, because reports end
// there.
func (g *Guard) Redact(text string) string {
	if g == nil {
		return text
	}
	return g.known().RedactString(text)
}

// RedactJSON is Redact of a document, which stays one; an error if it cannot be shown.
func (g *Guard) RedactJSON(doc []byte) ([]byte, error) {
	if g == nil {
		return doc, nil
	}
	return g.known().RedactJSON(doc)
}

// Find returns the name of a known secret, or CanaryName for the canary of any
// conversation, that text holds, "" if none: what a memory refuses.
func (g *Guard) Find(text string) string {
	if g == nil {
		return ""
	}
	if name := g.known().Find([]byte(text)); name != "" {
		return name
	}
	g.mu.Lock()
	var canaries []*redact.Matcher
	for _, s := range g.sessions {
		if s.matcher != nil {
			canaries = append(canaries, s.matcher)
		}
	}
	g.mu.Unlock()
	for _, m := range canaries {
		if name := m.Find([]byte(text)); name != "" {
			return name
		}
	}
	return ""
}
