package packages

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/glovebox-dev/glovebox/mcp/source"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// Prover verifies where a package was built: a *signature.ProvenanceVerifier.
type Prover interface {
	Verify(bundle []byte, want signature.Package) (*signature.Origin, error)
}

// maxProofs bounds the attestations of one version.
const maxProofs = 16

// attestation is one statement about a version, as the registry hands it out.
type attestation struct {
	Predicate string          `json:"predicateType"`
	Bundle    json.RawMessage `json:"bundle"`
}

// origin verifies where the archive of a package was built. nil is: the registry has no
// provenance of it. Every provenance that there is must hold, and all name one origin.
func (s *Store) origin(ctx context.Context, r registry, p Resolved) (*Origin, error) {
	list, err := r.attestations(ctx, p.Name, p.Version)
	if err != nil {
		return nil, err
	}
	if len(list) > maxProofs {
		return nil, refuse(reason.Oversize, "", "%s has more than %d attestations", p, maxProofs)
	}
	hash, err := sum(p.Integrity)
	if err != nil {
		return nil, err
	}
	var origin *Origin
	for _, a := range list {
		if a.Predicate != signature.PredicateSLSA02 && a.Predicate != signature.PredicateSLSA1 {
			continue // such as the registry's own, which says nothing of who built it
		}
		found, err := s.cfg.Prover.Verify(a.Bundle, signature.Package{
			PURL: source.Package{Registry: source.NPM, Name: p.Name, Version: p.Version}.PURL(), SHA512: hash, FirstUse: true,
		})
		if err != nil {
			return nil, &reason.Refusal{Reason: reason.Provenance, What: fmt.Sprintf("the provenance of %s does not hold", p), Fix: "npm view " + p.String() + " dist.attestations", Err: err}
		}
		now := Origin{found.Repository, found.Workflow}
		if origin != nil && *origin != now {
			return nil, refuse(reason.Provenance, "", "%s has provenances of %s and of %s", p, origin.Repository, now.Repository)
		}
		origin = &now
	}
	if claimed := string(p.dist); origin == nil && claimed != "" && claimed != "null" {
		return nil, refuse(reason.Provenance, "", "the registry says that %s has attestations, and hands no provenance out", p)
	}
	return origin, nil
}
