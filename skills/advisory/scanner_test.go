package advisory

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/glovebox-dev/glovebox/skills/sbom"
)

// TestScannerModel holds the JSON against a file; the oracle holds the file's kind
// against osv-scanner's own types.
func TestScannerModel(t *testing.T) {
	t.Parallel()
	x := fill(t)
	r, err := check(x, DefaultPolicy(), clean, bad, npm("rated-critical"), npm("unrated"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := x.OSVScanner(context.Background(), r, "sbom.cdx.json", "sbom")
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "scanner.json"))
	if err != nil || !bytes.Equal(append(got, '\n'), want) {
		t.Errorf("%v; got:\n%s", err, got)
	}
	nothing, err := x.OSVScanner(context.Background(), Report{}, "x", "sbom")
	if b, _ := json.Marshal(nothing); err != nil || string(b) != `{"results":[],"experimental_config":{"licenses":{"summary":false,"allowlist":null}}}` {
		t.Errorf("%s, %v", b, err)
	}
}

func TestGroupsAreJoinedThroughOthers(t *testing.T) {
	t.Parallel()
	f := func(id string, aliases ...string) Finding {
		return Finding{Package: sbom.Package{Name: "a"}, ID: id, Aliases: aliases}
	}
	got := groups([]Finding{f("A", "X"), f("B", "Y"), f("C"), f("D", "X", "Y")})
	if len(got) != 2 || len(got[0]) != 1 || len(got[1]) != 3 {
		t.Errorf("%v", got)
	}
}
