// Package label says who could have written some bytes and who may see them. Labels
// are set by the host at the source and only ever join: the zero value is the least
// trusted and most private one.
package label

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Integrity says who could have written the bytes. The zero value is the lowest.
type Integrity uint8

// The levels of integrity.
const (
	Tainted Integrity = iota // a stranger
	Peer                     // a known peer, identity verified
	Owner                    // the agent's owner or operator
)

// Principal is someone who may see bytes: an immutable identity such as
// "email:ana@example.org". The agent's owner is the principal "owner".
type Principal string

// OwnerPrincipal stands for the agent's owner in a set of readers.
const OwnerPrincipal Principal = "owner"

// Host returns the principal of a server on the web by its host and, where it is not
// the default, its port: whoever runs it sees what is sent to it.
func Host(hostport string) Principal { return Principal("host:" + hostport) }

// Readers is the set of principals who may see some bytes. The zero value is the
// owner alone; Public is everybody.
type Readers struct {
	public bool
	others string // sorted principals besides the owner, one per line
}

// Public returns the readers of public bytes: everybody.
func Public() Readers { return Readers{public: true} }

// ReadBy returns the owner and ps.
func ReadBy(ps ...Principal) Readers {
	names := make([]string, 0, len(ps))
	for _, p := range ps {
		if p != OwnerPrincipal && p != "" && !strings.Contains(string(p), "\n") {
			names = append(names, string(p))
		}
	}
	slices.Sort(names)
	return Readers{others: strings.Join(slices.Compact(names), "\n")}
}

// IsPublic reports whether everybody may see the bytes.
func (r Readers) IsPublic() bool { return r.public }

// Contains reports whether p may see the bytes.
func (r Readers) Contains(p Principal) bool {
	if r.public || p == OwnerPrincipal {
		return true
	}
	return p != "" && slices.Contains(r.list(), string(p))
}

// List returns the principals besides the owner, sorted; nil for public and for the
// owner alone.
func (r Readers) List() []Principal {
	var ps []Principal
	for _, s := range r.list() {
		ps = append(ps, Principal(s))
	}
	return ps
}

// With returns r and ps.
func (r Readers) With(ps ...Principal) Readers {
	if r.public || len(ps) == 0 {
		return r
	}
	return ReadBy(append(r.List(), ps...)...)
}

func (r Readers) list() []string {
	if r.others == "" {
		return nil
	}
	return strings.Split(r.others, "\n")
}

func (r Readers) intersect(s Readers) Readers {
	switch {
	case r.public:
		return s
	case s.public:
		return r
	}
	var both []string
	for _, p := range r.list() {
		if slices.Contains(s.list(), p) {
			both = append(both, p)
		}
	}
	return Readers{others: strings.Join(both, "\n")}
}

// Label is integrity and readers. It is comparable; the zero value, which a missing
// or malformed label reads as, is (Tainted, {owner}).
type Label struct {
	Integrity Integrity
	Readers   Readers
}

// Trusted is the unit of Join: the operator's own configuration.
func Trusted() Label { return Label{Owner, Public()} }

// Join returns the label of bytes that came from both: the lower integrity, the
// readers of both.
func (l Label) Join(m Label) Label {
	return Label{min(l.Integrity, m.Integrity, Owner), l.Readers.intersect(m.Readers)}
}

// AtMost reports whether l is as low as m or lower: joining m changes nothing below l.
func (l Label) AtMost(m Label) bool { return l.Join(m) == l }

// String returns a word for people: "owner, public" or "tainted, owner+email:a@b".
func (l Label) String() string {
	readers := "public"
	if !l.Readers.public {
		readers = strings.Join(append([]string{string(OwnerPrincipal)}, l.Readers.list()...), "+")
	}
	return l.Integrity.String() + ", " + readers
}

// String returns the level's name.
func (i Integrity) String() string {
	switch i {
	case Owner:
		return "owner"
	case Peer:
		return "peer"
	case Tainted:
	}
	return "tainted"
}

type wire struct {
	Integrity string      `json:"integrity"`
	Public    bool        `json:"public,omitempty"`
	Readers   []Principal `json:"readers,omitempty"`
}

// MarshalJSON writes the form that is stored beside bytes.
func (l Label) MarshalJSON() ([]byte, error) {
	return json.Marshal(wire{l.Integrity.String(), l.Readers.public, l.Readers.List()})
}

// UnmarshalJSON reads what MarshalJSON wrote. An unknown level is an error, and
// leaves the zero label.
func (l *Label) UnmarshalJSON(b []byte) error {
	*l = Label{}
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	for _, i := range []Integrity{Tainted, Peer, Owner} {
		if i.String() == w.Integrity {
			readers := ReadBy(w.Readers...)
			if w.Public {
				readers = Public()
			}
			*l = Label{i, readers}
			return nil
		}
	}
	return fmt.Errorf("label: unknown integrity %q", w.Integrity)
}
