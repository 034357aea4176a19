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

// maxOrigins bounds the list of private origins that the command line keeps.
const maxOrigins = 256

type egressFile struct {
	Schema  string       `yaml:"schema"`
	Private []abi.Origin `yaml:"private"`
}

// PrivateOrigins reads the private origins that the operator opened at the command
// line; a missing file is an empty list, a damaged one an error.
func (s *State) PrivateOrigins() ([]abi.Origin, error) {
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
	for _, o := range f.Private {
		if parsed, err := abi.ParseOrigin(string(o)); err != nil || parsed != o {
			return nil, fmt.Errorf("read private origins: %s: %q is not a canonical origin", path, o)
		}
	}
	return f.Private, nil
}

// SetPrivateOrigin adds origin to the list, or removes it, and reports whether that
// changed anything.
func (s *State) SetPrivateOrigin(origin abi.Origin, allowed bool) (bool, error) {
	list, err := s.PrivateOrigins()
	if err != nil {
		return false, err
	}
	at := slices.Index(list, origin)
	if (at >= 0) == allowed {
		return false, nil
	}
	if allowed {
		list = append(list, origin)
	} else {
		list = slices.Delete(list, at, at+1)
	}
	if len(list) > maxOrigins {
		return false, fmt.Errorf("allow %s: the list is full (%d origins)", origin, maxOrigins)
	}
	slices.Sort(list)
	var b strings.Builder
	b.WriteString("# Private origins that skills with a matching grant may reach.\n# Written by \"glovebox egress\"; takes effect at the next call.\n")
	fmt.Fprintf(&b, "schema: %s\nprivate:", egressSchema)
	if len(list) == 0 {
		b.WriteString(" []")
	}
	b.WriteString("\n")
	for _, o := range list {
		fmt.Fprintf(&b, "  - %q\n", string(o))
	}
	return true, WriteFile(s.EgressFile(), []byte(b.String()))
}
