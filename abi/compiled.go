package abi

// Compiled is skill.manifest.json: the author's request together with the digests of
// the bundle and the tools that the module itself lists. The daemon reads only this
// file and the module.
type Compiled struct {
	Schema     string   `json:"schema"`
	Manifest   Manifest `json:"manifest"`
	Module     Digest   `json:"module"`
	ModuleSize int64    `json:"module_size"` // bytes
	Tools      []Tool   `json:"tools"`
	Files      []File   `json:"files,omitempty"` // every other file of the bundle, by name
}

// File is one file of a bundle.
type File struct {
	Name   string `json:"name"` // slash-separated, relative to the skill's folder
	Digest Digest `json:"digest"`
	Size   int64  `json:"size"` // bytes
}
