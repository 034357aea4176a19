package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/glovebox-dev/glovebox/abi"
)

// maxManifest bounds the manifest of a registry that is kept as an OCI artifact: each
// of its files is a layer.
const maxManifest = 4 * abi.MiB

// oci is a registry's folder as an OCI artifact, as "oras push" makes it: one layer for
// each file, its name in the title annotation. The tag is resolved once, so that one
// walk sees one state. Only what anybody may pull is read.
type oci struct {
	client   Doer
	base     string // https://HOST/v2/REPOSITORY/
	tag      string
	mu       sync.Mutex             // guards manifest
	manifest map[string]ociFileSpec // by file name; nil before the tag is resolved
}

type ociFileSpec struct {
	Digest      abi.Digest        `json:"digest"`
	Annotations map[string]string `json:"annotations"`
}

// splitOCI takes HOST/REPOSITORY[:TAG] apart; the tag is "latest" where it is left out.
func splitOCI(ref string) (host, repository, tag string, err error) {
	host, path, _ := strings.Cut(ref, "/")
	repository, tag, ok := strings.Cut(path, ":")
	if !ok {
		tag = "latest"
	}
	if len(ref) > 512 || !ociRE.MatchString(host+"/"+repository) || !targetRE.MatchString(tag) || strings.Contains(tag, "/") {
		return "", "", "", fmt.Errorf("source %q: want oci://HOST/REPOSITORY:TAG", clip(ref))
	}
	return host, repository, tag, nil
}

// Get implements Source.
func (o *oci) Get(ctx context.Context, name string, most int64) ([]byte, error) {
	files, err := o.resolve(ctx)
	if err != nil {
		return nil, err
	}
	file, ok := files[name]
	if !ok {
		return nil, fmt.Errorf("%s is no layer of the artifact: %w", name, fs.ErrNotExist)
	}
	return get(ctx, o.client, o.base+"blobs/"+string(file.Digest), name, most, "")
}

// resolve reads the manifest once.
func (o *oci) resolve(ctx context.Context) (map[string]ociFileSpec, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.manifest != nil {
		return o.manifest, nil
	}
	const media = "application/vnd.oci.image.manifest.v1+json"
	data, err := get(ctx, o.client, o.base+"manifests/"+o.tag, "the manifest", maxManifest, media)
	if err != nil {
		return nil, err
	}
	if err := abi.CheckJSON(data, maxDepth); err != nil {
		return nil, refuse(Tampered, "the manifest: %v", err)
	}
	var m struct {
		Layers []ociFileSpec `json:"layers"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, refuse(Tampered, "the manifest: %v", err)
	}
	files := map[string]ociFileSpec{}
	for _, l := range m.Layers {
		if _, err := abi.ParseDigest(string(l.Digest)); err != nil {
			return nil, refuse(Tampered, "the manifest: %v", err)
		}
		files[l.Annotations["org.opencontainers.image.title"]] = l
	}
	o.manifest = files
	return files, nil
}
