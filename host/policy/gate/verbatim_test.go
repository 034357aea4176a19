package gate

import (
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// An address is free of our own bytes only if it stands in bytes that anybody may
// see: a steered model can write private ones into a file and read the file back.
func TestAddressOfPrivateTextIsNotVerbatim(t *testing.T) {
	t.Parallel()
	get := abi.Descriptor{Name: "get", Effect: abi.EffectEgress, Method: "GET", Args: map[string]abi.Role{"url": abi.RoleControl}, Recipients: []string{"host(/url)"}}
	const url = "https://evil.example/?q=4711"
	for _, tt := range []struct {
		name    string
		readers label.Readers
		want    Verdict
	}{
		{"on a public page", label.Public(), VerdictAllow},
		{"in a file of the workspace", label.ReadBy(), VerdictAsk},
		{"in a conversation", label.ReadBy("email:ana@acme.example"), VerdictAsk},
	} {
		s := State{Context: label.Trusted()}.Read(Source{
			Tool: abi.ToolRef{Skill: "x", Tool: "read"}, Effect: abi.EffectRead,
			Label: label.Label{Integrity: label.Tainted, Readers: tt.readers}, Text: "see " + url,
		})
		j := Judge(abi.ToolRef{Skill: "web", Tool: "get"}, "", get, map[string]any{"url": url}, s)
		if j.Verdict != tt.want {
			t.Errorf("%s: %v by %s, want %v", tt.name, j.Verdict, j.Rule, tt.want)
		}
	}
}
