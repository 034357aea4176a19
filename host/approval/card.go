package approval

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/canon"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Card is what a person sees of an ask: complete, and made by the host from what
// would run. Every text that others wrote is in the form of Visible.
type Card struct {
	ID        ID               `json:"id"`
	State     State            `json:"state"`
	Agent     abi.AgentID      `json:"agent"`
	Session   abi.SessionID    `json:"session"`
	Requester policy.Principal `json:"requester"`
	Tool      string           `json:"tool"`
	Version   abi.Digest       `json:"version"`
	Effect    string           `json:"effect"`
	Class     string           `json:"class"`
	Rule      gate.Rule        `json:"rule"`
	Why       string           `json:"why"`
	Context   string           `json:"context"`
	About     string           `json:"about,omitempty"` // what an argument stands for, hidden characters visible
	Fields    []Field          `json:"fields"`
	Flows     []string         `json:"flows,omitempty"` // what would flow to whom
	Links     []string         `json:"links,omitempty"` // that nobody trusted named
	Asked     time.Time        `json:"asked"`
	Expires   time.Time        `json:"expires"`
	Decided   *time.Time       `json:"decided,omitempty"`
	By        policy.Principal `json:"by,omitempty"`
	Repeats   int              `json:"repeats,omitempty"` // answered from this denial
	Outcome   string           `json:"outcome,omitempty"`
	Arguments json.RawMessage  `json:"arguments,omitempty"` // canonical
	Next      []string         `json:"next,omitempty"`      // commands
	Text      string           `json:"text"`                // all of it, for a terminal
}

// Field is one value of the arguments.
type Field struct {
	Path       string   `json:"path"`
	Role       string   `json:"role"`
	Value      string   `json:"value"`                // Visible, or a JSON literal
	Unendorsed []string `json:"unendorsed,omitempty"` // why nobody trusted stands for it, and where it came from
	Notes      []string `json:"notes,omitempty"`      // what could deceive the eye

	raw string
}

// leafValue is one value of the arguments, with its place.
type leafValue struct {
	path  string
	value any
}

// raw returns the text of a string, and the JSON literal of anything else.
func (l leafValue) raw() string {
	switch v := l.value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "[]"
	case map[string]any:
		return "{}"
	}
	return "null"
}

// spelled returns the forms in which the gate writes this value.
func (l leafValue) spelled() [2]string {
	raw := l.raw()
	return [2]string{raw, fmt.Sprintf("%+q", raw)}
}

// doubts are the values that the gate asks about: argument, value, and the places in
// the list of findings.
type doubts map[[2]string][]int

func (r Request) doubts() doubts {
	d := doubts{}
	for i, f := range r.Findings {
		key := [2]string{f.Argument, f.Value}
		d[key] = append(d[key], i)
	}
	return d
}

// about returns the places of the findings about one value of an argument.
func (d doubts) about(argument string, l leafValue) []int {
	forms := l.spelled()
	return slices.Concat(d[[2]string{argument, forms[0]}], d[[2]string{argument, forms[1]}])
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// leavesOf appends the values in v in a stable order. Names that are not plain are
// quoted: they may be a model's text.
func leavesOf(out []leafValue, path string, v any) []leafValue {
	switch v := v.(type) {
	case []any:
		if len(v) == 0 {
			return append(out, leafValue{path, v})
		}
		for i, e := range v {
			out = leavesOf(out, fmt.Sprintf("%s[%d]", path, i), e)
		}
		return out
	case map[string]any:
		if len(v) == 0 {
			return append(out, leafValue{path, v})
		}
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			out = leavesOf(out, path+"."+named(name), v[name])
		}
		return out
	}
	return append(out, leafValue{path, v})
}

func named(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return Visible(name)
}

// Show returns the card of an ask.
func (s *Store) Show(ctx context.Context, id ID) (Card, error) {
	r, err := s.state(ctx, id)
	if err != nil {
		return Card{}, err
	}
	return s.card(r)
}

// Waiting returns the cards of what waits for an answer, the oldest first.
func (s *Store) Waiting(ctx context.Context) ([]Card, error) {
	if err := s.expire(ctx); err != nil {
		return nil, err
	}
	return s.cards(ctx, `WHERE state = 'pending' ORDER BY asked, rowid`)
}

// History returns the last n cards in any state, the newest first.
func (s *Store) History(ctx context.Context, n int) ([]Card, error) {
	if err := s.expire(ctx); err != nil {
		return nil, err
	}
	return s.cards(ctx, `ORDER BY asked DESC, rowid DESC LIMIT ?`, n)
}

// Asked counts the asks since a moment: the load on the people who answer.
func (s *Store) Asked(ctx context.Context, since time.Time) (n int, err error) {
	err = s.db.Read.QueryRowContext(ctx, `SELECT count(*) FROM ask WHERE asked >= ?`, since.UnixNano()).Scan(&n)
	return n, err
}

func (s *Store) cards(ctx context.Context, clause string, args ...any) ([]Card, error) {
	rows, err := s.query(ctx, s.db.Read, clause, args...)
	if err != nil {
		return nil, err
	}
	cards := make([]Card, 0, len(rows))
	for _, r := range rows {
		c, err := s.card(r)
		if err != nil {
			return nil, err
		}
		cards = append(cards, c)
	}
	return cards, nil
}

// card renders an ask. Known secrets are taken out of every text before anything else
// happens to it.
func (s *Store) card(r row) (Card, error) {
	clean := s.cfg.Redact
	if clean == nil {
		clean = func(text string) string { return text }
	}
	q := r.Request
	c := Card{
		ID: r.ID, State: r.State, Agent: q.Agent, Session: q.Session, Requester: q.Requester, Tool: q.Tool.String(), Version: q.Pin,
		Effect: effectWords(q.Effect), Class: q.Effect.Class().String(), Rule: q.Rule, Why: q.Why, Context: escape(clean(heard(q.Context))),
		Fields: []Field{}, Asked: r.Asked, Expires: q.Expires, By: r.By, Repeats: r.Repeats, Outcome: r.Outcome,
	}
	if !r.Decided.IsZero() {
		c.Decided = &r.Decided
	}
	if len(q.Args) > 0 {
		if err := c.fill(q, clean); err != nil {
			return Card{}, err
		}
		if text := string(q.Args); clean(text) == text {
			c.Arguments = q.Args
		}
	}
	if q.About != "" {
		c.About = Visible(clean(q.About))
	}
	for _, f := range q.Flows {
		c.Flows = append(c.Flows, f.Source.String()+" → "+escape(clean(string(f.To))))
	}
	for _, l := range q.Links {
		c.Links = append(c.Links, Visible(clean(l)))
	}
	if r.State == Pending {
		c.Next = c.next(q, clean)
	}
	c.Text = c.text()
	return c, nil
}

// fill makes a field of each value.
func (c *Card) fill(q Request, clean func(string) string) error {
	v, err := canon.Parse(q.Args, canon.Limits{Bytes: len(q.Args)})
	if err != nil {
		return fmt.Errorf("approval %q: %w", c.ID, err)
	}
	args, _ := v.Any().(map[string]any)
	names := make([]string, 0, len(args))
	for name := range args {
		names = append(names, name)
	}
	sort.Strings(names)
	eye := &eye{}
	seen, asked := make([]bool, len(q.Findings)), q.doubts()
	for _, name := range names {
		role := abi.Descriptor{Args: q.Roles}.Role(name)
		for _, l := range leavesOf(nil, named(clean(name)), args[name]) {
			raw := clean(l.raw())
			f := Field{Path: l.path, Role: role.String(), Value: raw, raw: raw}
			if _, isText := l.value.(string); isText {
				f.Value, f.Notes = Visible(raw), eye.notes(raw, role == abi.RoleControl)
			}
			for _, i := range asked.about(name, l) {
				seen[i] = true
				f.Unendorsed = append(f.Unendorsed, escape(clean(q.Findings[i].Why)))
			}
			c.Fields = append(c.Fields, f)
		}
	}
	for i, found := range q.Findings { // one that no value matches is shown all the same
		if !seen[i] {
			c.Fields = append(c.Fields, Field{Path: named(clean(found.Argument)), Role: "control", Value: escape(clean(found.Value)), raw: found.Value, Unendorsed: []string{escape(clean(found.Why))}})
		}
	}
	return nil
}

// heard says in words what a conversation with the label l has read.
func heard(l label.Label) string {
	who := map[label.Integrity]string{label.Owner: "your own words and what you trust", label.Peer: "text of people whom you know"}[l.Integrity]
	if who == "" {
		who = "text of strangers"
	}
	if l.Readers.IsPublic() {
		return who + ", nothing private"
	}
	text := who + ", private content of yours"
	var others []string
	for _, p := range l.Readers.List() {
		others = append(others, string(p))
	}
	if len(others) > 0 {
		text += " that " + strings.Join(others, ", ") + " may see"
	}
	return text
}

func effectWords(e abi.Effect) string {
	switch e {
	case abi.EffectRead:
		return "only reads"
	case abi.EffectLocal:
		return "changes the agent's own workspace, and can be undone"
	case abi.EffectEgress:
		return "sends data out"
	case abi.EffectIrreversible:
		return "cannot be undone"
	case abi.EffectUnknown:
	}
	return "not declared: taken for one that cannot be undone"
}

// maxEndorse is for how many arguments the card offers to endorse a value.
const maxEndorse = 8

// next lists the commands that answer, ready to be pasted: nothing in them was written
// by a model but argument names that are plain words.
func (c *Card) next(q Request, clean func(string) string) []string {
	id := string(c.ID)
	cmds := []string{"glovebox approval approve " + id, "glovebox approval deny " + id}
	var done []string
	for _, f := range q.Findings {
		if len(done) == maxEndorse {
			break
		}
		if slices.Contains(done, f.Argument) || !plainName.MatchString(f.Argument) || clean(f.Argument) != f.Argument {
			continue
		}
		done = append(done, f.Argument)
		seq, _, err := q.value(Value{Argument: f.Argument})
		if err != nil {
			continue // several values: the person names one
		}
		scope := ScopeOnce
		if standing(f.Argument, seq) == nil {
			scope = ScopeSession
		}
		cmds = append(cmds, fmt.Sprintf("glovebox approval endorse %s --argument %s --for %s", id, f.Argument, scope))
	}
	return cmds
}

// lineWidth is where long text goes on in a new line, marked as such: a terminal that
// wraps by itself would let text begin where the host's own lines begin.
const lineWidth = 96

// text renders the card for a terminal.
func (c *Card) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "approval %s (%s): agent %s wants to run %s once\n", c.ID, c.State, escape(string(c.Agent)), c.Tool)
	line := func(name, format string, args ...any) {
		block(&b, fmt.Sprintf("  %-9s ", name), fmt.Sprintf(format, args...))
	}
	line("effect", "%s (%s)", c.Effect, c.Class)
	line("why", "%s", escape(c.Why))
	line("rule", "%s", c.Rule)
	line("asked by", "%s in session %s, %s", escape(string(c.Requester)), Visible(string(c.Session)), c.Asked.UTC().Format(time.RFC3339))
	line("has read", "%s", c.Context)
	if c.About != "" {
		line("about", "%s", c.About)
	}
	if c.Version != "" {
		line("version", "%s", c.Version)
	}
	if c.State == Pending || c.State == Granted {
		line("expires", "%s, and is denied then", c.Expires.UTC().Format(time.RFC3339))
	}
	if c.Decided != nil {
		line("decided", "%s by %s", c.Decided.UTC().Format(time.RFC3339), escape(string(c.By)))
	}
	if c.Repeats > 0 {
		line("repeats", "%d, denied from memory", c.Repeats)
	}
	if c.Outcome != "" {
		line("outcome", "%s", escape(c.Outcome))
	}
	c.textFields(&b)
	section(&b, "would flow", c.Flows)
	section(&b, "links that nobody trusted named", c.Links)
	for i, command := range c.Next { // never broken: they are pasted
		if i == 0 {
			b.WriteString("next\n")
		}
		b.WriteString("  " + command + "\n")
	}
	return b.String()
}

func (c *Card) textFields(b *strings.Builder) {
	if len(c.Fields) > 0 {
		b.WriteString("arguments\n")
	}
	for _, f := range c.Fields {
		head := fmt.Sprintf("%s (%s): ", f.Path, f.Role)
		if strings.Contains(f.raw, "\n") && strings.HasPrefix(f.Value, `"`) {
			block(b, "  ", fmt.Sprintf("%s%d bytes, %d lines", head, len(f.raw), strings.Count(f.raw, "\n")+1))
			for l := range strings.Lines(f.raw) {
				block(b, "    | ", escape(l))
			}
		} else {
			block(b, "  ", head+f.Value)
		}
		for _, why := range f.Unendorsed {
			block(b, "    ! ", "not endorsed: "+why)
		}
		for _, note := range f.Notes {
			block(b, "    ! ", note)
		}
	}
}

func section(b *strings.Builder, title string, items []string) {
	if len(items) == 0 {
		return
	}
	b.WriteString(title + "\n")
	for _, it := range items {
		block(b, "  ", it)
	}
}

// block writes head and text, which holds no line end, in lines of bounded width. Each
// further line begins with a mark that no text can begin a line with.
func block(b *strings.Builder, head, text string) {
	b.WriteString(head)
	column := width(head)
	for _, r := range text {
		w := 1
		if r >= 0x1100 {
			w = 2
		}
		if column+w > lineWidth {
			b.WriteString("\n    … ")
			column = 6
		}
		b.WriteRune(r)
		column += w
	}
	b.WriteByte('\n')
}

func width(s string) int { return utf8.RuneCountInString(s) }
