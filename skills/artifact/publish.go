package artifact

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/durable"
)

// Publish puts the artifact and its signatures where to says and returns the reference
// that pins it. A tag that already names another artifact is refused unless o.Move; in a
// folder the tag is Artifact.Tag when to has none. To a static server nothing is sent:
// publish to a folder, and copy that.
func Publish(ctx context.Context, to Ref, a *Artifact, bundles [][]byte, o Options) (Ref, error) {
	if len(bundles) == 0 && !o.Unsigned {
		return Ref{}, refuse(ReasonUnsigned, "%s %s is not signed", a.Name, a.Version).hint("glovebox skill sign DIR")
	}
	if to.Digest != "" {
		return Ref{}, refuse(ReasonReference, "a digest follows from the files: name a tag, not %s", to.Digest)
	}
	done := Ref{Kind: to.Kind, Place: to.Place, Tag: cmp.Or(to.Tag, a.Tag()), Digest: a.Digest}
	switch to.Kind {
	case Registry:
		if to.Tag == "" {
			return Ref{}, refuse(ReasonReference, "%s names no tag", to).hint("%s:%s", to, a.Version)
		}
		repo, err := newRemote(to, o)
		if err != nil {
			return Ref{}, err
		}
		return done, repo.publish(ctx, to, a, bundles, o)
	case Folder:
		return done, publishFolder(done, a, bundles, o)
	case File:
		done.Tag = ""
		return done, WriteFile(to.Place, a, bundles...)
	case Web:
		return Ref{}, refuse(ReasonReference, "%s is a static server", to).hint("publish to a folder, and copy that to the server")
	}
	return Ref{}, refuse(ReasonReference, "the target names no place")
}

func taken(r Ref, by abi.Digest) error {
	return refuse(ReasonTaken, "%s is %s already", Ref{Kind: r.Kind, Place: r.Place, Tag: r.Tag}, by).
		hint("raise the version in skill.yaml, or move the tag with --move")
}

// WriteFile writes the single file in one step: a reader sees the old one or the new.
func WriteFile(name string, a *Artifact, bundles ...[]byte) error {
	return durable.Replace(name, 0o644, func(w io.Writer) error { return WriteTar(w, a, bundles...) })
}

// publishFolder adds to the OCI layout in a folder: the blobs first, the index that
// names them last. Two publishers at once wait for each other.
func publishFolder(to Ref, a *Artifact, bundles [][]byte, o Options) (err error) {
	if err := os.MkdirAll(filepath.Join(to.Place, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	unlock, err := lock(to.Place)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	content, entries, err := layoutOf(a, to.Tag, bundles)
	if err != nil {
		return err
	}
	all, err := merged(to, entries, o)
	if err != nil {
		return err
	}
	content[ocispec.ImageLayoutFile] = []byte(layoutText)
	for name, data := range content {
		if err := durable.ReplaceBytes(filepath.Join(to.Place, filepath.FromSlash(name)), 0o644, data); err != nil {
			return err
		}
	}
	index, err := encodeIndex(all)
	if err != nil {
		return err
	}
	return durable.ReplaceBytes(filepath.Join(to.Place, ocispec.ImageIndexFile), 0o644, index)
}

// merged returns the index of the folder with the entries in it.
func merged(to Ref, entries []ocispec.Descriptor, o Options) ([]ocispec.Descriptor, error) {
	old := &layout{read: folderReader(to.Place)}
	var refusal *Refusal
	switch err := old.load(context.Background()); {
	case errors.As(err, &refusal) && refusal.Reason == ReasonMissing:
		return entries, nil
	case err != nil:
		return nil, err
	}
	all := entries
	for _, d := range old.index.Manifests {
		tag := d.Annotations[ocispec.AnnotationRefName]
		if tag == to.Tag {
			if d.Digest != entries[0].Digest && !o.Move {
				return nil, taken(to, abi.Digest(d.Digest))
			}
			continue
		}
		if !slices.ContainsFunc(entries, func(e ocispec.Descriptor) bool {
			return e.Digest == d.Digest && e.Annotations[ocispec.AnnotationRefName] == tag
		}) {
			all = append(all, d)
		}
	}
	if len(all) > maxEntries {
		return nil, refuse(ReasonSize, "%s would have more than %d entries", to.Place, maxEntries).hint("publish to another folder")
	}
	slices.SortStableFunc(all, func(a, b ocispec.Descriptor) int {
		return cmp.Or(cmp.Compare(a.Annotations[ocispec.AnnotationRefName], b.Annotations[ocispec.AnnotationRefName]), cmp.Compare(a.Digest, b.Digest))
	})
	return all, nil
}
