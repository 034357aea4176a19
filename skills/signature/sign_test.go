package signature_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/glovebox-dev/glovebox/skills/signature/signtest"
)

// service is a Signer that keeps its key to itself, as a KMS does.
type service struct {
	private *ecdsa.PrivateKey
	err     error
	asked   int
}

func (s *service) PublicKey() *ecdsa.PublicKey { return &s.private.PublicKey }

func (s *service) SignDigest(ctx context.Context, sum [sha256.Size]byte) ([]byte, error) {
	s.asked++
	return append([]byte(nil), s.answer(ctx, sum)...), s.err
}

func (s *service) answer(_ context.Context, sum [sha256.Size]byte) []byte {
	b, err := ecdsa.SignASN1(rand.Reader, s.private, sum[:])
	if err != nil {
		panic(err)
	}
	return b
}

func TestAnySignerSigns(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	kms := &service{private: private}
	raw, err := signature.Sign(t.Context(), signature.Request{Digest: subject(), Facts: weather(), Signer: kms})
	if err != nil || kms.asked != 1 {
		t.Fatalf("asked %d times: %v", kms.asked, err)
	}
	k, err := signature.PublicKeyOf(kms)
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, signature.Config{Publishers: []signature.Publisher{{Name: "kms", Skills: []string{"*"}, Key: k}}})
	if _, err := v.Verify(raw, subject(), "weather"); err != nil {
		t.Error(err)
	}
	kms.err = errors.New("no quota")
	if _, err := signature.Sign(t.Context(), signature.Request{Digest: subject(), Facts: weather(), Signer: kms}); !errors.Is(err, kms.err) {
		t.Errorf("the service failed: %v", err)
	}
	if kms.private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, err := signature.Sign(t.Context(), signature.Request{Digest: subject(), Facts: weather(), Signer: kms}); !errors.Is(err, signature.ErrKey) {
		t.Errorf("a key on P-384: %v", err)
	}
}

func TestWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	k := signtest.Key(t).Signer
	for name, c := range map[string]struct {
		r    signature.Request
		want error
	}{
		"no key":              {signature.Request{Digest: subject()}, signature.ErrNoKey},
		"no token":            {signature.Request{Digest: subject(), Fulcio: "https://f.example"}, signature.ErrNoToken},
		"no transport":        {signature.Request{Digest: subject(), Signer: k, Log: "https://r.example"}, signature.ErrNoTransport},
		"plain http":          {signature.Request{Digest: subject(), Signer: k, Log: "http://r.example", Transport: http.DefaultTransport}, signature.ErrService},
		"a name for loopback": {signature.Request{Digest: subject(), Signer: k, Timestamps: []string{"http://localhost:1"}, Transport: http.DefaultTransport}, signature.ErrService},
		"a user in the URL":   {signature.Request{Digest: subject(), Signer: k, Log: "https://u:p@r.example", Transport: http.DefaultTransport}, signature.ErrService},
		"no URL":              {signature.Request{Digest: subject(), Signer: k, Log: "r.example", Transport: http.DefaultTransport}, signature.ErrService},
	} {
		if b, err := signature.Sign(t.Context(), c.r); !errors.Is(err, c.want) || b != nil {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if _, err := signature.Sign(t.Context(), signature.Request{Digest: "sha256:00", Signer: k}); err == nil {
		t.Error("signed a digest that is none")
	}
}

// TestTokenGoesToFulcioAlone: a redirect is an error, and nobody behind it sees the token.
func TestTokenGoesToFulcioAlone(t *testing.T) {
	t.Parallel()
	var seen []string
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
	}))
	defer thief.Close()
	fulcio := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, thief.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer fulcio.Close()
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://i.example","sub":"a","email":"a@b.example","email_verified":true}`))
	_, err := signature.Sign(t.Context(), signature.Request{
		Digest: subject(), Facts: weather(), Fulcio: fulcio.URL, Token: "e30." + claims + ".e30", Transport: http.DefaultTransport,
	})
	if !errors.Is(err, signature.ErrService) || len(seen) > 0 {
		t.Errorf("got %v; the other host saw %q", err, seen)
	}
}

// TestServicesAreBounded: an answer without end, and one that is none.
func TestServicesAreBounded(t *testing.T) {
	t.Parallel()
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		for b := bytes.Repeat([]byte(" "), 1<<16); ; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer broken.Close()
	for _, url := range []string{endless.URL, broken.URL} {
		_, err := signature.Sign(t.Context(), signature.Request{Digest: subject(), Facts: weather(), Signer: signtest.Key(t).Signer, Log: url, Transport: http.DefaultTransport})
		if err == nil {
			t.Errorf("an entry out of nothing")
		}
	}
}

func TestFactsOfAnotherManifest(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*signature.Facts){
		"name":              func(f *signature.Facts) { f.Name = "other" },
		"version":           func(f *signature.Facts) { f.Version = "1.4.1" },
		"abi":               func(f *signature.Facts) { f.ABI = abi.ProfileRaw },
		"digest":            func(f *signature.Facts) { f.Manifest = abi.DigestOf(nil) },
		"a path":            func(f *signature.Facts) { f.Capabilities.HTTP[0].Paths = []string{"/*"} },
		"one more right":    func(f *signature.Facts) { f.Capabilities.Human = &abi.HumanNeed{Ask: true} },
		"no right any more": func(f *signature.Facts) { f.Capabilities.KV = nil },
	} {
		real := weather()
		change(&real)
		signed := weather()
		if err := signed.Check(real); reasonOf(t, err) != signature.ReasonManifest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignatureFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := signature.In(dir)
	if b, err := signature.ReadFile(path); err != nil || len(b) != 0 {
		t.Errorf("no file: %d bytes, %v", len(b), err)
	}
	if err := signature.WriteFile(path, []byte("bundle")); err != nil {
		t.Fatal(err)
	}
	if b, err := signature.ReadFile(path); err != nil || string(b) != "bundle" {
		t.Errorf("got %q, %v", b, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, make([]byte, signature.MaxBundle+1), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := signature.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier(t, signature.Config{}).Verify(b, subject(), "weather"); reasonOf(t, err) != signature.ReasonSize {
		t.Errorf("too many bytes: %v", err)
	}
	if _, err := signature.ReadFile(dir); err == nil {
		t.Error("a folder is read")
	}
}

// TestRefusalNamesTheFolder: the command that a refusal names can be pasted.
func TestRefusalNamesTheFolder(t *testing.T) {
	t.Parallel()
	_, err := verifier(t, signature.Config{}).Verify(nil, subject(), "weather")
	var r *signature.Refusal
	if !errors.As(err, &r) || r.In("'my skill'").Fix != "glovebox skill sign 'my skill'" || !strings.Contains(r.Error(), "sig.missing") {
		t.Errorf("got %v, fix %q", err, r.Fix)
	}
	for _, reason := range signature.Reasons() {
		if !strings.Contains(string(reason), ".") {
			t.Errorf("reason %q", reason)
		}
	}
}
