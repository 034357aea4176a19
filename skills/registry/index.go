package registry

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// Bounds of one index.json.
const (
	MaxIndex   = 16 * abi.MiB // bytes
	MaxEntries = 10_000
)

const (
	indexFile   = "index.json"
	maxReason   = 512  // bytes
	maxIdentity = 2048 // bytes of an issuer or a subject
	maxKinds    = 16   // of capabilities
	maxGrants   = 64   // of each kind
)

// Entry is one version of one skill, as a publisher announces it.
type Entry struct {
	Name         SkillID      `json:"name"`
	Version      string       `json:"version"`        // semantic version 2.0.0
	Digest       abi.Digest   `json:"digest"`         // of the OCI image manifest, which the signature is about
	OCI          string       `json:"oci,omitempty"`  // HOST/REPOSITORY@Digest
	Path         string       `json:"path,omitempty"` // target of this registry: the packed skill
	Bundle       abi.Digest   `json:"bundle"`         // of skill.sigstore.json: fetched by digest, never searched for
	SBOM         abi.Digest   `json:"sbom,omitempty"`
	ABI          abi.Profile  `json:"abi"`
	Capabilities Capabilities `json:"capabilities"`
	Identity     Identity     `json:"identity"`
	Yanked       *Yank        `json:"yanked"` // nil: current
}

// Identity says who signs: {Issuer, SAN} of a certificate, or the hint of a Key. The
// operator's own policy decides whether that identity counts.
type Identity struct {
	Issuer string `json:"issuer,omitempty"`
	SAN    string `json:"san,omitempty"`
	Key    string `json:"key,omitempty"`
}

// Yank withdraws a version: it is not installed any more.
type Yank struct {
	Reason string `json:"reason"`
	Since  Since  `json:"since"`
}

// Capabilities are what the skill asks for, by kind, as one sorted line each.
type Capabilities map[string][]string

// CapabilitiesOf puts an author's request into the words of an index.
func CapabilitiesOf(n abi.Needs) Capabilities {
	c := Capabilities{}
	add := func(kind, line string) {
		if !slices.Contains(c[kind], line) {
			c[kind] = append(c[kind], line)
		}
	}
	for _, h := range n.HTTP {
		add("http", strings.TrimPrefix(h.String(), "http "))
	}
	for _, s := range n.Secrets {
		for _, o := range s.Only {
			add("secrets", string(s.Name)+" for "+string(o))
		}
	}
	for _, f := range n.Files {
		add("files", string(f.Access)+" "+f.Mount)
	}
	if n.KV != nil {
		add("kv", fmt.Sprintf("%d bytes", int64(n.KV.MaxBytes)))
	}
	if n.Human != nil && n.Human.Ask {
		add("human", "ask")
	}
	for _, lines := range c {
		slices.Sort(lines)
	}
	return c
}

// Match compares the entry with the manifest that was signed, which alone counts. A
// difference is a *Refusal with Mismatch.
func (e Entry) Match(m *abi.Manifest) error {
	switch {
	case m.Name != e.Name.Skill():
		return refuse(Mismatch, "the index calls it %s, the signed manifest %s", e.Name, m.Name)
	case m.Version != e.Version:
		return refuse(Mismatch, "%s: the index says version %s, the signed manifest %s", e.Name, e.Version, m.Version)
	case m.ABI != e.ABI:
		return refuse(Mismatch, "%s: the index says abi %s, the signed manifest %s", e.Name, e.ABI, m.ABI)
	case !maps.EqualFunc(CapabilitiesOf(m.Needs), e.Capabilities, slices.Equal):
		return refuse(Mismatch, "%s: the signed manifest asks for other capabilities than the index says", e.Name)
	}
	return nil
}

type index struct {
	Schema int     `json:"schema"`
	Skills []Entry `json:"skills"`
}

// UnmarshalJSON implements json.Unmarshaler by strict, as each type below.
func (x *index) UnmarshalJSON(b []byte) error { type plain index; return strict(b, (*plain)(x)) }

// UnmarshalJSON implements json.Unmarshaler.
func (e *Entry) UnmarshalJSON(b []byte) error { type plain Entry; return strict(b, (*plain)(e)) }

// UnmarshalJSON implements json.Unmarshaler.
func (i *Identity) UnmarshalJSON(b []byte) error { type plain Identity; return strict(b, (*plain)(i)) }

// UnmarshalJSON implements json.Unmarshaler.
func (y *Yank) UnmarshalJSON(b []byte) error { type plain Yank; return strict(b, (*plain)(y)) }

// DecodeIndex decodes the index.json of a publisher ("" for the registry's own) and
// refuses unknown fields, duplicate keys, two entries of one name and version, and
// names that are not the publisher's to give. The entries are sorted by name, the
// newest version first.
func DecodeIndex(data []byte, by Publisher) ([]Entry, error) {
	var x index
	if err := decode(data, MaxIndex, &x); err != nil {
		return nil, fmt.Errorf("decode index: %w", err)
	}
	if x.Schema != 1 {
		return nil, fmt.Errorf("decode index: schema %d; this build reads 1", x.Schema)
	}
	if len(x.Skills) > MaxEntries {
		return nil, fmt.Errorf("decode index: %d entries exceed the limit of %d", len(x.Skills), MaxEntries)
	}
	seen := make(map[[2]string]bool, len(x.Skills))
	for i, e := range x.Skills {
		if err := e.check(by); err != nil {
			return nil, fmt.Errorf("decode index: entry %d: %w", i, err)
		}
		if id := [2]string{string(e.Name), e.Version}; seen[id] {
			return nil, fmt.Errorf("decode index: %s %s is there twice", e.Name, e.Version)
		} else {
			seen[id] = true
		}
	}
	slices.SortFunc(x.Skills, func(a, b Entry) int {
		return cmp.Or(strings.Compare(string(a.Name), string(b.Name)), newer(a.Version, b.Version))
	})
	return x.Skills, nil
}

// check reports what is wrong with an entry that the publisher made.
func (e Entry) check(by Publisher) error {
	if err := e.Name.Check(); err != nil {
		return err
	}
	if by != "" && e.Name.Publisher() != by {
		return fmt.Errorf("publisher %s may not publish %s", by, e.Name)
	}
	if err := checkVersion(e.Version); err != nil {
		return fmt.Errorf("%s: %w", e.Name, err)
	}
	for _, d := range []struct {
		what   string
		digest abi.Digest
	}{{"digest", e.Digest}, {"bundle", e.Bundle}, {"sbom", e.SBOM}} {
		if d.what == "sbom" && d.digest == "" {
			continue
		}
		if _, err := abi.ParseDigest(string(d.digest)); err != nil {
			return fmt.Errorf("%s: %s: %w", e.Name, d.what, err)
		}
	}
	for _, err := range []error{e.checkPlace(by), e.checkABI(), e.Identity.check(), e.Capabilities.check(), e.Yanked.check()} {
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	return nil
}

// checkPlace demands a place to fetch it from, named by digest.
func (e Entry) checkPlace(by Publisher) error {
	if e.OCI == "" && e.Path == "" {
		return errors.New("neither oci nor path says where it is")
	}
	if e.OCI != "" {
		repository, digest, _ := strings.Cut(e.OCI, "@")
		if len(e.OCI) > 512 || !ociRE.MatchString(repository) || digest != string(e.Digest) {
			return fmt.Errorf("oci %q: want HOST/REPOSITORY@ and the entry's digest", clip(e.OCI))
		}
	}
	if e.Path == "" {
		return nil
	}
	if !strings.HasPrefix(e.Path, by.prefix()) {
		return fmt.Errorf("path %q is not below %s", clip(e.Path), by.prefix())
	}
	return checkTarget(e.Path)
}

func (e Entry) checkABI() error {
	switch e.ABI {
	case abi.ProfileMCPv2, abi.ProfileMCPv1, abi.ProfileRaw, abi.ProfileCommand:
		return nil
	}
	return fmt.Errorf("abi %q is none that this build knows", clip(string(e.ABI)))
}

func (i Identity) check() error {
	switch {
	case i.Key != "" && i.Issuer == "" && i.SAN == "":
		return checkLine("identity key", i.Key, 128)
	case i.Key == "" && i.Issuer != "" && i.SAN != "":
		return errors.Join(checkLine("issuer", i.Issuer, maxIdentity), checkLine("san", i.SAN, maxIdentity))
	}
	return errors.New("identity: want issuer and san, or key")
}

func (y *Yank) check() error {
	if y == nil {
		return nil
	}
	if y.Since.IsZero() {
		return errors.New("yanked: no since")
	}
	return checkLine("yanked reason", y.Reason, maxReason)
}

func (c Capabilities) check() error {
	if len(c) > maxKinds {
		return fmt.Errorf("%d kinds of capabilities exceed the limit of %d", len(c), maxKinds)
	}
	for kind, lines := range c {
		if err := checkLine("capability", kind, 32); err != nil {
			return err
		}
		if len(lines) == 0 || len(lines) > maxGrants || !slices.IsSorted(lines) {
			return fmt.Errorf("capability %s: want 1 to %d sorted lines", kind, maxGrants)
		}
		for _, line := range lines {
			if err := checkLine("capability "+kind, line, maxIdentity); err != nil {
				return err
			}
		}
	}
	return nil
}
