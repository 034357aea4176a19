package signature_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/glovebox-dev/glovebox/skills/signature/signtest"
	sig "github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// mirror is a TUF repository with one target, trusted_root.json.
type mirror struct {
	key     ed25519.PrivateKey
	root    []byte
	files   map[string][]byte
	expires time.Time
}

func newMirror(t *testing.T) *mirror {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m := &mirror{key: key, files: map[string][]byte{}, expires: time.Now().Add(time.Hour)}
	r := metadata.Root(time.Now().Add(time.Hour))
	public, err := metadata.KeyFromPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		if err := r.Signed.AddKey(public, role); err != nil {
			t.Fatal(err)
		}
	}
	m.root = seal(t, m, r)
	return m
}

func seal[T metadata.Roles](t *testing.T, m *mirror, md *metadata.Metadata[T]) []byte {
	t.Helper()
	signer, err := sig.LoadSigner(m.key, crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := md.Sign(signer); err != nil {
		t.Fatal(err)
	}
	b, err := md.ToBytes(false)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// publish makes the repository hold target, at a version.
func (m *mirror) publish(t *testing.T, version int64, target []byte) {
	t.Helper()
	sum := sha256.Sum256(target)
	targets := metadata.Targets(m.expires)
	targets.Signed.Version = version
	targets.Signed.Targets["trusted_root.json"] = &metadata.TargetFiles{Length: int64(len(target)), Hashes: metadata.Hashes{"sha256": sum[:]}}
	snapshot := metadata.Snapshot(m.expires)
	snapshot.Signed.Version = version
	snapshot.Signed.Meta["targets.json"] = metadata.MetaFile(version)
	timestamp := metadata.Timestamp(m.expires)
	timestamp.Signed.Version = version
	timestamp.Signed.Meta["snapshot.json"] = metadata.MetaFile(version)
	v := strconv.FormatInt(version, 10)
	m.files = map[string][]byte{
		"/timestamp.json": seal(t, m, timestamp), "/" + v + ".snapshot.json": seal(t, m, snapshot), "/" + v + ".targets.json": seal(t, m, targets),
		"/targets/" + hex.EncodeToString(sum[:]) + ".trusted_root.json": target,
	}
}

func (m *mirror) serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := m.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(b)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestUpdateOfTheRoot: signed, current and not older than before, or nothing.
func TestUpdateOfTheRoot(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	src := signature.Source{Mirror: m.serve(t), TUFRoot: m.root, Cache: filepath.Join(t.TempDir(), "tuf"), Transport: http.DefaultTransport}
	update := func(want string) {
		t.Helper()
		r, err := signature.Update(t.Context(), src)
		switch {
		case want == "" && (err != nil || !bytes.Equal(r.JSON, m.target()) || r.Class != signature.PublicGood):
			t.Errorf("got %d bytes, %v", len(r.JSON), err)
		case want != "" && (!errors.Is(err, signature.ErrUpdate) || !strings.Contains(err.Error(), want) || r.JSON != nil):
			t.Errorf("got %v, want %q", err, want)
		}
	}
	good := signtest.New(t).LoggedRoot(t, signature.PublicGood).JSON
	m.publish(t, 2, good)
	update("")
	old := m.files
	m.publish(t, 3, signature.PublicGoodRoot().JSON)
	update("")

	m.files = old
	update("version")
	m.publish(t, 4, good)
	for name := range m.files {
		if strings.HasPrefix(name, "/targets/") {
			m.files[name] = append([]byte(" "), m.files[name][1:]...)
		}
	}
	update("hash")
	m.publish(t, 5, []byte("{}"))
	update("media type")
	m.publish(t, 6, signtest.New(t).TrustedRoot(t))
	update("no certificate log")
	m.expires = time.Now().Add(-time.Minute)
	m.publish(t, 7, good)
	update("expired")

	m.expires = time.Now().Add(time.Hour)
	m.publish(t, 8, good)
	other := newMirror(t)
	other.publish(t, 9, good)
	m.files["/timestamp.json"] = other.files["/timestamp.json"]
	update("signatures")

	for name, s := range map[string]signature.Source{
		"a mirror without a root": {Mirror: src.Mirror, Cache: src.Cache, Transport: http.DefaultTransport},
		"no cache":                {Mirror: src.Mirror, TUFRoot: m.root, Transport: http.DefaultTransport},
		"no transport":            {Mirror: src.Mirror, TUFRoot: m.root, Cache: src.Cache},
		"plain http":              {Mirror: "http://tuf.example", TUFRoot: m.root, Cache: src.Cache, Transport: http.DefaultTransport},
		"nobody there":            {Mirror: "http://127.0.0.1:1", TUFRoot: m.root, Cache: filepath.Join(t.TempDir(), "x"), Transport: http.DefaultTransport},
	} {
		if _, err := signature.Update(t.Context(), s); !errors.Is(err, signature.ErrUpdate) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if http.DefaultClient.Transport != nil {
		t.Error("the default client has another transport now")
	}
}

func (m *mirror) target() []byte {
	for name, b := range m.files {
		if strings.HasPrefix(name, "/targets/") {
			return b
		}
	}
	return nil
}

// TestEmbeddedRoots: the root of trust that this build carries is the one that its
// comment names, and the TUF root descends from the one in sigstore-go's source.
func TestEmbeddedRoots(t *testing.T) {
	t.Parallel()
	if got := abi.DigestOf(signature.PublicGoodRoot().JSON); got != "sha256:6494e21ea73fa7ee769f85f57d5a3e6a08725eae1e38c755fc3517c9e6bc0b66" {
		t.Errorf("trusted root %s", got)
	}
	if _, err := signature.NewProvenanceVerifier(signature.PublicGoodRoot()); err != nil {
		t.Error(err)
	}
	b := signature.TUFRoot()
	if got := abi.DigestOf(b); got != "sha256:73747011d0857ada15479a16c4cae0f3ed03aac698b523b97e1de314ac9d9ca8" {
		t.Errorf("TUF root %s", got)
	}
	trusted, err := trustedmetadata.New(sigstoreFile(t, "pkg/tuf/repository/root.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trusted.UpdateRoot(b); err != nil {
		t.Errorf("the TUF root is not signed by the one before it: %v", err)
	}
}
