package artifact

import (
	"encoding/json"
	"fmt"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of the parts of an artifact. Manifest and module are those of the CNCF
// wasm layout (https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/).
const (
	MediaManifest  = ocispec.MediaTypeImageManifest
	MediaConfig    = "application/vnd.wasm.config.v0+json"
	MediaModule    = "application/wasm"
	MediaSkill     = "application/vnd.glovebox.skill.manifest.v1+json"
	MediaSBOM      = "application/vnd.cyclonedx+json"
	MediaMarkdown  = "text/markdown"
	MediaYAML      = "application/yaml"
	MediaFile      = "application/octet-stream"
	MediaSignature = "application/vnd.dev.sigstore.bundle.v0.3+json"
)

// Names of files that mean something here.
const (
	SignatureFile = "skill.sigstore.json" // beside the files of a skill, never one of them
	skillText     = "SKILL.md"
)

// Bounds of an artifact.
const (
	MaxTotal     = 128 * abi.MiB // all files together
	MaxSignature = 1 * abi.MiB   // one signature bundle
	MaxManifest  = 4 * abi.MiB   // the image manifest, and an index
	maxConfig    = 1 * abi.MiB   // one digest of 71 bytes for each of at most 4,098 layers
)

// Artifact is a skill as OCI keeps it, whole and in memory. It is immutable.
type Artifact struct {
	Manifest []byte     // the image manifest (OCI image-spec 1.1), canonical
	Digest   abi.Digest // of Manifest: what a signature names
	Blobs    []Blob     // the config, then the layers in the order of the manifest
	Skill    abi.Digest // of skill.manifest.json: what a grant pins
	Name     abi.SkillName
	Version  string
}

// Blob is one part of an artifact.
type Blob struct {
	Name   string // of the file, slash-separated; "" for the config
	Media  string
	Digest abi.Digest
	Size   int64 // bytes
	Data   []byte
}

// Manifest makes the artifact of a bundle. Every file that skill.manifest.json lists is
// read and hashed again; one that changed gives an error that wraps skills.ErrDigest.
// Files that it does not list, the signature among them, are no part of the artifact.
func Manifest(b *skills.Bundle) (*Artifact, error) {
	text, err := b.ReadFile(skills.ManifestFile)
	if err != nil {
		return nil, err
	}
	a, err := plan(b.Manifest, text)
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(a.Blobs); i++ {
		blob := &a.Blobs[i]
		if blob.Data, err = b.ReadFile(blob.Name); err != nil {
			return nil, err
		}
		if int64(len(blob.Data)) != blob.Size {
			return nil, refuse(ReasonSize, "%s has %d bytes, and %s says %d", blob.Name, len(blob.Data), skills.ManifestFile, blob.Size).
				because(skills.ErrDigest).hint("glovebox skill build %s", b.Dir)
		}
	}
	return a, nil
}

// plan makes the artifact that follows from the compiled manifest c, whose text is
// given. Of its blobs only the config has data; the rest is known by digest and size.
func plan(c *abi.Compiled, text []byte) (*Artifact, error) {
	skill := abi.DigestOf(text)
	files := filesOf(c, abi.File{Name: skills.ManifestFile, Digest: skill, Size: int64(len(text))})
	if err := checkFiles(files); err != nil {
		return nil, err
	}
	config := wasmConfig{Created: "1970-01-01T00:00:00Z", Architecture: "wasm", OS: "wasip1"}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: MediaManifest}
	blobs := make([]Blob, 1, 1+len(files))
	for _, f := range files {
		layer := Blob{Name: f.Name, Media: mediaOf(f.Name, c), Digest: f.Digest, Size: f.Size}
		blobs = append(blobs, layer)
		config.Layers = append(config.Layers, f.Digest)
		m.Layers = append(m.Layers, layer.descriptor())
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("write the config: %w", err)
	}
	blobs[0] = blobOf(MediaConfig, raw)
	m.Config = blobs[0].descriptor()
	if raw, err = json.Marshal(m); err != nil {
		return nil, fmt.Errorf("write the image manifest: %w", err)
	}
	return &Artifact{
		Manifest: raw, Digest: abi.DigestOf(raw), Blobs: blobs,
		Skill: skill, Name: c.Manifest.Name, Version: c.Manifest.Version,
	}, nil
}

func mediaOf(name string, c *abi.Compiled) string {
	switch name {
	case c.Manifest.Module:
		return MediaModule
	case skills.ManifestFile:
		return MediaSkill
	case skills.SourceFile:
		return MediaYAML
	case skillText:
		return MediaMarkdown
	case skills.SBOMFile:
		return MediaSBOM
	}
	return MediaFile
}

// wasmConfig is the config of the CNCF wasm layout. Its clients want a time, so it is
// always the same one.
type wasmConfig struct {
	Created      string       `json:"created"`
	Architecture string       `json:"architecture"`
	OS           string       `json:"os"`
	Layers       []abi.Digest `json:"layerDigests"`
}

func blobOf(media string, data []byte) Blob {
	return Blob{Media: media, Digest: abi.DigestOf(data), Size: int64(len(data)), Data: data}
}

func (b Blob) descriptor() ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: b.Media, Digest: digest.Digest(b.Digest), Size: b.Size}
	if b.Name != "" {
		d.Annotations = map[string]string{ocispec.AnnotationTitle: b.Name}
	}
	return d
}

// descriptor names the artifact itself.
func (a *Artifact) descriptor() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: MediaManifest, Digest: digest.Digest(a.Digest), Size: int64(len(a.Manifest))}
}
