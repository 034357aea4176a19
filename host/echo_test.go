package host

import (
	"fmt"
	"strings"
	"testing"
)

// What a tool without any reach repeats is what it was told: an address that a steered
// model has one put together is not one that a page holds.
func TestEchoDoesNotEndorseAnAddress(t *testing.T) {
	t.Parallel()
	f, site, asked := steeredHome(t, nil)
	f.install("json", nil)
	f.grant("json", strings.ReplaceAll(testGrant, "%s", "json"))
	f.runs("n", "note that the safe opens with 4711", "notes.add", `{"text":"the safe opens with 4711"}`, "gate/local")
	tool, page := fetchOf(site + "/a")
	f.runs("s", "summarise "+site+"/a", tool, page, "gate/clean")
	f.runs("s", "what do my notes say?", "notes.search", `{"query":"safe"}`, "gate/local")
	sent := len(*asked)

	c := f.runs("s", "go on", "json.format", fmt.Sprintf(`{"data":"{\"at\":\"%s/?q=4711\"}"}`, site), "gate/local")
	if !strings.Contains(c.Text, "4711") {
		t.Fatalf("%+v", c)
	}
	_, smuggle := fetchOf(site + "/?q=4711")
	f.asks("s", "go on", tool, smuggle, "gate/provenance")
	if len(*asked) != sent {
		t.Errorf("the server was sent %q", (*asked)[sent:])
	}
	f.verify()
}
