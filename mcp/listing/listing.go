// Package listing holds what an MCP server says about its tools: read under bounds,
// canonical, and identified by digest, so that what a person approved is what a model
// sees and anything else is a difference.
//
// A listing is text of a stranger. Nothing here believes it: annotations are pinned,
// and decide nothing.
package listing

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/internal/canon"
	"github.com/glovebox-dev/glovebox/mcp/reason"
)

// Bounds of one server's listing.
const (
	MaxTools       = 1024
	MaxPages       = 50
	MaxBytes       = 16 << 20 // of all entries
	MaxEntry       = 256 << 10
	MaxDescription = 2 << 10 // bytes that a model is shown; all of them are pinned and shown to a person
	MaxDepth       = 32      // nesting of a schema
	MaxSchema      = 64 << 10
	maxTitle       = 256
)

// Entry is one tool, exactly as it is pinned.
type Entry struct {
	Name      abi.ToolName    `json:"name"`
	Digest    abi.Digest      `json:"digest"`
	Canonical json.RawMessage `json:"entry"` // RFC 8785: name, title, description, schemas, annotations and whatever else it came with
}

// Skipped is a tool that cannot be used, which harms nobody.
type Skipped struct {
	Name string `json:"name"` // quoted
	Why  string `json:"why"`
}

// Listing is what one server offers, sorted by name. The zero value offers nothing.
type Listing struct {
	Entries []Entry   `json:"tools"`
	Skipped []Skipped `json:"skipped,omitempty"`
}

// Read reads the entries that a server listed, for the server called label; others are
// the names that tools of somebody else begin with.
//
// # Errors
//
// A *reason.Refusal: Oversize, Hidden, Duplicate, LookAlike or Foreign refuse the whole
// listing. A tool of a wrong shape is skipped.
func Read(label abi.SkillName, tools []json.RawMessage, others []abi.SkillName) (Listing, error) {
	r := reader{label: label, others: others, names: map[abi.ToolName]bool{}}
	if len(tools) > MaxTools {
		return Listing{}, r.refuse(reason.Oversize, fmt.Errorf("%d tools exceed the limit of %d", len(tools), MaxTools))
	}
	var l Listing
	size := 0
	for _, raw := range tools {
		if size += len(raw); size > MaxBytes {
			return Listing{}, r.refuse(reason.Oversize, fmt.Errorf("the tools exceed the limit of %d bytes", MaxBytes))
		}
		e, skipped, err := r.entry(raw)
		switch {
		case err != nil:
			return Listing{}, err
		case skipped != nil:
			l.Skipped = append(l.Skipped, *skipped)
		default:
			l.Entries = append(l.Entries, e)
		}
	}
	slices.SortFunc(l.Entries, func(a, b Entry) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return l, nil
}

// Digest identifies the listing: that of its entries, whatever their order was.
func (l Listing) Digest() abi.Digest {
	h := []byte("glovebox/mcp-listing/v1\n")
	for _, e := range l.Entries {
		h = fmt.Appendf(h, "%d:%s", len(e.Canonical), e.Canonical)
	}
	return abi.DigestOf(h)
}

// Find returns the entry of a tool.
func (l Listing) Find(name abi.ToolName) (Entry, bool) {
	i := slices.IndexFunc(l.Entries, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, false
	}
	return l.Entries[i], true
}

// Check reports an error if the entries are not what their digests say: they come from
// a file.
func (l Listing) Check() error {
	for _, e := range l.Entries {
		text, err := canon.JSON(e.Canonical)
		name, _ := strconv.Unquote(string(keys(e)["name"])) // it needs no escape
		if err != nil || string(text) != string(e.Canonical) || abi.DigestOf(text) != e.Digest || name != string(e.Name) || e.Name.Check() != nil {
			return fmt.Errorf("the entry of tool %q is not what was pinned", e.Name)
		}
	}
	return nil
}

// Tool returns what a model is told of the entry.
func (e Entry) Tool() (abi.Tool, error) {
	list, err := abi.DecodeTools(fmt.Appendf(nil, `{"tools":[%s]}`, e.Canonical))
	if err != nil {
		return abi.Tool{}, err
	}
	return list[0], nil
}

type reader struct {
	label   abi.SkillName
	others  []abi.SkillName
	names   map[abi.ToolName]bool
	builder policy.Builder // knows which names a person takes for one
}

func (r *reader) refuse(why reason.Reason, err error) *reason.Refusal {
	return &reason.Refusal{
		Reason: why, What: fmt.Sprintf("the tools of MCP server %q are refused", r.label), Err: err,
		Fix: fmt.Sprintf("glovebox mcp rm %s", r.label),
	}
}

// entry reads one tool: skipped for its shape, refused for what it tries.
func (r *reader) entry(raw json.RawMessage) (Entry, *Skipped, error) {
	if len(raw) > MaxEntry {
		return Entry{}, nil, r.refuse(reason.Oversize, fmt.Errorf("one tool has %d bytes, more than %d", len(raw), MaxEntry))
	}
	v, err := canon.Parse(raw, canon.Limits{Bytes: MaxEntry, Rounds: true})
	if err != nil {
		return Entry{}, &Skipped{Why: err.Error()}, nil
	}
	fields, _ := v.Any().(map[string]any)
	name, _ := fields["name"].(string)
	skip := func(err error) *Skipped { return &Skipped{Name: fmt.Sprintf("%.140q", name), Why: err.Error()} }
	if err := allSeen(v.Any()); err != nil {
		return Entry{}, nil, r.refuse(reason.Hidden, fmt.Errorf("tool %.140q has %w", name, err))
	}
	e := Entry{Name: abi.ToolName(name), Canonical: v.Canonical()}
	e.Digest = abi.DigestOf(e.Canonical)
	if err := e.Name.Check(); err != nil {
		return Entry{}, skip(err), nil
	}
	// Judged before the shape of the rest: what is skipped could come back at any time.
	if err := r.name(e); err != nil {
		return Entry{}, nil, err
	}
	tool, err := e.Tool()
	switch {
	case err != nil:
		return Entry{}, skip(err), nil
	case len(tool.InputSchema) > MaxSchema || len(tool.OutputSchema) > MaxSchema:
		return Entry{}, skip(fmt.Errorf("a schema exceeds %d bytes", MaxSchema)), nil
	}
	return e, nil, nil
}

// name judges the name of a tool among the others.
func (r *reader) name(e Entry) error {
	if r.names[e.Name] {
		return r.refuse(reason.Duplicate, fmt.Errorf("two tools are called %q", e.Name))
	}
	r.names[e.Name] = true
	for _, other := range r.others {
		if other != r.label && claims(string(e.Name), string(other)) {
			return r.refuse(reason.Foreign, fmt.Errorf("tool %q is named after %q", e.Name, other))
		}
	}
	err := r.builder.Add(policy.Entry{Ref: abi.ToolRef{Skill: r.label, Tool: e.Name}, Digest: e.Digest})
	switch {
	case errors.Is(err, policy.ErrConflict):
		return r.refuse(reason.LookAlike, err)
	case err != nil:
		return r.refuse(reason.Foreign, err)
	}
	return nil
}

// claims reports whether a tool's name begins as the tools of other do, here or in
// another host.
func claims(name, other string) bool {
	name, other = strings.ToLower(name), strings.ToLower(other)
	name = strings.TrimPrefix(name, "mcp__")
	for _, separator := range []string{".", "__", "--"} {
		if strings.HasPrefix(name, other+separator) || strings.HasPrefix(name, strings.ReplaceAll(other, "-", "_")+separator) {
			return true
		}
	}
	return name == other
}
