package abi

import (
	"encoding/json"
	"fmt"
)

// Effect says what a tool does to the world. The zero value is the strictest.
type Effect uint8

// The effects, and what each may do.
const (
	EffectUnknown      Effect = iota // not declared: treated as irreversible
	EffectRead                       // observes; nobody else can see that it ran
	EffectLocal                      // reversible, visible only in the agent's own workspace
	EffectEgress                     // bytes leave to someone
	EffectIrreversible               // money, deletion, credentials, permissions, processes
)

// Role says what an argument decides. The zero value is the strictest.
type Role uint8

// The roles of arguments.
const (
	RoleUnknown Role = iota // not declared: treated as control
	RoleInert               // cannot matter to safety: page size, sort order
	RoleContent             // payload: body, title, file bytes
	RoleControl             // who, what, where, how much
)

// Class is the word that people see for an effect. The zero value is the strictest.
type Class uint8

// The classes and their disposition.
const (
	ClassDestructive Class = iota // asks a human, each time
	ClassRead                     // runs
	ClassMutate                   // runs, and is logged as a change
)

// Class returns the class that people see for e: unknown is destructive.
func (e Effect) Class() Class {
	switch e {
	case EffectRead:
		return ClassRead
	case EffectLocal, EffectEgress:
		return ClassMutate
	case EffectUnknown, EffectIrreversible:
		return ClassDestructive
	}
	return ClassDestructive
}

// String returns the manifest's word for e.
func (e Effect) String() string {
	switch e {
	case EffectRead:
		return "read"
	case EffectLocal:
		return "local"
	case EffectEgress:
		return "egress"
	case EffectIrreversible:
		return "irreversible"
	case EffectUnknown:
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler.
func (e Effect) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; only declared words are accepted.
func (e *Effect) UnmarshalText(b []byte) error {
	for _, v := range []Effect{EffectRead, EffectLocal, EffectEgress, EffectIrreversible} {
		if v.String() == string(b) {
			*e = v
			return nil
		}
	}
	return fmt.Errorf("effect %q: want read, local, egress or irreversible", b)
}

// String returns the manifest's word for r.
func (r Role) String() string {
	switch r {
	case RoleInert:
		return "inert"
	case RoleContent:
		return "content"
	case RoleControl, RoleUnknown:
	}
	return "control"
}

// MarshalText implements encoding.TextMarshaler.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; only declared words are accepted.
func (r *Role) UnmarshalText(b []byte) error {
	for _, v := range []Role{RoleInert, RoleContent, RoleControl} {
		if v.String() == string(b) {
			*r = v
			return nil
		}
	}
	return fmt.Errorf("argument role %q: want inert, content or control", b)
}

// String returns the word that people see.
func (c Class) String() string {
	switch c {
	case ClassRead:
		return "read"
	case ClassMutate:
		return "mutate"
	case ClassDestructive:
	}
	return "destructive"
}

// MarshalText implements encoding.TextMarshaler.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Descriptor tells the gate what a call of one tool means. It is data, covered by
// the signature of the skill; an operator may raise it and nobody may lower it.
type Descriptor struct {
	Name       ToolName        `yaml:"name,required" json:"name"`
	Effect     Effect          `yaml:"effect" json:"effect,omitzero"`
	Args       map[string]Role `yaml:"args" json:"args,omitempty"`             // an argument that is not listed is control
	Recipients []string        `yaml:"recipients" json:"recipients,omitempty"` // JSON Pointers into the arguments that name who receives bytes; host(POINTER) is the host of a URL
	Method     string          `yaml:"-" json:"method,omitempty"`              // set by the host: GET when all that the tool can do with its URL is fetch it

	// Defaults are those that the tool's schema declares for its arguments, null where it
	// declares none. Set by the host.
	Defaults map[string]json.RawMessage `yaml:"-" json:"defaults,omitempty"`
	// Fields are the names that the schema fixes for the properties of objects, sorted: any
	// other name in an argument is a value. Set by the host.
	Fields []string `yaml:"-" json:"fields,omitempty"`
}

// Role returns the role of the argument name; undeclared means control.
func (d Descriptor) Role(name string) Role {
	if r, ok := d.Args[name]; ok && r != RoleUnknown {
		return r
	}
	return RoleControl
}
