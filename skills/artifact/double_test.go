package artifact

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// double is a registry in memory (OCI distribution-spec 1.1) that can be told to lie.
type double struct {
	t      testing.TB
	url    string
	native bool                                                                   // it answers the referrers API
	lie    func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool // answers instead; nil: never
	mu     sync.Mutex                                                             // guards all below
	blobs  map[string][]byte                                                      // by digest
	media  map[string]string                                                      // of manifests, by digest
	tags   map[string]string
	asked  []string // method and path
}

func newDouble(t testing.TB, native bool) *double {
	t.Helper()
	d := &double{t: t, native: native, blobs: map[string][]byte{}, media: map[string]string{}, tags: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(d.serve))
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// ref returns a reference into the double, for example ":1.2.0".
func (d *double) ref(name string) Ref {
	d.t.Helper()
	r, err := ParseRef("oci://" + strings.TrimPrefix(d.url, "http://") + "/acme/hello" + name)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// client returns a client that may reach the double and no other.
func (d *double) client() *broker.Operator { return operatorClient(d.t, d.url) }

func operatorClient(t testing.TB, origin string) *broker.Operator {
	t.Helper()
	c, err := broker.NewOperator(broker.OperatorConfig{Origins: []abi.Origin{abi.Origin(origin)}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (d *double) serve(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.asked = append(d.asked, r.Method+" "+r.URL.Path)
	d.mu.Unlock()
	if d.lie != nil && d.lie(w, r, http.HandlerFunc(d.honest)) {
		return
	}
	d.honest(w, r)
}

func (d *double) honest(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	path, ok := strings.CutPrefix(r.URL.Path, "/v2/acme/hello/")
	kind, name, _ := strings.Cut(path, "/")
	switch {
	case !ok:
		http.NotFound(w, r)
	case kind == "manifests" && r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		id := d.put(body, r.Header.Get("Content-Type"))
		if !strings.HasPrefix(name, "sha256:") {
			d.tags[name] = id
		}
		if d.native {
			var m ocispec.Manifest
			if json.Unmarshal(body, &m) == nil && m.Subject != nil {
				w.Header().Set("OCI-Subject", string(m.Subject.Digest))
			}
		}
		w.Header().Set("Docker-Content-Digest", id)
		w.WriteHeader(http.StatusCreated)
	case kind == "manifests":
		if id, ok := d.tags[name]; ok {
			name = id
		}
		if d.media[name] == "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", d.media[name])
		d.send(w, r, name)
	case kind == "blobs" && r.Method == http.MethodPost:
		w.Header().Set("Location", "/v2/acme/hello/blobs/uploads/1")
		w.WriteHeader(http.StatusAccepted)
	case kind == "blobs" && r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		d.put(body, "")
		w.WriteHeader(http.StatusCreated)
	case kind == "blobs":
		w.Header().Set("Content-Type", "application/octet-stream")
		d.send(w, r, name)
	case kind == "referrers" && d.native:
		d.sendReferrers(w, name)
	default:
		http.NotFound(w, r)
	}
}

func (d *double) put(body []byte, media string) string {
	id := string(digest.FromBytes(body))
	d.blobs[id] = body
	if media != "" {
		d.media[id] = media
	}
	return id
}

func (d *double) send(w http.ResponseWriter, r *http.Request, id string) {
	body, ok := d.blobs[id]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Docker-Content-Digest", id)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

func (d *double) sendReferrers(w http.ResponseWriter, subject string) {
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	index.SchemaVersion = 2
	for id, media := range d.media {
		var m ocispec.Manifest
		if json.Unmarshal(d.blobs[id], &m) == nil && m.Subject != nil && string(m.Subject.Digest) == subject {
			index.Manifests = append(index.Manifests, ocispec.Descriptor{
				MediaType: media, ArtifactType: m.ArtifactType, Digest: digest.Digest(id), Size: int64(len(d.blobs[id])),
			})
		}
	}
	slices.SortFunc(index.Manifests, func(a, b ocispec.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
	_ = json.NewEncoder(w).Encode(index)
}

// add puts bytes into the registry without any protocol.
func (d *double) add(body []byte, media, tag string) ocispec.Descriptor {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := d.put(body, media)
	if tag != "" {
		d.tags[tag] = id
	}
	return ocispec.Descriptor{MediaType: media, Digest: digest.Digest(id), Size: int64(len(body))}
}

func (d *double) count(request string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, a := range d.asked {
		if strings.HasPrefix(a, request) {
			n++
		}
	}
	return n
}
