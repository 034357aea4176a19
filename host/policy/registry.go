package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// Errors of Builder.
var (
	ErrName     = errors.New("name not allowed")
	ErrConflict = errors.New("name taken or too similar to one that is")
	ErrLower    = errors.New("an operator may raise an effect, never lower it")
	ErrSealed   = errors.New("builder has already produced its registry")
	ErrUnknown  = errors.New("tool is not registered")
)

// Entry is one tool as it was pinned at install.
type Entry struct {
	Ref        abi.ToolRef
	Digest     abi.Digest      // of the module and manifest; the same value is expected in Call.Digest
	Descriptor abi.Descriptor  // the zero value is an undeclared tool: it asks, each time
	Schema     json.RawMessage // inputSchema; only its bytes matter here
}

// pin digests everything about a tool that an approval relies on.
func (e Entry) pin() abi.Digest {
	desc, _ := json.Marshal(e.Descriptor) // words alone, which cannot fail; keys of maps are sorted
	b := fmt.Appendf(nil, "glovebox/tool/v1\n%d:%s%d:%s%d:%s%d:%s", len(e.Ref.String()), e.Ref,
		len(e.Digest), e.Digest, len(desc), desc, len(e.Schema), e.Schema)
	return abi.DigestOf(b)
}

type registered struct {
	Entry
	pin abi.Digest
}

// Builder collects tools and grants at start. The zero value is ready.
type Builder struct {
	tools  map[abi.ToolRef]registered
	folded map[string]abi.ToolRef
	grants map[grant]bool
	sealed bool
}

type grant struct {
	agent abi.AgentID
	tool  abi.ToolRef
}

// reserved skill names would look like the host's own voice on a card or in a log.
var reserved = []string{"glovebox", "host", "system", "operator", "owner", "approval", "policy", "audit", "agent", "user", "assistant"}

// Add registers a tool.
//
// # Errors
//
//   - ErrName: a malformed or reserved name, or a descriptor for another tool
//   - ErrConflict: the name is taken, or equals another after folding case,
//     separators or look-alike characters
//   - an empty or malformed digest
func (b *Builder) Add(e Entry) error {
	if b.sealed {
		return ErrSealed
	}
	if err := errors.Join(e.Ref.Skill.Check(), e.Ref.Tool.Check()); err != nil {
		return fmt.Errorf("%w: %w", ErrName, err)
	}
	if slices.Contains(reserved, string(e.Ref.Skill)) || strings.HasPrefix(string(e.Ref.Tool), "_") || strings.HasPrefix(string(e.Ref.Tool), ".") {
		return fmt.Errorf("%w: tool %q is reserved; rename the skill or tool", ErrName, e.Ref)
	}
	if e.Descriptor.Name != "" && e.Descriptor.Name != e.Ref.Tool {
		return fmt.Errorf("%w: descriptor of %q given for tool %q", ErrName, e.Descriptor.Name, e.Ref)
	}
	if _, err := abi.ParseDigest(string(e.Digest)); err != nil {
		return fmt.Errorf("tool %q: %w", e.Ref, err)
	}
	keys := foldings(e.Ref.String())
	for _, k := range keys {
		if other, taken := b.folded[k]; taken {
			return fmt.Errorf("%w: %q and %q", ErrConflict, e.Ref, other)
		}
	}
	e.Descriptor = Complete(e.Descriptor, e.Schema)
	e.Schema = slices.Clone(e.Schema)
	if b.tools == nil {
		b.tools, b.folded = map[abi.ToolRef]registered{}, map[string]abi.ToolRef{}
	}
	b.tools[e.Ref] = registered{Entry: e, pin: e.pin()}
	for _, k := range keys {
		b.folded[k] = e.Ref
	}
	return nil
}

// Raise makes the effect of a registered tool stricter, as an operator may.
func (b *Builder) Raise(ref abi.ToolRef, to abi.Effect) error {
	t, ok := b.tools[ref]
	switch {
	case b.sealed:
		return ErrSealed
	case !ok:
		return fmt.Errorf("%w: %q", ErrUnknown, ref)
	case strictness(to) < strictness(t.Descriptor.Effect):
		return fmt.Errorf("%w: %q is %s, not %s", ErrLower, ref, t.Descriptor.Effect, to)
	}
	t.Descriptor.Effect = to
	t.pin = t.Entry.pin()
	b.tools[ref] = t
	return nil
}

// Grant lets agent call the registered tool ref.
func (b *Builder) Grant(agent abi.AgentID, ref abi.ToolRef) error {
	if b.sealed {
		return ErrSealed
	}
	if _, ok := b.tools[ref]; !ok || agent == "" {
		return fmt.Errorf("%w: grant of %q to agent %q", ErrUnknown, ref, agent)
	}
	if b.grants == nil {
		b.grants = map[grant]bool{}
	}
	b.grants[grant{agent, ref}] = true
	return nil
}

// Registry ends building: the builder refuses everything afterwards.
func (b *Builder) Registry() (*Registry, error) {
	if b.sealed {
		return nil, ErrSealed
	}
	b.sealed = true
	r := &Registry{tools: b.tools, grants: b.grants}
	b.tools, b.folded, b.grants = nil, nil, nil
	return r, nil
}

// Registry is the sealed set of tools and grants. Nothing changes it; a new
// configuration is a new Registry. The zero value and nil know no tool.
type Registry struct {
	tools  map[abi.ToolRef]registered
	grants map[grant]bool
}

// Granted lists the tools that agent may call, sorted by name.
func (r *Registry) Granted(agent abi.AgentID) []abi.ToolRef {
	if r == nil {
		return nil
	}
	var refs []abi.ToolRef
	for g := range r.grants {
		if g.agent == agent {
			refs = append(refs, g.tool)
		}
	}
	slices.SortFunc(refs, func(x, y abi.ToolRef) int { return strings.Compare(x.String(), y.String()) })
	return refs
}

// Class returns the class of a tool; destructive if it is unknown.
func (r *Registry) Class(ref abi.ToolRef) abi.Class {
	if r == nil {
		return abi.ClassDestructive
	}
	return r.tools[ref].Descriptor.Effect.Class()
}

// strictness orders effects; an unknown one, the zero value, is the strictest.
func strictness(e abi.Effect) uint8 { return uint8(e) - 1 }

// foldings returns the keys under which two names count as the same to a person:
// one folds case and separators, the other also glyphs that look alike. Names are
// ASCII by abi's rule, so that no Unicode look-alike gets this far.
func foldings(name string) []string {
	separators := strings.NewReplacer("-", "_", ".", "_")
	alike := strings.NewReplacer("I", "l", "1", "l", "0", "o", "O", "o", "5", "s")
	return []string{
		"case:" + strings.ToLower(separators.Replace(name)),
		"look:" + strings.ToLower(alike.Replace(separators.Replace(name))),
	}
}
