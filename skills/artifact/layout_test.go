package artifact

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/oci"
)

func ref(t testing.TB, s string) Ref {
	t.Helper()
	r, err := ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// layoutFolder returns a folder with the artifact of these tests.
func layoutFolder(t testing.TB) (string, *Artifact) {
	t.Helper()
	dir, a := filepath.Join(t.TempDir(), "layout"), hello(t)
	if _, err := Publish(t.Context(), ref(t, dir), a, [][]byte{[]byte(bundleText)}, Options{}); err != nil {
		t.Fatal(err)
	}
	return dir, a
}

func serveFolder(t testing.TB, dir string) (*broker.Operator, string) {
	t.Helper()
	s := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(s.Close)
	return operatorClient(t, s.URL), s.URL
}

func TestFoldersAndServersAnswerAlike(t *testing.T) {
	t.Parallel()
	dir, a := layoutFolder(t)
	client, url := serveFolder(t, dir)
	for _, place := range []string{dir, url + "/"} {
		for _, name := range []string{"", ":hello-1.2.0", "@" + string(a.Digest), ":hello-1.2.0@" + string(a.Digest)} {
			p, err := Fetch(t.Context(), ref(t, place+name), Options{Client: client})
			if err != nil {
				t.Fatalf("%s%s: %v", place, name, err)
			}
			same(t, p, a)
		}
		p, err := Fetch(t.Context(), ref(t, place), Options{Client: client, Signature: abi.DigestOf([]byte(bundleText))})
		if err != nil {
			t.Fatal(err)
		}
		same(t, p, a)
		for name, want := range map[string]Reason{
			":other": ReasonMissing, "@" + string(abi.DigestOf(nil)): ReasonMissing,
			":hello-1.2.0@" + string(abi.DigestOf(nil)): ReasonPin,
		} {
			_, err := Fetch(t.Context(), ref(t, place+name), Options{Client: client})
			wants(t, err, want)
		}
	}
	_, err := Fetch(t.Context(), ref(t, filepath.Join(dir, "gone")), Options{})
	wants(t, err, ReasonMissing)
}

// TestFolderKeepsWhatItHas publishes more than one artifact to a folder.
func TestFolderKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	dir, a := layoutFolder(t)
	other, err := Manifest(build(t, map[string]string{"SKILL.md": "# other\n"}))
	if err != nil {
		t.Fatal(err)
	}
	bundles := [][]byte{[]byte(`{"of":"other"}`)}
	_, err = Publish(t.Context(), ref(t, dir), other, bundles, Options{})
	wants(t, err, ReasonTaken)
	if _, err := Publish(t.Context(), ref(t, dir+":next"), other, bundles, Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Publish(t.Context(), ref(t, dir), a, [][]byte{[]byte(bundleText)}, Options{}); err != nil {
		t.Errorf("the same again: %v", err)
	}
	_, err = Fetch(t.Context(), ref(t, dir), Options{})
	wants(t, err, ReasonReference)
	p, err := Fetch(t.Context(), ref(t, dir+":hello-1.2.0"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, p, a)
	p, err = Fetch(t.Context(), ref(t, dir+":next"), Options{})
	if err != nil || p.Digest != other.Digest || len(p.Signatures) != 1 || string(p.Signatures[0]) != `{"of":"other"}` {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := Publish(t.Context(), ref(t, dir), other, bundles, Options{Move: true}); err != nil {
		t.Error(err)
	}
	if p, err := Fetch(t.Context(), ref(t, dir+":hello-1.2.0"), Options{}); err != nil || p.Digest != other.Digest {
		t.Errorf("moved to %+v, %v", p, err)
	}
}

func TestPublishersToOneFolderWaitForEachOther(t *testing.T) {
	t.Parallel()
	dir, a := layoutFolder(t)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			if _, err := Publish(t.Context(), ref(t, fmt.Sprintf("%s:v%d", dir, i)), a, [][]byte{[]byte(bundleText)}, Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range 16 {
		if _, err := Fetch(t.Context(), ref(t, fmt.Sprintf("%s:v%d", dir, i)), Options{}); err != nil {
			t.Error(err)
		}
	}
}

// TestHostileFolders damages a folder.
func TestHostileFolders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string, a *Artifact)
		want   Reason
	}{
		{"no mark", func(t *testing.T, dir string, _ *Artifact) { remove(t, dir, "oci-layout") }, ReasonMissing},
		{"no index", func(t *testing.T, dir string, _ *Artifact) { remove(t, dir, "index.json") }, ReasonMissing},
		{"a blob that changed", func(t *testing.T, dir string, a *Artifact) {
			write(t, dir, map[string]string{blobPath(file(a, "SKILL.md").Digest): "# hellO\n"})
		}, ReasonDigest},
		{"a longer blob", func(t *testing.T, dir string, a *Artifact) {
			write(t, dir, map[string]string{blobPath(file(a, "SKILL.md").Digest): "# hello\n\n"})
		}, ReasonSize},
		{"a link to a file outside", func(t *testing.T, dir string, a *Artifact) {
			outside := filepath.Join(t.TempDir(), "x")
			write(t, filepath.Dir(outside), map[string]string{"x": "# hello\n"})
			name := filepath.Join(dir, filepath.FromSlash(blobPath(file(a, "SKILL.md").Digest)))
			remove(t, dir, blobPath(file(a, "SKILL.md").Digest))
			if err := os.Symlink(outside, name); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"a folder for a blob", func(t *testing.T, dir string, a *Artifact) {
			remove(t, dir, blobPath(file(a, "SKILL.md").Digest))
			if err := os.Mkdir(filepath.Join(dir, filepath.FromSlash(blobPath(file(a, "SKILL.md").Digest))), 0o755); err != nil {
				t.Fatal(err)
			}
		}, ReasonMissing},
		{"10,001 entries", func(t *testing.T, dir string, a *Artifact) {
			index := `{"schemaVersion":2,"manifests":[` + strings.TrimSuffix(strings.Repeat(`{"mediaType":"x","size":1},`, maxEntries+1), ",") + `]}`
			write(t, dir, map[string]string{"index.json": index})
		}, ReasonSize},
		{"an index of 5 MiB", func(t *testing.T, dir string, _ *Artifact) {
			write(t, dir, map[string]string{"index.json": strings.Repeat(" ", 5<<20)})
		}, ReasonSize},
		{"an index with a key twice", func(t *testing.T, dir string, _ *Artifact) {
			write(t, dir, map[string]string{"index.json": `{"manifests":[],"manifests":[]}`})
		}, ReasonManifest},
		{"an index that names an index", func(t *testing.T, dir string, a *Artifact) {
			edit(t, dir, func(x *ocispec.Index) { x.Manifests[tagged(x)].MediaType = ocispec.MediaTypeImageIndex })
		}, ReasonMedia},
		{"a digest that is a path", func(t *testing.T, dir string, a *Artifact) {
			edit(t, dir, func(x *ocispec.Index) { x.Manifests[tagged(x)].Digest = "sha256:../../../x" })
		}, ReasonDigest},
		{"a tag for two artifacts", func(t *testing.T, dir string, a *Artifact) {
			edit(t, dir, func(x *ocispec.Index) {
				d := x.Manifests[tagged(x)]
				d.Digest = a.descriptor().Digest[:len(a.Digest)-1] + "0"
				x.Manifests = append(x.Manifests, d)
			})
		}, ReasonReference},
		{"a signature that is about another artifact", func(t *testing.T, dir string, a *Artifact) {
			edit(t, dir, func(x *ocispec.Index) {
				x.Manifests[1-tagged(x)].Annotations[annotationSubject] = string(abi.DigestOf(nil))
			})
		}, ReasonUnsigned},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, a := layoutFolder(t)
			c.damage(t, dir, a)
			_, err := Fetch(t.Context(), ref(t, dir+":hello-1.2.0"), Options{})
			if c.want != "" {
				wants(t, err, c.want)
			} else if err == nil {
				t.Error("it was taken")
			}
		})
	}
}

// file returns a file of an artifact.
func file(a *Artifact, name string) Blob {
	return a.Blobs[slices.IndexFunc(a.Blobs, func(b Blob) bool { return b.Name == name })]
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, dir string, change func(*ocispec.Index)) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		t.Fatal(err)
	}
	change(&index)
	if raw, err = json.Marshal(index); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"index.json": string(raw)})
}

func tagged(x *ocispec.Index) int {
	return slices.IndexFunc(x.Manifests, func(d ocispec.Descriptor) bool { return d.Annotations[ocispec.AnnotationRefName] != "" })
}

// TestOrasReadsTheSingleFile opens it with the library that the oras tool is made of.
func TestOrasReadsTheSingleFile(t *testing.T) {
	t.Parallel()
	a := hello(t)
	name := filepath.Join(t.TempDir(), a.FileName())
	if err := WriteFile(name, a, []byte(bundleText)); err != nil {
		t.Fatal(err)
	}
	store, err := oci.NewFromTar(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	d, err := store.Resolve(t.Context(), a.Tag())
	if err != nil || abi.Digest(d.Digest) != a.Digest {
		t.Fatalf("resolved %v, %v", d, err)
	}
	signers, err := store.Predecessors(t.Context(), d)
	if err != nil || len(signers) != 1 {
		t.Errorf("signatures %v, %v", signers, err)
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("a", 64)
	for s, want := range map[string]Ref{
		"oci://registry.example/a/b:1.0":            {Kind: Registry, Place: "registry.example/a/b", Tag: "1.0"},
		"oci://127.0.0.1:5000/a@" + digest:          {Kind: Registry, Place: "127.0.0.1:5000/a", Digest: abi.Digest(digest)},
		"oci://registry.example:8443/a:1@" + digest: {Kind: Registry, Place: "registry.example:8443/a", Tag: "1", Digest: abi.Digest(digest)},
		"https://skills.example/a":                  {Kind: Web, Place: "https://skills.example/a"},
		"https://skills.example:8443/a/:x":          {Kind: Web, Place: "https://skills.example:8443/a", Tag: "x"},
		"https://skills.example:8443":               {Kind: Web, Place: "https://skills.example:8443"},
		"http://127.0.0.1:1/a":                      {Kind: Web, Place: "http://127.0.0.1:1/a"},
		"http://[::1]:1/a":                          {Kind: Web, Place: "http://[::1]:1/a"},
		"./folder":                                  {Kind: Folder, Place: "./folder"},
		"/a/b:hello-1.0":                            {Kind: Folder, Place: "/a/b", Tag: "hello-1.0"},
		"a-1.0.skill.tar@" + digest:                 {Kind: File, Place: "a-1.0.skill.tar", Digest: abi.Digest(digest)},
	} {
		got, err := ParseRef(s)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
		if again, err := ParseRef(got.String()); err != nil || again != got {
			t.Errorf("%s: read again as %+v, %v", got, again, err)
		}
	}
	for _, s := range []string{
		"", ":x", "oci://", "oci://host", "oci://host/UPPER:1", "oci://me:pw@host/a:1", "oci://host/a:1@sha256:x", "oci://host/a:" + strings.Repeat("x", 200),
		"oci://host/../a:1", "oci://host/a?x=1:1", "https://me@host/a", "https://host/a?b", "https://host/a#b", "http://host/a", "http://10.0.0.1/a", "https:///a",
		"ftp://host/a", "file:///etc", "folder:a/b:", "a\nb", "x@sha512:" + strings.Repeat("a", 128), "x@" + digest + "@" + digest,
	} {
		_, err := ParseRef(s)
		wants(t, err, ReasonReference)
		if err == nil {
			t.Errorf("%q was read", s)
		}
	}
	for s, want := range map[string]abi.Origin{
		"oci://registry.example/a:1": "https://registry.example", "oci://127.0.0.1:5000/a:1": "http://127.0.0.1:5000", "oci://10.0.0.1:5000/a:1": "https://10.0.0.1:5000",
		"oci://docker.io/a/b:1": "https://registry-1.docker.io", "oci://[::1]:5000/a:1": "http://[::1]:5000", "oci://localhost:5000/a:1": "https://localhost:5000", "https://a.example/x": "https://a.example", "./x": "",
	} {
		if got := ref(t, s).Origin(); got != want {
			t.Errorf("%s: origin %s, want %s", s, got, want)
		}
	}
}

// TestExtractIsWholeOrNotThere breaks off at each file in turn.
func TestExtractIsWholeOrNotThere(t *testing.T) {
	t.Parallel()
	a := hello(t)
	parent := t.TempDir()
	for i := 1; i < len(a.Blobs); i++ {
		broken := *a
		broken.Blobs = slices.Clone(a.Blobs)
		broken.Blobs[i].Name = strings.Repeat("x", 300) // no disk has it
		if err := broken.Extract(filepath.Join(parent, "hello"), []byte(bundleText)); err == nil {
			t.Errorf("file %d: no error", i)
		}
		if list, err := os.ReadDir(parent); err != nil || len(list) != 0 {
			t.Errorf("file %d left %v, %v", i, list, err)
		}
	}
	for _, name := range []string{"../x", "/x", "assets/../../x"} {
		broken := *a
		broken.Blobs = append(slices.Clone(a.Blobs), Blob{Name: name})
		if err := broken.Extract(filepath.Join(parent, "hello"), nil); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	dir := filepath.Join(parent, "hello")
	if err := a.Extract(dir, []byte(bundleText)); err != nil {
		t.Fatal(err)
	}
	if err := a.Extract(dir, nil); err == nil {
		t.Error("it was written over a folder that is there")
	}
	for _, b := range a.Blobs[1:] {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(b.Name)))
		if err != nil || string(data) != string(b.Data) {
			t.Errorf("%s: %v", b.Name, err)
		}
	}
	if data, err := os.ReadFile(filepath.Join(dir, SignatureFile)); err != nil || string(data) != bundleText {
		t.Errorf("signature: %v", err)
	}
}
