package registry

import (
	"errors"
	"fmt"

	"github.com/glovebox-dev/glovebox/abi"
)

// Bounds of revocations.json.
const (
	MaxRevocations     = 10_000 // entries, lifted ones included
	maxRevocationsFile = 4 * abi.MiB
)

const revocationsFile = "revocations.json"

// Subject is what a revocation is about: exactly one of a digest (of an OCI image
// manifest or of skill.manifest.json), the hint of a key, and an identity.
type Subject struct {
	Digest   abi.Digest `json:"digest,omitempty"`
	Key      string     `json:"key,omitempty"`
	Identity *Identity  `json:"identity,omitempty"`
}

// Revocation says that something must not run any more, whenever it was signed. It
// holds until a later signed list names the same subject under "lifted": leaving it
// out does not bring anything back.
type Revocation struct {
	Subject
	Reason   string `json:"reason"`
	Since    Since  `json:"since"`
	Registry Name   `json:"registry"` // who says so; set by the client
}

// Covers reports whether the revocation is about a skill with one of the digests, or
// about whoever signed it.
func (s Subject) Covers(by Identity, digests ...abi.Digest) bool {
	for _, d := range digests {
		if s.Digest != "" && s.Digest == d {
			return true
		}
	}
	return s.Key != "" && s.Key == by.Key || s.Identity != nil && *s.Identity == by && by.Issuer != ""
}

// id is the subject as one text.
func (s Subject) id() string {
	if s.Identity != nil {
		return "identity\x00" + s.Identity.Issuer + "\x00" + s.Identity.SAN
	}
	return string(s.Digest) + "\x00" + s.Key
}

func (s Subject) check() error {
	n := 0
	if s.Digest != "" {
		n++
		if _, err := abi.ParseDigest(string(s.Digest)); err != nil {
			return err
		}
	}
	if s.Key != "" {
		n++
		if err := checkLine("key", s.Key, 128); err != nil {
			return err
		}
	}
	if s.Identity != nil {
		n++
		if err := s.Identity.check(); err != nil || s.Identity.Key != "" {
			return errors.Join(errors.New("identity: want issuer and san"), err)
		}
	}
	if n != 1 {
		return errors.New("want exactly one of digest, key and identity")
	}
	return nil
}

// revocation is a Revocation in the file: without the registry, which the file may not
// choose.
type revocation struct {
	Digest   abi.Digest `json:"digest,omitempty"`
	Key      string     `json:"key,omitempty"`
	Identity *Identity  `json:"identity,omitempty"`
	Reason   string     `json:"reason"`
	Since    Since      `json:"since"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *revocation) UnmarshalJSON(b []byte) error {
	type plain revocation
	return strict(b, (*plain)(r))
}

func (r revocation) public() Revocation {
	return Revocation{Subject: Subject{r.Digest, r.Key, r.Identity}, Reason: r.Reason, Since: r.Since}
}

// revocations is revocations.json.
type revocations struct {
	Schema  int          `json:"schema"`
	Revoked []revocation `json:"revoked"`
	Lifted  []revocation `json:"lifted,omitempty"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *revocations) UnmarshalJSON(b []byte) error {
	type plain revocations
	return strict(b, (*plain)(l))
}

// DecodeRevocations decodes revocations.json strictly. A subject stands in it once, in
// one of the two lists.
func DecodeRevocations(data []byte) (revoked, lifted []Revocation, err error) {
	l, err := decodeRevocations(data)
	if err != nil {
		return nil, nil, fmt.Errorf("decode revocations: %w", err)
	}
	for _, r := range l.Revoked {
		revoked = append(revoked, r.public())
	}
	for _, r := range l.Lifted {
		lifted = append(lifted, r.public())
	}
	return revoked, lifted, nil
}

func decodeRevocations(data []byte) (*revocations, error) {
	var l revocations
	if err := decode(data, maxRevocationsFile, &l); err != nil {
		return nil, err
	}
	if l.Schema != 1 {
		return nil, fmt.Errorf("schema %d; this build reads 1", l.Schema)
	}
	if n := len(l.Revoked) + len(l.Lifted); n > MaxRevocations {
		return nil, fmt.Errorf("%d entries exceed the limit of %d", n, MaxRevocations)
	}
	seen := map[string]bool{}
	for _, list := range [][]revocation{l.Revoked, l.Lifted} {
		for i, r := range list {
			s := r.public().Subject
			if err := s.check(); err != nil {
				return nil, fmt.Errorf("entry %d: %w", i, err)
			}
			if seen[s.id()] {
				return nil, fmt.Errorf("entry %d: its subject is there twice", i)
			}
			seen[s.id()] = true
			if r.Since.IsZero() {
				return nil, fmt.Errorf("entry %d: no since", i)
			}
			if err := checkLine("reason", r.Reason, maxReason); err != nil {
				return nil, fmt.Errorf("entry %d: %w", i, err)
			}
		}
	}
	return &l, nil
}
