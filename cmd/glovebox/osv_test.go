package main

import (
	"archive/zip"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAdvisoriesComeFromAnAddress fetches a zip of the records that the index is tested with.
func TestAdvisoriesComeFromAnAddress(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../skills/advisory/testdata/osv/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no records: %v", err)
	}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		w, err := z.Create(filepath.Base(file))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/PyPI/all.zip" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(archive.Bytes())
	}))
	defer server.Close()
	state := t.TempDir()
	if err := os.Chmod(state, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, want string }{{"/PyPI/all.zip", "PyPI: 6 records"}, {"/none.zip", "404"}} {
		var out bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &out}
		a.run(context.Background(), []string{"osv", "update", "--state", state, "--ecosystem", "PyPI", "--from", server.URL + tt.path})
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: %s", tt.path, out.String())
		}
	}
}
