package config

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// egressSchema is the schema of the file that "glovebox egress allow" writes.
const egressSchema = "glovebox/egress/v1"

// Bounds of the list of private origins that the command line keeps.
const (
	maxOrigins   = 256
	maxConsumers = 64 // skills of one origin
)

// PrivateOrigin opens one private origin to the skills that it names.
type PrivateOrigin struct {
	Origin abi.Origin `yaml:"origin,required" json:"origin"` // canonical: scheme://host[:port]
	Skills []SkillRef `yaml:"skills,required" json:"skills"` // names, or AllSkills where the operator says so
}

// Check implements the check of abi.DecodeYAML. An origin that names nobody is an
// error, not an origin for everybody.
func (p *PrivateOrigin) Check() error {
	parsed, err := abi.ParseOrigin(string(p.Origin))
	if err != nil {
		return &abi.FieldError{Path: "origin", Err: err}
	}
	p.Origin = parsed
	switch {
	case len(p.Skills) == 0:
		return &abi.FieldError{Path: "skills", Err: fmt.Errorf("%s names no skill: want those that may reach it, or [\"*\"] for any", p.Origin)}
	case len(p.Skills) > maxConsumers:
		return &abi.FieldError{Path: "skills", Err: fmt.Errorf("%d skills exceed %d", len(p.Skills), maxConsumers)}
	}
	return nil
}

// Admits reports whether skill may reach the origin, if its grant says so too.
func (p PrivateOrigin) Admits(skill abi.SkillName) bool {
	return skill != "" && (slices.Contains(p.Skills, SkillRef(skill)) || slices.Contains(p.Skills, AllSkills))
}

// OpenTo returns the origins of list that are open to skill, sorted.
func OpenTo(list []PrivateOrigin, skill abi.SkillName) []abi.Origin {
	var open []abi.Origin
	for _, p := range list {
		if p.Admits(skill) {
			open = append(open, p.Origin)
		}
	}
	slices.Sort(open)
	return slices.Compact(open)
}

type egressFile struct {
	Schema  string          `yaml:"schema"`
	Private []PrivateOrigin `yaml:"private"`
}

// PrivateOrigins reads the private origins that the operator opened at the command
// line; a missing file is an empty list, a damaged one an error.
func (s *State) PrivateOrigins() ([]PrivateOrigin, error) {
	path := s.EgressFile()
	data, err := ReadOwned(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read private origins: %w", err)
	}
	var f egressFile
	if err := abi.DecodeYAML(path, data, &f); err != nil {
		return nil, fmt.Errorf("read private origins: %w", err)
	}
	if f.Schema != egressSchema {
		return nil, fmt.Errorf("read private origins: %s: schema %q, want %q", path, f.Schema, egressSchema)
	}
	return f.Private, nil
}

// SetPrivateOrigin opens origin to skills, at least one, or closes it to them, and
// reports whether that changed anything. Closing without skills closes it to all.
func (s *State) SetPrivateOrigin(origin abi.Origin, allowed bool, skills ...SkillRef) (bool, error) {
	list, err := s.PrivateOrigins()
	if err != nil {
		return false, err
	}
	at := slices.IndexFunc(list, func(p PrivateOrigin) bool { return p.Origin == origin })
	var had []SkillRef
	if at >= 0 {
		had = list[at].Skills
		list = slices.Delete(list, at, at+1)
	}
	var has []SkillRef
	switch {
	case allowed && len(skills) == 0:
		return false, fmt.Errorf("allow %s: no skill is named", origin)
	case allowed:
		has = slices.Concat(had, skills)
	case len(skills) > 0 && slices.Contains(had, AllSkills) && !slices.Contains(skills, AllSkills):
		return false, fmt.Errorf("close %s: it is open to any skill, so it can only be closed to all", origin)
	case len(skills) > 0:
		has = slices.DeleteFunc(slices.Clone(had), func(r SkillRef) bool { return slices.Contains(skills, r) })
	}
	if slices.Contains(has, AllSkills) {
		has = []SkillRef{AllSkills}
	}
	slices.Sort(has)
	if has = slices.Compact(has); slices.Equal(has, had) {
		return false, nil
	}
	if len(has) > 0 {
		list = append(list, PrivateOrigin{origin, has})
	}
	if len(list) > maxOrigins || len(has) > maxConsumers {
		return false, fmt.Errorf("allow %s: the list is full (%d origins of %d skills)", origin, maxOrigins, maxConsumers)
	}
	return true, WriteFile(s.EgressFile(), encodeEgress(list))
}

func encodeEgress(list []PrivateOrigin) []byte {
	slices.SortFunc(list, func(a, b PrivateOrigin) int { return strings.Compare(string(a.Origin), string(b.Origin)) })
	var b strings.Builder
	b.WriteString("# Private origins, each for the skills that it names, where their grants admit it.\n# Written by \"glovebox egress\"; takes effect at the next call.\n")
	fmt.Fprintf(&b, "schema: %s\nprivate:", egressSchema)
	if len(list) == 0 {
		b.WriteString(" []")
	}
	b.WriteString("\n")
	for _, p := range list {
		fmt.Fprintf(&b, "  - {origin: %q, skills: [", string(p.Origin))
		for i, r := range p.Skills {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%q", string(r))
		}
		b.WriteString("]}\n")
	}
	return []byte(b.String())
}
