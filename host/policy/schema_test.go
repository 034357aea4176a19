package policy

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

// A tool's schema says what its arguments are by default, and no author says it elsewhere.
func TestDefaultsComeFromTheSchema(t *testing.T) {
	t.Parallel()
	author := abi.Descriptor{Effect: abi.EffectEgress, Defaults: map[string]json.RawMessage{"to": []byte(`"team"`)}}
	d := Complete(author, []byte(`{"properties":{"to":{"type":"string"},"cc":{"default":null},"n":{"default":3}}}`))
	if len(d.Defaults) != 3 || d.Defaults["to"] != nil || string(d.Defaults["cc"]) != "null" || string(d.Defaults["n"]) != "3" {
		t.Errorf("%s", d.Defaults)
	}
	if string(author.Defaults["to"]) != `"team"` {
		t.Error("the caller's descriptor was changed")
	}
	for _, bad := range []string{``, `{`, `[]`, `{"properties":[]}`} {
		if d := Complete(author, []byte(bad)); len(d.Defaults) != 0 {
			t.Errorf("%s declares %s", bad, d.Defaults)
		}
	}
}

// An argument that names a recipient is control, whatever its author says of it.
func TestRecipientsAreControl(t *testing.T) {
	t.Parallel()
	d := Complete(abi.Descriptor{Effect: abi.EffectEgress, Args: map[string]abi.Role{"to": abi.RoleContent, "a/b": abi.RoleInert, "url": abi.RoleContent}, Recipients: []string{"/to/0", "/a~1b", "host(/url)", "/free", "host:api.example"}}, nil)
	for _, name := range []string{"to", "a/b", "url", "free"} {
		if d.Role(name) != abi.RoleControl {
			t.Errorf("%s: %+v", name, d.Args)
		}
	}
}

// The names of properties are fixed wherever the schema declares them, and nowhere else.
func TestFieldsComeFromTheSchema(t *testing.T) {
	t.Parallel()
	author := abi.Descriptor{Fields: []string{"mallory"}}
	schema := `{"properties":{"who":{"type":"array","items":{"anyOf":[{"properties":{"mail":{}}},{"additionalProperties":{"properties":{"role":{}}}}]}}}}`
	if d := Complete(author, []byte(schema)); !slices.Equal(d.Fields, []string{"mail", "role", "who"}) {
		t.Errorf("%q", d.Fields)
	}
	for _, bad := range []string{``, `{`, `[]`, `{"properties":["mallory"]}`} {
		if d := Complete(author, []byte(bad)); len(d.Fields) != 0 {
			t.Errorf("%s fixes %q", bad, d.Fields)
		}
	}
}
