package artifact

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Annotations that cosign puts on a signature. They are hints: nothing here reads them.
const (
	annotationContent   = "dev.sigstore.bundle.content"
	annotationPredicate = "dev.sigstore.bundle.predicateType"
)

// signatures reads the candidates for a signature of d.
func signatures(ctx context.Context, src source, d ocispec.Descriptor, o Options) (found [][]byte, skipped []error, err error) {
	if o.Signature != "" {
		named := ocispec.Descriptor{MediaType: MediaSignature, Digest: digest.Digest(o.Signature)}
		bundle, err := readUpTo(ctx, src, named, MaxSignature)
		if err != nil {
			return nil, nil, fmt.Errorf("the signature that the index names: %w", err)
		}
		return [][]byte{bundle}, nil, nil
	}
	list, err := src.referrers(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	for i, candidate := range list {
		if i == MaxCandidates {
			skipped = append(skipped, refuse(ReasonSize, "more than %d manifests claim to be its signature", MaxCandidates).
				hint("take it through an index that names the signature: glovebox registry add"))
			break
		}
		bundle, err := readReferrer(ctx, src, candidate, d.Digest)
		if err != nil {
			if ctx.Err() != nil {
				return nil, nil, err
			}
			skipped = append(skipped, err)
			continue
		}
		found = append(found, bundle)
	}
	return found, skipped, nil
}

// readReferrer reads the bundle of one manifest that claims to be a signature.
func readReferrer(ctx context.Context, src source, d ocispec.Descriptor, subject digest.Digest) ([]byte, error) {
	if d.MediaType != MediaManifest {
		return nil, refuse(ReasonMedia, "referrer %s has the media type %q", d.Digest, d.MediaType)
	}
	raw, err := read(ctx, src, d, MaxSignature)
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	if err := decode(raw, &m); err != nil {
		return nil, refuse(ReasonManifest, "referrer %s cannot be read", d.Digest).because(err)
	}
	switch {
	case m.Subject == nil || m.Subject.Digest != subject:
		return nil, refuse(ReasonManifest, "referrer %s is about another artifact", d.Digest)
	case len(m.Layers) != 1 || m.Layers[0].MediaType != MediaSignature:
		return nil, refuse(ReasonMedia, "referrer %s does not hold exactly one %s", d.Digest, MediaSignature)
	}
	return read(ctx, src, m.Layers[0], MaxSignature)
}

// referrer is a signature as OCI keeps it, in the shape of cosign's.
type referrer struct {
	manifest Blob
	blobs    []Blob // the config and the bundle
}

func (a *Artifact) referrer(bundle []byte) (referrer, error) {
	if len(bundle) == 0 || len(bundle) > MaxSignature {
		return referrer{}, refuse(ReasonSize, "the signature has %d bytes: want 1 to %d", len(bundle), MaxSignature)
	}
	subject := a.descriptor()
	_, predicate := Claims(bundle)
	empty, layer := blobOf(ocispec.MediaTypeEmptyJSON, []byte("{}")), blobOf(MediaSignature, bundle)
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: MediaManifest, ArtifactType: MediaSignature,
		Config: empty.descriptor(), Layers: []ocispec.Descriptor{layer.descriptor()}, Subject: &subject,
		Annotations: map[string]string{annotationContent: "dsse-envelope", annotationPredicate: predicate},
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return referrer{}, fmt.Errorf("write the manifest of the signature: %w", err)
	}
	return referrer{manifest: blobOf(MediaManifest, raw), blobs: []Blob{empty, layer}}, nil
}

// Claims returns what a bundle says that it is about, and its predicate type; both are
// "" where it says nothing. Nobody has verified that: it tells an author that a signature
// is an old one, and other tools what they may look for.
func Claims(bundle []byte) (about abi.Digest, predicate string) {
	var b struct {
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	var statement struct {
		PredicateType string `json:"predicateType"`
		Subject       []struct {
			Digest struct {
				SHA256 string `json:"sha256"`
			} `json:"digest"`
		} `json:"subject"`
	}
	if decode(bundle, &b) != nil || decode(b.Envelope.Payload, &statement) != nil {
		return "", ""
	}
	if len(statement.Subject) == 1 {
		about = abi.Digest("sha256:" + statement.Subject[0].Digest.SHA256)
	}
	return about, statement.PredicateType
}

func (r referrer) descriptor(subject abi.Digest) ocispec.Descriptor {
	d := r.manifest.descriptor()
	d.ArtifactType = MediaSignature
	d.Annotations = map[string]string{annotationSubject: string(subject)}
	return d
}
