package abi

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"

	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// The JSON Schemas for editors. They are narrower than JSON allows and wider than the
// decoders: what they refuse, the decoders refuse too.
func TestSchemasAreFresh(t *testing.T) {
	t.Parallel()
	golden(t, filepath.Join("schema", "skill.schema.json"), schemaOf(t, &Manifest{}, SchemaSkill, "skill.yaml: what the author of a skill asks for"))
	golden(t, filepath.Join("schema", "grant.schema.json"), schemaOf(t, &Grant{}, SchemaGrant, "grants/NAME.yaml: what the operator grants to a skill"))
}

func schemaOf(t *testing.T, v any, id, title string) []byte {
	t.Helper()
	r := jsonschema.Reflector{Anonymous: true, ExpandedStruct: true, FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, Mapper: schemaOfType}
	s := r.Reflect(v)
	s.Title = title
	addRequired(s, reflect.TypeOf(v).Elem())
	for name, def := range s.Definitions {
		if typ := structNamed(reflect.TypeOf(v).Elem(), name); typ != nil {
			addRequired(def, typ)
		}
	}
	if p, ok := s.Properties.Get("schema"); ok {
		p.Const = id
	}
	for _, refused := range []string{"stateful"} {
		s.Properties.Delete(refused)
	}
	if limits, ok := s.Definitions["LimitsRequest"]; ok {
		limits.Properties.Delete("fuel")
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// addRequired copies the required option of the yaml tags.
func addRequired(s *jsonschema.Schema, typ reflect.Type) {
	s.Required = nil
	for _, f := range yamlFields(typ) {
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
}

func structNamed(t reflect.Type, name string) reflect.Type {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return structNamed(t.Elem(), name)
	case reflect.Struct:
		if t.Name() == name {
			return t
		}
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				if found := structNamed(t.Field(i).Type, name); found != nil {
					return found
				}
			}
		}
	}
	return nil
}

// schemaOfType knows the types that are written as text.
func schemaOfType(t reflect.Type) *jsonschema.Schema {
	text := func(pattern string) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Pattern: pattern} }
	words := func(w ...any) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Enum: w} }
	switch t {
	case reflect.TypeFor[Size]():
		return text(`^[0-9]+(B|KiB|MiB|GiB)$`)
	case reflect.TypeFor[Duration]():
		return text(`^([0-9.]+(ns|us|µs|ms|s|m|h))+$`)
	case reflect.TypeFor[Date]():
		return text(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	case reflect.TypeFor[Origin](), reflect.TypeFor[OriginPattern]():
		return text(`^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+$`)
	case reflect.TypeFor[Effect]():
		return words("read", "local", "egress", "irreversible")
	case reflect.TypeFor[Role]():
		return words("inert", "content", "control")
	case reflect.TypeFor[Access]():
		return words("ro", "rw")
	case reflect.TypeFor[Profile]():
		return words(string(ProfileMCPv2), string(ProfileMCPv1), string(ProfileRaw), string(ProfileCommand))
	case reflect.TypeFor[SkillName](), reflect.TypeFor[AgentID]():
		return text(skillNameRE.String())
	case reflect.TypeFor[ToolName]():
		return text(toolNameRE.String())
	case reflect.TypeFor[SecretName]():
		return text(secretNameRE.String())
	}
	return nil
}

func compileSchema(t *testing.T, name string) *validator.Schema {
	t.Helper()
	s, err := validator.NewCompiler().Compile(filepath.Join("schema", name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *validator.Schema, text string) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		return err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	doc, err := validator.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func TestSchemasAgreeWithTheDecoders(t *testing.T) {
	t.Parallel()
	for file, c := range map[string]struct {
		schema string
		edits  []edit
		decode func(string) error
	}{
		"skill.yaml": {"skill.schema.json", manifestEdits, func(s string) error { _, err := DecodeManifest("f", []byte(s)); return err }},
		"grant.yaml": {"grant.schema.json", grantEdits, func(s string) error { _, err := DecodeGrant("f", []byte(s)); return err }},
	} {
		s := compileSchema(t, c.schema)
		base := swapDates(testdata(t, file))
		if err := validate(t, s, base); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for _, e := range c.edits {
			text := swapDates(swap(t, testdata(t, file), e.old, e.with))
			if err := validate(t, s, text); err != nil && c.decode(text) == nil {
				t.Errorf("%s: the schema refuses what the decoder takes (%s: %s): %v", file, e.key, e.with, err)
			}
		}
		wantSchemaError(t, s, base+"\nunknown: 1\n")
	}
}

var datesRE = regexp.MustCompile(`expires: ([0-9-]+)`)

// swapDates quotes dates, which the generic YAML decoder would turn into times.
func swapDates(text string) string {
	return datesRE.ReplaceAllString(text, `expires: "$1"`)
}

func wantSchemaError(t *testing.T, s *validator.Schema, text string) {
	t.Helper()
	if validate(t, s, text) == nil {
		t.Errorf("the schema accepts\n%s", text)
	}
}

func TestExampleManifestsAreValid(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "examples", "*", "skill.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s := compileSchema(t, "skill.schema.json")
	for _, file := range files {
		text := readFile(t, file)
		if _, err := DecodeManifest(file, []byte(text)); err != nil {
			t.Error(err)
		}
		if err := validate(t, s, text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
