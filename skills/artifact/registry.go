package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// errEnough ends a listing.
var errEnough = errors.New("enough")

// remote is a repository of an OCI registry (OCI distribution-spec 1.1). It asks for
// bytes itself: what is read is bounded by its caller, whatever the registry announces.
type remoteRepo struct {
	repo *remote.Repository
	base string // https://host/v2/repository
}

func newRemote(r Ref, o Options) (*remoteRepo, error) {
	if o.Client == nil {
		return nil, noClient(r)
	}
	repo, err := remote.NewRepository(r.Place)
	if err != nil {
		return nil, refuse(ReasonReference, "the reference %s cannot be read", r).because(err)
	}
	client := &auth.Client{
		Client: o.Client.HTTP(), Cache: auth.NewCache(),
		BlockedRealmPrefixes: []netip.Prefix{}, // the client judges addresses where it dials; oras would ask a resolver of its own
	}
	if o.Login != nil {
		client.Credential = func(ctx context.Context, host string) (auth.Credential, error) {
			if host != repo.Reference.Host() {
				return auth.EmptyCredential, nil
			}
			user, secret, err := o.Login(ctx, host)
			return auth.Credential{Username: user, Password: secret}, err
		}
	}
	origin := string(r.Origin())
	repo.Client = client
	repo.PlainHTTP = strings.HasPrefix(origin, "http://")
	repo.MaxMetadataBytes = MaxManifest
	repo.ReferrerListMaxPages = 4
	repo.SkipReferrersGC = true // who publishes need not be allowed to delete
	return &remoteRepo{repo: repo, base: origin + "/v2/" + repo.Reference.Repository}, nil
}

// resolve implements source.
func (r *remoteRepo) resolve(ctx context.Context, ref Ref) (ocispec.Descriptor, error) {
	name := ref.Tag
	if name == "" {
		name = string(ref.Digest)
	}
	if name == "" {
		return ocispec.Descriptor{}, refuse(ReasonReference, "%s names neither a tag nor a digest", ref).hint("%s:TAG", ref)
	}
	d, err := r.repo.Resolve(ctx, name)
	if errors.Is(err, errdef.ErrNotFound) {
		return d, refuse(ReasonMissing, "%s is not there", ref).because(err)
	}
	if err != nil {
		return d, fmt.Errorf("ask for %s: %w", ref, err)
	}
	return d, nil
}

// open implements source.
func (r *remoteRepo) open(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	kind := "/blobs/"
	if d.MediaType == MediaManifest {
		kind = "/manifests/"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+kind+string(d.Digest), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", d.MediaType)
	resp, err := r.repo.Client.Do(req.WithContext(auth.AppendRepositoryScope(ctx, r.repo.Reference, auth.ActionPull)))
	if err != nil {
		return nil, err
	}
	if err := answered(resp); err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	return resp.Body, nil
}

// referrers implements source: through the referrers API, or the tag sha256-… of
// registries without it.
func (r *remoteRepo) referrers(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	var list []ocispec.Descriptor
	err := r.repo.Referrers(ctx, d, MediaSignature, func(page []ocispec.Descriptor) error {
		list = append(list, page[:min(len(page), MaxCandidates+1-len(list))]...)
		if len(list) > MaxCandidates {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("list the signatures of %s: %w", d.Digest, err)
	}
	return list, nil
}

// publish pushes the artifact and its signatures, and moves the tag last: it never
// names an artifact that is not whole.
func (r *remoteRepo) publish(ctx context.Context, ref Ref, a *Artifact, bundles [][]byte, o Options) error {
	if err := r.free(ctx, ref, a.Digest, o); err != nil {
		return err
	}
	if err := r.push(ctx, slices.Concat(a.Blobs, []Blob{blobOf(MediaManifest, a.Manifest)})...); err != nil {
		return err
	}
	for _, bundle := range bundles {
		sig, err := a.referrer(bundle)
		if err != nil {
			return err
		}
		if err := r.push(ctx, append(sig.blobs, sig.manifest)...); err != nil {
			return err
		}
	}
	if err := r.repo.Tag(ctx, a.descriptor(), ref.Tag); err != nil {
		return fmt.Errorf("tag %s: %w", ref, err)
	}
	return nil
}

// free refuses to move a tag.
func (r *remoteRepo) free(ctx context.Context, ref Ref, want abi.Digest, o Options) error {
	d, err := r.resolve(ctx, Ref{Kind: ref.Kind, Place: ref.Place, Tag: ref.Tag})
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Reason == ReasonMissing:
		return nil
	case err != nil:
		return err
	case abi.Digest(d.Digest) != want && !o.Move:
		return taken(ref, abi.Digest(d.Digest))
	}
	return nil
}

func (r *remoteRepo) push(ctx context.Context, blobs ...Blob) error {
	for _, b := range blobs {
		d := b.descriptor()
		d.Annotations = nil
		there, err := r.repo.Exists(ctx, d)
		if err == nil && !there {
			err = r.repo.Push(ctx, d, bytes.NewReader(b.Data))
		}
		if err != nil {
			return fmt.Errorf("push %s %s: %w", b.Media, b.Digest, err)
		}
	}
	return nil
}
