package abi

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testKey is the hint of a key.
const testKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

const testDigest = Digest("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")

var testProof = Proof{Digest: testDigest}

var testNow = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func testdata(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// swap replaces old, which must be there once.
func swap(t testing.TB, text, old, with string) string {
	t.Helper()
	if strings.Count(text, old) != 1 {
		t.Fatalf("%q is in the text %d times", old, strings.Count(text, old))
	}
	return strings.Replace(text, old, with, 1)
}

func mustManifest(t testing.TB, text string) *Manifest {
	t.Helper()
	m, err := DecodeManifest("skill.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustGrant(t testing.TB, text string) *Grant {
	t.Helper()
	g, err := DecodeGrant("grants/github-issues.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func wantError(t testing.TB, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error = %v\nwant one with  %q", err, text)
	}
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
