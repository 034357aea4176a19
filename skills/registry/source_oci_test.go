package registry

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

// ociRegistry serves the files of the rig as one artifact, and counts how often the tag
// was resolved.
func ociRegistry(t *testing.T, r *rig, resolved *int) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		layers, blobs := []map[string]any{}, map[string][]byte{}
		_ = filepath.WalkDir(r.dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(p)
			name, _ := filepath.Rel(r.dir, p)
			digest := string(abi.DigestOf(data))
			blobs[digest] = data
			layers = append(layers, map[string]any{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(data),
				"annotations": map[string]string{"org.opencontainers.image.title": filepath.ToSlash(name)}})
			return err
		})
		digest, isBlob := strings.CutPrefix(q.URL.Path, "/v2/acme/index/blobs/")
		switch {
		case q.URL.Path == "/v2/acme/index/manifests/stable" && strings.Contains(q.Header.Get("Accept"), "oci.image.manifest"):
			*resolved++
			_ = json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "layers": layers})
		case isBlob && blobs[digest] != nil:
			_, _ = w.Write(blobs[digest])
		case strings.Contains(q.URL.Path, "private"):
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func TestOCISource(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	resolved := 0
	source := "oci://" + strings.TrimPrefix(ociRegistry(t, r, &resolved).URL, "http://")
	if st := r.mustAdd(source + "/acme/index:stable"); st.Skills != 1 || resolved != 1 {
		t.Errorf("%s, the tag was resolved %d times", indent(t, st), resolved)
	}
	r.must(r.maker.AddSkill(entry("acme/weather", "1.1.0"), nil))
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	if all, err := r.show(); err != nil || len(all) != 2 {
		t.Errorf("%v, %d entries", err, len(all))
	}
	r.edit("timestamp.json", forge)
	reason(t, r.refresh(), Unsigned)

	other := newRig(t)
	_, err := other.add(source + "/acme/index:other")
	reason(t, err, NoData)
	_, err = other.add(source + "/acme/private:stable")
	if reason(t, err, NoData); !strings.Contains(err.Error(), "no credentials are sent") {
		t.Errorf("%v", err)
	}
}
