package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/internal/canon"
)

func checkText(t testing.TB, s *schema, args string) error {
	t.Helper()
	v, err := canon.Parse([]byte(args), canon.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return s.check(v)
}

func TestSchemaAdmitsAndRefuses(t *testing.T) {
	t.Parallel()
	const two = `"properties":{"a":{"type":"string"},"n":{"type":"integer","minimum":1}},"required":["a"]`
	tests := []struct{ name, schema, args, want string }{
		{"fits", `{"type":"object",` + two + `}`, `{"a":"x","n":3}`, ""},
		{"wrong type", `{"type":"object",` + two + `}`, `{"a":3}`, "argument /a"},
		{"missing", `{"type":"object",` + two + `}`, `{}`, "missing"},
		{"below minimum", `{"type":"object",` + two + `}`, `{"a":"x","n":0}`, "argument /n"},
		{"a fraction for an integer", `{"type":"object",` + two + `}`, `{"a":"x","n":1.5}`, "argument /n"},
		{"unknown argument", `{"type":"object",` + two + `}`, `{"a":"x","b":1}`, "b"},
		{"unknown argument where the schema says it may", `{"additionalProperties":true,` + two + `}`, `{"a":"x","b":1}`, ""},
		{"unknown argument against its schema", `{"additionalProperties":{"type":"number"},` + two + `}`, `{"a":"x","b":"y"}`, "argument /b"},
		{"no schema", ``, `{}`, ""},
		{"no schema but arguments", ``, `{"a":1}`, "a"},
		{"empty schema with arguments", `{}`, `{"a":1}`, "a"},
		{"draft-07", `{"$schema":"http://json-schema.org/draft-07/schema#",` + two + `}`, `{"a":"x","b":1}`, "b"},
		{"draft 2019-09", `{"$schema":"https://json-schema.org/draft/2019-09/schema",` + two + `}`, `{"a":"x","b":1}`, "b"},
		{"known through $ref", `{"$ref":"#/$defs/r","$defs":{"r":{` + two + `}}}`, `{"a":"x"}`, ""},
		{"unknown beside $ref", `{"$ref":"#/$defs/r","$defs":{"r":{` + two + `}}}`, `{"a":"x","b":1}`, "b"},
		{"unknown beside $ref in draft-07", `{"$schema":"http://json-schema.org/draft-07/schema#","$ref":"#/definitions/r","definitions":{"r":{` + two + `}}}`, `{"a":"x","b":1}`, "b"},
		{"known through allOf", `{"allOf":[{` + two + `},{"properties":{"c":{}}}]}`, `{"a":"x","c":1}`, ""},
		{"unknown beside allOf", `{"allOf":[{` + two + `}]}`, `{"a":"x","b":1}`, "b"},
		{"underscore is refused even if declared", `{"properties":{"_x":{}}}`, `{"_x":1}`, "begin with _"},
		{"an argument called $ref", `{"properties":{"$ref":{"type":"string"}}}`, `{"$ref":"a"}`, ""},
		{"escaped names in a reference", `{"properties":{"x":{"$ref":"#/$defs/a~1b~0c"}},"$defs":{"a/b~c":{"type":"string"}}}`, `{"x":1}`, "argument /x"},
		{"recursion is checked once", `{"properties":{"x":{"$ref":"#/$defs/t"}},"$defs":{"t":{"type":"object","properties":{"x":{"$ref":"#/$defs/t"}}}}}`, `{"x":3}`, "argument /x"},
		{"recursion is not checked below", `{"properties":{"x":{"$ref":"#/$defs/t"}},"$defs":{"t":{"type":"object","properties":{"x":{"$ref":"#/$defs/t"}}}}}`, `{"x":{"x":3}}`, ""},
		{"pattern", `{"properties":{"a":{"pattern":"^[a-z]+$"}}}`, `{"a":"A"}`, "argument /a"},
		{"a bound that a double rounds", `{"properties":{"n":{"type":"integer","maximum":18446744073709551615}}}`, `{"n":7}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := compileSchema(json.RawMessage(tt.schema))
			if err != nil {
				t.Fatal(err)
			}
			err = checkText(t, s, tt.args)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// bomb has n levels that each refer twice to the next: 2^n when unfolded.
func bomb(n int) string {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/$defs/l0","$defs":{`)
	for i := range n {
		fmt.Fprintf(&b, `"l%d":{"allOf":[{"$ref":"#/$defs/l%d"},{"$ref":"#/$defs/l%d"}]},`, i, i+1, i+1)
	}
	fmt.Fprintf(&b, `"l%d":{}}}`, n)
	return b.String()
}

func TestHostileSchemasAreRefused(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"not":`, 5000) + `{}` + strings.Repeat(`}`, 5000)
	tests := []struct{ name, schema, want string }{
		{"no JSON", `{`, "JSON"},
		{"a list", `[]`, "not an object"},
		{"true", `true`, "not an object"},
		{"type is a number", `{"type":7}`, "/type"},
		{"remote reference", `{"$ref":"http://127.0.0.1:1/x.json"}`, "only references inside"},
		{"file reference", `{"$ref":"file:///etc/passwd"}`, "only references inside"},
		{"relative reference", `{"$ref":"x.json"}`, "only references inside"},
		{"reference to an anchor", `{"$ref":"#x"}`, "only references inside"},
		{"reference into nothing", `{"$ref":"#/$defs/x"}`, "leads nowhere"},
		{"percent-encoded reference", `{"$ref":"#/%24defs/x","$defs":{"x":{}}}`, "percent"},
		{"dynamic reference", `{"$dynamicRef":"#x"}`, "not supported"},
		{"nested id", `{"properties":{"a":{"$id":"http://example.org/x"}}}`, "not supported"},
		{"anchor", `{"$defs":{"a":{"$anchor":"x"}}}`, "not supported"},
		{"unknown draft", `{"$schema":"http://127.0.0.1/meta"}`, "$schema"},
		{"draft-04", `{"$schema":"http://json-schema.org/draft-04/schema#"}`, "$schema"},
		{"$schema is no text", `{"$schema":{}}`, "$schema"},
		{"nested $schema", `{"properties":{"a":{"$schema":"http://127.0.0.1/meta","$id":"x"}}}`, "not supported"},
		{"64 KiB and a byte", `{"description":"` + strings.Repeat("x", MaxSchemaBytes) + `"}`, "exceed"},
		{"5,000 levels deep", deep, "nested deeper"},
		{"many nodes", `{"enum":[` + strings.Repeat("1,", MaxSchemaNodes) + `1]}`, "more than"},
		{"2^40 when unfolded", bomb(40), "unfolds to more"},
		{"a lookahead", `{"properties":{"a":{"pattern":"(?=x)"}}}`, "regex"},
		{"a long pattern", `{"properties":{"a":{"pattern":"` + strings.Repeat("x", MaxPattern+1) + `"}}}`, "/pattern"},
		{"a pattern with a large program", `{"properties":{"a":{"pattern":"(x{30}){40}"}}}`, "regex"},
		{"duplicate keys", `{"type":"object","type":"string"}`, "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := compileSchema(json.RawMessage(tt.schema))
			if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %.200v, want %q", err, tt.want)
			}
		})
	}
	if _, err := compileSchema(json.RawMessage(bomb(8))); err != nil {
		t.Errorf("a schema that unfolds to little: %v", err)
	}
}

func TestChecksAreBounded(t *testing.T) {
	t.Parallel()
	// A recursive schema that would double at each level of the arguments.
	twice := `{"allOf":[{"properties":{"a":{"$ref":"#"}}},{"properties":{"a":{"$ref":"#"}}}]}`
	s, err := compileSchema(json.RawMessage(twice))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkText(t, s, strings.Repeat(`{"a":`, 60)+`1`+strings.Repeat(`}`, 60)); err != nil {
		t.Errorf("doubling recursion: %v", err)
	}
	var parts []string
	for i := range 500 {
		parts = append(parts, fmt.Sprintf(`{"minimum":%d}`, -i))
	}
	s, err = compileSchema(json.RawMessage(`{"properties":{"a":{"items":{"allOf":[` + strings.Join(parts, ",") + `]}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkText(t, s, `{"a":[`+strings.Repeat("1,", 100_000)+`1]}`); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("100,000 items × 500 rules: %v", err)
	}
	// Patterns that are slow on long text: the budget ends them, and "not" does not
	// turn the end into a yes.
	slow := `{"properties":{"a":{"not":{"pattern":"(a?){100}(b?){100}x"}}}}`
	s, err = compileSchema(json.RawMessage(slow))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkText(t, s, `{"a":"`+strings.Repeat("a", 900_000)+`"}`); err == nil || !strings.Contains(err.Error(), "too long for the patterns") {
		t.Errorf("slow pattern: %v", err)
	}
	if err := checkText(t, s, `{"a":"aaa"}`); err != nil {
		t.Errorf("the budget is not restored: %v", err)
	}
}

// FuzzSchema: no schema and no arguments make compiling or checking panic or hang, and
// a refused name stays refused.
func FuzzSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"type":"string","pattern":"^a"}}}`, `{"a":"b"}`)
	f.Add(bomb(6), `{"a":1}`)
	f.Add(`{"$ref":"#/$defs/a","$defs":{"a":{"items":{"$ref":"#"},"oneOf":[{"$ref":"#/$defs/a"}]}}}`, `{}`)
	f.Add(`{"$schema":"http://json-schema.org/draft-07/schema#","dependencies":{"a":["b"]}}`, `{"a":1,"_b":2}`)
	f.Fuzz(func(t *testing.T, schema, args string) {
		v, err := canon.Parse([]byte(args), canon.Limits{})
		if err != nil {
			return
		}
		s, err := compileSchema(json.RawMessage(schema))
		if err != nil {
			return
		}
		if err := s.check(v); err != nil {
			return
		}
		for name := range v.Any().(map[string]any) {
			if strings.HasPrefix(name, "_") {
				t.Fatalf("%q admitted %q", schema, args)
			}
		}
	})
}
