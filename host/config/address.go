package config

import (
	"fmt"
	"slices"

	"github.com/glovebox-dev/glovebox/internal/atom"
)

// Owner is what the owner of an agent is known by. The zero value: nothing.
type Owner struct {
	Identities []Address `yaml:"identities"` // own addresses: what goes there goes to the owner
}

// Address is one person's: an email address, a phone number (E.164), an account number
// or a URL.
type Address string

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Address) UnmarshalText(b []byte) error {
	seq, err := atom.Value(string(b))
	if err != nil || len(seq) != 1 || !slices.Contains([]atom.Kind{atom.Email, atom.Phone, atom.Account, atom.URL}, seq[0].Kind) {
		return fmt.Errorf("address %q: want one email address, phone number with +, account number or URL", b)
	}
	*a = Address(b)
	return nil
}

// Value returns the address as the gate compares it.
func (a Address) Value() atom.Seq {
	seq, err := atom.Value(string(a))
	if err != nil {
		return nil // UnmarshalText refused it
	}
	return seq
}
