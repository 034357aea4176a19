package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/install"
	"github.com/glovebox-dev/glovebox/skills/registry"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"golang.org/x/mod/semver"
)

// fetch gets the bytes of what a person named: the folder of a skill, a file, a place,
// or a name in a registry. Nothing about them is believed.
func (a *app) fetch(ctx context.Context, source string, private bool) (*install.Offer, install.Options, error) {
	if info, err := os.Stat(source); err == nil && info.IsDir() {
		if _, err := os.Stat(filepath.Join(source, skills.ManifestFile)); err == nil {
			o, err := offerFolder(source)
			return o, install.Options{}, err
		}
	}
	name, pin, _ := strings.Cut(source, "@")
	if id := registry.SkillID(name); id.Check() == nil && !exists(source) {
		return a.fetchNamed(ctx, id, pin, source, private)
	}
	ref, err := artifact.ParseRef(source)
	if err != nil {
		return nil, install.Options{}, err
	}
	if ref.Kind == artifact.Folder || ref.Kind == artifact.File {
		if abs, err := filepath.Abs(source); err == nil {
			source = abs // for an upgrade from another folder
		}
	}
	pulled, err := pullFrom(ctx, ref, "", private)
	if err != nil {
		return nil, install.Options{}, err
	}
	return &install.Offer{Artifact: pulled.Artifact, Signatures: pulled.Signatures, Source: source}, install.Options{Digest: ref.Digest}, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func offerFolder(dir string) (*install.Offer, error) {
	b, err := skills.Open(dir)
	if err != nil {
		return nil, err
	}
	art, err := artifact.Manifest(b)
	if err != nil {
		return nil, err
	}
	o := &install.Offer{Artifact: art, Source: b.Dir}
	sig, err := signature.ReadFile(signature.In(b.Dir))
	if sig != nil {
		o.Signatures = [][]byte{sig}
	}
	return o, err
}

func pullFrom(ctx context.Context, ref artifact.Ref, bundle abi.Digest, private bool) (*artifact.Pulled, error) {
	o := artifact.Options{Signature: bundle}
	if origin := ref.Origin(); origin != "" {
		c := broker.OperatorConfig{Origins: []abi.Origin{origin}}
		if private {
			c.Private = c.Origins
		}
		client, err := broker.NewOperator(c)
		if err != nil {
			return nil, err
		}
		o.Client = client
	}
	return artifact.Fetch(ctx, ref, o)
}

// fetchNamed finds a skill in the registries and fetches what its index names, by
// digest.
func (a *app) fetchNamed(ctx context.Context, id registry.SkillID, pin, source string, private bool) (o *install.Offer, opt install.Options, err error) {
	err = a.withRegistries(ctx, func(c *registry.Client) error {
		found, err := c.Show(ctx, "", id)
		if err != nil {
			return err
		}
		if len(found) == 0 && id.Publisher() == "" {
			if found, err = a.byBareName(ctx, c, id); err != nil {
				return err
			}
		}
		entry, err := chosen(found, id, pin)
		if err != nil {
			return err
		}
		opt = install.Options{
			Name: id.Skill(), Version: entry.Version, Digest: entry.Digest,
			Signer: abi.Signer{Issuer: entry.Identity.Issuer, Identity: entry.Identity.SAN, Key: entry.Identity.Key},
		}
		pulled, err := fetchEntry(ctx, c, entry, private)
		if err != nil {
			return err
		}
		o = &install.Offer{Artifact: pulled.Artifact, Signatures: pulled.Signatures, Source: source}
		return matches(entry, pulled.Artifact)
	})
	return o, opt, err
}

// byBareName finds SKILL as PUBLISHER/SKILL where only one publisher has it.
func (a *app) byBareName(ctx context.Context, c *registry.Client, id registry.SkillID) ([]registry.Found, error) {
	near, err := c.Search(ctx, string(id))
	if err != nil {
		return nil, err
	}
	var full []registry.SkillID
	for _, f := range near {
		if f.Name.Skill() == id.Skill() && !slices.Contains(full, f.Name) {
			full = append(full, f.Name)
		}
	}
	switch len(full) {
	case 0:
		return nil, nil
	case 1:
		return c.Show(ctx, "", full[0])
	}
	return nil, failed(fmt.Sprintf("several publishers have a skill %q", id), "glovebox skill install "+string(full[0]))
}

// chosen picks the newest version that is current, or the one that is pinned. What one
// registry withdrew, another one that still has it does not bring back; and where two
// would give different skills for one name, it is not the higher number that decides.
func chosen(found []registry.Found, id registry.SkillID, pin string) (*registry.Found, error) {
	newest := map[registry.Name]*registry.Found{}
	var best *registry.Found
	for i := range found {
		f := &found[i]
		by := slices.IndexFunc(found, func(o registry.Found) bool { return o.Yanked != nil && o.Digest == f.Digest })
		switch {
		case pin != "" && pin != f.Version && pin != string(f.Digest):
			continue
		case pin != "" && by >= 0:
			return nil, refused(fmt.Sprintf("registry %s withdrew %s %s: %s", found[by].Registry, id, f.Version, quote(found[by].Yanked.Reason)), string(install.ReasonYanked), "glovebox registry show "+string(id))
		case by >= 0:
			continue
		}
		if n := newest[f.Registry]; n == nil || semver.Compare("v"+f.Version, "v"+n.Version) > 0 {
			newest[f.Registry] = f
		}
		if best == nil || semver.Compare("v"+f.Version, "v"+best.Version) > 0 {
			best = f
		}
	}
	for _, n := range newest {
		if n.Digest != best.Digest {
			return nil, refused(fmt.Sprintf("registries %s and %s have different skills %q", best.Registry, n.Registry, id), string(install.ReasonRequested),
				fmt.Sprintf("glovebox registry show %s, then name the one that you want: glovebox skill install %s@sha256:…", id, id))
		}
	}
	if best == nil {
		what := fmt.Sprintf("no registry has a skill %q", id)
		if len(found) > 0 {
			what = fmt.Sprintf("no registry has skill %q in the version %q that is wanted", id, pin)
		}
		return nil, failed(what, "glovebox registry search "+string(id.Skill()))
	}
	return best, nil
}

func fetchEntry(ctx context.Context, c *registry.Client, e *registry.Found, private bool) (*artifact.Pulled, error) {
	if e.Path != "" {
		data, err := c.Target(ctx, e.Registry, e.Path, artifact.MaxTotal)
		if err != nil {
			return nil, err
		}
		return artifact.ReadTar(bytes.NewReader(data))
	}
	ref, err := artifact.ParseRef("oci://" + e.OCI)
	if err != nil {
		return nil, err
	}
	return pullFrom(ctx, ref, e.Bundle, private)
}

// matches holds what came against the index: its digest, its request and its signature.
func matches(e *registry.Found, a *artifact.Artifact) error {
	if a.Digest != e.Digest {
		return refused(fmt.Sprintf("registry %s names %s, and %s came", e.Registry, e.Digest, a.Digest), string(registry.Mismatch), "glovebox registry refresh "+string(e.Registry))
	}
	for _, blob := range a.Blobs {
		if blob.Name == skills.ManifestFile {
			c, err := abi.DecodeCompiled(skills.ManifestFile, blob.Data)
			if err != nil {
				return err
			}
			return e.Match(&c.Manifest)
		}
	}
	return errors.New("the artifact has no manifest")
}

var versionRE = regexp.MustCompile(`@[^@/]+$`)

// unversioned is where newer versions of a source are.
func unversioned(source string) string {
	if strings.Contains(source, "://") || filepath.IsAbs(source) {
		return source
	}
	return versionRE.ReplaceAllString(source, "")
}
