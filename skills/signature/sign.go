package signature

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
)

// Request says what to sign, and with what. With Signer alone nothing is asked of
// anybody: the bundle is made offline.
type Request struct {
	Digest abi.Digest // of the OCI manifest
	Facts  Facts

	Signer Signer // required without Fulcio; with it, nil is a key for this one signature

	Fulcio     string            // URL; the bundle then holds a certificate instead of the key's hint
	Token      string            // OIDC identity token for Fulcio, which decides what it proves
	Log        string            // URL of a Rekor v2; "" for none
	Timestamps []string          // URLs of RFC 3161 authorities, with their path
	Transport  http.RoundTripper // for the four above
}

// Errors of a request that cannot be signed.
var (
	ErrNoKey       = errors.New("nothing to sign with: neither a key nor a Fulcio")
	ErrNoToken     = errors.New("keyless signing needs an identity token")
	ErrNoTransport = errors.New("signing with a service needs a transport")
)

// Sign makes the bundle of a skill. A keyless one without an authority's time (Log
// and Timestamps) is made as asked, and no class of Verifier accepts it.
func Sign(ctx context.Context, r Request) ([]byte, error) {
	payload, err := statement(r.Digest, r.Facts)
	if err != nil {
		return nil, fmt.Errorf("sign skill %q: %w", r.Facts.Name, err)
	}
	b, err := r.bundle(ctx, payload)
	if err != nil {
		return nil, fmt.Errorf("sign skill %q: %w", r.Facts.Name, err)
	}
	return b, nil
}

func (r Request) bundle(ctx context.Context, payload []byte) ([]byte, error) {
	signer := r.Signer
	switch {
	case signer == nil && r.Fulcio == "":
		return nil, ErrNoKey
	case r.Fulcio != "" && r.Token == "":
		return nil, ErrNoToken
	case signer == nil:
		var err error
		if signer, err = NewSigner(); err != nil {
			return nil, err
		}
	}
	key, err := newKey(signer.PublicKey())
	if err != nil {
		return nil, err
	}
	o := sign.BundleOptions{Context: ctx}
	if err := r.services(ctx, &o); err != nil {
		return nil, err
	}
	content := &sign.DSSEData{Data: payload, PayloadType: payloadType}
	b, err := sign.Bundle(content, keypair{signer, key}, o)
	if err != nil {
		return nil, err
	}
	return protojson.Marshal(b)
}

// services adds the services to ask, each over a transport that reaches only it.
func (r Request) services(ctx context.Context, o *sign.BundleOptions) error {
	if r.Fulcio != "" {
		t, err := reach(ctx, r.Transport, r.Fulcio)
		if err != nil {
			return fmt.Errorf("fulcio: %w", err)
		}
		o.CertificateProvider = sign.NewFulcio(&sign.FulcioOptions{BaseURL: t.base(), Transport: t})
		o.CertificateProviderOptions = &sign.CertificateProviderOptions{IDToken: r.Token}
	}
	for _, u := range r.Timestamps {
		t, err := reach(ctx, r.Transport, u)
		if err != nil {
			return fmt.Errorf("timestamp authority: %w", err)
		}
		o.TimestampAuthorities = append(o.TimestampAuthorities,
			sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: t.url.String(), Transport: t}))
	}
	if r.Log != "" {
		t, err := reach(ctx, r.Transport, r.Log)
		if err != nil {
			return fmt.Errorf("rekor: %w", err)
		}
		o.TransparencyLogs = append(o.TransparencyLogs, sign.NewRekor(&sign.RekorOptions{BaseURL: t.base(), Version: 2, ClientV2: &rekor{t}}))
	}
	return nil
}
