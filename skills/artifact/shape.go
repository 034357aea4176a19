package artifact

import (
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// shape is what a manifest of the field holds.
type shape uint8

const (
	shapeSkill  shape = iota + 1 // one of ours
	shapeModule                  // a module of wkg, wasmCloud, wassette or hyper-mcp
)

const (
	mediaHyperMCP = "application/vnd.hyper-mcp.plugin.v2"
	mediaSpin     = "application/vnd.fermyon.spin.application.v1+config"
	maxLayers     = 4096 + 2 // what a compiled manifest can list, itself and the module
)

// shapeOf says what a manifest is, by its media types alone, or why it is not read.
func shapeOf(m *ocispec.Manifest) (shape, error) {
	modules, packed := 0, false
	for _, l := range m.Layers {
		if l.MediaType == MediaModule {
			modules++
		}
		packed = packed || strings.Contains(l.MediaType, ".tar") || strings.Contains(l.MediaType, "+gzip")
	}
	bare := m.SchemaVersion == 2 && (m.MediaType == "" || m.MediaType == MediaManifest) && m.Subject == nil && modules == 1
	switch {
	case len(m.Layers) > maxLayers:
		return 0, refuse(ReasonSize, "the manifest has %d layers: at most %d are read", len(m.Layers), maxLayers)
	case m.Config.MediaType == mediaSpin:
		return 0, refuse(ReasonMedia, "this is a Spin application, which is not loaded").hint("take the module out of it and put a skill.yaml beside it: glovebox skill build DIR --prebuilt")
	case packed:
		return 0, refuse(ReasonMedia, "a layer is an archive, and none is unpacked").hint("ask its author for a layer of the type %s", MediaModule)
	case bare && m.Config.MediaType == MediaConfig && len(m.Layers) > 1 && m.Layers[0].MediaType == MediaModule && m.Layers[1].MediaType == MediaSkill:
		return shapeSkill, nil
	case bare && m.Config.MediaType == MediaConfig && len(m.Layers) == 1, bare && m.ArtifactType == mediaHyperMCP:
		return shapeModule, nil
	}
	return 0, refuse(ReasonMedia, "the manifest has the config type %q and %d modules: want %q and one layer %q", m.Config.MediaType, modules, MediaConfig, MediaModule)
}
