package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// bundleText is shaped like a Sigstore bundle; nothing here verifies one.
const bundleText = `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{"payload":"eyJwcmVkaWNhdGVUeXBlIjoiaHR0cHM6Ly9nbG92ZWJveC5kZXYvYXR0ZXN0YXRpb24vc2tpbGwvdjEifQ=="}}`

// published returns a double with the artifact of these tests under 1.2.0.
func published(t testing.TB, native bool) (*double, *Artifact) {
	t.Helper()
	d, a := newDouble(t, native), hello(t)
	ref, err := Publish(t.Context(), d.ref(":1.2.0"), a, [][]byte{[]byte(bundleText)}, Options{Client: d.client()})
	if err != nil {
		t.Fatal(err)
	}
	if ref.Digest != a.Digest {
		t.Fatalf("published as %s", ref)
	}
	return d, a
}

func fetch(t testing.TB, d *double, name string) (*Pulled, error) {
	t.Helper()
	return Fetch(t.Context(), d.ref(name), Options{Client: d.client()})
}

func TestPublishedArtifactsComeBack(t *testing.T) {
	t.Parallel()
	for _, native := range []bool{true, false} {
		d, a := published(t, native)
		for _, name := range []string{":1.2.0", "@" + string(a.Digest), ":1.2.0@" + string(a.Digest)} {
			p, err := fetch(t, d, name)
			if err != nil {
				t.Fatalf("native %v: %s: %v", native, name, err)
			}
			same(t, p, a)
		}
		if fallback := d.tags["sha256-"+a.Digest.Hex()] != ""; fallback == native {
			t.Errorf("native %v: fallback tag %v", native, fallback)
		}
	}
}

func same(t testing.TB, p *Pulled, a *Artifact) {
	t.Helper()
	if p.Digest != a.Digest || p.Skill != a.Skill || p.Name != a.Name || p.Version != a.Version || len(p.Blobs) != len(a.Blobs) || p.Foreign {
		t.Fatalf("got %+v", p)
	}
	for i := range a.Blobs {
		if !bytes.Equal(p.Blobs[i].Data, a.Blobs[i].Data) || p.Blobs[i].Name != a.Blobs[i].Name {
			t.Errorf("blob %d is another", i)
		}
	}
	if len(p.Signatures) != 1 || string(p.Signatures[0]) != bundleText || len(p.Skipped) != 0 {
		t.Errorf("signatures %q, skipped %v", p.Signatures, p.Skipped)
	}
}

// TestTagIsResolvedOnce moves the tag after the first look at it.
func TestTagIsResolvedOnce(t *testing.T) {
	t.Parallel()
	d, a := published(t, true)
	other := d.add([]byte(`{"schemaVersion":2}`), MediaManifest, "")
	d.lie = func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
		if !strings.HasSuffix(r.URL.Path, "/manifests/1.2.0") {
			return false
		}
		honest.ServeHTTP(w, r)
		d.mu.Lock()
		d.tags["1.2.0"] = string(other.Digest)
		d.mu.Unlock()
		return true
	}
	p, err := fetch(t, d, ":1.2.0")
	if err != nil {
		t.Fatal(err)
	}
	same(t, p, a)
	_, err = fetch(t, d, ":1.2.0@"+string(a.Digest))
	wants(t, err, ReasonPin)
}

// TestHostileRegistries tells a registry what to answer instead of the truth.
func TestHostileRegistries(t *testing.T) {
	t.Parallel()
	a := hello(t)
	wasm := "/blobs/" + string(a.Blobs[1].Digest)
	instead := func(suffix string, answer http.HandlerFunc) func(http.ResponseWriter, *http.Request, http.Handler) bool {
		return func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, suffix) {
				return false
			}
			answer(w, r)
			return true
		}
	}
	manifest := "/manifests/" + string(a.Digest)
	for _, c := range []struct {
		name string
		lie  func(http.ResponseWriter, *http.Request, http.Handler) bool
		want Reason
	}{
		{"other bytes of the same size", instead(wasm, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, len(a.Blobs[1].Data)))
		}), ReasonDigest},
		{"fewer bytes than announced in the manifest", instead(wasm, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(a.Blobs[1].Data[:9]) }), ReasonDigest},
		{"an endless module", instead(wasm, endless), ReasonSize},
		{"an endless manifest", instead(manifest, endless), ReasonSize},
		{"an endless list of referrers", instead("/referrers/"+string(a.Digest), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			_, _ = io.WriteString(w, `{"manifests":[`)
			endless(w, r)
		}), ""},
		{"another manifest", instead(manifest, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Replace(a.Manifest, []byte("SKILL.md"), []byte("SKILL.mD"), 1))
		}), ReasonDigest},
		{"a module that is gone", instead(wasm, http.NotFound), ReasonMissing},
		{"a module in an encoding that nobody asked for", instead(wasm, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
		}), ReasonMedia},
		{"a server error", instead(wasm, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }), ""},
		{"a manifest of 5 MiB", func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if r.Method != http.MethodHead {
				return false
			}
			w.Header().Set("Content-Type", MediaManifest)
			w.Header().Set("Content-Length", "5242880")
			w.Header().Set("Docker-Content-Digest", string(a.Digest))
			return true
		}, ReasonSize},
		{"a Docker image", func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
			if r.Method != http.MethodHead {
				return false
			}
			rec := httptest.NewRecorder()
			honest.ServeHTTP(rec, r)
			w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
			w.Header().Set("Content-Length", rec.Header().Get("Content-Length"))
			w.Header().Set("Docker-Content-Digest", string(a.Digest))
			return true
		}, ReasonMedia},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, _ := published(t, true)
			d.lie = c.lie
			_, err := fetch(t, d, ":1.2.0")
			if c.want != "" {
				wants(t, err, c.want)
			} else if err == nil {
				t.Error("it was taken")
			}
		})
	}
}

func endless(w http.ResponseWriter, r *http.Request) {
	chunk := bytes.Repeat([]byte(`{"a":1},`), 1<<13)
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// TestHostileManifests publishes manifests that no skill has.
func TestHostileManifests(t *testing.T) {
	t.Parallel()
	a := hello(t)
	var honest ocispec.Manifest
	if err := json.Unmarshal(a.Manifest, &honest); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(m *ocispec.Manifest)
		want   Reason
	}{
		{"an annotation more", func(m *ocispec.Manifest) { m.Annotations = map[string]string{"a": "b"} }, ReasonManifest},
		{"a layer more", func(m *ocispec.Manifest) {
			m.Layers = append(m.Layers, ocispec.Descriptor{MediaType: MediaFile, Digest: m.Layers[3].Digest, Size: 4, Annotations: map[string]string{ocispec.AnnotationTitle: "../x"}})
		}, ReasonManifest},
		{"a file under another name", func(m *ocispec.Manifest) { m.Layers[3].Annotations = map[string]string{ocispec.AnnotationTitle: "x"} }, ReasonManifest},
		{"another module than the skill's", func(m *ocispec.Manifest) { m.Layers[0].Digest, m.Layers[0].Size = m.Layers[3].Digest, 4 }, ReasonManifest},
		{"another config", func(m *ocispec.Manifest) { m.Config.Digest = m.Layers[2].Digest }, ReasonManifest},
		{"layers in another order", func(m *ocispec.Manifest) { m.Layers[2], m.Layers[3] = m.Layers[3], m.Layers[2] }, ReasonManifest},
		{"a size that lies", func(m *ocispec.Manifest) { m.Layers[1].Size++ }, ReasonSize},
		{"a manifest of the skill of 5 MiB", func(m *ocispec.Manifest) { m.Layers[1].Size = 5 << 20 }, ReasonSize},
		{"a negative size", func(m *ocispec.Manifest) { m.Layers[1].Size = -1 }, ReasonSize},
		{"a digest of another kind", func(m *ocispec.Manifest) { m.Layers[1].Digest = "sha512:" + digest.Digest(strings.Repeat("0", 128)) }, ReasonDigest},
		{"a skill that is no skill", func(m *ocispec.Manifest) { m.Layers[1].Digest, m.Layers[1].Size = m.Layers[2].Digest, m.Layers[2].Size }, ReasonManifest},
		{"two modules", func(m *ocispec.Manifest) { m.Layers[3].MediaType = MediaModule }, ReasonMedia},
		{"no module", func(m *ocispec.Manifest) { m.Layers[0].MediaType = MediaFile }, ReasonMedia},
		{"the module last", func(m *ocispec.Manifest) { m.Layers = append(m.Layers[1:], m.Layers[0]) }, ReasonMedia},
		{"another config type", func(m *ocispec.Manifest) { m.Config.MediaType = ocispec.MediaTypeImageConfig }, ReasonMedia},
		{"a Spin application", func(m *ocispec.Manifest) { m.Config.MediaType = mediaSpin }, ReasonMedia},
		{"a layer in a tar", func(m *ocispec.Manifest) { m.Layers[3].MediaType = ocispec.MediaTypeImageLayerGzip }, ReasonMedia},
		{"a subject", func(m *ocispec.Manifest) { m.Subject = &m.Layers[0] }, ReasonMedia},
		{"5,000 layers", func(m *ocispec.Manifest) { m.Layers = append(m.Layers, make([]ocispec.Descriptor, 5000)...) }, ReasonSize},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, _ := published(t, true)
			m := honest
			m.Layers = append([]ocispec.Descriptor(nil), honest.Layers...)
			c.change(&m)
			raw, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			d.add(raw, MediaManifest, "bad")
			_, err = fetch(t, d, ":bad")
			wants(t, err, c.want)
			_, err = Fetch(t.Context(), d.ref(":bad"), Options{Client: d.client(), Foreign: true})
			wants(t, err, c.want)
		})
	}
	d, _ := published(t, true)
	d.add([]byte(`{"schemaVersion":2,"layers":[],"layers":[]}`), MediaManifest, "twice")
	_, err := fetch(t, d, ":twice")
	wants(t, err, ReasonManifest)
}

// TestForeignLayouts goes through the artifacts of other hosts (supply-chain rules: the
// module alone, and only when it is asked for).
func TestForeignLayouts(t *testing.T) {
	t.Parallel()
	d := newDouble(t, true)
	wasm := d.add(module(), MediaModule, "")
	tarball := d.add([]byte("tar"), ocispec.MediaTypeImageLayer, "")
	config := func(os string) ocispec.Descriptor {
		return d.add([]byte(`{"created":"2026-01-01T00:00:00Z","architecture":"wasm","os":"`+os+`"}`), MediaConfig, "")
	}
	empty := d.add([]byte("{}"), ocispec.MediaTypeEmptyJSON, "")
	image := empty
	image.MediaType = ocispec.MediaTypeImageConfig
	spin := empty
	spin.MediaType = mediaSpin
	for name, c := range map[string]struct {
		artifactType string
		config       ocispec.Descriptor
		layer        ocispec.Descriptor
		want         Reason // with Foreign
	}{
		"wkg":              {config: config("wasip1"), layer: wasm},
		"a component":      {config: config("wasip2"), layer: wasm, want: ReasonMedia},
		"hyper-mcp":        {artifactType: mediaHyperMCP, config: empty, layer: wasm},
		"hyper-mcp-docker": {config: image, layer: tarball, want: ReasonMedia},
		"envoy":            {config: image, layer: d.add([]byte("gz"), ocispec.MediaTypeImageLayerGzip, ""), want: ReasonMedia},
		"spin":             {config: spin, layer: wasm, want: ReasonMedia},
		"anything":         {config: empty, layer: wasm, want: ReasonMedia},
	} {
		raw, err := json.Marshal(ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: MediaManifest, ArtifactType: c.artifactType, Config: c.config, Layers: []ocispec.Descriptor{c.layer},
		})
		if err != nil {
			t.Fatal(err)
		}
		tag := strings.ReplaceAll(name, " ", "-")
		d.add(raw, MediaManifest, tag)
		_, err = fetch(t, d, ":"+tag)
		wants(t, err, ReasonMedia)
		p, err := Fetch(t.Context(), d.ref(":"+tag), Options{Client: d.client(), Foreign: true})
		switch {
		case c.want != "":
			wants(t, err, c.want)
		case err != nil || !p.Foreign || len(p.Blobs) != 1 || !bytes.Equal(p.Blobs[0].Data, module()) || p.Skill != "":
			t.Errorf("%s: %+v, %v", name, p, err)
		case p.Extract(t.TempDir()+"/x", nil) == nil:
			t.Errorf("%s: it was extracted as a skill", name)
		}
	}
}

// TestJunkReferrers puts manifests that are no signatures beside the good one.
func TestJunkReferrers(t *testing.T) {
	t.Parallel()
	a := hello(t)
	subject := a.descriptor()
	other := subject
	other.Digest = digest.FromString("other")
	bundle := blobOf(MediaSignature, []byte(bundleText)).descriptor()
	big := bundle
	big.Size = MaxSignature + 1
	for _, c := range []struct {
		name    string
		subject *ocispec.Descriptor
		layers  []ocispec.Descriptor
		want    Reason
	}{
		{"about another artifact", &other, []ocispec.Descriptor{bundle}, ReasonManifest},
		{"about nothing", nil, []ocispec.Descriptor{bundle}, ReasonManifest},
		{"two layers", &subject, []ocispec.Descriptor{bundle, bundle}, ReasonMedia},
		{"no layer", &subject, nil, ReasonMedia},
		{"a layer of another type", &subject, []ocispec.Descriptor{{MediaType: MediaSBOM, Digest: bundle.Digest, Size: bundle.Size}}, ReasonMedia},
		{"a bundle of more than 1 MiB", &subject, []ocispec.Descriptor{big}, ReasonSize},
		{"a bundle that is gone", &subject, []ocispec.Descriptor{{MediaType: MediaSignature, Digest: digest.FromString("gone"), Size: 4}}, ReasonMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, _ := published(t, false)
			raw, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: MediaManifest, ArtifactType: MediaSignature, Config: ocispec.DescriptorEmptyJSON, Layers: c.layers, Subject: c.subject})
			if err != nil {
				t.Fatal(err)
			}
			d.list(a, d.add(raw, MediaManifest, ""), d.good(a))
			p, err := fetch(t, d, ":1.2.0")
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Signatures) != 1 || len(p.Skipped) != 1 {
				t.Fatalf("%d signatures, skipped %v", len(p.Signatures), p.Skipped)
			}
			wants(t, p.Skipped[0], c.want)
		})
	}
	t.Run("a manifest that claims more than 1 MiB is not fetched", func(t *testing.T) {
		t.Parallel()
		d, _ := published(t, false)
		claims := d.good(a)
		claims.Size = MaxSignature + 1
		d.list(a, claims)
		before := d.count("GET /v2/acme/hello/manifests/" + string(claims.Digest))
		_, err := fetch(t, d, ":1.2.0")
		wants(t, err, ReasonUnsigned)
		if d.count("GET /v2/acme/hello/manifests/"+string(claims.Digest)) != before {
			t.Error("it was fetched")
		}
	})
}

// list writes the fallback tag of a registry without the referrers API.
func (d *double) list(a *Artifact, list ...ocispec.Descriptor) {
	for i := range list {
		list[i].ArtifactType = MediaSignature
	}
	raw, err := encodeIndex(list)
	if err != nil {
		d.t.Fatal(err)
	}
	d.add(raw, ocispec.MediaTypeImageIndex, "sha256-"+a.Digest.Hex())
}

// good returns the manifest of the signature.
func (d *double) good(a *Artifact) ocispec.Descriptor {
	r, err := a.referrer([]byte(bundleText))
	if err != nil {
		d.t.Fatal(err)
	}
	return r.manifest.descriptor()
}

// TestSeventeenJunkReferrers hides the good one behind the cap: refused when listed,
// found when an index names it.
func TestSeventeenJunkReferrers(t *testing.T) {
	t.Parallel()
	d, a := published(t, false)
	var junk []ocispec.Descriptor
	for i := range MaxCandidates + 1 {
		junk = append(junk, d.add(fmt.Appendf(nil, `{"junk":%d}`, i), MediaManifest, ""))
	}
	d.list(a, append(junk, d.good(a))...)
	_, err := fetch(t, d, ":1.2.0")
	wants(t, err, ReasonUnsigned)
	for i, j := range junk {
		if n := d.count("GET /v2/acme/hello/manifests/" + string(j.Digest)); (n == 1) != (i < MaxCandidates) {
			t.Errorf("junk %d was fetched %d times", i, n)
		}
	}
	lists := d.count("GET /v2/acme/hello/referrers")
	p, err := Fetch(t.Context(), d.ref(":1.2.0"), Options{Client: d.client(), Signature: abi.DigestOf([]byte(bundleText))})
	if err != nil {
		t.Fatal(err)
	}
	same(t, p, a)
	if d.count("GET /v2/acme/hello/referrers") != lists {
		t.Error("the list was asked for")
	}
	_, err = Fetch(t.Context(), d.ref(":1.2.0"), Options{Client: d.client(), Signature: abi.DigestOf([]byte("gone"))})
	wants(t, err, ReasonMissing)
}

// TestDeletedFallbackTagIsNoDowngrade removes what anybody with the right to push can.
func TestDeletedFallbackTagIsNoDowngrade(t *testing.T) {
	t.Parallel()
	d, a := published(t, false)
	delete(d.tags, "sha256-"+a.Digest.Hex())
	_, err := fetch(t, d, ":1.2.0")
	wants(t, err, ReasonUnsigned)
}

// TestRedirectCarriesNoCredentials sends the puller, with a login, to another server.
func TestRedirectCarriesNoCredentials(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(other.Close)
	d, a := published(t, true)
	var sent atomic.Int32
	login := func(_ context.Context, _ string) (string, string, error) { return "me", "secret", nil }
	for name, lie := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"a redirect": func(w http.ResponseWriter, r *http.Request) bool {
			if user, secret, ok := r.BasicAuth(); !ok || user != "me" || secret != "secret" {
				w.Header().Set("WWW-Authenticate", "Basic")
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			sent.Add(1)
			if strings.Contains(r.URL.Path, "/blobs/") {
				http.Redirect(w, r, other.URL+"/", http.StatusTemporaryRedirect)
				return true
			}
			return false
		},
		"a token service of its choice": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+other.URL+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		},
	} {
		d.lie = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool { return lie(w, r) }
		if _, err := Fetch(t.Context(), d.ref("@"+string(a.Digest)), Options{Client: d.client(), Login: login}); err == nil {
			t.Errorf("%s: it was followed", name)
		}
	}
	if hits.Load() != 0 || sent.Load() == 0 {
		t.Errorf("%d requests reached the other server, %d had the login", hits.Load(), sent.Load())
	}
}

func TestNothingIsReachedWithoutAClient(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"oci://127.0.0.1:1/a:1", "http://127.0.0.1:1/a:1"} {
		r, err := ParseRef(s)
		if err != nil {
			t.Fatal(err)
		}
		var refusal *Refusal
		if _, err := Fetch(t.Context(), r, Options{}); err == nil || errors.As(err, &refusal) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// FuzzImageManifest wants of every manifest that a registry could send under its right
// digest: refused, or the one that the files have.
func FuzzImageManifest(f *testing.F) {
	a := hello(f)
	blobs, _, err := layoutOf(a, "x", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(a.Manifest)
	f.Add(bytes.Replace(a.Manifest, []byte(`"size":8`), []byte(`"size":-8`), 1))
	f.Add([]byte(`{"schemaVersion":2,"layers":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all := maps.Clone(blobs)
		m := blobOf(MediaManifest, raw)
		all[blobPath(m.Digest)] = raw
		p, err := pullManifest(t.Context(), &layout{read: all.reader}, m.descriptor(), Options{})
		var r *Refusal
		switch {
		case err == nil && !bytes.Equal(p.Manifest, a.Manifest):
			t.Fatalf("taken: %s", raw)
		case err != nil && (!errors.As(err, &r) || r.Reason == ""):
			t.Fatalf("no reason: %v", err)
		}
	})
}

// TestTokenOfTheRegistryIsUsed logs in the way that most registries ask for: a token
// for the password, at a service that the operator named or the registry itself.
func TestTokenOfTheRegistryIsUsed(t *testing.T) {
	t.Parallel()
	d, a := published(t, true)
	d.lie = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		user, secret, basic := r.BasicAuth()
		switch {
		case r.URL.Path == "/token" && basic && user == "me" && secret == "secret" && r.URL.Query().Get("scope") == "repository:acme/hello:pull":
			_, _ = io.WriteString(w, `{"token":"t"}`)
		case r.URL.Path == "/token":
			w.WriteHeader(http.StatusForbidden)
		case r.Header.Get("Authorization") == "Bearer t":
			return false
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+d.url+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
		return true
	}
	o := Options{Client: d.client(), Login: func(context.Context, string) (string, string, error) { return "me", "secret", nil }}
	p, err := Fetch(t.Context(), d.ref(":1.2.0"), o)
	if err != nil {
		t.Fatal(err)
	}
	same(t, p, a)
	if n := d.count("GET /token"); n != 1 {
		t.Errorf("%d tokens were asked for", n)
	}
	o.Login = func(context.Context, string) (string, string, error) { return "me", "wrong", nil }
	if _, err := Fetch(t.Context(), d.ref(":1.2.0"), o); err == nil {
		t.Error("a wrong password was taken")
	}
}
