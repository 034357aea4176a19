package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Options say how Fetch and Publish go about it.
type Options struct {
	Client *broker.Operator // for registries and servers; nil refuses them
	Login  Login            // nil: none

	// Signature is the digest of the one signature bundle that a trusted index names.
	// It is fetched and nothing is listed: the order of a list is the registry's.
	Signature abi.Digest
	// Foreign takes an artifact that is no skill as well, its module alone.
	Foreign bool

	Unsigned bool // Publish: without a signature, for cosign to sign it in the registry
	Move     bool // Publish: let a tag name another artifact than before
}

// Login returns the user and the secret for a registry, "" for none.
type Login func(ctx context.Context, host string) (user, secret string, err error)

// Pulled is an artifact that was read from somewhere. Its bytes are those that its
// digest names; nobody has verified a signature.
type Pulled struct {
	*Artifact
	Foreign    bool     // it is no skill: Blobs holds the module alone
	Signatures [][]byte // candidates for a Sigstore bundle over Digest, at most MaxCandidates; for skills at least one
	Skipped    []error  // why other candidates are not among them
}

// MaxCandidates bounds the signatures that are looked at.
const MaxCandidates = 16

// source is a place that artifacts are read from. What it answers is judged by its
// caller.
type source interface {
	// resolve asks once what a reference names.
	resolve(ctx context.Context, r Ref) (ocispec.Descriptor, error)
	// open returns the bytes of d.
	open(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error)
	// referrers lists manifests that claim to be a signature of d, MaxCandidates and
	// one more at most.
	referrers(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error)
}

// Fetch reads the artifact that r names. The tag is resolved once, and everything is
// read by digest, bounded and hashed. The error is a *Refusal, or says what could not be
// reached.
func Fetch(ctx context.Context, r Ref, o Options) (*Pulled, error) {
	switch r.Kind {
	case Registry:
		src, err := newRemote(r, o)
		if err != nil {
			return nil, err
		}
		return pull(ctx, src, r, o)
	case Web:
		if o.Client == nil {
			return nil, noClient(r)
		}
		return pull(ctx, &layout{read: webReader(o.Client, r.Place)}, r, o)
	case Folder:
		return pull(ctx, &layout{read: folderReader(r.Place)}, r, o)
	case File:
		return fetchFile(ctx, r, o)
	}
	return nil, refuse(ReasonReference, "the reference names no place")
}

func noClient(r Ref) error { return fmt.Errorf("%s: no client was given to reach it", r) }

func pull(ctx context.Context, src source, r Ref, o Options) (*Pulled, error) {
	d, err := src.resolve(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.Digest != "" && abi.Digest(d.Digest) != r.Digest {
		return nil, refuse(ReasonPin, "%s leads to %s, and %s is pinned", r.Place, d.Digest, r.Digest).
			hint("if the new one is wanted, take it by its digest: %s", Ref{Kind: r.Kind, Place: r.Place, Digest: abi.Digest(d.Digest)})
	}
	p, err := pullManifest(ctx, src, d, o)
	if err != nil || p.Foreign {
		return p, err
	}
	p.Signatures, p.Skipped, err = signatures(ctx, src, p.descriptor(), o)
	if err != nil {
		return nil, err
	}
	if len(p.Signatures) == 0 {
		return nil, refuse(ReasonUnsigned, "%s %s has no signature", p.Name, p.Digest).because(errors.Join(p.Skipped...)).
			hint("its author signs it with: glovebox skill sign DIR && glovebox skill publish DIR %s", r)
	}
	return p, nil
}

// pullManifest reads the manifest that d describes and what it names.
func pullManifest(ctx context.Context, src source, d ocispec.Descriptor, o Options) (*Pulled, error) {
	if d.MediaType != MediaManifest {
		return nil, refuse(ReasonMedia, "%s has the media type %q: only an OCI image manifest is read", d.Digest, d.MediaType)
	}
	raw, err := read(ctx, src, d, MaxManifest)
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	if err := decode(raw, &m); err != nil {
		return nil, refuse(ReasonManifest, "the manifest %s cannot be read", d.Digest).because(err)
	}
	what, err := shapeOf(&m)
	switch {
	case err != nil:
		return nil, err
	case what == shapeSkill:
		a, err := pullSkill(ctx, src, raw, m.Layers[1])
		return &Pulled{Artifact: a}, err
	case !o.Foreign:
		return nil, refuse(ReasonMedia, "%s is a module without a skill around it", d.Digest).
			hint("take its module with: glovebox skill import")
	}
	a, err := pullModule(ctx, src, raw, &m)
	return &Pulled{Artifact: a, Foreign: true}, err
}

// pullSkill reads the compiled manifest, makes from it the only image manifest that it
// can have, and reads the rest when that is the one that was sent.
func pullSkill(ctx context.Context, src source, raw []byte, d ocispec.Descriptor) (*Artifact, error) {
	text, err := read(ctx, src, d, abi.MaxManifest)
	if err != nil {
		return nil, err
	}
	compiled, err := abi.DecodeCompiled(skills.ManifestFile, text)
	if err != nil {
		return nil, refuse(ReasonManifest, "its skill cannot be read").because(err)
	}
	a, err := plan(compiled, text)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(a.Manifest, raw) {
		return nil, refuse(ReasonManifest, "the image manifest is not the one that the files of %s have", a.Name).
			hint("its author publishes it with: glovebox skill publish DIR TARGET")
	}
	for i := 1; i < len(a.Blobs); i++ {
		blob := &a.Blobs[i]
		if blob.Name == skills.ManifestFile {
			blob.Data = text
		} else if blob.Data, err = read(ctx, src, blob.descriptor(), blob.Size); err != nil {
			return nil, fmt.Errorf("%s: %w", blob.Name, err)
		}
	}
	return a, nil
}

// pullModule reads the one module of an artifact that is no skill.
func pullModule(ctx context.Context, src source, raw []byte, m *ocispec.Manifest) (*Artifact, error) {
	if m.Config.MediaType == MediaConfig {
		text, err := read(ctx, src, m.Config, maxConfig)
		if err != nil {
			return nil, err
		}
		var config wasmConfig
		if err := decode(text, &config); err != nil {
			return nil, refuse(ReasonManifest, "its config cannot be read").because(err)
		}
		if config.OS != "wasip1" {
			return nil, refuse(ReasonMedia, "its config says os: %q: only core modules (wasip1) are loaded, not components", config.OS)
		}
	}
	i := slices.IndexFunc(m.Layers, func(l ocispec.Descriptor) bool { return l.MediaType == MediaModule })
	data, err := read(ctx, src, m.Layers[i], skills.MaxModule)
	if err != nil {
		return nil, err
	}
	return &Artifact{Manifest: raw, Digest: abi.DigestOf(raw), Blobs: []Blob{blobOf(MediaModule, data)}}, nil
}

// read returns the bytes that d names: at most limit of them, as many as it says, with
// the digest that it says.
func read(ctx context.Context, src source, d ocispec.Descriptor, limit int64) ([]byte, error) {
	if d.Size < 0 || d.Size > limit {
		return nil, refuse(ReasonSize, "%s has %d bytes: at most %d are read", d.Digest, d.Size, limit)
	}
	data, err := readUpTo(ctx, src, d, d.Size)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != d.Size {
		return nil, refuse(ReasonSize, "%s has %d bytes, and %d were announced", d.Digest, len(data), d.Size)
	}
	return data, nil
}

// readUpTo returns the bytes that d names by its digest, at most limit of them.
func readUpTo(ctx context.Context, src source, d ocispec.Descriptor, limit int64) (data []byte, err error) {
	if _, err := abi.ParseDigest(string(d.Digest)); err != nil {
		return nil, refuse(ReasonDigest, "a descriptor").because(err)
	}
	rc, err := src.open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rc.Close()) }()
	data, err = readAll(io.LimitReader(rc, limit+1), limit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.Digest, err)
	}
	if int64(len(data)) > limit {
		return nil, refuse(ReasonSize, "%s has more than the %d bytes that are read", d.Digest, limit)
	}
	if got := digest.FromBytes(data); got != d.Digest {
		return nil, refuse(ReasonDigest, "%s was asked for, and the bytes that came are %s", d.Digest, got)
	}
	return data, nil
}

// readAll reads r to its end; size is how much there should be.
func readAll(r io.Reader, size int64) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// decode reads hostile JSON.
func decode(raw []byte, v any) error {
	if err := abi.CheckJSON(raw, abi.MaxJSONDepth); err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}
