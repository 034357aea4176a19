package signature

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"google.golang.org/protobuf/encoding/protojson"
)

// maxAnswer bounds what a service may answer, in bytes.
const maxAnswer = 4 << 20

// ErrService is wrapped by every refusal to talk to a service or to read its answer.
var ErrService = errors.New("service refused")

// service is a transport for one service: by https, or on this machine; no redirect
// leads elsewhere, so a token goes to nobody else.
type service struct {
	url  *url.URL
	send func(*http.Request) (*http.Response, error) // within the context of the operation, which the libraries lose
}

// reach returns the transport to the service at raw.
func reach(ctx context.Context, via http.RoundTripper, raw string) (*service, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%w: %q is not the URL of a service", ErrService, raw)
	}
	addr, _ := netip.ParseAddr(u.Hostname())
	if u.Scheme != "https" && !(u.Scheme == "http" && addr.IsLoopback()) {
		return nil, fmt.Errorf("%w: %q: want https, or http on a loopback address", ErrService, raw)
	}
	if via == nil {
		return nil, ErrNoTransport
	}
	return &service{u, func(r *http.Request) (*http.Response, error) { return via.RoundTrip(r.WithContext(ctx)) }}, nil
}

func (s *service) base() string { return strings.TrimSuffix(s.url.String(), "/") }

// RoundTrip implements http.RoundTripper.
func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.send(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return nil, errors.Join(fmt.Errorf("%w: %s redirects", ErrService, s.url.Host), resp.Body.Close())
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// Do is RoundTrip, for libraries that want a client.
func (s *service) Do(r *http.Request) (*http.Response, error) { return s.RoundTrip(r) }

// rekor writes to a Rekor v2. The client that the library brings has a transport of
// its own.
type rekor struct{ *service }

// Add implements sign.RekorV2Client: POST /api/v2/log/entries.
func (r *rekor) Add(ctx context.Context, entry any) (*rekorv1.TransparencyLogEntry, error) {
	e, ok := entry.(*tiles.HashedRekordRequestV002)
	if !ok {
		return nil, fmt.Errorf("%w: an entry of type %T", ErrService, entry)
	}
	body, err := protojson.Marshal(&tiles.CreateEntryRequest{Spec: &tiles.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: e}})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base()+"/api/v2/log/entries", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("%w: rekor answered %d", ErrService, resp.StatusCode)
	}
	var out rekorv1.TransparencyLogEntry
	return &out, protojson.Unmarshal(answer, &out)
}
