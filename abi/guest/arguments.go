package guest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decodeArguments decodes args into the struct in points to, and holds them against
// the same tags that made the schema, with errors that name the argument.
func decodeArguments(args json.RawMessage, in any) error {
	if trimmed := bytes.TrimSpace(args); len(trimmed) == 0 || bytes.Equal(trimmed, []byte("null")) {
		args = json.RawMessage("{}")
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(args, &given); err != nil {
		return fmt.Errorf("arguments: want a JSON object: %w", err)
	}
	value := reflect.ValueOf(in).Elem()
	fields := fieldsOf(value.Type())
	for name := range given {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
			return fmt.Errorf("unknown argument %q: want %s", name, namesOf(fields))
		}
	}
	for _, f := range fields {
		if raw, ok := given[f.name]; f.required && (!ok || string(raw) == "null") {
			return fmt.Errorf("argument %q is required", f.name)
		}
	}
	if err := json.Unmarshal(args, in); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return fmt.Errorf("argument %q: got %s, want %s", wrong.Field, wrong.Value, wrong.Type)
		}
		return fmt.Errorf("arguments: %w", err)
	}
	for _, f := range fields {
		if raw, ok := given[f.name]; ok && string(raw) != "null" {
			if err := checkBounds(f, raw); err != nil {
				return fmt.Errorf("argument %q: %w", f.name, err)
			}
		}
	}
	return nil
}

func namesOf(fields []field) string {
	if len(fields) == 0 {
		return "none"
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// checkBounds holds one given value against enum, min and max.
func checkBounds(f field, raw json.RawMessage) error {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	if enum, ok := f.tag.Lookup("enum"); ok {
		if s := fmt.Sprint(v); !slices.Contains(strings.Split(enum, ","), s) {
			return fmt.Errorf("got %q, want one of %s", s, enum)
		}
	}
	size, what := 0.0, ""
	switch v := v.(type) {
	case float64:
		size = v
	case string:
		size, what = float64(utf8.RuneCountInString(v)), " characters"
	case []any:
		size, what = float64(len(v)), " items"
	default:
		return nil
	}
	if low, err := strconv.ParseFloat(f.tag.Get("min"), 64); err == nil && size < low {
		return fmt.Errorf("got %v%s, want at least %v", size, what, low)
	}
	if high, err := strconv.ParseFloat(f.tag.Get("max"), 64); err == nil && size > high {
		return fmt.Errorf("got %v%s, want at most %v", size, what, high)
	}
	return nil
}
