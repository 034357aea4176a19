package signature

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/glovebox-dev/glovebox/abi"
	intoto "github.com/in-toto/attestation/go/v1"
)

// The predicate types that say "this is a skill of mine". An SBOM attested with the
// same key says something else.
const (
	PredicateSkill  = "https://glovebox.dev/attestation/skill/v1"
	PredicateCosign = "https://sigstore.dev/cosign/sign/v1"
)

// Types of in-toto statements, and of the payload that holds one.
const (
	statementV1  = "https://in-toto.io/Statement/v1"
	statementV01 = "https://in-toto.io/Statement/v0.1"
	payloadType  = "application/vnd.in-toto+json"
)

// Facts are what a statement of PredicateSkill says about the skill: its predicate.
type Facts struct {
	Name         abi.SkillName `json:"name"`
	Version      string        `json:"version"`
	ABI          abi.Profile   `json:"abi"`
	Manifest     abi.Digest    `json:"manifest"` // of skill.manifest.json: what a grant pins
	Capabilities abi.Needs     `json:"capabilities"`
}

// FactsOf returns the facts of a built skill; manifest is the digest of its
// skill.manifest.json.
func FactsOf(c *abi.Compiled, manifest abi.Digest) Facts {
	return Facts{
		Name: c.Manifest.Name, Version: c.Manifest.Version, ABI: c.Manifest.ABI, Manifest: manifest,
		Capabilities: c.Manifest.Needs,
	}
}

// Check compares the signed facts with those of the manifest that is about to be
// loaded. The error is a *Refusal with ReasonManifest.
func (f *Facts) Check(real Facts) error {
	field := ""
	switch {
	case f.Name != real.Name:
		field = fmt.Sprintf("name %q, signed %q", real.Name, f.Name)
	case f.Version != real.Version:
		field = fmt.Sprintf("version %q, signed %q", real.Version, f.Version)
	case f.ABI != real.ABI:
		field = fmt.Sprintf("abi %q, signed %q", real.ABI, f.ABI)
	case f.Manifest != real.Manifest:
		field = fmt.Sprintf("digest %s, signed %s", real.Manifest, f.Manifest)
	default:
		signed, err := predicate(*f)
		want, werr := predicate(real)
		if err = errors.Join(err, werr); err != nil {
			return refuse(ReasonManifest, real.Name, "", err)
		}
		if !reflect.DeepEqual(signed, want) {
			field = "the capabilities"
		}
	}
	if field == "" {
		return nil
	}
	return refuse(ReasonManifest, real.Name, field, nil)
}

// predicate returns f as a statement holds it.
func predicate(f Facts) (map[string]any, error) {
	b, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	err = json.Unmarshal(b, &m)
	return m, err
}

// facts reads a predicate. It must be spelt as predicate writes it, so that no field
// is unknown, doubled under another case or of another type.
func facts(m map[string]any) (*Facts, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	var f Facts
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, err
	}
	again, err := predicate(f)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(m, again) {
		return nil, errors.New("the predicate has fields that are not those of this version")
	}
	return &f, nil
}

// statement returns the payload to sign: canonical, so that the same skill has the
// same bytes.
func statement(subject abi.Digest, f Facts) ([]byte, error) {
	if _, err := abi.ParseDigest(string(subject)); err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Type          string           `json:"_type"`
		Subject       []map[string]any `json:"subject"`
		PredicateType string           `json:"predicateType"`
		Predicate     Facts            `json:"predicate"`
	}{
		statementV1, []map[string]any{{"name": f.Name, "digest": map[string]string{"sha256": subject.Hex()}}}, PredicateSkill, f,
	})
}

// read checks the verified statement: of a type that is read, about exactly this
// digest, and of a predicate that signs. It returns the facts of one of ours.
func read(s *intoto.Statement, subject []byte, skill abi.SkillName) (*Facts, *Refusal) {
	if t := s.GetType(); t != statementV1 && t != statementV01 {
		return nil, refuse(ReasonMalformed, skill, "not an in-toto statement", nil)
	}
	switch s.GetPredicateType() {
	case PredicateSkill, PredicateCosign:
	default:
		return nil, refuse(ReasonPredicate, skill, "", nil)
	}
	// The library accepts a digest among a thousand subjects, with a second parser.
	if len(s.GetSubject()) != 1 || !reflect.DeepEqual(s.GetSubject()[0].GetDigest(), map[string]string{"sha256": hex.EncodeToString(subject)}) {
		return nil, refuse(ReasonDigest, skill, "", nil)
	}
	if s.GetPredicateType() == PredicateCosign {
		return nil, nil
	}
	f, err := facts(s.GetPredicate().AsMap())
	if err != nil {
		return nil, refuse(ReasonMalformed, skill, "", err)
	}
	if f.Name != skill {
		return nil, refuse(ReasonManifest, skill, fmt.Sprintf("it was signed as %q", f.Name), nil)
	}
	return f, nil
}
