package artifact

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"

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
	SBOMFile      = "sbom.cdx.json"
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
	Data   []byte
}

// Manifest makes the artifact of a bundle. Every file that skill.manifest.json lists is
// read and hashed again; one that changed gives an error that wraps skills.ErrDigest.
// Files that it does not list, the signature among them, are no part of the artifact.
func Manifest(b *skills.Bundle) (*Artifact, error) {
	files := filesOf(b.Manifest)
	if err := checkFiles(files); err != nil {
		return nil, err
	}
	blobs := make([]Blob, 0, len(files))
	for _, f := range files {
		data, err := b.ReadFile(f.Name)
		if err != nil {
			return nil, err
		}
		f.Digest = cmp.Or(f.Digest, b.Digest)
		if f.Size >= 0 && int64(len(data)) != f.Size {
			return nil, refuse(ReasonSize, "%s has %d bytes, and %s says %d", f.Name, len(data), skills.ManifestFile, f.Size).
				because(skills.ErrDigest).hint("glovebox skill build %s", b.Dir)
		}
		blobs = append(blobs, Blob{Name: f.Name, Media: mediaOf(f.Name, b.Manifest), Digest: f.Digest, Data: data})
	}
	return assemble(b.Manifest, b.Digest, blobs)
}

// filesOf lists the files of a skill in the order of the layers: the module, the
// manifest, those with a meaning, the rest by name. The digest and the size of the
// manifest, which does not list itself, are "" and -1.
func filesOf(c *abi.Compiled) []abi.File {
	files := []abi.File{
		{Name: c.Manifest.Module, Digest: c.Module, Size: c.ModuleSize},
		{Name: skills.ManifestFile, Size: -1},
	}
	first := []string{skills.SourceFile, skillText, SBOMFile}
	rank := func(f abi.File) int {
		if i := slices.Index(first, f.Name); i >= 0 {
			return i
		}
		return len(first)
	}
	return append(files, slices.SortedFunc(slices.Values(c.Files), func(a, b abi.File) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Name, b.Name))
	})...)
}

// checkFiles refuses names that are taken, that leave the folder or that are the same
// file on some disk, and more bytes than an artifact may have, before one is read.
func checkFiles(files []abi.File) error {
	var total int64
	seen := make(map[string]string, len(files)) // folded path → name; "" for a folder
	for i, f := range files {
		if err := checkName(f.Name, i > 1); err != nil {
			return err
		}
		key := fold(f.Name)
		if other, ok := seen[key]; ok {
			return refuse(ReasonName, "%q and %q are one file where case does not count", f.Name, cmp.Or(other, f.Name+"/"))
		}
		seen[key] = f.Name
		for dir := path.Dir(key); dir != "."; dir = path.Dir(dir) {
			if other := seen[dir]; other != "" {
				return refuse(ReasonName, "%q is a file and the folder of %q", other, f.Name)
			}
			seen[dir] = ""
		}
		most := int64(skills.MaxFile)
		if i == 0 {
			most = skills.MaxModule
		}
		if f.Size > most {
			return refuse(ReasonSize, "%s has %d bytes: more than %d", f.Name, f.Size, most)
		}
		if total += max(f.Size, 0); total > MaxTotal {
			return refuse(ReasonSize, "the files have more than %d bytes together", MaxTotal)
		}
	}
	return nil
}

// checkName refuses what no bundle has. listed says that the name comes from the list
// of files.
func checkName(name string, listed bool) error {
	switch {
	case !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, `\:`) || strings.ContainsFunc(name, unicode.IsControl):
		return refuse(ReasonName, "the file name %q leaves the skill's folder", name)
	case fold(name) == fold(SignatureFile), listed && fold(name) == fold(skills.ManifestFile):
		return refuse(ReasonName, "the file name %q is taken", name)
	}
	return nil
}

// fold maps names to one text when some file system takes them for the same.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
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
	case SBOMFile:
		return MediaSBOM
	}
	return MediaFile
}

// wasmConfig is the config of the CNCF wasm layout. Its clients want a time, so it is
// always the same one.
type wasmConfig struct {
	Created      string          `json:"created"`
	Architecture string          `json:"architecture"`
	OS           string          `json:"os"`
	LayerDigests []digest.Digest `json:"layerDigests"`
}

// assemble writes config and manifest over the layers.
func assemble(c *abi.Compiled, skill abi.Digest, layers []Blob) (*Artifact, error) {
	config := wasmConfig{Created: "1970-01-01T00:00:00Z", Architecture: "wasm", OS: "wasip1"}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: MediaManifest}
	for _, l := range layers {
		config.LayerDigests = append(config.LayerDigests, digest.Digest(l.Digest))
		m.Layers = append(m.Layers, l.descriptor())
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("write the config: %w", err)
	}
	head := Blob{Media: MediaConfig, Digest: abi.DigestOf(raw), Data: raw}
	m.Config = head.descriptor()
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write the image manifest: %w", err)
	}
	return &Artifact{
		Manifest: text, Digest: abi.DigestOf(text), Blobs: slices.Insert(layers, 0, head),
		Skill: skill, Name: c.Manifest.Name, Version: c.Manifest.Version,
	}, nil
}

func (b Blob) descriptor() ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: b.Media, Digest: digest.Digest(b.Digest), Size: int64(len(b.Data))}
	if b.Name != "" {
		d.Annotations = map[string]string{ocispec.AnnotationTitle: b.Name}
	}
	return d
}

// descriptor names the artifact itself.
func (a *Artifact) descriptor() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: MediaManifest, Digest: digest.Digest(a.Digest), Size: int64(len(a.Manifest))}
}
