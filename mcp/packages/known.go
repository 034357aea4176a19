package packages

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/mcp/reason"
)

// schemaKnown is the value of the key schema of the file that this build reads.
const schemaKnown = "glovebox/known-packages/v1"

// maxKnown bounds that file, in bytes.
const maxKnown = 64 << 20

// known is what earlier installations saw. It outlives them: a package that is removed and
// installed again is no new one.
type known struct {
	Schema    string            `json:"schema"`
	Integrity map[string]string `json:"integrity"` // by NAME@VERSION
	Origins   map[string]Origin `json:"origins"`   // by NAME, of those with a provenance
}

// readKnown reads the file; one that is not there knows nothing, one that cannot be read
// is an error.
func readKnown(path string) (*known, error) {
	k := &known{Schema: schemaKnown, Integrity: map[string]string{}, Origins: map[string]Origin{}}
	text, err := config.ReadOwned(path, maxKnown)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err == nil {
		err = k.decode(text)
	}
	if err != nil {
		return nil, &reason.Refusal{Reason: reason.Config, What: "it cannot be told what packages were before", Err: fmt.Errorf("%s: %w", path, err)}
	}
	return k, nil
}

func (k *known) decode(text []byte) error {
	if err := abi.CheckJSON(text, 8); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(k); err != nil {
		return err
	}
	again, err := k.encode()
	switch {
	case err != nil:
		return err
	case !bytes.Equal(again, text):
		return errors.New("not as it was written")
	case k.Integrity == nil || k.Origins == nil:
		return errors.New("something is missing")
	case k.Schema != schemaKnown:
		return fmt.Errorf("schema %.80q; this build reads %s", k.Schema, schemaKnown)
	}
	return nil
}

func (k *known) encode() ([]byte, error) {
	b, err := json.MarshalIndent(k, "", " ")
	return append(b, '\n'), err
}

// same refuses a version that had other content before.
func (k *known) same(tree []Resolved) error {
	for _, p := range tree {
		if was, ok := k.Integrity[p.String()]; ok && was != p.Integrity {
			return refuse(reason.Integrity, "stay at what is installed, and ask who publishes it", "%s has other content than before: %s, and was %s", p, p.Integrity, was)
		}
	}
	return nil
}

// regressed refuses a package that was built elsewhere before, or whose provenance went:
// that is what a stolen token for the registry looks like.
func (k *known) regressed(top Resolved, now *Origin) error {
	was, ok := k.Origins[top.Name]
	switch {
	case !ok || now != nil && *now == was:
		return nil
	case now == nil:
		return refuse(reason.Provenance, "stay at what is installed, and ask who publishes it", "%s has no provenance, and earlier versions were built by %s of %s", top, was.Workflow, was.Repository)
	}
	return refuse(reason.Provenance, "stay at what is installed, and ask who publishes it", "%s was built by %s of %s, and earlier versions by %s of %s", top, now.Workflow, now.Repository, was.Workflow, was.Repository)
}

// learn adds what was installed.
func (k *known) learn(tree []Resolved, top Resolved, origin *Origin) {
	for _, p := range tree {
		k.Integrity[p.String()] = p.Integrity
	}
	if origin != nil {
		k.Origins[top.Name] = *origin
	}
}
