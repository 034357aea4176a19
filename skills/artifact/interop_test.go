package artifact

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// realRegistry starts Debian's docker-registry on loopback and returns its host.
func realRegistry(t *testing.T) string {
	t.Helper()
	testenv.Need(t, "registry", testenv.Program("docker-registry"))
	dir, host := t.TempDir(), freePort(t)
	write(t, dir, map[string]string{"c.yml": fmt.Sprintf(`version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}
http: {addr: %q}
`, filepath.Join(dir, "data"), host)})
	cmd := exec.CommandContext(t.Context(), "docker-registry", "serve", filepath.Join(dir, "c.yml"))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the context has killed it
	client := operatorClient(t, "http://"+host).HTTP()
	for range 300 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			return host
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the registry does not answer: %s", log.Bytes())
	return ""
}

// freePort returns a loopback address that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run runs a tool in dir with a home of its own, and returns what it prints.
func run(t *testing.T, dir string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func cosignVerify(t *testing.T, image string) (string, error) {
	t.Helper()
	return run(t, cosignFiles(t), nil, "cosign", "verify", "--key", "cosign.pub", "--trusted-root", "root.json",
		"--insecure-ignore-tlog=true", "--allow-http-registry", image)
}

// cosignFiles holds the key of the vectors, and nothing to ask a network about.
func cosignFiles(t *testing.T) string {
	t.Helper()
	dir, vectors := t.TempDir(), filepath.Join("..", "signature", "testdata", "cosign")
	for _, name := range []string{"cosign.key", "cosign.pub"} {
		b, err := os.ReadFile(filepath.Join(vectors, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, map[string]string{name: string(b)})
	}
	write(t, dir, map[string]string{
		"signing.json": `{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":[],"oidcUrls":[],"rekorTlogUrls":[],"tsaUrls":[],"rekorTlogConfig":{"selector":"ANY"},"tsaConfig":{"selector":"ANY"}}`,
		"root.json":    `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[],"certificateAuthorities":[],"ctlogs":[],"timestampAuthorities":[]}`,
	})
	return dir
}

// signed signs an artifact with the key of the vectors.
func signed(t testing.TB, b *skills.Bundle, a *Artifact) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "signature", "testdata", "cosign", "cosign.key"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signature.LoadSigner(text, func() ([]byte, error) { return []byte("vector"), nil })
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signature.Sign(t.Context(), signature.Request{Digest: a.Digest, Facts: signature.FactsOf(b.Manifest, b.Digest), Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func verifier(t testing.TB) *signature.Verifier {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "signature", "testdata", "cosign", "cosign.pub"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := signature.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := signature.New(signature.Config{Publishers: []signature.Publisher{{Name: "acme", Skills: []string{"*"}, Key: key}}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSignatureFileHasOneName(t *testing.T) {
	t.Parallel()
	if SignatureFile != signature.File {
		t.Errorf("%s and %s", SignatureFile, signature.File)
	}
}

// TestRealRegistry publishes to a real registry, pulls by tag and by digest, and lets
// the tools of the field read and verify what is there.
func TestRealRegistry(t *testing.T) {
	t.Parallel()
	host := realRegistry(t)
	b := build(t, map[string]string{"SKILL.md": "# hello\n"})
	a, err := Manifest(b)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Client: operatorClient(t, "http://"+host)}
	place := "oci://" + host + "/acme/hello"
	pinned, err := Publish(t.Context(), ref(t, place+":1.2.0"), a, [][]byte{signed(t, b, a)}, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pinned.String(), place + ":1.2.0", place + "@" + string(a.Digest)} {
		p, err := Fetch(t.Context(), ref(t, name), o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := verifier(t).Verify(p.Signatures[0], p.Digest, p.Name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	other, err := Manifest(build(t, map[string]string{"SKILL.md": "# other\n"}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Publish(t.Context(), ref(t, place+":1.2.0"), other, nil, Options{Client: o.Client, Unsigned: true})
	wants(t, err, ReasonTaken)
	image := host + "/acme/hello@" + string(a.Digest)

	t.Run("oras pulls the folder", func(t *testing.T) {
		testenv.Need(t, "oras", testenv.Program("oras"))
		dir := t.TempDir()
		if out, err := run(t, dir, nil, "oras", "pull", "--plain-http", "-o", "hello", image); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got, err := skills.Open(filepath.Join(dir, "hello"))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Manifest(got); err != nil || again.Digest != a.Digest {
			t.Errorf("the folder that oras made has another digest: %v", err)
		}
	})
	t.Run("oras finds the signature", func(t *testing.T) {
		testenv.Need(t, "oras", testenv.Program("oras"))
		out, err := run(t, t.TempDir(), nil, "oras", "discover", "--plain-http", image)
		if err != nil || !strings.Contains(out, MediaSignature) {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("oras copies it, and we read the copy", func(t *testing.T) {
		testenv.Need(t, "oras", testenv.Program("oras"))
		dir := t.TempDir()
		if out, err := run(t, dir, nil, "oras", "copy", "--recursive", "--from-plain-http", "--to-oci-layout", host+"/acme/hello:1.2.0", "copy:1.2.0"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		p, err := Fetch(t.Context(), ref(t, filepath.Join(dir, "copy")+":1.2.0"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifier(t).Verify(p.Signatures[0], p.Digest, p.Name); err != nil {
			t.Error(err)
		}
	})
	t.Run("oras pulls out of the single file", func(t *testing.T) {
		testenv.Need(t, "oras", testenv.Program("oras"))
		dir := t.TempDir()
		if err := WriteFile(filepath.Join(dir, a.FileName()), a, signed(t, b, a)); err != nil {
			t.Fatal(err)
		}
		if out, err := run(t, dir, nil, "oras", "pull", "--oci-layout", a.FileName()+":"+a.Tag(), "-o", "hello"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if _, err := skills.Open(filepath.Join(dir, "hello")); err != nil {
			t.Error(err)
		}
	})
	t.Run("cosign verifies our signature", func(t *testing.T) {
		testenv.Need(t, "cosign", testenv.Program("cosign"))
		if out, err := cosignVerify(t, image); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("cosign signs, and we verify", func(t *testing.T) {
		testenv.Need(t, "cosign", testenv.Program("cosign"))
		unsigned := ref(t, "oci://"+host+"/acme/unsigned:1")
		if _, err := Publish(t.Context(), unsigned, a, nil, Options{Client: o.Client, Unsigned: true}); err != nil {
			t.Fatal(err)
		}
		_, err := Fetch(t.Context(), unsigned, o)
		wants(t, err, ReasonUnsigned)
		if out, err := cosignVerify(t, host+"/acme/unsigned@"+string(a.Digest)); err == nil {
			t.Errorf("cosign verified what nobody signed: %s", out)
		}
		dir := cosignFiles(t)
		out, err := run(t, dir, []string{"COSIGN_PASSWORD=vector"}, "cosign", "sign", "--yes", "--key", "cosign.key", "--signing-config", "signing.json",
			"--trusted-root", "root.json", "--allow-http-registry", host+"/acme/unsigned@"+string(a.Digest))
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		p, err := Fetch(t.Context(), unsigned, o)
		if err != nil {
			t.Fatal(err)
		}
		s, err := verifier(t).Verify(p.Signatures[0], p.Digest, abi.SkillName("hello"))
		if err != nil || s.Predicate != signature.PredicateCosign {
			t.Errorf("got %+v, %v", s, err)
		}
	})
}
