package signature

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/verify"
)

// githubIssuer is who vouches for workflows of GitHub.
const githubIssuer = "https://token.actions.githubusercontent.com"

// Predicate types of a package's provenance.
const (
	PredicateSLSA02 = "https://slsa.dev/provenance/v0.2"
	PredicateSLSA1  = "https://slsa.dev/provenance/v1"
)

// Package is what a provenance must be of.
type Package struct {
	PURL       string            // pkg:npm/NAME@VERSION, as npm writes it
	SHA512     [sha512.Size]byte // of the tarball: the lockfile's integrity
	Repository string            // https://github.com/OWNER/NAME; "" only with FirstUse
	Workflow   string            // .github/workflows/FILE in it; "" for any
	FirstUse   bool              // admit any repository on GitHub, so that it can be recorded
}

// Origin is where a package was built: record it at the first use, and demand it of
// each later version.
type Origin struct {
	Repository string // https://github.com/OWNER/NAME
	Workflow   string // .github/workflows/FILE
	Predicate  string
}

// ProvenanceVerifier verifies the attestations of npm packages that GitHub's hosted
// runners built. It is immutable and safe for concurrent use.
type ProvenanceVerifier struct{ *authority }

// NewProvenanceVerifier builds one on a root of class PublicGood.
func NewProvenanceVerifier(r Root) (*ProvenanceVerifier, error) {
	if r.Class != PublicGood {
		return nil, fmt.Errorf("provenance: %w: %q", errClass, string(r.Class))
	}
	tr, err := r.parse()
	if err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	a, err := newAuthority(r.Class, tr)
	if err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	return &ProvenanceVerifier{a}, nil
}

var (
	repositoryRE = regexp.MustCompile(`^https://github\.com/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$`)
	workflowRE   = regexp.MustCompile(`^\.github/workflows/[A-Za-z0-9_.-]+$`)
)

// Verify checks the attestation of a package. Its error is a *Refusal, or says that
// want is malformed.
func (v *ProvenanceVerifier) Verify(raw []byte, want Package) (*Origin, error) {
	id, err := want.identity()
	if err != nil {
		return nil, err
	}
	m, err := id.matcher()
	if err != nil {
		return nil, err
	}
	refuse := func(r Reason, err error) error { return want.refuse(r, err) }
	b, reason, err := load(raw)
	switch {
	case err != nil:
		return nil, refuse(reason, err)
	case b.GetDsseEnvelope() == nil:
		return nil, refuse(ReasonKind, errors.New("no statement"))
	}
	res, reason, err := v.check(b, "sha512", want.SHA512[:], verify.WithCertificateIdentity(m))
	if err != nil {
		return nil, refuse(reason, err)
	}
	if p := res.Statement.GetPredicateType(); p != PredicateSLSA02 && p != PredicateSLSA1 {
		return nil, refuse(ReasonPredicate, nil)
	}
	// A good attestation of another version is the downgrade.
	if s := res.Statement.GetSubject(); len(s) != 1 || s[0].GetName() != want.PURL || s[0].GetDigest()["sha512"] != hex.EncodeToString(want.SHA512[:]) {
		return nil, refuse(ReasonDigest, nil)
	}
	cert := res.Signature.Certificate
	path, ok := strings.CutPrefix(cert.SubjectAlternativeName, cert.SourceRepositoryURI+"/")
	workflow, _, _ := strings.Cut(path, "@")
	if !ok || !repositoryRE.MatchString(cert.SourceRepositoryURI) || !workflowRE.MatchString(workflow) {
		return nil, refuse(ReasonIdentity, errors.New("the workflow is not of the source repository"))
	}
	return &Origin{Repository: cert.SourceRepositoryURI, Workflow: workflow, Predicate: res.Statement.GetPredicateType()}, nil
}

// identity returns who must have built the package.
func (p Package) identity() (*Identity, error) {
	if !strings.HasPrefix(p.PURL, "pkg:npm/") || strings.LastIndex(p.PURL, "@") <= len("pkg:npm/") {
		return nil, fmt.Errorf("provenance: %q is not pkg:npm/NAME@VERSION", p.PURL)
	}
	repository, workflow := `https://github\.com/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+`, `\.github/workflows/[A-Za-z0-9_.-]+`
	switch {
	case (p.Repository == "") != p.FirstUse:
		return nil, fmt.Errorf("provenance of %s: want a repository, or first use", p.PURL)
	case p.Repository != "" && !repositoryRE.MatchString(p.Repository):
		return nil, fmt.Errorf("provenance of %s: %q is not https://github.com/OWNER/NAME", p.PURL, p.Repository)
	case p.Workflow != "" && !workflowRE.MatchString(p.Workflow):
		return nil, fmt.Errorf("provenance of %s: %q is not .github/workflows/FILE", p.PURL, p.Workflow)
	}
	if p.Repository != "" {
		repository = regexp.QuoteMeta(p.Repository)
	}
	if p.Workflow != "" {
		workflow = regexp.QuoteMeta(p.Workflow)
	}
	return &Identity{
		Issuer: githubIssuer, SANPattern: repository + "/" + workflow + `@refs/(heads|tags)/.+`,
		SourceRepository: p.Repository, RunnerEnvironment: "github-hosted",
	}, nil
}

func (p Package) refuse(r Reason, err error) *Refusal {
	why, _ := r.text()
	return &Refusal{Reason: r, What: "package " + p.PURL + " is refused", Why: why, Fix: "npm view " + strings.TrimPrefix(p.PURL, "pkg:npm/") + " dist.attestations", Err: err}
}
