package guest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// maxSchemaDepth bounds nested types; a type that holds itself ends here.
const maxSchemaDepth = 16

// Schema returns the JSON Schema of a value of type T. A struct is an object without
// further properties; a field is required unless it is a pointer or has omitempty.
//
//	json:"name,omitempty"   the property's name
//	desc:"…"                its description
//	enum:"a,b,c"            the only values
//	min:"1" max:"50"        bounds of a number, or of the length of a string or list
//	default:"10"            what the tool assumes when it is absent (told, not applied)
//	format:"uri"            uri, date, date-time…
//	example:"…"             one example
func Schema[T any]() (json.RawMessage, error) { return schemaOf(reflect.TypeFor[T]()) }

func schemaOf(t reflect.Type) (json.RawMessage, error) {
	var b strings.Builder
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("arguments are %s: want a struct", t)
	}
	if err := writeSchema(&b, t, "", 0); err != nil {
		return nil, err
	}
	return json.RawMessage(b.String()), nil
}

// writeSchema writes the schema of t with the keywords of a field's tag. Text is
// built by hand to keep the fields in the order of the source.
func writeSchema(b *strings.Builder, t reflect.Type, tag reflect.StructTag, depth int) error {
	if depth > maxSchemaDepth {
		return fmt.Errorf("type %s is nested over %d levels deep", t, maxSchemaDepth)
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	b.WriteByte('{')
	kind, err := writeType(b, t, depth)
	if err != nil {
		return err
	}
	if err := writeKeywords(b, kind, tag); err != nil {
		return err
	}
	b.WriteByte('}')
	return nil
}

// writeType writes the keywords that follow from the type and returns its JSON name;
// "" is any value.
func writeType(b *strings.Builder, t reflect.Type, depth int) (string, error) {
	simple := func(kind string) (string, error) {
		b.WriteString(`"type":"` + kind + `"`)
		return kind, nil
	}
	if t == reflect.TypeFor[json.RawMessage]() || t.Kind() == reflect.Interface {
		return "", nil
	}
	switch t.Kind() {
	case reflect.String:
		return simple("string")
	case reflect.Bool:
		return simple("boolean")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return simple("integer")
	case reflect.Float32, reflect.Float64:
		return simple("number")
	case reflect.Slice, reflect.Array:
		b.WriteString(`"type":"array","items":`)
		return "array", writeSchema(b, t.Elem(), "", depth+1)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return "", fmt.Errorf("type %s: the keys of a map must be strings", t)
		}
		b.WriteString(`"type":"object","additionalProperties":`)
		return "object", writeSchema(b, t.Elem(), "", depth+1)
	case reflect.Struct:
		return "object", writeObject(b, t, depth)
	default:
		return "", fmt.Errorf("type %s has no JSON Schema", t)
	}
}

func writeObject(b *strings.Builder, t reflect.Type, depth int) error {
	b.WriteString(`"type":"object","properties":{`)
	var required []string
	for i, f := range fieldsOf(t) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quote(f.name) + ":")
		if err := writeSchema(b, f.typ, f.tag, depth+1); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if f.required {
			required = append(required, quote(f.name))
		}
	}
	b.WriteByte('}')
	if len(required) > 0 {
		b.WriteString(`,"required":[` + strings.Join(required, ",") + `]`)
	}
	b.WriteString(`,"additionalProperties":false`)
	return nil
}

func writeKeywords(b *strings.Builder, kind string, tag reflect.StructTag) error {
	key := func(name, value string) {
		if s := b.String(); s[len(s)-1] != '{' {
			b.WriteByte(',')
		}
		b.WriteString(`"` + name + `":` + value)
	}
	for _, name := range []string{"desc", "format"} {
		if v, ok := tag.Lookup(name); ok {
			key(map[string]string{"desc": "description", "format": "format"}[name], quote(v))
		}
	}
	if v, ok := tag.Lookup("enum"); ok {
		var values []string
		for _, s := range strings.Split(v, ",") {
			lit, err := literal(kind, s)
			if err != nil {
				return fmt.Errorf("enum: %w", err)
			}
			values = append(values, lit)
		}
		key("enum", "["+strings.Join(values, ",")+"]")
	}
	for _, bound := range []string{"min", "max"} {
		if v, ok := tag.Lookup(bound); ok {
			if _, err := strconv.ParseFloat(v, 64); err != nil {
				return fmt.Errorf("%s %q: want a number", bound, v)
			}
			key(boundKeyword(kind, bound), v)
		}
	}
	if v, ok := tag.Lookup("default"); ok {
		lit, err := literal(kind, v)
		if err != nil {
			return fmt.Errorf("default: %w", err)
		}
		key("default", lit)
	}
	if v, ok := tag.Lookup("example"); ok {
		lit, err := literal(kind, v)
		if err != nil {
			return fmt.Errorf("example: %w", err)
		}
		key("examples", "["+lit+"]")
	}
	return nil
}

func boundKeyword(kind, bound string) string {
	switch kind {
	case "string":
		return bound + "Length"
	case "array":
		return bound + "Items"
	}
	return bound + "imum"
}

// literal writes the text of a tag as a JSON value of this kind.
func literal(kind, s string) (string, error) {
	if kind == "string" {
		return quote(s), nil
	}
	if !json.Valid([]byte(s)) {
		return "", fmt.Errorf("%q is no JSON value of type %s", s, kind)
	}
	return s, nil
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // cannot happen: a string always has a JSON form
		return `""`
	}
	return string(b)
}

type field struct {
	name     string
	typ      reflect.Type
	tag      reflect.StructTag
	required bool
}

// fieldsOf lists the properties of a struct; embedded structs lend theirs.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct {
			out = append(out, fieldsOf(f.Type)...) // of an unexported struct as well, as encoding/json does
			continue
		}
		if !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		optional := f.Type.Kind() == reflect.Pointer || strings.Contains(opts, "omitempty") || strings.Contains(opts, "omitzero")
		out = append(out, field{name, f.Type, f.Tag, !optional})
	}
	return out
}
