package config

import (
	"fmt"

	"github.com/glovebox-dev/glovebox/abi"
)

// Confirm says which irreversible calls ask. The empty value is ConfirmDestructive.
type Confirm string

// The settings of confirm.
const (
	ConfirmDestructive Confirm = "destructive" // each, whoever named its values
	ConfirmRules       Confirm = "rules"       // those that the gate's rules do not admit
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Confirm) UnmarshalText(b []byte) error {
	switch Confirm(b) {
	case ConfirmDestructive, ConfirmRules:
		*c = Confirm(b)
		return nil
	}
	return fmt.Errorf("confirm %q: want destructive or rules", b)
}

// Readers says to whom private content may flow unasked, once strangers' text is in
// the conversation. The empty value is ReadersMandated.
type Readers string

// The settings of readers.
const (
	ReadersMandated Readers = "mandated" // to whom the owner named, from the sources of the mandate
	ReadersNamed    Readers = "named"    // to whom the owner named
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Readers) UnmarshalText(b []byte) error {
	switch Readers(b) {
	case ReadersMandated, ReadersNamed:
		*r = Readers(b)
		return nil
	}
	return fmt.Errorf("readers %q: want mandated or named", b)
}

// ToolRef is the name of one tool, SKILL.TOOL.
type ToolRef abi.ToolRef

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *ToolRef) UnmarshalText(b []byte) error {
	ref, err := abi.ParseToolRef(string(b))
	if err != nil {
		return fmt.Errorf("tool %q: want SKILL.TOOL", b)
	}
	*t = ToolRef(ref)
	return nil
}
