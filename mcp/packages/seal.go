package packages

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/mcp/source"
)

// SchemaSeal is the value of the key schema of the seals that this build reads.
const SchemaSeal = "glovebox/server/v1"

// Runtimes of a server.
const (
	RuntimeNode   = "node"   // Entry is a script for node
	RuntimeBinary = "binary" // Entry is a program
)

// Seal says what lies in the folder of a server. The digest of its text is the pin.
type Seal struct {
	Schema   string          `json:"schema"`
	Package  *source.Package `json:"package,omitempty"` // nil: a program of the operator's
	Runtime  string          `json:"runtime"`
	Entry    string          `json:"entry"` // file, below the folder of the files
	Origin   *Origin         `json:"origin,omitempty"`
	Tree     abi.Digest      `json:"tree"`               // of all files
	Packages int             `json:"packages"`           // that advisories were asked about
	Unbuilt  []string        `json:"unbuilt,omitempty"`  // whose scripts wanted to run at the installation, and did not
	Findings []string        `json:"findings,omitempty"` // advisories that the policy let pass, for the record
}

// Origin is where a package was built, as its provenance proves.
type Origin struct {
	Repository string `json:"repository"` // https://github.com/OWNER/NAME
	Workflow   string `json:"workflow"`   // .github/workflows/FILE
}

// maxSeal bounds the text of a seal, in bytes.
const maxSeal = 1 << 20

func (s *Seal) encode() ([]byte, error) {
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

// decodeSeal reads a seal strictly: what is not as it was written is none.
func decodeSeal(text []byte) (*Seal, error) {
	if len(text) > maxSeal {
		return nil, fmt.Errorf("a seal of more than %d bytes", maxSeal)
	}
	if err := abi.CheckJSON(text, 16); err != nil {
		return nil, err
	}
	var s Seal
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, err
	}
	again, err := s.encode()
	switch {
	case err != nil:
		return nil, err
	case !bytes.Equal(again, text):
		return nil, errors.New("not as it was written")
	case s.Schema != SchemaSeal:
		return nil, fmt.Errorf("schema %.80q; this build reads %s", s.Schema, SchemaSeal)
	case s.Runtime != RuntimeNode && s.Runtime != RuntimeBinary:
		return nil, fmt.Errorf("runtime %.40q", s.Runtime)
	case !fs.ValidPath(s.Entry) || s.Entry == ".":
		return nil, fmt.Errorf("entry %.80q", s.Entry)
	}
	_, err = abi.ParseDigest(string(s.Tree))
	return &s, err
}

// lockFile writes the tree as npm's package-lock.json of version 3, which every tool that
// knows lock files reads.
func lockFile(tree []Resolved) ([]byte, error) {
	type entry struct {
		Name      string `json:"name,omitempty"` // where it lies under another one
		Version   string `json:"version,omitempty"`
		URL       string `json:"resolved,omitempty"`
		Integrity string `json:"integrity,omitempty"`
	}
	entries := map[string]entry{"": {Name: "server"}}
	for _, p := range tree {
		entries[p.Path] = entry{p.Name, p.Version, p.URL, p.Integrity}
	}
	b, err := json.MarshalIndent(struct {
		Name     string           `json:"name"`
		Version  int              `json:"lockfileVersion"`
		Requires bool             `json:"requires"`
		Packages map[string]entry `json:"packages"`
	}{"server", 3, true, entries}, "", "  ")
	return append(b, '\n'), err
}
