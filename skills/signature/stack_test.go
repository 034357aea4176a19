package signature_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/skills/signature"
)

// stack is a real Sigstore on this machine: Fulcio, timestamp authority and Rekor v2,
// with an OIDC issuer that believes whoever asks.
type stack struct {
	*bench
	issuer, fulcio, tsa, rekor string
	key                        *rsa.PrivateKey
}

func newStack(t *testing.T) *stack {
	t.Helper()
	fulcio, tsa, rekor := program(t, "fulcio"), program(t, "timestamp-server"), program(t, "posix")
	s := &stack{bench: newBench(t)}
	var err error
	if s.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	issuer := httptest.NewServer(http.HandlerFunc(s.oidc))
	t.Cleanup(issuer.Close)
	s.issuer = issuer.URL
	s.write(t, "fulcio.yaml", fmt.Appendf(nil, "oidc-issuers:\n  %[1]s:\n    issuer-url: %[1]s\n    client-id: sigstore\n    type: email\n", s.issuer))
	logKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "rekor.pem", privatePEM(t, logKey))
	s.write(t, "rekor.pub", publicPEM(t, logKey.Public()))

	p := ports(t, 7)
	s.fulcio, s.tsa, s.rekor = "http://127.0.0.1:"+p[0], "http://127.0.0.1:"+p[1], "http://127.0.0.1:"+p[2]
	s.start(t, fulcio, "serve", "--ca", "ephemeralca", "--ct-log-url", "", "--config-path", "fulcio.yaml", "--host", "127.0.0.1", "--port", p[0],
		"--grpc-host", "127.0.0.1", "--grpc-port", p[3], "--metrics-port", p[4])
	s.start(t, tsa, "serve", "--host", "127.0.0.1", "--port", p[1], "--timestamp-signer", "memory", "--disable-ntp-monitoring")
	s.start(t, rekor, "serve", "--http-address", "127.0.0.1", "--http-port", p[2], "--grpc-address", "127.0.0.1", "--grpc-port", p[5], "--http-metrics-port", p[6],
		"--hostname", "127.0.0.1", "--storage-dir", filepath.Join(s.dir, "log"), "--signer-filepath", "rekor.pem", "--checkpoint-interval", "1s")

	var bundle struct {
		Chains []struct{ Certificates []string }
	}
	if err := json.Unmarshal(s.get(t, s.fulcio+"/api/v2/trustBundle"), &bundle); err != nil {
		t.Fatal(err)
	}
	var chain bytes.Buffer
	for _, c := range bundle.Chains[0].Certificates {
		chain.WriteString(c)
	}
	s.write(t, "fulcio.pem", chain.Bytes())
	s.write(t, "tsa.pem", s.get(t, s.tsa+"/api/v1/timestamp/certchain"))
	s.get(t, s.rekor+"/healthz")
	s.configure(t)
	return s
}

// configure lets cosign write the root and the signing configuration of this stack.
func (s *stack) configure(t *testing.T) {
	t.Helper()
	const since = "start-time=2026-01-01T00:00:00Z"
	s.must(t, "trusted-root", "create", "--fulcio=url="+s.fulcio+",certificate-chain=fulcio.pem,"+since,
		"--rekor=url="+s.rekor+",public-key=rekor.pub,"+since+",origin=127.0.0.1",
		"--tsa=url="+s.tsa+"/api/v1/timestamp,certificate-chain=tsa.pem,"+since, "--out", "root.json")
	s.must(t, "signing-config", "create", "--fulcio=url="+s.fulcio+",api-version=1,operator=local,"+since,
		"--rekor=url="+s.rekor+",api-version=2,operator=local,"+since, "--rekor-config=ANY",
		"--oidc-provider=url="+s.issuer+",api-version=1,operator=local,"+since,
		"--tsa=url="+s.tsa+"/api/v1/timestamp,api-version=1,operator=local,"+since, "--tsa-config=ANY", "--out", "sc.json")
}

// start runs a service until the test ends.
func (s *stack) start(t *testing.T, exe string, args ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Dir = s.dir
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s:\n%s", exe, out.String())
		}
	})
}

// get asks a service until it answers.
func (s *stack) get(t *testing.T, url string) []byte {
	t.Helper()
	var last error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(url)
		if err != nil {
			last = err
			continue
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode == http.StatusOK {
			return b
		}
		last = fmt.Errorf("%s: %w", resp.Status, err)
	}
	t.Fatalf("%s: %v", url, last)
	return nil
}

// ports returns n free ports of the loopback.
func ports(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		out = append(out, port)
	}
	return out
}

// oidc answers discovery and keys.
func (s *stack) oidc(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]any{
			"issuer": s.issuer, "jwks_uri": s.issuer + "/keys", "authorization_endpoint": s.issuer + "/auth", "token_endpoint": s.issuer + "/token",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		}
	case "/keys":
		answer = map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": base64.RawURLEncoding.EncodeToString(s.key.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(s.key.E)).Bytes()),
		}}}
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// token returns an identity token for an address.
func (s *stack) token(t *testing.T, email string) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	now := time.Now().Unix()
	text := part(map[string]any{"alg": "RS256", "kid": "1", "typ": "JWT"}) + "." + part(map[string]any{
		"iss": s.issuer, "sub": email, "aud": "sigstore", "email": email, "email_verified": true, "iat": now, "nbf": now - 10, "exp": now + 600,
	})
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// TestKeylessAgainstRealServices signs with a real Fulcio, Rekor v2 and timestamp
// authority, by our code and by cosign, and lets each verify the other's.
func TestKeylessAgainstRealServices(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	const who = "release@acme.example"
	request := signature.Request{
		Digest: subject(), Facts: weather(), Fulcio: s.fulcio, Token: s.token(t, who), Log: s.rekor,
		Timestamps: []string{s.tsa + "/api/v1/timestamp"}, Transport: http.DefaultTransport,
	}
	ours, err := signature.Sign(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "ours.json", ours)
	s.must(t, "attest-blob", "--yes", "--identity-token", s.token(t, who), "--signing-config", "sc.json", "--trusted-root", "root.json",
		"--type", signature.PredicateSkill, "--predicate", "facts.json", "--bundle", "theirs.json", "manifest.json")

	if dir := os.Getenv("GLOVEBOX_VECTORS"); dir != "" { // make testdata/keyless anew
		for name, b := range map[string][]byte{"glovebox.json": ours, "cosign.json": s.read(t, "theirs.json"), "root.json": s.read(t, "root.json"), "issuer": []byte(s.issuer)} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	publisher := func(id signature.Identity, class signature.Class) (*signature.Verifier, error) {
		return signature.New(signature.Config{
			Publishers: []signature.Publisher{{Name: "acme", Skills: []string{"weather"}, Identity: &id, TrustedRoot: "stack"}},
			Roots:      map[string]signature.Root{"stack": {Class: class, JSON: s.read(t, "root.json")}},
		})
	}
	good := signature.Identity{Issuer: s.issuer, SAN: who}
	v, err := publisher(good, signature.PrivateV2)
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{"ours": ours, "cosign's": s.read(t, "theirs.json")} {
		got, err := v.Verify(raw, subject(), "weather")
		if err != nil {
			t.Fatalf("%s: %v: %v", name, err, err.(*signature.Refusal).Err)
		}
		if got.Signer != who || got.Issuer != s.issuer || time.Since(got.At) > time.Hour {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if _, err := v.Verify(ours, signatureOfNothing, "weather"); reasonOf(t, err) != signature.ReasonDigest {
		t.Errorf("another digest: %v", err)
	}
	other, err := publisher(signature.Identity{Issuer: s.issuer, SAN: "other@acme.example"}, signature.PrivateV2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Verify(ours, subject(), "weather"); reasonOf(t, err) != signature.ReasonIdentity {
		t.Errorf("another identity: %v", err)
	}
	if _, err := publisher(good, signature.PublicGood); err == nil {
		t.Error("a root without certificate log is one of the public good")
	}
	s.must(t, "verify-blob-attestation", "--bundle", "ours.json", "--type", signature.PredicateSkill, "--trusted-root", "root.json",
		"--certificate-identity", who, "--certificate-oidc-issuer", s.issuer, "--insecure-ignore-sct", "manifest.json")
	if out, err := s.run(t, "verify-blob-attestation", "--bundle", "ours.json", "--type", signature.PredicateSkill, "--trusted-root", "root.json",
		"--certificate-identity", "other@acme.example", "--certificate-oidc-issuer", s.issuer, "--insecure-ignore-sct", "manifest.json"); err == nil {
		t.Errorf("cosign verifies another identity: %s", out)
	}

	// Without a time or a log the bundle is made, and no class accepts it.
	for name, c := range map[string]struct {
		change func(*signature.Request)
		want   signature.Reason
	}{
		"no timestamp": {func(r *signature.Request) { r.Timestamps = nil }, signature.ReasonTime},
		"no log":       {func(r *signature.Request) { r.Log = "" }, signature.ReasonNoLog},
	} {
		r := request
		c.change(&r)
		raw, err := signature.Sign(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(raw, subject(), "weather"); reasonOf(t, err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := request
	bad.Token = s.token(t, who)[:40] + "x" + s.token(t, who)[41:]
	if _, err := signature.Sign(t.Context(), bad); err == nil {
		t.Error("Fulcio certifies a token that was changed")
	}
}

// signatureOfNothing is a digest that nobody signed.
const signatureOfNothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
