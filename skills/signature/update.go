package signature

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"

	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata/fetcher"
)

// Mirror is where the public-good root is published.
const Mirror = tuf.DefaultMirror

// tufRoot is version 15 of the root of Sigstore's TUF repository, as of 2026-05-16,
// out of the same commit as publicGood; sha256
// 73747011d0857ada15479a16c4cae0f3ed03aac698b523b97e1de314ac9d9ca8. It is only where
// the walk to the newest root begins, so its own expiry (2026-11-20) ends nothing.
//
//go:embed roots/tuf-root.json
var tufRoot []byte

// TUFRoot returns the root.json that Update begins from.
func TUFRoot() []byte { return bytes.Clone(tufRoot) }

// ErrUpdate is wrapped by every failure of Update.
var ErrUpdate = errors.New("the trusted root was not updated")

// Source says where Update fetches from. Mirror and TUFRoot default to those of the
// public good; they are given together or not at all.
type Source struct {
	Mirror    string            // URL
	TUFRoot   []byte            // root.json to begin from, from the operator and never from the network
	Cache     string            // folder with the metadata seen so far, so that older ones are refused
	Transport http.RoundTripper //
}

// Update fetches trusted_root.json with TUF: signed, not expired, not older than the
// cache knows. It changes nothing but the cache; the caller pins what is returned.
func Update(ctx context.Context, s Source) (Root, error) {
	if (s.Mirror == "") != (s.TUFRoot == nil) {
		return Root{}, fmt.Errorf("%w: a mirror needs its root.json, and the reverse", ErrUpdate)
	}
	if s.Mirror == "" {
		s.Mirror, s.TUFRoot = Mirror, TUFRoot()
	}
	if s.Cache == "" {
		return Root{}, fmt.Errorf("%w: no cache folder", ErrUpdate)
	}
	via, err := reach(ctx, s.Transport, s.Mirror)
	if err != nil {
		return Root{}, fmt.Errorf("%w: %w", ErrUpdate, err)
	}
	f := fetcher.NewDefaultFetcher()
	f.SetHTTPClient(via) // NewFetcherWithRoundTripper would change http.DefaultClient
	f.SetRetry(0, 1)
	c, err := tuf.New(&tuf.Options{Root: s.TUFRoot, RepositoryBaseURL: via.base(), CachePath: s.Cache, Fetcher: f, Context: ctx})
	if err != nil {
		return Root{}, fmt.Errorf("%w: %w", ErrUpdate, err)
	}
	b, err := c.GetTarget("trusted_root.json")
	if err != nil {
		return Root{}, fmt.Errorf("%w: %w", ErrUpdate, err)
	}
	r := Root{Class: PublicGood, JSON: b}
	tr, err := r.parse()
	if err != nil {
		return Root{}, fmt.Errorf("%w: %w", ErrUpdate, err)
	}
	if _, err := newAuthority(PublicGood, tr); err != nil {
		return Root{}, fmt.Errorf("%w: %w", ErrUpdate, err)
	}
	return r, nil
}
